import type { ComputeWal } from '@offshoot/compute';
import type { Lsn } from '@offshoot/types';

/** The same, and `onOpen` hears where the WAL of a compute begins as soon as it can come in. */
export function withOpening(
  wal: ComputeWal | undefined,
  onOpen: (walStart: Lsn) => void,
): ComputeWal | undefined {
  return (
    wal && {
      failed: wal.failed,
      open: async (walStart) => {
        await wal.open(walStart);
        onOpen(walStart);
      },
      receive: (source) => wal.receive(source),
      finish: () => wal.finish(),
    }
  );
}
