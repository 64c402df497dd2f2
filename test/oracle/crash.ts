import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { query } from '../fixture/query.js';
import type { OracleCluster } from './oracle-cluster.js';

const PAGE_BYTES = 8192;
/** Longer than the pages behind it that are made to look as if they were never written. */
const MESSAGE_BYTES = 20 * PAGE_BYTES;

/** A crash in the middle of work. Recovery checks itself by the images, too. */
export async function crashAndRecover({ postgres }: OracleCluster): Promise<void> {
  await query(
    postgres.url(),
    'create table crashed (id int primary key, v text)',
    `insert into crashed select i, 'v' || i from generate_series(1, 3000) i`,
    'checkpoint',
    `update crashed set v = v || 'x' where id % 3 = 0`,
    'delete from crashed where id % 5 = 0',
    'vacuum crashed',
    `begin; insert into crashed values (-1, 'never'); savepoint a; insert into crashed values (-2, 'never')`,
  );
  await postgres.stop('immediate');
  await postgres.start();
  await query(postgres.url(), `insert into crashed select -i, 'after' from generate_series(1, 300) i`);
}

/**
 * A crash that leaves the first half of a record: recovery ends within it, and the next record says that it is
 * abandoned. The record is a message for nobody, so that no page is newer than what is left of the WAL.
 */
export async function crashWithinRecord({ postgres }: OracleCluster): Promise<void> {
  const [row] = await query<{ file: string; at: number }>(
    postgres.url(),
    'select pg_switch_wal()',
    'checkpoint',
    'create temporary table message (lsn pg_lsn)',
    `insert into message select pg_logical_emit_message(false, 'oracle', repeat('m', ${MESSAGE_BYTES}))`,
    'select f.file_name as file, f.file_offset as at from message, pg_walfile_name_offset(lsn) as f',
  );
  if (row === undefined) throw new Error('the message has no place');
  await postgres.stop('immediate');
  loseTheEnd(join(postgres.dataDirectory, 'pg_wal', row.file), row.at);
  await postgres.start();
  await query(postgres.url(), 'create table after_the_loss as select generate_series(1, 100) as i');
}

/** Zeros from a page within the record that ends at `end` on. */
function loseTheEnd(path: string, end: number): void {
  const from = Math.floor((end - MESSAGE_BYTES / 2) / PAGE_BYTES) * PAGE_BYTES;
  if (end < MESSAGE_BYTES) throw new Error('the message lies across two segment files');
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.fill(0, from));
}
