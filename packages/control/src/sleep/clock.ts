/** Time, as a test may want to hold it. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls once, after so long; answers how to call it off. */
  after(ms: number, call: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};
