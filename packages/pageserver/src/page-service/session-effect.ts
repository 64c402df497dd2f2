import type { PageServiceCommand, PagestreamCommand } from '@offshoot/wire';

/** A command that the session does not carry out itself. */
export type RunnableCommand = Exclude<PageServiceCommand, { readonly name: 'pagestream' | 'set' }>;

/** What the owner of a session's socket has to do next, in order. */
export type SessionEffect =
  | { readonly do: 'write'; readonly bytes: Uint8Array }
  /** Begin TLS; `unread` was received already and belongs to it. Then `tlsStarted`. */
  | { readonly do: 'start-tls'; readonly unread: Uint8Array }
  /** Find the token's scope. Then `tokenChecked`. */
  | { readonly do: 'check-token'; readonly token: string }
  /** Carry out and write all up to CommandComplete. Then `ran`. */
  | { readonly do: 'run'; readonly command: RunnableCommand }
  | ServeEffect
  /** End the connection once everything is written. Nothing comes after. */
  | { readonly do: 'close' };

/** Answer requests of a page stream, in order. Then `served`. */
export interface ServeEffect {
  readonly do: 'serve';
  readonly stream: PagestreamCommand;
  /** Whole CopyData messages. */
  readonly frames: Uint8Array;
  readonly requests: number;
  /** The most bytes that the replies can have. */
  readonly replyBytes: number;
}
