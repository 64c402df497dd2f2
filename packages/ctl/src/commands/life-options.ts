import { type Command, InvalidArgumentError, Option } from 'commander';

const SECONDS: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** `90`, `90s`, `2h`, `1h30m`, `7d`: whole seconds, one at least. */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d{1,9})([smhdw]|$)/g)];
  const seconds = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (SECONDS[unit ?? ''] ?? 0), 0);
  if (!/^(\d{1,9}|(\d{1,9}[smhdw])+)$/.test(text) || seconds < 1) {
    throw new InvalidArgumentError('write a time like 90s, 30m, 2h, 1h30m or 7d');
  }
  return seconds;
}

/** A time with a day; without a zone it is UTC. As RFC 3339. */
export function parseTime(text: string): string {
  const [, day, clock, zone = 'Z'] =
    /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?(Z|[+-]\d\d(?::?\d\d)?)?$/i.exec(text) ?? [];
  const offset = /^[+-]\d\d$/.test(zone) ? `${zone}:00` : zone.replace(/^([+-]\d\d)(\d\d)$/, '$1:$2');
  const ms = Date.parse(`${day}T${clock}${offset.toUpperCase()}`);
  if (Number.isNaN(ms)) {
    throw new InvalidArgumentError('write a time like 2026-11-21T12:00:00Z or "2026-11-21 12:00+01"');
  }
  return new Date(ms).toISOString();
}

/** Gathers `--label NAME=VALUE`. */
export function parseLabel(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('write NAME=VALUE, like agent=claude');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

export function labelOption(description: string): Option {
  return new Option('--label <name=value>', description).argParser(parseLabel);
}

export interface LifeOptions {
  ttl?: number;
  expiresAt?: string;
  keep?: true;
  label?: Record<string, string>;
  protect?: true;
}

/** `--ttl`, `--expires-at`, `--keep`, `--label`, `--protect`. */
export function addLifeOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--ttl <time>',
        "delete it after so long: 30m, 2h, 7d (default: the page server's setting, 7 days)",
      ).argParser(parseDuration),
    )
    .addOption(
      new Option('--expires-at <time>', 'delete it at that time, without a zone UTC')
        .argParser(parseTime)
        .conflicts('ttl'),
    )
    .addOption(
      new Option('--keep', 'it does not expire: it stays until somebody deletes it').conflicts([
        'ttl',
        'expiresAt',
      ]),
    )
    .addOption(labelOption('something to find it by, like pr=42; may be given several times'))
    .addOption(
      new Option(
        '--protect',
        'it is not deleted, reset, restored or made to expire until it is unprotected',
      ).conflicts(['ttl', 'expiresAt']),
    );
}

export function parseCount(text: string): number {
  const count = Number(/^\d{1,4}$/.test(text) ? text : Number.NaN);
  if (!(count >= 1 && count <= 1000)) throw new InvalidArgumentError('write a count from 1 to 1000');
  return count;
}

/** The same as the API has them. */
export function lifeOf({ ttl, expiresAt, keep, label, protect }: LifeOptions) {
  return {
    ...(ttl === undefined ? {} : { ttl_seconds: ttl }),
    ...(expiresAt === undefined ? {} : { expires_at: expiresAt }),
    ...(keep === undefined ? {} : { keep }),
    ...(label === undefined ? {} : { labels: label }),
    ...(protect === undefined ? {} : { protected: true }),
  };
}

const TIMEOUT_SECONDS_MAX = 240;

/** Seconds as milliseconds. */
export function parseTimeout(text: string): number {
  const seconds = Number(/^\d+(\.\d+)?s?$/.test(text) ? text.replace('s', '') : Number.NaN);
  if (!(seconds > 0 && seconds <= TIMEOUT_SECONDS_MAX)) {
    throw new InvalidArgumentError(`write seconds, up to ${TIMEOUT_SECONDS_MAX}, like 60 or 2.5`);
  }
  return Math.ceil(seconds * 1000);
}
