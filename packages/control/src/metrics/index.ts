export { computeMetrics } from './compute-metrics.js';
export { gatewayMetrics, gatewayObserver } from './gateway-metrics.js';
export { limitMetrics } from './limit-metrics.js';
export { type Family, type MetricGroup, Metrics, type Sample } from './metrics.js';
export { pageServiceMetrics } from './page-service-metrics.js';
export { receiverMetrics } from './receiver-metrics.js';
export { retentionMetrics } from './retention-metrics.js';
export { storeMetrics } from './store-metrics.js';
export { wakeMetrics, wakeObserver } from './wake-metrics.js';
