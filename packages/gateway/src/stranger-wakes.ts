import { gatewayError } from './gateway-errors.js';
import { peerOf } from './peer-of.js';

export interface StrangerWakesOptions {
  /** Wakes in `windowMs` that one peer may cause without a login that succeeds. */
  readonly wakesMax: number;
  /** The same for peers on this machine, which are many behind one address; 0: any number. */
  readonly loopbackWakesMax: number;
  readonly windowMs: number;
  /** Peers that are remembered at one time; the one that was quiet for longest is forgotten first. */
  readonly peersMax: number;
  readonly now: () => number;
}

interface PeerRecord {
  /** Wakes that led to no login, less what time has forgiven since `asOfMs`. */
  vain: number;
  asOfMs: number;
  readonly wakesMax: number;
  /** Branches that somebody there has logged in to, in the order of the last time. */
  readonly known: Set<string>;
  /** Connections by the branch whose wake they caused or wait for, not logged in yet. */
  readonly waiting: Map<string, number>;
}

/** Branches of a peer that are remembered. */
const KNOWN_MAX = 1000;

/** One connection of a peer. */
export interface StrangerVisit {
  /** The branch has to be woken for it. Throws `gateway_wakes_exhausted`. */
  wake(branch: string): void;
  /** It has logged in. */
  welcome(): void;
  /** It is over. */
  end(): void;
}

/**
 * Waking a branch takes no password, since it is the branch's Postgres that asks for one. So that whoever has none
 * cannot keep the machine busy with wakes, those that a peer causes in vain are counted and end for a while. Many may be
 * behind one address: branches that one of them has logged in to are woken all the same.
 */
export class StrangerWakes {
  readonly #peers = new Map<string, PeerRecord>();

  constructor(private readonly options: StrangerWakesOptions) {}

  /** Peers that are remembered. */
  get size(): number {
    return this.#peers.size;
  }

  /** `address` as the socket has it; an IPv6 peer is its /64 network, of which one machine may use any address. */
  visit(address: string | undefined): StrangerVisit {
    const peer = peerOf(address);
    let held: { branch: string; record: PeerRecord } | undefined;
    const letGo = (vain: 0 | 1) => {
      if (held === undefined) return;
      const { branch, record } = held;
      held = undefined;
      const others = (record.waiting.get(branch) ?? 1) - 1;
      if (others > 0) record.waiting.set(branch, others);
      else record.waiting.delete(branch);
      // Many connections to one branch are one wake. It is forgiven from now on, not for the time before.
      if (others === 0 && vain === 1) {
        this.#forgive(record);
        record.vain += 1;
      }
    };
    return {
      wake: (branch) => {
        if (held !== undefined) return;
        const record = this.#look(peer);
        const known = record.known.has(branch) || record.waiting.has(branch);
        if (!known && record.vain + record.waiting.size + 1 > record.wakesMax) {
          throw this.#exhausted(record.wakesMax);
        }
        record.waiting.set(branch, (record.waiting.get(branch) ?? 0) + 1);
        held = { branch, record };
      },
      welcome: () => {
        if (held !== undefined) remember(held.record.known, held.branch);
        letGo(0);
      },
      end: () => letGo(1),
    };
  }

  /** The peer's record as of now, the last to be forgotten. */
  #look(peer: string): PeerRecord {
    const { now, peersMax } = this.options;
    const record = this.#peers.get(peer) ?? this.#newRecord(peer, now());
    this.#forgive(record);
    this.#peers.delete(peer);
    this.#peers.set(peer, record);
    if (this.#peers.size > peersMax) this.#forgetQuietest();
    return record;
  }

  #newRecord(peer: string, nowMs: number): PeerRecord {
    const { wakesMax, loopbackWakesMax } = this.options;
    const most = isLoopback(peer) ? loopbackWakesMax || Number.POSITIVE_INFINITY : wakesMax;
    return { vain: 0, asOfMs: nowMs, wakesMax: most, known: new Set(), waiting: new Map() };
  }

  #forgive(record: PeerRecord): void {
    const { now, windowMs } = this.options;
    const nowMs = now();
    record.vain = Math.max(0, record.vain - ((nowMs - record.asOfMs) * record.wakesMax) / windowMs || 0);
    record.asOfMs = nowMs;
  }

  #forgetQuietest(): void {
    const quietest = this.#peers.keys().next();
    if (!quietest.done) this.#peers.delete(quietest.value);
  }

  #exhausted(wakesMax: number) {
    const { windowMs } = this.options;
    return gatewayError(
      'gateway_wakes_exhausted',
      `${wakesMax} branches were woken from your address without a login in ${Math.round(windowMs / 1000)} s`,
    );
  }
}

function remember(known: Set<string>, branch: string): void {
  known.delete(branch);
  known.add(branch);
  const [oldest] = known;
  if (known.size > KNOWN_MAX && oldest !== undefined) known.delete(oldest);
}

/** As `peerOf` names it. */
function isLoopback(peer: string): boolean {
  return peer.startsWith('127.') || peer === LOOPBACK_NETWORK;
}

/** That of ::1. */
const LOOPBACK_NETWORK = '0:0:0:0';
