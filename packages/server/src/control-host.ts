import { join } from 'node:path';
import type { ControlPlane } from '@offshoot/control';
import type { BranchHost, OpenBranch } from '@offshoot/gateway';

/** The control plane as the gateway sees it: a branch's compute is started when somebody connects. */
export class ControlHost implements BranchHost {
  constructor(private readonly control: Pick<ControlPlane, 'startCompute' | 'connectionString'>) {}

  async open(branch: string, { signal }: { signal: AbortSignal }): Promise<OpenBranch> {
    await unlessAborted(this.control.startCompute(branch), signal);
    const { host, port } = this.control.connectionString(branch, { via: 'socket' });
    return { address: { path: join(host, `.s.PGSQL.${port}`) }, release: () => {} };
  }
}

/** What the promise does goes on for others; only this wait ends. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
