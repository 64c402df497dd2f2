import { setTimeout as sleep } from 'node:timers/promises';
import type { OpenBranch } from '@offshoot/gateway';
import { OffshootError } from '@offshoot/types';
import { afterEach, describe, expect, test } from 'vitest';
import type { ControlPlane, ControlPlaneOptions } from '../control-plane.js';
import { ControlFixture, type FakeDriver } from '../testing/control-fixture.js';
import { FakeClock, settled } from '../testing/fake-clock.js';

let fixture: ControlFixture;
let control: ControlPlane;
let driver: FakeDriver;
let clock: FakeClock;
let troubles: string[];

/** Branches `a`, `b`, … of `shop`. */
async function world(
  branches: string,
  {
    idleTimeoutSeconds = 300,
    ...options
  }: Partial<ControlPlaneOptions['wake']> & { computesMax?: number } = {},
): Promise<void> {
  const { computesMax = 100, ...wake } = options;
  clock = new FakeClock();
  troubles = [];
  fixture = await ControlFixture.open(['shop'], {
    clock,
    computesMax,
    wake: { startsMax: 4, idleTimeoutSeconds, ...wake },
    onTrouble: (message, { branch }) => {
      // Its tenants hold no pages.
      if (!message.startsWith('which roles')) troubles.push(`${branch}: ${message}`);
    },
  });
  ({ control, driver } = fixture);
  for (const name of branches) await control.createBranch({ name, from: 'shop' });
}

/** Nothing of any test is left: no compute, no timer. */
afterEach(async () => {
  await control.close();
  expect(driver.running.size).toBe(0);
  expect(clock.pending).toBe(0);
  await fixture[Symbol.asyncDispose]();
});

/** A compute that does not answer. */
const deaf: FakeDriver['activity'] = (signal) =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
const open = (name: string, signal: AbortSignal = new AbortController().signal) =>
  control.open(name, { signal });
const portOf = ({ address }: OpenBranch) => ('port' in address ? address.port : 0);
const coded = (code: string, sqlState: string) => expect.objectContaining({ code, sqlState });
const stateOf = (name: string) => control.branch(name).activity.state;

/** What became of a promise, without waiting for it. */
function watch<T>(promise: Promise<T>): {
  outcome: 'pending' | 'fulfilled' | 'rejected';
  value?: T;
  error?: unknown;
} {
  const seen: ReturnType<typeof watch<T>> = { outcome: 'pending' };
  promise.then(
    (value) => Object.assign(seen, { outcome: 'fulfilled', value }),
    (error) => Object.assign(seen, { outcome: 'rejected', error }),
  );
  return seen;
}

function gate(): { opened: Promise<void>; open: () => void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

test('a refusal before the wake leaves the branch asleep, and says why', async () => {
  await world('a');
  const refusal = new OffshootError('gateway_wakes_exhausted', 'too many');
  const beforeWake = () => {
    throw refusal;
  };
  const { signal } = new AbortController();
  await expect(control.open('a', { signal, beforeWake })).rejects.toBe(refusal);
  expect(stateOf('a')).toBe('asleep');
  const awake = await open('a');
  (await control.open('a', { signal, beforeWake })).release();
  awake.release();
});

describe('one wake', () => {
  test('serves two hundred who come at once, and it sleeps when the last has left', async () => {
    await world('a');
    const opened = await Promise.all(Array.from({ length: 200 }, () => open('a')));
    expect(driver.started).toHaveLength(1);
    expect(new Set(opened.map(portOf))).toEqual(new Set([10_001]));
    expect(control.branch('a').activity).toMatchObject({ state: 'awake', connections: 200, wakes: 1 });
    for (const each of opened.slice(1)) each.release();
    await clock.pass(10_000_000);
    expect(driver.running.size).toBe(1);
    opened[0]?.release();
    await clock.pass(299_000);
    expect(stateOf('a')).toBe('awake');
    await clock.pass(1_000);
    expect(stateOf('a')).toBe('asleep');
    expect(driver.running.size).toBe(0);
    expect(control.computes()).toMatchObject([
      { state: 'stopped', reason: expect.stringMatching(/sleep.*300 s/) },
    ]);
  });

  test('goes on for the others when some give up, and tells those so', async () => {
    await world('a');
    const start = gate();
    driver.startGate = start.opened;
    const abort = new AbortController();
    const impatient = Array.from({ length: 10 }, () => watch(open('a', abort.signal)));
    const patient = open('a');
    await settled();
    abort.abort();
    await settled();
    for (const each of impatient) expect(each.error).toEqual(coded('open_abandoned', '57014'));
    start.open();
    const opened = await patient;
    expect(control.branch('a').activity.connections).toBe(1);
    opened.release();
    await expect(open('a', abort.signal)).rejects.toEqual(coded('open_abandoned', '57014'));
    expect(driver.started).toHaveLength(1);
  });

  test('that everybody gave up goes on and falls asleep again', async () => {
    await world('a');
    const start = gate();
    driver.startGate = start.opened;
    const abort = new AbortController();
    const waits = watch(open('a', abort.signal));
    await settled();
    abort.abort();
    start.open();
    await expect.poll(() => stateOf('a')).toBe('awake');
    expect(waits.outcome).toBe('rejected');
    await clock.pass(300_000);
    expect(stateOf('a')).toBe('asleep');
  });

  test('that fails is told to all with its reason, and the next one tries again', async () => {
    await world('a');
    driver.startFailure = new Error('the disk is full');
    const all = await Promise.allSettled([open('a'), open('a'), open('a')]);
    for (const each of all) {
      expect(each).toMatchObject({ status: 'rejected', reason: coded('wake_failed', '57P03') });
      expect((each as PromiseRejectedResult).reason.message).toMatch(/branch a .*the disk is full/);
    }
    expect(driver.started).toHaveLength(1);
    driver.startFailure = undefined;
    (await open('a')).release();
    expect(driver.started).toHaveLength(2);
  });

  test('is not begun for what is no branch', async () => {
    await world('a');
    for (const name of ['nobody', 'No Such', '', 'x'.repeat(1000)]) {
      await expect(open(name)).rejects.toEqual(coded('branch_not_found', '3D000'));
    }
    expect(driver.started).toEqual([]);
  });

  test('is written down: how often, when last, and how long each phase took', async () => {
    await world('a');
    const opened = await open('a');
    await clock.pass(60_000);
    opened.release();
    await control.stopCompute('a');
    (await open('a')).release();
    const { activity } = control.branch('a');
    expect(activity).toMatchObject({ wakes: 2, last_connection_at: '2026-01-01T00:01:00.000Z' });
    expect(Object.keys(activity.last_wake?.phases_ms ?? {})).toEqual(
      expect.arrayContaining([
        'park',
        'schedule',
        'base_backup',
        'spawn',
        'postmaster',
        'first_query',
        'total',
      ]),
    );
    await control.close();
    expect(fixture.pageServer.catalog.branches().find(({ name }) => name === 'a')?.use).toMatchObject({
      wakes: 2,
      lastConnectionAt: '2026-01-01T00:01:00.000Z',
    });
  });
});

describe('who comes while a compute ends', () => {
  test.each<[string, () => Promise<unknown>]>([
    ['because it was idle', () => clock.pass(300_000)],
    ['by hand', async () => void control.stopCompute('a')],
    ['because it crashed', async () => driver.beginToEnd('c1')],
  ])('%s, waits for the end and gets a new one', async (_why, end) => {
    await world('a');
    (await open('a')).release();
    const stop = gate();
    driver.stopGate = stop.opened;
    await end();
    await settled();
    expect(stateOf('a')).toBe('going_to_sleep');
    const waits = watch(open('a'));
    await settled();
    expect(waits.outcome).toBe('pending');
    expect(driver.started).toHaveLength(1);
    driver.crash('c1', 'signal SIGSEGV');
    stop.open();
    await expect.poll(() => waits.outcome).toBe('fulfilled');
    expect(portOf(waits.value as OpenBranch)).toBe(10_002);
    expect(driver.running.size).toBe(1);
  });

  test('under its connections, wakes it anew; those that are released late do not count', async () => {
    await world('a');
    const first = await open('a');
    driver.crash('c1', 'signal SIGKILL');
    await settled();
    expect(control.branch('a').activity).toMatchObject({ state: 'crashed', connections: 0 });
    expect(fixture.crashes).toEqual(['a']);
    const second = await open('a');
    expect(portOf(second)).toBe(10_002);
    first.release();
    expect(control.branch('a').activity.connections).toBe(1);
    second.release();
    second.release();
    expect(control.branch('a').activity.connections).toBe(0);
  });

  test('because its branch is deleted, is told so at once, and so is who comes later', async () => {
    await world('a');
    const opened = await open('a');
    const stop = gate();
    driver.stopGate = stop.opened;
    const deleted = control.deleteBranch('a');
    await expect.poll(() => stateOf2('a')).toBe('gone');
    await expect(open('a')).rejects.toEqual(coded('branch_not_found', '3D000'));
    stop.open();
    await deleted;
    opened.release();
    await expect(open('a')).rejects.toEqual(coded('branch_not_found', '3D000'));
  });

  test('while its branch is being deleted, gets no compute', async () => {
    await world('a');
    const start = gate();
    driver.startGate = start.opened;
    const early = watch(open('a'));
    await settled();
    const deleted = control.deleteBranch('a');
    const late = watch(open('a'));
    await deleted;
    await settled();
    for (const each of [early, late]) expect(each.error).toEqual(coded('branch_not_found', '3D000'));
    start.open();
    await settled();
    expect(driver.running.size).toBe(0);
  });

  test('while its tenant is being deleted, gets no compute', async () => {
    await world('ab');
    const start = gate();
    driver.startGate = start.opened;
    const waits = ['a', 'b', 'a'].map((name) => watch(open(name)));
    await settled();
    await control.deleteTenant('shop');
    await settled();
    for (const each of waits) expect(each.error).toEqual(coded('branch_not_found', '3D000'));
  });

  test('while a deletion is refused, waits a moment longer', async () => {
    await world('a');
    await control.createBranch({ name: 'child', from: 'a' });
    const opened = open('a');
    await expect(control.deleteBranch('a')).rejects.toMatchObject({ code: 'branch_has_children' });
    expect(portOf(await opened)).toBe(10_001);
  });

  test('because the daemon ends, is told so', async () => {
    await world('ab', { computesMax: 1 });
    const opened = await open('a');
    const queued = watch(open('b'));
    await settled();
    await control.close();
    expect(queued.error).toEqual(coded('shutting_down', '57P01'));
    await expect(open('a')).rejects.toEqual(coded('shutting_down', '57P01'));
    opened.release();
  });
});

describe('an idle compute', () => {
  test('with work is looked at again after another idle time', async () => {
    await world('a');
    (await open('a')).release();
    const timeline = driver.started[0]?.timelineId ?? '';
    driver.sessions.set(timeline, 1);
    await clock.pass(300_000);
    expect(stateOf('a')).toBe('awake');
    driver.sessions.delete(timeline);
    await clock.pass(299_000);
    expect(stateOf('a')).toBe('awake');
    await clock.pass(1_000);
    expect(stateOf('a')).toBe('asleep');
  });

  test('that was started by hand sleeps as others do, and a second start counts as use', async () => {
    await world('a');
    await control.startCompute('a');
    await clock.pass(200_000);
    await control.startCompute('a');
    await clock.pass(200_000);
    expect(stateOf('a')).toBe('awake');
    await clock.pass(100_000);
    expect(stateOf('a')).toBe('asleep');
    expect(driver.started).toHaveLength(1);
  });

  test('that cannot be asked stays awake; it is asked some times, then after another idle time', async () => {
    await world('a', { activityAttemptsMax: 3 });
    (await open('a')).release();
    let asked = 0;
    driver.activity = async () => {
      asked += 1;
      throw new Error('too many clients');
    };
    await clock.pass(310_000);
    expect([asked, stateOf('a'), troubles]).toEqual([
      3,
      'awake',
      [expect.stringMatching(/^a: .*not put to sleep/)],
    ]);
    driver.activity = undefined;
    await clock.pass(310_000);
    expect(stateOf('a')).toBe('asleep');
  });

  test('that does not answer the question is not waited for without end', async () => {
    await world('a', { activityTimeoutMs: 1000, activityAttemptsMax: 2 });
    (await open('a')).release();
    driver.activity = deaf;
    await clock.pass(304_000);
    expect(stateOf('a')).toBe('awake');
    expect(troubles).toHaveLength(1);
  });

  test('stays awake for a connection that comes while it is asked', async () => {
    await world('a');
    (await open('a')).release();
    const answer = gate();
    driver.activity = async () => {
      await answer.opened;
      return { sessions: 0 };
    };
    await clock.pass(300_000);
    const opened = await open('a');
    answer.open();
    await settled();
    expect(control.branch('a').activity).toMatchObject({ state: 'awake', connections: 1 });
    expect(driver.running.size).toBe(1);
    opened.release();
  });

  test('of a branch that never sleeps goes on, until another time is chosen', async () => {
    await world('');
    await control.createBranch({ name: 'a', from: 'shop', idle_timeout: 0 });
    (await open('a')).release();
    await clock.pass(100_000_000);
    expect(control.branch('a')).toMatchObject({ idle_timeout: 0, activity: { state: 'awake' } });
    await control.updateBranch('a', { idle_timeout: 60 });
    await clock.pass(0);
    expect(stateOf('a')).toBe('asleep');
    expect(control.branch('a')).toMatchObject({ idle_timeout: 60, durability: 'sync' });
  });

  test('is stopped by hand with its sessions, and says how many they were', async () => {
    await world('a');
    const opened = await Promise.all([open('a'), open('a')]);
    driver.sessions.set(driver.started[0]?.timelineId ?? '', 3);
    expect(await control.stopCompute('a')).toMatchObject({ state: 'stopped', connections_ended: 3 });
    for (const each of opened) each.release();
    await expect(control.stopCompute('a')).rejects.toMatchObject({ code: 'compute_not_running' });
    expect(control.computes()[0]?.reason).toBeUndefined();
  });

  test('that does not say how many sessions it has is stopped all the same', async () => {
    await world('a');
    await open('a');
    driver.activity = deaf;
    const stopped = control.stopCompute('a');
    await clock.pass(1_000);
    // It knows of the one that came through the gateway.
    expect(await stopped).toMatchObject({ state: 'stopped', connections_ended: 1 });
  });
});

describe('room', () => {
  test('is made by the least recently used that is idle', async () => {
    await world('abcd', { computesMax: 3 });
    for (const name of 'abc') {
      (await open(name)).release();
      await clock.pass(1000);
    }
    (await open('a')).release();
    await clock.pass(1000);
    (await open('d')).release();
    expect(['a', 'b', 'c', 'd'].map(stateOf)).toEqual(['awake', 'asleep', 'awake', 'awake']);
    expect(control.computes().find(({ branch }) => branch === 'b')?.reason).toMatch(/room for another/);
    (await open('b')).release();
    expect(['a', 'b', 'c', 'd'].map(stateOf)).toEqual(['awake', 'awake', 'asleep', 'awake']);
  });

  test('is not made by one with connections, with work, or that never sleeps', async () => {
    await world('abcd', { computesMax: 3, queueTimeoutMs: 30_000, busyLookMs: 5_000 });
    await control.updateBranch('a', { idle_timeout: 0 });
    (await open('a')).release();
    const connected = await open('b');
    (await open('c')).release();
    const busy = driver.started[2]?.timelineId ?? '';
    driver.sessions.set(busy, 1);
    const waits = watch(open('d'));
    await clock.pass(20_000);
    expect(waits.outcome).toBe('pending');
    expect(['a', 'b', 'c', 'd'].map(stateOf)).toEqual(['awake', 'awake', 'awake', 'waking']);
    expect((await control.status()).wakes_waiting).toBe(1);
    // Work that ends is found by the next look; nobody tells of it.
    driver.sessions.delete(busy);
    await clock.pass(5_000);
    await expect.poll(() => waits.outcome).toBe('fulfilled');
    expect(stateOf('c')).toBe('asleep');
    connected.release();
  });

  test('that there is none of is told after a while, with what to do', async () => {
    await world('ab', { computesMax: 1, queueTimeoutMs: 30_000 });
    const opened = await open('a');
    const waits = watch(open('b'));
    await clock.pass(29_000);
    expect(waits.outcome).toBe('pending');
    await clock.pass(1_000);
    expect(waits.error).toEqual(coded('computes_exhausted', '53300'));
    expect((waits.error as Error).message).toMatch(/^1 computes are awake.*computesMax 1.*stop one/);
    expect(stateOf('b')).toBe('asleep');
    opened.release();
    (await open('b')).release();
  });

  test('is given in the order in which it was asked for', async () => {
    await world('abcd', { computesMax: 1 });
    let current = await open('a');
    const order: string[] = [];
    const waits = ['c', 'b', 'd'].map((name) =>
      open(name).then((opened) => {
        order.push(name);
        current = opened;
      }),
    );
    await settled();
    for (const count of [1, 2, 3]) {
      current.release();
      await expect.poll(() => order.length).toBe(count);
    }
    await Promise.all(waits);
    expect(order).toEqual(['c', 'b', 'd']);
    expect(driver.running.size).toBe(1);
  });

  test('is not taken by a wake that nobody waits for any more', async () => {
    await world('abc', { computesMax: 1 });
    const opened = await open('a');
    const abort = new AbortController();
    const given = watch(open('b', abort.signal));
    const waits = watch(open('c'));
    await settled();
    abort.abort();
    await settled();
    expect(given.outcome).toBe('rejected');
    expect(stateOf('b')).toBe('asleep');
    opened.release();
    await expect.poll(() => waits.outcome).toBe('fulfilled');
    expect(driver.started).toHaveLength(2);
  });

  test('can be waited for by so many, and by no more', async () => {
    await world('abcd', { computesMax: 1, queueMax: 2 });
    await open('a');
    const waits = ['b', 'c'].map((name) => watch(open(name)));
    await settled();
    await expect(open('d')).rejects.toEqual(coded('computes_exhausted', '53300'));
    // More who want what is being woken already take no more room.
    const more = watch(open('b'));
    await clock.pass(30_000);
    for (const each of [...waits, more]) expect(each.error).toEqual(coded('computes_exhausted', '53300'));
  });

  test('is given back by a start that fails', async () => {
    await world('ab', { computesMax: 1 });
    driver.startFailure = new Error('no');
    await expect(open('a')).rejects.toEqual(coded('wake_failed', '57P03'));
    driver.startFailure = undefined;
    (await open('b')).release();
  });

  test('is there for all, but only so many start at one time', async () => {
    const names = 'abcdefghijklmnopqrst';
    await world(names, { startsMax: 3 });
    const start = gate();
    driver.startGate = start.opened;
    const opened = [...names].map((name) => open(name));
    await expect.poll(() => driver.starting).toBe(3);
    await settled();
    expect(driver.started).toHaveLength(3);
    start.open();
    for (const each of await Promise.all(opened)) each.release();
    expect(driver.startingMost).toBe(3);
    await clock.pass(300_000);
    expect(driver.running.size).toBe(0);
  });

  test('a turn that does not come in time is refused, and its room is given back', async () => {
    await world('abc', { startsMax: 1, computesMax: 2, queueTimeoutMs: 10_000 });
    const start = gate();
    driver.startGate = start.opened;
    const first = open('a');
    const second = watch(open('b'));
    const third = watch(open('c'));
    await clock.pass(10_000);
    for (const each of [second, third]) expect(each.error).toEqual(coded('computes_exhausted', '53300'));
    expect((second.error as Error).message).toMatch(/turn to start.*1 start at a time/);
    start.open();
    (await first).release();
    (await open('b')).release();
  });
});

/** A branch that the catalog does not have any more has no state. */
function stateOf2(name: string): string {
  try {
    return stateOf(name);
  } catch {
    return 'gone';
  }
}

describe('whatever is done in whatever order', () => {
  function numbers(seed: number): (count: number) => number {
    let state = seed;
    return (count) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * count);
    };
  }

  test.each([1, 2, 3, 4, 5, 6])('no dead address is given, and nothing is left (seed %i)', async (seed) => {
    await world('abcde', { computesMax: 2, queueTimeoutMs: 20_000, idleTimeoutSeconds: 20 });
    const pick = numbers(seed);
    const opened: OpenBranch[] = [];
    const dead: OpenBranch[] = [];
    const errors = new Set<string>();
    const work: Promise<unknown>[] = [];
    let served = 0;
    for (let n = 0; n < 400; n += 1) {
      const name = 'abcde'[pick(5)] ?? 'a';
      const kind = pick(12);
      if (kind < 5) {
        const abort = new AbortController();
        if (pick(4) === 0) clock.after(pick(10_000), () => abort.abort());
        const one = open(name, abort.signal).then(
          (branch) => {
            served += 1;
            // In the moment of the answer its compute is there.
            if (!driver.running.has(`c${portOf(branch) - 10_000}`)) dead.push(branch);
            opened.push(branch);
          },
          (error: unknown) => {
            errors.add(error instanceof OffshootError ? error.code : String(error));
          },
        );
        work.push(one);
      } else if (kind < 8) opened.splice(pick(opened.length + 1), 1)[0]?.release();
      else if (kind === 8) work.push(control.stopCompute(name).catch(() => undefined));
      else if (kind === 9) {
        // As a process does: not in the midst of an answer.
        await settled();
        driver.crash([...driver.running.keys()][pick(2)] ?? '', 'signal SIGSEGV');
        await settled();
      } else if (kind === 10) work.push(control.startCompute(name).catch(() => undefined));
      else await clock.pass(pick(8_000));
      if (pick(3) === 0) await settled();
      expect(driver.running.size + driver.starting).toBeLessThanOrEqual(2);
    }
    let rest: 'some' | 'none' = 'some';
    void Promise.all(work).then(() => {
      rest = 'none';
    });
    const atRest = ['asleep', 'crashed'];
    // A start that nobody waits for any more goes on: what it reads is read by other threads, in their own time.
    while (rest === 'some' || [...'abcde'].some((name) => !atRest.includes(stateOf(name)))) {
      for (const each of opened.splice(0)) each.release();
      await clock.pass(10_000);
      await sleep(1);
    }
    await Promise.all(work);
    expect(dead).toEqual([]);
    expect(driver.running.size).toBe(0);
    expect(served).toBeGreaterThan(30);
    expect([...errors].filter((code) => !['open_abandoned', 'computes_exhausted'].includes(code))).toEqual(
      [],
    );
  });
});
