import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

/** Something at the other end of a connection string that takes connections and never says a word. */
export async function silentSource(): Promise<{ url: string } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `postgres://nobody:secret@127.0.0.1:${port}/postgres`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
