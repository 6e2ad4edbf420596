#!/bin/sh
# PostgreSQL for Dagster's runs, events and schedules: made at the first start, then served. Not root.
#   PGDATA                      folder of the data
#   TOKKA_POSTGRES_PASSWORD     of the user tokka, or TOKKA_POSTGRES_PASSWORD_FILE; it counts at the first start
#   TOKKA_POSTGRES_LISTEN       addresses, by default loopback alone; TOKKA_POSTGRES_PORT, by default 5432
set -eu
. "$(dirname "$0")/common.sh"
: "${PGDATA:?the folder of the data}"
server=$(command -v postgres || ls -d /usr/lib/postgresql/*/bin/postgres 2>/dev/null | sort -V | tail -n 1 || true)
[ -n "$server" ] || fail "PostgreSQL is not installed (Debian: apt-get install postgresql)."
bin=$(dirname "$(readlink -f "$server")")
password=$(secret TOKKA_POSTGRES_PASSWORD)

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  # A start that is cut short leaves a folder beside the data, not half a database.
  rm -rf "$PGDATA/new"
  mkdir -p "$PGDATA/new"
  file=$(umask 077 && mktemp "${TMPDIR:-/tmp}/tokka.XXXXXX")
  printf '%s\n' "$password" >"$file"
  "$bin/initdb" -D "$PGDATA/new" -U tokka -E UTF8 --locale=C.UTF-8 --data-checksums -A scram-sha-256 --pwfile="$file" >/dev/null
  rm -f "$file"
  echo 'create database tokka' | "$bin/postgres" --single -D "$PGDATA/new" postgres >/dev/null
  echo 'host all all all scram-sha-256' >>"$PGDATA/new/pg_hba.conf"
  for path in "$PGDATA"/new/*; do
    [ "$(basename "$path")" = PG_VERSION ] || mv "$path" "$PGDATA/"
  done
  mv "$PGDATA/new/PG_VERSION" "$PGDATA/"
  rm -rf "$PGDATA/new"
fi
chmod 0700 "$PGDATA"
unset TOKKA_POSTGRES_PASSWORD password
exec "$bin/postgres" -D "$PGDATA" -c listen_addresses="${TOKKA_POSTGRES_LISTEN:-127.0.0.1}" -c port="${TOKKA_POSTGRES_PORT:-5432}" \
  -c unix_socket_directories="${TMPDIR:-/tmp}" -c password_encryption=scram-sha-256 -c log_statement=none -c log_min_error_statement=panic
