import type { BaseBackupOptions, PagesReply } from '@offshoot/engine';
import { type Lsn, OffshootError, type TenantId, type TimelineId } from '@offshoot/types';
import {
  BLCKSZ,
  FRAME_HEADER_BYTES,
  frameLengthField,
  PagestreamTag,
  pagestreamErrorFrame,
  wireError,
} from '@offshoot/wire';
import { LsnProgress } from '../lsn-progress.js';
import type { PageSource, TimelinePages } from '../page-source.js';

export const TENANT = '0123456789abcdef0123456789abcdef' as TenantId;
export const OTHER_TENANT = 'ffffffffffffffffffffffffffffffff' as TenantId;
export const TIMELINE = 'fedcba9876543210fedcba9876543210' as TimelineId;

/** Bytes behind a request's tag, by tag and version. */
const PARAMETER_BYTES: Readonly<Record<number, number>> = { 0: 13, 1: 13, 2: 17, 3: 4, 4: 5 };

/**
 * Pages without a store: block N is 8192 times the byte N. Relation 0 is an error in the stream; other tags than the
 * protocol's are malformed; a request waits until `progress` has come to its not_modified_since.
 */
export class FakePageSource implements PageSource, TimelinePages {
  readonly readableFrom = 0x1000n as Lsn;
  readonly walSegmentBytes = 16 * 1024 * 1024;
  readonly progress = new LsnProgress(0x100_0000n as Lsn);
  /** Requests of each call of `pages`. */
  readonly calls: number[] = [];
  readonly backups: BaseBackupOptions[] = [];
  /** Thrown by the next calls of `timeline` and `pages`. */
  timelineError: OffshootError | undefined;
  pagesError: OffshootError | undefined;
  /** Awaited before each call of `pages` answers. */
  gate: Promise<void> | undefined;
  archive: () => AsyncIterable<Uint8Array> = () => chunked(['tar ', 'archive']);
  listing: Uint8Array = Buffer.alloc(13 * 3, 7);

  async timeline(tenant: TenantId, timeline: TimelineId): Promise<TimelinePages> {
    if (this.timelineError) {
      throw this.timelineError;
    }
    if (tenant !== TENANT || timeline !== TIMELINE) {
      throw new OffshootError('invalid_argument', 'there is no such timeline');
    }
    return this;
  }

  covers(lsn: Lsn): boolean {
    return lsn >= this.readableFrom;
  }

  lastRecordLsn(): Lsn {
    return this.progress.reached;
  }

  waitForLsn(lsn: Lsn, signal: AbortSignal): Promise<void> {
    return this.progress.waitFor(lsn, signal);
  }

  async relations(): Promise<Uint8Array> {
    return this.listing;
  }

  async baseBackup(options: BaseBackupOptions): Promise<AsyncIterable<Uint8Array>> {
    this.backups.push(options);
    return this.archive();
  }

  async pages(version: 2 | 3, frames: Uint8Array): Promise<PagesReply> {
    await this.gate;
    if (this.pagesError) {
      throw this.pagesError;
    }
    const replies: Buffer[] = [];
    let handled = 0;
    let stop: Partial<PagesReply> = {};
    for (let at = 0; at < frames.length; handled++) {
      const length = frameLengthField(frames, at) + 1;
      const answer = this.#answer(version, Buffer.from(frames.subarray(at, at + length)));
      if (!Buffer.isBuffer(answer)) {
        stop = answer;
        break;
      }
      replies.push(answer);
      at += length;
    }
    this.calls.push(handled);
    return { reply: Buffer.concat(replies), handled, ...stop };
  }

  #answer(version: 2 | 3, frame: Buffer): Buffer | Partial<PagesReply> {
    const headerBytes = version === 3 ? 24 : 16;
    const tag = frame[FRAME_HEADER_BYTES] ?? 255;
    const echoBytes = headerBytes + (PARAMETER_BYTES[tag] ?? 0);
    if (PARAMETER_BYTES[tag] === undefined || frame.length < FRAME_HEADER_BYTES + 1 + echoBytes) {
      return { failure: wireError('protocol_violation', 'malformed request') };
    }
    const notModifiedSince = frame.readBigUInt64BE(FRAME_HEADER_BYTES + 1 + headerBytes - 8) as Lsn;
    if (notModifiedSince > this.progress.reached) {
      return { waitFor: notModifiedSince };
    }
    const relnodeAt = FRAME_HEADER_BYTES + 1 + headerBytes + 8;
    if (tag <= PagestreamTag.GetPage && frame.readUInt32BE(relnodeAt) === 0) {
      return pagestreamErrorFrame(version, frame, 'relation 0 does not exist');
    }
    const echo =
      version === 3 ? frame.subarray(FRAME_HEADER_BYTES + 1, FRAME_HEADER_BYTES + 1 + echoBytes) : [];
    const result = resultOf(tag, frame);
    const reply = Buffer.concat([
      Buffer.from([0x64, 0, 0, 0, 0, responseTag(tag)]),
      Buffer.from(echo),
      result,
    ]);
    reply.writeUInt32BE(reply.length - 1, 1);
    return reply;
  }
}

/** 103 is the Error response's. */
const responseTag = (tag: number) => tag + (tag < PagestreamTag.DbSize ? 100 : 101);

function resultOf(tag: number, frame: Buffer): Buffer {
  switch (tag) {
    case PagestreamTag.Exists:
      return Buffer.of(1);
    case PagestreamTag.Nblocks:
      return Buffer.of(0, 0, 0, 9);
    case PagestreamTag.GetPage:
      return Buffer.alloc(BLCKSZ, frame[frame.length - 1]);
    case PagestreamTag.DbSize:
      return Buffer.of(0, 0, 0, 0, 0, 0, 32, 0);
    default:
      return Buffer.concat([Buffer.of(0, 0, 0, 2), Buffer.alloc(2 * BLCKSZ, 5)]);
  }
}

/** The chunks one after the other, each in its own turn. */
export async function* chunked(chunks: Iterable<string | Uint8Array>): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    await new Promise((resolve) => setImmediate(resolve));
    yield Buffer.from(chunk as Uint8Array);
  }
}
