import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Lsn } from '@offshoot/types';
import { describe, expect, it } from 'vitest';
import { type FollowProgress, type NativeProgressListener, WalFollower } from './wal-follower.js';

const lsn = (value: bigint) => value as Lsn;
const coded = (code: string) => expect.objectContaining({ code });

/** The addon's part: a log that is at 0x100 and commits when it is told to. */
class FakeNative {
  received = 0x100n;
  indexed = 0x100n;
  settled = 0x100n;
  failed: { code: string; message: string } | null = null;
  listener: NativeProgressListener = () => {};
  wanted: bigint[] = [];
  room = true;

  hasRoom = () => this.room;
  receivedLsn = () => this.received;
  indexedLsn = () => this.indexed;
  settledLsn = () => this.settled;
  failure = () => this.failed;
  write = async () => {
    this.received += 0x100n;
    return Buffer.alloc(34);
  };
  status = () => Buffer.alloc(34);
  want = (at?: bigint | null) => {
    this.wanted.push(at ?? this.received);
    return at ?? this.received;
  };
  startReceiving = async (_: object, onEnd: (reason: string, failure?: object) => void) =>
    onEnd('the disk is full', { code: 'disk_full', message: 'no room' });
  stopReceiving = () => {};
  close = async () => {};

  commit(indexed: bigint, settled = indexed): void {
    this.indexed = indexed;
    this.settled = settled;
    this.listener(indexed, settled);
  }

  fail(): void {
    this.failed = { code: 'bad_source', message: 'the record at 0/100 is damaged' };
    this.listener(0n, 0n);
  }
}

async function open(native = new FakeNative()) {
  const told: FollowProgress[] = [];
  const follower = await WalFollower.open(
    async (listener) => {
      native.listener = listener;
      return native as never;
    },
    (progress) => told.push(progress),
  );
  return { native, follower, told };
}

describe('a WAL follower', () => {
  it('settles what is received, when it is committed', async () => {
    const { native, follower, told } = await open();
    expect(await follower.settle()).toBe(0x100n);
    await follower.write([Buffer.from('w')]);
    let settled: Lsn | undefined;
    const settling = follower.settle().then((at) => {
      settled = at;
    });
    native.commit(0x180n);
    await Promise.resolve();
    expect(settled).toBeUndefined();
    // The rest is the beginning of a record.
    native.commit(0x1f0n, 0x200n);
    await settling;
    expect(settled).toBe(0x1f0n);
    expect(told).toEqual([
      { indexed: 0x100n, settled: 0x100n },
      { indexed: 0x180n, settled: 0x180n },
      { indexed: 0x1f0n, settled: 0x200n },
    ]);
  });

  it('holds up who writes until there is room again, or nothing more is indexed, or it is closed', async () => {
    const ends: ((native: FakeNative, follower: WalFollower) => void)[] = [
      (native) => {
        native.room = true;
        native.commit(0x100n);
      },
      (native) => native.fail(),
      (_, follower) => void follower.close(),
    ];
    for (const end of ends) {
      const { native, follower } = await open();
      native.room = false;
      let written = 0;
      const writing = follower.write([Buffer.from('w')]).then(() => {
        written += 1;
      });
      native.commit(0x100n);
      await new Promise(setImmediate);
      expect(written).toBe(0);
      end(native, follower);
      await writing;
    }
  });

  it('waits for an LSN that has not come yet, until it is told not to', async () => {
    const { native, follower } = await open();
    const waiting = follower.settle(lsn(0x300n));
    const abort = new AbortController();
    const impatient = follower.settle(lsn(0x300n), abort.signal);
    abort.abort(new Error('enough'));
    await expect(impatient).rejects.toThrow('enough');
    native.commit(0x300n);
    expect(await waiting).toBe(0x300n);
    expect(native.wanted).toEqual([0x300n, 0x300n]);
    await expect(follower.settle(undefined, abort.signal)).rejects.toThrow('enough');
  });

  it('rejects who waits when indexing ends for good, and when it is closed', async () => {
    const { native, follower } = await open();
    const waiting = follower.settle(lsn(0x300n));
    native.fail();
    await expect(waiting).rejects.toEqual(coded('source_corrupt'));
    await expect(follower.settle(lsn(0x300n))).rejects.toEqual(coded('source_corrupt'));
    expect(follower.failure()).toEqual(coded('source_corrupt'));
    expect(await follower.settle(lsn(0x100n))).toBe(0x100n);

    const other = await open();
    const left = other.follower.settle(lsn(0x300n));
    const closing = other.follower.close();
    await expect(left).rejects.toEqual(coded('engine_closed'));
    await closing;
    await expect(other.follower.settle()).rejects.toEqual(coded('engine_closed'));
  });

  it('hears of progress that is made while it opens', async () => {
    const native = new FakeNative();
    const told: FollowProgress[] = [];
    const follower = await WalFollower.open(
      async (listener) => {
        native.listener = listener;
        native.commit(0x180n);
        return native as never;
      },
      (progress) => told.push(progress),
    );
    expect(told).toEqual([{ indexed: 0x180n, settled: 0x180n }]);
    native.fail();
    expect(told).toHaveLength(2);
    expect(follower.progress).toEqual({ indexed: 0x180n, settled: 0x180n });
  });

  it('says how receiving ended in our own words', async () => {
    const { follower } = await open();
    const options = { socketPath: '/s', user: 'u', applicationName: 'a', slot: 's', statusIntervalMs: 1 };
    const end = await new Promise((resolve) => void follower.startReceiving(options, resolve));
    expect(end).toEqual({ reason: 'the disk is full', failure: coded('disk_full') });
  });
});

it('is let go of once it is closed, while the addon still holds its listener', async () => {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const native = new FakeNative();
  const closed = await (async () => {
    const { follower } = await open(native);
    await follower.close();
    return new WeakRef(follower);
  })();
  await expect
    .poll(() => {
      collect();
      return closed.deref() === undefined;
    })
    .toBe(true);
  // What comes late is nobody's.
  native.commit(0x200n);
});
