import { baseError, type Lsn, parseLsn } from '@offshoot/types';
import { type Moment, parseMoment } from './moment.js';

/** What a branch is to start from, as its maker said. */
export type BranchAt =
  /** What is here. */
  | { readonly kind: 'latest' }
  /** What the parent's source has by the time of the call. */
  | { readonly kind: 'now' }
  | { readonly kind: 'lsn'; readonly lsn: Lsn }
  | { readonly kind: 'time'; readonly moment: Moment }
  /** Of the branch that it is a point of. */
  | { readonly kind: 'checkpoint'; readonly name: string };

/** `@newest`: no checkpoint has this name. */
export const NEWEST_CHECKPOINT = 'newest';

const ACCEPTED =
  'write latest, now, an LSN like 0/16B5A50, a time like 2026-11-21T12:00:00Z or "2026-11-21 12:00:00+01", ' +
  'how long ago, like -5m, -90s, -2h or -1d, or a checkpoint, like @before-backfill or @newest';

/** Reads `at`; `nowMs` is what -5m counts from. Throws `invalid_argument` with what is accepted. */
export function parseBranchAt(text: string, nowMs: number): BranchAt {
  const trimmed = text.trim();
  const word = trimmed.toLowerCase();
  if (word === 'latest' || word === 'now') {
    return { kind: word };
  }
  if (/^[0-9a-f]{1,8}\/[0-9a-f]{1,8}$/.test(word)) {
    return { kind: 'lsn', lsn: parseLsn(word) };
  }
  const checkpoint = /^@([a-z0-9][a-z0-9._:-]{0,62})$/.exec(trimmed)?.[1];
  if (checkpoint !== undefined) {
    return { kind: 'checkpoint', name: checkpoint };
  }
  const moment = parseMoment(trimmed, nowMs);
  if (moment === undefined) {
    throw baseError(
      'invalid_argument',
      `at: ${JSON.stringify(text)} is no place in a branch's history; ${ACCEPTED}`,
      {
        details: { action: ACCEPTED },
      },
    );
  }
  return { kind: 'time', moment };
}

/** Whether two say the same place, however each is written; what `now` and `-5m` say is counted from one moment for both. */
export function isSamePlace(one: BranchAt, other: BranchAt): boolean {
  if (one.kind === 'lsn') return other.kind === 'lsn' && one.lsn === other.lsn;
  if (one.kind === 'time') return other.kind === 'time' && one.moment.micros === other.moment.micros;
  if (one.kind === 'checkpoint') return other.kind === 'checkpoint' && one.name === other.name;
  return one.kind === other.kind;
}
