#!/usr/bin/env bash
# Two authorities on one store: what is good once is taken once, however often the same comes to both at the same moment. posternd
# refuses a second one on a store (what it keeps in memory would be stale); here the second has another name for the store, so that
# what is seen is what the store alone holds.
# shellcheck shell=bash disable=SC1091,SC2154,SC2317
. "$(dirname "$0")/lib.sh"
authority_host=localhost # passkeys are for names alone
authority_address=127.0.0.1
. "$here/authority_world.sh"
. "$here/oidc_world.sh"

make_authority
serve
alice_signs_in
alice_secret=$secret
invite bob blue-river-stone-47
bob_secret=$secret bob=$token
sql() { sqlite3 -cmd '.timeout 5000' "$authority/store/posternd.db" "$1"; }

other_port=$(free_port) other_url=https://localhost:$other_port other=$authority/store2
sed -E "s/^( *(listen|address|port): .*)$port/\1$other_port/; s|store/posternd.db|store2/posternd.db|" "$authority/posternd.yaml" >"$authority/other.yaml"
echo 'replica: 1' >>"$authority/other.yaml"
check "it listens elsewhere" grep -q "$other_port" "$authority/other.yaml"
sed -E "s/^( *(listen|address|port): .*)$port/\1$other_port/" "$authority/posternd.yaml" >"$authority/same.yaml"
refused "a second one on the store is refused" 1 'another posternd is running on this store' "$posternd" serve -c "$authority/same.yaml"
mkdir -m 700 "$other"
for file in posternd.db posternd.db.issuer posternd.db.challenges; do
    ln -s "../store/$file" "$other/$file"
done
start other "$posternd" serve -c "$authority/other.yaml"
other_ready() { curl -fsS --cacert "$authority/tls/ca.pem" "$other_url/readyz"; }
check "by another name it is not" wait_for 30 other_ready

new_request
asks "bob's browser" 200 'name="totp"' "$(authorize_query "$back")"
submits "bob signs in" 303 '' action=sign-in username=bob password=blue-river-stone-47 totp="$(code "$bob_secret")"

# ---- racing -----------------------------------------------------------------------------------

rounds=10
source=2 # a new one for each wrong code: five in a row from one are locked out
both() { # EXPECTED PATH BODY [HEADER…]: sends it to both; the statuses, sorted, must be these
    local expected=$1 path=$2 statuses
    printf %s "$3" >"$work/body"
    statuses=$(python3 "$here/at_once.py" "$authority/tls/ca.pem" "$work/body" "$path" "127.0.0.$source" "$url" "$other_url" "${@:4}") || return 1
    [ "$statuses" = "$expected" ] || { echo "answered $statuses, expected $expected" && cat "$work/body.answer" && return 1; }
}
json='Content-Type: application/json' form='Content-Type: application/x-www-form-urlencoded'
forms() { # FIELD=VALUE…: as a form's body
    python3 -c 'import sys, urllib.parse; print(urllib.parse.urlencode([tuple(f.split("=", 1)) for f in sys.argv[1:]]), end="")' "$@"
}
once() { # EXPECTED FIELD=VALUE…: at the token endpoint
    both "$1" /oauth/token "$(forms client_id=posterngate-cli "${@:2}")" "$form"
}

# The step of a code is forgotten before each round, for there is but one in half a minute.
one_time_codes() { # NAME PASSWORD SECRET
    local i
    for ((i = 0; i < rounds; i++, source++)); do
        sql "UPDATE login SET totp_last_step = 0 WHERE account_id = (SELECT id FROM account WHERE name = '$1')" || return 1
        both "200 401" /api/v1/auth/login "{\"username\":\"$1\",\"password\":\"$2\",\"totp\":\"$(code "$3")\"}" "$json" || return 1
    done
}
check "a one-time code, $rounds times" one_time_codes alice correct-horse-battery "$alice_secret"
check "another's, $rounds times" one_time_codes bob blue-river-stone-47 "$bob_secret"

invite carol green-field-cloud-12
gets "recovery codes" 200 - POST /api/v1/auth/recovery-codes "$token"
jq -r '.recoveryCodes[]' "$work/last" >"$work/codes"
recovery_codes() {
    local one
    while read -r one; do
        source=$((source + 1))
        both "200 401" /api/v1/auth/login "{\"username\":\"carol\",\"password\":\"green-field-cloud-12\",\"totp\":\"$one\"}" "$json" || return 1
    done <"$work/codes"
}
check "each of $(wc -l <"$work/codes") recovery codes" recovery_codes
check "… none is left" test "$(sql 'SELECT count(*) FROM recovery_code')" = 0

# ---- the issuer -------------------------------------------------------------------------------

new_code() { # by the browser's session: sets $code
    new_request
    visit GET "/oauth/authorize?$(authorize_query "$back")"
    cp "$work/last" "$work/page"
    submit /oauth/authorize action=continue
    code=$(answered_code)
    [ -n "$code" ]
}
redeem() { once "$1" grant_type=authorization_code code="$code" redirect_uri="$back" code_verifier="$verifier"; }
alive() { # TOKEN: at either
    local status place
    for place in "$url" "$other_url"; do
        status=$(curl -sS --cacert "$authority/tls/ca.pem" -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $1" "$place/api/v1/auth/whoami")
        [ "$status" != 200 ] || return 0
    done
    return 1
}
authorization_codes() {
    local i status # visit()'s, which is check()'s own otherwise
    for ((i = 0; i < rounds; i++)); do
        new_code && redeem "200 400" || return 1
        ! alive "$(jq -r .access_token "$work/body.answer")" || { echo "what came of a code that came twice lives" && return 1; }
    done
}
check "an authorization code, $rounds times, and what came of it ends" authorization_codes

tokens() { # sets $refresh, from a code that came once
    new_code
    api_form grant_type=authorization_code code="$code" redirect_uri="$back" code_verifier="$verifier"
}
api_form() {
    curl -sS --cacert "$authority/tls/ca.pem" -o "$work/tokens" --data "$(forms client_id=posterngate-cli "$@")" "$url/oauth/token" || return 1
    refresh=$(jq -er .refresh_token "$work/tokens")
}
refresh_tokens() {
    local i status
    for ((i = 0; i < rounds; i++)); do
        tokens && once "200 400" grant_type=refresh_token refresh_token="$refresh" || return 1
        ! alive "$(jq -r .access_token "$work/body.answer")" || { echo "a token of a sign-in whose refresh token came twice lives" && return 1; }
        once "400 400" grant_type=refresh_token refresh_token="$(jq -r .refresh_token "$work/body.answer")" || return 1
    done
}
sql 'DELETE FROM authorization' # bob has allowed as many as one account may within minutes
check "a refresh token, $rounds times, and the reuse ends all of the sign-in" refresh_tokens

devices() {
    local i status device_code user_code
    for ((i = 0; i < rounds; i++)); do
        curl -sS --cacert "$authority/tls/ca.pem" -o "$work/device" --data 'client_id=posterngate-cli&scope=openid' "$url/oauth/device" || return 1
        device_code=$(jq -er .device_code "$work/device") user_code=$(jq -er .user_code "$work/device")
        enters_code "$user_code" && submit /device action=approve || return 1
        once "200 400" grant_type=urn:ietf:params:oauth:grant-type:device_code device_code="$device_code" || return 1
        alive "$(jq -r .access_token "$work/body.answer")" || { echo "the device got nothing" && return 1; }
    done
}
sql 'DELETE FROM authorization'
check "a device code, $rounds times" devices

# ---- passkeys ---------------------------------------------------------------------------------

sql "UPDATE session SET authenticated_at = unixepoch()"
gets "a challenge" 200 - POST /api/v1/auth/webauthn/registration "$bob"
handle=$(field .user.id)
python3 "$here/passkey_answer.py" create "$work/passkey.pem" "$url" "$(field .challenge)" >"$work/made"
registration=$(jq -c '{name: "soft"} + {clientData, attestation}' "$work/made")
register() { both "201 409" /api/v1/auth/webauthn/passkeys "$registration" "$json" "Authorization: Bearer $bob"; }
check "a passkey is registered once" register
passkeys() {
    local i status challenge token
    for ((i = 0; i < rounds; i++)); do
        rm -f "$jar"
        visit GET /sign-in
        token=$(python3 "$here/hidden.py" "$work/last" | sed -n 's/^form_token\t//p')
        [ -n "$token" ] || { echo "no form token" && return 1; }
        challenge=$(grep -oE 'challenge&quot;: ?&quot;[A-Za-z0-9_-]{43}' "$work/last" | grep -oE '[A-Za-z0-9_-]{43}$') || return 1
        python3 "$here/passkey_answer.py" get "$work/passkey.pem" "$url" "$challenge" >"$work/made" || return 1
        both "303 401" /sign-in "$(forms action=sign-in form_token="$token" passkey_user="$handle" passkey_id="$(jq -r .id "$work/made")" \
            passkey_client_data="$(jq -r .clientData "$work/made")" passkey_signature="$(jq -r .signature "$work/made")" \
            passkey_authenticator_data="$(jq -r .authenticatorData "$work/made")")" "$form" "Cookie: __Host-posterngate-form=$token" || return 1
    done
}
check "the answer of a passkey, $rounds times" passkeys
audited "… was refused for that" '.code == "passkey_refused" and (.detail | test("answered before"))'

done_testing
