import { GatewayCounters } from '@offshoot/gateway';
import { describe, expect, test, vi } from 'vitest';
import { ControlFixture } from '../testing/control-fixture.js';
import { gatewayMetrics, gatewayObserver } from './gateway-metrics.js';
import { type MetricGroup, Metrics } from './metrics.js';

const noFailure = (error: unknown) => {
  throw error;
};

const counts = (read: MetricGroup<'a_total' | 'b'>['read']): MetricGroup<'a_total' | 'b'> => ({
  name: 'counts',
  families: {
    a_total: { kind: 'counter', help: 'how often', labels: ['of'] },
    b: { kind: 'gauge', help: 'how many' },
  },
  read,
});

describe('metrics', () => {
  test('are read anew each time, and what is gone is gone', async () => {
    const metrics = new Metrics();
    const seen = new Map([['x"y', 3]]);
    metrics.add(
      counts(async () => ({
        a_total: [...seen].map(([of, value]) => ({ labels: { of }, value })),
        b: [{ value: seen.size }],
      })),
    );
    const text = await metrics.text(noFailure);
    expect(text).toContain('# TYPE a_total counter\na_total{of="x\\"y"} 3\n');
    expect(text).toContain('\nb 1\n');
    expect(text).toMatch(/^process_resident_memory_bytes \d+/m);
    seen.clear();
    const next = await metrics.text(noFailure);
    expect(next).not.toContain('a_total{');
    expect(next).toContain('\nb 0\n');
  });

  test('one group that cannot be read leaves the others, and is counted', async () => {
    const metrics = new Metrics();
    metrics.add(counts(() => Promise.reject(new Error('the store is gone'))));
    metrics.add({
      name: 'other',
      families: { other: { kind: 'gauge', help: 'is there' } },
      read: () => ({ other: [{ value: 7 }] }),
    });
    const failures: unknown[] = [];
    const text = await metrics.text((error) => failures.push(error));
    expect(text).toContain('\nother 7\n');
    expect(text).not.toMatch(/^b /m);
    expect(text).toContain('offshoot_metrics_failures_total{group="counts"} 1');
    expect(text).toContain('offshoot_metrics_failures_total{group="other"} 0');
    expect(failures).toEqual([new Error('the store is gone')]);
  });

  test('a histogram that somebody else counts is shown as Prometheus has it', async () => {
    const metrics = new Metrics();
    const read = vi.fn(() => ({
      h_seconds: [{ labels: { of: 'x' }, bounds: [0.1, 1], buckets: [3, 0, 2], sum: 7.5 }],
    }));
    metrics.addHistograms({ name: 'histograms', help: { h_seconds: 'how long' }, read });
    expect(await metrics.text(noFailure)).toContain(
      [
        '# TYPE h_seconds histogram',
        'h_seconds_bucket{le="0.1",of="x"} 3',
        'h_seconds_bucket{le="1",of="x"} 3',
        'h_seconds_bucket{le="+Inf",of="x"} 5',
        'h_seconds_sum{of="x"} 7.5',
        'h_seconds_count{of="x"} 5\n',
      ].join('\n'),
    );
    read.mockImplementation(() => {
      throw new Error('the store is gone');
    });
    const failures: unknown[] = [];
    const text = await metrics.text((error) => failures.push(error));
    expect(text).not.toContain('h_seconds_count');
    expect(text).toContain('offshoot_metrics_failures_total{group="histograms"} 1');
    expect(failures).toHaveLength(1);
    const again = { name: 'again', help: { h_seconds: 'how long' }, read: () => ({ h_seconds: [] }) };
    expect(() => metrics.addHistograms(again)).toThrow(/already/);
  });

  test('a name that is there already is refused', () => {
    const metrics = new Metrics();
    metrics.add(counts(() => ({ a_total: [], b: [] })));
    expect(() => metrics.add(counts(() => ({ a_total: [], b: [] })))).toThrow(/already/);
  });
});

test('a control plane tells of its tenants and computes, never of a single branch', async () => {
  await using fixture = await ControlFixture.open(['shop'], { broken: ['broken'] });
  const { control, driver } = fixture;
  await control.createBranch({ name: 'try-1', from: 'shop' });
  await control.createBranch({ name: 'try-2', from: 'shop' });
  await control.startCompute('try-1');
  await control.startCompute('try-2');
  driver.crash('c2', 'out of memory');
  await expect.poll(() => fixture.crashes).toHaveLength(1);
  const text = await control.metrics.text(noFailure);
  for (const line of [
    'offshoot_tenant_available{tenant="shop"} 1',
    'offshoot_tenant_available{tenant="broken"} 0',
    'offshoot_tenants{state="active"} 2',
    'offshoot_branches 4',
    'offshoot_computes{state="running"} 1',
    'offshoot_computes{state="crashed"} 1',
    'offshoot_compute_starts_total{outcome="succeeded"} 2',
    'offshoot_compute_starts_total{outcome="failed"} 0',
    'offshoot_compute_crashes_total 1',
    'offshoot_compute_wal_receivers{state="streaming"} 0',
  ]) {
    expect(text).toContain(`\n${line}\n`);
  }
  expect(text).toMatch(/^offshoot_store_used_bytes\{tenant="shop"\} [1-9]\d+$/m);
  expect(text).not.toContain('try-1');
});

test('wakes, failures and evictions are counted, and how long each phase took', async () => {
  await using fixture = await ControlFixture.open(['shop'], { computesMax: 1, wake: { busyLookMs: 10 } });
  const { control, driver } = fixture;
  for (const name of ['a', 'b', 'c']) await control.createBranch({ name, from: 'shop' });
  const signal = new AbortController().signal;
  const opened = [await control.open('a', { signal }), await control.open('a', { signal })];
  for (const each of opened) each.release();
  // There is room for one: `a` gives way.
  const b = await control.open('b', { signal });
  b.release();
  driver.startFailure = new Error('no memory');
  await expect(control.open('c', { signal })).rejects.toThrow('no memory');
  const text = await control.metrics.text(noFailure);
  for (const line of [
    'offshoot_branch_open_seconds_count{how="cold"} 2',
    'offshoot_branch_open_seconds_count{how="already_up"} 1',
    'offshoot_wake_phase_seconds_count{phase="total"} 2',
    'offshoot_wake_phase_seconds_count{phase="base_backup"} 2',
    'offshoot_wake_phase_seconds_sum{phase="first_query"} 0.002',
    'offshoot_wake_failures_total{phase="start",code="internal"} 1',
    'offshoot_evictions_total 2',
    'offshoot_compute_starts_total{outcome="succeeded"} 2',
    'offshoot_computes_max 1',
    'offshoot_wakes_waiting 0',
    'offshoot_branches_by_activity{state="asleep"} 4',
    'offshoot_branches_by_activity{state="awake"} 0',
  ]) {
    expect(text).toContain(`\n${line}\n`);
  }
});

test('what the gateway tells is counted by a few words', async () => {
  const metrics = new Metrics();
  const counters = new GatewayCounters();
  metrics.add(gatewayMetrics({ counters, bytesHeld: 5 }));
  const observer = gatewayObserver(metrics);
  counters.connectionsOpen = 3;
  counters.countRefused('3D000');
  counters.countRefused('compute');
  counters.countRefused('compute');
  observer.handedOver({ parse: 1, park: 800, connect: 0.4, startup: 6, hand_over: 0.1 });
  observer.ended({ by: 'client', how: 'ended', durationMs: 1500, bytesFromClient: 1, bytesToClient: 2 });
  const text = await metrics.text(noFailure);
  for (const line of [
    'offshoot_gateway_connections 3',
    'offshoot_gateway_held_bytes 5',
    'offshoot_gateway_refused_total{sqlstate="3D000"} 1',
    'offshoot_gateway_refused_total{sqlstate="compute"} 2',
    'offshoot_gateway_phase_seconds_bucket{le="1",phase="park"} 1',
    'offshoot_gateway_phase_seconds_bucket{le="0.5",phase="park"} 0',
    'offshoot_gateway_phase_seconds_sum{phase="startup"} 0.006',
    'offshoot_gateway_session_seconds_sum{by="client",how="ended"} 1.5',
  ]) {
    expect(text).toContain(`\n${line}\n`);
  }
});

test('what is done with branches is counted by what it is, with how long it took or why it failed', async () => {
  await using fixture = await ControlFixture.open(['shop']);
  const { control } = fixture;
  await control.createBranch({ name: 'a' });
  await control.updateBranch('a', { idle_timeout: 5 });
  await control.createCheckpoint('a', { name: 'c' });
  await control.restoreBranch('a', { at: '@c', preserve: false });
  await control.resetBranch('a', {});
  await control.renameBranch('a', { name: 'b' });
  for (const name of ['shop', 'b']) await control.createBranch({ name }).catch(() => {});
  await control.deleteBranch('b');
  await control.deleteBranch('b').catch(() => {});
  const text = await control.metrics.text(noFailure);
  for (const op of ['create', 'update', 'checkpoint', 'restore', 'reset', 'rename', 'delete']) {
    expect(text).toContain(`\noffshoot_branch_operation_seconds_count{op="${op}"} 1\n`);
  }
  expect(text).toContain('\noffshoot_branch_operation_errors_total{op="create",code="name_taken"} 2\n');
  expect(text).toContain('\noffshoot_branch_operation_errors_total{op="delete",code="branch_not_found"} 1\n');
  expect(text).toContain('\noffshoot_getpage_seconds_count{tenant="shop",source="redo"} 0\n');
  expect(text).toMatch(/^offshoot_store_file_bytes\{tenant="shop"\} [1-9]\d+$/m);
  expect(text).toMatch(/^offshoot_catalog_free_bytes \d+$/m);
});
