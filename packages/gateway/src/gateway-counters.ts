/** Bytes that have passed. */
interface Passed {
  readonly bytesToClient: number;
  readonly bytesToCompute: number;
}

/** What happened since the start; `connectionsOpen`, `connectionsSpliced` and `parked` are as of now. */
export class GatewayCounters {
  /** Whatever they are at, cancel requests and those being refused included. */
  connectionsOpen = 0;
  connectionsTotal = 0;
  /** Handed over to a compute. */
  connectionsSpliced = 0;
  /** Connections handed over so far, by what passes their bytes. */
  readonly splices = { threads: 0, event_loop: 0 };
  /** Waiting for their branch. */
  parked = 0;
  /** Clients that were told an error, by SQLSTATE; `compute`: its own. */
  readonly refused: Record<string, number> = {};
  /** Closed without a word, since too many were being refused already. */
  turnedAway = 0;
  /** Clients that left before they were handed over. */
  left = 0;
  /** Branches opened again, since the compute had ended or took no connection. */
  reopened = 0;
  cancelsForwarded = 0;
  /** Cancel requests with a key of no connection. */
  cancelsUnknown = 0;
  #passed = { client: 0, compute: 0 };
  #pumped = (): Passed => ({ bytesToClient: 0, bytesToCompute: 0 });

  get bytesFromClients(): number {
    return this.#passed.compute + this.#pumped().bytesToCompute;
  }

  get bytesToClients(): number {
    return this.#passed.client + this.#pumped().bytesToClient;
  }

  /** Bytes that pass here. */
  countBytes(to: 'client' | 'compute', bytes: number): void {
    this.#passed[to] += bytes;
  }

  /** Besides, `pumped` tells of those that pass elsewhere. */
  include(pumped: () => Passed): void {
    this.#pumped = pumped;
  }

  countRefused(sqlState: string): void {
    this.refused[sqlState] = (this.refused[sqlState] ?? 0) + 1;
  }
}
