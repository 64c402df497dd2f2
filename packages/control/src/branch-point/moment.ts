/** A point in time, as somebody wrote it. */
export interface Moment {
  /** Microseconds since 1970. */
  readonly micros: bigint;
  /** No zone was given. */
  readonly zone: 'given' | 'assumed_utc';
}

const UNIT_MICROS = { s: 1_000_000n, m: 60_000_000n, h: 3_600_000_000n, d: 86_400_000_000n } as const;

const CLOCK_TIME =
  /^(\d{4})-(\d\d)-(\d\d)(?:T|\s+)(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*(Z|UTC|[+-]\d\d(?::?\d\d)?)?$/i;

/**
 * `2026-11-21T12:00:00Z`, `2026-11-21 12:00:00.123456+01`, without a zone UTC; or `-5m`, `-1h30m`: so long before `nowMs`.
 * Undefined for what is none of these, or no time of any day.
 */
export function parseMoment(text: string, nowMs: number): Moment | undefined {
  if (/^-(\d{1,9}[smhd])+$/.test(text)) {
    let ago = 0n;
    for (const [, count, unit] of text.matchAll(/(\d+)([smhd])/g)) {
      ago += BigInt(count ?? 0) * UNIT_MICROS[unit as keyof typeof UNIT_MICROS];
    }
    return { micros: BigInt(nowMs) * 1000n - ago, zone: 'given' };
  }
  const match = CLOCK_TIME.exec(text);
  if (match === null) {
    return undefined;
  }
  const [, year, month, day, hour, minute, second = '00', fraction = '', zone] = match;
  const written = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  const ms = Date.parse(`${written}Z`);
  // Not 30 February: Date would make it another day.
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, written.length) !== written) {
    return undefined;
  }
  const offset = zone === undefined ? 0n : zoneMicros(zone);
  if (offset === undefined) {
    return undefined;
  }
  const micros = BigInt(ms) * 1000n + BigInt(fraction.slice(0, 6).padEnd(6, '0'));
  return { micros: micros - offset, zone: zone === undefined ? 'assumed_utc' : 'given' };
}

/** East is positive. */
function zoneMicros(zone: string): bigint | undefined {
  const match = /^([+-])(\d\d):?(\d\d)?$/.exec(zone);
  if (match === null) {
    return 0n;
  }
  const [, sign, hours, minutes = '00'] = match;
  if (Number(hours) > 15 || Number(minutes) > 59) {
    return undefined;
  }
  const size = BigInt(Number(hours) * 60 + Number(minutes)) * UNIT_MICROS.m;
  return sign === '-' ? -size : size;
}

/** Microseconds since 1970 in RFC 3339, UTC; what is beyond the calendar as a number. */
export function formatMicros(micros: bigint): string {
  const remainder = ((micros % 1000n) + 1000n) % 1000n;
  const date = new Date(Number((micros - remainder) / 1000n));
  if (Number.isNaN(date.getTime())) {
    return `${micros} µs`;
  }
  return date.toISOString().replace('Z', `${remainder.toString().padStart(3, '0')}Z`);
}
