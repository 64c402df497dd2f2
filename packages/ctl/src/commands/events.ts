import type { BranchEvent } from '@offshoot/client';
import { type Command, InvalidArgumentError } from 'commander';
import { type Context, show } from '../context.js';
import { table } from '../table.js';

const LIMIT_MAX = 10_000;

/** `events`. */
export function addEventCommands(program: Command, context: () => Context): void {
  program
    .command('events')
    .description('what has become of branches: made, woken, slept, reset, restored, deleted and by whom')
    .option('--branch <name>', 'of one, by its name at the time or its id; one that is gone too')
    .option('--limit <count>', 'so many, the newest (default: 100)', parseLimit)
    .action(async (choice: { branch?: string; limit?: number }) => {
      const events = await context().client().events(choice);
      show(context(), { events }, () => list(events));
    });
}

function parseLimit(text: string): number {
  const limit = Number(/^\d{1,5}$/.test(text) ? text : Number.NaN);
  if (!(limit >= 1 && limit <= LIMIT_MAX))
    throw new InvalidArgumentError(`write a count from 1 to ${LIMIT_MAX}`);
  return limit;
}

function list(events: readonly BranchEvent[]): string {
  if (events.length === 0) return 'no events';
  const rows = events.map(({ time, event, branch, facts = {} }) => [
    time,
    branch,
    event.replaceAll('_', ' '),
    Object.entries(facts)
      .map(([fact, value]) => `${fact}=${value}`)
      .join(' '),
  ]);
  return table(['TIME', 'BRANCH', 'EVENT', 'FACTS'], rows);
}
