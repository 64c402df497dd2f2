// `npm start`: set up, then run the demonstration with its flags (`npm start -- --keep`).
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root, setUp } from './steps.mjs';

await setUp().catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
const demo = join(root, 'packages', 'demo', 'dist', 'main.js');
const child = spawn(process.execPath, [demo, ...process.argv.slice(2)], { stdio: 'inherit' });
// The terminal sends SIGINT to both; SIGTERM reaches this process alone.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('close', (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
