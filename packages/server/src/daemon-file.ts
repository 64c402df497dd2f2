import { readFile, rename, rm, writeFile } from 'node:fs/promises';

/** What the daemon leaves in its data directory for those who look for it; replaced at every start. */
export interface DaemonFile {
  pid: number;
  /** Plain HTTP on loopback: for this machine. */
  api_url: string;
  /** With TLS; absent when there is none. */
  api_tls_url?: string;
  /** `unix:/path` and `tcp:host:port`. */
  page_service: string[];
  /** `host:port`; absent when there is none. */
  gateway?: string;
  /** Directory of the page service's Unix socket. */
  socket_directory: string;
}

export async function writeDaemonFile(path: string, facts: DaemonFile): Promise<void> {
  await writeFile(`${path}.new`, `${JSON.stringify(facts, null, 2)}\n`, { mode: 0o644 });
  await rename(`${path}.new`, path);
}

/** What a daemon that is gone left behind, or undefined. */
export async function readDaemonFile(path: string): Promise<Partial<DaemonFile> | undefined> {
  try {
    const parsed: unknown = JSON.parse(await readFile(path, 'utf8'));
    return typeof parsed === 'object' && parsed !== null ? parsed : undefined;
  } catch {
    return undefined;
  }
}

export function removeDaemonFile(path: string): Promise<void> {
  return rm(path, { force: true });
}
