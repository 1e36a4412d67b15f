#!/usr/bin/env bash
# An S3 server of our own (versitygw on a folder); how to call it stands in server.sh.
#
# `start` prints its folder, its address, its owner's access key and secret key, and those of a
# guest who may only do what a bucket's policy allows. There is a bucket `dam`.
# A build takes 1.5 minutes and 60 MB in the cache.
NAME=s3
PORTS=1
READY_WITHIN_S=30
MODULE=github.com/versity/versitygw/cmd/versitygw
VERSION=v1.8.0
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

prepare() {
    mkdir "$folder/data" "$folder/meta" "$folder/iam"
    printf '%s\n' "owner$(random 4)" "guest$(random 4)" "$(random 16)" >"$folder/logins"
}

read_logins() { # the owner's key and the guest's login; the owner's secret is the server's
    { read -r key && read -r guest && read -r guest_secret; } <"$folder/logins"
}

launch() {
    read_logins
    ROOT_ACCESS_KEY=$key ROOT_SECRET_KEY=$secret spawn "$SERVER" --port "127.0.0.1:${ports[0]}" \
        --health /health --region us-east-1 --iam-dir "$folder/iam" \
        posix --sidecar "$folder/meta" "$folder/data"
}

answers() {
    is_healthy "${ports[0]}" /health
}

furnish() {
    administer create-user --access "$guest" --secret "$guest_secret" --role user
    administer create-bucket --bucket dam --owner "$key"
}

administer() {
    NO_PROXY=127.0.0.1 "$SERVER" admin --access "$key" --secret "$secret" --region us-east-1 \
        --endpoint-url "http://127.0.0.1:${ports[0]}" "$@" >"$folder/admin.log" 2>&1 ||
        fail "$1 failed: $(tail -3 "$folder/admin.log")"
}

facts() {
    read_logins
    printf '%s\n' "http://127.0.0.1:${ports[0]}" "$key" "$secret" "$guest" "$guest_secret"
}

main "$@"
