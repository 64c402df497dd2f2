import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from '../fixture/command-line.js';
import { postgresProgram as program } from '../fixture/postgres-program.js';
import { World } from '../fixture/world.js';

let world: World;

beforeAll(async () => {
  world = await World.make([
    'create extension amcheck',
    'create table parent (id int primary key, name text not null)',
    'create table child (id int primary key, parent int not null references parent)',
    `insert into parent select i, 'n' || i from generate_series(1, 1000) i`,
    'insert into child select i, 1 + i % 1000 from generate_series(1, 5000) i',
    'create view both_of as select p.name, c.id from parent p join child c on c.parent = p.id',
    'vacuum analyze',
  ]);
  await world.fork('served');
});

afterAll(async () => world[Symbol.asyncDispose]());

test('postgres.js: typed rows, a transaction, a cursor, COPY', async () => {
  const { host, port, user, database } = await world.client.connectionString('served', { via: 'socket' });
  const sql = postgres({ host, port, user, database, max: 2 });
  try {
    const [row] = await sql`select count(*)::int as n from child where parent < ${11}`;
    expect(row).toEqual({ n: 50 });
    await sql.begin(async (transaction) => {
      await transaction`insert into parent values (2000, 'new')`;
      await transaction`insert into child values (20000, 2000)`;
    });
    let seen = 0;
    for await (const rows of sql`select * from child order by id`.cursor(100)) seen += rows.length;
    expect(seen).toBe(5001);
  } finally {
    await sql.end();
  }
});

test.skipIf(program('psql') === undefined)('psql', async () => {
  const { stdout } = await runCommand(program('psql') ?? '', [
    await world.url('served'),
    '-XAtc',
    'select count(*) from both_of',
  ]);
  expect(Number(stdout)).toBeGreaterThanOrEqual(5000);
});

test.skipIf(program('pg_dump') === undefined)('pg_dump gives the same dump as production', async () => {
  const clean = await world.fork('dumped');
  const dump = async (from: string) => {
    const { stdout, code, stderr } = await runCommand(program('pg_dump') ?? '', [from]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return stdout.replace(/^\\(un)?restrict .*$/gm, '');
  };
  expect(await dump(clean)).toBe(await dump(world.production.url()));
});

test.skipIf(program('pg_amcheck') === undefined)('pg_amcheck is clean on a clone', async () => {
  await world.fork('checked');
  const { host, port, user, database } = await world.client.connectionString('checked', { via: 'socket' });
  const flags = [
    '--heapallindexed',
    '--parent-check',
    '--rootdescend',
    '-h',
    host,
    '-p',
    String(port),
    '-U',
    user,
  ];
  const result = await runCommand(program('pg_amcheck') ?? '', [...flags, database]);
  expect(result).toEqual({ code: 0, stdout: '', stderr: '' });
});
