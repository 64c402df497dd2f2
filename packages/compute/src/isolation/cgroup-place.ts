import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where control groups can be read from; a test has a directory of its own. */
export interface CgroupSources {
  /** The text of /proc/self/mountinfo. */
  readonly mountInfo: string;
  /** The text of /proc/self/cgroup. */
  readonly ownCgroup: string;
}

export function cgroupSources(): CgroupSources {
  return {
    mountInfo: readFileSync('/proc/self/mountinfo', 'utf8'),
    ownCgroup: readFileSync('/proc/self/cgroup', 'utf8'),
  };
}

/** The directory of the control group (v2) that this process is in, or in words why there is none. */
export function ownCgroup({ mountInfo, ownCgroup }: CgroupSources): { path: string } | { reason: string } {
  const mounts = mountInfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root, place] = before.split(' ');
    return after.startsWith('cgroup2 ') && root !== undefined && place !== undefined
      ? [{ root: unescaped(root), place: unescaped(place) }]
      : [];
  });
  const [mount] = mounts;
  if (mount === undefined) return { reason: 'no cgroup v2 is mounted' };
  const [, own] = /^0::(.*)$/m.exec(ownCgroup) ?? [];
  if (own === undefined) return { reason: 'this process is in no control group of v2' };
  // In a container the mount's root may be a group somewhere below the root of all.
  const below = mount.root === '/' ? own : own.startsWith(mount.root) ? own.slice(mount.root.length) : own;
  if (below.startsWith('/..')) return { reason: "this process' control group is outside of what is mounted" };
  return { path: join(mount.place, below) };
}

/** Spaces and the like are octal in mountinfo. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
