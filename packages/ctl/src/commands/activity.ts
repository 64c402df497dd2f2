import type { Activity } from '@offshoot/client';

/** Lines of the description of a branch. */
export function activityLines({
  state,
  connections,
  last_connection_at,
  wakes,
  last_wake,
}: Activity): string[] {
  const since = last_connection_at === undefined ? '' : `, the last at ${last_connection_at}`;
  const lines = [`state     ${state.replaceAll('_', ' ')}`, `in use    ${connections} connections${since}`];
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
