import type { RunningCompute } from '@offshoot/compute';
import { askForWork } from './ask-for-work.js';
import type { BranchSurroundings } from './branch-surroundings.js';

/** How long a stop waits to be told what it ends. */
const COUNT_MS_MAX = 1000;

/** The idle time of one branch's compute, and the question whether there is work. */
export class RestWatch {
  #unwatch: (() => void) | undefined;
  #question: AbortController | undefined;
  #busyMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly around: Pick<BranchSurroundings, 'clock' | 'settings'>) {}

  /** Calls once, when nothing has used it since `usedMs` for so long; 0: never. Begins anew with each call. */
  watch(usedMs: number, seconds: number, due: () => void): void {
    this.unwatch();
    if (seconds === 0) return;
    const restMs = Math.max(0, usedMs + seconds * 1000 - this.around.clock.now());
    this.#unwatch = this.around.clock.after(restMs, due);
  }

  unwatch(): void {
    this.#unwatch?.();
  }

  /** It had work a short while ago. */
  get isBusy(): boolean {
    return this.around.clock.now() - this.#busyMs < this.around.settings.busyLookMs;
  }

  /** Undefined when the question was dropped. One that does not answer is at work. */
  async ask(
    running: RunningCompute,
    onUnanswered: (error: unknown) => void,
  ): Promise<'at_rest' | 'at_work' | undefined> {
    const question = new AbortController();
    this.#question = question;
    const { clock, settings } = this.around;
    let answer: 'at_rest' | 'at_work' = 'at_work';
    try {
      const sessions = await askForWork({ running, clock, settings, signal: question.signal });
      if (sessions === 0) answer = 'at_rest';
    } catch (error) {
      if (!question.signal.aborted) onUnanswered(error);
    }
    // An older question's answer means nothing to a newer one.
    if (question.signal.aborted) return undefined;
    if (answer === 'at_work') this.#busyMs = clock.now();
    return answer;
  }

  dropQuestion(): void {
    this.#question?.abort(new Error('it is in use again'));
  }

  /** Sessions that a stop would end; `otherwise` when it does not say so at once. */
  async count(running: RunningCompute, otherwise: () => number): Promise<number> {
    const { clock, settings } = this.around;
    const question = { running, clock, signal: new AbortController().signal };
    // Once: whoever wants it stopped does not wait long for a number.
    const once = { ...settings, activityAttemptsMax: 1, activityTimeoutMs: COUNT_MS_MAX };
    return askForWork({ ...question, settings: once }).catch(otherwise);
  }
}
