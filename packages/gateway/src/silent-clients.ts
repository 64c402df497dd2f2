/** A connection that has not said yet what it wants. */
interface SilentClient {
  readonly sinceMs: number;
  readonly drop: () => void;
}

/**
 * Connections that have not said yet what they want, by the address that they come from. When there is no place for more, one
 * of them makes room: of the address that has most of them the one that was silent for longest, at once for somebody
 * of an address that has fewer, else when it has had its time. So nobody keeps others out by saying nothing.
 */
export class SilentClients {
  /** In the order in which they came. */
  readonly #byPeer = new Map<string, Set<SilentClient>>();

  constructor(
    private readonly graceMs: number,
    private readonly now: () => number,
  ) {}

  /** Answers how it is taken out again: it has said it, or has gone. */
  add(peer: string, drop: () => void): () => void {
    const client = { sinceMs: this.now(), drop };
    const others = this.#byPeer.get(peer) ?? new Set();
    this.#byPeer.set(peer, others.add(client));
    return () => this.#remove(peer, client);
  }

  /** Drops one for somebody from `peer`; answers whether there is one to drop. */
  makeRoomFor(peer: string): boolean {
    const [most, clients] = this.#crowd();
    const [oldest] = clients;
    if (oldest === undefined) return false;
    // With the newcomer, its own address would still have fewer.
    const isOvercrowded = (this.#byPeer.get(peer)?.size ?? 0) + 1 < clients.size;
    if (!isOvercrowded && this.now() - oldest.sinceMs < this.graceMs) return false;
    this.#remove(most, oldest);
    oldest.drop();
    return true;
  }

  #crowd(): [peer: string, clients: ReadonlySet<SilentClient>] {
    let found: [string, ReadonlySet<SilentClient>] = ['', new Set()];
    for (const each of this.#byPeer) if (each[1].size > found[1].size) found = each;
    return found;
  }

  #remove(peer: string, client: SilentClient): void {
    const clients = this.#byPeer.get(peer);
    clients?.delete(client);
    if (clients?.size === 0) this.#byPeer.delete(peer);
  }
}
