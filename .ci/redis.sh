#!/usr/bin/env bash
# A Redis of our own, from the system's package; how to call it stands in server.sh.
#
# `start` prints its folder and its URL.
NAME=redis
PORTS=1
READY_WITHIN_S=30
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

find_server() { # Debian's redis-tools has the same program under the name of redis-check-rdb,
    # without the service that redis-server would start on port 6379
    SERVER=$(command -v redis-server || command -v redis-check-rdb) ||
        fail "No Redis server is installed: apt-get install redis-tools"
}

prepare() {
    mkdir "$folder/data"
    ln -s "$SERVER" "$folder/redis-server" # it goes by the name that it is called by
}

launch() {
    (umask 077 && cat >"$folder/redis.conf") <<END
bind 127.0.0.1
port ${ports[0]}
requirepass $secret
dir "$folder/data"
appendonly yes
save ""
END
    spawn "$folder/redis-server" "$folder/redis.conf"
}

answers() {
    [[ $(ask "${ports[0]}" 'PING\r\n') == -NOAUTH* ]]
}

facts() {
    printf '%s\n' "redis://:$secret@127.0.0.1:${ports[0]}/0"
}

main "$@"
