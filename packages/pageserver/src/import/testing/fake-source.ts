import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

/** What the fake source answers to each command; see `defaultAnswers`. */
export type Answer = (socket: Socket) => void;

/** One message of a Postgres server. */
export function message(type: string, ...parts: (string | Buffer)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
  const header = Buffer.alloc(5);
  header.write(type, 'latin1');
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

/** A result set of text columns, complete. */
export function resultSet(columns: readonly string[], ...rows: readonly (string | null)[][]): Buffer {
  const fields = columns.map((name) => Buffer.concat([Buffer.from(`${name}\0`), Buffer.alloc(18)]));
  const values = (row: readonly (string | null)[]) =>
    row.map((value) =>
      value === null ? int32(-1) : Buffer.concat([int32(Buffer.byteLength(value)), Buffer.from(value)]),
    );
  return Buffer.concat([
    message('T', int16(columns.length), ...fields),
    ...rows.map((row) => message('D', int16(row.length), ...values(row))),
    message('C', 'SELECT\0'),
  ]);
}

export function errorResponse(sqlState: string, text: string, severity = 'ERROR'): Buffer {
  return message('E', `S${severity}\0V${severity}\0C${sqlState}\0M${text}\0\0`);
}

export const READY = message('Z', 'I');

/** Answers with these bytes and is ready for the next command. */
export function reply(...parts: Buffer[]): Answer {
  return (socket) => socket.write(Buffer.concat([...parts, READY]));
}

/** A Postgres of the kind that can be imported, as far as the probe goes. */
export const settings: Readonly<Record<string, string>> = {
  server_version_num: '150018',
  wal_segment_size: '16MB',
  block_size: '8192',
  data_checksums: 'off',
  wal_block_size: '8192',
  segment_size: '1GB',
  wal_level: 'replica',
};

/** A listening fake source. */
export interface FakeSource extends AsyncDisposable {
  readonly url: string;
  readonly commands: readonly string[];
}

/**
 * A server that lets everyone in and answers commands by their first words. `answers` are looked at before the
 * defaults, which are a Postgres that can be probed and offers a slot. `login` and `sql` take a start-up packet: that of a
 * replication connection, and that of an ordinary one.
 */
export async function fakeSource(answers: Readonly<Record<string, Answer>> = {}): Promise<FakeSource> {
  const commands: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    serve(socket, { ...defaultAnswers(), ...answers }, commands);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `postgres://alice:secret@127.0.0.1:${port}/shop`,
    commands,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) {
        socket.destroy();
      }
      server.close();
      await once(server, 'close');
    },
  };
}

function serve(socket: Socket, answers: Readonly<Record<string, Answer>>, commands: string[]): void {
  let startup = true;
  socket.on('data', (bytes) => {
    if (startup) {
      startup = false;
      // An ordinary SQL connection is turned away: names stay unknown.
      const replication = bytes.includes('replication');
      const login = replication
        ? Buffer.concat([message('R', int32(0)), READY])
        : errorResponse('28000', 'no pg_hba.conf entry', 'FATAL');
      const own = replication ? answers.login : answers.sql;
      if (own === undefined) {
        socket.write(login);
      } else {
        own(socket);
      }
      return;
    }
    if (bytes[0] !== 'Q'.charCodeAt(0)) {
      return;
    }
    const command = bytes.toString('utf8', 5, bytes.length - 1);
    commands.push(command);
    const words = Object.keys(answers).sort((a, b) => b.length - a.length);
    const word = words.find((each) => command.startsWith(each));
    (word === undefined ? reply(errorResponse('42601', 'syntax error')) : answers[word])?.(socket);
  });
}

function defaultAnswers(): Record<string, Answer> {
  const shows = Object.entries(settings).map(([name, value]) => [
    `SHOW ${name}`,
    reply(resultSet([name], [value])),
  ]);
  return {
    IDENTIFY_SYSTEM: reply(
      resultSet(['systemid', 'timeline', 'xlogpos'], ['7000000000000000001', '1', '0/2000000']),
    ),
    ...Object.fromEntries(shows),
    CREATE_REPLICATION_SLOT: reply(resultSet(['slot_name'], ['offshoot'])),
    DROP_REPLICATION_SLOT: reply(message('C', 'DROP_REPLICATION_SLOT\0')),
    READ_REPLICATION_SLOT: reply(
      resultSet(['slot_type', 'restart_lsn', 'restart_tli'], ['physical', '0/2000000', '1']),
    ),
  };
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
