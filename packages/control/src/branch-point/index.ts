export { type BranchAt, isSamePlace, NEWEST_CHECKPOINT, parseBranchAt } from './branch-at.js';
export { type BranchPoint, findBranchPoint, type Parent } from './find-branch-point.js';
export { formatMicros } from './moment.js';
export { type ParentBranch, parentOf } from './parent-of.js';
