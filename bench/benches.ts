import type { Bench } from './bench.js';
import { branchCreate } from './suite/branch-create.js';
import { branchDepth } from './suite/branch-depth.js';
import { branchScale } from './suite/branch-scale.js';
import { coldScan } from './suite/cold-scan.js';
import { durableTpcb } from './suite/durable-tpcb.js';
import { forkToFirstRow } from './suite/fork-to-first-row.js';
import { gatewayBench } from './suite/gateway.js';
import { gatewayCopy } from './suite/gateway-copy.js';
import { getpage } from './suite/getpage.js';
import { importBench } from './suite/import.js';
import { ingestBench } from './suite/ingest.js';
import { ingestMemory } from './suite/ingest-memory.js';
import { manyBranches } from './suite/many-branches.js';
import { pageHistory } from './suite/page-history.js';
import { runaway } from './suite/runaway.js';
import { wake } from './suite/wake.js';
import { warmPgbench } from './suite/warm-pgbench.js';

/** Every bench, in the order in which they run. */
export const benches: readonly Bench[] = [
  forkToFirstRow,
  wake,
  manyBranches,
  getpage,
  branchCreate,
  branchScale,
  branchDepth,
  importBench,
  coldScan,
  warmPgbench,
  ingestBench,
  ingestMemory,
  pageHistory,
  durableTpcb,
  gatewayBench,
  gatewayCopy,
  runaway,
];
