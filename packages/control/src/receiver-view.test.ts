import { receiver } from '@offshoot/client';
import type { ReceiverView } from '@offshoot/pageserver';
import type { Lsn } from '@offshoot/types';
import { expect, test } from 'vitest';
import { receiverStatus, receiverView } from './receiver-view.js';

const since = new Date('2026-01-02T03:04:05Z');
const bare: ReceiverView = {
  state: 'connecting',
  since,
  slotName: 'offshoot_1',
  slotRetainedBytesMax: 1,
  streamsBegun: 0,
  attemptsEnded: 0,
};

test('a receiver that knows nothing yet shows nothing else', () => {
  const shown = { state: 'connecting', since: since.toISOString(), slot: { name: 'offshoot_1' } };
  expect(receiverView(bare)).toStrictEqual(shown);
  expect(receiverStatus('shop', bare)).toStrictEqual({ tenant: 'shop', state: 'connecting' });
});

test('a receiver in trouble shows all that it knows, in the form of the API', () => {
  const seen: ReceiverView = {
    ...bare,
    state: 'waiting',
    reason: { code: 'source_lost', message: 'the source closed the connection' },
    retryAt: since,
    receivedLsn: 0x200_0000n as Lsn,
    sourceLsn: 0x1_0000_0000n as Lsn,
    lagBytes: 12,
    lagSeconds: 0.5,
    slot: { sourceLsn: 0n as Lsn, retainedBytes: 7, walStatus: 'extended', safeWalBytes: 0 },
  };
  const shown = receiverView(seen);
  expect(receiver.parse(shown)).toEqual(shown);
  expect(shown).toMatchObject({
    received_lsn: '0/2000000',
    source_lsn: '1/0',
    retry_at: since.toISOString(),
    slot: { retained_bytes: 7, wal_status: 'extended', safe_wal_bytes: 0 },
  });
  expect(receiverStatus('shop', seen).reason).toBe('the source closed the connection');
});
