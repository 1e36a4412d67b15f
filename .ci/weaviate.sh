#!/usr/bin/env bash
# A Weaviate of our own for tests and trials, built once from its Go module, on free loopback ports.
#
#   .ci/weaviate.sh build           builds the server unless it is cached; prints where it is
#   .ci/weaviate.sh cached          prints where the built server is; fails where there is none
#   .ci/weaviate.sh start           builds if need be and starts one; prints its folder, its URL,
#                                   its gRPC port and its API key, a line each
#   .ci/weaviate.sh stop FOLDER     stops it and deletes the folder
#
# A build takes some 4 minutes on two cores and leaves 130 MB in the cache (XDG_CACHE_HOME).
# Never for data that anyone wants to keep.
set -euo pipefail

VERSION=v1.35.2
MODULE=github.com/weaviate/weaviate/cmd/weaviate-server
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/dam_pipeline/servers
BINARY=$CACHE/weaviate-$VERSION-$(uname -s)-$(uname -m)
READY_WITHIN_S=90 # it takes 7 s on an idle machine

fail() {
    printf 'weaviate.sh: %s\n' "$*" >&2
    exit 1
}

build() { # into a folder beside the cached one, so that a broken build leaves nothing behind
    [ ! -x "$BINARY" ] || return 0
    local go made
    go=$(command -v go || command -v /usr/local/go/bin/go) ||
        fail "Weaviate's server is built with Go, which is not installed: https://go.dev/doc/install"
    mkdir -p "$CACHE"
    exec 9>"$CACHE/.lock" && flock 9
    [ ! -x "$BINARY" ] || return 0
    made=$(mktemp -d "$CACHE/building.XXXXXX")
    trap 'rm -rf "$made"' EXIT
    printf 'weaviate.sh: building the server %s, once; this takes minutes\n' "$VERSION" >&2
    GOBIN=$made "$go" install -p 2 -trimpath -buildvcs=false -ldflags='-s -w' "$MODULE@$VERSION" \
        9>&- >"$made/log" 2>&1 ||
        fail "The server $VERSION could not be built; is the network there? $(tail -1 "$made/log")"
    mv "$made/weaviate-server" "$BINARY"
    rm -rf "$made"
    trap - EXIT
    exec 9>&-
}

free_ports() {
    python3 -c '
import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(6)]
print(*(one.getsockname()[1] for one in held))'
}

launch() { # FOLDER KEY HTTP GRPC GOSSIP DATA RAFT RAFT_RPC: every port, or two servers collide
    PERSISTENCE_DATA_PATH=$1/data \
        AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED=false \
        AUTHENTICATION_APIKEY_ENABLED=true \
        AUTHENTICATION_APIKEY_ALLOWED_KEYS=$2 \
        AUTHENTICATION_APIKEY_USERS=dam \
        AUTHORIZATION_ADMINLIST_ENABLED=true \
        AUTHORIZATION_ADMINLIST_USERS=dam \
        AUTOSCHEMA_ENABLED=false \
        DEFAULT_VECTORIZER_MODULE=none \
        CLUSTER_HOSTNAME=node1 \
        CLUSTER_ADVERTISE_ADDR=127.0.0.1 \
        GRPC_PORT=$4 \
        CLUSTER_GOSSIP_BIND_PORT=$5 \
        CLUSTER_DATA_BIND_PORT=$6 \
        RAFT_PORT=$7 \
        RAFT_INTERNAL_RPC_PORT=$8 \
        DISK_USE_READONLY_PERCENTAGE=99 \
        DISABLE_TELEMETRY=true \
        LOG_LEVEL=warning \
        GOMAXPROCS=2 \
        GOMEMLIMIT=2GiB \
        setsid "$BINARY" --host 127.0.0.1 --port "$3" --scheme http \
        </dev/null >"$1/log" 2>&1 &
    echo $! >"$1/pid"
}

answers() { # whether a server is ready on a port, in bash alone
    { exec 3<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
    printf 'GET /v1/.well-known/ready HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
    local status
    IFS= read -r -t 5 status <&3 || status=none
    exec 3>&-
    [[ $status == *' 200 '* ]]
}

start() {
    local folder key ports until
    build
    folder=$(mktemp -d "${TMPDIR:-/tmp}/dam-weaviate.XXXXXX")
    key=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    for _ in 1 2 3; do # somebody may take a port before the server does
        read -r -a ports <<<"$(free_ports)"
        launch "$folder" "$key" "${ports[@]}"
        until=$((SECONDS + READY_WITHIN_S))
        while kill -0 "$(cat "$folder/pid")" 2>/dev/null && [ $SECONDS -lt $until ]; do
            if answers "${ports[0]}"; then
                printf '%s\n' "$folder" "http://127.0.0.1:${ports[0]}" "${ports[1]}" "$key"
                return
            fi
            sleep 0.2
        done
        kill -9 "$(cat "$folder/pid")" 2>/dev/null || true
    done
    fail "The server did not start: $(tail -3 "$folder/log")"
}

stop() {
    local pid
    pid=$(cat "$1/pid" 2>/dev/null) || fail "$1 holds no server of ours."
    # A number is given out again: only a process that runs our server is ended.
    if [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$(readlink -f "$BINARY")" ]; then
        kill "$pid"
        for _ in $(seq 50); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -9 "$pid" 2>/dev/null || true
    fi
    rm -rf "$1"
}

case ${1:-} in
build) build && printf '%s\n' "$BINARY" ;;
cached) [ -x "$BINARY" ] && printf '%s\n' "$BINARY" ;;
start) start ;;
stop) stop "${2:?the folder that start printed}" ;;
*) fail "build, cached, start or stop FOLDER" ;;
esac
