import type { OffshootClient } from '@offshoot/client';

/** What a command has to work with: the daemon, and where its words go. */
export interface Context {
  client(): OffshootClient;
  /** One whose calls go on when the user interrupts. */
  steadyClient(): OffshootClient;
  format: 'json' | 'text';
  /** The result: one JSON document, or text for people. */
  out(text: string): void;
  /** Progress and remarks; never part of the result. */
  remark(text: string): void;
  /** Progress that replaces the line before, on a terminal; elsewhere nothing. */
  progress(text: string): void;
  /** What a person at a terminal may want to know; elsewhere nothing. */
  aside(text: string): void;
  /** From now on signals are another program's business: they do not end this one. */
  yieldSignals(): void;
  /** Aborted when the user interrupts. */
  interrupted: AbortSignal;
}

/** Prints `value` as JSON, or what `text` makes of it. */
export function show<T>(context: Context, value: T, text: (value: T) => string): void {
  context.out(context.format === 'json' ? JSON.stringify(value, null, 2) : text(value));
}
