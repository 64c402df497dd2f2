import type { PagesReply } from '@offshoot/engine';
import { asOffshootError, baseError, type Lsn, type OffshootError } from '@offshoot/types';
import { offsetOfFrame, pagestreamErrorFrame } from '@offshoot/wire';
import { pageServiceError } from './page-service-error.js';
import type { PageSource, TimelinePages } from './page-source.js';
import type { ServeEffect } from './session-effect.js';
import { waitForLsn } from './wait-for-lsn.js';

export interface ServePagesContext {
  readonly source: PageSource;
  readonly lsnWaitTimeoutMs: number;
  /** Aborts when the connection ends or the service stops. */
  readonly signal: AbortSignal;
  /** Sends whole CopyData messages. */
  readonly write: (frames: Uint8Array) => void;
  /** Told of each error that is sent in the stream instead of an answer. */
  readonly onError: (error: OffshootError, requests: number) => void;
}

/**
 * Answers the requests of one `serve`, in order. Answers the error that ends the stream, if one does; every other
 * error is told in the stream, to the requests that it concerns.
 */
export async function servePages(
  { stream, frames, requests }: ServeEffect,
  context: ServePagesContext,
): Promise<OffshootError | undefined> {
  const batch = new Batch(stream.version, frames, requests, context);
  try {
    await batch.serve(await context.source.timeline(stream.tenant, stream.timeline));
    return undefined;
  } catch (thrown) {
    const error = asOffshootError(thrown);
    if (error.kind === 'reconnect' || error === batch.malformed) {
      return error;
    }
    batch.refuse(batch.left, error);
    return undefined;
  }
}

class Batch {
  /** Requests not yet answered; their frames are `#rest`. */
  left: number;
  /** What is wrong with the first of them. */
  malformed: OffshootError | undefined;
  #rest: Uint8Array;
  readonly #waitUntilMs: number;

  constructor(
    readonly version: 2 | 3,
    frames: Uint8Array,
    requests: number,
    readonly context: ServePagesContext,
  ) {
    this.#rest = frames;
    this.left = requests;
    this.#waitUntilMs = performance.now() + context.lsnWaitTimeoutMs;
  }

  /** Throws what concerns all requests that are left. */
  async serve(pages: TimelinePages): Promise<void> {
    for (;;) {
      const answer = await pages.pages(this.version, this.#rest);
      this.#pass(answer);
      if (answer.failure !== undefined) {
        this.malformed = pageServiceError('pagestream_violation', answer.failure.message, {
          cause: answer.failure,
        });
        throw this.malformed;
      }
      if (this.left === 0) {
        return;
      }
      if (answer.waitFor === undefined || answer.waitFor <= pages.lastRecordLsn()) {
        this.#requireProgress(answer);
      } else {
        await this.#waitOrRefuse(pages, answer.waitFor);
      }
      if (this.left === 0) {
        return;
      }
    }
  }

  /** Answers the first `count` requests left with an error in the stream. */
  refuse(count: number, error: OffshootError): void {
    this.context.onError(error, count);
    const answers: Uint8Array[] = [];
    let at = 0;
    for (let refused = 0; refused < count; refused++) {
      const request = this.#rest.subarray(at);
      answers.push(pagestreamErrorFrame(this.version, request, error.message));
      at += offsetOfFrame(request, 1);
    }
    this.context.write(Buffer.concat(answers));
    this.#drop(count);
  }

  #pass({ reply, handled }: PagesReply): void {
    if (handled > this.left) {
      throw baseError('internal', `the engine answered ${handled} requests of ${this.left}`);
    }
    if (reply.length > 0) {
      this.context.write(reply);
    }
    this.#drop(handled);
  }

  /** The engine may stop short for reasons of its own, but not without having answered anything. */
  #requireProgress({ handled }: PagesReply): void {
    if (handled === 0) {
      throw baseError('internal', 'the engine answers neither a request nor what it waits for');
    }
  }

  /** All requests of a batch wait until the same moment; then each that still has to wait is refused. */
  async #waitOrRefuse(pages: TimelinePages, lsn: Lsn): Promise<void> {
    try {
      const timeoutMs = this.#waitUntilMs - performance.now();
      await waitForLsn(pages, lsn, timeoutMs, this.context.signal);
    } catch (thrown) {
      const error = asOffshootError(thrown);
      if (error.code !== 'lsn_wait_timeout') {
        throw error;
      }
      this.refuse(1, error);
    }
  }

  #drop(count: number): void {
    this.#rest = this.#rest.subarray(offsetOfFrame(this.#rest, count));
    this.left -= count;
  }
}
