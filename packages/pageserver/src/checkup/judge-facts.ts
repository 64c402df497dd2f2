import { failed, ok, type SourceCheck, warning } from './source-check.js';
import type { SourceFacts } from './source-facts.js';

const MAJOR = 15;
/** An import has two WAL senders for moments. */
const SENDERS_NEEDED = 2;

const restart = '-- then restart the source';
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** What the facts mean for an import, and for following after it. `needed` bytes: see `storageCheck`. */
export function judgeFacts(facts: SourceFacts): SourceCheck[] {
  return [
    version(facts),
    facts.inRecovery
      ? failed('primary', 'it is a standby: name the primary', '-- connect to the primary instead')
      : ok('primary', 'it is a primary'),
    facts.mayReplicate
      ? ok('role', `${facts.user} may do replication`)
      : failed(
          'role',
          `${facts.user} may not do replication`,
          `ALTER ROLE ${quoted(facts.user)} REPLICATION;`,
        ),
    walLevel(facts),
    room('wal_senders', 'max_wal_senders', facts.walSendersMax, facts.walSendersUsed, SENDERS_NEEDED),
    room('replication_slots', 'max_replication_slots', facts.slotsMax, facts.slotsUsed, 1),
    connections(facts),
    slotLimit(facts),
    managers(facts),
    ...leftSlots(facts),
  ];
}

function version({ serverVersionNum: number }: SourceFacts): SourceCheck {
  const major = Math.floor(number / 10_000);
  const text = `Postgres ${major}.${number % 10_000}`;
  return major === MAJOR
    ? ok('version', text)
    : failed('version', `${text}; only Postgres ${MAJOR} is served`);
}

function walLevel({ walLevel: level }: SourceFacts): SourceCheck {
  return level === 'minimal'
    ? failed('wal_level', level, "ALTER SYSTEM SET wal_level = 'replica';", restart)
    : ok('wal_level', level);
}

function room(name: string, setting: string, max: number, used: number, needed: number): SourceCheck {
  const found = `${used} of ${max} are in use`;
  if (max - used >= needed) return ok(name, found);
  return failed(
    name,
    `${found}, and ${needed} are needed`,
    `ALTER SYSTEM SET ${setting} = ${used + needed + 5};`,
    restart,
  );
}

function connections({ connectionsMax: max, connectionsUsed: used }: SourceFacts): SourceCheck {
  const found = `${used} of ${max} are in use`;
  return used / max < 0.9
    ? ok('connections', found)
    : warning('connections', `${found}: ours may be refused`);
}

function slotLimit({ slotKeepMb }: SourceFacts): SourceCheck {
  if (slotKeepMb >= 0) return ok('slot_limit', `a slot keeps ${slotKeepMb} MB of WAL at most`);
  return warning(
    'slot_limit',
    'a slot keeps any amount of WAL: while the page server is away, the source’s disk can fill',
    "ALTER SYSTEM SET max_slot_wal_keep_size = '64GB'; -- as much as the disk can bear",
    'SELECT pg_reload_conf();',
  );
}

function managers({ foreignManagers: names }: SourceFacts): SourceCheck {
  if (names.length === 0) return ok('wal_of_extensions', 'no extension writes WAL of its own kind');
  return failed('wal_of_extensions', `WAL of ${names.join(', ')} cannot be read, and stops the following`);
}

function leftSlots({ slotsLeft }: SourceFacts): SourceCheck[] {
  if (slotsLeft.length === 0) return [];
  return [
    warning(
      'slots_left',
      `nobody reads ${slotsLeft.join(', ')}: of another page server that is away, or left behind`,
      ...slotsLeft.map((slot) => `SELECT pg_drop_replication_slot('${slot}'); -- if it is nobody's`),
    ),
  ];
}

/** Stored pages took that part of the data directory, measured; more to be on the safe side. */
const STORED_PER_BYTE = 0.8;

/** Whether an import has room. */
export function storageCheck(
  { databaseBytes, databasesUnseen }: Pick<SourceFacts, 'databaseBytes' | 'databasesUnseen'>,
  freeBytes: number,
): SourceCheck {
  const gb = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  const unseen = databasesUnseen === 0 ? '' : `, and ${databasesUnseen} databases that the role may not see`;
  const found = `its databases have ${gb(databaseBytes)}${unseen}; the page server's disk has ${gb(freeBytes)} free`;
  return databaseBytes * STORED_PER_BYTE < freeBytes
    ? ok('storage', found)
    : failed('storage', found, '-- give the page server a larger disk (pageserver start --data DIR)');
}
