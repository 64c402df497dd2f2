/** What history is kept of a tenant's timelines. */
export interface HistorySettings {
  /** So much before the newest commit of a timeline can be read; 0: all of it. */
  readonly historySeconds: number;
  /** And no more than so much WAL before its end, however short a time that is; 0: any. */
  readonly historyWalBytesMax: number;
}

/** How what nobody needs any more is removed from the stores. */
export interface RetentionSettings extends HistorySettings {
  /** From the end of a round over a tenant to the next. */
  readonly intervalMs: number;
  /** Of the time that removing takes, so much is work, in percent; the rest is left to others. */
  readonly busyPercentMax: number;
  /** Entries that are looked at in one go. */
  readonly lookEntriesMax: number;
  /** And so long; a snapshot of the store is held meanwhile. */
  readonly lookMsMax: number;
  /** Entries that one transaction removes. */
  readonly portionEntriesMax: number;
  /** Bytes of entries that one transaction removes; one entry may be more. */
  readonly portionBytesMax: number;
}

export const retentionDefaults: RetentionSettings = {
  historySeconds: 7 * 24 * 3600,
  historyWalBytesMax: 0,
  intervalMs: 600_000,
  busyPercentMax: 25,
  lookEntriesMax: 20_000,
  lookMsMax: 20,
  portionEntriesMax: 1000,
  portionBytesMax: 8 * 1024 * 1024,
};
