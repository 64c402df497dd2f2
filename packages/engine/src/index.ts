export { DirectoryLock } from './directory-lock.js';
export {
  type BackupProgress,
  type ImportOutcome,
  ImportSession,
  type WalProgress,
} from './import-session.js';
export { engineError } from './native-errors.js';
export {
  type PumpedConnection,
  type PumpedEnd,
  type SplicePair,
  SplicePump,
  type SplicePumpOptions,
  type SplicePumpSums,
} from './splice-pump.js';
export {
  type ProgramEnd,
  type ProgramOptions,
  type StartedProgram,
  startProgram,
} from './started-program.js';
export { TarStream } from './tar-stream.js';
export {
  type BaseBackupOptions,
  type Collected,
  type CommitsAround,
  type ImportOptions,
  type LoginCandidates,
  type Look,
  type LsnAtTime,
  type Measured,
  type NamedRole,
  type PageReads,
  type PagesReply,
  type PointHolders,
  type Portion,
  type PortionReclaimed,
  TenantStore,
  type TenantStoreSettings,
  type TenantStoreStats,
  type TimelineSpec,
} from './tenant-store.js';
export {
  type FollowOptions,
  type FollowProgress,
  type ReceiveEnd,
  type ReceiveOptions,
  WalFollower,
} from './wal-follower.js';
