import { BEYOND } from './rights.js';

/**
 * Gives a role what is owned in the database at hand by those that it cannot be a member of, superusers above all: schemas,
 * relations, routines, types and statistics. Left alone: the system's own, and members of extensions. The role's name is
 * given as a literal.
 *
 * What runs with such an owner's rights must not come upon what is the role's from then on: a table's trigger, a function
 * that is called by its name. So routines lose these rights (SECURITY DEFINER), and event triggers, which the scripts of
 * trusted extensions fire as a superuser, are disabled.
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
        FROM pg_proc p JOIN own_schema n ON n.oid = pronamespace
      UNION ALL SELECT 'pg_type'::regclass, t.oid, typowner, 'TYPE', t.oid::regtype::text
        FROM pg_type t JOIN own_schema n ON n.oid = typnamespace
        WHERE typtype IN ('d', 'e', 'r')
          OR typtype = 'c' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = typrelid AND c.relkind = 'c')
      UNION ALL SELECT 'pg_statistic_ext'::regclass, s.oid, stxowner, 'STATISTICS', format('%I.%I', nspname, stxname)
        FROM pg_statistic_ext s JOIN own_schema n ON n.oid = stxnamespace),
    given AS (SELECT * FROM object WHERE owner IN (SELECT role FROM beyond)
      AND (classid::oid, objid) NOT IN (SELECT classid, objid FROM of_extension)),
    step(number, statement) AS (
      SELECT 1, format('ALTER EVENT TRIGGER %I DISABLE', evtname) FROM pg_event_trigger
        WHERE evtenabled <> 'D' AND evtowner IN (SELECT role FROM beyond)
      UNION ALL SELECT 2, format('ALTER ROUTINE %s SECURITY INVOKER', name) FROM given
        WHERE classid = 'pg_proc'::regclass AND (SELECT prosecdef FROM pg_proc WHERE oid = objid)
      UNION ALL SELECT 3, format('ALTER %s %s OWNER TO %I', kind, name, own) FROM given)
  SELECT coalesce(array_agg(statement ORDER BY number), '{}') INTO statements FROM step;
  FOREACH each IN ARRAY statements LOOP
    EXECUTE each;
  END LOOP;
END $offshoot$`;
}
