/** An error as an ErrorResponse shows it. */
export interface ErrorFields {
  /** Five characters. */
  readonly sqlState: string;
  readonly message: string;
}

/** Messages without variable parts, ready to be sent. */
export const BackendMessage = {
  authenticationOk: message('R', int32(0)),
  authenticationCleartextPassword: message('R', int32(3)),
  /** Idle: the page service knows no transactions. */
  readyForQuery: message('Z', Buffer.from('I')),
  parseComplete: message('1'),
  bindComplete: message('2'),
  closeComplete: message('3'),
  noData: message('n'),
  /** Of a statement without parameters. */
  parameterDescription: message('t', int16(0)),
  /** Text format, no columns. */
  copyOutResponse: message('H', int8(0), int16(0)),
  /** Text format, no columns. */
  copyBothResponse: message('W', int8(0), int16(0)),
  copyDone: message('c'),
} as const;

/** Answers to SSLRequest and GSSENCRequest: one byte each. */
export const ENCRYPTION_YES = Buffer.from('S');
export const ENCRYPTION_NO = Buffer.from('N');

export function parameterStatus(name: string, value: string): Buffer {
  return message('S', cstring(name), cstring(value));
}

export function commandComplete(tag: string): Buffer {
  return message('C', cstring(tag));
}

/** Severity ERROR, SQLSTATE and text; no other fields. */
export function errorResponse({ sqlState, message: text }: ErrorFields): Buffer {
  return message('E', cstring('SERROR'), cstring(`C${sqlState}`), cstring(`M${text}`), int8(0));
}

/** What ends a connection: severity FATAL, SQLSTATE, text and what to do. */
export function fatalResponse({ sqlState, message: text, hint }: ErrorFields & { hint: string }): Buffer {
  const fields = ['SFATAL', 'VFATAL', `C${sqlState}`, `M${text}`, `H${hint}`];
  return message('E', ...fields.map(cstring), int8(0));
}

/** The key with which a session's queries can be cancelled. */
export function backendKeyData(processId: number, secret: Uint8Array): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(processId);
  return message('K', bytes, secret);
}

const OID_TEXT = 25;

/** Columns of type text, in text format. */
export function rowDescription(names: readonly string[]): Buffer {
  const columns = names.map((name) =>
    // Name; no table, no column number; type text of variable length and no modifier; text format.
    Buffer.concat([cstring(name), int32(0), int16(0), int32(OID_TEXT), int16(-1), int32(-1), int16(0)]),
  );
  return message('T', int16(names.length), ...columns);
}

/** One row of text values; null is SQL NULL. */
export function dataRow(values: readonly (string | null)[]): Buffer {
  const columns = values.map((value) => {
    const bytes = Buffer.from(value ?? '');
    return Buffer.concat([int32(value === null ? -1 : bytes.length), bytes]);
  });
  return message('D', int16(values.length), ...columns);
}

/** The header of a CopyData message whose body of `bodyBytes` the caller sends right behind it, uncopied. */
export function copyDataHeader(bodyBytes: number): Buffer {
  const header = Buffer.allocUnsafe(5);
  header[0] = 0x64;
  header.writeInt32BE(bodyBytes + 4, 1);
  return header;
}

function message(type: string, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 4);
  return Buffer.concat([Buffer.from(type), int32(length), ...parts]);
}

/** NUL ends the text on the wire, so one inside it would cut the message short. */
function cstring(text: string): Buffer {
  return Buffer.from(`${text.replaceAll('\0', ' ')}\0`);
}

function int8(value: number): Buffer {
  return Buffer.from([value]);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
