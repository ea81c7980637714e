#!/usr/bin/env bash
# Goal: what is stored in a desktop's or the kernel's keyring signs in by itself, and is seen by nobody else.
# Functions are called through check and refused.
# shellcheck disable=SC2317
# A user of our own, in an /etc/passwd of our own: what is in a keyring of the kernel is the user's, and outlives a scenario.
if [ -z "${POSTERN_OWN_PASSWD:-}" ] && unshare --mount --propagation private true 2>/dev/null; then
    POSTERN_OWN_PASSWD=1 exec unshare --mount --propagation private bash "$0" "$@"
fi
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
if [ -z "${POSTERN_OWN_PASSWD:-}" ]; then
    skip "$(sed -n '2s/^# //p' "$0")" "needs root and mounts: it makes a user"
    done_testing
fi
administrator=operator
# shellcheck source=tests/e2e/authority_world.sh
. "$here/authority_world.sh"

uid=$((420000 + $$ % 100000))
mkdir "$work/bin" "$work/home" "$work/run"
cp /etc/passwd "$work/passwd"
echo "alice:x:$uid:$uid::$work/home:/bin/bash" >>"$work/passwd"
mount --bind "$work/passwd" /etc/passwd
chown $uid:$uid "$work/home" "$work/run"
install -m 755 "$postern" "$work/bin/postern"
ln -s postern "$work/bin/postern-refresh"
install -m 755 "$here/tty.py" "$work/bin/"
export HOME=$work/home PATH=$work/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=1
unset XDG_CONFIG_HOME XDG_STATE_HOME XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS POSTERN_API_KEY SSH_AUTH_SOCK
cat >"$work/bin/me" <<END
#!/bin/sh
exec setpriv --reuid $uid --regid $uid --clear-groups "\$@"
END
chmod 755 "$work/bin/me"
state=$HOME/.local/state/posterngate/test key=$HOME/.ssh/id_ed25519
password='blue river stone 47'
store() { # SECRET KIND [OPTION…]
    local secret=$1
    shift
    printf '%s\n' "$secret" | me postern credentials store "$@" --stdin
}
again() { me rm -f "$key-cert.pub" "$state/token"; } # neither certificate nor session
rows() { # ACTION JQ-CONDITION: how many rows the audit log has
    api GET "/api/v1/audit?limit=1000&action=$1" "$admin"
    field "[.audit[] | select($2)] | length"
}
logins() { rows session.login '.actor == "alice"'; }
signed_in_by() { # TEXT [VARIABLE=VALUE]
    env "${@:2}" me postern-refresh --json >"$work/last" 2>&1 && [ "$(field '.status + " " + .signedInBy')" = "renewed $1" ]
}
by_password="password and TOTP secret of the keyring"

# ---- refused -------------------------------------------------------------------------------------
refused "no site: exit 2" 2 'postern init' store x password
start_authority
enrol "$invitation" correct-horse-battery
report $? "operator signs in"
admin=$token
gets "a project" 201 - POST /api/v1/projects "$admin" '{"name":"p1"}'
invite alice "$password"
totp=$secret
gets "… in the project" 200 - PUT /api/v1/projects/p1/members/alice "$admin" '{"role":"member"}'
gets "a service" 201 - POST /api/v1/service-accounts "$admin" '{"name":"robot","project":"p1"}'
gets "… with an API key" 201 - POST /api/v1/service-accounts/robot/api-keys "$admin" '{"name":"ci"}'
api_key=$(grep -o 'pgk_[A-Za-z0-9_-]*' "$work/last")
gets "… and another" 201 - POST /api/v1/service-accounts/robot/api-keys "$admin" '{"name":"more"}'
more_key=$(grep -o 'pgk_[A-Za-z0-9_-]*' "$work/last")
chmod 755 "$authority" "$authority/tls" 2>/dev/null
fingerprint=$(openssl x509 -in "$authority/tls/ca.pem" -outform DER | sha256sum | cut -d' ' -f1)
check "postern init" me postern init "$url" --fingerprint "$fingerprint"
me mkdir -m 700 "$HOME/.ssh"
check "a key" me ssh-keygen -q -t ed25519 -N '' -C '' -f "$key"
refused "a kind there is not: exit 2" 2 'password, totp and api-key' store x pin
refused "whose it is is not known: exit 2" 2 '\-\-user NAME' store x password
refused "a name that is none: exit 2" 2 'Alice' store x password --user Alice
refused "an API key is nobody else's: exit 2" 2 'leave --user out' store "$api_key" api-key --user alice
refused "what is no API key: exit 2" 2 'begin with pgk_' store "$password" api-key
refused "what is no TOTP secret: exit 2" 2 'other characters' store 'JBSW1' totp --user alice
refused "one that is too short: exit 2" 2 'too short' store 'JBSW' totp --user alice
refused "one for other codes: exit 2" 2 'six digits' store "otpauth://totp/x?secret=$totp&digits=8" totp --user alice
refused "nothing: exit 2" 2 'nothing was answered' store '' password --user alice
refused "two lines: exit 2" 2 'one line' store $'one\ntwo' password --user alice
# LIMIT_KEYRING_SECRET_BYTES
refused "a longer secret than any: exit 2" 2 'at most 1024' store "$(letters 1025)" password --user alice
refused "one of 1024, no password: exit 2" 2 'more than 512' store "$(letters 1024)" password --user alice
refused "a keyring there is not: exit 2" 2 'desktop or kernel' store x password --user alice --keyring file
refused "no desktop: exit 8" 8 'no desktop keyring' store x password --user alice --keyring desktop
refused "neither terminal nor --stdin: exit 2" 2 'reads standard input' me setsid -w postern credentials store password --user alice
refused "nothing to remove: exit 8" 8 'no password is stored' me postern credentials remove password --user alice
check "nothing is listed" me postern credentials list
refused "nothing to sign in with: exit 3" 3 'nothing is stored' me postern-refresh

# On another kernel than this one, which has to have what is left out.
other() { me "$BUILD/tests/e2e/other_kernel" "$@"; } # none|volatile COMMAND…
if [ -x "$BUILD/tests/e2e/other_kernel" ]; then
    refused "a kernel without keyrings: exit 8" 8 'as in most containers' \
        other none bash -c 'echo x | postern credentials store password --user alice --stdin'
    check "nothing is in what is not there" other none postern credentials list --json
    has "as list says" '.credentials == []'
    refused "and refresh says what there is: exit 3" 3 'nothing is stored' other none postern-refresh
    if other volatile bash -c 'echo pgk_x | postern credentials store api-key --stdin' >"$work/last" 2>&1; then
        check "a kernel without persistent keyrings has the user's" other volatile postern credentials list --json
        has "which another process finds" '.credentials | length == 1'
        check "remove" other volatile postern credentials remove api-key
    else
        skip "a kernel without persistent keyrings" "$(tail -n 1 "$work/last")"
    fi
else
    skip "another kernel" "this is a build without tests"
fi

# ---- the kernel's keyring ---------------------------------------------------------------------------
kernel=yes
if ! store x password --user alice --keyring kernel >"$work/last" 2>&1; then
    kernel=
    skip "the kernel's keyring" "$(tail -n 1 "$work/last")"
fi
cat >"$work/session.py" <<'PY'
"""Runs a command with a new session keyring, as a daemon has that nobody's login started."""
import ctypes, os, platform, sys
number = {"x86_64": 250, "aarch64": 219}[platform.machine()]
if ctypes.CDLL(None).syscall(number, 1, None) < 0:
    sys.exit("no new session keyring")
os.execvp(sys.argv[1], sys.argv[1:])
PY
if [ -n "$kernel" ]; then
    check "a password typed at the terminal" me tty.py --send 'Password: ' 'echo?' --send 'ECHO|' "$password" -- postern credentials store password --user alice
    says "was not echoed" 'ECHO OFF'
    says "and how long it lasts is told" 'kernel keyring' && says "…" 'ends when this machine starts anew'
    check "a TOTP secret as it is shown to people" store "$(sed 's/..../& /g' <<<"${totp,,}")" totp
    says "with a word of warning" 'both of your factors'
    check "list" me postern credentials list
    says "has the password" '^test +password +alice +kernel +-$'
    says "and the secret" '^test +totp +alice +kernel +-$'
    check "list --json" me postern credentials list --json
    has "as well" '.credentials | length == 2 and all(.account == "alice" and .keyring == "kernel" and .refused == false)'
    check "no other user" setpriv --reuid $((uid + 1)) --regid $((uid + 1)) --clear-groups postern credentials list --json
    has "sees any of it" '.credentials == []'
    check "refresh signs in by it" signed_in_by "$by_password"
    check "as alice" bash -c "ssh-keygen -Lf '$key-cert.pub' | grep -qE '^ +alice( |$)'"
    before=$(logins)
    me rm "$key-cert.pub"
    check "its session does for the next" signed_in_by "the session of postern login"
    check "without another login" test "$(logins)" = "$before"
    again
    check "from another session, and once more with the code of the next step" me python3 "$work/session.py" postern-refresh
    check "without one refusal" test "$(rows session.login '.allowed == false')" = 0

    again
    step_is_new() { [ $(($(date +%s) / 30)) -gt "$(jq .steps.alice "$state/credentials.json")" ] && [ $(($(date +%s) % 30)) -lt 20 ]; }
    check "a new step" wait_for 45 step_is_new
    gets "she signs in elsewhere" 200 - POST /api/v1/auth/login '' \
        "{\"username\":\"alice\",\"password\":\"$password\",\"totp\":\"$(oathtool --totp -b "$totp")\"}"
    check "a code that was used there is refused once, and the next is taken" me postern-refresh
    check "once" test "$(rows session.login '.allowed == false')" = 1

    check "a wrong password" store 'no longer true' password
    again
    wrong=$(rows session.login '.allowed == false')
    refused "is refused: exit 3" 3 'credentials store password' me postern-refresh
    check "after two attempts at most" test "$(($(rows session.login '.allowed == false') - wrong))" -le 2
    wrong=$(rows session.login '.allowed == false')
    refused "and is not offered again: exit 3" 3 'not offered again until it changes' me postern-refresh
    refused "by any of ten: exit 3" 3 'not offered again' me bash -c 'for i in {1..9}; do postern-refresh 2>/dev/null; done; postern-refresh'
    check "the authority did not hear of it" test "$(rows session.login '.allowed == false')" = "$wrong"
    check "list says so" me postern credentials list
    says "of the password" 'password +alice +kernel +refused by the authority'
    check "the right one again" store "$password" password
    check "is offered" signed_in_by "$by_password"
    check "longest names and most entries" bash -c "for i in {1..63}; do printf x | me postern credentials store password --user longest-name-of-an-account-$(letters 2)\$((i + 100)) --keyring kernel --stdin >/dev/null || exit 1; done"
    # LIMIT_KEYRING_ENTRIES_COUNT
    check "list shows 64 of 65" test "$(me postern credentials list --json | jq '.credentials | length')" = 64
    for i in {101..163}; do me postern credentials remove password --user "longest-name-of-an-account-xx$i" >/dev/null; done
    check "and two are left" test "$(me postern credentials list --json | jq '.credentials | length')" = 2
    check "remove" me postern credentials remove password --user alice
    check "and the other" me postern credentials remove totp --user alice
    check "nothing is left" test "$(me postern credentials list --json | jq '.credentials | length')" = 0
fi

# ---- API keys ---------------------------------------------------------------------------------------------
again
if [ -n "$kernel" ]; then
    check "an API key" store "$api_key" api-key
    check "signs in before a password would" signed_in_by "the API key of the keyring"
    me rm "$key-cert.pub"
    check "POSTERN_API_KEY comes before it" signed_in_by POSTERN_API_KEY "POSTERN_API_KEY=$more_key"
    api GET /api/v1/service-accounts/robot/api-keys "$admin"
    id=$(field '.apiKeys[] | select(.name == "ci") | .id')
    gets "it is revoked" 200 - DELETE "/api/v1/service-accounts/robot/api-keys/$id" "$admin"
    me rm "$key-cert.pub"
    refused "then it is refused: exit 3" 3 '' me postern-refresh
    exchanged=$(rows session.exchange '.allowed == false')
    refused "and not offered again: exit 3" 3 'stored API key; it is not offered again' me postern-refresh
    check "the authority did not hear of it" test "$(rows session.exchange '.allowed == false')" = "$exchanged"
    check "remove" me postern credentials remove api-key
fi

# ---- a desktop's keyring -------------------------------------------------------------------------------------
if ! command -v secret-tool gnome-keyring-daemon dbus-daemon >/dev/null; then
    skip "the desktop's keyring" "secret-tool, gnome-keyring-daemon or dbus-daemon is not installed"
    done_testing
fi
# What its own arguments and environment are, and those of who started it; and how slow it is.
cat >"$work/bin/secret-tool" <<END
#!/bin/bash
cat "/proc/\$\$/cmdline" "/proc/\$\$/environ" "/proc/\$PPID/cmdline" | tr '\\0' '\\n' >>"$work/run/seen"
echo "\$1" >>"$work/run/calls"
[ ! -e "$work/run/delay" ] || sleep "\$(cat "$work/run/delay")"
exec /usr/bin/secret-tool "\$@"
END
chmod 755 "$work/bin/secret-tool"
export DBUS_SESSION_BUS_ADDRESS=unix:path=$work/run/bus XDG_RUNTIME_DIR=$work/run
start bus me dbus-daemon --session --nofork --nopidfile --address="$DBUS_SESSION_BUS_ADDRESS"
check "a bus" wait_for 10 test -S "$work/run/bus"
echo 'the login password' | me gnome-keyring-daemon --foreground --unlock --components=secrets >"$work/keyring.log" 2>&1 &
started+=($!)
check "a keyring on it" wait_for 10 me dbus-send --session --print-reply --dest=org.freedesktop.DBus / \
    org.freedesktop.DBus.GetNameOwner string:org.freedesktop.secrets
check "a password" store "$password" password --user alice
says "is stored there" 'in the desktop keyring'
check "and a TOTP secret, from the QR code's address" store "otpauth://totp/test:alice?secret=$totp&issuer=test" totp
check "secret-tool finds it" test "$(me secret-tool lookup application posterngate site test kind password account alice)" = "$password"
check "list" me postern credentials list
says "shows it" '^test +password +alice +desktop +-$'
again
check "refresh signs in by it" signed_in_by "$by_password"
again
: >"$work/run/seen"
check "with an API key in the environment, that one is taken" signed_in_by POSTERN_API_KEY "POSTERN_API_KEY=$more_key"
check "and no keyring is asked" test ! -s "$work/run/seen"
env POSTERN_API_KEY="$more_key" me postern credentials list >"$work/last" 2>&1
store "$password" password >"$work/last" 2>&1
check "secret-tool was run" grep -q '^search$' "$work/run/calls"
check "secret-tool's arguments name the item" grep -qx 'kind' "$work/run/seen"
unseen() { ! grep -qF -e "$password" -e "$totp" -e pgk_ "$work/run/seen"; }
check "no secret stood in an argument or in the environment of a program" unseen
unwritten() { ! grep -rqF -e "$password" -e "$totp" "$HOME"; }
check "nor in a file" unwritten

echo 2 >"$work/run/delay"
again
check "a slow keyring" signed_in_by "$by_password"
echo 300 >"$work/run/delay"
again
begun=$SECONDS
refused "one that never answers is given up: exit 3" 3 'nothing is stored' me postern-refresh
most=$(limit KEYRING_S)
took=$((SECONDS - begun))
check "in $most seconds for each of two questions ($took)" test "$took" -ge "$most" -a "$took" -lt $((3 * most))
rm "$work/run/delay"
if [ -n "$kernel" ]; then
    check "stored in the kernel's keyring" store "$password" password --keyring kernel
    check "it is in no other" test "$(me postern credentials list --json | jq -r '[.credentials[] | select(.kind == "password") | .keyring] | join(" ")')" = kernel
    check "and back, without saying where" store "$password" password
    check "it is there alone" test "$(me postern credentials list --json | jq -r '[.credentials[] | select(.kind == "password") | .keyring] | join(" ")')" = desktop
fi
lock_keyring() {
    me dbus-send --session --print-reply --dest=org.freedesktop.secrets /org/freedesktop/secrets \
        org.freedesktop.Secret.Service.Lock array:objpath:/org/freedesktop/secrets/collection/login
}
check "the keyring is locked" lock_keyring
again
begun=$SECONDS
refused "a locked one is not opened, and nobody is asked to: exit 3" 3 'nothing is stored' me timeout 20 postern-refresh
check "at once" test $((SECONDS - begun)) -lt 5
check "it can still be listed" me postern credentials list
says "without the secrets" '^test +totp +alice +desktop +-$'

done_testing
