#!/usr/bin/env bash
# Passkeys and security keys in a real browser with virtual authenticators: registered, signed in with, and refused when something is odd.
# shellcheck shell=bash disable=SC1091,SC2154
. "$(dirname "$0")/lib.sh"
. "$here/browser_world.sh"
need_browser "passkeys in a browser"
authority_host=localhost # browsers take passkeys of names alone
. "$here/authority_world.sh"
export HOME=$work/home LC_ALL=C.UTF-8
mkdir -p "$HOME"
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

authority_address=127.0.0.1
start_authority
alice_signs_in
alice_secret=$secret
invite bob blue-river-stone-47
bob_secret=$secret bob=$token

# ---- without a browser ------------------------------------------------------------------------

gets "factors are nobody's but one's own" 401 not_logged_in GET /api/v1/auth/factors ''
gets "what there is" 200 - GET /api/v1/auth/factors "$bob"
has "a password and a code" '.password and .totp and .recoveryCodesLeft == 0 and .passkeys == []'
gets "a challenge" 200 - POST /api/v1/auth/webauthn/registration "$bob"
has "for this site, and this person" '.rp.id == "localhost" and .user.name == "bob" and (.challenge | length) == 43 and .attestation == "none"'
gets "an answer that is none" 422 passkey_refused POST /api/v1/auth/webauthn/passkeys "$bob" '{"name":"x","clientData":"e30","attestation":"oA"}'
foreign=$(printf '{"challenge":"%043d"}' 0 | tr 0 A | basenc --base64url | tr -d '=\n')
gets "nor is one to a challenge that was never made" 409 challenge_expired POST /api/v1/auth/webauthn/passkeys "$bob" "{\"name\":\"x\",\"clientData\":\"$foreign\",\"attestation\":\"oA\"}"
gets "what is not there cannot be removed" 404 not_found DELETE /api/v1/auth/webauthn/passkeys/99 "$bob"

# ---- with one ---------------------------------------------------------------------------------

drive_browser 300 passkeys.mjs "$(person alice correct-horse-battery "$alice_secret")" "$(person bob blue-river-stone-47 "$bob_secret")"

audited "a passkey was added" '.action == "factor.page-add" and .actor == "bob" and .allowed'
audited "and one locked, for its counter" '.code == "passkey_locked" and (.allowed | not) and (.detail | test("went back"))'
audited "another account's was refused" '.code == "passkey_refused" and (.detail | test("another account"))'
audited "a replayed answer was refused" '.code == "passkey_refused" and (.detail | test("answered before"))'
audited "and one that another browser had asked for" '.code == "passkey_refused" and (.detail | test("another challenge"))'
check "how people signed in is on record" test "$(sqlite3 "$authority/store/posternd.db" "SELECT count(*) FROM session WHERE methods IN ('user hwk mfa', 'pwd hwk mfa')")" -ge 2

# ---- reset ------------------------------------------------------------------------------------

# The browser may have used the code of the next step already.
read -rt $((31 - $(date +%s) % 30)) <> <(:) || :
gets "bob signs in" 200 - POST /api/v1/auth/login '' "{\"username\":\"bob\",\"password\":\"blue-river-stone-47\",\"totp\":\"$(code "$bob_secret" 30)\"}"
bob=$(field .access_token)
gets "people reset nobody" 403 - POST /api/v1/accounts/alice/reset-factors "$bob"
gets "nor do administrators themselves" 409 not_permitted POST /api/v1/accounts/alice/reset-factors "$admin"
gets "an administrator resets bob" 200 - POST /api/v1/accounts/bob/reset-factors "$admin"
bobs_invitation=$(field .invitation)
gets "his sessions have ended" 401 not_logged_in GET /api/v1/auth/factors "$bob"
check "his passkeys are gone" test "$(sqlite3 "$authority/store/posternd.db" "SELECT count(*) FROM passkey p JOIN account a ON a.id = p.account_id WHERE a.name = 'bob'")" = 0
gets "his password as well" 401 invalid_credentials POST /api/v1/auth/login '' "{\"username\":\"bob\",\"password\":\"blue-river-stone-47\",\"totp\":\"000000\"}"
audited "it is on record" '.action == "factor.reset" and .target == "bob" and .actor == "alice"'
enrol "$bobs_invitation" green-lake-stone-48
report $? "bob comes back by the invitation"

done_testing
