import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const CLIENTS = 3;
/** So that what else is going on gets its turn, too. */
const THINK_MS = 3;
const CHORE_EVERY = 100;

/** Tables with an index of each kind, small enough to be read whole a few times. */
export const mixedTables: readonly string[] = [
  'create table account (id int primary key, balance bigint not null, note text) with (fillfactor = 80)',
  `insert into account select i, 0, md5(i::text) from generate_series(1, 5000) i`,
  'create index on account using hash (note)',
  'create index on account (balance)',
  'create table teller (id int primary key, balance bigint not null)',
  'insert into teller select i, 0 from generate_series(1, 20) i',
  `create table history (id bigserial primary key, teller int references teller, account int, delta int,
     at timestamptz default clock_timestamp(), filler text default repeat('h', 30))`,
  'create index on history using brin (id) with (pages_per_range = 4, autosummarize = on)',
  'create table document (id int primary key, words text[], body text)',
  `insert into document select i, array['w' || i % 50, 'w' || i % 7], repeat(md5(i::text), i % 120)
     from generate_series(1, 500) i`,
  'create index on document using gin (words) with (gin_pending_list_limit = 64)',
  'create table place (id int primary key, at point, name text)',
  `insert into place select i, point(i % 100, i / 100), md5(i::text) from generate_series(1, 2000) i`,
  'create index on place using gist (at)',
  'create index on place using spgist (name)',
  'create unlogged table scratch (id serial primary key, v text)',
];

/** Each transaction gets other numbers; they meet on rows, so that they wait for and share locks. */
const transactions: ((n: number) => string)[] = [
  (n) => `begin;
    update account set balance = balance + ${n % 100} where id = ${1 + ((n * 7919) % 5000)};
    update teller set balance = balance + ${n % 100} where id = ${1 + (n % 20)};
    insert into history (teller, account, delta) values (${1 + (n % 20)}, ${1 + ((n * 7919) % 5000)}, ${n % 100});
    commit`,
  (n) => `begin; select 1 from teller where id = ${1 + (n % 5)} for key share; savepoint a;
    update account set note = md5('${n}') where id between ${n % 4900} and ${(n % 4900) + 20};
    ${n % 3 === 0 ? 'rollback to a' : 'release a'};
    update teller set balance = balance + 1 where id = ${1 + (n % 5)}; commit`,
  (
    n,
  ) => `insert into document values (${1000 + n}, array['w${n % 50}', 'n${n}'], repeat(md5('${n}'), ${n % 300}))
      on conflict (id) do update set words = excluded.words;
    delete from document where id = ${1 + (n % 500)}`,
  (n) => `update place set at = point(${n % 211}, ${n % 97}), name = md5('${n}') where id % 200 = ${n % 200}`,
  (n) => `begin; delete from history where id % 40 = ${n % 40}; ${n % 4 === 0 ? 'rollback' : 'commit'}`,
  (n) => `insert into scratch (v) values ('${n}');
    create temporary table if not exists mine (v int); insert into mine values (${n})`,
];

/** What now and then happens besides; not within a transaction. */
const chores = [
  'vacuum history',
  'vacuum (index_cleanup on) document, place',
  'analyze',
  'vacuum account, teller',
  'truncate scratch',
  'vacuum (freeze) teller',
  'reindex table place',
];

/** Clients in the manner of pgbench that work until they are told to stop. */
export class MixedLoad {
  readonly #work: Promise<void>[];
  #stopping = false;
  #serial = 0;

  constructor(url: string) {
    this.#work = Array.from({ length: CLIENTS }, (_, index) => this.#run(url, index));
    // Told by `stop`.
    for (const work of this.#work) work.catch(() => {});
  }

  /** Answers how many transactions there were; throws what went wrong in a client. */
  async stop(): Promise<number> {
    this.#stopping = true;
    await Promise.all(this.#work);
    return this.#serial;
  }

  async #run(url: string, index: number): Promise<void> {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => {});
    await client.connect();
    try {
      while (!this.#stopping) {
        this.#serial += 1;
        const n = this.#serial;
        const text = transactions[n % transactions.length]?.(n) ?? '';
        await client.query(text).catch((error) => rollBack(client, error));
        await sleep(THINK_MS);
        if (index === 0) await client.query(chores[n % CHORE_EVERY] ?? 'select 1');
      }
    } finally {
      await client.end();
    }
  }
}

const DEADLOCK = '40P01';

/** Clients that take locks in whatever order may wait for each other. */
async function rollBack(client: pg.Client, error: { code?: string }): Promise<void> {
  if (error.code !== DEADLOCK) throw error;
  await client.query('rollback');
}
