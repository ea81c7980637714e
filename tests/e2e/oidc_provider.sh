#!/usr/bin/env bash
# The embedded issuer is an OpenID provider: codes with PKCE, device grants, refresh tokens that are good once, keys that rotate; a
# browser is curl, and openssl verifies what was signed.
# shellcheck shell=bash disable=SC1091,SC2154,SC2317
. "$(dirname "$0")/lib.sh"
. "$here/authority_world.sh"
. "$here/oidc_world.sh"

start_authority
alice_signs_in
alice_secret=$secret

# ---- what it says of itself -------------------------------------------------------------------

gets "discovery" 200 - GET /.well-known/openid-configuration ''
has "the issuer is the address it is asked at" ".issuer == \"$url\" and .authorization_response_iss_parameter_supported"
has "public clients, codes with S256, and RS256" '.token_endpoint_auth_methods_supported == ["none"] and
    .response_types_supported == ["code"] and .code_challenge_methods_supported == ["S256"] and
    .id_token_signing_alg_values_supported == ["RS256"]'
gets "keys" 200 - GET /oauth/keys ''
has "one key, and nothing secret in it" '(.keys | length) == 1 and (.keys[0] | has("n") and (has("d") or has("p") | not))'

# ---- asking for a code: what is refused -------------------------------------------------------

new_request
for uri in https://evil.example/ http://localhost:1/ http://127.0.0.1.evil.example/ 'http://127.0.0.1@evil.example/' http://127.0.0.1:0/; do
    asks "redirect to $uri is refused on a page" 400 'loopback' "$(authorize_query "$uri")"
done
asks "a client that is not known is refused on a page" 400 'not known' "$(authorize_query "$back" | sed 's/posterngate-cli/evil/')"
goes_back() { # DESCRIPTION ERROR QUERY
    visit GET "/oauth/authorize?$3"
    local location
    location=$(location)
    [ "$status" = 303 ] && [[ $location == "$back?error=$2&state=st%26%20ate&iss=https%3A%2F%2F127.0.0.1%3A$port" ]]
    report $? "$1"
}
good_query=$(authorize_query "$back")
goes_back "no PKCE" invalid_request "${good_query/&code_challenge=$challenge/}"
goes_back "plain PKCE" invalid_request "${good_query/S256/plain}"
goes_back "implicit" unsupported_response_type "${good_query/response_type=code/response_type=token}"
goes_back "no openid" invalid_scope "${good_query/scope=openid%20offline_access/scope=profile}"
goes_back "without a page" interaction_required "$good_query&prompt=none"
asks "a parameter twice is refused" 400 '.' "$good_query&client_id=posterngate-cli"

# ---- the page ---------------------------------------------------------------------------------

rm -f "$jar"
asks "the page asks for user name, password and code" 200 'name="totp"' "$good_query"
check "it runs no scripts but this site's own, and cannot be framed" grep -qi "^content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; form-action 'self' http://127.0.0.1:4711; frame-ancestors 'none'" "$work/headers"
check "its cookie is for no script and no other site" grep -qi '^set-cookie: __Host-posterngate-form=.*; Path=/; .*HttpOnly; SameSite=Strict; Secure' "$work/headers"
refused "there is no script in it" 1 '' grep -qiE '<script| on[a-z]+=|javascript:' "$work/page"
check "every input has a label" python3 "$here/labels.py" "$work/page"
visit GET /web/sign-in.css
check "its style sheet" test "$status" = 200
asks "what a client sends is escaped" 200 '&quot;&gt;&lt;b&gt;' "${good_query/st%26%20ate/%22%3E%3Cb%3E}"

# LIMIT_OAUTH_TEXT_CHARS
most=$(limit OAUTH_TEXT_CHARS)
asks "a state may be long" 200 'name="totp"' "${good_query/st%26%20ate/$(letters "$most")}"
asks "… but not longer" 400 'state' "${good_query/st%26%20ate/$(letters $((most + 1)))}"
goes_back "nor may a nonce be" invalid_request "${good_query/nonce=$nonce/nonce=$(letters $((most + 1)))}"
asks "the page again" 200 'name="totp"' "$good_query"
submits "without the cookie a form is refused" 403 'too long' --no-cookies action=sign-in username=alice password=correct-horse-battery totp=123456
submits "with another form token too" 403 'too long' form_token=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA action=sign-in username=alice password=x totp=123456
submits "a wrong password: the form again" 401 'role="alert".*wrong' action=sign-in username=alice password=wrong-horse-battery totp="$(code "$alice_secret")"
submits "cancelled" 303 '' action=cancel
check "the client is told" test "$(location)" = "$back?error=access_denied&state=st%26%20ate&iss=https%3A%2F%2F127.0.0.1%3A$port"
submits "right: back to the client" 303 '' action=sign-in username=alice password=correct-horse-battery totp="$(code "$alice_secret")"
first=$(answered_code)
check "with a code, its state and the issuer" test "$(location)" = "$back?code=$first&state=st%26%20ate&iss=https%3A%2F%2F127.0.0.1%3A$port"
check "the browser's session is for no script" grep -qi '^set-cookie: __Host-posterngate-session=pgb_.*HttpOnly; SameSite=Strict; Secure' "$work/headers"
session_cookie=$(grep -oE 'pgb_[A-Za-z0-9_-]{43}' "$work/headers")
gets "which is no bearer" 401 not_logged_in GET /api/v1/auth/whoami "$session_cookie"

# ---- codes ------------------------------------------------------------------------------------

trade "a code is for its verifier alone" 400 invalid_grant grant_type=authorization_code code="$first" redirect_uri="$back" code_verifier="$(random_text)"
trade "and one wrong try ends it" 400 invalid_grant grant_type=authorization_code code="$first" redirect_uri="$back" code_verifier="$verifier"
again() { # a new code by the browser's session
    new_request
    asks "who is signed in is asked to go on" 200 'Continue as alice' "$(authorize_query "$back")"
    submits "and goes on" 303 '' action=continue
    second=$(answered_code)
}
again
trade "nor for another redirect_uri" 400 invalid_grant grant_type=authorization_code code="$second" redirect_uri="${back}x" code_verifier="$verifier"
again
trade "a code gives tokens" 200 - grant_type=authorization_code code="$second" redirect_uri="$back" code_verifier="$verifier"
access=$(field .access_token) refresh=$(field .refresh_token) id_token=$(field .id_token)
has "a bearer for an hour, and a refresh token" '.token_type == "Bearer" and .expires_in == 3600 and (.refresh_token | startswith("pgr_"))'
gets "the bearer is alice's" 200 - GET /api/v1/auth/whoami "$access"
gets "userinfo too" 200 - GET /oauth/userinfo "$access"
has "says who" '.preferred_username == "alice"'
gets "a refresh token is no bearer" 401 not_logged_in GET /api/v1/auth/whoami "$refresh"

api GET /oauth/keys ''
cp "$work/last" "$work/keys.json"
check "openssl verifies the ID token by the published key" id_token_verifies "$id_token" "$work/keys.json"
claims=$(id_token_claims "$id_token")
check "it says who, when and how" jq -e --arg url "$url" --arg nonce "$nonce" '.iss == $url and .aud == "posterngate-cli" and
    .nonce == $nonce and .preferred_username == "alice" and .amr == ["pwd","otp","mfa"] and .exp == .iat + 3600 and
    .auth_time <= .iat' <<<"$claims"
check "at_hash is the access token's" test "$(jq -r .at_hash <<<"$claims")" = \
    "$(printf %s "$access" | openssl dgst -sha256 -binary | head -c 16 | basenc --base64url | tr -d '=')"
trade "a code that comes again …" 400 invalid_grant grant_type=authorization_code code="$second" redirect_uri="$back" code_verifier="$verifier"
gets "… ends what came of it" 401 not_logged_in GET /api/v1/auth/whoami "$access"
trade "refresh token included" 400 invalid_grant grant_type=refresh_token refresh_token="$refresh"
audited "which is on record" '.action == "issuer.token" and (.detail | test("used before")) and (.allowed | not)'

# ---- refresh tokens ---------------------------------------------------------------------------

sign_in_again() {
    again
    trade "tokens" 200 - grant_type=authorization_code code="$second" redirect_uri="$back" code_verifier="$verifier"
    access=$(field .access_token) refresh=$(field .refresh_token)
}
sign_in_again
trade "a refresh token is its client's" 400 invalid_client grant_type=refresh_token refresh_token="$refresh" client_id=evil
trade "a bearer is none" 400 invalid_grant grant_type=refresh_token refresh_token="$access"
trade "it gives new tokens" 200 - grant_type=refresh_token refresh_token="$refresh"
newer=$(field .refresh_token) newer_access=$(field .access_token)
gets "the new bearer" 200 - GET /api/v1/auth/whoami "$newer_access"
trade "used again …" 400 invalid_grant grant_type=refresh_token refresh_token="$refresh"
gets "… all bearers of the sign-in end" 401 not_logged_in GET /api/v1/auth/whoami "$newer_access"
trade "and the newer refresh token" 400 invalid_grant grant_type=refresh_token refresh_token="$newer"

sign_in_again
sql() { sqlite3 "$authority/store/posternd.db" "$1"; }
check "the refresh token lasts as long as the sign-in" test "$(sql "SELECT count(*) FROM session s WHERE use = 2 AND used_at = 0 AND expires_at = authenticated_at + 43200")" -ge 1
revoke() { # DESCRIPTION STATUS FIELD…
    post_form "$1" "$2" - /oauth/revoke "${@:3}"
}
revoke "revoking what is unknown is fine" 200 token=pgr_unknown client_id=posterngate-cli
revoke "revoking the refresh token …" 200 token="$refresh" token_type_hint=refresh_token client_id=posterngate-cli
gets "… ends the bearer" 401 not_logged_in GET /api/v1/auth/whoami "$access"

sign_in_again
gets "signing out …" 200 - POST /api/v1/auth/logout "$access"
trade "… ends the refresh token" 400 invalid_grant grant_type=refresh_token refresh_token="$refresh"

# ---- devices ----------------------------------------------------------------------------------

device=(grant_type=urn:ietf:params:oauth:grant-type:device_code)
begin_device() {
    post_form "a device asks" 200 - /oauth/device client_id=posterngate-cli scope='openid offline_access'
    device_code=$(field .device_code) user_code=$(field .user_code)
}
waits() { # DESCRIPTION: the device, for an answer; asked of the store, for one that asks too often is told to slow down
    check "$1" test "$(sql "SELECT count(*) FROM authorization WHERE kind = 2 AND state = 1")" = 1
}
begin_device
has "and is told what to show" ".verification_uri == \"$url/device\" and .interval == 5 and .expires_in == 600 and (.user_code | test(\"^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$\"))"
trade "nobody has approved it" 400 authorization_pending "${device[@]}" device_code="$device_code"
trade "asked too early" 400 slow_down "${device[@]}" device_code="$device_code"
visit GET "/device?user_code=BBBB-BBBB"
shows "a link with a code that is none" 404 'no such code'
submits_device "a code that is none" 404 'no such code.*Continue' BBBB-BBBB
submits_device "nor is one that could not be" 404 'no such code' "'<b>"
visit GET /device
cp "$work/last" "$work/page"
check "every input of the page has a label" python3 "$here/labels.py" "$work/page"
check "a code alone allows nothing there" bash -c "! grep -qE 'value=\"(approve|deny)\"' '$work/page'"
asking="postern, the command line.*127\.0\.0\.1; you are at that address too.*(just now|ago) \(20.*$user_code.*administer this site.*ends in.*(11|12) hours"
enters_code "${user_code,,}"
shows "a code that was typed leads to what asks" 200 "$asking.*Allow as alice.*Refuse"
waits "and has allowed nothing"
visit GET "/device?user_code=$user_code"
cp "$work/last" "$work/page"
shows "so does the link" 200 "$asking.*Allow as alice.*Refuse"
submit /device action=approve form_token="$(random_text)"
shows "a form of another site is refused" 403 'open for too long'
submits_device "refusing it" 200 'Nothing was allowed' "$user_code" action=deny
audited "who was refused is on record" '.action == "device.answer" and .actor == "alice" and .detail == "refused: posterngate-cli, from 127.0.0.1"'
submits_device "a code is answered once" 404 'answered already' "$user_code" action=approve
check "it was refused" test "$(sql "SELECT state FROM authorization WHERE kind = 2")" = 3
begin_device
submits_device "approving another, typed in lower case" 200 'You can close this page' "${user_code,,}" action=approve
audited "who was allowed as well" '.action == "device.answer" and .detail == "allowed: posterngate-cli, from 127.0.0.1"'
trade "gives tokens" 200 - "${device[@]}" device_code="$device_code"
access=$(field .access_token)
gets "whose bearer is alice's" 200 - GET /api/v1/auth/whoami "$access"
trade "once" 400 invalid_grant "${device[@]}" device_code="$device_code"
trade "a device code that is none" 400 invalid_grant "${device[@]}" device_code=pgd_none

# Who is not signed in sees what asks before the password, and is asked after it.
rm -f "$jar"
begin_device
visit GET "/device?user_code=$user_code"
cp "$work/last" "$work/page"
shows "who is not signed in sees what asks too" 200 'postern, the command line.*127\.0\.0\.1.*name="password"'
check "but is not asked yet" bash -c "! grep -qE 'value=\"(approve|deny)\"|administer' '$work/page'"
submit /device action=approve
shows "nor can answer" 200 'name="password"'
submit /device action=sign-in username=alice password=wrong-horse-battery totp="$(code "$alice_secret" 30)"
shows "a wrong password: the form again, and what asks" 401 'is wrong.*postern, the command line.*name="password"'
submit /device action=sign-in username=alice password=correct-horse-battery totp="$(code "$alice_secret" 30)"
cp "$work/last" "$work/page"
shows "signing in leads to the question" 200 'Allow as alice.*Refuse'
waits "and has allowed nothing"
submit /device action=approve
shows "which is answered" 200 'You can close this page'
trade "gives tokens too" 200 - "${device[@]}" device_code="$device_code"
access=$(field .access_token)

# ---- keys -------------------------------------------------------------------------------------

gets "rotating is for administrators who are signed in" 401 not_logged_in POST /api/v1/issuer/keys ''
gets "keys rotate by command" 200 - POST /api/v1/issuer/keys "$admin"
has "the older one is retired" '(.keys | length) == 2 and (.keys[0] | has("retiredTime") | not) and (.keys[1] | has("retiredTime"))'
api GET /oauth/keys ''
cp "$work/last" "$work/keys.json"
check "what it signed still verifies" id_token_verifies "$id_token" "$work/keys.json"
sign_in_again
check "the new key signs" test "$(id_token_header "$(field .id_token)" | jq -r .kid)" = "$(jq -r '.keys[0].kid' "$work/keys.json")"
audited "a rotation is on record" '.action == "issuer-key.rotate" and .allowed'
again
begin_device
kill "$authority_pid"
wait "$authority_pid"
serve
trade "a code outlives the process that gave it" 200 - grant_type=authorization_code code="$second" redirect_uri="$back" code_verifier="$verifier"
trade "and is remembered by the next one" 400 invalid_grant grant_type=authorization_code code="$second" redirect_uri="$back" code_verifier="$verifier"
trade "a device goes on waiting" 400 authorization_pending "${device[@]}" device_code="$device_code"
trade "no more often than before" 400 slow_down "${device[@]}" device_code="$device_code"
api GET /oauth/keys ''
cp "$work/last" "$work/later.json"
check "keys outlive the process" cmp -s "$work/later.json" "$work/keys.json"
sql "VACUUM INTO '$work/backup.db'"
check "a backup of the store has no private key" bash -c "! grep -q 'PRIVATE KEY' '$work/backup.db'"
check "they stand beside it, for nobody else" test "$(stat -c %a "$authority/store/posternd.db.issuer" "$authority/store/posternd.db.challenges" | tr '\n' ' ')" = '600 600 '
chmod 644 "$authority/store/posternd.db.issuer"
refused "posternd check sees when others can read them" 2 'posternd.db.issuer: can be read by other users; run: chmod 600' "$posternd" check -c "$authority/posternd.yaml"
chmod 600 "$authority/store/posternd.db.issuer"
kill "$authority_pid"
wait "$authority_pid"
cp "$authority/store/posternd.db.issuer" "$work/issuer"
echo '{}' >"$authority/store/posternd.db.issuer"
refused "a file that is damaged is named" 1 'posternd.db.issuer, the issuer.s keys' "$posternd" serve -c "$authority/posternd.yaml"
cp "$work/issuer" "$authority/store/posternd.db.issuer"
serve
trade "refresh tokens too" 200 - grant_type=refresh_token refresh_token="$refresh"
access=$(field .access_token) refresh=$(field .refresh_token)

# ---- the end of an account's access -----------------------------------------------------------

gets "bob" 201 - POST /api/v1/accounts "$admin" '{"name":"bob","displayName":"Bob"}'
enrol "$(field .invitation)" blue-river-stone-47
rm -f "$jar"
new_request
asks "bob's browser" 200 'name="totp"' "$(authorize_query "$back")"
submits "bob signs in" 303 '' action=sign-in username=bob password=blue-river-stone-47 totp="$(code "$secret")"
trade "bob's tokens" 200 - grant_type=authorization_code code="$(answered_code)" redirect_uri="$back" code_verifier="$verifier"
bob_refresh=$(field .refresh_token)
begin_device
submits_device "bob allows a device" 200 'You can close this page' "$user_code" action=approve
gets "bob is disabled" 200 - PUT /api/v1/accounts/bob "$admin" '{"disabled":true}'
trade "his refresh token ended with it" 400 invalid_grant grant_type=refresh_token refresh_token="$bob_refresh"
asks "and his browser's session" 200 'name="totp"' "$(authorize_query "$back")"
gets "bob is enabled again" 200 - PUT /api/v1/accounts/bob "$admin" '{"disabled":false}'
trade "what he had allowed stays ended" 400 invalid_grant "${device[@]}" device_code="$device_code"
bob_allows() { # SECONDS: by signing in with the code of then
    rm -f "$jar"
    begin_device
    submits_device "bob signs in …" 200 'Allow as bob' "$user_code" action=sign-in username=bob \
        password=blue-river-stone-47 totp="$(code "$secret" "$1")"
    submit /device action=approve
    shows "… and allows another" 200 'You can close this page'
}
bob_allows 30
trade "which signs in" 200 - "${device[@]}" device_code="$device_code"
bob=$(field .access_token)
begin_device
submits_device "somebody at his browser allows one more" 200 'You can close this page' "$user_code" action=approve
gets "bob looks at what is signed in" 200 - GET /api/v1/sessions "$bob"
gets "and ends the browser" 200 - DELETE "/api/v1/sessions/$(field '.sessions[] | select(.use == "browser") | .id')" "$bob"
trade "what it had allowed, and nobody has fetched, ends with it" 400 invalid_grant "${device[@]}" device_code="$device_code"
gets "he makes recovery codes" 200 - POST /api/v1/auth/recovery-codes "$bob"
gets "an administrator invites him anew" 200 - POST /api/v1/accounts/bob/invitation "$admin"
enrol "$(field .invitation)" blue-river-stone-47
gets "what let in besides is gone" 200 - GET /api/v1/auth/factors "$token"
has "… the recovery codes" '.recoveryCodesLeft == 0'
bob_allows 0
gets "his factors are reset" 200 - POST /api/v1/accounts/bob/reset-factors "$admin"
trade "what he had allowed ends with them" 400 invalid_grant "${device[@]}" device_code="$device_code"

# ---- strangers --------------------------------------------------------------------------------

# From an address of their own, so that nobody else is throttled.
flood() { # COUNT PATH DATA: tells how many were answered with which status
    curl -sS --cacert "$authority/tls/ca.pem" --interface 127.0.0.3 -o /dev/null -w '%{http_code}\n' --data "$3" "$url$2?[1-$1]" |
        sort | uniq -c | awk '{ print $2 "=" $1 }'
}
rows() { sql "SELECT count(*) FROM audit WHERE action = '$1'"; }
before=$(rows issuer.revoke)
check "tokens that somebody made up are revoked" flood 50 /oauth/revoke client_id=posterngate-cli\&token=pgr_unknown
says "… all of them" '^200=50$'
check "… and leave no rows" test "$(rows issuer.revoke)" = "$before"
check "a flood of devices" flood 400 /oauth/device client_id=posterngate-cli\&scope=openid
says "… is throttled, so that nobody else's is driven out" '^429='

done_testing
