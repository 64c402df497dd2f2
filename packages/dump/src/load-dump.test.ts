import { expect, test } from 'vitest';
import { recognizeDump } from './dump-format.js';
import { loadDump } from './load-dump.js';

async function* archive(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('PGDMP\x01\x0e\x00');
}

const options = {
  // Nobody listens there.
  target: { host: '127.0.0.1', port: 1, user: 'x', password: 'x' },
  database: 'postgres',
  onError: 'stop' as const,
  limits: { dumpBytesMax: 1000, statementBytesMax: 1000 },
  signal: new AbortController().signal,
};

test('an archive is not read where there is no pg_restore', async () => {
  const loading = loadDump(await recognizeDump(archive()), { ...options, pgRestore: undefined });
  await expect(loading).rejects.toMatchObject({ code: 'pg_restore_not_found' });
});

test('a server that is not there', async () => {
  async function* sql(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('select 1;');
  }
  const loading = loadDump(await recognizeDump(sql()), { ...options, pgRestore: undefined });
  await expect(loading).rejects.toMatchObject({ code: 'load_interrupted' });
});
