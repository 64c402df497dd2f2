import type { ErrorKind, OffshootError } from '@offshoot/types';
import { fatalResponse } from '@offshoot/wire';

/** What to do when neither the error nor its code says more. */
const hints: Readonly<Record<ErrorKind, string>> = {
  fix: 'change what is wrong with the connection as the message says',
  retry: 'wait a moment, then connect again',
  reconnect: 'connect again',
  alert: 'show this to the person who runs the page server; its log says more',
};

/** The last message that a client gets. */
export function farewell(error: OffshootError): Buffer {
  const own = error.details.action;
  const hint = typeof own === 'string' ? own : (error.declaration.action ?? hints[error.kind]);
  // What nobody expected may hold words that are not for clients.
  const message =
    error.code === 'internal' ? 'the connection failed for a reason that is in the log' : error.message;
  return fatalResponse({ sqlState: error.sqlState, message, hint });
}
