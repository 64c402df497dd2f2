/** What happened since the start; `connectionsOpen`, `connectionsSpliced` and `parked` are as of now. */
export class GatewayCounters {
  /** Whatever they are at, cancel requests and those being refused included. */
  connectionsOpen = 0;
  connectionsTotal = 0;
  /** Handed over to a compute. */
  connectionsSpliced = 0;
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
  bytesFromClients = 0;
  bytesToClients = 0;

  countRefused(sqlState: string): void {
    this.refused[sqlState] = (this.refused[sqlState] ?? 0) + 1;
  }
}
