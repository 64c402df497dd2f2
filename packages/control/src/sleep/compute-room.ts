import { computeError } from '@offshoot/compute';
import type { OffshootError, TenantId } from '@offshoot/types';
import type { Clock } from './clock.js';
import type { WakeSettings } from './wake-settings.js';

/** Who has room, as far as the room is concerned. */
export interface RoomUser {
  /** When it was last used; the one that was not for longest goes first. */
  readonly lastUsedMs: number;
  /** `leaving`: it is being asked or stopped, so that there may soon be room. */
  readonly standing: 'in use' | 'idle' | 'leaving';
  /** Of which there may be so many at one time: its tenant. */
  readonly group: TenantId;
  /** Sleep, unless there is work. */
  giveWay(): void;
}

export type RoomLimits = Pick<WakeSettings, 'startsMax' | 'queueMax' | 'queueTimeoutMs' | 'busyLookMs'> & {
  /** Computes that are awake at one time, starting and stopping ones included. */
  readonly computesMax: number;
  /** The same of one tenant; 0: any number. */
  readonly computesPerTenantMax: number;
};

/** A start may begin now. */
export interface Admission {
  /** When there was room; from then on it waited for its turn. */
  readonly roomAtMs: number;
  /** Its compute runs, or will not: the next one's turn. */
  startEnded(): void;
  /** Its compute has ended. */
  leave(): void;
}

interface Request {
  readonly user: RoomUser;
  readonly admit: (admission: Admission) => void;
  readonly refuse: (error: unknown) => void;
  /** When it had room. */
  roomAtMs?: number;
}

/**
 * How many computes are awake and how many start at one time. Wakes wait in the order in which they came, first for
 * room, then for their turn; meanwhile idle computes are asked to make room, the least recently used first.
 */
export class ComputeRoom {
  readonly #inside = new Set<Request>();
  readonly #forRoom: Request[] = [];
  readonly #forTurn: Request[] = [];
  #starts = 0;
  #stopLooking: (() => void) | undefined;

  constructor(
    readonly limits: RoomLimits,
    private readonly clock: Clock,
    /** What one is refused with whose tenant has as many as it may, all of them in use. */
    private readonly groupIsFull: (group: TenantId) => OffshootError,
  ) {}

  get waiting(): number {
    return this.#forRoom.length + this.#forTurn.length;
  }

  get occupied(): number {
    return this.#inside.size;
  }

  /**
   * Resolves when the user may start. Throws `computes_exhausted`, and the signal's reason.
   */
  enter(user: RoomUser, signal: AbortSignal): Promise<Admission> {
    if (this.waiting >= this.limits.queueMax) return Promise.reject(this.#tooManyWait());
    return new Promise((resolve, reject) => {
      const settled = () => {
        callOff();
        signal.removeEventListener('abort', abort);
      };
      const request: Request = {
        user,
        admit: (admission) => {
          settled();
          resolve(admission);
        },
        refuse: (error) => {
          settled();
          this.#withdraw(request);
          reject(error);
        },
      };
      const callOff = this.clock.after(this.limits.queueTimeoutMs, () => request.refuse(this.#late(request)));
      const abort = () => request.refuse(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      this.#forRoom.push(request);
      if (signal.aborted) abort();
      else this.stir();
    });
  }

  /** Somebody's standing may have changed. */
  stir(): void {
    while (this.#inside.size < this.limits.computesMax) {
      const at = this.#forRoom.findIndex(({ user }) => !this.#isFull(user.group));
      const [next] = at < 0 ? [] : this.#forRoom.splice(at, 1);
      if (next === undefined) break;
      this.#inside.add(next);
      next.roomAtMs = this.clock.now();
      this.#forTurn.push(next);
    }
    while (this.#starts < this.limits.startsMax) {
      const next = this.#forTurn.shift();
      if (next === undefined) break;
      next.admit(this.#admit(next));
    }
    this.#makeRoom();
  }

  #admit(request: Request): Admission {
    this.#starts += 1;
    let start: 'under way' | 'ended' = 'under way';
    const startEnded = () => {
      if (start === 'ended') return;
      start = 'ended';
      this.#starts -= 1;
      this.stir();
    };
    const leave = () => {
      this.#inside.delete(request);
      startEnded();
      this.stir();
    };
    return { roomAtMs: request.roomAtMs ?? this.clock.now(), startEnded, leave };
  }

  #makeRoom(): void {
    this.#endLooking();
    if (this.#forRoom.length === 0) return;
    const users = [...this.#inside].map(({ user }) => user);
    const full = new Set(this.#forRoom.map(({ user }) => user.group).filter((group) => this.#isFull(group)));
    for (const group of full) this.#makeRoomIn(group, users);
    const others = this.#forRoom.filter(({ user }) => !full.has(user.group)).length;
    if (others > 0) askIdle(users, others);
    if (this.#forRoom.length === 0) return;
    // A refusal above may have come by here already.
    this.#endLooking();
    // Work that nobody tells of may be over by then.
    this.#stopLooking = this.clock.after(this.limits.busyLookMs, () => this.stir());
  }

  #endLooking(): void {
    this.#stopLooking?.();
    this.#stopLooking = undefined;
  }

  #isFull(group: TenantId): boolean {
    const { computesPerTenantMax: max } = this.limits;
    return max > 0 && this.#inside.size >= max && this.#countOf(group) >= max;
  }

  #countOf(group: TenantId): number {
    let count = 0;
    for (const { user } of this.#inside) if (user.group === group) count += 1;
    return count;
  }

  /** Who would wait for what nobody leaves is told so. */
  #makeRoomIn(group: TenantId, users: readonly RoomUser[]): void {
    const own = users.filter((user) => user.group === group);
    const waiting = this.#forRoom.filter(({ user }) => user.group === group);
    if (askIdle(own, waiting.length) === 0) {
      for (const request of waiting) request.refuse(this.groupIsFull(group));
    }
  }

  #withdraw(request: Request): void {
    for (const queue of [this.#forRoom, this.#forTurn]) {
      const index = queue.indexOf(request);
      if (index >= 0) queue.splice(index, 1);
    }
    this.#inside.delete(request);
    this.stir();
  }

  #late(request: Request): OffshootError {
    const { computesMax, startsMax, queueTimeoutMs } = this.limits;
    if (request.roomAtMs === undefined && this.#isFull(request.user.group)) {
      return this.groupIsFull(request.user.group);
    }
    if (request.roomAtMs !== undefined) {
      return computeError(
        'computes_exhausted',
        `the compute did not get its turn to start within ${queueTimeoutMs} ms: ${startsMax} start at a time, and ` +
          `${this.waiting} wait; try again, or raise startsMax`,
        { details: { startsMax, queueTimeoutMs } },
      );
    }
    return computeError(
      'computes_exhausted',
      `${this.occupied} computes are awake, as many as may be (computesMax ${computesMax}), and all were in use for ` +
        `${queueTimeoutMs} ms: close connections, stop one (pageserver-ctl compute list), or raise computesMax`,
      { details: { computesMax, queueTimeoutMs } },
    );
  }

  #tooManyWait(): OffshootError {
    const { computesMax, queueMax } = this.limits;
    return computeError(
      'computes_exhausted',
      `${this.waiting} wakes wait already, as many as may (queueMax ${queueMax}), while ${this.occupied} computes are ` +
        `awake (computesMax ${computesMax}): try again later, or stop one (pageserver-ctl compute list)`,
      { details: { computesMax, queueMax } },
    );
  }
}

/** Asks idle ones to sleep, the least recently used first, until so many leave; answers how many do. */
function askIdle(users: readonly RoomUser[], wanted: number): number {
  let coming = users.filter(({ standing }) => standing === 'leaving').length;
  const idle = users.filter(({ standing }) => standing === 'idle');
  for (const user of idle.sort((a, b) => a.lastUsedMs - b.lastUsedMs)) {
    if (coming >= wanted) break;
    user.giveWay();
    coming += 1;
  }
  return coming;
}
