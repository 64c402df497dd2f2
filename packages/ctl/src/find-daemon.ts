import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { OffshootClient } from '@offshoot/client';
import { defaultDataDirectory } from '@offshoot/types';

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

  constructor(
    message: string,
    readonly agentAction: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The data directory: `--data`, else OFFSHOOT_DATA, else `defaultDataDirectory`. */
export function dataDirectory(choice: DaemonChoice, env: NodeJS.ProcessEnv): string {
  return resolve(choice.data ?? defaultDataDirectory({ env, uid: process.getuid?.(), home: homedir() }));
}

/**
 * A client of the daemon that serves the data directory, by the address and token that it left there. Its calls end
 * when `signal` aborts.
 */
export function findDaemon(
  choice: DaemonChoice,
  env: NodeJS.ProcessEnv,
  signal?: AbortSignal,
): OffshootClient {
  const data = dataDirectory(choice, env);
  const url = choice.url ?? env.OFFSHOOT_URL ?? addressIn(data);
  const token = choice.tokenFile === undefined ? env.OFFSHOOT_TOKEN : readToken(choice.tokenFile);
  const ends = signal === undefined ? {} : { signal };
  return new OffshootClient({ url, token: token ?? readToken(join(data, 'token')), ...ends });
}

function addressIn(data: string): string {
  const file = join(data, 'daemon.json');
  const { api_url: address, pid } = readFacts(file, data);
  if (typeof address !== 'string') {
    throw new NoDaemonError(
      `${file} is not a page server's`,
      'say where the page server is: --data DIR or --url URL',
    );
  }
  // Somebody else may listen on its port by now, and must not be shown the token.
  if (typeof pid === 'number' && !isAlive(pid)) {
    throw new NoDaemonError(
      `the page server on ${data} is not running any more (its process ${pid} is gone)`,
      `start it again: pageserver start --data ${data}; one in another container is named by --url URL`,
    );
  }
  return address;
}

function readFacts(file: string, data: string): { api_url?: unknown; pid?: unknown } {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new NoDaemonError(
      existsSync(data) ? `no page server is running on ${data}` : `there is no data directory ${data}`,
      `start one: pageserver start --data ${data}; or say where it is: --data DIR or --url URL`,
      { cause },
    );
  }
  try {
    const facts: unknown = JSON.parse(text);
    return typeof facts === 'object' && facts !== null ? facts : {};
  } catch {
    return {};
  }
}

/** A process of another user is alive too. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function readToken(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new NoDaemonError(
      `the token file ${file} cannot be read`,
      'run as the user who started the page server, or name the file: --token-file FILE',
      { cause },
    );
  }
}
