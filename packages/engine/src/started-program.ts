import { constants } from 'node:os';
import { nativeAddon } from './native-addon.js';
import { awaiting } from './native-errors.js';

export interface ProgramOptions {
  readonly path: string;
  /** Without the program's name. */
  readonly arguments: readonly string[];
  /** All of it: nothing of this process' own is passed on. */
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  /** Whose rights it gets; only root can give others' than its own. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** Descriptor that takes its output and its errors; it may be closed once the program runs. */
  readonly output: number;
}

/** How a program ended: the one that does not apply is null. */
export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A program in a session of its own. */
export interface StartedProgram {
  /** Nobody else's until `ended` resolves. */
  readonly pid: number;
  /** Never rejects. */
  readonly ended: Promise<ProgramEnd>;
}

/**
 * Starts a program, without copying this process' memory as `child_process` does: that takes milliseconds, and the
 * event loop waits for it. Throws `program_not_started`.
 */
export async function startProgram(options: ProgramOptions): Promise<StartedProgram> {
  const { promise: ended, resolve } = promiseOfEnd();
  const pid = await awaiting(() =>
    nativeAddon().startProgram(
      {
        path: options.path,
        arguments: [...options.arguments],
        environment: Object.entries(options.environment).map(([name, value]) => `${name}=${value}`),
        workingDirectory: options.workingDirectory,
        output: options.output,
        ...(options.user === undefined ? {} : { uid: options.user.uid, gid: options.user.gid }),
      },
      (code, signal) => resolve({ code: code ?? null, signal: signalName(signal) }),
    ),
  );
  return { pid, ended };
}

function promiseOfEnd() {
  let resolve: (end: ProgramEnd) => void = () => undefined;
  const promise = new Promise<ProgramEnd>((set) => {
    resolve = set;
  });
  return { promise, resolve };
}

function signalName(number: number | null | undefined): NodeJS.Signals | null {
  if (number == null) return null;
  const names = Object.keys(constants.signals) as NodeJS.Signals[];
  return names.find((name) => constants.signals[name] === number) ?? 'SIGKILL';
}
