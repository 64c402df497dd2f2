/** Statements that one session sends one after the other. */
export interface Step {
  readonly session: number;
  /** Nobody waits for them before the session's next step, or the end. */
  readonly background: boolean;
  readonly statements: readonly string[];
}

const MARKER = /^-- session (\d+)( \(background\))?:/;

/**
 * Reads a workload: SQL in which a statement ends with `;` at a line's end. A line `-- session N:` says who sends
 * what follows; session 1 without it. `-- session N (background):` goes on at once with what follows that.
 */
export function parseWorkload(text: string): Step[] {
  const steps: { session: number; background: boolean; statements: string[] }[] = [];
  let statements: string[] = [];
  steps.push({ session: 1, background: false, statements });
  let lines: string[] = [];
  let quoted: string | undefined;
  for (const line of text.split('\n')) {
    const marker = quoted === undefined ? MARKER.exec(line) : null;
    if (marker !== null) {
      if (lines.some(isCode)) throw new Error(`a statement has no end before: ${line}`);
      lines = [];
      statements = [];
      steps.push({ session: Number(marker[1]), background: marker[2] !== undefined, statements });
      continue;
    }
    lines.push(line);
    const read = readLine(line, quoted);
    quoted = read.quoted;
    if (quoted === undefined && read.code.endsWith(';')) {
      statements.push(lines.join('\n').trim());
      lines = [];
    }
  }
  if (lines.some(isCode)) throw new Error(`a statement has no end: ${lines.join('\n').trim()}`);
  return steps.filter((step) => step.statements.length > 0);
}

function isCode(line: string): boolean {
  return line.trim() !== '' && !line.trim().startsWith('--');
}

/** What of a line is neither comment nor quoted, and what quote is open at its end. */
function readLine(line: string, open: string | undefined): { code: string; quoted: string | undefined } {
  let quoted = open;
  let code = '';
  for (let at = 0; at < line.length; ) {
    if (quoted !== undefined) {
      const end = line.indexOf(quoted, at);
      if (end < 0) return { code: code.trimEnd(), quoted };
      at = end + quoted.length;
      quoted = undefined;
      continue;
    }
    const rest = line.slice(at);
    if (rest.startsWith('--')) break;
    const quote = /^(?:'|"|\$(?:[A-Za-z_]\w*)?\$)/.exec(rest)?.[0];
    if (quote !== undefined) quoted = quote;
    else code += line[at];
    at += quote?.length ?? 1;
  }
  return { code: code.trimEnd(), quoted };
}
