/** What happened to computes since the start of the daemon. */
export class ComputeCounters {
  readonly starts = { succeeded: 0, failed: 0 };
  crashes = 0;
}
