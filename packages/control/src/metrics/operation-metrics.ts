import { asOffshootError } from '@offshoot/types';
import type { Metrics } from './metrics.js';

/** What is done with branches. `expire`: one whose time is over is deleted. */
export const branchOperations = [
  'create',
  'update',
  'rename',
  'delete',
  'expire',
  'reset',
  'restore',
  'checkpoint',
] as const;

export type BranchOperation = (typeof branchOperations)[number];

/** Does something with a branch, and tells the metrics how long that took, or why it failed. */
export type OperationWatch = <T>(op: BranchOperation, work: () => Promise<T>) => Promise<T>;

export function operationWatch(metrics: Metrics): OperationWatch {
  const took = metrics.durations({
    name: 'offshoot_branch_operation_seconds',
    help: 'How long what was done with branches took, where it succeeded',
    labels: ['op'],
  });
  const failed = metrics.counter({
    name: 'offshoot_branch_operation_errors_total',
    help: 'What was to be done with branches and failed, by its error',
    labels: ['op', 'code'],
  });
  return async (op, work) => {
    const began = performance.now();
    try {
      const result = await work();
      took({ op }, performance.now() - began);
      return result;
    } catch (error) {
      failed({ op, code: asOffshootError(error).code });
      throw error;
    }
  };
}
