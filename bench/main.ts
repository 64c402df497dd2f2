import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Bench, BenchSize } from './bench.js';
import { benches } from './benches.js';

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
  for (const bench of chosen) await runOne(bench, values.smoke ? 'smoke' : 'full');
  return 0;
}

process.exitCode = await main();
