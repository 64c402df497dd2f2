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
