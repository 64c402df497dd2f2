import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

export const LOOPBACK = '127.0.0.1';

/** The longest port number, for names that hold one. */
export const PORT_MAX = 65_535;

/**
 * Ports that are not given out again: a client that was told of one, and comes late, must not find another compute
 * there.
 */
const PORTS_REMEMBERED = 1000;
const LOOKS_MAX = 50;

/** A TCP port of the loopback address that nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, LOOPBACK);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Free ports, none of them one of the last that were given out. */
export class FreePorts {
  readonly #given = new Set<number>();

  constructor(
    private readonly look: () => Promise<number> = freePort,
    private readonly remembered = PORTS_REMEMBERED,
  ) {}

  async take(): Promise<number> {
    let port = await this.look();
    for (let looks = 1; this.#given.has(port) && looks < LOOKS_MAX; looks += 1) {
      port = await this.look();
    }
    // The last one given is the last one in the set.
    this.#given.delete(port);
    this.#given.add(port);
    for (const oldest of this.#given) {
      if (this.#given.size <= this.remembered) break;
      this.#given.delete(oldest);
    }
    return port;
  }
}

/** Somebody may take the port between the look for a free one and the start of Postgres. */
export function isPortTaken(error: unknown): boolean {
  return error instanceof Error && error.message.includes('could not bind');
}
