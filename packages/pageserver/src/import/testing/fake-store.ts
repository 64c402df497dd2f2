import type { ImportOptions, ImportSession, TenantStore, TimelineSpec } from '@offshoot/engine';
import type { Lsn } from '@offshoot/types';

/** What a fake store was told to do, and how it should fail. */
export interface FakeStore {
  readonly store: TenantStore;
  /** `begin`, `archive 0`, `write 1024`, `finishBackup`, `wal 80`, `finish`, `abort`, `attach`, `close`. */
  readonly calls: string[];
  readonly imports: ImportOptions[];
  readonly timelines: TimelineSpec[];
  /** Bytes of each archive, by tablespace oid. */
  readonly archives: Map<number, Buffer>;
  readonly wal: Buffer[];
}

/** A store that only remembers. `failAt` names the call that fails; `storing`, if given, takes written bytes instead. */
export function fakeStore(failAt?: string, storing?: (bytes: number) => Promise<void>): FakeStore {
  const fake = {
    calls: [] as string[],
    imports: [] as ImportOptions[],
    timelines: [] as TimelineSpec[],
    archives: new Map<number, Buffer>(),
    wal: [] as Buffer[],
  };
  const call = (name: string, what = '') => {
    fake.calls.push(`${name}${what === '' ? '' : ` ${what}`}`);
    if (name === failAt) {
      throw new Error(`${name} failed`);
    }
  };
  let spcOid = -1;
  let start = 0n;
  const walBytes = () => fake.wal.reduce((sum, chunk) => sum + chunk.length, 0);
  const session = {
    beginArchive(oid: number) {
      call('archive', String(oid));
      spcOid = oid;
      fake.archives.set(oid, Buffer.alloc(0));
    },
    async write(chunk: Uint8Array) {
      call('write', String(chunk.length));
      if (storing !== undefined) {
        await storing(chunk.length);
        return { pages: 0, bytes: chunk.length };
      }
      const archive = Buffer.concat([fake.archives.get(spcOid) as Buffer, chunk]);
      fake.archives.set(spcOid, archive);
      return { pages: 0, bytes: archive.length };
    },
    finishBackup: async () => call('finishBackup'),
    async wal(chunk: Uint8Array) {
      call('wal', String(chunk.length));
      fake.wal.push(Buffer.from(chunk));
      return { lsn: (start + BigInt(walBytes())) as Lsn, records: 1 };
    },
    async finish(endLsn: Lsn) {
      call('finish');
      return { lastRecordLsn: endLsn, unsupported: [] };
    },
    abort: async () => call('abort'),
  };
  const store = {
    beginImport(options: ImportOptions) {
      call('begin');
      fake.imports.push(options);
      start = options.startLsn;
      return session as unknown as ImportSession;
    },
    attach(spec: TimelineSpec) {
      call('attach');
      fake.timelines.push(spec);
    },
    close: async () => call('close'),
  };
  return { ...fake, store: store as unknown as TenantStore };
}
