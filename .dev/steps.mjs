// The set-up that `npm start`, `npm test` and `npm run bench` share. Each step keeps a stamp of what it
// was made from, so that a second run rebuilds only what has changed.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { setPriority } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamps = join(root, '.dev', 'stamps');
const skipped = new Set(['node_modules', 'dist', 'target', '.git', 'stamps', 'out']);

function filesUnder(path) {
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => !skipped.has(entry.name))
    .flatMap((entry) => {
      const full = join(path, entry.name);
      return entry.isDirectory() ? filesUnder(full) : [full];
    })
    .sort();
}

function digest(files, salt) {
  const hash = createHash('sha256').update(salt);
  for (const file of files)
    hash.update(relative(root, file)).update('\0').update(readFileSync(file)).update('\0');
  return hash.digest('hex');
}

const pipes = ['ignore', 'pipe', 'pipe'];
const stdioOf = { inherit: 'inherit', stderr: ['ignore', 2, 2], capture: pipes, keep: pipes };

/**
 * Runs a command in `cwd`; rejects with its name and exit code when it fails. Output: 'inherit', 'stderr', 'capture'
 * (shown and answered) or 'keep' (answered only). `niceness`: of it and what it starts, 0 to 19.
 */
export function run(command, args, options = {}) {
  const { cwd = root, output = 'stderr', env = process.env, niceness = 0 } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: stdioOf[output] });
    if (niceness > 0 && child.pid !== undefined) setPriority(child.pid, niceness);
    let text = '';
    const keep = (stream, to) =>
      stream?.on('data', (chunk) => {
        text += chunk;
        if (output === 'capture') to.write(chunk);
      });
    keep(child.stdout, process.stdout);
    keep(child.stderr, process.stderr);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(text);
      const error = new Error(`${command} ${args.join(' ')} ended with ${signal ?? `exit code ${code}`}`);
      reject(Object.assign(error, { text, code }));
    });
  });
}

async function stamped(name, inputs, outputs, work) {
  const stamp = join(stamps, name);
  const now = digest(inputs, `${process.version} ${process.arch} ${rustVersion()}`);
  const fresh =
    existsSync(stamp) && readFileSync(stamp, 'utf8') === now && outputs.every((path) => existsSync(path));
  if (fresh) return;
  const began = Date.now();
  process.stderr.write(`set-up: ${name} …\n`);
  await work();
  mkdirSync(stamps, { recursive: true });
  writeFileSync(stamp, now);
  process.stderr.write(`set-up: ${name} done in ${((Date.now() - began) / 1000).toFixed(1)} s\n`);
}

let rust;
function rustVersion() {
  rust ??= spawnSync('rustc', ['--version'], { encoding: 'utf8' }).stdout ?? '';
  return rust;
}

function checkTools() {
  const missing = [];
  if (Number(process.versions.node.split('.')[0]) < 20)
    missing.push(`Node.js >= 20 (this is ${process.version})`);
  const has = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
  if (!has('cargo') || !has('rustc'))
    missing.push('a Rust toolchain (cargo and rustc on PATH; https://rustup.rs)');
  if (!has(process.env.CC ?? 'cc'))
    missing.push('a C compiler (cc on PATH; on Debian: apt-get install gcc libc6-dev)');
  if (missing.length > 0) throw new Error(`set-up needs ${missing.join(', and ')}`);
}

async function installPackages() {
  const manifests = filesUnder(root).filter((file) =>
    /(^|\/)(package\.json|pnpm-lock\.yaml|pnpm-workspace\.yaml)$/.test(file),
  );
  const pnpm = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).packageManager;
  await stamped('packages', manifests, [join(root, 'node_modules', '.modules.yaml')], () =>
    run('npx', ['-y', pnpm, 'install', '--frozen-lockfile', '--prefer-offline'], {
      env: { ...process.env, CI: 'true' },
    }),
  );
}

async function buildNative() {
  const sources = filesUnder(join(root, 'native')).concat(join(root, 'packages', 'engine', 'package.json'));
  const addon = join(root, 'packages', 'engine', 'native.node');
  const preload = join(root, 'packages', 'compute', 'native', 'liboffshoot_preload.so');
  await stamped('native', sources, [addon, preload], async () => {
    await run('npm', ['run', '--silent', 'build:native'], { cwd: join(root, 'packages', 'engine') });
    await run('cargo', ['build', '--release', '--locked', '-p', 'offshoot-preload'], {
      cwd: join(root, 'native'),
    });
    mkdirSync(dirname(preload), { recursive: true });
    // Renamed into place: a running compute may have the old library mapped.
    copyFileSync(join(targetDirectory(), 'release', 'liboffshoot_preload.so'), `${preload}.new`);
    renameSync(`${preload}.new`, preload);
  });
}

/** The program that judges redo by Postgres' own page images; only tests need it. */
export async function buildOracle() {
  const crates = ['oracle', 'redo', 'wal', 'layout'].flatMap((name) =>
    filesUnder(join(root, 'native', name)),
  );
  const sources = crates.concat(['Cargo.toml', 'Cargo.lock'].map((name) => join(root, 'native', name)));
  await stamped('oracle', sources, [join(targetDirectory(), 'release', 'oracle')], () =>
    run('cargo', ['build', '--release', '--locked', '-p', 'offshoot-oracle'], { cwd: join(root, 'native') }),
  );
}

/** Where cargo puts what it builds: CARGO_TARGET_DIR, else native/target. */
export function targetDirectory() {
  return process.env.CARGO_TARGET_DIR ?? join(root, 'native', 'target');
}

/** Everything that a fresh clone needs before anything of it can run. */
export async function setUp() {
  checkTools();
  await installPackages();
  await buildNative();
  await run(join(root, 'node_modules', '.bin', 'tsc'), ['-b']);
}
