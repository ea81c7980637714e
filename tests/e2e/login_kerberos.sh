#!/usr/bin/env bash
# Sign-ins by Kerberos tickets of a real KDC (MIT's), by postern and by another client; and everything about them that must not do.
# shellcheck shell=bash disable=SC1091,SC2154,SC2034,SC2317
. "$(dirname "$0")/lib.sh"
authority_host=localhost
. "$here/authority_world.sh"
clockskew=20
. "$here/kerberos_world.sh"

export LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=1 HOME=$work/home
mkdir -p "$HOME"
unset POSTERN_API_KEY XDG_CONFIG_HOME XDG_STATE_HOME http_proxy https_proxy all_proxy BROWSER DISPLAY WAYLAND_DISPLAY

check "two realms that trust each other" make_realms
for name in alice bob bob/laptop carol carol/admin dave; do principal $realm -pw "$name-password" "$name"; done
principal $other_realm -pw "bob@$other_realm-password" bob
for name in HTTP/localhost host/localhost; do
    principal $realm -randkey "$name"
    kadmin.local -r $realm ktadd -k "$kerberos/keytab" "$name" >/dev/null
done
chmod 600 "$kerberos/keytab"
check "the KDC answers" wait_for 20 ticket bob

# ---- the configuration --------------------------------------------------------------------------

check "an authority is made" "$posternd" init "$authority" --site test --listen "127.0.0.1:$port" --url "$url" --admin alice
invitation=$(grep -oE 'pgi_[A-Za-z0-9_-]{43}' "$work/last")
cp "$authority/posternd.yaml" "$work/bare.yaml"
configure() { # LINE…: of the section kerberos
    { cat "$work/bare.yaml" && echo 'kerberos:' && printf '  %s\n' "$@"; } >"$authority/posternd.yaml"
}
judged() { "$posternd" check -c "$authority/posternd.yaml"; }
configure "keytab: $kerberos/keytab"
refused "no realm is no configuration" any 'kerberos.realms.*missing' judged
configure "realms: $realm"
refused "nor is one without a keytab" any 'kerberos.keytab.*missing' judged
configure "keytab: $kerberos/none" "realms: $realm"
refused "a keytab that is not there" any 'none.*not found' judged
chmod 644 "$kerberos/keytab"
configure "keytab: $kerberos/keytab" "realms: $realm"
refused "a keytab that others can read" any 'chmod 600' judged
chmod 600 "$kerberos/keytab"
configure "keytab: $kerberos/keytab" "realms: $realm" "service: localhost"
refused "a service that is none" any 'HTTP/authority.example@HPC.EXAMPLE' judged
configure "keytab: $kerberos/keytab" "realms: $realm" "principals: [bob]"
refused "a rule without an account" any 'PRINCIPAL=ACCOUNT' judged
configure "keytab: $kerberos/keytab" "realms: $realm" "principals: [bob@$other_realm=bob]"
refused "a rule for a realm that is not taken" any "means nobody" judged
usual=("keytab: $kerberos/keytab" "realms: $realm" "principals: [bob/laptop@$realm=bob]")
configure "${usual[@]}"
check "what is right" judged

restart() {
    kill "$authority_pid"
    wait "$authority_pid" 2>/dev/null
    serve
}
serve
alice_signs_in
for name in bob carol dave; do
    gets "$name" 201 - POST /api/v1/accounts "$admin" "{\"name\":\"$name\",\"displayName\":\"$name\"}"
    eval "${name}_invitation=$(field .invitation)"
done

# ---- tokens by another client -------------------------------------------------------------------

token_for() { /usr/bin/python3 "$here/negotiate.py" "$@"; } # SERVICE@HOST [CERTIFICATE [MECHANISM]]
bound() { token_for "${1:-HTTP@localhost}" "$authority/tls/server.pem"; }
shows() { # DESCRIPTION STATUS CODE TOKEN [JSON]
    local result=0
    status=$(curl -sS --cacert "$authority/tls/ca.pem" --max-time 60 -o "$work/last" -D "$work/last_head" -w '%{http_code}' -X POST \
        -H 'Content-Type: application/json' --data-binary "${5:-{\}}" -H "@-" "$url/api/v1/auth/kerberos" <<<"Authorization: Negotiate $4") || status=none
    [ "$status" = "$2" ] && { [ "$3" = - ] || [ "$(field .code)" = "$3" ]; } || result=1
    [ $result = 0 ] || echo "(status $status, expected $2 $3)" >>"$work/last"
    report $result "$1"
}
challenged() { grep -qi '^www-authenticate: Negotiate' "$work/last_head"; }

gets "without a ticket one is asked for" 401 negotiate POST /api/v1/auth/kerberos ''
check "as HTTP wants it" challenged
check "bob has a ticket for half a minute" ticket bob -l 20s
early=$(bound)
long_ago=$SECONDS
check "and another" ticket bob
token=$(bound)
shows "a ticket alone is one factor" 401 code_required "$token"
enrol "$bob_invitation" staple-battery-correct
shows "and with a wrong code none" 401 invalid_credentials "$(bound)" '{"totp":"000000"}'
right=$(code "$secret")
shows "ticket and code are two" 200 - "$(bound)" "{\"totp\":\"$right\"}"
has "of bob" '.username == "bob" and (.access_token | startswith("pgs_"))'
bob=$(field .access_token)
check "the authority proved itself" challenged
gets "the bearer is good" 200 - GET /api/v1/auth/whoami "$bob"
shows "a code works once" 401 invalid_credentials "$(bound)" "{\"totp\":\"$right\"}"
gets "bob makes recovery codes" 200 - POST /api/v1/auth/recovery-codes "$bob"
readarray -t recovery_codes < <(jq -r '.recoveryCodes[]' "$work/last")
shows "which do in the code's place" 200 - "$(bound)" "{\"totp\":\"${recovery_codes[0]}\"}"
has "and it says how many are left" '.username == "bob" and .recoveryCodesLeft == 9'
shows "each works once as well" 401 invalid_credentials "$(bound)" "{\"totp\":\"${recovery_codes[0]}\"}"
shows "and others do not" 401 invalid_credentials "$(bound)" "{\"totp\":\"00000-00000-00000-00000\"}"
audited "on record, with the principal" '.action == "session.kerberos" and .allowed and .actor == "bob" and .target == "bob@HPC.EXAMPLE"'
check "carol has a ticket" ticket carol
shows "who has no authenticator cannot show a code" 403 not_enrolled "$(bound)" '{"totp":"000000"}'

usual+=("counts_as_second_factor: true")
configure "${usual[@]}"
restart
check "bob has a ticket" ticket bob
token=$(bound)
shows "where the site says so, the ticket is enough" 200 - "$token"
shows "a token is good once" 401 invalid_ticket "$token"
has "which is told" '.message | test("replay")'
restart
shows "also after a new start" 401 invalid_ticket "$token"
audited "what was refused is on record with the reason" '.action == "session.kerberos" and (.allowed | not) and (.detail | test("replay"))'

shows "not bound to the connection" 401 invalid_ticket "$(token_for HTTP@localhost)"
has "which is told" '.message | test("not bound")'
shows "bound to another one" 401 invalid_ticket "$(token_for HTTP@localhost "$authority/tls/ca.pem")"
shows "another service's ticket, whose key is in the keytab" 401 invalid_ticket "$(bound host@localhost)"
shows "Kerberos without SPNEGO" 401 invalid_ticket "$(token_for HTTP@localhost "$authority/tls/server.pem" krb5)"
# NegTokenInit that offers Kerberos and brings no ticket.
shows "what would take a second token" 401 invalid_ticket "$(printf '\x60\x1b\x06\x06\x2b\x06\x01\x05\x05\x02\xa0\x11\x30\x0f\xa0\x0d\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02' | base64)"
has "which is told" '.message | test("another one after it")'
shows "garbage" 401 invalid_ticket "$(head -c 300 /dev/urandom | base64 -w0)"
shows "nothing" 401 negotiate ''
shows "no base64" 400 malformed '***'
most=$(limit NEGOTIATE_TOKEN_BYTES)
shows "as long as a token may be" 401 invalid_ticket "$(head -c "$most" /dev/zero | base64 -w0)"
shows "longer" 400 too_long "$(head -c $((most + 1)) /dev/zero | base64 -w0)"
token=$(bound)
flipped() { python3 -c 'import base64, sys; t = bytearray(base64.b64decode(sys.argv[1])); t[int(sys.argv[2])] ^= 1; print(base64.b64encode(t).decode())' "$1" "$2"; }
for at in 200 300 400; do shows "a bit of byte $at turned" 401 invalid_ticket "$(flipped "$token" $at)"; done
shows "the clock of a machine that is a minute ahead" 401 invalid_ticket "$(faketime -f +60s /usr/bin/python3 "$here/negotiate.py" HTTP@localhost "$authority/tls/server.pem")"
has "which is told" '.message | test("skew")'

# ---- principals and accounts --------------------------------------------------------------------

check "a ticket of another realm" ticket "bob@$other_realm"
shows "which ours trusts, is not taken" 403 access_denied "$(bound)"
has "which is told" '.message | test("OTHER.EXAMPLE")'
check "a principal with an instance" ticket carol/admin
shows "is nobody" 403 access_denied "$(bound)"
check "unless there is a rule for it" ticket bob/laptop
shows "which says who it is" 200 - "$(bound)"
has "it is bob" '.username == "bob"'
check "an administrator's ticket" ticket alice
shows "does not make one" 403 access_denied "$(bound)"
check "dave has a ticket" ticket dave
shows "and gets in" 200 - "$(bound)"
dave=$(field .access_token)
gets "dave is disabled" 200 - PUT /api/v1/accounts/dave "$admin" '{"disabled":true}'
shows "and does not" 403 access_denied "$(bound)"
gets "his bearer has ended as well" 401 not_logged_in GET /api/v1/auth/whoami "$dave"
principal $realm -pw nobody-password nobody
check "a principal without an account" ticket nobody
shows "is told so" 403 access_denied "$(bound)"

# ---- postern login --kerberos -------------------------------------------------------------------

fingerprint=$(openssl x509 -in "$authority/tls/ca.pem" -outform DER | sha256sum | cut -d' ' -f1)
check "a laptop" "$postern" init "$url" --fingerprint "$fingerprint"
kdestroy
refused "without a ticket, kinit is named" 3 'kinit' "$postern" login --kerberos
check "kinit" ticket bob
check "postern login --kerberos" "$postern" login --kerberos
says "as bob" 'Signed in at test as bob'
check "whoami" "$postern" whoami
check "as JSON" "$postern" login --kerberos --json
has "as bob" '.username == "bob" and .site == "test"'
check "signing out" "$postern" logout
refused "a clock that is a minute ahead" 3 'clock' faketime -f +60s "$postern" login --kerberos
check "a ticket of another realm" ticket "bob@$other_realm"
refused "says why" any 'OTHER.EXAMPLE' "$postern" login --kerberos
check "kinit" ticket bob -l 1h
refused "a ticket that has ended: kinit is named" 3 'kinit' faketime -f +2h "$postern" login --kerberos

# The authority must have the service's key: one that has another gets a ticket that it cannot read, and nothing else.
check "kinit" ticket carol
check "postern says by whom" "$postern" login --kerberos
says "as carol" 'as carol'

usual=("keytab: $kerberos/keytab" "realms: [$realm]")
configure "${usual[@]}"
restart
check "kinit" ticket bob
echo "$secret" >"$work/secret"
check "postern asks for the code where the site wants one" /usr/bin/python3 "$here/tty.py" --send 'Code.*: ' "totp:$work/secret:1" -- \
    "$postern" login --kerberos
says "bob is signed in" 'as bob'
check "kinit" ticket bob
check "a recovery code is taken in its place, typed as people do" /usr/bin/python3 "$here/tty.py" \
    --send 'Code.*: ' "$(tr 'A-Z-' 'a-z ' <<<"${recovery_codes[1]}")" -- \
    "$postern" login --kerberos
says "and postern tells how many are left" 'recovery codes left: 8'
says "and how it would go with a passkey" 'With a passkey instead: postern login'

# ---- the keytab ----------------------------------------------------------------------------------

while [ $((SECONDS - long_ago)) -lt 45 ]; do read -rt 0.5 <> <(:) || :; done
shows "a ticket that has expired" 401 invalid_ticket "$early"
mv "$kerberos/keytab" "$kerberos/keytab.away"
shows "a keytab that is gone" 503 kerberos_unavailable "$(bound)"
mv "$kerberos/keytab.away" "$kerberos/keytab"
shows "is taken again once it is there" 401 code_required "$(bound)"
cp "$work/bare.yaml" "$authority/posternd.yaml"
restart
shows "a site that takes no tickets" 404 not_offered "$(bound)"
refused "which postern says" any 'takes no Kerberos tickets' "$postern" login --kerberos

done_testing
