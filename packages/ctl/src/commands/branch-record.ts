import type { BranchLifeRecord } from '@offshoot/client';
import type { Command } from 'commander';
import { type Context, show } from '../context.js';

/** `branch record`. */
export function addRecordCommand(branch: Command, context: () => Context): void {
  branch
    .command('record <name>')
    .description(
      "a branch's life: made, woken, queried, slept, deleted and by whom; also of one that is gone",
    )
    .addHelpText(
      'after',
      `
One that is gone is asked for by its last name, or its id, for as long as the event log has its end.

Examples:
  pageserver-ctl branch record try-1
  pageserver-ctl branch record try-1 --json`,
    )
    .action(async (name: string) => show(context(), await context().client().branchRecord(name), recordText));
}

const PLACES: readonly (readonly [string, keyof BranchLifeRecord])[] = [
  ['asked for', 'requested_at'],
  ['created', 'created_at'],
  ['woken first', 'first_wake_at'],
  ['connected first', 'first_connection_at'],
  ['queried first', 'first_query_at'],
  ['queried last', 'last_query_at'],
  ['connected last', 'last_connection_at'],
  ['slept', 'slept_at'],
  ['expires', 'expires_at'],
];

export function recordText(record: BranchLifeRecord): string {
  const line = (word: string, text: string) => `${word.padEnd(16)}${text}`;
  const times = PLACES.flatMap(([word, field]) => {
    const time = record[field];
    return time === undefined ? [] : [line(word, String(time))];
  });
  const { destroyed_at: at, destroyed_by: by, destroyed_by_token: token } = record;
  return [
    line('branch', `${record.name} (${record.id}), ${record.state}`),
    line('tenant', record.tenant),
    ...(record.created_by === undefined ? [] : [line('made by', record.created_by.name)]),
    ...times,
    line('wakes', `${record.wakes}${record.never_used ? '; it was never used' : ''}`),
    ...(at === undefined
      ? []
      : [line('deleted', `${at}, by ${by}${token === undefined ? '' : ` (${token.name})`}`)]),
  ].join('\n');
}
