import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ledgerTables } from '../fixture/acknowledged-load.js';
import { query, value } from '../fixture/query.js';
import { World } from '../fixture/world.js';

test('x', async () => {
  const world = await World.make(ledgerTables, {});
  try {
    const url = await world.fork('broken-line');
    await query(url, 'create table marks (n int)');
    await query(url, 'alter system set log_replication_commands = on', 'select pg_reload_conf()');
    for (let n = 1; n <= 3; n += 1) {
      const t = performance.now();
      await query(
        url,
        'select pg_terminate_backend(pid) from pg_stat_replication',
        `insert into marks values (${n})`,
      );
      console.log('took', performance.now() - t);
    }
    const [c] = await world.client.computes();
    console.log(readFileSync(c!.log_file, 'utf8'));
    console.log(c);
    const t1 = performance.now();
    await world.client.stopCompute('broken-line');
    console.log('stop', performance.now() - t1);
    const t2 = performance.now();
    const started = await world.client.startCompute('broken-line');
    console.log('start', performance.now() - t2, started.timings_ms);
    console.log(world.daemon.log);
  } finally {
    await world[Symbol.asyncDispose]();
  }
});
