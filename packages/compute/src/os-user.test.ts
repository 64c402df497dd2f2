import { describe, expect, test } from 'vitest';
import { type Account, findInPasswd, type OsAccounts, resolveOsUser } from './os-user.js';

const passwd = [
  'root:x:0:0:root:/root:/bin/bash',
  'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin',
  'postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash',
  'broken:x::104:',
  'short:x',
].join('\n');

function accounts(uid: number, known: Record<string, Account> = {}): OsAccounts {
  return {
    uid,
    gid: uid + 1,
    find: async (name) => known[name],
    nameOf: async (id) => `user${id}`,
  };
}

const nobody = { name: 'nobody', uid: 65534, gid: 65534 };
const postgres = { name: 'postgres', uid: 101, gid: 104 };
const toor = { name: 'toor', uid: 0, gid: 0 };

describe('/etc/passwd', () => {
  test.each([
    ['postgres', postgres],
    ['nobody', nobody],
    ['broken', undefined],
    ['short', undefined],
    ['post', undefined],
    ['', undefined],
  ])('%j', (name, found) => {
    expect(findInPasswd(passwd, name)).toEqual(found);
  });
});

describe('who runs Postgres', () => {
  test.each<[string, OsAccounts, string | undefined, object]>([
    ['anybody but root', accounts(7), undefined, { name: 'user7', uid: 7, gid: 8, kind: 'same' }],
    ['anybody, named', accounts(7), 'user7', { name: 'user7', uid: 7, gid: 8, kind: 'same' }],
    ['root, both there', accounts(0, { nobody, postgres }), undefined, { ...postgres, kind: 'other' }],
    ['root, no postgres', accounts(0, { nobody }), undefined, { ...nobody, kind: 'other' }],
    ['root, a choice', accounts(0, { nobody, postgres }), 'nobody', { ...nobody, kind: 'other' }],
  ])('%s', async (_what, known, chosen, user) => {
    await expect(resolveOsUser(chosen, known)).resolves.toEqual(user);
  });

  test.each<[string, OsAccounts, string | undefined, string]>([
    ['another user without being root', accounts(7), 'postgres', 'only root can'],
    ['a user who is not there', accounts(0, { nobody }), 'pg', 'no OS user pg'],
    ['nobody there', accounts(0), undefined, 'no OS user postgres nor nobody'],
    ['root by another name', accounts(0, { toor }), 'toor', 'refuses to run as root'],
  ])('%s is refused', async (_what, known, chosen, reason) => {
    await expect(resolveOsUser(chosen, known)).rejects.toMatchObject({
      code: 'os_user_unsuitable',
      message: expect.stringContaining(reason),
    });
  });
});
