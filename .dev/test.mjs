// `npm test`: everything that a change must pass, and one line at the end that sums up all runners.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { buildOracle, root, run, setUp } from './steps.mjs';

const out = join(root, '.dev', 'out');
const bin = (name) => join(root, 'node_modules', '.bin', name);
const native = join(root, 'native');
const total = { passed: 0, failed: 0 };
const summary = [];
/** What failed, to be read again at the end: a log that was cut short still tells why. */
const failures = [];
/** Of one failure, what tells most stands at its start. */
const FAILURE_CHARS_MAX = 2000;

function record(name, passed, failed, began) {
  total.passed += passed;
  total.failed += failed;
  summary.push(
    `${failed === 0 ? 'ok  ' : 'FAIL'} ${name} (${passed} passed, ${failed} failed, ${((Date.now() - began) / 1000).toFixed(0)} s)`,
  );
}

function recordFailure(name, text) {
  failures.push(`-- ${name}\n${text.slice(0, FAILURE_CHARS_MAX)}`);
}

/** A check that passes or fails as a whole. */
async function check(name, work) {
  const began = Date.now();
  process.stdout.write(`\n== ${name}\n`);
  try {
    await work();
    record(name, 1, 0, began);
  } catch (error) {
    process.stdout.write(`${error.message}\n`);
    recordFailure(name, error.message);
    record(name, 0, 1, began);
  }
}

/** A test runner: `work` answers [passed, failed]; failing without a failed test counts as one. */
async function runner(name, work) {
  const began = Date.now();
  process.stdout.write(`\n== ${name}\n`);
  try {
    const [passed, failed] = await work();
    record(name, passed, passed + failed === 0 ? 1 : failed, began);
  } catch (error) {
    process.stdout.write(`${error.message}\n`);
    recordFailure(name, error.message);
    record(name, 0, 1, began);
  }
}

function countCargo(text) {
  const sums = [0, 0];
  for (const [, passed, failed] of text.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed/gm)) {
    sums[0] += Number(passed);
    sums[1] += Number(failed);
  }
  return sums;
}

/** A directory with Postgres 15 and its client programs, which the embedded Postgres has not. */
function clientPrograms() {
  const names = ['postgres', 'initdb', 'pg_ctl', 'psql', 'pg_basebackup'];
  const places = [
    process.env.OFFSHOOT_TEST_PG_BINDIR,
    ...(process.env.PATH ?? '').split(delimiter),
    '/usr/lib/postgresql/15/bin',
    '/usr/pgsql-15/bin',
  ];
  const complete = (place) => names.every((name) => existsSync(join(place, name)));
  return places.find((place) => place !== undefined && place !== '' && complete(place));
}

async function cargoTest(args, env = {}) {
  const options = { cwd: native, output: 'capture', env: { ...process.env, ...env } };
  try {
    return countCargo(await run('cargo', ['test', '--locked', ...args], options));
  } catch (error) {
    const text = error.text ?? error.message;
    const [passed, failed] = countCargo(text);
    const details = text.match(/^---- [\s\S]*?(?=^---- |^failures:$)/gm) ?? [text.slice(-FAILURE_CHARS_MAX)];
    for (const detail of details) recordFailure('cargo test', detail.trim());
    return [passed, Math.max(failed, 1)];
  }
}

async function vitest(project) {
  const report = join(out, `${project}.json`);
  rmSync(report, { force: true });
  const args = [
    'run',
    '--config',
    'test/vitest.config.ts',
    '--project',
    project,
    '--reporter',
    'default',
    '--reporter',
    'json',
    `--outputFile.json=${report}`,
  ];
  const failed = await run(bin('vitest'), args, { output: 'inherit' }).then(
    () => false,
    () => true,
  );
  const outcome = JSON.parse(readFileSync(report, 'utf8'));
  const { numPassedTests, numFailedTests, numTotalTestSuites, numFailedTestSuites } = outcome;
  recordVitestFailures(outcome.testResults);
  const lost = failed && numFailedTests === 0 ? Math.max(1, numFailedTestSuites) : 0;
  return [numTotalTestSuites === 0 ? 0 : numPassedTests, numFailedTests + lost];
}

function recordVitestFailures(files) {
  for (const file of files) {
    const failed = file.assertionResults.filter((test) => test.status === 'failed');
    for (const test of failed)
      recordFailure(`${file.name}: ${test.fullName}`, test.failureMessages.join('\n'));
    if (failed.length === 0 && file.status === 'failed') recordFailure(file.name, file.message);
  }
}

async function typesOfAddonAreFresh() {
  const file = join(root, 'packages', 'engine', 'native.d.ts');
  await run('git', ['diff', '--exit-code', '--', file], { output: 'inherit' });
}

try {
  mkdirSync(out, { recursive: true });
  await setUp();
  await buildOracle();
} catch (error) {
  process.stdout.write(`${error.message}\n0 passed, 1 failed\n`);
  process.exit(1);
}
await check('format and lint (TypeScript)', () =>
  run(bin('biome'), ['check', '--error-on-warnings', '.'], { output: 'inherit' }),
);
await check('format (Rust)', () =>
  run('cargo', ['fmt', '--all', '--check'], { cwd: native, output: 'inherit' }),
);
await check('lint (Rust)', () =>
  run('cargo', ['clippy', '--workspace', '--all-targets', '--locked', '--', '-D', 'warnings'], {
    cwd: native,
    output: 'inherit',
  }),
);
await check('types of the addon are the committed ones', typesOfAddonAreFresh);
await runner('Rust tests', () => cargoTest(['--workspace', '--no-fail-fast']));
const bindir = clientPrograms();
if (bindir === undefined)
  process.stdout.write('\n== no Postgres with client programs here: the busy source is not tested\n');
else
  await runner('busy source', () =>
    cargoTest(['--package', 'offshoot-engine', '--test', 'busy_source', '--', '--ignored'], {
      OFFSHOOT_TEST_PG_BINDIR: bindir,
    }),
  );
await runner('unit tests', () => vitest('unit'));
await runner('end-to-end tests', () => vitest('e2e'));
await runner('redo oracle', () => vitest('oracle'));
await check('bench smoke', () =>
  run(process.execPath, ['bench/dist/main.js', '--smoke'], { output: 'inherit' }),
);
if (failures.length > 0) process.stdout.write(`\n== what failed\n${failures.join('\n')}\n`);
process.stdout.write(`\n${summary.join('\n')}\n\n${total.passed} passed, ${total.failed} failed\n`);
process.exit(total.failed === 0 ? 0 : 1);
