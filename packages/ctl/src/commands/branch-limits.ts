import type { Branch, UpdateBranchRequest } from '@offshoot/client';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { prettyBytes } from '../table.js';

/** What the options of a branch's size and quota give. */
export interface LimitOptions {
  cpuMin?: number;
  cpuMax?: number;
  memory?: number;
  writeQuota?: number;
}

/** `--cpu-min`, `--cpu-max`, `--memory` and `--write-quota`. */
export function addLimitOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--cpu-min <cores>',
        'share of the processor that it keeps while it takes much and others want it: 0.25, 2; no more than there is (default: the setting cpuMinMillicores)',
      ).argParser(parseCores),
    )
    .addOption(
      new Option(
        '--cpu-max <cores>',
        'most that it may take; its share moves between the two with the load (default: the setting cpuMaxMillicores)',
      ).argParser(parseCores),
    )
    .addOption(
      new Option(
        '--memory <size>',
        "of its compute's processes together: 512MiB, 4GiB; Postgres' buffers and work_mem follow (default: the setting " +
          'memoryBytes)',
      ).argParser(parseSize),
    )
    .addOption(
      new Option(
        '--write-quota <size>',
        'WAL that may be written on the branch, 10GiB or none; then statements that write fail until it is raised ' +
          '(default: the setting writeBytesMax)',
      ).argParser((text) => (text === 'none' ? 0 : parseSize(text))),
    );
}

type Limits = Pick<UpdateBranchRequest, 'cpu_min' | 'cpu_max' | 'memory_bytes' | 'write_quota_bytes'>;

/** The same as the API has them. */
export function limitsOf({ cpuMin, cpuMax, memory, writeQuota }: LimitOptions): Limits {
  return {
    ...(cpuMin === undefined ? {} : { cpu_min: cpuMin }),
    ...(cpuMax === undefined ? {} : { cpu_max: cpuMax }),
    ...(memory === undefined ? {} : { memory_bytes: memory }),
    ...(writeQuota === undefined ? {} : { write_quota_bytes: writeQuota }),
  };
}

export function parseCores(text: string): number {
  const cores = Number(/^\d{1,4}(\.\d{1,3})?$/.test(text) ? text : Number.NaN);
  if (!(cores >= 0.01 && cores <= 1024)) {
    throw new InvalidArgumentError('write cores, from 0.01 to 1024, like 0.25 or 2');
  }
  return cores;
}

const UNITS = ['', 'k', 'm', 'g', 't', 'p'];

/** Bytes; a unit counts in powers of 1024, as Postgres' do. */
export function parseSize(text: string): number {
  const [, count, unit] = /^(\d{1,15}(?:\.\d{1,3})?) ?([kmgtp]?)(?:i?b)?$/i.exec(text) ?? [];
  const bytes = Math.round(Number(count) * 1024 ** UNITS.indexOf((unit ?? '').toLowerCase()));
  if (!(bytes > 0 && bytes <= 2 ** 50)) {
    throw new InvalidArgumentError('write a size like 512MiB, 4GiB or 1.5TiB');
  }
  return bytes;
}

/** Lines of the description of a branch. */
export function limitLines({ size, usage, written_bytes, write_quota_bytes, writes }: Branch): string[] {
  const { cpu_min: least, cpu_max: most, memory_bytes: memory } = size;
  const share = usage === undefined ? '' : `, its share is ${usage.cpu_share} now, ${usage.cpu_used} in use`;
  const used =
    usage === undefined ? '' : `, ${prettyBytes(usage.memory_bytes)} in use by ${usage.processes} processes`;
  const quota = write_quota_bytes === 0 ? 'no quota' : `its quota is ${prettyBytes(write_quota_bytes)}`;
  const refused = writes === 'refused' ? '; nothing more can be written until it is raised' : '';
  return [
    `cpu       ${least} to ${most} cores${share}`,
    `memory    ${prettyBytes(memory)}${used}`,
    `written   ${written_bytes === undefined ? 'unknown' : prettyBytes(written_bytes)}, ${quota}${refused}`,
  ];
}
