import { closeSync, fchownSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as othersTurn, setTimeout as sleep } from 'node:timers/promises';
import type { OsUser } from './os-user.js';

/** Where the preload library takes them from, inside the data directory. */
export const SPARE_FILES_DIRECTORY = 'offshoot/spare';

/** Made between two turns of the event loop: each takes some 50 us, sometimes many times as long. */
const FILES_PER_TURN = 4;
const PAUSE_MS = 4;

/** `gentle`: with pauses, beside the work of others on the same cores. */
export type Pace = 'brisk' | 'gentle';

/** A number in the machine's byte order: the library counts in it which file comes next. */
const COUNTER = Buffer.alloc(4);

/** Makes `count` empty files in a directory of the OS user's, and the counter of those that are taken. */
export async function makeSpareFiles(
  directory: string,
  count: number,
  owner: OsUser,
  pace: Pace,
): Promise<void> {
  for (let number = 0; number < count; number += 1) {
    if (number % FILES_PER_TURN === 0) await (pace === 'gentle' ? sleep(PAUSE_MS) : othersTurn());
    makeFile(join(directory, String(number)), owner);
  }
  makeFile(join(directory, 'next'), owner, COUNTER);
}

function makeFile(path: string, owner: OsUser, content?: Buffer): void {
  const file = openSync(path, 'wx', 0o600);
  try {
    if (owner.kind === 'other') fchownSync(file, owner.uid, owner.gid);
    if (content !== undefined) writeSync(file, content);
  } finally {
    closeSync(file);
  }
}
