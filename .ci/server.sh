# What the scripts of the servers beside this file share: they source it and end in `main "$@"`.
#
#   .ci/NAME.sh build            makes the server ready on this machine; prints where its program is
#   .ci/NAME.sh cached           prints where it is; fails, with words, where it is not
#   .ci/NAME.sh start [FOLDER]   starts one with its data in FOLDER (without: in a new temporary
#                                folder) and prints that folder and what a client needs, a line
#                                each. One that answers there is left alone; one that died is
#                                started again on its data, its ports and its passwords.
#   .ci/NAME.sh stop FOLDER      stops it and deletes the folder
#
# Servers for development and tests, on free loopback ports: never for data that anyone wants to
# keep. Those of Go are built once, with the Go that is here (or GO=/path/to/go), into
# one cache folder; some of Debian are unpacked there and not installed, because their packages
# would start a service at every boot.
#
# A script sets NAME, PORTS (how many it takes) and READY_WITHIN_S, and either MODULE and VERSION of
# a Go program, or PROGRAM (a path) and PACKAGES (Debian's, which hold it), or a function
# `find_server` that sets SERVER; and NEEDS, a program without which it cannot be prepared. Its functions find `folder`, `ports` and
# `secret` at hand: `launch` (ends in `spawn PROGRAM …`), `answers`, `facts`, and where there is
# something to do `prepare` (before the first start) and `furnish` (once it first answered).
# shellcheck shell=bash disable=SC2034,SC2154
set -euo pipefail

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/dam_pipeline/servers
STOP_SIGNAL=TERM

fail() {
    printf '%s.sh: %s\n' "$NAME" "$*" >&2
    exit 1
}

prepare() { :; }
furnish() { :; }

go_program() { # where the built one is, or will be
    SERVER=$CACHE/$NAME-$VERSION-$(uname -s)-$(uname -m)
}

find_server() { # the system's own, or the unpacked one
    SERVER=/$PROGRAM
    [ -x "$SERVER" ] || SERVER=$(unpacked)/$PROGRAM
    [ -x "$SERVER" ] || fail "The server is not here yet: \`.ci/$NAME.sh build\` fetches it."
}

unpacked() { # a folder for each release of the system, whose libraries the programs use
    local release
    release=$(sed -nE 's/^(ID|VERSION_ID)="?([^"]*)"?$/\2/p' /etc/os-release | tr -d '\n')
    printf '%s' "$CACHE/$NAME-$release-$(uname -m)"
}

unpack() {
    local into made lacks
    into=$(unpacked)
    [ ! -x "/$PROGRAM" ] && [ ! -x "$into/$PROGRAM" ] || return 0
    command -v apt-get >/dev/null || fail "There is no /$PROGRAM; install the package that has it."
    mkdir -p "$CACHE"
    exec 9>"$CACHE/.lock" && flock 9
    made=$(mktemp -d "${TMPDIR:-/tmp}/dam-unpacking.XXXXXX")
    chmod 777 "$made" # apt fetches as a user of its own
    (cd "$made" && { download || { [ "$(id -u)" = 0 ] && apt-get update -qq && download; }; }) ||
        fail "${PACKAGES[*]} could not be fetched; is the network there? As root: apt-get update"
    find "$made" -name '*.deb' -exec dpkg-deb -x {} "$made/tree" \;
    lacks=$(LD_LIBRARY_PATH=$(libraries "$made/tree") ldd "$made/tree/$PROGRAM" |
        awk '/not found/ { print $1 }')
    [ -z "$lacks" ] || fail "The server needs libraries that are not installed here: $lacks"
    rm -rf "$into"
    mv "$made/tree" "$into"
    rm -rf "$made"
    exec 9>&-
}

libraries() { # FOLDER: where unpacked packages have them
    printf '%s:' "$1"/{,usr/}lib/*-linux-gnu
}

download() {
    apt-get download -qq "${PACKAGES[@]}" >/dev/null 2>&1
}

bring_program() { # root's server runs as nobody, who cannot look into root's cache
    [ "$SERVER" = "/$PROGRAM" ] || cp -r "$(unpacked)" "$folder/programs"
}

runner() { # whom a server runs as that does not run as root
    if [ "$(id -u)" = 0 ]; then echo nobody; else id -un; fi
}

as_nobody() { # PROGRAM …: in the background; as who calls, but not as root
    local user=() path=()
    if [ "$(id -u)" = 0 ]; then
        chown -R nobody "$folder/data"
        user=(setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups)
    fi
    [ ! -d "$folder/programs" ] ||
        path=(env LD_LIBRARY_PATH="$(libraries "$folder/programs")")
    spawn "${user[@]}" "${path[@]}" "$@"
}

program() { # where the program is for the server of this folder
    SERVER=$folder/programs/$PROGRAM
    [ -x "$SERVER" ] || SERVER=/$PROGRAM
}

has_tool() { # what makes the server's keys; only root can have it brought
    [ -z "${NEEDS:-}" ] || command -v "$NEEDS" >/dev/null || fail "It needs $NEEDS, which is not here."
}

build() {
    has_tool
    [ -z "${PACKAGES:-}" ] || unpack
    [ -n "${MODULE:-}" ] || { find_server && return; }
    go_program
    [ ! -x "$SERVER" ] || return 0
    local go
    go=$(command -v "${GO:-go}" || { [ -z "${GO:-}" ] && command -v /usr/local/go/bin/go; }) ||
        fail "This server is built with Go, which is not installed: https://go.dev/doc/install"
    mkdir -p "$CACHE"
    exec 9>"$CACHE/.lock" && flock 9 # several may ask at once: one builds
    [ -x "$SERVER" ] || compile "$go"
    exec 9>&-
}

compile() { # into a folder beside, so that a broken build leaves nothing behind
    local made
    rm -rf "$CACHE"/building.*
    made=$(mktemp -d "$CACHE/building.XXXXXX")
    printf '%s.sh: building the server %s, once; this takes minutes\n' "$NAME" "$VERSION" >&2
    GOBIN=$made "$1" install -p 2 -trimpath -buildvcs=false -ldflags='-s -w' "$MODULE@$VERSION" \
        9>&- >"$made.log" 2>&1 ||
        fail "The server $VERSION could not be built; is the network there? $(tail -1 "$made.log")"
    mv "$made"/* "$SERVER"
    rm -rf "$made" "$made.log"
}

cached() {
    has_tool
    [ -n "${MODULE:-}" ] || { find_server && return; }
    go_program
    [ -x "$SERVER" ] || fail "The server is not built yet: \`.ci/$NAME.sh build\` does (needs Go)."
}

free_ports() {
    python3 -c '
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(one.getsockname()[1] for one in held))' "$1"
}

random() { # hex digits of so many bytes
    od -An "-N$1" -tx1 /dev/urandom | tr -d ' \n'
}

ask() { # PORT REQUEST: the first line of the answer
    local line=
    { exec 3<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
    printf '%b' "$2" >&3
    IFS= read -r -t 5 line <&3 || true
    exec 3>&-
    printf '%s' "$line"
}

is_healthy() { # PORT PATH: whether an HTTP server says so
    [[ $(ask "$1" "GET $2 HTTP/1.0\r\nHost: localhost\r\n\r\n") == *' 200 '* ]]
}

spawn() { # PROGRAM …: in the background, for good
    setsid "$@" </dev/null >"$folder/log" 2>&1 8>&- 9>&- &
    echo "$! $(born "$!")" >"$folder/pid"
}

born() { # when a process began: a number is given out again, and a zombie is no server
    awk '{ sub(/.*\) /, ""); if ($1 != "Z") print $20 }' "/proc/$1/stat" 2>/dev/null || true
}

is_running() {
    local since
    read -r pid since 2>/dev/null <"$folder/pid" && [ "$(born "$pid")" = "$since" ]
}

is_ready() { # waits until it answers; fails when it died or takes too long
    local until=$((SECONDS + READY_WITHIN_S))
    while is_running && [ $SECONDS -lt $until ]; do
        ! answers || return 0
        sleep 0.1
    done
    return 1
}

open_folder() { # FOLDER: makes it ready, unless it is
    mkdir -p "$1"
    folder=$(realpath "$1")
    if [ ! -f "$folder/prepared" ]; then
        [ -f "$folder/secret" ] || [ -z "$(ls -A "$folder")" ] || fail "$folder is not empty."
        find "$folder" -mindepth 1 -delete # what a start that was killed left
        chmod 711 "$folder"                # a server may run as another user
        (umask 077 && random 16 >"$folder/secret")
        secret=$(cat "$folder/secret")
        prepare
        touch "$folder/prepared"
    fi
    secret=$(cat "$folder/secret")
}

start() {
    build
    open_folder "${1:-$(mktemp -d "${TMPDIR:-/tmp}/dam-$NAME.XXXXXX")}"
    for _ in 1 2 3; do # somebody may take a port before the server does
        read -r -a ports <<<"$(cat "$folder/ports" 2>/dev/null || free_ports "$PORTS")"
        is_running || launch
        if is_ready; then
            if [ ! -f "$folder/ports" ]; then
                furnish
                echo "${ports[*]}" >"$folder/ports"
            fi
            printf '%s\n' "$folder"
            facts
            return
        fi
        end
    done
    fail "The server did not start: $(tail -3 "$folder/log")"
}

end() { # the server's process
    is_running || return 0
    kill -s "$STOP_SIGNAL" "$pid" 2>/dev/null || return 0
    for _ in $(seq 50); do
        is_running || return 0
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
}

stop() {
    folder=$(realpath "$1")
    [ -f "$folder/secret" ] || fail "$1 holds no server of ours."
    end
    rm -rf "$folder"
}

main() {
    case ${1:-} in
    build) build && printf '%s\n' "$SERVER" ;;
    cached) cached && printf '%s\n' "$SERVER" ;;
    start) start "${2:-}" ;;
    stop) stop "${2:?the folder that start printed}" ;;
    *) fail "build, cached, start [FOLDER] or stop FOLDER" ;;
    esac
}
