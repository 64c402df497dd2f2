import { describe, expect, test } from 'vitest';
import { ScriptReader } from './script-reader.js';

const LIMITS = { dumpBytesMax: 1_000_000, statementBytesMax: 10_000 };

interface Seen {
  readonly line: number;
  readonly text: string;
  readonly data?: string;
}

async function* cut(script: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(script, 'utf8');
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(script: string, size: number, limits = LIMITS): Promise<Seen[]> {
  const reader = new ScriptReader(cut(script, size), limits);
  const seen: Seen[] = [];
  for (let item = await reader.next(); item !== undefined; item = await reader.next()) {
    const text = Buffer.from(item.text, 'latin1').toString('utf8');
    if (item.kind === 'command' || !item.takesData) {
      seen.push({ line: item.line, text });
      continue;
    }
    const pieces: Buffer[] = [];
    for (let data = await reader.nextData(); data; data = await reader.nextData()) pieces.push(data);
    seen.push({ line: item.line, text, data: Buffer.concat(pieces).toString('utf8') });
  }
  return seen;
}

/** However the script is cut into pieces, the same comes of it. */
async function seenOf(script: string): Promise<Seen[]> {
  const whole = await read(script, script.length * 4 + 1);
  for (const size of [1, 2, 3, 7, 64]) expect(await read(script, size)).toEqual(whole);
  return whole;
}

const texts = async (script: string) => (await seenOf(script)).map(({ text }) => text);

describe('statements', () => {
  test.each([
    ['semicolons', 'a; b;c', ['a', 'b', 'c']],
    ['nothing', ' \n;;; -- x\n /* ; */ ', []],
    ['strings', `select 'a;b''c;d', "e;""f"; x`, [`select 'a;b''c;d', "e;""f"`, 'x']],
    ['escapes in E strings', `select E'\\';''\\';'; x`, [`select E'\\';''\\';'`, 'x']],
    ['no escapes in others', `select 'a\\'; x`, [`select 'a\\'`, 'x']],
    ['words that end in e', `select type'a\\'; x`, [`select type'a\\'`, 'x']],
    ['comments', 'a -- ;\n b /* ; /* ; */ ; */ c; d', ['a -- ;\n b /* ; /* ; */ ; */ c', 'd']],
    ['operators', 'select 1 - 2, 3 / 4, 5 * 6; x', ['select 1 - 2, 3 / 4, 5 * 6', 'x']],
    [
      'dollar strings',
      'do $$ a; $b$ $$; do $b_1$ ; $$ $b$ ; $b_1$; x',
      ['do $$ a; $b$ $$', 'do $b_1$ ; $$ $b$ ; $b_1$', 'x'],
    ],
    ['dollars elsewhere', 'select a$b$c, $1; x$$; y', ['select a$b$c, $1', 'x$$', 'y']],
    [
      'parentheses',
      'create rule r as on insert to t do (a; b); x',
      ['create rule r as on insert to t do (a; b)', 'x'],
    ],
    [
      'bodies of routines',
      'create or replace function f() returns int begin atomic select case when a then 1 else 2 end; select 2; end; x',
      [
        'create or replace function f() returns int begin atomic select case when a then 1 else 2 end; select 2; end',
        'x',
      ],
    ],
    ['transactions', 'begin; a; end; x', ['begin', 'a', 'end', 'x']],
    [
      'letters that are not ASCII',
      `insert into "ä;" values ('ö;', $ü$;$ü$); x`,
      [`insert into "ä;" values ('ö;', $ü$;$ü$)`, 'x'],
    ],
  ])('%s', async (_, script, expected) => expect(await texts(script)).toEqual(expected));

  test('know their lines', async () => {
    expect(await seenOf("\n-- c\na\n b;\n\nc 'x\n\ny';d")).toEqual([
      { line: 3, text: 'a\n b' },
      { line: 6, text: "c 'x\n\ny'" },
      { line: 8, text: 'd' },
    ]);
  });

  test('strings in which a backslash escapes', async () => {
    const reader = new ScriptReader(cut(`select 'a\\';b'; x`, 3), LIMITS);
    reader.scanner.backslashEscapes = true;
    expect((await reader.next())?.text).toBe(`select 'a\\';b'`);
  });

  test.each(["a 'b;", 'a "b', 'a $$ b;', 'a (b;', 'a /* b', 'create function f() begin atomic a;'])(
    '%s breaks off',
    async (script) => {
      await expect(read(script, 4)).rejects.toMatchObject({ code: 'dump_damaged' });
    },
  );

  test('one that is too long, and a script that is', async () => {
    await expect(read(`select '${'x'.repeat(20_000)}'`, 512)).rejects.toMatchObject({
      code: 'dump_too_large',
    });
    const limits = { ...LIMITS, dumpBytesMax: 10 };
    await expect(read('select 1; select 2;', 4, limits)).rejects.toMatchObject({ code: 'dump_too_large' });
  });
});

describe('commands to psql', () => {
  test('are lines', async () => {
    expect(await texts('a;\n\\connect x\nb;\n  \\! rm ;\n\\x')).toEqual([
      'a',
      '\\connect x',
      'b',
      '\\! rm ;',
      '\\x',
    ]);
  });

  test('do not end statements', async () => {
    await expect(read('select 1 \\gexec\n', 3)).rejects.toMatchObject({ code: 'dump_refused' });
  });
});

describe('data of COPY', () => {
  test('ends in a line with a backslash and a dot', async () => {
    const data = '1\ta;b\n2\t\\\\.\n3\t\\.x\n\\.4\n\n';
    expect(await seenOf(`copy t (a, b) from stdin;\n${data}\\.\nselect 1;`)).toEqual([
      { line: 1, text: 'copy t (a, b) from stdin', data },
      { line: 8, text: 'select 1' },
    ]);
  });

  test('may be none, may have returns, and may end the script', async () => {
    const script = 'COPY t FROM stdin WITH (null $$x$$); \r\n\\.\r\ncopy u from /* c */ STDIN;\na\r\n\\.';
    expect(await seenOf(script)).toEqual([
      { line: 1, text: 'COPY t FROM stdin WITH (null $$x$$)', data: '' },
      { line: 3, text: 'copy u from /* c */ STDIN', data: 'a\r\n' },
    ]);
  });

  test('is not taken of others', async () => {
    const script = `copy t from 'stdin'; copy t to stdout; insert into copy select from stdin; copy (select from stdin) to 'x'`;
    for (const { data } of await seenOf(script)) expect(data).toBeUndefined();
  });

  test('breaks off', async () => {
    await expect(read('copy t from stdin;\n1\n', 5)).rejects.toMatchObject({ code: 'dump_damaged' });
    await expect(read('copy t from stdin;', 5)).rejects.toMatchObject({ code: 'dump_damaged' });
    await expect(read('copy t from stdin; 1\n', 5)).rejects.toMatchObject({ code: 'dump_refused' });
  });

  test('that nobody wants is passed over', async () => {
    const reader = new ScriptReader(cut('copy t from stdin;\n1;\n\\.\nx;', 4), LIMITS);
    await reader.next();
    expect(await reader.next()).toMatchObject({ text: 'x', line: 4 });
  });
});

test('pg_dump says whether its dump is whole', async () => {
  const reader = new ScriptReader(
    cut('--\n-- PostgreSQL database dump\n--\n\na;\n--\n-- PostgreSQL database dump complete\n--\n', 5),
    LIMITS,
  );
  while ((await reader.next()) !== undefined);
  expect(reader.scanner).toMatchObject({ dumpsBegun: 1, dumpsComplete: 1 });
});
