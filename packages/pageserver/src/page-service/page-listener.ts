import { chmod, lstat, unlink } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, type TLSSocketOptions } from 'node:tls';
import { pageServiceError } from './page-service-error.js';

/** Where clients may connect, and how they are received. */
export type PageListenerSpec = {
  /** `trust` lets everyone in who can connect; `token` asks for a token as the password. */
  readonly auth: 'trust' | 'token';
} & (
  | {
      readonly kind: 'unix';
      readonly path: string;
      /** File mode of the socket: who may write to it may connect. */
      readonly mode: number;
    }
  | {
      readonly kind: 'tcp';
      readonly host: string;
      /** 0 chooses a free one. */
      readonly port: number;
      /** PEM. When there, only TLS is spoken. */
      readonly tls?: { readonly key: string | Buffer; readonly cert: string | Buffer } | undefined;
    }
);

/** Where a listener listens: `unix:/path` or `tcp:host:port`. */
export type PageServiceAddress = `unix:${string}` | `tcp:${string}:${number}`;

export interface PageListener {
  readonly spec: PageListenerSpec;
  readonly address: PageServiceAddress;
  /** Stops accepting. Connections are not touched. */
  close(): Promise<void>;
}

/** What the system's address structure holds, its closing NUL not counted. */
const UNIX_PATH_BYTES_MAX = 107;

/** Opens a listener. Rejects with `listen_failed`. */
export async function openPageListener(
  spec: PageListenerSpec,
  accept: (socket: Socket) => void,
): Promise<PageListener> {
  // A client may close its sending half after its last request and still wants the answers.
  const server = createServer({ allowHalfOpen: true }, accept);
  try {
    if (spec.kind === 'unix') {
      await prepareUnixPath(spec.path);
      await listen(server, { path: spec.path });
      await chmod(spec.path, spec.mode);
    } else {
      await listen(server, { host: spec.host, port: spec.port });
    }
  } catch (cause) {
    server.close();
    const where = spec.kind === 'unix' ? spec.path : `${spec.host}:${spec.port}`;
    throw pageServiceError(
      'listen_failed',
      `the page service cannot listen on ${where}: ${messageOf(cause)}`,
      {
        cause,
      },
    );
  }
  return {
    spec,
    address: addressOf(spec, server),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** How TLS is spoken on a listener; undefined when it is not. Throws when key or certificate are no such thing. */
export function tlsOptionsOf(spec: PageListenerSpec): TLSSocketOptions | undefined {
  if (spec.kind === 'unix' || spec.tls === undefined) {
    return undefined;
  }
  // Clients that begin TLS unasked must offer this protocol name; others offer none.
  return { secureContext: createSecureContext(spec.tls), ALPNProtocols: ['postgresql'] };
}

function addressOf(spec: PageListenerSpec, server: Server): PageServiceAddress {
  return spec.kind === 'unix'
    ? `unix:${spec.path}`
    : `tcp:${spec.host}:${(server.address() as AddressInfo).port}`;
}

function listen(server: Server, where: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      // Accepting may fail when file descriptors run out; the next connection finds the listener still there.
      server.on('error', () => {});
      resolve();
    });
  });
}

/** A socket file that a killed process left behind is removed; one that somebody listens on is not. */
async function prepareUnixPath(path: string): Promise<void> {
  const bytes = Buffer.byteLength(path);
  if (bytes > UNIX_PATH_BYTES_MAX) {
    throw new Error(`the path has ${bytes} bytes, a socket's path at most ${UNIX_PATH_BYTES_MAX}`);
  }
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) {
    return;
  }
  if (!found.isSocket()) {
    throw new Error('there is a file that is no socket');
  }
  if (await answers(path)) {
    throw new Error('another process listens there');
  }
  await unlink(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
