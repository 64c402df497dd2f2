/** Record types that Postgres 15 never writes under the settings that the page server needs. */
export const cannotBeProvoked: Readonly<Record<string, string>> = {
  'XLOG/NOOP': 'no code writes it',
  'Gist/ASSIGN_LSN': 'only with wal_level = minimal, of which the page server takes nothing',
  'Heap/HOT_UPDATE+INIT': 'an update on the same page never has the new tuple as the only one',
};
