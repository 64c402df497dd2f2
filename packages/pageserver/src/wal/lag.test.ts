import type { Lsn } from '@offshoot/types';
import { expect, test } from 'vitest';
import { Lag } from './lag.js';

const lsn = (value: number) => BigInt(value) as Lsn;

test('knows nothing before the source has spoken', () => {
  const lag = new Lag();
  expect(lag.bytes(lsn(100))).toBeUndefined();
  expect(lag.seconds(lsn(100), 'hears', 0)).toBeUndefined();
});

test('counts bytes, and the age of the oldest WAL that is missing', () => {
  const lag = new Lag();
  lag.sourceAt(lsn(1000), lsn(1000), 0);
  expect([lag.bytes(lsn(1000)), lag.seconds(lsn(1000), 'hears', 60_000)]).toEqual([0, 0]);
  lag.sourceAt(lsn(2000), lsn(1000), 70_000);
  lag.sourceAt(lsn(3000), lsn(1000), 75_000);
  expect([lag.bytes(lsn(1000)), lag.seconds(lsn(1000), 'hears', 80_000)]).toEqual([2000, 10]);
  expect([lag.bytes(lsn(2000)), lag.seconds(lsn(2000), 'hears', 80_000)]).toEqual([1000, 5]);
  expect([lag.bytes(lsn(3500)), lag.seconds(lsn(3500), 'hears', 80_000)]).toEqual([0, 0]);
});

test('grows while the source is out of reach', () => {
  const lag = new Lag();
  lag.sourceAt(lsn(1000), lsn(1000), 5000);
  expect(lag.seconds(lsn(1000), 'hears-not', 65_000)).toBe(60);
});

test('keeps a bounded number of samples, the oldest among them', () => {
  const lag = new Lag();
  for (let second = 0; second < 10_000; second++) lag.sourceAt(lsn(1000 + second), lsn(1), second * 1000);
  expect(lag.seconds(lsn(1), 'hears', 10_000_000)).toBe(10_000);
  expect(lag.bytes(lsn(1))).toBe(10_998);
});
