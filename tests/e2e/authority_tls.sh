#!/usr/bin/env bash
# A TLS certificate about to end is told of; renewed, and read again by a running authority, it is one that clients still trust.
# Functions are called through check and refused.
# shellcheck disable=SC2317
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

export HOME=$work/home
unset XDG_CONFIG_HOME XDG_STATE_HOME POSTERN_API_KEY
mkdir -m 700 "$HOME"
port=$(free_port)
url=https://127.0.0.1:$port
authority=$work/authority
tls=$authority/tls
config=$authority/posternd.yaml
warning="posternd.yaml:[0-9]+: tls.certificate: $tls/server.pem: warning: ends on .*renew-tls"

"$posternd" init "$authority" --site cscs --url "$url" --listen "127.0.0.1:$port" --admin alice >/dev/null || exit 1
check "a fresh certificate is good" "$posternd" check -c "$config"
! grep -q warning "$work/last"
report $? "and nothing is said of it"

# Makes a certificate for some names that ends soon.
issue() { # CA DAYS
    printf 'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=%s\n' \
        'DNS:authority.example,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1,DNS:other.example' >"$work/san"
    openssl req -new -key "$tls/server.key" -subj /CN=authority.example -out "$work/csr" 2>/dev/null
    openssl x509 -req -in "$work/csr" -CA "$1.pem" -CAkey "$1.key" -days "$2" -extfile "$work/san" -out "$work/crt" 2>/dev/null
    cat "$work/crt" "$1.pem" >"$tls/server.pem"
}
names() { openssl x509 -in "$tls/server.pem" -noout -ext subjectAltName | tail -n 1; }

issue "$tls/ca" 31
check "31 days before its end" "$posternd" check -c "$config"
! grep -q warning "$work/last"
report $? "there is no warning"
issue "$tls/ca" 29
check "29 days before it, all is good still" "$posternd" check -c "$config"
says "with a warning" "$warning"
chmod 640 "$tls/server.key"

start posternd "$posternd" serve -c "$config"
pid=$last_pid
trusts() { curl -sf --cacert "$work/pinned.pem" "$url/readyz"; }
served() { openssl s_client -connect "127.0.0.1:$port" </dev/null 2>/dev/null | openssl x509 -noout -serial; }
cp "$tls/ca.pem" "$work/pinned.pem"
check "it is served" wait_for 20 trusts
check "the log tells of its end" wait_for 10 grep -q '"level":"warn","event":"tls_certificate_ends".*server.pem' "$work/posternd.log"
check "a client pins the CA" "$postern" init "$url" --yes

before=$(names)
check "it is renewed" "$posternd" renew-tls -c "$config"
says "until a year from now" "$tls/server.pem: good until $(date -ud '+365 days' +%Y)"
[ "$before" = "$(names)" ] && grep -q 'authority.example.*127.0.0.1.*0:0:0:0:0:0:0:1.*other.example' <<<"$before"
report $? "for the same names"
[ "$(stat -c %a "$tls/server.pem" "$tls/server.key" | tr '\n' ' ')" = '644 640 ' ]
report $? "with the same modes"
check "by the same CA" cmp "$tls/ca.pem" "$work/pinned.pem"
check "check says nothing more" "$posternd" check -c "$config"
! grep -q warning "$work/last"
report $? "of its end"
new=$(openssl x509 -in "$tls/server.pem" -noout -serial)
[ "$(served)" != "$new" ]
report $? "a running authority has the old one"
kill -HUP "$pid"
serves_new() { [ "$(served)" = "$new" ]; }
check "until it is told" wait_for 10 serves_new
check "clients trust it" trusts
refused "and so does postern, which is refused for its API key alone" 3 'API key' env POSTERN_API_KEY="pgk_$(printf 'A%.0s' {1..43})" "$postern" list
check "one that is good can be renewed as well" "$posternd" renew-tls -c "$config"

# ---- what cannot be renewed ----
mv "$tls/ca.key" "$work/kept.key"
refused "without the CA's key" 2 'ca.key: is not there' "$posternd" renew-tls -c "$config"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$tls/ca.key" 2>/dev/null
refused "with another key" 2 'ca.key: is not the key of ca.pem' "$posternd" renew-tls -c "$config"
mv "$work/kept.key" "$tls/ca.key"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/foreign.key" -subj '/CN=Test CA' -days 9 -out "$work/foreign.pem" 2>/dev/null
cp "$tls/server.pem" "$work/kept.pem"
issue "$work/foreign" 9
cp "$tls/server.pem" "$work/before.pem"
refused "one of another CA" 2 'is not of the CA beside it' "$posternd" renew-tls -c "$config"
check "which is left as it is" cmp "$tls/server.pem" "$work/before.pem"
cp "$work/kept.pem" "$tls/server.pem"
if [ "$(id -u)" = 0 ]; then
    chown 65534 "$tls/server.key"
    refused "another user's" 2 'server.key: belongs to another user' "$posternd" renew-tls -c "$config"
    chown 0 "$tls/server.key"
fi
sed '/^tls:/,/key:/d' "$config" >"$authority/plain.yaml"
refused "where there is none" 2 'plain HTTP' "$posternd" renew-tls -c "$authority/plain.yaml"
refused "without a configuration" 2 'not found' "$posternd" renew-tls -c "$work/nothing.yaml"

done_testing
