/** Prints each step with its time, and keeps the times. */
export class Narrator {
  readonly #began = performance.now();

  say(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  /** Runs a step and prints its name, its time and what it answers as a remark. */
  async step<T>(name: string, work: () => Promise<T>, remark: (result: T) => string = () => ''): Promise<T> {
    const began = performance.now();
    const result = await work();
    const took = formatMs(performance.now() - began);
    const words = remark(result);
    this.say(`  ${took.padStart(9)}  ${name}${words && `: ${words}`}`);
    return result;
  }

  total(): string {
    return formatMs(performance.now() - this.#began);
  }
}

export function formatMs(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(2)} s`;
}
