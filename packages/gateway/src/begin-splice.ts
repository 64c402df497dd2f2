import type { SplicePump } from '@offshoot/engine';
import { asOffshootError, type OffshootError } from '@offshoot/types';
import type { GatewayCounters } from './gateway-counters.js';
import { PumpedSplice } from './pumped-splice.js';
import { Splice, type SpliceOptions } from './splice.js';

export interface SpliceServices {
  readonly counters: GatewayCounters;
  /** Passes the bytes of connections that can be handed over; none: the event loop does for all. */
  readonly pump: SplicePump | undefined;
  readonly onAlert: (error: OffshootError) => void;
}

/**
 * Hands a connection over to native threads where that can be; what they do not take is served by the event loop.
 * `onBytes` hears of bytes by the end at the latest.
 */
export function beginSplice(services: SpliceServices, options: SpliceOptions): Splice | PumpedSplice {
  const { counters } = services;
  const pumped = beginPumped(services, options);
  if (pumped !== undefined) {
    counters.splices.threads++;
    return pumped;
  }
  counters.splices.event_loop++;
  return new Splice({
    ...options,
    onBytes: (to, bytes) => {
      counters.countBytes(to, bytes);
      options.onBytes(to, bytes);
    },
  });
}

function beginPumped({ pump, onAlert }: SpliceServices, options: SpliceOptions): PumpedSplice | undefined {
  try {
    return pump && PumpedSplice.begin(pump, options);
  } catch (error) {
    onAlert(asOffshootError(error));
    return undefined;
  }
}
