import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ComputeAddress } from './branch-host.js';
import { gatewayError } from './gateway-errors.js';
import type { GatewaySettings } from './gateway-settings.js';

export type ConnectSettings = Pick<
  GatewaySettings,
  'connectTimeoutMs' | 'connectPauseMs' | 'socketBufferBytes' | 'keepAliveIdleMs'
>;

/** Nobody listens there: what listened has ended. */
const GONE: ReadonlySet<string | undefined> = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE']);

/**
 * A connected socket, paused, that hears of errors. Throws `compute_gone`, `compute_unreachable`, or what `signal` was
 * aborted with.
 */
export async function connectCompute(
  address: ComputeAddress,
  settings: ConnectSettings,
  signal: AbortSignal,
): Promise<Socket> {
  // Not `AbortSignal.timeout`, whose timer would outlive the attempt and then make an error for nobody.
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), settings.connectTimeoutMs);
  try {
    return await connectUntil(deadline.signal, address, settings, signal);
  } finally {
    clearTimeout(timer);
  }
}

async function connectUntil(
  deadline: AbortSignal,
  address: ComputeAddress,
  settings: ConnectSettings,
  signal: AbortSignal,
): Promise<Socket> {
  for (;;) {
    const attempt = await connectOnce(address, settings, signal, deadline);
    if (!(attempt instanceof Error)) {
      return attempt;
    }
    signal.throwIfAborted();
    const { code } = attempt as NodeJS.ErrnoException;
    // A Unix socket refuses at once when Postgres is slow to accept what waits already.
    if (code !== 'EAGAIN' || deadline.aborted) {
      const outcome = GONE.has(code) ? 'compute_gone' : 'compute_unreachable';
      throw gatewayError(outcome, `the compute cannot be reached: ${attempt.message}`, {
        cause: attempt,
      });
    }
    await sleep(settings.connectPauseMs);
  }
}

function connectOnce(
  address: ComputeAddress,
  { connectTimeoutMs, socketBufferBytes, keepAliveIdleMs }: ConnectSettings,
  ...signals: AbortSignal[]
): Promise<Socket | Error> {
  return new Promise((resolve) => {
    const options = {
      ...address,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveIdleMs,
      highWaterMark: socketBufferBytes,
    };
    const socket = connect(options as NetConnectOpts);
    const settle = (outcome: Socket | Error) => {
      for (const signal of signals) {
        signal.removeEventListener('abort', abort);
      }
      socket.pause();
      resolve(outcome);
    };
    const abort = () => {
      socket.destroy();
      settle(new Error(`no answer within ${connectTimeoutMs} ms`));
    };
    for (const signal of signals) {
      signal.addEventListener('abort', abort);
    }
    socket.once('connect', () => settle(socket));
    socket.on('error', settle);
    if (signals.some((signal) => signal.aborted)) {
      abort();
    }
  });
}
