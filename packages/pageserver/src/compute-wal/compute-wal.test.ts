import type { ReceiveEnd, WalFollower } from '@offshoot/engine';
import { engineError } from '@offshoot/engine';
import { baseError, type Lsn, type OffshootError, type TimelineId } from '@offshoot/types';
import { beforeEach, describe, expect, test } from 'vitest';
import type { TimelineRecord } from '../catalog/records.js';
import { computeWalDefaults } from './compute-wal-settings.js';
import { WalBook } from './wal-book.js';

const START = 0x200_0028n as Lsn;
const source = { socketPath: '/s', user: 'postgres', applicationName: 'offshoot', slot: 'offshoot' };
const timeline = { id: 'a' as TimelineId, index: 7 } as TimelineRecord;
const coded = (code: string) => expect.objectContaining({ code });

/** A log whose receivers and whose settling a test holds. */
class FakeFollower {
  readonly calls: string[] = [];
  /** Ends of receivers that began, the last one last. */
  readonly ends: ((end: ReceiveEnd) => void)[] = [];
  /** Awaited by each attempt to connect. */
  connect: () => Promise<void> = async () => {};
  settling: (signal?: AbortSignal) => Promise<Lsn> = async () => START;
  failed: OffshootError | undefined;

  async startReceiving(_source: object, onEnd: (end: ReceiveEnd) => void): Promise<void> {
    this.calls.push('connect');
    await this.connect();
    this.ends.push(onEnd);
  }

  stopReceiving(): void {
    this.calls.push('stop');
    this.ends.at(-1)?.({ reason: 'stopped' });
  }

  settle(_lsn?: Lsn, signal?: AbortSignal): Promise<Lsn> {
    this.calls.push('settle');
    return this.settling(signal);
  }

  failure(): OffshootError | undefined {
    return this.failed;
  }

  async close(): Promise<void> {
    this.calls.push('close');
  }
}

let follower: FakeFollower;
let recovered: number;
let recover: () => Promise<void>;
let removed: number;
let book: WalBook;

beforeEach(() => {
  follower = new FakeFollower();
  recovered = 0;
  removed = 0;
  recover = async () => {
    recovered += 1;
  };
  book = new WalBook({
    settings: { ...computeWalDefaults, retryMsMin: 1, retryMsMax: 4, receiverGoneMsMax: 80 },
    recover: () => recover(),
    remove: async () => {
      removed += 1;
    },
    follow: async () => follower as unknown as WalFollower,
  });
});

/** WAL of a compute that streams. */
async function streaming() {
  const wal = book.ofCompute(timeline);
  await wal.open(START);
  await wal.receive(source);
  return wal;
}

describe("a compute's WAL", () => {
  test('is taken in to its end when the compute has ended, then its log is closed', async () => {
    const wal = await streaming();
    const finishing = Promise.all([wal.finish(), wal.finish()]);
    expect(book.counts()).toEqual({ connecting: 0, streaming: 0, reconnecting: 0, finishing: 1, failed: 0 });
    await finishing;
    expect(book.counts().finishing).toBe(0);
    expect(follower.calls).toEqual(['connect', 'stop', 'settle', 'close']);
    expect(recovered).toBe(1);
    await book.recover(timeline);
    expect(recovered).toBe(1);
    // All of it is in the pages.
    expect(removed).toBe(1);
  });

  test('that was not taken in keeps its log', async () => {
    const wal = await streaming();
    follower.settling = async () => {
      throw engineError('disk_full', 'no room');
    };
    await expect(wal.finish()).rejects.toEqual(coded('disk_full'));
    await book.recover(timeline);
    await streaming();
    await book.abandonAll();
    expect(removed).toBe(0);
  });

  test('keeps the log of the next compute, which may come before the former one is removed', async () => {
    const wal = await streaming();
    const finishing = wal.finish();
    const next = finishing.then(() => streaming());
    await next;
    expect([removed, book.counts().streaming]).toEqual([1, 1]);
    await book.abandonAll();
    expect(removed).toBe(1);
  });

  test('is received again after each end of a connection', async () => {
    await streaming();
    for (let n = 1; n <= 5; n += 1) {
      await expect.poll(() => follower.ends.length).toBe(n);
      follower.ends.at(-1)?.(n % 2 === 0 ? { reason: 'ended' } : { reason: 'failed' });
    }
    await expect.poll(() => follower.ends.length).toBe(6);
    expect(book.counts()).toMatchObject({ streaming: 1, reconnecting: 0 });
    expect(book.reconnects).toBe(5);
    follower.connect = () => new Promise(() => {});
    follower.ends.at(-1)?.({ reason: 'ended' });
    await expect.poll(() => book.counts().reconnecting).toBe(1);
  });

  test('is given up when no connection can be had for long', async () => {
    const wal = await streaming();
    follower.connect = async () => {
      throw baseError('internal', 'role "x" is not permitted to log in');
    };
    follower.ends[0]?.({ reason: 'ended' });
    await expect(wal.failed).resolves.toEqual(coded('wal_source_lost'));
    expect((await wal.failed).message).toMatch(/not permitted to log in/);
    expect(follower.calls.filter((call) => call === 'connect').length).toBeGreaterThan(5);
    await wal.finish();
  });

  test.each<[string, () => ReceiveEnd, string]>([
    [
      'our disk is full',
      () => ({ reason: 'failed', failure: engineError('disk_full', 'no space') }),
      'disk_full',
    ],
    [
      'Postgres has removed it',
      () => ({
        reason: 'failed',
        failure: engineError('engine_failed', 'requested WAL segment 000 has already been removed'),
      }),
      'wal_source_lost',
    ],
    [
      'indexing has ended',
      () => {
        follower.failed = engineError('source_corrupt', 'a record that nobody knows');
        return { reason: 'failed' };
      },
      'source_corrupt',
    ],
  ])('is given up at once when %s', async (_what, end, code) => {
    const wal = await streaming();
    follower.ends[0]?.(end());
    await expect(wal.failed).resolves.toEqual(coded(code));
    expect(follower.calls).toEqual(['connect']);
    expect(book.counts().failed).toBe(1);
    await wal.finish();
  });

  test('a connection that is made while the compute ends is ended', async () => {
    const wal = await streaming();
    let connected = () => {};
    follower.connect = () =>
      new Promise((resolve) => {
        connected = resolve;
      });
    follower.ends[0]?.({ reason: 'ended' });
    await expect.poll(() => follower.calls.length).toBe(2);
    const finished = wal.finish();
    connected();
    await finished;
    expect(follower.calls.slice(-3)).toEqual(['stop', 'settle', 'close']);
  });

  test('the first connection that is refused is told; another may be tried', async () => {
    const wal = book.ofCompute(timeline);
    await wal.open(START);
    follower.connect = () => Promise.reject(new Error('no'));
    await expect(wal.receive(source)).rejects.toThrow('no');
    follower.connect = async () => {};
    await wal.receive(source);
    await wal.finish();
  });

  test('a damaged log is told by its own code, and not opened for a new WAL', async () => {
    recover = () => Promise.reject(engineError('wal_damaged', 'damaged behind 0/100'));
    await expect(book.ofCompute(timeline).open(START)).rejects.toEqual(coded('wal_damaged'));
    await expect(book.recover(timeline)).rejects.toEqual(coded('wal_damaged'));
    expect(follower.calls).toEqual([]);
  });

  test('what cannot be taken in is said, and tried again before the timeline is used', async () => {
    const wal = await streaming();
    follower.settling = () => Promise.reject(engineError('disk_full', 'no space'));
    await expect(wal.finish()).rejects.toEqual(coded('disk_full'));
    expect(follower.calls.at(-1)).toBe('close');
    recover = () => Promise.reject(engineError('disk_full', 'no space'));
    await expect(book.ofCompute(timeline).open(START)).rejects.toEqual(coded('wal_not_taken_in'));
    await expect(book.recover(timeline)).rejects.toThrow(/no space/);
    recover = async () => {};
    follower.settling = async () => START;
    await (await streaming()).finish();
  });

  test('has one source at a time', async () => {
    const wal = await streaming();
    await expect(book.ofCompute(timeline).open(START)).rejects.toEqual(coded('wal_in_use'));
    await wal.finish();
  });

  test('is closed as it is when the timeline is not wanted any more, also while it is being taken in', async () => {
    const wal = await streaming();
    follower.settling = (signal) =>
      new Promise((_, reject) => {
        if (signal?.aborted) reject(signal.reason);
        signal?.addEventListener('abort', () => reject(signal.reason));
      });
    const finished = wal.finish();
    finished.catch(() => {});
    await book.abandon([timeline.id]);
    await expect(finished).rejects.toThrow();
    expect(follower.calls.at(-1)).toBe('close');
    await book.recover(timeline);
    expect(recovered).toBe(2);
  });

  test('is settled by its log while that is open, else from what is left there', async () => {
    const { signal } = new AbortController();
    await book.settle(timeline, undefined, signal);
    expect(recovered).toBe(1);
    const wal = await streaming();
    await book.settle(timeline, START, signal);
    expect(follower.calls).toEqual(['connect', 'settle']);
    await wal.finish();
  });
});
