#!/usr/bin/env bash
# Makes the vectors of layout/tests/data and wal/tests/data anew, below OUT_DIR; run as a user
# that may run Postgres (not root):
#   PG_BINDIR=<bin directory of a Postgres 15 built with lz4 and zstd> ./capture.sh OUT_DIR
set -euo pipefail
out=$1
mkdir -p "$out/wal" "$out/layout"
work=$(mktemp -d)
trap '"$PG_BINDIR/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
export PGHOST=$work PGUSER=capture PGDATABASE=postgres
pg() { "$PG_BINDIR/$@"; }
sql() { pg psql -XAtqc "$1"; }
start() { pg pg_ctl -D "$work/data" -w -l "$work/log" start >/dev/null; }

pg initdb -D "$work/data" -U capture -A trust -k --wal-segsize=1 -N >/dev/null
cat >>"$work/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$work'
wal_level = logical
autovacuum = off
wal_keep_size = 64
max_prepared_transactions = 2
CONF
start
sql 'CREATE TABLE rows (id int, name text); INSERT INTO rows SELECT i, md5(i::text) FROM generate_series(1, 400) i'
sql 'SELECT pg_replication_origin_create($$elsewhere$$)' >/dev/null
sql 'CHECKPOINT'
sql 'SELECT pg_switch_wal()' >/dev/null
from=$(sql 'SELECT pg_current_wal_insert_lsn()')

# The same index under every compression: its images must unpack to the same pages.
for method in off pglz lz4 zstd; do
  pg psql -XAtq -c "SET wal_compression = $method" -c "CREATE INDEX rows_$method ON rows (id)"
done
sql 'CHECKPOINT'
sql 'UPDATE rows SET name = upper(name) WHERE id % 40 = 0'
sql 'BEGIN; SAVEPOINT a; DELETE FROM rows WHERE id = 7; SAVEPOINT b; INSERT INTO rows VALUES (401, NULL); COMMIT'
pg psql -XAtq -c "SELECT pg_replication_origin_session_setup('elsewhere')" \
  -c 'BEGIN' -c "SELECT pg_replication_origin_xact_setup('0/1234', now())" \
  -c "INSERT INTO rows VALUES (402, 'replicated')" -c 'COMMIT' >/dev/null
sql "BEGIN; INSERT INTO rows VALUES (403, 'prepared'); PREPARE TRANSACTION 'p'"
sql "COMMIT PREPARED 'p'"
sql 'VACUUM rows'
# A record longer than several pages, then the rest of the segment unused.
sql "SELECT pg_logical_emit_message(false, 'long', repeat('0123456789abcdef', 4096))" >/dev/null
sql 'SELECT pg_switch_wal()' >/dev/null
# A record whose tail is lost with its segment, and the server that restarts without it.
sql "SELECT pg_logical_emit_message(false, 'fill', repeat('x', 900000))" >/dev/null
kept=$(sql 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())')
sql "SELECT pg_logical_emit_message(true, 'lost', repeat('y', 900000))" >/dev/null
pg pg_ctl -D "$work/data" -m immediate stop >/dev/null
for file in "$work"/data/pg_wal/0*; do
  [[ $(basename "$file") > $kept ]] && rm "$file"
done
start
sql "INSERT INTO rows VALUES (404, 'after the loss')"
until_lsn=$(sql 'SELECT pg_current_wal_flush_lsn()')
checked=$(sql "SELECT pg_relation_filepath('rows')")
pg pg_ctl -D "$work/data" -m fast stop >/dev/null

segment_bytes=$((1 << 20))
first=$((16#${from#*/})) last=$((16#${until_lsn#*/}))
for ((segment = first / segment_bytes; segment <= last / segment_bytes; segment++)); do
  cat "$work/data/pg_wal/$(printf '00000001%08X%08X' 0 "$segment")"
done >"$work/stream"
tail -c +$((first % segment_bytes + 1)) "$work/stream" >"$work/tail"
head -c $((last - first)) "$work/tail" | zstd -19 -q -f -o "$out/wal/stream.zst"
pg pg_waldump -b -p "$work/data/pg_wal" -s "$from" -e "$until_lsn" | cut -c1-200 >"$out/wal/waldump.txt"
echo "$from $until_lsn" >"$out/wal/range.txt"
head -c 296 "$work/data/global/pg_control" >"$out/layout/pg_control"
pg pg_controldata "$work/data" >"$out/layout/pg_controldata.txt"
dd if="$work/data/$checked" bs=8192 skip=2 count=1 status=none >"$out/layout/page_of_block_2"
cp "$out/layout/pg_control" "$out/wal/"
