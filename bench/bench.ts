/** One measured number. `name` is `bench/what`; more fields say under which conditions it was measured. */
export interface Measurement {
  name: string;
  unit: 'ms' | 's' | 'MB/s' | 'pages/s' | 'records/s' | 'tx/s' | 'branches/s' | 'bytes' | 'ratio';
  value: number;
  [condition: string]: string | number;
}

/** Full size for numbers to quote; smoke size proves in a few seconds that the bench still works. */
export type BenchSize = 'full' | 'smoke';

export interface BenchContext {
  size: BenchSize;
  /** A fresh directory that any OS user may pass through; removed afterwards. */
  directory: string;
  /** Says what is going on; not part of the result. */
  remark(text: string): void;
}

export interface Bench {
  name: string;
  /** What it measures and against whom, in a line. */
  about: string;
  /**
   * Asserts that all sides gave equal results before it times anything. Answers the measurements and a hash of
   * the results that were compared, equal in every run of one size.
   */
  run(context: BenchContext): Promise<{ measurements: Measurement[]; resultHash: string }>;
}
