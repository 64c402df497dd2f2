/** Told of what goes wrong where nobody waits for it, for a log. */
export type TroubleListener = (
  message: string,
  facts: { readonly error: unknown; readonly [fact: string]: unknown },
) => void;

/** Tells of what goes on failing once, until it has succeeded again. */
export class Troubles {
  readonly #standing = new Set<string>();

  constructor(private readonly onTrouble: TroubleListener | undefined) {}

  /** `what`: by which it is known. */
  failed(what: string, message: string, facts: Parameters<TroubleListener>[1]): void {
    if (!this.#standing.has(what)) this.onTrouble?.(message, facts);
    this.#standing.add(what);
  }

  succeeded(what: string): void {
    this.#standing.delete(what);
  }
}
