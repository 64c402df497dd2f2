import type { BranchStorage } from '@offshoot/client';
import { prettyBytes } from '../table.js';

/** Lines of the description of a branch. */
export function storageLines({ own, growth, pinned }: Omit<BranchStorage, 'branch'>): string[] {
  const stored =
    own === undefined
      ? 'not measured yet'
      : `${prettyBytes(own.bytes)} of its own, ${own.pages} pages changed; at ${own.measured_at}`;
  const lines = [`stored    ${stored}`];
  if (growth !== undefined) {
    const sign = growth.bytes_per_hour < 0 ? '-' : '';
    lines.push(
      `grows     ${sign}${prettyBytes(Math.abs(growth.bytes_per_hour))} an hour, since ${growth.since}`,
    );
  }
  if (pinned !== undefined) {
    lines.push(`keeps     ${prettyBytes(pinned.bytes)} of its ancestors alive; at ${pinned.measured_at}`);
  }
  return lines;
}
