/** How what nobody needs any more is removed from the stores. */
export interface RetentionSettings {
  /** Of the time that removing takes, so much is work, in percent; the rest is left to others. */
  readonly busyPercentMax: number;
  /** Entries that one transaction removes. */
  readonly portionEntriesMax: number;
  /** Bytes of entries that one transaction removes; one entry may be more. */
  readonly portionBytesMax: number;
}

export const retentionDefaults: RetentionSettings = {
  busyPercentMax: 25,
  portionEntriesMax: 1000,
  portionBytesMax: 8 * 1024 * 1024,
};
