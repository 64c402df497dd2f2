export { type ApiOptions, buildApi } from './api/build-api.js';
export { ControlPlane, type ControlPlaneOptions, type DaemonFacts } from './control-plane.js';
export { type Family, type MetricGroup, Metrics, pageServiceMetrics, type Sample } from './metrics/index.js';
export { toProblem } from './problem.js';
