import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { OffshootClient } from '@offshoot/client';

/** What the user may say about where the daemon is; the environment fills what is left out. */
export interface DaemonChoice {
  data?: string;
  url?: string;
  tokenFile?: string;
}

/** There is no way to the daemon yet: it is not running here, or its token cannot be read. */
export class NoDaemonError extends Error {
  override readonly name = 'NoDaemonError';
  readonly code = 'no_daemon';
}

/** The data directory: `--data`, else OFFSHOOT_DATA, else ~/.offshoot. */
export function dataDirectory(choice: DaemonChoice, env: NodeJS.ProcessEnv): string {
  return resolve(choice.data ?? env.OFFSHOOT_DATA ?? join(homedir(), '.offshoot'));
}

/** A client of the daemon that serves the data directory, by the address and token that it left there. */
export function findDaemon(choice: DaemonChoice, env: NodeJS.ProcessEnv): OffshootClient {
  const data = dataDirectory(choice, env);
  const url = choice.url ?? env.OFFSHOOT_URL ?? addressIn(data);
  const token = choice.tokenFile === undefined ? env.OFFSHOOT_TOKEN : readToken(choice.tokenFile);
  return new OffshootClient({ url, token: token ?? readToken(join(data, 'token')) });
}

function addressIn(data: string): string {
  const file = join(data, 'daemon.json');
  try {
    const address: unknown = JSON.parse(readFileSync(file, 'utf8')).api_url;
    if (typeof address === 'string') return address;
  } catch (cause) {
    throw new NoDaemonError(
      `no page server has been started on ${data}: start one with "pageserver start --data ${data}", ` +
        'or say where it is with --data DIR or --url URL',
      { cause },
    );
  }
  throw new NoDaemonError(`${file} is not a page server's; say where it is with --url URL`);
}

function readToken(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new NoDaemonError(
      `the token file ${file} cannot be read; run as the user who started the page server`,
      {
        cause,
      },
    );
  }
}
