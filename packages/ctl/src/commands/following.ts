import type { Receiver, Tenant } from '@offshoot/client';
import { prettyBytes } from '../table.js';

const states: Record<Receiver['state'], string> = {
  connecting: 'connecting to the source',
  streaming: 'streaming from the source',
  waiting: 'waiting to connect again',
  source_changed: 'another source answers',
  needs_reimport: 'needs re-import',
  stopped: 'stopped',
};

/** In as few words as there are. */
export function shortState(state: Receiver['state']): string {
  return state === 'needs_reimport' ? states[state] : state.replaceAll('_', ' ');
}

/** One column of a list. */
export function followingInShort({ receiver, needs_reimport }: Tenant): string {
  if (needs_reimport !== undefined) return 'needs re-import';
  if (receiver === undefined) return '-';
  const behind = receiver.lag_bytes === undefined ? '' : `, ${prettyBytes(receiver.lag_bytes)} behind`;
  return `${shortState(receiver.state)}${behind}`;
}

/** Lines of the description of a tenant. */
export function following({ receiver, needs_reimport, state, template }: Tenant): string[] {
  if (template) return [];
  if (receiver === undefined) {
    return state === 'active' || state === 'unavailable'
      ? ['following       no: import it again under another name to have it followed']
      : [];
  }
  const lines = [`following       ${states[receiver.state]}${behind(receiver)}`];
  if (receiver.reason !== undefined) lines.push(`                ${receiver.reason.message}`);
  if (receiver.retry_at !== undefined) lines.push(`                tried again at ${receiver.retry_at}`);
  if (needs_reimport !== undefined) {
    lines.push(`                since ${needs_reimport.since}; what is there stays readable`);
  }
  const left =
    needs_reimport === undefined ? slot(receiver) : `${receiver.slot.name} ${slotLeft(needs_reimport.slot)}`;
  lines.push(`slot            ${left}`);
  return lines;
}

/** What has become of a slot that was given up. */
export function slotLeft(left: 'to_be_dropped' | 'dropped'): string {
  return left === 'dropped' ? 'is dropped' : 'may still be on the source; dropping it is tried again';
}

function behind({ lag_bytes: bytes, lag_seconds: seconds }: Receiver): string {
  if (bytes === undefined) return '';
  return `, ${prettyBytes(bytes)}${seconds === undefined ? '' : ` and ${seconds.toFixed(1)} s`} behind`;
}

function slot({ slot: { name, retained_bytes: kept, wal_status: status } }: Receiver): string {
  if (kept === undefined) return name;
  return `${name} keeps ${prettyBytes(kept)} of WAL there${status === undefined ? '' : ` (${status})`}`;
}
