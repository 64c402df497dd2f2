import { setUp } from './steps.mjs';

await setUp().catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
