import type { NativeSpliceEnd, SplicePumpHandle } from '../native.js';
import { nativeAddon } from './native-addon.js';
import { calling } from './native-errors.js';

export interface SplicePumpOptions {
  /** Threads that all connections share. */
  readonly threads: number;
  /** Read at a time, and held of a connection in each direction at most. */
  readonly bufferBytes: number;
  /** Read from one socket before others have their turn. */
  readonly turnBytes: number;
  /** A client's time to take its last bytes and to close its side. */
  readonly lingerMs: number;
}

/** Two sockets by their descriptors, and what was read on both and not delivered. */
export interface SplicePair {
  readonly client: number;
  readonly compute: number;
  readonly toClient: Buffer;
  readonly toCompute: Buffer;
}

/** Who ended a connection first, whether that was an orderly end, and what has passed since the pump took it over. */
export interface PumpedEnd {
  readonly by: 'client' | 'compute' | 'gateway';
  readonly how: 'ended' | 'broken';
  readonly bytesToClient: number;
  readonly bytesToCompute: number;
}

/** A connection of a pump. Neither promise rejects. */
export interface PumpedConnection {
  /** One side has ended it: the compute's socket is closed, and the client's on its way out. */
  readonly ended: Promise<PumpedEnd>;
  /** Nothing of it is left. */
  readonly gone: Promise<void>;
  /** Ends it from here; does nothing when it has ended. */
  cut(): void;
}

/** Of all connections since the start. */
export interface SplicePumpSums {
  readonly bytesToClient: number;
  readonly bytesToCompute: number;
  /** Now: read, and not taken by the other side yet. */
  readonly bytesHeld: number;
}

interface Hearing {
  readonly ended: (end: PumpedEnd) => void;
  readonly gone: () => void;
}

/** Native threads that pass bytes between pairs of sockets. They keep the process running until `close`. */
export class SplicePump {
  readonly #native: SplicePumpHandle;
  readonly #hearing: Map<number, Hearing>;

  private constructor(native: SplicePumpHandle, hearing: Map<number, Hearing>) {
    this.#native = native;
    this.#hearing = hearing;
  }

  /** Throws `splice_failed`, `engine_addon_missing`, `engine_argument`. */
  static start(options: SplicePumpOptions): SplicePump {
    const hearing = new Map<number, Hearing>();
    const onEvent = (id: number, end: NativeSpliceEnd | undefined | null) => {
      if (end != null) {
        hearing.get(id)?.ended(end);
      } else {
        hearing.get(id)?.gone();
        hearing.delete(id);
      }
    };
    return new SplicePump(
      calling(() => nativeAddon().startSplicePump({ ...options }, onEvent)),
      hearing,
    );
  }

  /**
   * Takes a connection over, with descriptors of its own. The caller reads from neither socket any more, with nothing
   * waiting to be written, and closes its own descriptors once this has returned. Throws `splice_failed`: then all is
   * as before.
   */
  adopt({ client, compute, toClient, toCompute }: SplicePair): PumpedConnection {
    const id = calling(() => this.#native.adopt(client, compute, toClient, toCompute));
    let onEnded: Hearing['ended'] = () => {};
    const ended = new Promise<PumpedEnd>((resolve) => {
      onEnded = resolve;
    });
    // What happens to it is told later, on the event loop.
    const gone = new Promise<void>((resolve) => {
      this.#hearing.set(id, { ended: onEnded, gone: resolve });
    });
    return { ended, gone, cut: () => calling(() => this.#native.cut(id)) };
  }

  get sums(): SplicePumpSums {
    return calling(() => this.#native.sums());
  }

  /** Breaks off what is left, and stops the threads. A second call does nothing. */
  close(): void {
    calling(() => this.#native.close());
  }
}
