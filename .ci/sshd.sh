#!/usr/bin/env bash
# An OpenSSH server of our own that does SFTP only; how to call it stands in server.sh.
#
# `start` prints its folder, the address of a folder there that may be written to, the file of the
# private key that logs in, and the fingerprint of the host's key.
# It knows one login, by key: that of who calls, or nobody's for root. Accounts are asked of PAM: a
# server that is not root cannot read their shadow and would take them for locked.
NAME=sshd
PORTS=1
READY_WITHIN_S=10
PROGRAM=usr/sbin/sshd
PACKAGES=(openssh-server libwrap0)
NEEDS=ssh-keygen
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

prepare() {
    bring_program
    mkdir "$folder/data" "$folder/keys"
    ssh-keygen -q -t ed25519 -N '' -C host -f "$folder/keys/host"
    ssh-keygen -q -t ed25519 -N '' -C dam -f "$folder/keys/login"
}

launch() {
    local sessions
    program
    sessions=${SERVER%sbin/sshd}lib/openssh/sshd-session
    cat >"$folder/sshd.conf" <<END
ListenAddress 127.0.0.1:${ports[0]}
HostKey $folder/data/.host
AuthorizedKeysFile $folder/keys/login.pub
PidFile none
StrictModes no
UsePAM yes
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
DisableForwarding yes
Subsystem sftp internal-sftp
ForceCommand internal-sftp -d $folder/data
END
    # Since OpenSSH 9.8 the server's parts are programs of their own.
    [ ! -x "$sessions" ] || echo "SshdSessionPath $sessions" >>"$folder/sshd.conf"
    [ ! -x "${sessions%session}auth" ] || echo "SshdAuthPath ${sessions%session}auth" >>"$folder/sshd.conf"
    install -m 600 "$folder/keys/host" "$folder/data/.host" # readable by who runs it alone
    as_nobody "$SERVER" -D -e -f "$folder/sshd.conf"
}

answers() {
    [[ $(ask "${ports[0]}" '') == SSH-2.0-* ]]
}

facts() {
    printf '%s\n' "sftp://$(runner)@127.0.0.1:${ports[0]}$folder/data" "$folder/keys/login" \
        "$(ssh-keygen -lf "$folder/keys/host.pub" | cut -d' ' -f2)"
}

main "$@"
