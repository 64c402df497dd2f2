import { type Logger, pino } from 'pino';

export type Log = Logger;

/** JSON lines on stderr, written at once: a killed daemon loses none. */
export function openLog(level: string): Log {
  const destination = pino.destination({ dest: 2, sync: true });
  // A full disk, or a reader that went away, costs lines and not the daemon.
  destination.on('error', () => {});
  return pino({ level, base: null, serializers: { error: pino.stdSerializers.err } }, destination);
}
