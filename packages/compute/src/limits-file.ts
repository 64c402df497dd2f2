import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** What a session is told that wants to write. */
export interface WriteRefusal {
  readonly message: string;
  readonly hint: string;
}

/** As the preload library reads it; see its README. */
const MAGIC = 0x4f46_4653_4c49_4d31n;
const FILE_BYTES = 4096;
const WRITES_AT = 8;
const MESSAGE_AT = 64;
const HINT_AT = 1088;
const TEXT_BYTES = 1024;
const FAREWELL_AT = 2112;

export function limitsFilePath(dataDirectory: string): string {
  return join(dataDirectory, 'offshoot/limits');
}

/** The whole content of a new limits file. */
export function limitsContent(refusal: WriteRefusal | undefined): Buffer {
  const content = Buffer.alloc(FILE_BYTES);
  // The machine's byte order, and every machine that this runs on has this one.
  content.writeBigUInt64LE(MAGIC);
  if (refusal !== undefined) {
    content.writeUInt32LE(1, WRITES_AT);
    content.set(textBytes(refusal.message), MESSAGE_AT);
    content.set(textBytes(refusal.hint), HINT_AT);
  }
  return content;
}

/** All processes of the compute heed it from their next statement on. Throws when the file is gone. */
export function changeLimits(path: string, refusal: WriteRefusal | undefined): void {
  const content = limitsContent(refusal);
  const file = openSync(path, 'r+');
  try {
    // The words first: they are read when the word says so.
    writeSync(file, content, MESSAGE_AT, FAREWELL_AT - MESSAGE_AT, MESSAGE_AT);
    writeSync(file, content, WRITES_AT, 4, WRITES_AT);
  } finally {
    closeSync(file);
  }
}

/** What sessions are told that end because the compute is shut down. Throws when the file is gone. */
export function writeFarewell(path: string, message: string): void {
  const file = openSync(path, 'r+');
  try {
    writeSync(file, textBytes(message), 0, TEXT_BYTES, FAREWELL_AT);
  } finally {
    closeSync(file);
  }
}

/** Padded, with a NUL at its end; cut at a character where it is too long. */
function textBytes(text: string): Buffer {
  const bytes = Buffer.alloc(TEXT_BYTES);
  // Writes whole characters only.
  bytes.write(text, 0, TEXT_BYTES - 1, 'utf8');
  return bytes;
}
