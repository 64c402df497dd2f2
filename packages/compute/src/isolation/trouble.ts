/** Told of what goes wrong where nobody waits for it, for a log. */
export type TroubleListener = (
  message: string,
  facts: { readonly error: unknown; readonly [fact: string]: unknown },
) => void;
