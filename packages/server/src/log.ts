import { type Logger, pino } from 'pino';

export type Log = Logger;

/** JSON lines on stderr, written at once: a killed daemon loses none. */
export function openLog(level: string): Log {
  return pino({ level, base: null }, pino.destination({ dest: 2, sync: true }));
}
