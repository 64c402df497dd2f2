/**
 * What the reader of an error should do.
 *
 * - `fix`: the request is wrong as it stands; change it.
 * - `retry`: the same request may succeed a little later.
 * - `reconnect`: this connection is of no more use; open another and ask again.
 * - `alert`: something is broken that only an operator can mend.
 */
export type ErrorKind = 'fix' | 'retry' | 'reconnect' | 'alert';
