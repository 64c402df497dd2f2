/** Where a compute listens and as whom to connect. */
export interface ConnectionTarget {
  socketDirectory: string;
  port: number;
  user: string;
  database: string;
}

/**
 * A URL over a Unix socket, in the form that libpq documents. It names no host beside the socket, so that a driver
 * that overlooks the parameter fails, and cannot end up at whatever listens on localhost.
 */
export function connectionUrl({ socketDirectory, port, user, database }: ConnectionTarget): string {
  const path = `${encodeURIComponent(user)}@/${encodeURIComponent(database)}`;
  return `postgresql://${path}?host=${encodeURIComponent(socketDirectory)}&port=${port}`;
}

/** Where the gateway listens, and whom to name there. */
export interface GatewayTarget {
  host: string;
  port: number;
  user: string;
  /** ASCII letters, digits, `-` and `_`. */
  password?: string;
  /** `name@branch`. */
  database: string;
}

/**
 * A URL of a branch by the gateway. The `@` stays as it is: psql, psycopg, node-postgres, postgres.js, pgx and asyncpg take
 * it behind the host. The gateway takes a `%40` too, from drivers that do not decode it.
 */
export function gatewayUrl({ host, port, user, password, database }: GatewayTarget): string {
  const login = password === undefined ? '' : `:${encodeURIComponent(password)}`;
  const authority = `${encodeURIComponent(user)}${login}@${host.includes(':') ? `[${host}]` : host}:${port}`;
  return `postgresql://${authority}/${encodeURIComponent(database).replaceAll('%40', '@')}`;
}

/** Who listens on all addresses is reached, from here, at the loopback one. */
export function hostToConnectTo(listens: string): string {
  if (listens === '0.0.0.0') return '127.0.0.1';
  return listens === '::' ? '::1' : listens;
}
