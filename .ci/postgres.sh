#!/usr/bin/env bash
# A Postgres of our own for tests and benchmarks, from the system's package, on a free loopback port.
#
#   .ci/postgres.sh start           starts one; prints its folder and its URL, a line each
#   .ci/postgres.sh stop FOLDER     stops it and deletes the folder
#
# Never for data that anyone wants to keep: it does not wait for the disk.
set -euo pipefail

fail() {
    printf 'postgres.sh: %s\n' "$*" >&2
    exit 1
}

as_server() { # the server refuses to run as root
    if [ "$(id -u)" = 0 ]; then su postgres -s /bin/bash -c "$1"; else bash -c "$1"; fi
}

binaries() { # the newest version's programs; Debian keeps them off the PATH
    local found
    found=$(find /usr/lib/postgresql -maxdepth 3 -name initdb 2>/dev/null | sort -V | tail -1)
    found=${found:-$(command -v initdb || true)}
    [ -n "$found" ] || fail "No Postgres server is installed: apt-get install postgresql"
    dirname "$found"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start() {
    local bin folder port password
    bin=$(binaries)
    folder=$(mktemp -d "${TMPDIR:-/tmp}/dam-postgres.XXXXXX")
    chmod 711 "$folder"
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    printf '%s\n' "$password" >"$folder/password"
    if [ "$(id -u)" = 0 ]; then chown -R postgres "$folder"; fi
    as_server "'$bin/initdb' -D '$folder/data' -A scram-sha-256 -U dam --pwfile='$folder/password' \
        --no-sync -E UTF8 --locale=C.UTF-8" >"$folder/initdb.log" 2>&1 ||
        fail "initdb failed: $(tail -3 "$folder/initdb.log")"
    for _ in 1 2 3; do # somebody may take the port before the server does
        port=$(free_port)
        if as_server "'$bin/pg_ctl' -D '$folder/data' -w -t 60 -l '$folder/log' -o '-p $port \
            -c listen_addresses=127.0.0.1 -c unix_socket_directories=$folder -c fsync=off \
            -c full_page_writes=off' start" >/dev/null 2>&1; then
            printf '%s\n' "$folder" "postgresql://dam:$password@127.0.0.1:$port/postgres"
            return
        fi
    done
    fail "The server did not start: $(tail -3 "$folder/log")"
}

stop() {
    [ -d "$1/data" ] || fail "$1 holds no server of ours."
    as_server "'$(binaries)/pg_ctl' -D '$1/data' -m immediate -w stop" >/dev/null
    rm -rf "$1"
}

case ${1:-} in
start) start ;;
stop) stop "${2:?the folder that start printed}" ;;
*) fail "start or stop FOLDER" ;;
esac
