import type { PageService } from '@offshoot/pageserver';
import { type Family, type MetricGroup, samplesBy } from './metrics.js';

const families = {
  offshoot_page_service_connections: { kind: 'gauge', help: 'Open connections' },
  offshoot_page_service_in_flight_bytes: {
    kind: 'gauge',
    help: 'Answers being made or waiting to be written',
  },
  offshoot_page_service_connections_accepted_total: { kind: 'counter', help: 'Connections accepted' },
  offshoot_page_service_connections_refused_total: { kind: 'counter', help: 'Connections refused' },
  offshoot_page_service_received_bytes_total: { kind: 'counter', help: 'Bytes read from clients' },
  offshoot_page_service_sent_bytes_total: { kind: 'counter', help: 'Bytes written to clients' },
  offshoot_page_service_requests_total: {
    kind: 'counter',
    help: 'Requests handed to the engine',
    labels: ['request'],
  },
  offshoot_page_service_commands_total: { kind: 'counter', help: 'Commands begun', labels: ['command'] },
  offshoot_page_service_errors_total: {
    kind: 'counter',
    help: 'Errors that clients were told',
    labels: ['code'],
  },
} satisfies Record<string, Family>;

/** What the page service has counted since its start. */
export function pageServiceMetrics(
  service: Pick<PageService, 'counters' | 'bytesInFlight'>,
): MetricGroup<keyof typeof families> {
  return {
    name: 'page_service',
    families,
    read: () => {
      const { counters, bytesInFlight } = service;
      return {
        offshoot_page_service_connections: [{ value: counters.connectionsOpen }],
        offshoot_page_service_in_flight_bytes: [{ value: bytesInFlight }],
        offshoot_page_service_connections_accepted_total: [{ value: counters.connectionsAccepted }],
        offshoot_page_service_connections_refused_total: [{ value: counters.connectionsRefused }],
        offshoot_page_service_received_bytes_total: [{ value: counters.bytesReceived }],
        offshoot_page_service_sent_bytes_total: [{ value: counters.bytesSent }],
        offshoot_page_service_requests_total: samplesBy('request', counters.requests),
        offshoot_page_service_commands_total: samplesBy('command', counters.commands),
        offshoot_page_service_errors_total: samplesBy('code', counters.errors),
      };
    },
  };
}
