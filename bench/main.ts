import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Bench, BenchSize } from './bench.js';
import { benches } from './benches.js';

const SMOKE_AT_ONCE = 2;

const usage = `Usage: npm run bench -- [NAME …] [--smoke]
Without a name: every bench. Results are JSON lines on stdout, remarks on stderr.

${benches.map((bench) => `  ${bench.name.padEnd(20)}${bench.about}`).join('\n')}
`;

async function runOne(bench: Bench, size: BenchSize): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'offshoot-bench-'));
  chmodSync(directory, 0o755);
  const remark = (text: string) => process.stderr.write(`${bench.name}: ${text}\n`);
  try {
    const { measurements, resultHash } = await bench.run({ size, directory, remark });
    if (measurements.length === 0) throw new Error(`${bench.name} measured nothing`);
    for (const measurement of measurements) {
      if (!Number.isFinite(measurement.value)) throw new Error(`${measurement.name} is not a number`);
      process.stdout.write(`${JSON.stringify({ ...measurement, size, result_hash: resultHash })}\n`);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** One at a time: nothing else is to be measured with it. */
async function runFull(chosen: readonly Bench[]): Promise<void> {
  for (const bench of chosen) await runOne(bench, 'full');
}

/** Side by side, since of a smoke size only results count, and most of its time is waiting. */
async function runSmoke(chosen: readonly Bench[]): Promise<void> {
  const left = [...chosen];
  const worker = async () => {
    for (let bench = left.shift(); bench !== undefined; bench = left.shift()) await runOne(bench, 'smoke');
  };
  // A bench that fails does not cut off another one, which has a directory and processes to clear away.
  const ends = await Promise.allSettled(Array.from({ length: SMOKE_AT_ONCE }, worker));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { smoke: { type: 'boolean' }, help: { type: 'boolean' } },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const unknown = positionals.filter((name) => !benches.some((bench) => bench.name === name));
  if (unknown.length > 0) {
    process.stderr.write(`no bench is called ${unknown.join(', ')}\n\n${usage}`);
    return 2;
  }
  const chosen =
    positionals.length === 0 ? benches : benches.filter(({ name }) => positionals.includes(name));
  await (values.smoke ? runSmoke(chosen) : runFull(chosen));
  return 0;
}

process.exitCode = await main();
