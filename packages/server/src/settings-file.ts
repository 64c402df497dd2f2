import { readFile } from 'node:fs/promises';
import { defaultComputeSettings, defaultLocalComputeLimits, sizeDefaults } from '@offshoot/compute';
import {
  accessDefaults,
  databaseDefaults,
  eventDefaults,
  expiryDefaults,
  quotaDefaults,
  wakeDefaults,
} from '@offshoot/control';
import { gatewayDefaults } from '@offshoot/gateway';
import {
  computeWalDefaults,
  followDefaults,
  importDefaults,
  pageServerDefaults,
  pageServiceDefaults,
  retentionDefaults,
} from '@offshoot/pageserver';
import { baseError } from '@offshoot/types';

/** Limits and sizes that have defaults, in groups; every number is a positive whole one, in the unit of its name. */
export interface TuningSettings {
  /** See `ComputeSettings`. `parameters` holds further Postgres parameters by name. */
  compute: Record<string, number | Record<string, string>>;
  /** See `LocalComputeLimits`. */
  computeLimits: Record<string, number>;
  /** See `SizeSettings`. */
  size: Record<string, number>;
  /** See `QuotaSettings`. */
  quota: Record<string, number>;
  /** See `AccessSettings`. */
  access: Record<string, number>;
  /** See `ExpirySettings`. */
  expiry: Record<string, number>;
  /** See `DatabaseSettings`. */
  database: Record<string, number>;
  /** See `EventSettings`. */
  events: Record<string, number>;
  /** See `WakeSettings`. */
  wake: Record<string, number>;
  /** See `ComputeWalSettings`. */
  computeWal: Record<string, number>;
  /** See `PageServiceSettings`. */
  pageService: Record<string, number>;
  /** See `GatewaySettings`. */
  gateway: Record<string, number>;
  /** See `ImportSettings`. */
  import: Record<string, number>;
  /** See `FollowSettings`. */
  follow: Record<string, number>;
  /** See `RetentionSettings`. */
  retention: Record<string, number>;
  /** See `TenantStoreSettings`. */
  store: Record<string, number>;
}

const defaults: { readonly [Group in keyof TuningSettings]: object } = {
  compute: defaultComputeSettings,
  computeLimits: defaultLocalComputeLimits,
  size: sizeDefaults,
  quota: quotaDefaults,
  access: accessDefaults,
  expiry: expiryDefaults,
  database: databaseDefaults,
  events: eventDefaults,
  wake: wakeDefaults,
  computeWal: computeWalDefaults,
  pageService: pageServiceDefaults,
  gateway: gatewayDefaults,
  import: importDefaults,
  follow: followDefaults,
  retention: retentionDefaults,
  store: pageServerDefaults.store,
};

/** Those with which nothing would ever be served, by group; all others may be 0. */
const least: { readonly [Group in keyof TuningSettings]?: Readonly<Record<string, number>> } = {
  computeLimits: { computesMax: 1, startTimeoutMs: 1, archiveBytesMax: 1, archiveEntriesMax: 1 },
  gateway: {
    connectionsMax: 1,
    connectionsPerBranchMax: 1,
    startupsPerBranchMax: 1,
    parkedMax: 1,
    parkTimeoutMs: 1,
    // Of a start-up packet that names a user and a database.
    handshakeBytesMax: 256,
    handshakeTimeoutMs: 1,
    connectTimeoutMs: 1,
    startupTimeoutMs: 1,
    authenticationTimeoutMs: 1,
    socketBufferBytes: 1024,
  },
};

/** Every setting with its default, by group, as `pageserver settings` prints it and the file takes it. */
export function defaultTuning(): TuningSettings {
  return structuredClone(defaults) as TuningSettings;
}

/** Reads `--settings FILE`: JSON with any part of what `defaultTuning` answers. Throws `invalid_argument`. */
export async function readSettingsFile(path: string): Promise<Partial<TuningSettings>> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw baseError('invalid_argument', `--settings ${path} cannot be read: ${String(cause)}`, { cause });
  });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw baseError('invalid_argument', `--settings ${path} is not JSON: ${String(cause)}`, { cause });
  }
  try {
    return checkTuning(parsed);
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    throw baseError('invalid_argument', `--settings ${path}: ${words}`, { cause: error });
  }
}

/** The value as settings. Throws `invalid_argument` that names the group and setting at fault. */
export function checkTuning(value: unknown): Partial<TuningSettings> {
  for (const [group, settings] of entriesOf('the file', value)) {
    const known = defaults[group as keyof TuningSettings];
    if (known === undefined) throw unknownName('group', group, Object.keys(defaults));
    for (const [name, setting] of entriesOf(group, settings)) checkSetting(group, name, setting, known);
  }
  return value as Partial<TuningSettings>;
}

function checkSetting(group: string, name: string, setting: unknown, known: object): void {
  if (!Object.hasOwn(known, name)) throw unknownName(`setting in ${group}`, name, Object.keys(known));
  if (group === 'compute' && name === 'parameters') {
    for (const [parameter, text] of entriesOf('compute.parameters', setting)) {
      if (typeof text !== 'string') {
        throw baseError(
          'invalid_argument',
          `compute.parameters.${parameter} must be text, as in postgresql.conf`,
        );
      }
    }
  } else if (!Number.isSafeInteger(setting) || (setting as number) < 0) {
    throw baseError(
      'invalid_argument',
      `${group}.${name} must be a whole number, not ${JSON.stringify(setting)}`,
    );
  } else {
    const atLeast = least[group as keyof TuningSettings]?.[name] ?? 0;
    if ((setting as number) < atLeast) {
      throw baseError('invalid_argument', `${group}.${name} must be ${atLeast} or more, not ${setting}`);
    }
  }
}

function entriesOf(what: string, value: unknown): [string, unknown][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw baseError('invalid_argument', `${what} must be a JSON object`);
  }
  return Object.entries(value);
}

function unknownName(what: string, name: string, known: readonly string[]) {
  return baseError('invalid_argument', `there is no ${what} called ${name}; known: ${known.join(', ')}`);
}
