import { createRequire } from 'node:module';
import { engineError, type NativeErrorData } from './native-errors.js';

/** The addon as it comes out of the build (see `native.d.ts`); nothing outside this package sees it. */
export interface NativeAddon {
  openTenant(
    dir: string,
    options: { mapSizeInitialBytes: number; readersMax: number },
  ): Promise<NativeTenant>;
  lockDirectory(dir: string): NativeLock;
}

export interface NativeLock {
  release(): void;
}

export interface NativeTenant {
  attach(spec: {
    index: number;
    parentIndex?: number;
    ancestorLsn?: bigint;
    lastRecordLsn: bigint;
    readableFrom: bigint;
  }): void;
  detach(index: number): void;
  pages(
    index: number,
    version: number,
    frames: Uint8Array,
  ): Promise<{ reply: Buffer; handled: number; waitFor?: bigint; failure?: NativeErrorData }>;
  relations(index: number, spc: number, db: number, lsn: bigint): Promise<Buffer>;
  baseBackup(
    index: number,
    options: { lsn?: bigint; kind: string; wal: string; replica: boolean },
  ): Promise<NativeTarStream>;
  beginImport(options: {
    index: number;
    startLsn: bigint;
    timelineId: number;
    segmentBytes: number;
    major: number;
    systemId: bigint;
  }): NativeImportSession;
  stats(): Promise<{ usedBytes: number; mapBytes: number; versions: number }>;
  lastRecordLsn(index: number): bigint;
  close(): Promise<void>;
}

export interface NativeTarStream {
  next(): Promise<Buffer | null>;
}

export interface NativeImportSession {
  beginArchive(spcOid: number): void;
  write(chunk: Uint8Array): Promise<{ pages: number; bytes: number }>;
  finishBackup(): Promise<Record<string, unknown>>;
  wal(chunk: Uint8Array): Promise<{ lsn: bigint; records: number }>;
  finish(endLsn: bigint): Promise<{ lastRecordLsn: bigint; unsupported: { name: string; count: number }[] }>;
  abort(): Promise<void>;
}

let loaded: NativeAddon | undefined;

/** The addon, loaded at first use. Throws `engine_addon_missing`. */
export function nativeAddon(): NativeAddon {
  loaded ??= load();
  return loaded;
}

function load(): NativeAddon {
  try {
    return createRequire(import.meta.url)('../native.node') as NativeAddon;
  } catch (cause) {
    throw engineError('engine_addon_missing', 'the native engine cannot be loaded: run `npm run setup`', {
      cause,
    });
  }
}
