/** One thing that was looked at. */
export interface SourceCheck {
  /** What: stable, in snake_case. */
  readonly name: string;
  /** `failed`: an import would fail, or production could come to harm. `warning`: it works, and could be better. */
  readonly state: 'ok' | 'warning' | 'failed';
  /** What was found, in words. */
  readonly found: string;
  /** What mends it, in the order in which to do it: SQL, or lines of a file in a comment. */
  readonly fix?: readonly string[] | undefined;
}

export const ok = (name: string, found: string): SourceCheck => ({ name, state: 'ok', found });

export const warning = (name: string, found: string, ...fix: string[]): SourceCheck => ({
  name,
  state: 'warning',
  found,
  ...(fix.length === 0 ? {} : { fix }),
});

export const failed = (name: string, found: string, ...fix: string[]): SourceCheck => ({
  ...warning(name, found, ...fix),
  state: 'failed',
});
