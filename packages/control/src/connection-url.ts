/** Where a compute listens and as whom to connect. */
export interface ConnectionTarget {
  socketDirectory: string;
  port: number;
  user: string;
  database: string;
}

/** A libpq URL over a Unix socket; node-postgres, psycopg and every libpq client take it as it is. */
export function connectionUrl({ socketDirectory, port, user, database }: ConnectionTarget): string {
  const path = `${encodeURIComponent(user)}@/${encodeURIComponent(database)}`;
  return `postgresql://${path}?host=${encodeURIComponent(socketDirectory)}&port=${port}`;
}
