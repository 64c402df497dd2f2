import type { Socket } from 'node:net';

/**
 * Gives `deliver` what `from` receives, and holds `from` back while `to` has enough: when `deliver` answers false, until
 * `to` has drained. Answers how to stop it, which leaves `from` paused.
 */
export function pass(from: Socket, to: Socket, deliver: (chunk: Buffer) => boolean): () => void {
  const onData = (chunk: Buffer) => {
    if (!deliver(chunk)) {
      from.pause();
    }
  };
  const onDrain = () => from.resume();
  from.on('data', onData);
  to.on('drain', onDrain);
  from.resume();
  return () => {
    from.off('data', onData);
    to.off('drain', onDrain);
    from.pause();
  };
}
