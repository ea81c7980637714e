#!/usr/bin/env bash
# postern login by a browser that leads back to a port of this machine, and by a code for one elsewhere; the token renews itself.
# shellcheck shell=bash disable=SC1091,SC2154,SC2317
. "$(dirname "$0")/lib.sh"
. "$here/authority_world.sh"
. "$here/oidc_world.sh"

start_authority
alice_signs_in
alice_secret=$secret

export LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=1 HOME=$work/home BROWSER_ROOM=$work/browser BROWSER=$here/scripted_browser
mkdir -p "$HOME" "$BROWSER_ROOM"
cp "$authority/tls/ca.pem" "$BROWSER_ROOM/ca.pem"
echo alice >"$BROWSER_ROOM/username"
echo correct-horse-battery >"$BROWSER_ROOM/password"
unset SSH_CONNECTION SSH_TTY DISPLAY WAYLAND_DISPLAY POSTERN_API_KEY XDG_CONFIG_HOME XDG_STATE_HOME
tty() { python3 "$here/tty.py" "$@"; }
state=$HOME/.local/state/posterngate/test

fingerprint=$(openssl x509 -in "$authority/tls/ca.pem" -outform DER | sha256sum | cut -d' ' -f1)
check "a laptop" "$postern" init "$url" --fingerprint "$fingerprint"

# ---- the browser ------------------------------------------------------------------------------

echo cancel >"$BROWSER_ROOM/fate"
refused "cancelled in the browser: exit 3" 3 'cancelled' "$postern" login
check "the page says that it can be closed" grep -q 'You can close this page' "$BROWSER_ROOM/last-page"
check "nothing was kept" test ! -e "$state/token"

echo forge >"$BROWSER_ROOM/fate"
code "$alice_secret" >"$BROWSER_ROOM/code"
check "postern login" "$postern" login
says "signed in, until the sign-in ends" 'Signed in at test as alice until .*\(in (12|11) hours'
check "what nobody asked for did not count" grep -q 'Nothing here waits' "$BROWSER_ROOM/forged"
check "the page says that it can be closed" grep -q 'Signed in.*You can close this page' "$BROWSER_ROOM/last-page"
check "the browser's command line, which all see, has a port and nothing else" grep -qxE 'http://127\.0\.0\.1:[0-9]+/sign-in' "$BROWSER_ROOM/address"
check "from there it is led to the authority" grep -q "^$url/oauth/authorize?response_type=code" "$BROWSER_ROOM/led-to"
check "with PKCE and a port of its own choosing" grep -qE 'redirect_uri=http%3A%2F%2F127.0.0.1%3A[0-9]+%2Fback.*code_challenge_method=S256' "$BROWSER_ROOM/led-to"
check "other users of the machine get no answer there" test "$(grep -c 'Empty reply\|reset by peer' "$BROWSER_ROOM/another-user")" = 3
refused "… none at all" 1 '' grep -E '^[1-5][0-9][0-9]$' "$BROWSER_ROOM/another-user"
check "whoami" "$postern" whoami
says "alice" alice
check "the token is 0600" test "$(stat -c %a "$state/token")" = 600
check "in a folder of 0700" test "$(stat -c %a "$state")" = 700
check "and can be renewed" jq -e '.refreshToken | startswith("pgr_")' "$state/token"

# ---- renewing ---------------------------------------------------------------------------------

age() { jq '.expireTime = "2020-01-01T00:00:00Z"' "$state/token" >"$work/token" && install -m 600 "$work/token" "$state/token"; }
before=$(jq -r .accessToken "$state/token")
age
check "past its time it is renewed without a word" "$postern" whoami
after=$(jq -r .accessToken "$state/token")
check "with another bearer" test "$before" != "$after"
age
many() {
    local pids=() pid result=0
    for _ in 1 2 3 4 5 6; do
        "$postern" whoami --json >/dev/null 2>"$work/err" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || result=1; done
    [ "$result" = 0 ] || cat "$work/err"
    return "$result"
}
check "six at once renew it once" many
check "the sign-in still stands" "$postern" whoami
cp "$state/token" "$work/stolen"
age
check "renewed once more" "$postern" whoami
cp "$work/stolen" "$state/token"
age
refused "who renews with a token that was used is told to sign in" 3 'postern login' "$postern" whoami
check "and everything that came of it has ended" test "$(sqlite3 "$authority/store/posternd.db" "SELECT count(*) FROM session WHERE client = 'posterngate-cli'")" = 0
check "its token is gone" test ! -e "$state/token"

check "signing in again: the browser still knows who it is" "$postern" login
bearer=$(jq -r .accessToken "$state/token")
check "signing out" "$postern" logout
gets "ends the bearer" 401 not_logged_in GET /api/v1/auth/whoami "$bearer"

# ---- the code -----------------------------------------------------------------------------------

again=no # whether posternd is started anew before the person answers, and after
approve() { # the code that the terminal shows, typed into the page elsewhere
    local user_code
    wait_for 20 grep -qE 'enter the code +[A-Z]{4}-[A-Z]{4}' "$work/device.log" || return 1
    [ $again = no ] || serve_anew
    user_code=$(grep -oE 'enter the code +[A-Z]{4}-[A-Z]{4}' "$work/device.log" | grep -oE '[A-Z]{4}-[A-Z]{4}')
    cp "$BROWSER_ROOM/jar" "$jar"
    enters_code "$user_code" || return 1
    submit /device action="$1"
    [ "$status" = 200 ] || return 1
    [ $again = no ] || serve_anew
}
serve_anew() {
    kill "$authority_pid"
    wait "$authority_pid"
    serve
}
device() { # DESCRIPTION ACTION EXIT PATTERN ENVIRONMENT… -- COMMAND…
    local description=$1 action=$2 expected=$3 pattern=$4 pid result=0
    shift 4
    : >"$work/device.log"
    env "$@" >>"$work/device.log" 2>&1 &
    pid=$!
    approve "$action"
    report $? "$description: $action in a browser elsewhere"
    wait $pid || result=$?
    cp "$work/device.log" "$work/last"
    [ $result = "$expected" ] && grep -qE "$pattern" "$work/device.log"
    report $? "$description"
}
device "--headless" approve 0 'Signed in at test as alice' python3 "$here/tty.py" --timeout 60 -- "$postern" login --headless
check "a QR code stood beside it" grep -q '█' "$work/device.log"
check "whoami" "$postern" whoami
again=yes
device "whoever serves the store when somebody answers" approve 0 'Signed in at test as alice' python3 "$here/tty.py" --timeout 60 -- "$postern" login --headless
again=no
device "over SSH it is a code by itself" approve 0 'Signed in at test as alice' SSH_CONNECTION='192.0.2.1 1 192.0.2.2 22' \
    python3 "$here/tty.py" --timeout 60 -- "$postern" login
device "without a display too; refused" deny 3 'refused in the browser' -u BROWSER python3 "$here/tty.py" --timeout 60 -- "$postern" login
refused "neither a browser nor a terminal" 3 'POSTERN_API_KEY' env -u BROWSER setsid -w "$postern" login
refused "an issuer that the site does not have" 2 'takes no sign-ins by' "$postern" login --issuer https://evil.example

# ---- the password -------------------------------------------------------------------------------

echo "$alice_secret" >"$work/totp"
check "--password asks here" tty --send 'User name.*: ' alice --send 'Password: ' correct-horse-battery --send 'Code.*: ' \
    "totp:$work/totp:1" -- "$postern" login --password

# ---- an issuer that would have the machine run something ------------------------------------------

port=$(free_port)
export HOME=$work/other BROWSER=$work/opens
mkdir "$HOME"
printf '#!/bin/sh\necho "$1" >"%s"\n' "$work/opened" >"$BROWSER" && chmod +x "$BROWSER"
check "another laptop" "$postern" init "$url" --fingerprint "$fingerprint"
jq --arg url "https://127.0.0.1:$port" '.url = $url | .document.issuer = $url' "$HOME/.config/posterngate/test/site.json" >"$work/site.json"
cp "$work/site.json" "$HOME/.config/posterngate/test/site.json"
start hostile python3 "$here/hostile_authority.py" "$port" "$authority/tls/server.pem" "$authority/tls/server.key" "$work/answer"
wait_for 20 grep -q ready "$work/hostile.log"
for address in file:///tmp/evil.desktop -v vscode://x http://issuer.example/authorize 'https://issuer.example/$(id)`id`'; do
    jq -n --arg url "https://127.0.0.1:$port" --arg to "$address" '{issuer: $url, authorization_endpoint: $to, token_endpoint: $to}' >"$work/answer"
    refused "no browser is sent to $address" 7 'is no https:// address' "$postern" login
done
check "none was" test ! -e "$work/opened"

done_testing
