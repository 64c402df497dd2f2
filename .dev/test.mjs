// `npm test`: everything that a change must pass, and one line at the end that sums up all runners.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { delimiter, join, relative } from 'node:path';
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
  recordTime(name, passed, failed, (Date.now() - began) / 1000);
}

function recordTime(name, passed, failed, seconds) {
  total.passed += passed;
  total.failed += failed;
  summary.push(
    `${failed === 0 ? 'ok  ' : 'FAIL'} ${name} (${passed} passed, ${failed} failed, ${seconds.toFixed(0)} s)`,
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

/** All projects in one run, so that no worker is idle before all is done; a summary for each. */
async function vitest() {
  const began = Date.now();
  process.stdout.write('\n== unit tests, end-to-end tests, redo oracle\n');
  const report = join(out, 'vitest.json');
  rmSync(report, { force: true });
  const reporters = ['--reporter', 'default', '--reporter', 'json', `--outputFile.json=${report}`];
  const args = ['run', '--config', 'test/vitest.config.ts', ...reporters];
  const end = await run(bin('vitest'), args, { output: 'inherit' }).catch((error) => error);
  if (!existsSync(report)) {
    recordFailure('vitest', end.message ?? 'there is no report');
    return record('vitest', 0, 1, began);
  }
  const outcome = JSON.parse(readFileSync(report, 'utf8'));
  recordVitestFailures(outcome.testResults);
  let failedOfAll = 0;
  for (const [name, isOfIt] of Object.entries(groups)) {
    const files = outcome.testResults.filter((file) => isOfIt(relative(root, file.name)));
    const [passed, failed] = countVitest(files);
    failedOfAll += failed;
    recordTime(name, passed, failed, secondsOf(files));
  }
  // It failed, and no test did.
  if (end instanceof Error && failedOfAll === 0) {
    recordFailure('vitest', end.message);
    record('vitest', 0, 1, began);
  }
}

const isOracle = (path) => path.startsWith(join('test', 'oracle'));
const isUnit = (path) => path.startsWith('packages');
const groups = {
  'unit tests': isUnit,
  'end-to-end tests': (path) => !isUnit(path) && !isOracle(path),
  'redo oracle': isOracle,
};

/** A file that failed without a failed test counts as one; so does a group of which nothing ran. */
function countVitest(files) {
  const sums = [0, files.length === 0 ? 1 : 0];
  for (const { assertionResults, status } of files) {
    const failed = assertionResults.filter((test) => test.status === 'failed').length;
    sums[0] += assertionResults.filter((test) => test.status === 'passed').length;
    sums[1] += failed === 0 && status === 'failed' ? 1 : failed;
  }
  return sums;
}

/** What its files took, one after the other; they ran side by side. */
function secondsOf(files) {
  return files.reduce((sum, { startTime, endTime }) => sum + (endTime - startTime) / 1000, 0);
}

function recordVitestFailures(files) {
  for (const file of files) {
    const failed = file.assertionResults.filter((test) => test.status === 'failed');
    for (const test of failed)
      recordFailure(`${file.name}: ${test.fullName}`, test.failureMessages.join('\n'));
    if (failed.length === 0 && file.status === 'failed') recordFailure(file.name, file.message);
  }
}

/**
 * Compiles while the tests above run, with what they leave of the machine. Answers the lint's end; the Rust tests are
 * built behind it.
 */
function compileMeanwhile() {
  const cargo = (...args) => run('cargo', args, { cwd: native, output: 'keep', niceness: 10 });
  const settled = (promise) =>
    promise.then(
      (text) => ({ text }),
      (error) => ({ text: error.text ?? '', error }),
    );
  const lint = settled(cargo('clippy', '--workspace', '--all-targets', '--locked', '--', '-D', 'warnings'));
  // What fails here fails again, and is told, when they are run.
  const built = lint.then(() => settled(cargo('test', '--workspace', '--no-run', '--locked')));
  return { lint, built };
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
const { lint, built } = compileMeanwhile();
await check('types of the addon are the committed ones', typesOfAddonAreFresh);
await vitest();
await check('lint (Rust), done meanwhile', async () => {
  const { text, error } = await lint;
  if (error === undefined) return;
  throw new Error(`${error.message}\n${text.slice(Math.max(0, text.search(/^(error|warning)/m)))}`);
});
await built;
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
await check('bench smoke', () =>
  run(process.execPath, ['bench/dist/main.js', '--smoke'], { output: 'inherit' }),
);
if (failures.length > 0) process.stdout.write(`\n== what failed\n${failures.join('\n')}\n`);
process.stdout.write(`\n${summary.join('\n')}\n\n${total.passed} passed, ${total.failed} failed\n`);
process.exit(total.failed === 0 ? 0 : 1);
