/** It makes a table or sequence unlogged. */
export function makesUnlogged({ text, words }: { text: string; words: readonly string[] }): boolean {
  const [first, second] = words;
  if (first === 'create') return second === 'unlogged';
  return first === 'alter' && /\bSET\s+UNLOGGED\s*$/i.test(text);
}

/** What becomes of it. */
export const UNLOGGED =
  "UNLOGGED: what is in it is not in WAL, and is gone when the branch's compute stops, unless it is SET LOGGED before";
