import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { copyOut } from '../fixture/copy-out.js';
import type { DaemonProcess } from '../fixture/daemon-process.js';

/** What of a timeline is meant, in the words of the page service. */
export interface Place {
  /** The page service's Unix socket. */
  readonly socket: string;
  readonly tenant: string;
  readonly timeline: string;
}

/** A branch as the page service knows it. */
export async function placeOf(daemon: DaemonProcess, branch: string): Promise<Place> {
  const socket = daemon.facts.page_service
    .find((address) => address.startsWith('unix:'))
    ?.slice('unix:'.length);
  if (socket === undefined) throw new Error('the page service has no Unix socket');
  const client = daemon.client();
  const { timeline, tenant } = await client.branch(branch);
  const { id } = await client.tenant(tenant);
  return { socket, tenant: id, timeline };
}

/** The whole cluster at an LSN, as files in a new directory. */
export async function fullBackup({ socket, tenant, timeline }: Place, lsn: string, directory: string) {
  mkdirSync(directory);
  const tar = spawn('tar', ['-x', '-C', directory], { stdio: ['pipe', 'inherit', 'inherit'] });
  const exit = new Promise((resolve) => tar.on('close', resolve));
  const url = `postgresql://x@/x?host=${encodeURIComponent(dirname(socket))}&port=64000`;
  await pipeline(copyOut(url, `fullbackup ${tenant} ${timeline} ${lsn}`), tar.stdin);
  const code = await exit;
  if (code !== 0) throw new Error(`tar ended with ${code}`);
}
