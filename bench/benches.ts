import type { Bench } from './bench.js';

/** Every bench, in the order in which they run. */
export const benches: readonly Bench[] = [];
