import type { Activity } from '@offshoot/client';

/** Lines of the description of a branch. */
export function activityLines({
  state,
  connections,
  last_connection_at,
  wakes,
  last_wake,
  first_connection_at,
  first_wake_at,
  slept_at,
  first_query_at,
  last_query_at,
}: Activity): string[] {
  const since = last_connection_at === undefined ? '' : `, the last at ${last_connection_at}`;
  const times = [
    ...(first_wake_at === undefined ? [] : [`woken ${first_wake_at}`]),
    ...(first_connection_at === undefined ? [] : [`connected ${first_connection_at}`]),
    ...(first_query_at === undefined ? [] : [`queried ${first_query_at}`]),
  ];
  const first = times.length === 0 ? [] : [`first     ${times.join(', ')}`];
  const slept = slept_at === undefined ? [] : [`slept     ${slept_at}`];
  const lines = [
    `state     ${state.replaceAll('_', ' ')}`,
    `in use    ${connections} connections${since}`,
    ...first,
    ...(last_query_at === undefined ? [] : [`queried   last ${last_query_at}`]),
    ...slept,
  ];
  if (last_wake === undefined) return [...lines, `wakes     ${wakes}`];
  const phases = Object.entries(last_wake.phases_ms)
    .filter(([name]) => name !== 'total')
    .map(([name, ms]) => `${name.replaceAll('_', ' ')} ${ms.toFixed(0)}`);
  const total = last_wake.phases_ms.total;
  const took = total === undefined ? '' : ` took ${total.toFixed(0)} ms`;
  return [
    ...lines,
    `wakes     ${wakes}, the last at ${last_wake.at}${took}`,
    `          ${phases.join(', ')} (ms)`,
  ];
}
