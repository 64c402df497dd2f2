import { defineErrors } from '@offshoot/types';

/** What a client sent that the protocol, or the page service's command language, does not allow. */
export const wireError = defineErrors({
  /** Bytes that are no message of the protocol, or a message where it may not be. The connection ends. */
  protocol_violation: { kind: 'fix', sqlState: '08P01', httpStatus: 400 },
  /** A message that should be handled but asks for what the page service does not do. The connection stays. */
  protocol_unsupported: { kind: 'fix', sqlState: '0A000', httpStatus: 400 },
  /** A command that is unknown, or whose arguments are wrong. The connection stays. */
  bad_command: { kind: 'fix', sqlState: 'XX000', httpStatus: 400 },
});
