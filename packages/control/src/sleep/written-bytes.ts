import type { RunningCompute } from '@offshoot/compute';
import type { BranchUse } from '@offshoot/pageserver';
import type { Lsn } from '@offshoot/types';

/** Of a compute that has just started: all that former ones wrote ends at its base LSN. */
export function walFrom(
  before: BranchUse['wal'],
  { baseLsn, walStart }: Pick<RunningCompute, 'baseLsn' | 'walStart'>,
): NonNullable<BranchUse['wal']> {
  return { bytesBefore: before === undefined ? 0 : writtenBytes(before, baseLsn), startLsn: walStart };
}

/** WAL written on a branch whose last record ends at `end`. */
export function writtenBytes({ bytesBefore, startLsn }: NonNullable<BranchUse['wal']>, end: Lsn): number {
  // One that has written nothing yet left the end where it was, before its start.
  return bytesBefore + (end > startLsn ? Number(end - startLsn) : 0);
}
