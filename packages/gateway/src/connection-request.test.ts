import { InputBuffer, parseStartupMessage, readStartupPacket } from '@offshoot/wire';
import { describe, expect, test } from 'vitest';
import { connectionRequest } from './connection-request.js';

type Parameters = readonly (readonly [string, string])[];

function request(parameters: Parameters, name?: string, domain?: string) {
  const { branch, startup } = connectionRequest({ minorVersion: 0, parameters }, { name, domain });
  const input = new InputBuffer();
  input.append(startup);
  const packet = readStartupPacket(input);
  if (packet?.kind !== 'startup') throw new Error('no start-up packet');
  return { branch, parameters: parseStartupMessage(packet.minorVersion, packet.body).parameters };
}

const user = ['user', 'u'] as const;
const byDatabase = ['database', 'db@b'] as const;
const byOptions = ['options', '-coffshoot.branch=b'] as const;

describe('a branch is named', () => {
  test.each<[string, Parameters, string, Parameters]>([
    ['behind the database', [user, byDatabase], 'b', [user, ['database', 'db']]],
    ['behind the last @', [user, ['database', 'a@c@b']], 'b', [user, ['database', 'a@c']]],
    ['behind an @ that was not decoded', [user, ['database', 'db%40b']], 'b', [user, ['database', 'db']]],
    ['behind an @, not the other kind', [user, ['database', 'a%40c@b']], 'b', [user, ['database', 'a%40c']]],
    ['without a database', [user, ['database', '@b']], 'b', [user, ['database', '']]],
    ['in the options', [user, ['database', 'db'], byOptions], 'b', [user, ['database', 'db']]],
    ['in the options alone', [byOptions, user], 'b', [user]],
    ['among options', [user, ['options', '-cx=1 --offshoot.branch=b']], 'b', [user, ['options', '-cx=1 ']]],
    ['as a parameter', [user, ['offshoot.branch', 'b']], 'b', [user]],
    ['twice, the same', [byOptions, user, byDatabase], 'b', [user, ['database', 'db']]],
    ['for replication', [user, ['replication', 'true'], byOptions], 'b', [user, ['replication', 'true']]],
    [
      'with all there may be in a name',
      [user, ['database', 'd@0a.b_c-d']],
      '0a.b_c-d',
      [user, ['database', 'd']],
    ],
    [
      'beside bytes that are no UTF-8',
      [['user', '\xff'], byDatabase],
      'b',
      [
        ['user', '\xff'],
        ['database', 'db'],
      ],
    ],
    ['beside a user with an @', [['user', 'a@x'], byOptions], 'b', [['user', 'a@x']]],
  ])('%s', (_name, parameters, branch, left) => {
    expect(request(parameters)).toEqual({ branch, parameters: left });
  });

  test.each([
    ['b.db.example.com', 'db.example.com', 'b'],
    ['B.DB.Example.com.', 'db.example.COM', 'b'],
    ['a.b.db.example.com', 'db.example.com', 'a.b'],
  ])('by the host name %s below %s', (name, domain, branch) => {
    expect(request([user, ['database', 'db']], name, domain).branch).toBe(branch);
    expect(request([user, ['database', `db@${branch}`]], name, domain).branch).toBe(branch);
  });
});

describe('refused', () => {
  test.each<[string, Parameters, string, string]>([
    ['no branch', [user, ['database', 'db']], 'branch_not_named', 'no branch'],
    ['a user with an @ and no database', [['user', 'u@b']], 'branch_not_named', 'no branch'],
    ['an empty branch', [user, ['database', 'db@']], 'branch_not_named', '"db@" names an empty'],
    ['an empty setting', [user, ['options', '-coffshoot.branch=']], 'branch_not_named', 'empty'],
    ['a setting without a value', [user, ['options', '-coffshoot.branch']], 'branch_not_named', 'empty'],
    ['an empty one beside a name', [user, ['database', 'db@'], byOptions], 'branch_not_named', 'empty'],
    ['database and options differ', [user, ['database', 'd@c'], byOptions], 'branch_names_differ', '"c"'],
    ['options and database differ', [byOptions, ['database', 'd@c'], user], 'branch_names_differ', '"c"'],
    [
      'two settings differ',
      [user, ['options', '-coffshoot.branch=b -coffshoot.branch=c']],
      'branch_names_differ',
      '"c"',
    ],
    ['two databases differ', [user, byDatabase, ['database', 'db@c']], 'branch_names_differ', '"c"'],
    ['a name that cannot be one', [user, ['database', 'db@B!']], 'branch_name_impossible', '"B!"'],
    ['a name of other bytes', [user, ['database', 'db@\xc3\xa4']], 'branch_name_impossible', '"ä"'],
    ['no user', [byDatabase], 'user_not_named', 'user'],
    ['an empty user', [['user', ''], byDatabase], 'user_not_named', 'user'],
  ])('%s', (_name, parameters, code, words) => {
    expect(() => request(parameters)).toThrow(expect.objectContaining({ code }));
    expect(() => request(parameters)).toThrow(words);
  });

  test.each([
    ['another branch', 'c.db.example.com', [user, byDatabase] as Parameters, 'branch_names_differ'],
    [
      'two labels, of which one is named',
      'a.b.db.example.com',
      [user, byDatabase] as Parameters,
      'branch_names_differ',
    ],
    ['a dot too many', '.db.example.com', [user] as Parameters, 'branch_not_named'],
    ['a longer domain', 'a.otherdb.example.com', [user] as Parameters, 'branch_not_named'],
    ['the domain itself', 'db.example.com', [user] as Parameters, 'branch_not_named'],
    ['another domain', 'b.example.com', [user] as Parameters, 'branch_not_named'],
  ])('a host name of %s', (_name, name, parameters, code) => {
    expect(() => request(parameters, name, 'db.example.com')).toThrow(expect.objectContaining({ code }));
  });

  test('a host name without a domain to compare it with names nothing', () => {
    expect(() => request([user], 'b.db.example.com')).toThrow(
      expect.objectContaining({ code: 'branch_not_named' }),
    );
  });
});
