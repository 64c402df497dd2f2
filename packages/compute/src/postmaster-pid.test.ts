import { describe, expect, test } from 'vitest';
import { parsePostmasterPid } from './postmaster-pid.js';

const whole = ['4711', '/data', '1763700000', '5432', '/run/x', '', '  5432001     32780', 'ready   ', ''];

describe('postmaster.pid', () => {
  test.each([
    [whole, { pid: 4711, sharedMemory: { key: 5432001, id: 32780 }, status: 'ready' }],
    [whole.slice(0, 7), { pid: 4711, sharedMemory: { key: 5432001, id: 32780 }, status: 'unknown' }],
    [whole.slice(0, 5), { pid: 4711, status: 'unknown' }],
    [whole.with(7, 'starting'), { pid: 4711, sharedMemory: { key: 5432001, id: 32780 }, status: 'starting' }],
    [whole.with(6, 'x'), { pid: 4711, status: 'ready' }],
    [whole.with(0, '-4711'), undefined],
    [whole.with(0, 'x'), undefined],
    [[''], undefined],
  ])('%j', (lines, parsed) => {
    expect(parsePostmasterPid(lines.join('\n'))).toEqual(parsed);
  });
});
