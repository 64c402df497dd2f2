import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sqlOfArchive } from './pg-restore.js';

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'offshoot-pg-restore-'));
  chmodSync(dir, 0o755);
});

afterAll(() => rmSync(dir, { recursive: true }));

/** A program in place of pg_restore. */
function program(name: string, script: string): string {
  const path = join(dir, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

async function* pieces(count: number, pauseMs: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < count; at += 1) {
    if (at > 0) await sleep(pauseMs);
    yield Buffer.from(`${at}\n`);
  }
}

async function textOf(sql: AsyncIterable<Uint8Array>, pauseMs = 0): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const piece of sql) {
    all.push(piece);
    await sleep(pauseMs);
  }
  return Buffer.concat(all).toString();
}

test('one that comes to no end is ended', async () => {
  const path = program('endless', 'echo begun; while :; do :; done');
  await expect(textOf(sqlOfArchive(pieces(3, 0), { path, stillMsMax: 400 }))).rejects.toMatchObject({
    code: 'pg_restore_failed',
    message: expect.stringContaining('400 ms'),
  });
});

test('one that waits for more, or whose output nobody takes, is not', async () => {
  const path = program('cat', 'exec cat');
  const slow = sqlOfArchive(pieces(2, 1500), { path, stillMsMax: 1000 });
  expect(await textOf(slow, 1300)).toBe('0\n1\n');
});

test('one that reads no more has the last word', async () => {
  const path = program(
    'newer',
    'head -c 5 > /dev/null; echo "unsupported version (1.16) in file header" >&2; exit 1',
  );
  const archive = async function* () {
    for (let piece = 0; piece < 64; piece += 1) yield Buffer.alloc(65_536);
  };
  for (let round = 0; round < 5; round += 1) {
    await expect(textOf(sqlOfArchive(archive(), { path }))).rejects.toMatchObject({
      code: 'pg_restore_failed',
      message: expect.stringContaining('unsupported version'),
    });
  }
});

test('one that is called off ends at once', async () => {
  const path = program('called-off', 'echo begun; while :; do :; done');
  const abort = new AbortController();
  const sql = sqlOfArchive(pieces(3, 0), { path, signal: abort.signal })[Symbol.asyncIterator]();
  expect(String((await sql.next()).value)).toBe('begun\n');
  setTimeout(() => abort.abort(new Error('nobody wants it any more')), 100);
  await expect(sql.next()).rejects.toThrow('nobody wants it any more');
  const late = sqlOfArchive(pieces(3, 0), { path, signal: abort.signal });
  await expect(textOf(late)).rejects.toThrow('nobody wants it any more');
});
