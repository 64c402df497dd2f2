import { BodyReader } from './body-reader.js';
import { wireError } from './wire-error.js';

/** The text of a Query message. */
export function parseQuery(body: Uint8Array): string {
  return new BodyReader(body, 'Query').text();
}

/** The text of a Parse message. Its statement name is of no interest: a connection has one statement. */
export function parseParse(body: Uint8Array): string {
  const reader = new BodyReader(body, 'Parse');
  reader.text();
  const text = reader.text();
  if (reader.uint16() !== 0) {
    throw wireError('protocol_unsupported', 'commands take no parameters');
  }
  return text;
}

/** Checks a Describe message: only a statement can be described. */
export function parseDescribe(body: Uint8Array): void {
  const kind = new BodyReader(body, 'Describe').letter();
  if (kind !== 'S') {
    throw wireError('protocol_unsupported', `only a statement can be described, not ${JSON.stringify(kind)}`);
  }
}

/** Checks a Bind message: unnamed portal, no parameters. */
export function parseBind(body: Uint8Array): void {
  const reader = new BodyReader(body, 'Bind');
  requireUnnamed(reader.text());
  reader.text();
  for (let formats = reader.uint16(); formats > 0; formats--) {
    reader.uint16();
  }
  if (reader.uint16() !== 0) {
    throw wireError('protocol_unsupported', 'commands take no parameters');
  }
}

/** Checks an Execute message: unnamed portal, all rows. */
export function parseExecute(body: Uint8Array): void {
  const reader = new BodyReader(body, 'Execute');
  requireUnnamed(reader.text());
  if (reader.uint32() !== 0) {
    throw wireError('protocol_unsupported', 'a command cannot be executed in portions');
  }
}

/** The password, or token, of a PasswordMessage. */
export function parsePassword(body: Uint8Array): string {
  return new BodyReader(body, 'PasswordMessage').text();
}

/** The reason in a CopyFail message. */
export function parseCopyFail(body: Uint8Array): string {
  return new BodyReader(body, 'CopyFail').text();
}

function requireUnnamed(portal: string): void {
  if (portal !== '') {
    throw wireError('protocol_unsupported', 'only the unnamed portal exists');
  }
}
