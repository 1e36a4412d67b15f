#!/usr/bin/env bash
# All servers of our own at once, for development; each one's script is beside this file.
#
#   .ci/servers.sh build   makes them ready on this machine; prints the names of those that are
#   .ci/servers.sh start   starts them with their data under .servers, and writes their settings to
#                          .servers.env; those that run are left as they are
#   .ci/servers.sh stop    stops them and deletes .servers and .servers.env
#
# What cannot be had here is said, and left out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

NAMES=(postgres s3 redis nats weaviate sshd vsftpd)
FOLDER=.servers
SETTINGS=.servers.env

build() {
    local name
    for name in "${NAMES[@]}"; do
        if ".ci/$name.sh" build >/dev/null; then
            printf '%s\n' "$name"
        else
            printf '\n*** NO SERVER of %s: the reason stands above. ***\n\n' "$name" >&2
        fi
    done
}

start() {
    local name names
    mkdir -p "$FOLDER"
    mapfile -t names < <(build)
    for name in "${names[@]}"; do
        ".ci/$name.sh" start "$FOLDER/$name" >"$FOLDER/$name.facts" || rm "$FOLDER/$name.facts" &
    done
    wait
    (umask 077 && settings >"$SETTINGS.new")
    mv "$SETTINGS.new" "$SETTINGS"
    for name in "${names[@]}"; do
        [ -f "$FOLDER/$name.facts" ] || is_broken=true
    done
    printf 'Settings: %s\n' "$SETTINGS"
    [ -z "${is_broken:-}" ]
}

knows() { # NAME: reads what its start printed, if it runs
    [ -f "$FOLDER/$1.facts" ] && mapfile -t fact <"$FOLDER/$1.facts"
}

settings() {
    local fact
    cat <<'END'
# Servers of `make servers`; `make servers-stop` ends them and deletes what they hold.
# To use them:  set -a; . ./.servers.env; set +a
END
    if knows postgres; then printf '%s\n' "DAM_POSTGRES_URL=${fact[1]}"; fi
    if knows s3; then
        printf '%s\n' "AWS_ENDPOINT_URL=${fact[1]}" "AWS_ACCESS_KEY_ID=${fact[2]}" \
            "AWS_SECRET_ACCESS_KEY=${fact[3]}" AWS_DEFAULT_REGION=us-east-1
    fi
    if knows weaviate; then
        printf '%s\n' "DAM_WEAVIATE_URL=${fact[1]}" "DAM_WEAVIATE_GRPC_PORT=${fact[2]}" \
            "DAM_WEAVIATE_API_KEY=${fact[3]}"
    fi
    if knows nats; then printf '%s\n' "DAM_NATS_URL=${fact[1]}"; fi
    if knows sshd; then
        printf '%s\n' "# dam stock login ${fact[1]} --trust-host-key ${fact[3]}" \
            "DAM_SSH_IDENTITY=${fact[2]}"
    fi
    if knows vsftpd; then
        printf '%s\n' "# dam stock publish PACKAGE --to ${fact[1]}" \
            "DAM_PASSWORD_127_0_0_1=${fact[2]}" "DAM_TLS_CA_FILE=${fact[3]}"
    fi
    echo '# These change where a library lies and who works on it. Take away the # of what you want:'
    if knows s3; then echo '#DAM_STORAGE_URL=s3://dam/library'; fi
    if knows weaviate; then echo '#DAM_VECTOR_STORE=weaviate'; fi
    if knows redis; then printf '%s\n' "#DAM_CELERY_BROKER=${fact[1]}"; fi
}

stop() {
    local name
    for name in "${NAMES[@]}"; do
        [ ! -d "$FOLDER/$name" ] || ".ci/$name.sh" stop "$FOLDER/$name"
    done
    rm -rf "$FOLDER" "$SETTINGS"
}

exec 8<.ci/servers.sh && flock 8 # one at a time in a clone
case ${1:-} in
build) build ;;
start) start ;;
stop) stop ;;
*)
    echo "servers.sh: build, start or stop" >&2
    exit 1
    ;;
esac
