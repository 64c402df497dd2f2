import { expect, test } from 'vitest';
import { PsqlCommands } from './psql-command.js';

const after = (...texts: string[]) => {
  const commands = new PsqlCommands();
  return texts.map((text) => commands.databaseOf({ kind: 'command', text, line: 1 })).at(-1);
};

test.each([
  ['\\connect shop', 'shop'],
  ['\\c shop', 'shop'],
  ['\\connect "my ""shop"""', 'my "shop"'],
  [`\\connect -reuse-previous=on "dbname='my \\\\'shop'"`.replace('\\\\', '\\'), "my 'shop"],
])('%s', (text, database) => expect(after(text)).toBe(database));

test.each([
  '\\! id',
  '\\i /etc/passwd',
  '\\copy t from program id',
  '\\o x',
  '\\connect shop postgres',
  '\\connect "host=10.0.0.1 dbname=x"',
  '\\connect postgres://10.0.0.1/x',
  `\\connect -reuse-previous=on "dbname='x' user=postgres"`,
  '\\connect',
  '\\restrict',
  '\\unrestrict x',
])('%s is refused', (text) => {
  expect(() => after(text)).toThrow(expect.objectContaining({ code: 'dump_refused' }));
});

test('between restrict and its end there is none', () => {
  expect(after('\\restrict k1', '\\unrestrict k1', '\\connect a')).toBe('a');
  expect(() => after('\\restrict k1', '\\connect a')).toThrow('between');
  expect(() => after('\\restrict k1', '\\unrestrict k2')).toThrow('between');
});
