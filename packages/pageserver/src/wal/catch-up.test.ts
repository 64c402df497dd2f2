import { setTimeout as sleep } from 'node:timers/promises';
import { baseError, type Lsn } from '@offshoot/types';
import { expect, test } from 'vitest';
import { type CatchUpPlace, catchUp } from './catch-up.js';

const LSN = 0x160n as Lsn;
const ASKED = new Date(1000);

function place(changes: Partial<CatchUpPlace> = {}): CatchUpPlace & { connects: number } {
  const made = {
    connects: 0,
    askSource: async () => LSN,
    connectNow: () => {
      made.connects += 1;
    },
    follower: () => ({ settle: async () => LSN, failure: () => undefined }),
    view: () => ({ state: 'streaming' as const, receivedLsn: 0x150n as Lsn }),
    now: () => ASKED,
    ...changes,
  };
  return made;
}

const coded = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });
const never: NonNullable<ReturnType<CatchUpPlace['follower']>> = {
  settle: (_lsn, signal) =>
    new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
  failure: () => undefined,
};

test('resolves when what the source had when it was asked is settled', async () => {
  const made = place();
  expect(await catchUp(made, AbortSignal.timeout(1000))).toEqual({ lsn: LSN, askedAt: ASKED });
  expect(made.connects).toBe(1);
});

test('outlives a log that is opened anew', async () => {
  let looks = 0;
  const follower: CatchUpPlace['follower'] = () => {
    looks += 1;
    if (looks === 1) return undefined;
    if (looks === 2) return { settle: async () => LSN, failure: () => baseError('internal', 'a bad record') };
    if (looks === 3) {
      return { settle: () => Promise.reject(baseError('internal', 'closed')), failure: () => undefined };
    }
    return { settle: async () => LSN, failure: () => undefined };
  };
  await catchUp(place({ follower }), AbortSignal.timeout(5000));
  expect(looks).toBe(4);
});

test('says that the source cannot be asked, and why', async () => {
  const refused = place({ askSource: () => Promise.reject(baseError('internal', 'no such host')) });
  await expect(catchUp(refused, AbortSignal.timeout(1000))).rejects.toEqual(
    coded('production_unreachable', /cannot be asked how far it has come: no such host$/),
  );
  const silent = place({
    askSource: async () => {
      await sleep(50);
      throw new Error('aborted');
    },
  });
  await expect(catchUp(silent, AbortSignal.timeout(10))).rejects.toEqual(
    coded('production_unreachable', /did not answer in time/),
  );
});

test('says how far behind it is when time is up, and what stands in the way', async () => {
  await expect(catchUp(place({ follower: () => never }), AbortSignal.timeout(20))).rejects.toEqual(
    coded('production_behind', /has WAL up to 0\/160, of which up to 0\/150 has arrived in time$/),
  );
  const waiting = place({
    follower: () => undefined,
    view: () => ({ state: 'waiting', reason: { code: 'x', message: 'too many connections' } }),
  });
  await expect(catchUp(waiting, AbortSignal.timeout(20))).rejects.toEqual(
    coded('production_behind', /of which nothing has arrived in time: too many connections$/),
  );
});

test('does not wait for a source that is followed no more', async () => {
  const reason = { code: 'replication_slot_lost', message: 'the slot is lost' };
  const given = place({ view: () => ({ state: 'needs_reimport', reason }) });
  await expect(catchUp(given, AbortSignal.timeout(1000))).rejects.toEqual(
    coded('production_not_followed', /any more: the slot is lost/),
  );
  let asked = false;
  const lost = place({
    follower: () => never,
    askSource: async () => {
      asked = true;
      return LSN;
    },
    view: () => (asked ? { state: 'needs_reimport', reason } : { state: 'streaming' }),
  });
  await expect(catchUp(lost, AbortSignal.timeout(1000))).rejects.toEqual(
    coded('production_not_followed', /the slot is lost/),
  );
});
