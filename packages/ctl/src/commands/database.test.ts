import { Command } from 'commander';
import { expect, test } from 'vitest';
import { addDatabaseCommands } from './database.js';

test('what to do on errors is nothing to say without a dump', async () => {
  const program = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
  addDatabaseCommands(program, () => {
    throw new Error('asked the page server');
  });
  const args = ['database', 'create', 'shop', '--on-error', 'continue'];
  await expect(program.parseAsync(args, { from: 'user' })).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringContaining('--from-dump'),
  });
});
