import type { ControlPlane } from '@offshoot/control';
import { baseError } from '@offshoot/types';
import { expect, test } from 'vitest';
import { ControlHost } from './control-host.js';

type Control = ConstructorParameters<typeof ControlHost>[0];

function control(start: () => Promise<unknown>): Control {
  return {
    startCompute: start as ControlPlane['startCompute'],
    connectionString: ((branch: string) => ({ host: `/run/${branch}`, port: 5432 })) as never,
  };
}

const signal = new AbortController().signal;

test('a branch is open at the socket of its compute', async () => {
  const { address } = await new ControlHost(control(async () => {})).open('try-1', { signal });
  expect(address).toEqual({ path: '/run/try-1/.s.PGSQL.5432' });
});

test('what stands in the way is told', async () => {
  const host = new ControlHost(control(() => Promise.reject(baseError('internal', 'no'))));
  await expect(host.open('try-1', { signal })).rejects.toThrow('no');
});

test('who does not wait any more is told why; the start goes on', async () => {
  let settle: () => void = () => {};
  const started = new Promise<void>((resolve) => {
    settle = resolve;
  });
  const abort = new AbortController();
  const host = new ControlHost(control(() => started));
  const waits = host.open('try-1', { signal: abort.signal });
  const other = host.open('try-1', { signal });
  abort.abort(new Error('gone'));
  await expect(waits).rejects.toThrow('gone');
  await expect(host.open('try-1', { signal: abort.signal })).rejects.toThrow('gone');
  settle();
  await expect(other).resolves.toBeDefined();
});
