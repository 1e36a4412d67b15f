#!/usr/bin/env bash
# A Weaviate of our own; how to call it stands in server.sh.
#
# `start` prints its folder, its URL, its gRPC port and its API key; that key with `-reader` behind
# it may read alone.
# A build takes some 4 minutes on two cores and 130 MB in the cache.
NAME=weaviate
PORTS=6 # every one, or two servers collide
READY_WITHIN_S=90 # it takes 7 s on an idle machine
MODULE=github.com/weaviate/weaviate/cmd/weaviate-server
VERSION=v1.35.2
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

launch() {
    PERSISTENCE_DATA_PATH=$folder/data \
        AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED=false \
        AUTHENTICATION_APIKEY_ENABLED=true \
        AUTHENTICATION_APIKEY_ALLOWED_KEYS=$secret,$secret-reader \
        AUTHENTICATION_APIKEY_USERS=dam,reader \
        AUTHORIZATION_ADMINLIST_ENABLED=true \
        AUTHORIZATION_ADMINLIST_USERS=dam \
        AUTHORIZATION_ADMINLIST_READONLY_USERS=reader \
        AUTOSCHEMA_ENABLED=false \
        DEFAULT_VECTORIZER_MODULE=none \
        CLUSTER_HOSTNAME=node1 \
        CLUSTER_ADVERTISE_ADDR=127.0.0.1 \
        GRPC_PORT=${ports[1]} \
        CLUSTER_GOSSIP_BIND_PORT=${ports[2]} \
        CLUSTER_DATA_BIND_PORT=${ports[3]} \
        RAFT_PORT=${ports[4]} \
        RAFT_INTERNAL_RPC_PORT=${ports[5]} \
        DISK_USE_READONLY_PERCENTAGE=99 \
        DISABLE_TELEMETRY=true \
        LOG_LEVEL=warning \
        GOMAXPROCS=2 \
        GOMEMLIMIT=2GiB \
        spawn "$SERVER" --host 127.0.0.1 --port "${ports[0]}" --scheme http
}

answers() {
    is_healthy "${ports[0]}" /v1/.well-known/ready
}

facts() {
    printf '%s\n' "http://127.0.0.1:${ports[0]}" "${ports[1]}" "$secret"
}

main "$@"
