import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Context } from './context.js';

/** The command ended like this, and so does pageserver-ctl. */
export class ProgramEnd extends Error {
  override readonly name = 'ProgramEnd';

  constructor(readonly exitCode: number) {
    super(`ended with exit code ${exitCode}`);
  }
}

/** The command could not be started. */
export class NoProgramError extends Error {
  override readonly name = 'NoProgramError';
  readonly code = 'no_program';
  /** As shells have it: not found, or not to be run. */
  readonly exitCode: 126 | 127;
  readonly agentAction = 'install it, or give the path of another';

  constructor(program: string, cause: NodeJS.ErrnoException) {
    super(`${program} cannot be started: ${cause.code === 'ENOENT' ? 'it is not found' : cause.message}`, {
      cause,
    });
    this.exitCode = cause.code === 'ENOENT' ? 127 : 126;
  }
}

/** What others send to us is meant for the program; an interrupt at the terminal comes to it by itself. */
const FORWARDED = ['SIGTERM', 'SIGHUP'] as const;

export interface ProgramCall {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

/** An interrupt came before the program was started. */
const INTERRUPTED = 130;

/**
 * Runs a program with our input and output; answers its exit code, as a shell has it: 128 and its number for a signal.
 * Throws `NoProgramError`.
 */
export async function runProgram(
  { interrupted, yieldSignals }: Pick<Context, 'interrupted' | 'yieldSignals'>,
  { program, args, environment }: ProgramCall,
): Promise<number> {
  if (interrupted.aborted) return INTERRUPTED;
  yieldSignals();
  const child = spawn(program, args, { stdio: 'inherit', env: environment });
  const forward = (signal: NodeJS.Signals) => child.kill(signal);
  for (const signal of FORWARDED) process.on(signal, forward);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.on('error', (error) => reject(new NoProgramError(program, error)));
      child.on('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : 128 + numberOf(signal)));
    });
  } finally {
    for (const signal of FORWARDED) process.off(signal, forward);
  }
}

function numberOf(signal: NodeJS.Signals): number {
  return constants.signals[signal];
}
