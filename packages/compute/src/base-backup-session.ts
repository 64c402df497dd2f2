import { computeError } from './compute-errors.js';

/** What the owner of the socket is to do. */
export type BaseBackupEffect =
  | { readonly kind: 'send'; readonly bytes: Buffer }
  /** The next bytes of the archive. */
  | { readonly kind: 'archive'; readonly bytes: Buffer }
  /** The archive is complete; the connection is of no more use. */
  | { readonly kind: 'done' };

export interface BaseBackupRequest {
  /** Text of the command, such as `basebackup TENANT TIMELINE 0/16B5A50 --first-page`. */
  readonly command: string;
  /** Given when the page service asks for it. */
  readonly password?: string | undefined;
  /** Longest piece of the archive that is taken, in bytes. */
  readonly messageBytesMax: number;
}

type State = 'authenticating' | 'authenticated' | 'commanded' | 'copying' | 'copied' | 'done';

/** Longest message of any other kind: it is collected whole, and is an error's text at most. */
const COLLECTED_BYTES_MAX = 64 * 1024;
const PROTOCOL_3_0 = 196_608;
const AUTHENTICATION_OK = 0;
const AUTHENTICATION_CLEARTEXT_PASSWORD = 3;

/**
 * The client's side of one connection to the page service that asks for one base backup: fed what arrives, it answers
 * what is to be done. Owns no socket. (Protocol: Postgres' frontend/backend protocol 3.0, COPY OUT.)
 */
export class BaseBackupSession {
  #state: State = 'authenticating';
  /** The bytes so far of a message that has not arrived whole. */
  #pending: Buffer = Buffer.alloc(0);
  /** Body bytes of the CopyData message at hand that are still to come: they are passed on as they arrive. */
  #archiveBytesLeft = 0;

  constructor(private readonly request: BaseBackupRequest) {}

  /** The first bytes to send. */
  start(): Buffer {
    const parameters = 'user\0offshoot\0database\0offshoot\0application_name\0offshoot compute\0\0';
    const packet = Buffer.alloc(8 + parameters.length);
    packet.writeInt32BE(packet.length, 0);
    packet.writeInt32BE(PROTOCOL_3_0, 4);
    packet.write(parameters, 8, 'latin1');
    return packet;
  }

  /** Throws `base_backup_refused` with the page service's words, or `base_backup_invalid`. */
  feed(chunk: Buffer): BaseBackupEffect[] {
    const effects: BaseBackupEffect[] = [];
    let rest = chunk;
    while (rest.length > 0) {
      rest = this.#archiveBytesLeft > 0 ? this.#passOn(rest, effects) : this.#take(rest, effects);
    }
    return effects;
  }

  /** The page service closed the connection. Throws `base_backup_interrupted` unless all had arrived. */
  end(): void {
    if (this.#state !== 'done') {
      throw computeError(
        'base_backup_interrupted',
        'the page service closed the connection of a base backup',
      );
    }
  }

  #passOn(bytes: Buffer, effects: BaseBackupEffect[]): Buffer {
    const part = bytes.subarray(0, this.#archiveBytesLeft);
    this.#archiveBytesLeft -= part.length;
    effects.push({ kind: 'archive', bytes: part });
    return bytes.subarray(part.length);
  }

  /** Takes bytes up to the end of one message, or all. */
  #take(bytes: Buffer, effects: BaseBackupEffect[]): Buffer {
    const known = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    if (known.length < 5) {
      return this.#keep(known);
    }
    const tag = String.fromCharCode(known[0] as number);
    const length = known.readUInt32BE(1);
    const bytesMax = tag === 'd' ? this.request.messageBytesMax : COLLECTED_BYTES_MAX;
    if (length < 4 || length > bytesMax) {
      throw invalid(`a message of ${length} bytes`);
    }
    if (tag === 'd' && this.#state === 'copying') {
      this.#keep(known.subarray(0, 0));
      this.#archiveBytesLeft = length - 4;
      return known.subarray(5);
    }
    if (known.length < 1 + length) {
      return this.#keep(known);
    }
    this.#keep(known.subarray(0, 0));
    effects.push(...this.#message(tag, known.subarray(5, 1 + length)));
    return known.subarray(1 + length);
  }

  #keep(bytes: Buffer): Buffer {
    // A copy: the chunk's memory belongs to the socket.
    this.#pending = Buffer.from(bytes);
    return bytes.subarray(bytes.length);
  }

  #message(tag: string, body: Buffer): BaseBackupEffect[] {
    if (tag === 'E') {
      throw refused(body);
    }
    // ParameterStatus, notices and key data may come at any time and mean nothing here.
    if (tag === 'S' || tag === 'N' || tag === 'K') {
      return [];
    }
    switch (`${this.#state} ${tag}`) {
      case 'authenticating R':
        return this.#authenticate(body);
      case 'authenticated Z':
        this.#state = 'commanded';
        return [{ kind: 'send', bytes: message('Q', this.request.command) }];
      case 'commanded H':
        this.#state = 'copying';
        return [];
      case 'copying c':
        this.#state = 'copied';
        return [];
      case 'copied C':
        return [];
      case 'copied Z':
        this.#state = 'done';
        return [{ kind: 'done' }];
      default:
        throw invalid(`a message ${JSON.stringify(tag)} while ${this.#state}`);
    }
  }

  #authenticate(body: Buffer): BaseBackupEffect[] {
    const method = body.length < 4 ? -1 : body.readInt32BE(0);
    if (method === AUTHENTICATION_OK) {
      this.#state = 'authenticated';
      return [];
    }
    if (method !== AUTHENTICATION_CLEARTEXT_PASSWORD) {
      throw invalid(`authentication method ${method}`);
    }
    if (this.request.password === undefined) {
      throw computeError('base_backup_refused', 'the page service asks for a token, and none is configured');
    }
    return [{ kind: 'send', bytes: message('p', this.request.password) }];
  }
}

/** A message whose body is one zero-terminated string. */
function message(tag: string, text: string): Buffer {
  const bytes = Buffer.alloc(6 + Buffer.byteLength(text));
  bytes.write(tag, 0, 'latin1');
  bytes.writeInt32BE(bytes.length - 1, 1);
  bytes.write(text, 5);
  return bytes;
}

/** An ErrorResponse: fields of one letter and a string each, the last one empty. */
function refused(body: Buffer) {
  const fields = new Map(
    body
      .toString()
      .split('\0')
      .filter((field) => field !== '')
      .map((field) => [field.charAt(0), field.slice(1)]),
  );
  const words = fields.get('M') ?? 'no reason given';
  return computeError('base_backup_refused', `the page service refused the base backup: ${words}`, {
    details: { sqlState: fields.get('C') ?? '' },
  });
}

function invalid(what: string) {
  return computeError('base_backup_invalid', `the page service sent ${what} instead of a base backup`);
}
