#!/usr/bin/env bash
# A Postgres of our own, from the system's package; how to call it stands in server.sh.
#
# `start` prints its folder and its URL. It does not wait for the disk.
NAME=postgres
PORTS=1
READY_WITHIN_S=60
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"
STOP_SIGNAL=QUIT # at once, whoever is connected

find_server() { # the newest version's programs; Debian keeps them off the PATH
    SERVER=$(find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null | sort -V | tail -1 || true)
    SERVER=${SERVER:-$(command -v postgres)} ||
        fail "No Postgres server is installed: apt-get install postgresql"
}

as_user() { # the server refuses to run as root
    user=()
    [ "$(id -u)" != 0 ] || user=(setpriv --reuid postgres --regid postgres --init-groups)
}

prepare() {
    local user
    as_user
    [ "$(id -u)" != 0 ] || chown -R postgres "$folder"
    "${user[@]}" "${SERVER%/*}/initdb" -D "$folder/data" -A scram-sha-256 -U dam \
        --pwfile="$folder/secret" --no-sync -E UTF8 --locale=C.UTF-8 >"$folder/initdb.log" 2>&1 ||
        fail "initdb failed: $(tail -3 "$folder/initdb.log")"
}

launch() {
    local user old
    as_user
    old=$(head -1 "$folder/data/postmaster.pid" 2>/dev/null || true)
    for _ in $(seq 50); do # a killed one keeps others out until it is gone from the list of processes
        [ -n "$old" ] && [ -d "/proc/$old" ] || break
        sleep 0.1
    done
    spawn "${user[@]}" "$SERVER" -D "$folder/data" -p "${ports[0]}" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories= -c fsync=off -c full_page_writes=off
}

answers() {
    "${SERVER%/*}/pg_isready" -q -h 127.0.0.1 -p "${ports[0]}"
}

facts() {
    printf '%s\n' "postgresql://dam:$secret@127.0.0.1:${ports[0]}/postgres"
}

main "$@"
