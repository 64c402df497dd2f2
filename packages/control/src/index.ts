export { type ApiOptions, buildApi } from './api/build-api.js';
export { ControlPlane, type ControlPlaneOptions, type DaemonFacts } from './control-plane.js';
export { toProblem } from './problem.js';
