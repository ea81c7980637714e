#!/usr/bin/env bash
# Sign-ins by a second OpenID provider that shares nothing with the first (Debian's glewlwyd, over TLS with a CA of its own): by
# browser and by device code, with its own one-time codes; what it refuses, and what we refuse of it; its keys change.
# shellcheck shell=bash disable=SC1091,SC2154,SC2317
. "$(dirname "$0")/lib.sh"
. "$here/authority_world.sh"
. "$here/oidc_world.sh"
. "$here/glewlwyd_world.sh"

if ! glewlwyd_is_here; then
    skip "sign-ins by glewlwyd" "it is not here: ./run setup fetches it where Debian has it, which 13 has not"
    done_testing
fi
export LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=1 HOME=$work/home BROWSER_ROOM=$work/browser BROWSER=$here/glewlwyd_browser
export BROWSER_CA=$glewlwyd_ca SSL_CERT_FILE=$glewlwyd_ca # the laptop's own trust store has its CA
mkdir -p "$HOME" "$BROWSER_ROOM"
unset SSH_CONNECTION SSH_TTY DISPLAY WAYLAND_DISPLAY POSTERN_API_KEY XDG_CONFIG_HOME XDG_STATE_HOME http_proxy https_proxy all_proxy

redirect_port=$(free_port)
glewlwyd_redirects=("http://127.0.0.1:$redirect_port/back")
check "glewlwyd starts" start_glewlwyd
check "it has bob" glewlwyd_person POST /user/ bob true
check "with one-time codes" glewlwyd_codes bob
check "carol, with a password alone" glewlwyd_person POST /user/ carol true
check "and erin, who is nobody here" glewlwyd_person POST /user/ erin true
check "with one-time codes" glewlwyd_codes erin
login() { timeout 30 "$postern" login "$@"; }

make_authority
printf '%s\n' "url: $glewlwyd_issuer" "client_id: posterngate" "scope: openid" "ca_file: $glewlwyd_ca" "required_amr: [otp]" \
    "redirect_port: $redirect_port" >"$authority/glewlwyd.yaml"
echo 'issuers: [glewlwyd.yaml]' >>"$authority/posternd.yaml"
check "posternd check takes it" "$posternd" check -c "$authority/posternd.yaml"
serve
alice_signs_in
gets "bob" 201 - POST /api/v1/accounts "$admin" '{"name":"bob","displayName":"Bob"}'
gets "a project" 201 - POST /api/v1/projects "$admin" '{"name":"csstaff"}'
gets "of which he is" 200 - PUT /api/v1/projects/csstaff/members/bob "$admin" '{"role":"member"}'
gets "the site tells of it" 200 - GET /.well-known/posterngate ''
has "with the port" ".issuers == [{issuer: \"$glewlwyd_issuer\", clientId: \"posterngate\", scope: \"openid\", redirectPort: $redirect_port}]"

# ---- by a browser -------------------------------------------------------------------------------

fingerprint=$(openssl x509 -in "$authority/tls/ca.pem" -outform DER | sha256sum | cut -d' ' -f1)
check "a laptop" "$postern" init "$url" --fingerprint "$fingerprint"
echo bob >"$BROWSER_ROOM/username"
check "postern login" login
says "as bob" 'Signed in at test as bob'
check "again, with the same port" login
ssh-keygen -q -t ed25519 -N '' -f "$work/key"
check "and signs a key" "$postern" sign -f "$work/key"
check "which is a certificate for bob" ssh-keygen -L -f "$work/key-cert.pub"
says "by its key id" 'Key ID: "bob@test'
check "signing out" "$postern" logout
audited "it is on record" '.action == "issuer.token" and .actor == "bob" and .allowed'
start taken python3 -c 'import socket, sys, time; s = socket.create_server(("127.0.0.1", int(sys.argv[1]))); print("listening", flush=True); time.sleep(600)' "$redirect_port"
taken_pid=$last_pid
wait_for 10 grep -q listening "$work/taken.log"
refused "the port is another program's" any "cannot listen on port $redirect_port.*postern login --headless|cannot listen on port $redirect_port" login
kill "$taken_pid"
wait "$taken_pid" 2>/dev/null

# ---- who does not come in -----------------------------------------------------------------------

echo erin >"$BROWSER_ROOM/username"
refused "who has no account here" 3 'no account erin' login
check "its administrator asks for a password alone" glewlwyd_scope '"scheme":{},"scheme_required":{}'
echo carol >"$BROWSER_ROOM/username"
refused "without a second factor" 3 'second factor' login
echo bob >"$BROWSER_ROOM/username"
check "for both again" glewlwyd_scope "$glewlwyd_two_factors"

# A token of its own that is right but for whom it is meant: by the device grant, as another program gets it.
device_token() { # CLIENT: sets $id_token
    local offer=$work/offer tokens=$work/tokens
    curl -fsS --cacert "$glewlwyd_ca" -d "client_id=$1" -d scope=openid -o "$offer" "$glewlwyd_issuer/device_authorization" || return 1
    "$BROWSER" "$(jq -r .verification_uri_complete "$offer")"
    curl -fsS --cacert "$glewlwyd_ca" -d "client_id=$1" -d grant_type=urn:ietf:params:oauth:grant-type:device_code \
        -d "device_code=$(jq -r .device_code "$offer")" -o "$tokens" "$glewlwyd_issuer/token" || return 1
    id_token=$(jq -er .id_token "$tokens")
}
exchange=(grant_type=urn:ietf:params:oauth:grant-type:token-exchange subject_token_type=urn:ietf:params:oauth:token-type:id_token
    scope='openid offline_access')
check "another program is its client" glewlwyd_client POST /client/ helper true
device_token helper
report $? "which gets a token for bob"
trade "that is worth nothing here" 400 invalid_grant "${exchange[@]}" subject_token="$id_token"
says "for it is meant for another" 'aud: the token is not meant for posterngate'
device_token posterngate
report $? "one for us"
trade "its access token is no ID token" 400 invalid_grant "${exchange[@]}" subject_token="$(jq -r .access_token "$work/tokens")"
trade "with the access token of another" 400 invalid_grant "${exchange[@]}" subject_token="$id_token" access_token="$(openssl rand -hex 20)"
says "by at_hash" 'at_hash: '
trade "with its own" 200 - "${exchange[@]}" subject_token="$id_token" access_token="$(jq -r .access_token "$work/tokens")"
trade "once" 400 invalid_grant "${exchange[@]}" subject_token="$id_token"

check "its administrator disables our client" glewlwyd_client PUT /client/posterngate posterngate false
refused "by a code, nobody signs in" 3 'refused the sign-in' login --headless
check "and enables it" glewlwyd_client PUT /client/posterngate posterngate true
check "it disables bob" glewlwyd_person PUT /user/bob bob false
refused "who does not come in" any 'Waiting' timeout 10 "$postern" login
check "and enables him" glewlwyd_person PUT /user/bob bob true

# ---- by a code for a browser elsewhere (RFC 8628) ------------------------------------------------

headless() {
    login --headless >"$work/device.log" 2>&1 </dev/null &
    local pid=$! code result=0
    wait_for 20 grep -q 'enter the code' "$work/device.log"
    code=$(sed -nE 's/.*enter the code +([A-Z0-9]{4}-[A-Z0-9]{4}).*/\1/p' "$work/device.log")
    "$BROWSER" "$glewlwyd_issuer/device?code=$code"
    wait "$pid" || result=$?
    cat "$work/device.log"
    return $result
}
check "postern login --headless" headless
says "as bob" 'Signed in at test as bob'
check "whoami" "$postern" whoami

# ---- its keys change ----------------------------------------------------------------------------

device_token posterngate
old=$id_token
check "its key is another" glewlwyd_api PUT /mod/plugin/oidc "$(glewlwyd_plugin)"
check "from now on" glewlwyd_api PUT /mod/plugin/oidc/reset
device_token posterngate
report $? "it signs"
differ() { [ "$(id_token_header "$1" | jq -r .kid)" != "$(id_token_header "$2" | jq -r .kid)" ]; }
check "by another key" differ "$old" "$id_token"
retry() { curl -sS --cacert "$authority/tls/ca.pem" -o "$work/retried" "${forms[@]}" "$url/oauth/token" && jq -e .access_token "$work/retried"; }
forms=()
for value in client_id=posterngate-cli "${exchange[@]}" subject_token="$id_token"; do forms+=(--data-urlencode "$value"); done
check "which is fetched, once the last question is old enough" wait_for 45 retry
trade "what the old one signed is refused" 400 invalid_grant "${exchange[@]}" subject_token="$old"
check "postern login, by the new one" login
done_testing
