import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { dumpError } from '@offshoot/dump';
import { controlError } from '../control-errors.js';

export interface UploadLimits {
  readonly bytesMax: number;
  /** While more is wanted. */
  readonly silenceMsMax: number;
}

/** The body of a request, piece by piece: no more is taken off the wire than somebody wants. */
export class Upload {
  #bytes = 0;

  constructor(
    private readonly request: IncomingMessage,
    private readonly limits: UploadLimits,
    /** Aborted when nobody wants more of it. */
    private readonly signal: AbortSignal,
  ) {}

  /** All of it has come, wanted or not: whoever sends it has nothing to do but wait. */
  get isComplete(): boolean {
    return this.request.complete;
  }

  /** Throws `upload_interrupted`, `dump_too_large`. What is not wanted any more is left in the request. */
  async *pieces(): AsyncGenerator<Uint8Array> {
    const { request, limits } = this;
    for (;;) {
      const piece = request.read() as Buffer | null;
      if (piece !== null) {
        this.#bytes += piece.length;
        if (this.#bytes > limits.bytesMax) {
          throw dumpError(
            'dump_too_large',
            `what is sent has more than ${limits.bytesMax} bytes (dumpBytesMax)`,
          );
        }
        yield piece;
      } else if (request.readableEnded) {
        return;
      } else {
        await this.#more();
      }
    }
  }

  async #more(): Promise<void> {
    const { request, signal, limits } = this;
    const over = new AbortController();
    const { signal: noLonger } = over;
    const comes = (event: string) => once(request, event, { signal: noLonger }).then(() => undefined);
    const ends = (words: string) => () => {
      throw controlError('upload_interrupted', words);
    };
    const closed = ends('the connection that the dump comes by was closed');
    try {
      if (request.destroyed) closed();
      signal.throwIfAborted();
      await Promise.race([
        comes('readable').catch(closed),
        comes('end').catch(closed),
        comes('close').then(closed, closed),
        once(signal, 'abort', { signal: noLonger }).then(() => signal.throwIfAborted()),
        sleep(limits.silenceMsMax, undefined, { signal: noLonger }).then(
          ends(`nothing of the dump has come for ${limits.silenceMsMax} ms (silenceMsMax)`),
        ),
      ]);
    } finally {
      over.abort();
    }
  }
}
