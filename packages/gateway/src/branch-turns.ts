interface Branch {
  taken: number;
  readonly waiting: (() => void)[];
}

/** Lets so many of each branch's connections do something at a time; the others wait in the order in which they came. */
export class BranchTurns {
  readonly #branches = new Map<string, Branch>();

  constructor(private readonly atATime: number) {}

  /** Resolves when it is one's turn, with what ends it (once). Rejects with the signal's reason, having taken none. */
  async take(name: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const branch = this.#branches.get(name) ?? { taken: 0, waiting: [] };
    this.#branches.set(name, branch);
    if (branch.taken < this.atATime) {
      branch.taken += 1;
    } else {
      await this.#wait(branch, signal);
    }
    let state: 'taken' | 'left' = 'taken';
    return () => {
      if (state === 'left') return;
      state = 'left';
      this.#leave(name, branch);
    };
  }

  /** Of whoever has a turn, or waits for one. */
  get branches(): number {
    return this.#branches.size;
  }

  #wait({ waiting }: Branch, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onTurn = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = () => {
        waiting.splice(waiting.indexOf(onTurn), 1);
        reject(signal.reason);
      };
      waiting.push(onTurn);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** The turn goes to the next who waits. */
  #leave(name: string, branch: Branch): void {
    const next = branch.waiting.shift();
    if (next !== undefined) {
      next();
      return;
    }
    branch.taken -= 1;
    if (branch.taken === 0) this.#branches.delete(name);
  }
}
