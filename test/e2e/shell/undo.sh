# A bad migration is undone by restoring a checkpoint, behind the same connection string.
. "$(dirname "$0")/agent.sh"

production=$(digest "$PRODUCTION")
url=$(fork undone now)
sql "$url" -c 'ALTER TABLE users ADD name text' -c "UPDATE users SET name = 'n' || id"
good=$(digest "$url")
api -X POST "$OFFSHOOT_URL/v1/branches/undone/checkpoints" -d '{"name": "good"}' >/dev/null

sql "$url" -c 'UPDATE users SET name = null' -c 'ALTER TABLE users DROP email'
# Somebody is connected, and in the middle of something, when it is undone.
sql "$url" -c "INSERT INTO journal VALUES ('busy')" -c 'SELECT pg_sleep(600)' >out 2>&1 &
busy=$!
until [ "$(sql "$url" -c "SELECT count(*) FROM journal WHERE line = 'busy'")" = 1 ]; do sleep 0.3; done
preserved=$(api -X POST "$OFFSHOOT_URL/v1/branches/undone/restore" -d '{"at": "@good"}' | field preserved)
if wait "$busy"; then exit 1; fi
grep -q 'connect again to get the new state' out

expect 'the state at the checkpoint' "$good" "$(digest "$url")"
sql "$url" -c "INSERT INTO users VALUES (0, 'again@example.com', false, 'n0')"
destroy undone
if sql "$url" -c 'SELECT 1' 2>err; then exit 1; fi
grep -q 'branch undone does not exist' err
destroy "$preserved"
expect 'a second time there is nothing to destroy' branch_not_found \
  "$(api -X DELETE "$OFFSHOOT_URL/v1/branches/undone" 2>/dev/null | field code)"
expect 'production' "$production" "$(digest "$PRODUCTION")"
