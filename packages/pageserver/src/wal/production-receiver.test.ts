import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { baseError, type Lsn } from '@offshoot/types';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type Answer,
  errorResponse,
  type FakeSource,
  fakeSource,
  message,
  reply,
  resultSet,
} from '../import/testing/fake-source.js';
import { followDefaults } from './follow-settings.js';
import { ProductionReceiver, type ProductionReceiverOptions } from './production-receiver.js';
import type { Reason } from './receiver-view.js';
import { FakeFollower } from './testing/fake-follower.js';
import { FakeWalsender, keepalive, xlogData } from './testing/fake-walsender.js';

const START = 0x200_0138n as Lsn;
const SLOT = { name: 'offshoot_0123456789abcdef', systemIdentifier: '7000000000000000001', tli: 1 };
const identity = (systemid: string, timeline: string, xlogpos = '0/2000000') =>
  reply(resultSet(['systemid', 'timeline', 'xlogpos'], [systemid, timeline, xlogpos]));
const slotAt = (type: string | null, restartLsn: string | null) =>
  reply(resultSet(['slot_type', 'restart_lsn', 'restart_tli'], [type, restartLsn, '1']));

let source: FakeSource;
let receiver: ProductionReceiver;
let followers: FakeFollower[];
let reasons: Reason[];
let dropped: number;
let logged: string[];
/** As the engine does after a commit, and when indexing has failed. */
let progressed: () => void;

afterEach(async () => {
  await receiver?.stop();
  await source?.[Symbol.asyncDispose]();
});

/** A receiver of a fake source, with short pauses. */
async function make(
  answers: Readonly<Record<string, Answer>>,
  settings: Partial<ProductionReceiverOptions['settings']> = {},
): Promise<FakeFollower> {
  source = await fakeSource(answers);
  reasons = [];
  logged = [];
  dropped = 0;
  followers = [new FakeFollower(START)];
  let opened = 0;
  receiver = new ProductionReceiver({
    settings: {
      ...followDefaults,
      retryPauseMsMin: 5,
      retryPauseMsMax: 40,
      slotCheckIntervalMs: 10,
      ...settings,
    },
    slot: SLOT,
    url: async () => source.url,
    openFollower: async (onProgress) => {
      progressed = () => onProgress({ indexed: START, settled: START });
      followers[opened] ??= new FakeFollower(followers[opened - 1]?.received ?? START);
      return (followers[opened++] as FakeFollower).follower;
    },
    onNeedsReimport: async (reason) => void reasons.push(reason),
    onSlotDropped: async () => {
      dropped += 1;
    },
    log: (text, facts) => logged.push(`${text} ${JSON.stringify(facts)}`),
  });
  return followers[0] as FakeFollower;
}

const start = async (...args: Parameters<typeof make>) => {
  const follower = await make(...args);
  receiver.start();
  return follower;
};

const commands = (word: string) => source.commands.filter((each) => each.startsWith(word));
const streams = () => commands('START_REPLICATION');
const state = () => expect.poll(() => receiver.view().state, { timeout: 5000, interval: 2 });

describe('a receiver of production', () => {
  it('streams from where its log ends, acknowledges what is written, and answers keepalives', async () => {
    const walsender = new FakeWalsender();
    const wal = Buffer.from('records');
    const follower = await start({
      START_REPLICATION: walsender.answer((socket) => {
        const data = xlogData(START, wal, START + 100n);
        // Cut amid the message.
        socket.write(data.subarray(0, 20));
        setTimeout(() => socket.write(data.subarray(20)), 5);
      }),
    });
    await state().toBe('streaming');
    await expect.poll(() => Buffer.concat(follower.wal).toString()).toBe('records');
    expect(streams()).toEqual([`START_REPLICATION SLOT "${SLOT.name}" PHYSICAL 0/2000138 TIMELINE 1`]);
    const end = START + 7n;
    await expect.poll(() => walsender.statuses.at(-1)).toEqual({ flushed: end, asks: false });
    const told = walsender.statuses.length;
    walsender.sockets[0]?.write(keepalive(START + 200n, 'wanted'));
    await expect.poll(() => walsender.statuses.length).toBe(told + 1);
    expect(receiver.view()).toMatchObject({
      state: 'streaming',
      reason: undefined,
      arrivedLsn: end,
      receivedLsn: end,
      indexedLsn: end,
      streamsBegun: 1,
      attemptsEnded: 0,
      sourceLsn: START + 200n,
      lagBytes: 193,
      slotName: SLOT.name,
    });
  });

  it('connects again after each end, one attempt at a time, from the next byte', async () => {
    const walsender = new FakeWalsender();
    let at: bigint = START;
    let open = 0;
    let openMax = 0;
    const follower = await start({
      START_REPLICATION: walsender.answer((socket) => {
        open += 1;
        openMax = Math.max(openMax, open);
        socket.on('close', () => {
          open -= 1;
        });
        const wal = Buffer.from(String(walsender.sockets.length));
        if (walsender.sockets.length > 6) return;
        socket.end(xlogData(at, wal));
        at += 1n;
      }),
    });
    await expect.poll(() => Buffer.concat(follower.wal).toString(), { timeout: 10_000 }).toBe('123456');
    await state().toBe('streaming');
    expect(streams().map((each) => each.split(' ')[4])).toEqual(
      [0, 1, 2, 3, 4, 5, 6].map((bytes) => `0/${(Number(START) + bytes).toString(16).toUpperCase()}`),
    );
    expect(openMax).toBe(1);
    expect(receiver.view()).toMatchObject({ streamsBegun: 7, attemptsEnded: 6 });
    expect(followers).toHaveLength(1);
  });

  it('looks again at once when the source ends its timeline', async () => {
    const walsender = new FakeWalsender();
    await start({
      START_REPLICATION: walsender.answer((socket) => {
        if (walsender.sockets.length === 1) socket.write(message('c'));
      }),
    });
    await expect.poll(() => streams().length).toBe(2);
    await state().toBe('streaming');
  });

  it('says why it waits, and for how long, without the password', async () => {
    await start(
      {
        login: (socket: Socket) =>
          socket.end(errorResponse('28P01', 'password authentication failed', 'FATAL')),
      },
      { retryPauseMsMin: 60_000, retryPauseMsMax: 60_000 },
    );
    await state().toBe('waiting');
    const view = receiver.view();
    expect(view.reason).toMatchObject({ code: 'source_access_denied' });
    expect((view.retryAt?.getTime() ?? 0) - Date.now()).toBeGreaterThan(50_000);
    expect(logged).toHaveLength(1);
    expect(JSON.stringify([String(view.reason?.message), logged])).not.toContain('secret');
    const stopping = performance.now();
    await receiver.stop();
    expect(performance.now() - stopping).toBeLessThan(1000);
    expect(receiver.view().state).toBe('stopped');
  });

  it.each<[string, Record<string, Answer>, RegExp]>([
    ['another cluster', { IDENTIFY_SYSTEM: identity('7', '1') }, /system identifier is 7/],
    ['another timeline', { IDENTIFY_SYSTEM: identity(SLOT.systemIdentifier, '2') }, /timeline 2/],
    [
      'a standby without the slot',
      {
        READ_REPLICATION_SLOT: slotAt(null, null),
        'SHOW in_hot_standby': reply(resultSet(['in_hot_standby'], ['on'])),
      },
      /a standby without/,
    ],
  ])('does not take the WAL of %s, and looks again later', async (_, answers, text) => {
    await start(answers);
    await state().toBe('source_changed');
    expect(receiver.view().reason).toEqual({
      code: 'source_changed',
      message: expect.stringMatching(text),
    });
    const looks = commands('IDENTIFY_SYSTEM').length;
    await expect.poll(() => commands('IDENTIFY_SYSTEM').length).toBeGreaterThan(looks + 2);
    expect(streams()).toEqual([]);
    expect(reasons).toEqual([]);
    expect(logged).toHaveLength(1);
  });

  const primary = { 'SHOW in_hot_standby': reply(resultSet(['in_hot_standby'], ['off'])) };

  it.each<[string, Record<string, Answer>, RegExp]>([
    ['is gone', { ...primary, READ_REPLICATION_SLOT: slotAt(null, null) }, /no replication slot/],
    ['is lost', { READ_REPLICATION_SLOT: slotAt('physical', null) }, /is lost/],
    [
      'has no WAL behind it',
      {
        START_REPLICATION: reply(
          errorResponse('58P01', 'requested WAL segment 000000010000000000000002 has already been removed'),
        ),
      },
      /already been removed/,
    ],
  ])('needs a new import when its slot %s', async (_, answers, text) => {
    await start(answers, { slotCheckIntervalMs: 60_000 });
    await state().toBe('needs_reimport');
    await expect.poll(() => dropped).toBe(1);
    expect(reasons).toEqual([{ code: 'replication_slot_lost', message: expect.stringMatching(text) }]);
    expect(commands('DROP_REPLICATION_SLOT')).toEqual([`DROP_REPLICATION_SLOT "${SLOT.name}" WAIT`]);
    await sleep(60);
    expect(streams().length).toBeLessThan(2);
  });

  it('gives its slot up when that keeps too much WAL, and tries to drop it until it is gone', async () => {
    let drops = 0;
    const walsender = new FakeWalsender();
    const drop: Answer = (socket) => {
      drops += 1;
      const answer =
        drops < 3
          ? errorResponse('57P03', 'the database system is shutting down')
          : errorResponse('42704', 'replication slot does not exist');
      reply(answer)(socket);
    };
    await make(
      {
        READ_REPLICATION_SLOT: slotAt('physical', '0/1000000'),
        START_REPLICATION: walsender.answer(),
        DROP_REPLICATION_SLOT: drop,
      },
      { slotRetainedBytesMax: 0xff_ffff },
    );
    receiver.start();
    await state().toBe('needs_reimport');
    await expect.poll(() => dropped).toBe(1);
    expect(drops).toBe(3);
    expect(reasons).toEqual([
      { code: 'replication_slot_lost', message: expect.stringMatching(/kept 16777216 bytes of WAL/) },
    ]);
    // The attempt ended before the slot was dropped.
    expect(walsender.sockets.every((socket) => socket.readableEnded || socket.destroyed)).toBe(true);
    expect(logged.filter((each) => each.includes('pg_drop_replication_slot'))).toHaveLength(1);
  });

  it('drops the slot that a former daemon gave up, and does not stream', async () => {
    await make({});
    receiver.startGivenUp({ code: 'replication_slot_lost', message: 'too much WAL' }, 'to_be_dropped');
    await expect.poll(() => dropped).toBe(1);
    expect(receiver.view()).toMatchObject({ state: 'needs_reimport', reason: { message: 'too much WAL' } });
    expect(streams()).toEqual([]);
    await receiver.stop();
    expect(followers[0]?.closed).toBe(true);
  });

  it('asks a silent source for a word, and leaves one that stays silent', async () => {
    const walsender = new FakeWalsender();
    await start(
      { START_REPLICATION: walsender.answer() },
      { silenceMsMax: 400, slotCheckIntervalMs: 60_000 },
    );
    await expect.poll(() => walsender.statuses.some(({ asks }) => asks)).toBe(true);
    await expect.poll(() => streams().length, { timeout: 5000 }).toBeGreaterThan(1);
  });

  it('goes on with a source that speaks', async () => {
    const walsender = new FakeWalsender();
    await start(
      {
        START_REPLICATION: walsender.answer((socket) => {
          const timer = setInterval(() => socket.write(keepalive(START, 'not-wanted')), 20);
          socket.on('close', () => clearInterval(timer));
        }),
      },
      { silenceMsMax: 400, slotCheckIntervalMs: 60_000 },
    );
    await sleep(1500);
    expect(receiver.view().state).toBe('streaming');
    expect(streams()).toHaveLength(1);
  });

  it.each(['indexing', 'writing'])('opens its log anew when %s has failed', async (what) => {
    const walsender = new FakeWalsender();
    const follower = await make({
      START_REPLICATION: walsender.answer((socket) => {
        if (walsender.sockets.length === 1) socket.write(xlogData(START, Buffer.from('bad')));
      }),
    });
    follower.gate = async () => {
      if (what === 'writing') throw baseError('internal', 'no room');
      follower.failed = baseError('internal', 'a record that nobody knows');
      throw new Error('closed');
    };
    receiver.start();
    await expect.poll(() => streams().length).toBe(2);
    await state().toBe('streaming');
    expect(followers.map(({ closed }) => closed)).toEqual([true, false]);
    expect(logged[0]).toContain(what === 'writing' ? 'no room' : 'a record that nobody knows');
    expect(logged[1]).toContain('followed again');
  });

  it('shows and tells that indexing fails, and tries again for ever', async () => {
    const follower = await start({ START_REPLICATION: new FakeWalsender().answer() });
    await state().toBe('streaming');
    const failure = baseError('internal', 'a record that nobody knows');
    // Nothing is written meanwhile.
    for (let n = 1; n <= 8; n += 1) {
      followers[n] = new FakeFollower(START);
      Object.assign(followers[n] as FakeFollower, { failed: failure });
    }
    follower.failed = failure;
    progressed();
    await state().toBe('waiting');
    expect(receiver.view().reason).toEqual({ code: 'internal', message: 'a record that nobody knows' });
    await expect.poll(() => followers.filter(({ closed }) => closed).length).toBeGreaterThan(5);
    expect(receiver.view().reason?.message).toBe('a record that nobody knows');
    expect(receiver.view().streamsBegun).toBe(1);
    expect(logged).toEqual([expect.stringContaining('cannot be followed at present')]);
    await state().toBe('streaming');
    expect(receiver.view()).toMatchObject({ reason: undefined, streamsBegun: 2 });
    expect(logged).toEqual([expect.anything(), expect.stringContaining('followed again')]);
  });

  it('tells that indexing fails when it does not follow any more', async () => {
    const follower = await make({});
    receiver.startGivenUp({ code: 'replication_slot_lost', message: 'gone' }, 'dropped');
    await expect.poll(() => receiver.view().indexedLsn).toBe(START);
    follower.failed = baseError('internal', 'a record that nobody knows');
    progressed();
    expect(logged.filter((line) => line.includes('indexing the WAL log has failed'))).toEqual([
      expect.stringContaining('a record that nobody knows'),
    ]);
  });

  it('holds the source back while the disk is slow', async () => {
    const walsender = new FakeWalsender();
    const piece = Buffer.alloc(64 * 1024, 'wal');
    const pieces = 600;
    let sent = 0;
    const follower = await make(
      {
        START_REPLICATION: walsender.answer((socket) => {
          const send = () => {
            if (sent === pieces || socket.destroyed) return;
            socket.write(xlogData(START + BigInt(sent * piece.length), piece), send);
            sent += 1;
          };
          send();
        }),
      },
      { inFlightBytesMax: 1024 * 1024, silenceMsMax: 1000, slotCheckIntervalMs: 60_000 },
    );
    let aheadMax = 0;
    follower.gate = async () => {
      // Longer than the source may be silent: it is held back, so that is our own doing.
      await sleep(follower.writes === 2 ? 1500 : 2);
      aheadMax = Math.max(aheadMax, sent - follower.wal.length);
    };
    receiver.start();
    await expect.poll(() => follower.wal.length, { timeout: 20_000 }).toBe(pieces);
    expect(streams()).toHaveLength(1);
    // A megabyte here, one batch under way, and what sockets hold.
    expect(aheadMax * piece.length).toBeLessThan(16 * 1024 * 1024);
  });

  it.each<[string, Record<string, Answer>]>([
    ['while it logs in', { login: () => {} }],
    ['while it asks', { IDENTIFY_SYSTEM: () => {} }],
    ['while it streams', { START_REPLICATION: new FakeWalsender().answer() }],
  ])('stops at once %s', async (_, answers) => {
    await start(answers);
    await sleep(50);
    const began = performance.now();
    await Promise.all([receiver.stop(), receiver.stop()]);
    expect(performance.now() - began).toBeLessThan(1500);
    expect(receiver.view().state).toBe('stopped');
    expect(followers[0]?.closed).toBe(true);
  });
});
