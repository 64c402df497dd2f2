export type { BranchHost, ComputeAddress, OpenBranch, OpenOptions } from './branch-host.js';
export { Gateway, type GatewayOptions, type GatewayTls } from './gateway.js';
export { GatewayCounters } from './gateway-counters.js';
export { gatewayError } from './gateway-errors.js';
export {
  type ConnectionEnd,
  type ConnectPhase,
  type ConnectTimings,
  connectPhases,
  type GatewayObserver,
} from './gateway-observer.js';
export { type GatewaySettings, gatewayDefaults } from './gateway-settings.js';
export { type CertificateAndKey, selfSignedCertificate } from './self-signed-certificate.js';
