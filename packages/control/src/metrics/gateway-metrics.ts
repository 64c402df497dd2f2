import { connectPhases, type Gateway, type GatewayObserver } from '@offshoot/gateway';
import { type Family, type MetricGroup, type Metrics, type Sample, samplesBy } from './metrics.js';

const families = {
  offshoot_gateway_connections: { kind: 'gauge', help: "Clients' connections, whatever they are at" },
  offshoot_gateway_connections_served: { kind: 'gauge', help: 'Those that are handed over to a compute' },
  offshoot_gateway_parked: { kind: 'gauge', help: 'Those that wait for their branch' },
  offshoot_gateway_held_bytes: { kind: 'gauge', help: 'Bytes held for a side that does not take them yet' },
  offshoot_gateway_connections_total: { kind: 'counter', help: 'Connections accepted' },
  offshoot_gateway_refused_total: {
    kind: 'counter',
    help: 'Clients that were told an error before they were served; "compute": by their Postgres',
    labels: ['sqlstate'],
  },
  offshoot_gateway_turned_away_total: { kind: 'counter', help: 'Closed without a word: too many at once' },
  offshoot_gateway_left_total: { kind: 'counter', help: 'Clients that left before they were served' },
  offshoot_gateway_splices_total: {
    kind: 'counter',
    help: 'Connections that were handed over, by what passes their bytes',
    labels: ['by'],
  },
  offshoot_gateway_reopens_total: {
    kind: 'counter',
    help: 'Branches opened again, since the compute had ended or took no connection',
  },
  offshoot_gateway_cancels_total: {
    kind: 'counter',
    help: 'Cancel requests',
    labels: ['outcome'],
  },
  offshoot_gateway_received_bytes_total: { kind: 'counter', help: 'Bytes passed on from clients' },
  offshoot_gateway_sent_bytes_total: { kind: 'counter', help: 'Bytes passed on to clients' },
} satisfies Record<string, Family>;

/** What the gateway has counted since its start. */
export function gatewayMetrics(
  gateway: Pick<Gateway, 'counters' | 'bytesHeld'>,
): MetricGroup<keyof typeof families> {
  const one = (value: number): Sample[] => [{ value }];
  return {
    name: 'gateway',
    families,
    read: () => {
      const { counters, bytesHeld } = gateway;
      return {
        offshoot_gateway_connections: one(counters.connectionsOpen),
        offshoot_gateway_connections_served: one(counters.connectionsSpliced),
        offshoot_gateway_parked: one(counters.parked),
        offshoot_gateway_held_bytes: one(bytesHeld),
        offshoot_gateway_connections_total: one(counters.connectionsTotal),
        offshoot_gateway_refused_total: samplesBy('sqlstate', counters.refused),
        offshoot_gateway_turned_away_total: one(counters.turnedAway),
        offshoot_gateway_left_total: one(counters.left),
        offshoot_gateway_splices_total: samplesBy('by', counters.splices),
        offshoot_gateway_reopens_total: one(counters.reopened),
        offshoot_gateway_cancels_total: samplesBy('outcome', {
          forwarded: counters.cancelsForwarded,
          unknown: counters.cancelsUnknown,
        }),
        offshoot_gateway_received_bytes_total: one(counters.bytesFromClients),
        offshoot_gateway_sent_bytes_total: one(counters.bytesToClients),
      };
    },
  };
}

/** Tells the metrics how long each phase of a connection's way took, and how those that were served have ended. */
export function gatewayObserver(metrics: Metrics): Pick<GatewayObserver, 'handedOver' | 'ended'> {
  const phases = metrics.durations({
    name: 'offshoot_gateway_phase_seconds',
    help: 'Phases of the way of connections that were served',
    labels: ['phase'],
  });
  const served = metrics.durations({
    name: 'offshoot_gateway_session_seconds',
    help: 'From accept to the end, of connections that were served',
    labels: ['by', 'how'],
  });
  return {
    handedOver: (timings) => {
      for (const phase of connectPhases) phases({ phase }, timings[phase]);
    },
    ended: ({ by, how, durationMs }) => served({ by, how }, durationMs),
  };
}
