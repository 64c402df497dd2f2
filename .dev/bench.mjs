// `npm run bench -- NAME [flags]`: set up, then run one bench (or list them) at its full size.
import { join } from 'node:path';
import { root, run, setUp } from './steps.mjs';

try {
  await setUp();
  await run(process.execPath, [join(root, 'bench', 'dist', 'main.js'), ...process.argv.slice(2)], {
    output: 'inherit',
  });
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
