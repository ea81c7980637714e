#!/usr/bin/env bash
# What a person does about how they sign in: recovery codes, another authenticator, another password; and what strangers cannot do to them.
# shellcheck shell=bash disable=SC1091,SC2154,SC2317
. "$(dirname "$0")/lib.sh"
. "$here/authority_world.sh"
make_authority
serve
alice_signs_in
alice_secret=$secret
export LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=1 HOME=$work/home
mkdir -p "$HOME"
unset SSH_CONNECTION SSH_TTY DISPLAY WAYLAND_DISPLAY BROWSER POSTERN_API_KEY XDG_CONFIG_HOME XDG_STATE_HOME
tty() { python3 "$here/tty.py" "$@"; }
db() { sqlite3 "$authority/store/posternd.db" "$1"; }

# A code of a step that was not used yet: they come from the step before, this one and the next.
login() { # DESCRIPTION STATUS CODE NAME PASSWORD ONE-TIME-CODE
    gets "$1" "$2" "$3" POST /api/v1/auth/login '' "{\"username\":\"$4\",\"password\":\"$5\",\"totp\":\"$6\"}"
}

fingerprint=$(openssl x509 -in "$authority/tls/ca.pem" -outform DER | sha256sum | cut -d' ' -f1)
check "a laptop" "$postern" init "$url" --fingerprint "$fingerprint"
refused "who is not signed in has no factors" 3 'postern login' "$postern" account factor list
password=correct-horse-battery
check "alice signs in" tty --send 'Password: ' $password --send 'Code from your authenticator: ' "$(code "$alice_secret")" -- \
    "$postern" login --password --user alice

# ---- recovery codes ---------------------------------------------------------------------------

check "what there is" "$postern" account factor list
says "a password" 'password +password .*good'
says "an authenticator" 'authenticator .*good'
says "no recovery codes, and how to have some" 'postern account factor recovery-codes'
check "recovery codes" "$postern" account factor recovery-codes --json
jq -r '.recoveryCodes[]' "$work/last" >"$work/codes"
most=$(limit RECOVERY_CODES_COUNT)
check "$most, which differ" test "$(sort -u "$work/codes" | wc -l)" = "$most"
check "of 100 bits" test "$(grep -cE '^([0-9A-HJKMNP-TV-Z]{5}-){3}[0-9A-HJKMNP-TV-Z]{5}$' "$work/codes")" = "$most"
readarray -t codes <"$work/codes"
check "nobody keeps them" bash -c "! grep -qaF '${codes[0]}' '$authority/store/posternd.db' '$authority/store/posternd.db-wal'"
login "one is no password" 401 invalid_credentials alice wrong-wrong-wrong "${codes[0]}"
login "one signs in" 200 - alice $password "${codes[0]}"
has "which says how many are left" '.recoveryCodesLeft == 9'
login "once" 401 invalid_credentials alice $password "${codes[0]}"
check "typed as people do" tty --send 'Password: ' $password --send 'Code from your authenticator: ' "$(tr 'A-Z-' 'a-z ' <<<"${codes[1]}")" -- \
    "$postern" login --password --user alice
says "the command line warns" 'recovery codes left: 8'
check "a new set" "$postern" account factor recovery-codes
login "ends the older one" 401 invalid_credentials alice $password "${codes[2]}"
check "and are never more than that" test "$(db 'SELECT count(*) FROM recovery_code')" = "$most"
audited "it is on record" '.action == "factor.recovery-codes" and .actor == "alice"'

# ---- a passkey's name ---------------------------------------------------------------------------

refused "what there is not has no other name" any 'you have no passkey laptop' "$postern" account factor rename laptop blue
db "INSERT INTO passkey SELECT NULL, id, 'credential', 'key', 'laptop', 0, 0, 1700000000, 0, 0 FROM account WHERE name = 'alice'"
refused "nor is none a name" any 'give the passkey a name' "$postern" account factor rename laptop ''
refused "it wants both" 2 'NEW' "$postern" account factor rename laptop
check "a passkey gets another name" "$postern" account factor rename laptop 'blue laptop'
says "which is told" 'laptop is called blue laptop now'
check "and listed" "$postern" account factor list
says "by that" 'blue laptop +passkey or security key'
check "by its id as well" "$postern" account factor rename "$(db 'SELECT id FROM passkey')" laptop --json
has "with what it is now" '.name == "laptop"'
check "it is removed" "$postern" account factor remove laptop

# ---- another authenticator --------------------------------------------------------------------

gets "a new secret" 200 - POST /api/v1/auth/totp "$admin"
new_secret=$(field .totpSecret)
gets "is confirmed by a code of it alone" 401 invalid_credentials POST /api/v1/auth/totp/confirm "$admin" '{"totp":"000000"}'
gets "and counts then" 200 - POST /api/v1/auth/totp/confirm "$admin" "{\"totp\":\"$(code "$new_secret" -30)\"}"
gets "once" 401 invalid_credentials POST /api/v1/auth/totp/confirm "$admin" "{\"totp\":\"$(code "$new_secret")\"}"
login "the one before does not any more" 401 invalid_credentials alice $password "$(code "$alice_secret" 30)"
one=$(code "$new_secret")
twice() { # the same code by two at once: one of them gets in
    local pid1 pid2 body="{\"username\":\"alice\",\"password\":\"$password\",\"totp\":\"$one\"}"
    curl -s --cacert "$authority/tls/ca.pem" -o /dev/null -w '%{http_code}\n' -H 'Content-Type: application/json' -d "$body" "$url/api/v1/auth/login" >"$work/first" &
    pid1=$!
    curl -s --cacert "$authority/tls/ca.pem" -o /dev/null -w '%{http_code}\n' -H 'Content-Type: application/json' -d "$body" "$url/api/v1/auth/login" >"$work/second" &
    pid2=$!
    wait $pid1 $pid2
    cat "$work/first" "$work/second"
    [ "$(sort "$work/first" "$work/second" | tr '\n' ' ')" = "200 401 " ]
}
check "a code lets in once, also when it comes twice at once" twice

# ---- another password -------------------------------------------------------------------------

gets "a weak one is refused" 422 password_refused PUT /api/v1/auth/password "$admin" "{\"currentPassword\":\"$password\",\"newPassword\":\"alicealicealice\"}"
has "and told why" '.field == "newPassword"'
gets "the present one must be right" 401 invalid_credentials PUT /api/v1/auth/password "$admin" '{"currentPassword":"wrong-wrong-wrong","newPassword":"quiet-moon-ladder-9"}'
gets "a project" 201 - POST /api/v1/projects "$admin" '{"name":"p1"}'
gets "… with alice" 200 - PUT /api/v1/projects/p1/members/alice "$admin" '{"role":"member"}'
gets "a certificate" 200 - POST /api/v1/ssh-keys/sign "$admin" "{\"publicKey\":\"$(key laptop)\"}"
check "then it is changed" tty --send 'Present password: ' $password --send 'New password: ' quiet-moon-ladder-9 \
    --send 'The same again: ' quiet-moon-ladder-9 -- "$postern" account password
says "… and what lets in besides is told" '1 certificate: postern revoke-all'
gets "and every session has ended" 401 not_logged_in GET /api/v1/auth/whoami "$admin"
login "the one before is good no more" 401 invalid_credentials alice $password "$(code "$new_secret" 30)"
password=quiet-moon-ladder-9
check "the new one is" tty --send 'Password: ' $password --send 'Code from your authenticator: ' "$(code "$new_secret" 30)" -- \
    "$postern" login --password --user alice
admin=$(jq -r .accessToken "$HOME/.local/state/posterngate/test/token")
gets "an account for bob" 201 - POST /api/v1/accounts "$admin" '{"name":"bob"}'
enrol "$(field .invitation)" blue-river-stone-47
gets "… in the project too" 200 - PUT /api/v1/projects/p1/members/bob "$admin" '{"role":"member"}'
gets "who has a certificate" 200 - POST /api/v1/ssh-keys/sign "$token" "{\"publicKey\":\"$(key bobs)\"}"
check "an administrator takes his factors away" "$postern" admin account reset-factors bob
says "… is told what ended" 'Every sign-in of bob has ended.$'
says "… what did not, and how it does" '1 certificate: postern revoke-all --user bob'
says "… all of it" 'postern admin account disable bob'
says "… and what to give him" 'postern login --invitation pgi_'

# ---- an old sign-in ---------------------------------------------------------------------------

db "UPDATE session SET authenticated_at = authenticated_at - 1000" >"$work/last" 2>&1
stop_authority() { kill "$authority_pid" && wait "$authority_pid" 2>/dev/null; :; }
stop_authority
sed -i 's/^session_lifetime:.*//' "$authority/posternd.yaml"
printf 'passwords:\n  memory_mib: 32\n  passes: 3\n' >>"$authority/posternd.yaml"
serve
for path in recovery-codes totp webauthn/registration; do
    gets "an old sign-in changes nothing: $path" 403 sign_in_needed POST "/api/v1/auth/$path" "$admin"
done
gets "nor the password" 403 sign_in_needed PUT /api/v1/auth/password "$admin" "{\"currentPassword\":\"$password\",\"newPassword\":\"other-moon-ladder-9\"}"

# ---- what a password costs ----------------------------------------------------------------------

next_code() { # of a step after the last that was used
    local last now
    last=$(db "SELECT totp_last_step FROM login WHERE account_id = (SELECT id FROM account WHERE name = 'alice')")
    now=$(($(date +%s) / 30))
    while [ $((now + 1)) -le "$last" ]; do
        read -rt 0.5 <> <(:) || :
        now=$(($(date +%s) / 30))
    done
    oathtool --totp -b --now "@$(((last + 1 > now ? last + 1 : now) * 30))" "$new_secret"
}
check "it was hashed at the usual cost" test "$(db "SELECT count(*) FROM login WHERE password_hash LIKE '%m=19456,t=2,%'")" = 1
login "signing in" 200 - alice $password "$(next_code)"
admin=$(field .access_token)
check "hashes it anew at the cost of now" test "$(db "SELECT count(*) FROM login WHERE password_hash LIKE '%m=32768,t=3,%'")" = 1
stop_authority
sed -i 's/memory_mib: 32/memory_mib: 18/' "$authority/posternd.yaml"
refused "too little memory is refused" 2 'memory_mib' "$posternd" check -c "$authority/posternd.yaml"
sed -i 's/memory_mib: 18/memory_mib: 19/' "$authority/posternd.yaml"
serve

# ---- guessing -----------------------------------------------------------------------------------

login "alice signs in, from where she is known then" 200 - alice $password "$(next_code)"
admin=$(field .access_token)
from=(--interface 127.0.0.2)
for i in 1 2 3 4 5; do login "a stranger guesses" 401 invalid_credentials alice "wrong-wrong-$i" 123456; done
login "and is locked out" 429 locked alice $password 123456
for i in 1 2 3 4 5 6; do login "goes on" 429 - alice $password 123456; done
login "until the name is throttled" 429 too_many_requests alice $password 123456
from=(--interface 127.0.0.3)
login "from elsewhere as well" 429 too_many_requests alice $password 123456
from=()
login "alice is not: she signs in from where she is known" 200 - alice $password "$(next_code)"

done_testing
