import type { WarningKind } from './load-report.js';

/** What is known of a statement that failed. */
export interface FailedStatement {
  readonly text: string;
  /** See `ScriptItem`. */
  readonly words: readonly string[];
  readonly sqlState: string | undefined;
}

const INSUFFICIENT_PRIVILEGE = '42501';
const DUPLICATE_SCHEMA = '42P06';
const DUPLICATE_DATABASE = '42P04';

const isOneOf =
  (...words: string[]) =>
  (word = ''): boolean =>
    words.includes(word);
const makes = isOneOf('create', 'alter', 'drop');
const isRole = isOneOf('role', 'user', 'group');

/**
 * What may fail without the data being less for it, as it is about the server that the dump was made of: its roles, what is
 * installed there, what only a superuser may. Undefined: its failure counts.
 */
export function mayFail({ text, words, sqlState }: FailedStatement): WarningKind | undefined {
  const [first = '', second = '', third = ''] = words;
  if (first === 'grant' || first === 'revoke') return 'privilege';
  if (first === 'alter' && second === 'default' && third === 'privileges') return 'privilege';
  if (makes(first) && isRole(second) && third !== 'mapping') return 'role';
  if (first === 'alter' && /\bOWNER\s+TO\s+("(?:[^"]|"")+"|\S+)\s*$/i.test(text)) return 'owner';
  if (isOneOf('create', 'alter')(first) && second === 'extension') return 'extension';
  if (first === 'comment' && second === 'on') return third === 'extension' ? 'extension' : 'comment';
  if (first === 'set' || first === 'reset') return 'setting';
  if (first === 'alter' && second === 'database' && words.includes('set')) return 'setting';
  if (first === 'create' && (sqlState === DUPLICATE_SCHEMA || sqlState === DUPLICATE_DATABASE))
    return 'exists';
  if (sqlState !== INSUFFICIENT_PRIVILEGE || !makes(first)) return undefined;
  if (second === 'publication' || second === 'subscription') return 'replication';
  return second === 'event' && third === 'trigger' ? 'event_trigger' : undefined;
}
