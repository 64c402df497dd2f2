#!/usr/bin/env bash
# Makes corpus.zst anew from what workloads log; run as a user that may run Postgres (not root):
#   PG_BINDIR=<bin directory of a Postgres 15> MAKE_CORPUS=<the built example make_corpus> \
#     ./capture_corpus.sh OUT_FILE WORKLOAD.sql...
# The workloads are those of test/oracle/workloads: together they reach every opcode that one
# server alone can write.
set -euo pipefail
out=$1
shift
work=$(mktemp -d)
trap '"$PG_BINDIR/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
export PGHOST=$work PGUSER=capture
pg() { "$PG_BINDIR/$@"; }
insert_lsn() { pg psql -d postgres -XAtc 'SELECT pg_switch_wal()' -c 'SELECT pg_current_wal_insert_lsn()' | tail -1; }

pg initdb -D "$work/data" -U capture -A trust -k -N >/dev/null
cat >>"$work/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$work'
fsync = off
wal_level = logical
wal_consistency_checking = all
wal_keep_size = 20GB
max_wal_size = 20GB
track_commit_timestamp = on
max_prepared_transactions = 10
allow_in_place_tablespaces = on
lock_timeout = 2s
CONF
pg pg_ctl -D "$work/data" -w -l "$work/log" start >/dev/null
from=$(insert_lsn)
for workload in "$@"; do
  name=$(basename "$workload" .sql)
  pg createdb "workload_$name"
  # Sessions that the workload wants apart are one here; what then fails is not needed.
  pg psql -Xqd "workload_$name" -f "$workload" >/dev/null 2>&1 || true
done
pg psql -d postgres -XAtqc 'CHECKPOINT'
to=$(insert_lsn)
pg pg_ctl -D "$work/data" -m fast -w stop >/dev/null
"$MAKE_CORPUS" 15 "$work/data" "$from" "$to" "$work/corpus"
zstd -19 --ultra --long=27 -q -f "$work/corpus" -o "$out"
