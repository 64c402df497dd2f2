import { type BranchName, parseBranchName } from '@offshoot/types';

const NAME_CHARACTERS_MAX = 63;
/** Restores of one branch within one second that get a name. */
const SERIAL_MAX = 1000;

/** `NAME-before-20261121t120000z`, and with a number when that is taken; undefined when all are. */
export function preservedName(
  of: BranchName,
  now: Date,
  isTaken: (name: BranchName) => boolean,
): BranchName | undefined {
  const time = now.toISOString().replace(/\.\d+/, '').replaceAll(/[-:]/g, '').toLowerCase();
  for (let serial = 1; serial < SERIAL_MAX; serial += 1) {
    const end = `-before-${time}${serial === 1 ? '' : `-${serial}`}`;
    const name = parseBranchName(`${of.slice(0, NAME_CHARACTERS_MAX - end.length)}${end}`);
    if (!isTaken(name)) return name;
  }
  return undefined;
}
