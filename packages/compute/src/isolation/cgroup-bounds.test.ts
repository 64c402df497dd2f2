import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CgroupBounds } from './cgroup-bounds.js';

const size = { cpuMin: 0.25, cpuMax: 2, memoryBytes: 2 ** 30 };
/** No process has this id: what is said to the kernel about it fails as about one that has just ended. */
const NOBODY = 2 ** 22 + 1;

let group: string;
let told: string[];

beforeEach(() => {
  group = mkdtempSync(join(tmpdir(), 'offshoot-cgroup-'));
  told = [];
});

afterEach(() => rmSync(group, { recursive: true }));

function bounds(): CgroupBounds {
  return new CgroupBounds(group, NOBODY, size, {
    processesMax: 10,
    onTrouble: (message, { file }) => told.push(`${message}: ${String(file).slice(group.length + 1)}`),
  });
}

/** What cannot be written or read, whoever does it. */
const block = (file: string) => mkdirSync(join(group, file));
const unblock = (file: string) => rmSync(join(group, file), { recursive: true });

test('what the kernel does not take is told of once, until it takes it again', () => {
  block('cpu.weight');
  const subject = bounds();
  for (const cores of [1, 0.5, 0.25]) subject.setShare(cores);
  expect(told).toEqual(['a bound of a compute could not be set: cpu.weight']);
  unblock('cpu.weight');
  subject.setShare(1);
  expect(readFileSync(join(group, 'cpu.weight'), 'utf8')).toBe('100');
  expect(told).toHaveLength(1);
  rmSync(join(group, 'cpu.weight'));
  block('cpu.weight');
  subject.setShare(2);
  expect(told).toHaveLength(2);
});

test('a share that was not taken is set again at the next look, though it is the same', () => {
  block('cpu.weight');
  const subject = bounds();
  subject.setShare(1);
  unblock('cpu.weight');
  subject.setShare(1);
  expect(readFileSync(join(group, 'cpu.weight'), 'utf8')).toBe('100');
});

test('what cannot be read is told of once; what a kernel has not, never', () => {
  const subject = bounds();
  expect(subject.look()).toBeUndefined();
  expect(told).toEqual([]);
  block('cpu.stat');
  subject.look();
  subject.look();
  expect(told).toEqual(['what a compute uses could not be read: cpu.stat']);
  unblock('cpu.stat');
  writeFileSync(join(group, 'cpu.stat'), 'usage_usec 2000000\n');
  expect(subject.look()).toMatchObject({ cpuSeconds: 2 });
});
