/**
 * What a wake is at: it waits for room and its turn, what a former compute left is taken in, the compute is started.
 */
export type WakeStage = 'queue' | 'recover' | 'start';

/** Failures by stage and error code. */
class WakeFailures {
  readonly #counts = new Map<WakeStage, Map<string, number>>();

  add(phase: WakeStage, code: string): void {
    const counts = this.#counts.get(phase) ?? new Map<string, number>();
    counts.set(code, (counts.get(code) ?? 0) + 1);
    this.#counts.set(phase, counts);
  }

  all(): { phase: WakeStage; code: string; count: number }[] {
    return [...this.#counts].flatMap(([phase, counts]) =>
      [...counts].map(([code, count]) => ({ phase, code, count })),
    );
  }
}

/** What happened to computes since the start of the daemon. */
export class ComputeCounters {
  readonly starts = { succeeded: 0, failed: 0 };
  readonly wakeFailures = new WakeFailures();
  crashes = 0;
  /** Put to sleep to make room for another. */
  evictions = 0;
}
