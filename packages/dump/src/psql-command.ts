import { dumpError } from './dump-errors.js';
import type { ScriptItem } from './script-scanner.js';

type Command = Extract<ScriptItem, { kind: 'command' }>;

const DATABASE_BYTES_MAX = 63;

/**
 * The commands to psql that pg_dump writes. `\connect` changes the database and nothing else; between `\restrict KEY` and
 * `\unrestrict KEY` there is no command, as psql has it. Every other command is refused: psql would run programs, and read
 * and write files, for some of them.
 */
export class PsqlCommands {
  #key: string | undefined;

  /** The database to go on in; undefined: there is nothing to do. Throws `dump_refused`. */
  databaseOf(command: Command): string | undefined {
    const [, name = '', rest = ''] = /^\\(\S*)\s*(.*)$/s.exec(command.text) ?? [];
    if (this.#key !== undefined) {
      if (name === 'unrestrict' && rest === this.#key) {
        this.#key = undefined;
        return undefined;
      }
      throw refused(command, 'stands between \\restrict and \\unrestrict');
    }
    if (name === 'restrict' && rest !== '') {
      this.#key = rest;
      return undefined;
    }
    if (name === 'connect' || name === 'c') return databaseOf(command, rest);
    throw refused(command, 'is a command to psql, and none of those that a dump needs');
  }
}

/** `shop`, `"my shop"`, and `-reuse-previous=on "dbname='shop'"`, as pg_dump writes it where a name is unusual. */
function databaseOf(command: Command, rest: string): string {
  const argument = rest.replace(/^-reuse-previous=on\s+/, '');
  const [, quoted, bare] = /^(?:"((?:[^"]|"")*)"|([^\s"'\\]+))\s*$/.exec(argument) ?? [];
  const name = quoted?.replaceAll('""', '"') ?? bare;
  const [, inner] = /^dbname='((?:[^'\\]|\\.)*)'$/s.exec(name ?? '') ?? [];
  const database = inner === undefined ? name : inner.replace(/\\(.)/gs, '$1');
  const isConnectionString = inner === undefined && /[=/]/.test(database ?? '');
  if (!database || isConnectionString || Buffer.byteLength(database, 'latin1') > DATABASE_BYTES_MAX) {
    throw refused(command, 'names more than a database');
  }
  // One character for each byte, as all of the script.
  return Buffer.from(database, 'latin1').toString('utf8');
}

function refused({ text, line }: Command, why: string) {
  const words = Buffer.from(text.slice(0, 60), 'latin1').toString('utf8');
  return dumpError('dump_refused', `line ${line}: ${words} ${why}`);
}
