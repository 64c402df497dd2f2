import { Gateway, type GatewayOptions, type GatewayTls } from '@offshoot/gateway';
import { ownGatewayCertificate } from './gateway-certificate.js';
import type { Log } from './log.js';
import type { Address, Settings } from './settings.js';
import { readTlsFiles } from './tls-files.js';

/** Opens the gateway where the settings say. Throws `gateway_listen_failed`, `invalid_argument`. */
export async function startGateway(
  listen: Address,
  settings: Settings,
  log: Log,
  options: Pick<GatewayOptions, 'host' | 'settings' | 'observer'>,
): Promise<Gateway> {
  return Gateway.start({
    ...options,
    listen,
    tls: await gatewayTls(settings),
    sniDomain: settings.gatewaySniDomain,
    onAlert: (error) => log.error({ err: error }, 'gateway'),
  });
}

async function gatewayTls(settings: Settings): Promise<GatewayTls> {
  const { gatewayTls: policy, gatewayTlsCertificateFile: cert, gatewayTlsKeyFile: key } = settings;
  if (policy === 'off') return { policy };
  const files =
    cert !== undefined && key !== undefined
      ? await readTlsFiles(
          { flag: '--gateway-tls-cert', path: cert },
          { flag: '--gateway-tls-key', path: key },
        )
      : await ownGatewayCertificate(settings.dataDirectory, new Date(), settings.gatewaySniDomain);
  return { policy, ...files };
}

/** What the API tells of it. */
export function gatewayFacts({ address, counters }: Gateway, { gatewayTls, gatewayPublicHost }: Settings) {
  return {
    ...address,
    ...(gatewayPublicHost === undefined ? {} : { public_host: gatewayPublicHost }),
    tls: gatewayTls,
    connections: counters.connectionsOpen,
    connections_total: counters.connectionsTotal,
    parked: counters.parked,
    refused: { ...counters.refused },
  };
}
