import { parseArgs } from 'node:util';
import { asOffshootError } from '@offshoot/types';
import { tellTheStory } from './story.js';

const usage = `Usage: npm start [-- --keep] [-- --pg-bindir DIR]

Fills an embedded Postgres with a shop of a million rows, imports it, forks it, migrates the fork, checks it,
and destroys it.

  --keep             leave everything running, with the fork, and print how to connect; Ctrl-C ends it
  --pg-bindir DIR    use the Postgres 15 in DIR instead of the embedded one
`;

async function main(): Promise<number> {
  try {
    const { values } = parseArgs({
      options: { keep: { type: 'boolean' }, 'pg-bindir': { type: 'string' }, help: { type: 'boolean' } },
    });
    if (values.help) {
      process.stdout.write(usage);
      return 0;
    }
    const bindir = values['pg-bindir'];
    await tellTheStory({
      atTheEnd: values.keep ? 'keep' : 'remove',
      ...(bindir === undefined ? {} : { bindir }),
    });
    return 0;
  } catch (error) {
    if (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')) {
      process.stderr.write(`${error.message}\n\n${usage}`);
      return 2;
    }
    process.stderr.write(`error: ${asOffshootError(error).message}\n`);
    return 1;
  }
}

process.exitCode = await main();
