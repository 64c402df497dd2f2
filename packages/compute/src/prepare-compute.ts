import type { Lsn } from '@offshoot/types';
import { fetchBaseBackup } from './base-backup.js';
import type { ComputeSpec } from './compute-driver.js';
import type { ComputePaths } from './compute-paths.js';
import { resolveComputeSettings } from './compute-settings.js';
import { fileParameters, fixedParameters, type Parameters } from './configuration.js';
import { DataDirectory } from './data-directory.js';
import {
  type ComputeSize,
  dataBytesMaxOf,
  resolveComputeSize,
  settingsOfSize,
} from './isolation/compute-size.js';
import { LimitsFile } from './limits-file.js';
import type { LocalComputeHost } from './local-compute-host.js';
import { preloadableName, preloadEnvironment } from './preload-environment.js';
import { makeComputeDirectories, type SpareDirectory } from './spare-directories.js';
import { StatementsFile } from './statements-file.js';

export interface ComputePreparation {
  readonly id: string;
  readonly spec: ComputeSpec;
  readonly host: LocalComputeHost;
  readonly paths: ComputePaths;
  readonly socketDirectory: string;
  /** Directories that were made ahead. */
  readonly spare: SpareDirectory | undefined;
  readonly signal: AbortSignal;
}

/** A data directory that Postgres can be started in. */
export interface PreparedCompute {
  /** Given on the command line, for a port that is free when it is started. */
  fixedParameters(port: number): Parameters;
  /** Of the first record that Postgres will have written, in a manner of speaking. */
  readonly walStart: Lsn;
  readonly environment: Record<string, string>;
  /** Open. */
  readonly limitsFile: LimitsFile;
  /** The same. */
  readonly statementsFile: StatementsFile;
  readonly size: ComputeSize;
  readonly baseBackupMs: number;
  readonly configureMs: number;
}

/** Makes all directories and files of a compute. What it has made when it throws is the caller's to remove. */
export async function prepareCompute(preparation: ComputePreparation): Promise<PreparedCompute> {
  const { spec, host, signal } = preparation;
  const size = resolveComputeSize(spec.size ?? {}, host.size);
  const settings = resolveComputeSettings({
    ...settingsOfSize(size),
    ...host.settings,
    ...spec.settings,
    parameters: { ...host.settings.parameters, ...spec.settings?.parameters },
  });
  const began = performance.now();
  if (preparation.spare === undefined) {
    await makeComputeDirectories(preparation.paths, preparation.socketDirectory, host.osUser);
  }
  const directory = await fetchDataDirectory(preparation);
  const fetched = performance.now();
  const control = directory.controlFile();
  const parameters = fileParameters(settings, control);
  directory.complete(control, { ...parameters, cluster_name: `offshoot ${preparation.id}` }, spec.access);
  signal.throwIfAborted();
  const limitsFile = LimitsFile.create(directory.path);
  const statementsFile = StatementsFile.create(directory.path);
  const environment = preloadEnvironment(spec, settings, {
    library: preloadableName(host.preloadLibrary, directory.path),
    pageService: host.pageService,
    tokenFile: host.pageToken === undefined ? undefined : directory.writeToken(host.pageToken),
    parentPid: process.pid,
    dataDirectory: directory.path,
    spareFiles: directory.spareFiles,
    limitsFile: limitsFile.path,
    statementsFile: statementsFile.path,
    dataBytesMax: dataBytesMaxOf(size),
  });
  return {
    environment,
    limitsFile,
    statementsFile,
    fixedParameters: (port) =>
      fixedParameters(
        { socketDirectory: preparation.socketDirectory, port, dataDirectory: directory.path },
        {
          durability: spec.wal === undefined ? 'none' : (spec.durability ?? 'sync'),
          unsentWalBytesMax: settings.unsentWalBytesMax,
        },
      ),
    size,
    walStart: control.checkpointLsn,
    baseBackupMs: fetched - began,
    configureMs: performance.now() - fetched,
  };
}

async function fetchDataDirectory(preparation: ComputePreparation): Promise<DataDirectory> {
  const { host, spec, paths, signal } = preparation;
  const { limits } = host;
  const directory = DataDirectory.create(paths.dataDirectory, host.osUser, limits, preparation.spare);
  const of = { tenantId: spec.tenantId, timelineId: spec.timelineId, lsn: spec.baseLsn };
  await directory.unpack(
    fetchBaseBackup(host.pageService, of, {
      password: host.pageToken,
      silenceMs: limits.baseBackupSilenceMs,
      messageBytesMax: limits.messageBytesMax,
      signal,
    }),
  );
  return directory;
}
