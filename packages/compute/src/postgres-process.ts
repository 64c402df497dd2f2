import { spawn } from 'node:child_process';
import { closeSync, fchownSync, openSync } from 'node:fs';
import { startProgram } from '@offshoot/engine';
import { type OsUser, spawnAs } from './os-user.js';
import { sendSignal } from './process-table.js';

/** How a process ended. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface PostgresProcessOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly workingDirectory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly osUser: OsUser;
  /** Standard output and error are appended to it. */
  readonly logFile: string;
  /** `pipe`: the process can see its parent's end as the end of its standard input. */
  readonly standardInput: 'none' | 'pipe';
}

/** What is known of a process that was started. */
interface Started {
  readonly pid: number;
  /** Never rejects. */
  readonly exited: Promise<ProcessExit>;
  closeInput(): void;
}

/** A running postmaster (or the shell that guards one), in a session of its own: no terminal's Ctrl-C reaches it. */
export class PostgresProcess {
  readonly pid: number;
  /** Never rejects. */
  readonly exited: Promise<ProcessExit>;
  #exit: ProcessExit | undefined;

  private constructor(private readonly started: Started) {
    this.pid = started.pid;
    this.exited = started.exited.then((exit) => {
      this.#exit = exit;
      return exit;
    });
  }

  /** Rejects with the system's error when the program cannot be started. */
  static async spawn(options: PostgresProcessOptions): Promise<PostgresProcess> {
    const log = openLog(options.logFile, options.osUser);
    try {
      return new PostgresProcess(await start(options, log));
    } finally {
      closeSync(log);
    }
  }

  /** Undefined while it runs. */
  get exit(): ProcessExit | undefined {
    return this.#exit;
  }

  /** Does nothing once it has ended: the id may be another process' by then. */
  signal(signal: NodeJS.Signals): void {
    if (this.#exit === undefined) {
      sendSignal(this.pid, signal);
    }
  }

  /** Ends its standard input. */
  closeInput(): void {
    this.started.closeInput();
  }
}

function start(options: PostgresProcessOptions, log: number): Promise<Started> {
  return options.standardInput === 'pipe' ? startWithInput(options, log) : startQuickly(options, log);
}

async function startQuickly(options: PostgresProcessOptions, log: number): Promise<Started> {
  const { osUser } = options;
  const starting = startProgram({
    path: options.program,
    arguments: options.args,
    environment: options.environment,
    workingDirectory: options.workingDirectory,
    user: osUser.kind === 'same' ? undefined : osUser,
    output: log,
  });
  const { pid, ended } = await starting.catch((error: unknown) => {
    // What it means to users is the caller's to say.
    throw new Error(error instanceof Error ? error.message : String(error), { cause: error });
  });
  return { pid, exited: ended, closeInput: () => undefined };
}

async function startWithInput(options: PostgresProcessOptions, log: number): Promise<Started> {
  const child = spawn(options.program, options.args, {
    ...spawnAs(options.osUser),
    cwd: options.workingDirectory,
    env: options.environment,
    detached: true,
    stdio: ['pipe', log, log],
  });
  const { pid } = child;
  if (pid === undefined) {
    throw await new Promise((resolve) => child.once('error', resolve));
  }
  // Signals are sent by id; this reports only what could not be delivered.
  child.on('error', () => undefined);
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  return { pid, exited, closeInput: () => child.stdin?.destroy() };
}

/** For appending, so that it can be cut while Postgres writes to it. */
function openLog(logFile: string, owner: OsUser): number {
  const log = openSync(logFile, 'a', 0o600);
  if (owner.kind === 'other') {
    fchownSync(log, owner.uid, owner.gid);
  }
  return log;
}

/** `exit status 1` or `signal SIGKILL`. */
export function formatExit({ code, signal }: ProcessExit): string {
  return signal === null ? `exit status ${code}` : `signal ${signal}`;
}
