import { BEYOND } from './rights.js';

/**
 * Gives a role what is owned in the database at hand by those that it cannot be a member of, superusers above all: schemas,
 * relations, routines, types and statistics. Left alone: the system's own, members of extensions, and routines that run
 * with their owner's rights. The role's name is given as a literal.
 */
export function ownershipBlock(roleLiteral: string): string {
  return `DO $offshoot$
DECLARE
  own name := ${roleLiteral};
  statements text[];
  each text;
BEGIN
  WITH RECURSIVE ${BEYOND},
    own_schema AS (SELECT * FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
    of_extension AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
    -- They go with their tables.
    owned_sequence AS (SELECT objid FROM pg_depend WHERE classid = 'pg_class'::regclass
      AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')),
    object(classid, objid, owner, kind, name) AS (
      SELECT 'pg_namespace'::regclass, oid, nspowner, 'SCHEMA', quote_ident(nspname) FROM own_schema
      UNION ALL SELECT 'pg_class'::regclass, c.oid, relowner, 'TABLE', c.oid::regclass::text
        FROM pg_class c JOIN own_schema n ON n.oid = relnamespace
        WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
          OR relkind = 'S' AND c.oid NOT IN (SELECT objid FROM owned_sequence)
      UNION ALL SELECT 'pg_proc'::regclass, p.oid, proowner, 'ROUTINE', p.oid::regprocedure::text
        FROM pg_proc p JOIN own_schema n ON n.oid = pronamespace WHERE NOT prosecdef
      UNION ALL SELECT 'pg_type'::regclass, t.oid, typowner, 'TYPE', t.oid::regtype::text
        FROM pg_type t JOIN own_schema n ON n.oid = typnamespace
        WHERE typtype IN ('d', 'e', 'r')
          OR typtype = 'c' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = typrelid AND c.relkind = 'c')
      UNION ALL SELECT 'pg_statistic_ext'::regclass, s.oid, stxowner, 'STATISTICS', format('%I.%I', nspname, stxname)
        FROM pg_statistic_ext s JOIN own_schema n ON n.oid = stxnamespace)
  SELECT coalesce(array_agg(format('ALTER %s %s OWNER TO %I', kind, name, own)), '{}') INTO statements
    FROM object
    WHERE owner IN (SELECT role FROM beyond)
      AND (classid::oid, objid) NOT IN (SELECT classid, objid FROM of_extension);
  FOREACH each IN ARRAY statements LOOP
    EXECUTE each;
  END LOOP;
END $offshoot$`;
}
