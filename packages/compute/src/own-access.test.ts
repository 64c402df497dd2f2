import { describe, expect, test } from 'vitest';
import type { ConnectAs } from './compute-driver.js';
import { OwnAccess } from './own-access.js';

const refusal = (code: string, message = code) => Object.assign(new Error(message), { code });
const signal = new AbortController().signal;

/** A Postgres that lets in those. */
function postgres(...letIn: string[]) {
  const asked: string[] = [];
  const work = async ({ user, database }: ConnectAs) => {
    asked.push(`${user}/${database}`);
    if (!letIn.includes(`${user}/${database}`)) throw refusal('28000', `not ${user}`);
    return user;
  };
  return { asked, work };
}

function access(...now: string[]) {
  const as = { user: 'a', database: 'x' };
  const connectAsNow = async () =>
    now.map((each) => {
      const [user = '', database = ''] = each.split('/');
      return { user, database };
    });
  return new OwnAccess({ as, connectAs: [as, { user: 'b', database: 'y' }], connectAsNow });
}

describe('our own way in', () => {
  test('is the one that worked last', async () => {
    const { asked, work } = postgres('c/y');
    const own = access('a/x', 'c/x', 'c/y');
    expect(await own.run(signal, work)).toBe('c');
    expect(asked).toEqual(['a/x', 'c/x', 'c/y']);
    expect(own.current).toEqual({ user: 'c', database: 'y' });
    expect(await own.run(signal, work)).toBe('c');
    expect(asked.length).toBe(4);
  });

  test('is any of the first candidates, when there is nobody to ask', async () => {
    expect(await access().run(signal, postgres('b/y').work)).toBe('b');
  });

  test('tells what was wrong with the first when all are shut out', async () => {
    const own = access('c/x');
    await expect(own.run(signal, postgres().work)).rejects.toThrow('not a');
    expect(own.current.user).toBe('a');
  });

  test('asks nobody else for what is wrong otherwise', async () => {
    const asked: ConnectAs[] = [];
    const fails = async (as: ConnectAs) => {
      asked.push(as);
      throw refusal('57P01');
    };
    await expect(access('c/x').run(signal, fails)).rejects.toThrow('57P01');
    expect(asked.length).toBe(1);
  });
});
