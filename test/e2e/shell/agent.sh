# What all stories share: an agent with OFFSHOOT_URL and OFFSHOOT_TOKEN, curl and psql.
set -euo pipefail

api() { curl -sS --fail-with-body -H "Authorization: Bearer $OFFSHOOT_TOKEN" -H 'Content-Type: application/json' "$@"; }
field() { node -p "JSON.parse(fs.readFileSync(0)).$1"; }
sql() { psql -XAtq -v ON_ERROR_STOP=1 "$@"; }
DIGEST="SELECT md5(string_agg(users::text, ',' ORDER BY id)) FROM users"
digest() { sql "$1" -c "$DIGEST"; }

# expect WHAT EXPECTED FOUND
expect() {
  if [ "$2" != "$3" ]; then
    printf '%s: expected <%s>, found <%s>\n' "$1" "$2" "$3" >&2
    exit 1
  fi
}

# fork NAME AT: prints its connection string.
fork() { api -X POST "$OFFSHOOT_URL/v1/branches" -d "{\"name\": \"$1\", \"from\": \"prod\", \"at\": \"$2\", \"ttl_seconds\": 900}" | field dsn; }
destroy() { api -X DELETE "$OFFSHOOT_URL/v1/branches/$1?recursive=true" >/dev/null; }
