import type { Operation } from '@offshoot/client';
import type { Command } from 'commander';
import { type Context, show } from '../context.js';
import { table } from '../table.js';
import { loadText } from './load-database.js';
import { progressText } from './tenant-import.js';

/** `operation list|show|cancel`. */
export function addOperationCommands(program: Command, context: () => Context): void {
  const operation = program
    .command('operation')
    .description('imports, loads of dumps and garbage collection under way, and the last that ended');
  operation
    .command('list')
    .description('all operations, the oldest first')
    .action(async () => {
      const operations = await context().client().operations();
      show(context(), { operations }, () => list(operations));
    });
  operation
    .command('show <id>')
    .description('one operation')
    .action(async (id: string) => show(context(), await context().client().operation(id), describe));
  operation
    .command('cancel <id>')
    .description('cancel an operation; returns when nothing of it is left')
    .action(async (id: string) => show(context(), await context().client().cancelOperation(id), describe));
}

function list(operations: Operation[]): string {
  if (operations.length === 0)
    return 'no operations; the page server forgets the oldest, and all when it stops';
  const rows = operations.map((o) => [o.id, o.kind, o.subject, o.state, o.started_at]);
  return table(['ID', 'KIND', 'SUBJECT', 'STATE', 'STARTED'], rows);
}

function describe(operation: Operation): string {
  const { progress, load, error } = operation;
  return [
    `operation  ${operation.id} (${operation.kind} ${operation.subject})`,
    `state      ${operation.state}${operation.finished_at === undefined ? '' : ` at ${operation.finished_at}`}`,
    `started    ${operation.started_at}`,
    ...(progress === undefined ? [] : [`progress   ${progressText(progress)}`]),
    ...(load === undefined ? [] : [`progress   ${loadText(load)}`]),
    ...(error === undefined ? [] : [`error      ${error.detail}`, `           ${error.agent_action}`]),
  ].join('\n');
}
