/** Seconds, or text like `90s`, `15m`, `2h`, `7d`. */
export type Duration = number | string;

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Whole seconds, at least 1. Throws a RangeError. */
export function seconds(duration: Duration): number {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(String(duration)) ?? [];
  const found = typeof duration === 'number' ? duration : Number(count) * (SECONDS[unit ?? ''] ?? Number.NaN);
  if (Number.isFinite(found) && found >= 1) return Math.ceil(found);
  throw new RangeError(`${JSON.stringify(duration)} is no time: write seconds, or 90s, 15m, 2h, 7d`);
}
