/** Limits of loading dumps into new databases. */
export interface DatabaseSettings {
  /** Loads at one time. */
  readonly loadsMax: number;
  /** A dump: as it is sent, and as SQL. */
  readonly dumpBytesMax: number;
  /** One of its statements; each is held in memory. */
  readonly statementBytesMax: number;
  /** Silence of whoever sends it, while more of it is wanted. */
  readonly silenceMsMax: number;
  /** From the end of what is sent to the answer; a load that takes longer goes on as an operation. */
  readonly answerMsMax: number;
}

export const databaseDefaults: DatabaseSettings = {
  loadsMax: 4,
  dumpBytesMax: 64 * 1024 ** 3,
  statementBytesMax: 64 * 1024 ** 2,
  silenceMsMax: 60_000,
  answerMsMax: 30_000,
};
