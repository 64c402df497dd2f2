import {
  ControlPlane,
  gatewayMetrics,
  gatewayObserver,
  type Metrics,
  pageServiceMetrics,
} from '@offshoot/control';
import { GatewayCounters } from '@offshoot/gateway';
import { PageServiceCounters } from '@offshoot/pageserver';

/** All metrics that there are, by name. Nothing of it is open: what cannot be read has a name all the same. */
export function emptyMetrics(): Metrics {
  const { metrics } = new ControlPlane({ pageServer: {}, driver: {}, facts: {} } as never);
  metrics.add(pageServiceMetrics({ counters: new PageServiceCounters(), bytesInFlight: 0 }));
  metrics.add(gatewayMetrics({ counters: new GatewayCounters(), bytesHeld: 0 }));
  gatewayObserver(metrics);
  return metrics;
}
