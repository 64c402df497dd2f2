export { type BranchAt, parseBranchAt } from './branch-at.js';
export { type BranchPoint, findBranchPoint, type Parent } from './find-branch-point.js';
export { formatMicros } from './moment.js';
export { parentOf } from './parent-of.js';
