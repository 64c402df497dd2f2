import { readdirSync, readFileSync } from 'node:fs';

/** As in `flags` of /proc/self/fdinfo. */
const O_CLOEXEC = 0o2000000;

/**
 * Descriptors of this process that every program which it starts would get, besides the three that are its own: not all
 * libraries say that their files are not meant for others. Where there is no /proc, none are known.
 */
export function inheritedDescriptors(): number[] {
  return listed().filter((descriptor) => descriptor > 2 && isInherited(descriptor));
}

function listed(): number[] {
  try {
    return readdirSync('/proc/self/fd').map(Number);
  } catch {
    return [];
  }
}

function isInherited(descriptor: number): boolean {
  try {
    const facts = readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1');
    const [, flags] = /^flags:\s*([0-7]+)$/m.exec(facts) ?? [];
    return flags !== undefined && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
  } catch {
    // It was that of the listing itself, or was closed meanwhile.
    return false;
  }
}
