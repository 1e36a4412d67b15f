#!/usr/bin/env bash
# A NATS server of our own, with JetStream; how to call it stands in server.sh.
#
# `start` prints its folder and its URL. A build takes half a minute and 17 MB in the cache.
NAME=nats
PORTS=2
READY_WITHIN_S=30
MODULE=github.com/nats-io/nats-server/v2
VERSION=v2.15.2
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

launch() {
    (umask 077 && cat >"$folder/nats.conf") <<END
listen: "127.0.0.1:${ports[0]}"
http: "127.0.0.1:${ports[1]}"
jetstream { store_dir: "$folder/data" }
authorization { user: "dam", password: "$secret" }
END
    spawn "$SERVER" --config "$folder/nats.conf"
}

answers() {
    is_healthy "${ports[1]}" /healthz
}

facts() {
    printf '%s\n' "nats://dam:$secret@127.0.0.1:${ports[0]}"
}

main "$@"
