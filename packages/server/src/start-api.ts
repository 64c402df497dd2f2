import { buildApi, type ControlPlane, type FailureListener } from '@offshoot/control';
import { baseError } from '@offshoot/types';
import { ownGatewayCertificate } from './gateway-certificate.js';
import type { Address, Settings } from './settings.js';
import { readTlsFiles } from './tls-files.js';
import { version } from './version.js';

type Server = ReturnType<typeof buildApi>;

/** The management API where the settings say, and always on loopback without TLS, for programs on this machine. */
export interface Api {
  /** Begins to serve; before that nobody is answered. */
  listen(): Promise<{ url: string; tlsUrl: string | undefined }>;
  /** Lets answers under way out, for a while. */
  close(): Promise<void>;
}

/** How long answers under way may take when it closes. */
const closeMsMax = 5_000;
const anyLoopbackPort: Address = { host: '127.0.0.1', port: 0 };

/** Throws `invalid_argument` that names the flag. */
export async function makeApi(
  control: ControlPlane,
  settings: Settings,
  options: { readonly token: string; readonly onFailure: FailureListener },
): Promise<Api> {
  const plain = buildApi(control, { ...options, version });
  const tls = await apiTls(settings);
  const secure = tls && buildApi(control, { ...options, version, tls });
  return {
    listen: async () => {
      if (secure === undefined) return { url: await listen(plain, settings.apiListen), tlsUrl: undefined };
      const tlsUrl = await listen(secure, settings.apiListen);
      return { url: await listen(plain, anyLoopbackPort), tlsUrl };
    },
    close: async () => {
      await Promise.all([plain, secure].map((server) => server && close(server)));
    },
  };
}

async function apiTls(settings: Settings) {
  const { apiTls: policy, apiTlsCertificateFile: cert, apiTlsKeyFile: key } = settings;
  if (policy === 'off') return undefined;
  return cert !== undefined && key !== undefined
    ? readTlsFiles({ flag: '--api-tls-cert', path: cert }, { flag: '--api-tls-key', path: key })
    : ownGatewayCertificate(settings.dataDirectory, new Date(), settings.gatewaySniDomain);
}

async function listen(server: Server, { host, port }: Address): Promise<string> {
  try {
    return await server.listen({ host, port });
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause);
    throw baseError('invalid_argument', `the API cannot listen on ${host}:${port}: ${words}`, { cause });
  }
}

async function close(server: Server): Promise<void> {
  const timer = setTimeout(() => server.server.closeAllConnections(), closeMsMax);
  await server.close();
  clearTimeout(timer);
}
