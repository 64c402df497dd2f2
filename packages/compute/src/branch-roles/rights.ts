import type pg from 'pg';

/**
 * Roles that a branch's own role is not given: those that could get it out of the database, or at production's secrets
 * (verifiers, connection strings of subscriptions), and whoever is a member of such a one.
 */
export const BEYOND = `beyond(role) AS (
    SELECT oid FROM pg_authid WHERE rolsuper OR rolcreaterole OR rolreplication OR rolname IN ('pg_read_all_data',
      'pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
    UNION SELECT m.member FROM pg_auth_members m JOIN beyond ON m.roleid = beyond.role)`;

/** All others that it is not a member of, and that are not members of it. Argument: its name. */
export const ROLES_TO_JOIN = `WITH RECURSIVE ${BEYOND}
  SELECT format('GRANT %I TO %I', r.rolname, own.rolname) AS statement
  FROM pg_authid r, pg_authid own
  WHERE own.rolname = $1 AND r.oid <> own.oid AND r.rolname !~ '^pg_'
    AND r.oid NOT IN (SELECT role FROM beyond)
    AND NOT EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = r.oid AND m.member = own.oid)
    AND NOT pg_has_role(r.oid, own.oid, 'MEMBER')`;

/** The databases of those that it cannot be a member of become its own. Argument: its name. */
export const DATABASES_BEYOND = `WITH RECURSIVE ${BEYOND}
  SELECT format('ALTER DATABASE %I OWNER TO %I', d.datname, own.rolname) AS statement
  FROM pg_database d, pg_authid own
  WHERE own.rolname = $1 AND d.datdba <> own.oid AND d.datdba IN (SELECT role FROM beyond) AND NOT d.datistemplate`;

/** Where it has to be seen to that it owns what it should. */
export async function databasesToOwn(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ datname: string }>(
    'SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY oid',
  );
  return rows.map(({ datname }) => datname);
}
