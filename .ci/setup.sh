#!/usr/bin/env bash
# Makes this machine and this clone ready to run; `make setup` and all that depends on it call this.
#
#   PYTHON=/path/to/python   the interpreter to build on; else the first that fits of python3,
#                            python3.14, python3.13, python3.12, python3.11
#   WITH_SERVERS=1           also the servers that tests and `make servers` start, where they can be
#                            had; nothing of them runs by itself
#
# Installs system packages only for tools that are not there (root or sudo only then), and the
# Python environment in .venv exactly as requirements.lock pins it, by hash. Says what it installs
# before it does. When nothing has changed it returns at once; an interrupted install is redone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV=.venv
STAMP=$VENV/.setup-stamp
LOCK=requirements.lock

say() { printf 'setup: %s\n' "$*"; }
fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

fits() { # whether an interpreter runs and is one that requirements.lock was resolved for
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null
}

choose_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if command -v "$candidate" >/dev/null && fits "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    [ -z "${PYTHON:-}" ] || fail "PYTHON=$PYTHON is not a Python 3.11 to 3.14. Name one that is."
    fail "No Python 3.11 to 3.14 was found. Install one (Debian 12, Ubuntu 24.04 and newer have it" \
        "as python3), or name it: make setup PYTHON=/path/to/python3.11"
}

missing_packages() { # the Debian packages for what is not there, one a line
    { command -v ffmpeg && command -v ffprobe; } >/dev/null || echo ffmpeg
    command -v exiftool >/dev/null || echo libimage-exiftool-perl
    command -v espeak-ng >/dev/null || echo espeak-ng
    "$python" -c 'import ensurepip, venv' 2>/dev/null || "$python" -c \
        'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
}

missing_servers() {
    [ -n "${WITH_SERVERS:-}" ] || return 0
    [ -d /usr/lib/postgresql ] || command -v initdb >/dev/null || echo postgresql
    # The package redis-server would start one on port 6379; redis-tools holds the same program.
    command -v redis-server >/dev/null || command -v redis-check-rdb >/dev/null || echo redis-tools
    # The servers of SSH and FTP are unpacked by .ci/server.sh; these make their keys.
    command -v ssh-keygen >/dev/null || echo openssh-client
    command -v openssl >/dev/null || echo openssl
}

why() {
    case $1 in
    ffmpeg) echo "reads video and sound" ;;
    libimage-exiftool-perl) echo "exiftool: reads what cameras write into files" ;;
    espeak-ng) echo "speaks the sample clips of the demo and the tests" ;;
    openssh-client | openssl) echo "makes keys of servers for the tests and \`make servers\`" ;;
    postgresql | redis-tools) echo "the tests and \`make servers\` start one of their own" ;;
    *) echo "makes Python environments" ;;
    esac
}

install_system_packages() { # PACKAGE …
    local package as_root=() packages=("$@")
    [ ${#packages[@]} -gt 0 ] || return 0
    say "Needed from the system's packages, because not found here:"
    for package in "${packages[@]}"; do say "  $package ($(why "$package"))"; done
    command -v apt-get >/dev/null ||
        fail "This system has no apt-get. Install the above with its own package manager, then run again."
    if [ "$(id -u)" != 0 ]; then
        { command -v sudo && { [ -t 0 ] || sudo -n true; }; } >/dev/null 2>&1 ||
            fail "That needs root. Have an administrator run: apt-get install ${packages[*]}; then run again."
        as_root=(sudo)
    fi
    case " ${packages[*]} " in *" postgresql "*)
        # Without it, installing the package makes a database and starts a server on port 5432.
        "${as_root[@]}" mkdir -p /etc/postgresql-common/createcluster.d
        echo "create_main_cluster = false" | "${as_root[@]}" tee \
            /etc/postgresql-common/createcluster.d/no-main-cluster.conf >/dev/null
        ;;
    esac
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null
}

pinned() { # the lines of the lock for one package: version and hashes
    awk -v start="$1==" 'index($0, start) == 1 { on = 1 } on { print } on && !/\\$/ { exit }' $LOCK
}

use_pip_configuration() { # uv does not read pip's: hand on a machine's certificates and its mirror
    local cert index
    cert=${PIP_CERT:-$($VENV/bin/python -m pip config get global.cert 2>/dev/null || true)}
    index=${PIP_INDEX_URL:-$($VENV/bin/python -m pip config get global.index-url 2>/dev/null || true)}
    [ -n "${SSL_CERT_FILE:-}" ] || [ -z "$cert" ] || export SSL_CERT_FILE=$cert
    [ -n "${UV_DEFAULT_INDEX:-}" ] || [ -z "$index" ] || export UV_DEFAULT_INDEX=$index
}

make_environment() {
    say "Making $VENV with $("$python" --version) from $python"
    "$python" -m venv --clear $VENV
    # setuptools too, so that the few source packages are built by a pinned one.
    $VENV/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
        --requirement <(pinned uv && pinned setuptools)
}

install_python_packages() {
    local quiet=() uv=$VENV/bin/uv
    [ -t 2 ] || quiet=(--quiet)
    say "Installing what $LOCK pins and $VENV lacks, of $(grep -c '==' $LOCK) packages" \
        "(7 GB in all, most of it torch; a second clone takes them from uv's cache)"
    use_pip_configuration
    export VIRTUAL_ENV=$PWD/$VENV
    $uv pip sync "${quiet[@]}" --require-hashes --no-build-isolation --compile-bytecode $LOCK
    $uv pip install --quiet --no-deps --no-build-isolation --editable .
}

exec 9<"$LOCK" && flock 9 # one set-up at a time in a clone

# The stamp: this folder, the interpreter the environment was made on, the sum of what was installed
# into it. A new sum means installing the difference; anything else new means making it anew.
contents=$(cat $LOCK pyproject.toml | sha256sum)
mapfile -t stamp < <(cat $STAMP 2>/dev/null)
if [ ${#stamp[@]} = 3 ] && [ "${stamp[0]}" = "$PWD" ] && fits $VENV/bin/python &&
    [ "${stamp[1]}" = "$(command -v "${PYTHON:-${stamp[1]}}")" ]; then
    is_founded=true
    foundation=${stamp[1]}
    python=$VENV/bin/python
else
    is_founded=false
    foundation=$(choose_python)
    python=$foundation
fi
mapfile -t packages < <(missing_packages)
install_system_packages "${packages[@]}"
mapfile -t packages < <(missing_servers)
(install_system_packages "${packages[@]}") || say "GOING ON WITHOUT: ${packages[*]}"
if $is_founded && [ "${stamp[2]}" = "$contents" ]; then exit 0; fi

started=$SECONDS
rm -f $STAMP
$is_founded || make_environment
install_python_packages
printf '%s\n' "$PWD" "$foundation" "$contents" >$STAMP
say "Ready after $((SECONDS - started)) s"
