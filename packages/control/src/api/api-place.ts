import type { ControlPlane } from '../control-plane.js';
import type { BranchMaker } from './branch-maker.js';
import type { DumpLoader } from './dump-loader.js';
import type { KeyedCalls } from './keyed-calls.js';
import type { OpenApiDocument } from './openapi.js';

/** What the work of routes is done with. */
export interface ApiPlace {
  readonly control: ControlPlane;
  readonly maker: BranchMaker;
  readonly dumps: DumpLoader;
  readonly keyed: KeyedCalls;
  /** Told of what is not the caller's doing: the metrics' readers. */
  readonly onFailure: (error: unknown) => void;
  readonly document: () => OpenApiDocument;
}
