#!/usr/bin/env bash
# An S3 server of our own for tests (versitygw on a folder), on a free loopback port.
#
#   .ci/s3.sh build           compiles the server once into the cache folder; needs Go (1.5 minutes)
#   .ci/s3.sh start           starts one, built before if need be; prints its folder, its address,
#                             its owner's access key and secret key, and those of a guest who may
#                             only do what a bucket's policy allows, a line each
#   .ci/s3.sh stop FOLDER     stops it and deletes the folder
#
# Never for data that anyone wants to keep.
set -euo pipefail

VERSION=v1.8.0
SOURCE=github.com/versity/versitygw/cmd/versitygw
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/dam_pipeline
SERVER=$CACHE/versitygw-$VERSION

fail() {
    printf 's3.sh: %s\n' "$*" >&2
    exit 1
}

build() {
    [ ! -x "$SERVER" ] || return 0
    command -v go >/dev/null ||
        fail "No S3 server is built and Go is missing: install Go (1.25 or newer), then run again."
    mkdir -p "$CACHE"
    exec 9>"$SERVER.lock" && flock 9 # several may ask at once: one builds
    [ ! -x "$SERVER" ] || return 0
    local bin
    rm -rf "$CACHE"/versitygw-build.* # of builds that were killed
    bin=$(mktemp -d "$CACHE/versitygw-build.XXXXXX")
    GOBIN=$bin GOFLAGS=-p=2 go install "$SOURCE@$VERSION" >"$bin/log" 2>&1 ||
        fail "versitygw $VERSION could not be built: $(tail -3 "$bin/log")"
    mv "$bin/versitygw" "$SERVER"
    rm -rf "$bin"
    exec 9>&-
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

answers() { # whether the server at a port is up
    python3 - "$1" <<'PYTHON' 2>/dev/null
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
sys.exit(opener.open(f"http://127.0.0.1:{sys.argv[1]}/health", timeout=2).status != 200)
PYTHON
}

random() { # hex digits of so many bytes
    od -An "-N$1" -tx1 /dev/urandom | tr -d ' \n'
}

add_guest() { # of the server that `start` has at hand
    NO_PROXY=127.0.0.1 "$SERVER" admin --access "$key" --secret "$secret" --region us-east-1 \
        --endpoint-url "http://127.0.0.1:$port" \
        create-user --access "$guest" --secret "$guest_secret" --role user
}

start() {
    build
    local folder port key secret guest guest_secret
    folder=$(mktemp -d "${TMPDIR:-/tmp}/dam-s3.XXXXXX")
    mkdir "$folder/data" "$folder/meta" "$folder/iam"
    key=owner$(random 4) secret=$(random 16) guest=guest$(random 4) guest_secret=$(random 16)
    for _ in 1 2 3; do # somebody may take the port before the server does
        port=$(free_port)
        ROOT_ACCESS_KEY=$key ROOT_SECRET_KEY=$secret nohup "$SERVER" --port "127.0.0.1:$port" \
            --health /health --region us-east-1 --iam-dir "$folder/iam" \
            posix --sidecar "$folder/meta" "$folder/data" </dev/null >"$folder/log" 2>&1 9>&- &
        echo $! >"$folder/pid"
        for _ in $(seq 100); do
            if answers "$port"; then
                add_guest >"$folder/guest.log" 2>&1 || fail "No guest: $(tail -3 "$folder/guest.log")"
                printf '%s\n' "$folder" "http://127.0.0.1:$port" \
                    "$key" "$secret" "$guest" "$guest_secret"
                return
            fi
            kill -0 "$(cat "$folder/pid")" 2>/dev/null || break
            sleep 0.1
        done
    done
    fail "The server did not start: $(tail -3 "$folder/log")"
}

stop() {
    [ -f "$1/pid" ] && [ -d "$1/data" ] || fail "$1 holds no server of ours."
    kill "$(cat "$1/pid")" 2>/dev/null || true
    rm -rf "$1"
}

case ${1:-} in
build) build ;;
start) start ;;
stop) stop "${2:?the folder that start printed}" ;;
*) fail "build, start or stop FOLDER" ;;
esac
