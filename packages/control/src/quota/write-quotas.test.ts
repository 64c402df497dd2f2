import type { RunningCompute, WriteRefusal } from '@offshoot/compute';
import type { BranchId } from '@offshoot/pageserver';
import { expect, test } from 'vitest';
import { quotaDefaults, WriteQuotas, writeRefusalOf } from './write-quotas.js';

const MIB = 1024 ** 2;

test('a refusal says what was written, what may be, and what to do', () => {
  expect(writeRefusalOf({ name: 'b', quotaBytes: 0, writtenBytes: 10 ** 15 })).toBeUndefined();
  expect(writeRefusalOf({ name: 'b', quotaBytes: 10, writtenBytes: 9 })).toBeUndefined();
  expect(writeRefusalOf({ name: 'b', quotaBytes: 10 * MIB, writtenBytes: 10.5 * MIB })).toEqual({
    message: 'branch b has written 10.5MiB and has reached its write quota of 10MiB',
    hint: expect.stringContaining('pageserver-ctl branch update b --write-quota 20MiB'),
  });
});

test('each compute is told once when its branch reaches its quota, and once when that is raised', () => {
  const said: string[] = [];
  const branch = { name: 'b', quotaBytes: 100, writtenBytes: 50 };
  let computes = ['c1'];
  const awake = () =>
    computes.map((id) => ({
      branch: 'x' as BranchId,
      running: {
        id,
        refuseWrites: (refusal: WriteRefusal | undefined) => {
          if (id === 'gone') throw new Error('no such file');
          said.push(`${id} ${refusal === undefined ? 'taken' : 'refused'}`);
        },
      } as RunningCompute,
    }));
  const settings = { ...quotaDefaults, writeBytesMax: 0, checkMs: 1_000_000 };
  const quotas = new WriteQuotas({ awake, branch: () => branch }, settings);
  const saidNow = () => {
    quotas.check();
    quotas.check();
    return said.splice(0);
  };
  expect(saidNow()).toEqual(['c1 taken']);
  branch.writtenBytes = 100;
  expect(saidNow()).toEqual(['c1 refused']);
  computes = ['gone', 'c2'];
  expect(saidNow()).toEqual(['c2 refused']);
  branch.quotaBytes = 200;
  expect(saidNow()).toEqual(['c2 taken']);
  branch.quotaBytes = 0;
  expect(saidNow()).toEqual([]);
  quotas.close();
});
