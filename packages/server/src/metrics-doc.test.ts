import { readFileSync } from 'node:fs';
import { ControlPlane, gatewayMetrics, gatewayObserver, pageServiceMetrics } from '@offshoot/control';
import { GatewayCounters } from '@offshoot/gateway';
import { PageServiceCounters } from '@offshoot/pageserver';
import { expect, test } from 'vitest';

const text = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8');

test('docs/operations.md lists every metric with its kind, and no other', async () => {
  // Nothing of it is open: what cannot be read has a name all the same.
  const { metrics } = new ControlPlane({ pageServer: {}, driver: {}, facts: {} } as never);
  metrics.add(pageServiceMetrics({ counters: new PageServiceCounters(), bytesInFlight: 0 }));
  metrics.add(gatewayMetrics({ counters: new GatewayCounters(), bytesHeld: 0 }));
  gatewayObserver(metrics);
  const shown = await metrics.text(() => {});
  const own = [...shown.matchAll(/^# TYPE (offshoot_\w+ \w+)$/gm)].map(([, each]) => each);
  const documented = [...text.matchAll(/^\| `(offshoot_\w+)` \| (\w+) \| ./gm)].map(
    (row) => `${row[1]} ${row[2]}`,
  );
  expect(own.length).toBeGreaterThan(30);
  expect(documented.sort()).toEqual(own.sort());
});
