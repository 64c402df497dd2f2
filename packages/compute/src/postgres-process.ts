import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fchownSync, openSync } from 'node:fs';
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

/** A running postmaster (or the shell that guards one), in a session of its own: no terminal's Ctrl-C reaches it. */
export class PostgresProcess {
  readonly pid: number;
  /** Never rejects. */
  readonly exited: Promise<ProcessExit>;
  #exit: ProcessExit | undefined;

  private constructor(
    private readonly child: ChildProcess,
    pid: number,
  ) {
    this.pid = pid;
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
  }

  /** Rejects with the system's error when the program cannot be started. */
  static async spawn(options: PostgresProcessOptions): Promise<PostgresProcess> {
    const log = openLog(options.logFile, options.osUser);
    try {
      const child = spawn(options.program, options.args, {
        ...spawnAs(options.osUser),
        cwd: options.workingDirectory,
        env: options.environment,
        detached: true,
        stdio: [options.standardInput === 'pipe' ? 'pipe' : 'ignore', log, log],
      });
      if (child.pid === undefined) {
        throw await new Promise((resolve) => child.once('error', resolve));
      }
      // Signals are sent by id; this reports only what could not be delivered.
      child.on('error', () => undefined);
      return new PostgresProcess(child, child.pid);
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
    this.child.stdin?.destroy();
  }
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
