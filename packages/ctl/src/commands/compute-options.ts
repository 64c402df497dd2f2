import { InvalidArgumentError, Option } from 'commander';

export function idleTimeoutOption(): Option {
  return new Option(
    '--idle-timeout <time>',
    'put the compute to sleep after so long without connections and work: 300, 90s, 5m, 2h, or never; the next ' +
      'connection wakes it (default: the setting idleTimeoutSeconds, 300)',
  ).argParser(parseIdleTimeout);
}

const SECONDS: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600 };
const IDLE_SECONDS_MAX = 2_147_483;

/** As seconds; 0 is never. */
export function parseIdleTimeout(text: string): number {
  if (text === 'never') return 0;
  const [, count, unit] = /^(\d{1,9})([smh]?)$/.exec(text) ?? [];
  const seconds = Number(count) * (SECONDS[unit ?? ''] ?? Number.NaN);
  if (!(seconds <= IDLE_SECONDS_MAX)) {
    throw new InvalidArgumentError(
      `write a time like 300, 90s, 5m or 2h (${IDLE_SECONDS_MAX} s at most), or never`,
    );
  }
  return seconds;
}

export function durabilityOption(): Option {
  return new Option(
    '--durability <kind>',
    'sync: a commit returns when the page server has it on disk (default); async: it returns earlier, and a crash ' +
      'of the compute loses the last moments',
  ).choices(['sync', 'async']);
}
