# The state as of a given second, whatever came after it.
. "$(dirname "$0")/agent.sh"

second() { sql "$PRODUCTION" -c "SELECT to_char(clock_timestamp() AT TIME ZONE 'utc', 'YYYY-MM-DD HH24:MI:SS\"Z\"')"; }
lines() { sql "$1" -c "SELECT string_agg(line, ',' ORDER BY ctid) FROM journal WHERE line LIKE 'shell %'"; }

sql "$PRODUCTION" -c "INSERT INTO journal VALUES ('shell one')"
first=$(second)
until [ "$(second)" != "$first" ]; do sleep 0.2; done
first=$(second)
sql "$PRODUCTION" -c "INSERT INTO journal VALUES ('shell two')"
next=$(second)
until [ "$(second)" != "$next" ]; do sleep 0.2; done
next=$(second)
sql "$PRODUCTION" -c "DELETE FROM journal WHERE line LIKE 'shell %'"

expect "as of $first" 'shell one' "$(lines "$(fork at-first "$first")")"
expect "as of $next" 'shell one,shell two' "$(lines "$(fork at-next "$next")")"
expect 'production now' '' "$(lines "$PRODUCTION")"
for name in at-first at-next; do destroy "$name"; done
