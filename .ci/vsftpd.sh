#!/usr/bin/env bash
# An FTP server of our own that demands TLS, and that data connections go on with the TLS session of
# the login, as strict ones do; how to call it stands in server.sh.
#
# `start` prints its folder, the address of a folder there that may be written to, the password and
# the file of the certificate. With FTP_PLAIN=yes it is one without TLS, and its address ftp://….
# The one login is anonymous with that password, which needs no account and no root.
NAME=vsftpd
PORTS=1
READY_WITHIN_S=10
PROGRAM=usr/sbin/vsftpd
PACKAGES=(vsftpd libwrap0)
NEEDS=openssl
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

prepare() {
    bring_program
    mkdir -p "$folder/data/etc" "$folder/data/incoming"
    [ -z "${FTP_PLAIN:-}" ] || touch "$folder/plain"
    printf '%s\n' "$secret" >"$folder/data/etc/passwords"
    openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=127.0.0.1 \
        -addext subjectAltName=IP:127.0.0.1 \
        -keyout "$folder/data/etc/key.pem" -out "$folder/certificate.pem" 2>"$folder/openssl.log" ||
        fail "openssl failed: $(tail -3 "$folder/openssl.log")"
    chmod 600 "$folder/data/etc"/*
}

launch() {
    local tls=YES
    program
    [ ! -f "$folder/plain" ] || tls=NO
    cat >"$folder/data/etc/vsftpd.conf" <<END
listen=YES
listen_address=127.0.0.1
listen_port=${ports[0]}
background=NO
run_as_launching_user=YES
seccomp_sandbox=NO
anonymous_enable=YES
ftp_username=$(runner)
nopriv_user=$(runner)
local_enable=NO
secure_email_list_enable=YES
email_password_file=$folder/data/etc/passwords
anon_root=$folder/data/incoming
write_enable=YES
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
anon_world_readable_only=NO
anon_umask=022
chown_uploads=NO
delay_failed_login=0
max_login_fails=3
pasv_address=192.0.2.1
pasv_addr_resolve=NO
connect_from_port_20=NO
xferlog_enable=NO
utf8_filesystem=YES
ssl_enable=$tls
allow_anon_ssl=YES
force_anon_logins_ssl=$tls
force_anon_data_ssl=$tls
require_ssl_reuse=YES
ssl_tlsv1=YES
rsa_cert_file=$folder/certificate.pem
rsa_private_key_file=$folder/data/etc/key.pem
END
    as_nobody "$SERVER" "$folder/data/etc/vsftpd.conf"
}

answers() {
    [[ $(ask "${ports[0]}" '') == 220* ]]
}

facts() {
    local scheme=ftps
    [ ! -f "$folder/plain" ] || scheme=ftp
    printf '%s\n' "$scheme://anonymous@127.0.0.1:${ports[0]}$folder/data/incoming" "$secret" \
        "$folder/certificate.pem"
}

main "$@"
