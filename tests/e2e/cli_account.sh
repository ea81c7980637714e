#!/usr/bin/env bash
# How people change how they sign in, typed at a terminal: another authenticator, passkeys, another password; and what is left when they stop half-way.
# shellcheck shell=bash disable=SC1091,SC2154,SC2317
. "$(dirname "$0")/lib.sh"
authority_host=localhost authority_address=127.0.0.1 # browsers take passkeys of names alone
. "$here/authority_world.sh"
start_authority
alice_signs_in
invite bob blue-river-stone-47
echo "$secret" >"$work/totp"
export LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=1 HOME=$work/home
mkdir -p "$HOME"
unset SSH_CONNECTION SSH_TTY DISPLAY WAYLAND_DISPLAY BROWSER POSTERN_API_KEY XDG_CONFIG_HOME XDG_STATE_HOME
tty() { python3 "$here/tty.py" "$@"; }
db() { sqlite3 "$authority/store/posternd.db" "$1"; }
bob_token() { jq -r .accessToken "$HOME/.local/state/posterngate/test/token"; }

fingerprint=$(openssl x509 -in "$authority/tls/ca.pem" -outform DER | sha256sum | cut -d' ' -f1)
check "a laptop" "$postern" init "$url" --fingerprint "$fingerprint"
password=blue-river-stone-47
# A code is good once: the steps that were used are forgotten.
signs_in() { # PASSWORD TOTP-FILE
    db "UPDATE login SET totp_last_step = 0" &&
        tty --send 'Password: ' "$1" --send 'Code from your authenticator: ' "totp:$2:0" -- "$postern" login --password --user bob
}
wrong() { # PASSWORD TOTP-FILE
    tty --send 'Password: ' "$1" --send 'Code from your authenticator: ' "totp:$2:0" -- "$postern" login --password --user bob
}
for words in 'factor list' 'factor add-totp' 'factor remove desk' 'factor recovery-codes' password; do
    # shellcheck disable=SC2086
    refused "who is not signed in is told so: $words" 3 'postern login' tty -- "$postern" account $words
done
check "bob signs in" signs_in $password "$work/totp"

# ---- another authenticator --------------------------------------------------------------------

add_totp=("$postern" account factor add-totp)
refused "without a terminal: exit 2" 2 'there is no terminal' setsid -w "${add_totp[@]}"
refused "Ctrl-C before the code is typed" 130 'secret into it: [A-Z2-7]{32}' tty --signal 'Code from' SIGINT -- "${add_totp[@]}"
check "leaves the authenticator that was there" signs_in $password "$work/totp"
refused "three wrong codes: exit 3" 3 'the one-time code is wrong.*clock' tty --send 'Code' 12345x --send 'no code: it has six digits' 000000 \
    --send 'is wrong(?s:.*)Code' 000000 --send 'is wrong(?s:.*)Code' 000000 -- "${add_totp[@]}"
check "leave it as well" signs_in $password "$work/totp"
refused "a code of the old one confirms no new one" 3 'is wrong' tty --send 'Code' "totp:$work/totp:0" --send 'is wrong(?s:.*)Code' 000000 \
    --send 'is wrong(?s:.*)Code' 000000 -- "${add_totp[@]}"
check "the secret is shown as a picture and as text; a second try is heard" tty \
    --send '(?s)█ ▄▄▄▄▄ █.*secret into it: ([A-Z2-7]{32})' "save:$work/new" --send 'Code' 000000 --send 'is wrong(?s:.*)Code' "totp:$work/new:0" \
    -- "${add_totp[@]}"
says "and what it means is said" 'Codes of this authenticator count from now on; those of the one before do not'
refused "the one before does not any more" 3 '' wrong $password "$work/totp"
check "the new one does" signs_in $password "$work/new"
check "as JSON" tty --pipe-out "$work/json" --send 'secret into it: ([A-Z2-7]{32})' "save:$work/newer" --send 'Code' "totp:$work/newer:0" -- "${add_totp[@]}" --json
check "nothing but the answer is on standard output" jq -e '. == {"totp":true}' "$work/json"
check "and that one signs in" signs_in $password "$work/newer"
audited "a new authenticator is on record" '.action == "factor.totp-confirm" and .actor == "bob" and .allowed'

# ---- passkeys ---------------------------------------------------------------------------------

cat >"$work/browser" <<END
#!/bin/sh
echo "\$1" >>"$work/opened"
END
chmod +x "$work/browser"
check "add-passkey opens the browser" env BROWSER="$work/browser" "$postern" account factor add-passkey
says "and says where" "$url/passkeys"
check "there" wait_for 10 grep -qxF "$url/passkeys" "$work/opened"
check "as JSON" env BROWSER=/bin/true "$postern" account factor add-passkey --json
check "it says the same" jq -e --arg url "$url/passkeys" '. == {url: $url}' "$work/last"
visits() { curl -sS --cacert "$authority/tls/ca.pem" -o /dev/null -w '%{http_code}' "$url/passkeys"; }
check "which is a page" test "$(visits)" = 303 -o "$(visits)" = 200

# What a browser would send; the authenticator is a program.
adds() { # NAME: sets $status
    api POST /api/v1/auth/webauthn/registration "$(bob_token)"
    python3 "$here/soft_passkey.py" "$1" "$url" <"$work/last" >"$work/made"
    api POST /api/v1/auth/webauthn/passkeys "$(bob_token)" "$(cat "$work/made")"
}
most=$(limit PASSKEYS_PER_ACCOUNT_COUNT)
for name in desk phone phone; do adds "$name"; done
for ((i = 4; i <= most; i++)); do adds "key$i"; done
check "an account may have $most passkeys" test "$status" = 201
adds one-too-many
check "and no more" test "$status $(field .code)" = "409 too_many_passkeys"
check "they are listed" "$postern" account factor list
says "with what they are" 'desk +passkey or security key .*good'
remove=("$postern" account factor remove)
refused "one that is not there: exit 8" 8 'postern account factor list' "${remove[@]}" nothing
refused "two of one name: exit 2" 2 'say which by its id' "${remove[@]}" phone
for name in password authenticator 'recovery codes'; do
    refused "what must stay is only replaced: $name" 2 "$name cannot be removed, only replaced" "${remove[@]}" "$name"
    says "and how is said" 'postern account (password|factor (add-totp|recovery-codes))'
done
"$postern" --json account factor list >"$work/last"
phone=$(field '[.passkeys[] | select(.name == "phone")][0].id')
check "by its id" "${remove[@]}" "$phone"
check "then the name is one" "${remove[@]}" phone
says "and what it means is said" 'phone lets in nobody any more'
adds another
check "there is room again" test "$status" = 201
check "as JSON" "${remove[@]}" desk --json
check "what was removed" jq -e '.removed' "$work/last"
"$postern" --json account factor list >"$work/last"
jq -r '.passkeys[].id' "$work/last" >"$work/ids"
while read -r id; do "${remove[@]}" "$id" >"$work/last" 2>&1 </dev/null; done <"$work/ids"
check "the last one may go, too" "$postern" account factor list --json
has "password and codes stay" '.passkeys == [] and .password and .totp'
check "and sign in" signs_in $password "$work/newer"
audited "it is on record" '.action == "factor.passkey-remove" and .actor == "bob" and .allowed'

# ---- another password -------------------------------------------------------------------------

change=("$postern" account password)
new=quiet-moon-ladder-9
refused "without a terminal: exit 2" 2 'there is no terminal' setsid -w "${change[@]}"
refused "Ctrl-C at the present one" 130 '' tty --signal 'Present' SIGINT -- "${change[@]}"
refused "at the new one" 130 '' tty --send 'Present' $password --signal 'New' SIGINT -- "${change[@]}"
refused "when it is typed again" 130 '' tty --send 'Present' $password --send 'New' $new --signal 'again' SIGINT -- "${change[@]}"
check "leaves the password that was there" signs_in $password "$work/newer"
refused "a wrong one: exit 3" 3 'the current password is wrong' tty --send 'Present' wrong-wrong-wrong --send 'New' $new --send 'again' $new -- "${change[@]}"
refused "a weak one" any 'first that anybody tries' tty --send 'Present' $password --send 'New' password1234 --send 'again' password1234 -- "${change[@]}"
check "bob is signed in yet" "$postern" whoami
check "too short, twice another, then the same: nothing is shown" tty --send 'Present password: ' 'echo?' --send 'ECHO|' $password \
    --send 'New password: ' short --send '12 to 512 characters(?s:.*)New' $new --send 'again' other-moon-ladder-9 --send 'differ(?s:.*)New' 'echo?' \
    --send 'ECHO|' $new --send 'again' $new -- "${change[@]}"
says "and what it means is said" 'every sign-in has ended, this one included; next: postern login'
if grep -qE "$password|$new" "$work/last" || ! grep -q 'ECHO OFF' "$work/last" || grep -q 'ECHO ON' "$work/last"; then
    report 1 "no password is shown"
else
    report 0 "no password is shown"
fi
refused "the sign-in has ended" 3 'postern login' "$postern" whoami
refused "the password before is good no more" 3 '' wrong $password "$work/newer"
check "the new one is" signs_in $new "$work/newer"
check "as JSON" tty --pipe-out "$work/json" --send 'Present' $new --send 'New' $password --send 'again' $password -- "${change[@]}" --json
check "nothing but the answer is on standard output" jq -e '.changed and (.left | type == "object")' "$work/json"
check "bob signs in" signs_in $password "$work/newer"

# ---- a sign-in that is too old ----------------------------------------------------------------

adds desk
ages() { # SECONDS: as if so many had gone by
    kill "$authority_pid" && wait "$authority_pid" 2>/dev/null
    db "UPDATE session SET authenticated_at = authenticated_at - $1"
    serve
}
ages $(($(limit SIGN_IN_S) - 60))
check "almost a quarter of an hour later, codes are made yet" "$postern" account factor recovery-codes
ages 61
for words in 'factor add-totp' 'factor remove desk' 'factor recovery-codes'; do
    # shellcheck disable=SC2086
    refused "the sign-in is too old, and how to go on is said: $words" any 'sign in again: postern login' tty -- "$postern" account $words
done
refused "so it is for the password" any 'sign in again: postern login' tty --send 'Present' $password --send 'New' $new --send 'again' $new -- "${change[@]}"
check "nothing was changed" signs_in $password "$work/newer"
check "the passkey is there" "${remove[@]}" desk

done_testing
