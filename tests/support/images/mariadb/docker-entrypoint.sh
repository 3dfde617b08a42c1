#!/bin/bash
# The part of the official image's entry point that is used here: a new database is filled from the mounted files.
set -eu
data=/var/lib/mysql
socket=/run/mysqld/mysqld.sock
if [ ! -d "$data/mysql" ]; then
    mariadb-install-db --no-defaults --datadir="$data" --auth-root-authentication-method=normal --skip-test-db >/dev/null
    "$1" --no-defaults --datadir="$data" --skip-networking --socket="$socket" "${@:2}" &
    until mariadb --user=root --socket="$socket" --execute 'select 1' >/dev/null 2>&1; do sleep 0.2; done
    for file in /docker-entrypoint-initdb.d/*.sql; do
        mariadb --user=root --socket="$socket" <"$file"
    done
    kill $!
    wait $! || true
fi
exec "$1" --no-defaults --datadir="$data" --socket="$socket" "${@:2}"
