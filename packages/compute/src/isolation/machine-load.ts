import { readFileSync } from 'node:fs';

/** Ticks of all processors, since the machine started. */
export interface ProcessorTime {
  readonly all: number;
  readonly unused: number;
}

/** Undefined where the kernel does not say. */
export function processorTime(): ProcessorTime | undefined {
  try {
    return parseProcessorTime(readFileSync('/proc/stat', 'latin1'));
  } catch {
    return undefined;
  }
}

/** Of the first line of /proc/stat (proc(5)): `cpu user nice system idle iowait irq softirq steal …`. */
export function parseProcessorTime(text: string): ProcessorTime | undefined {
  const [, line] = /^cpu +(.*)$/m.exec(text) ?? [];
  // Guests' time is in user and nice already.
  const ticks = line?.split(' ').slice(0, 8).map(Number) ?? [];
  if (ticks.length < 8) return undefined;
  const [, , , idle = 0, waiting = 0] = ticks;
  return { all: ticks.reduce((sum, each) => sum + each, 0), unused: idle + waiting };
}

/** Less unused than this part: whoever wants a processor may have to wait for one. */
const UNUSED_MIN = 0.15;

/** Whether there was not enough of the processors between two looks. */
export function isScarce(before: ProcessorTime | undefined, now: ProcessorTime | undefined): boolean {
  if (before === undefined || now === undefined) return true;
  const all = now.all - before.all;
  return all > 0 && (now.unused - before.unused) / all < UNUSED_MIN;
}
