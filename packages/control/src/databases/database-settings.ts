/** Limits of loading dumps into new databases. */
export interface DatabaseSettings {
  /** Loads at one time. */
  readonly loadsMax: number;
  /** Of them those of one token, unless it is of scope `admin`. */
  readonly loadsPerTokenMax: number;
  /** A dump: as it is sent, and as SQL. */
  readonly dumpBytesMax: number;
  /** One of its statements; each is held in memory. */
  readonly statementBytesMax: number;
  /** Silence of whoever sends it, while more of it is wanted; and of pg_restore, while there is something for it to do. */
  readonly silenceMsMax: number;
  /** From the end of what is sent to the answer; a load that takes longer goes on as an operation. */
  readonly answerMsMax: number;
}

export const databaseDefaults: DatabaseSettings = {
  loadsMax: 4,
  loadsPerTokenMax: 2,
  dumpBytesMax: 64 * 1024 ** 3,
  statementBytesMax: 64 * 1024 ** 2,
  silenceMsMax: 60_000,
  answerMsMax: 30_000,
};
