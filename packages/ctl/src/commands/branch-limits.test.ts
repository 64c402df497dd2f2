import { expect, test } from 'vitest';
import { limitLines, parseCores, parseSize } from './branch-limits.js';

test.each([
  ['1', 1],
  ['512MiB', 512 * 1024 ** 2],
  ['512 MB', 512 * 1024 ** 2],
  ['4g', 4 * 1024 ** 3],
  ['1.5TiB', 1.5 * 1024 ** 4],
  ['10kB', 10_240],
])('%s is %i bytes', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(['', '0', '-1', 'GiB', '1XB', '1.5.5G', 'none', '2PiB', '1e3'])('%j is no size', (text) => {
  expect(() => parseSize(text)).toThrow(/write a size like/);
});

test.each(['0.25', '2', '1024'])('%s is a number of cores', (text) => {
  expect(parseCores(text)).toBe(Number(text));
});

test.each(['', '0', '0.001', '1025', '-1', 'two', '1e2', '50%'])('%j is none', (text) => {
  expect(() => parseCores(text)).toThrow(/write cores/);
});

test('size and quota in words', () => {
  const branch = {
    size: { cpu_min: 0.25, cpu_max: 2, memory_bytes: 2 ** 31 },
    write_quota_bytes: 0,
    writes: 'taken',
  } as Parameters<typeof limitLines>[0];
  expect(limitLines(branch)).toEqual([
    'cpu       0.25 to 2 cores',
    'memory    2.0 GB',
    'written   unknown, no quota',
  ]);
  const usage = { cpu_share: 0.5, cpu_used: 0.1, memory_bytes: 2 ** 24, processes: 7 };
  const full = { write_quota_bytes: 2 ** 30, written_bytes: 2 ** 30, writes: 'refused' as const };
  expect(limitLines({ ...branch, ...full, usage })).toEqual([
    'cpu       0.25 to 2 cores, its share is 0.5 now, 0.1 in use',
    'memory    2.0 GB, 16 MB in use by 7 processes',
    'written   1.0 GB, its quota is 1.0 GB; nothing more can be written until it is raised',
  ]);
});
