import { readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import type { Check, Status } from '@offshoot/client';

const GIB = 1024 ** 3;
/** Computes, clients and LMDB's files take some each. */
const OPEN_FILES_WANTED = 8192;
/** Computes that are ended, and stores that grow, want some room. */
const FREE_WANTED_BYTES = 10 * GIB;

/** What there is to say of the machine, and of what the page server is at. */
export async function machineChecks(status: Status): Promise<Check[]> {
  return [
    await disk(status.data_directory),
    openFiles(),
    isolation(status.isolation),
    ...status.unavailable.map(
      ({ tenant, code, message }): Check => ({
        name: 'tenant',
        state: 'failed',
        found: `${tenant} is unavailable: ${code}: ${message}`,
      }),
    ),
    ...status.receivers.map(receiver),
  ];
}

async function disk(directory: string): Promise<Check> {
  const { bavail, blocks, bsize } = await statfs(directory);
  const free = bavail * bsize;
  const found = `${(free / 1e9).toFixed(1)} of ${((blocks * bsize) / 1e9).toFixed(1)} GB are free at ${directory}`;
  if (free >= FREE_WANTED_BYTES) return { name: 'disk', state: 'ok', found };
  return { name: 'disk', state: 'warning', found, fix: ['-- make room, or delete branches and tenants'] };
}

function openFiles(): Check {
  const limit = openFilesMax();
  const found =
    limit === undefined ? 'the limit is not known' : `the page server may have ${limit} files open`;
  if (limit === undefined || limit >= OPEN_FILES_WANTED) return { name: 'open_files', state: 'ok', found };
  return {
    name: 'open_files',
    state: 'warning',
    found: `${found}: each connection takes two, each compute some more`,
    fix: [`-- start it with more: ulimit -n ${OPEN_FILES_WANTED * 8}, or LimitNOFILE= of its unit`],
  };
}

/** The soft limit of this process; undefined where there is no /proc. */
function openFilesMax(): number | undefined {
  try {
    const [, limit] =
      /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    if (limit === undefined) return undefined;
    return limit === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(limit);
  } catch {
    return undefined;
  }
}

function isolation({ means, reason, cgroup }: Status['isolation']): Check {
  if (means === 'cgroup') return { name: 'isolation', state: 'ok', found: `control groups below ${cgroup}` };
  return {
    name: 'isolation',
    state: 'warning',
    found: `computes are kept apart by priorities only${reason === undefined ? '' : `: ${reason}`}`,
    fix: [
      '-- give the page server a delegated control group (v2): Delegate=yes of its unit, or --cgroup PATH',
    ],
  };
}

function receiver({ tenant, state, reason, lag_seconds: lag }: Status['receivers'][number]): Check {
  const behind = lag === undefined ? '' : `, ${lag.toFixed(1)} s behind`;
  const found = `${tenant} is ${state}${behind}${reason === undefined ? '' : `: ${reason}`}`;
  return { name: 'following', state: state === 'streaming' ? 'ok' : 'warning', found };
}
