# Ten variants of a migration at the same time, on ten forks from one LSN.
. "$(dirname "$0")/agent.sh"

before=$(digest "$PRODUCTION")
lsn=$(api -X POST "$OFFSHOOT_URL/v1/branches" -d '{"name": "base", "from": "prod", "at": "now"}' | field base_lsn)
sql "$PRODUCTION" -c "INSERT INTO journal VALUES ('after the base')"

# all_have WHAT N: variant N has, and this waits for the others. Looking takes no process: ten do it at once.
all_have() {
  touch "$1-$2"
  local seen=()
  while [ "${#seen[@]}" -lt 10 ] && [ ! -e failed ]; do
    sleep 0.3
    seen=("$1"-*)
  done
}

variant() {
  local url
  url=$(fork "variant-$1" "$lsn")
  sql "$url" -c "$DIGEST" -c "SELECT count(*) FROM journal WHERE line = 'after the base'" >"base-$1"
  # All have the fork before anybody changes anything.
  all_have forked "$1"
  sql "$url" -c "ALTER TABLE users ADD variant int DEFAULT $1" -c "DELETE FROM users WHERE id <= $1"
  all_have migrated "$1"
  sql "$url" -c 'SELECT count(*), min(id), min(variant), max(variant) FROM users' >"found-$1"
  destroy "variant-$1"
}

users=$(sql "$PRODUCTION" -c 'SELECT count(*) FROM users')
for n in $(seq 10); do
  (
    trap '[ $? = 0 ] || touch failed' EXIT
    variant "$n"
  ) &
done
wait
if [ -e failed ]; then exit 1; fi
for n in $(seq 10); do
  expect "base of variant $n" "$before"$'\n0' "$(cat "base-$n")"
  expect "variant $n" "$((users - n))|$((n + 1))|$n|$n" "$(cat "found-$n")"
done
destroy base
expect 'production' "$before" "$(digest "$PRODUCTION")"
