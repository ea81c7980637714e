#!/usr/bin/env bash
# The dashboard's sign-in by external issuers: what is refused, then in Chromium at npm's oidc-provider and at Debian's glewlwyd.
# shellcheck shell=bash disable=SC1091,SC2154,SC2317,SC2016
. "$(dirname "$0")/lib.sh"
. "$here/browser_world.sh"
need_browser "signing in to the dashboard at another issuer" oidc-provider
site=alps authority_host=localhost
. "$here/authority_world.sh"
. "$here/oidc_world.sh"
. "$here/glewlwyd_world.sh"
export HOME=$work/home LC_ALL=C.UTF-8 BROWSER_ROOM=$work/browser
mkdir -p "$HOME" "$BROWSER_ROOM"
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

op_port=$(free_port)
op=http://127.0.0.1:$op_port
provider() {
    start provider node "$here/oidc_provider.mjs" "$modules" "$op_port" "$url/sign-in/back/hpc"
    provider_pid=$last_pid
    wait_for 20 curl -fsS "$op/.well-known/openid-configuration"
}
check "another provider starts" provider
glewlwyd_redirects=("$url/sign-in/back/glewlwyd")

authority_address=127.0.0.1
make_authority
issuers=hpc.yaml
printf '%s\n' "url: $op" 'title: HPC <single> sign-on' 'client_id: postern-hpc' 'required_amr: [otp]' 'dashboard:' '  client_id: postern-web' \
    '  client_secret_file: hpc.secret' account: '  claim: preferred_username' '  suffix: "@hpc.example"' >"$authority/hpc.yaml"
echo 'a secret: with %, + & =' >"$authority/hpc.secret"
if glewlwyd_is_here; then
    check "glewlwyd starts" start_glewlwyd
    check "it has bob" glewlwyd_person POST /user/ bob true
    check "with one-time codes" glewlwyd_codes bob
    printf '%s\n' "url: $glewlwyd_issuer" 'title: Glewlwyd' 'client_id: posterngate' 'scope: openid' "ca_file: $glewlwyd_ca" \
        'required_amr: [otp]' >"$authority/glewlwyd.yaml"
    issuers+=', glewlwyd.yaml'
fi
echo "issuers: [$issuers]" >>"$authority/posternd.yaml"
mkdir "$authority/other"
cp "$authority/hpc.yaml" "$authority/other/"
sed "s|^issuers.*|issuers: [hpc.yaml, other/hpc.yaml]|" "$authority/posternd.yaml" >"$authority/two.yaml"
cp "$authority/hpc.secret" "$authority/other/"
refused "two files of one name" any 'the same name' "$posternd" check -c "$authority/two.yaml"
sed -i 's|hpc.secret|none.secret|' "$authority/other/hpc.yaml"
sed -i "s|^issuers.*|issuers: [other/hpc.yaml]|" "$authority/two.yaml"
refused "a secret that is not there" any 'client_secret_file' "$posternd" check -c "$authority/two.yaml"
serve
alice_signs_in
gets "bob" 201 - POST /api/v1/accounts "$admin" '{"name":"bob","displayName":"Bob"}'

# ---- what is refused ----------------------------------------------------------------------------

page=(-H 'Sec-Fetch-Site: same-origin')
header() { grep -qiE -- "^$1: $2"$'\r'"?$" "$work/headers"; } # NAME PATTERN
begin() { # ISSUER: sets $state and $nonce
    rm -f "$jar"
    visit GET "/sign-in/with/$1?place=keys" "${page[@]}"
    state=$(location | sed -nE 's/.*[?&]state=([^&]*).*/\1/p') nonce=$(location | sed -nE 's/.*[?&]nonce=([^&]*).*/\1/p')
}
back() { visit GET "/sign-in/back/$1?$2"; } # ISSUER QUERY
no_session() { ! grep -q 'posterngate-session' "$jar" 2>/dev/null; }

visit GET /sign-in
shows "the page offers it, by its title" 200 'href="/sign-in/with/hpc[?]place=".*Sign in with HPC &lt;single&gt; sign-on'
visit GET /sign-in/with/none "${page[@]}"
shows "an issuer that is none" 404 'no sign-ins by that issuer'
visit GET /sign-in/with/hpc
shows "nobody is led into it" 403 'from the page of this site'
visit GET /sign-in/with/hpc -H 'Sec-Fetch-Site: cross-site'
shows "by another site either" 403 'from the page of this site'
visit GET '/sign-in/with/hpc?place=//evil.example' "${page[@]}"
shows "nor elsewhere afterwards" 400 'place must be'
begin hpc
shows "it sends the browser there" 303 ''
for part in response_type=code client_id=postern-web 'scope=openid%20profile' 'code_challenge=[A-Za-z0-9_-]{43}' code_challenge_method=S256 \
    "redirect_uri=https%3A%2F%2Flocalhost%3A$port%2Fsign-in%2Fback%2Fhpc" 'state=[A-Za-z0-9_-]{43}' 'nonce=[A-Za-z0-9_-]{43}'; do
    check "with ${part%%=*}" grep -qE "^Location: $op/auth\?(.*&)?$part(&|"$'\r'"?$)" "$work/headers"
done
check "and a cookie of its own" header set-cookie '__Host-posterngate-visit=[A-Za-z0-9_-]{43}\.keys; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure'
first=$state
begin hpc
differ() { [ "$1" != "$2" ]; }
check "each time another" differ "$first" "$state"
back hpc "code=x&state=$first"
shows "the answer to an older question" 403 'used already; sign in again'
check "gives no session" no_session
begin hpc
back hpc "code=x"
shows "no state" 403 'sign in again'
begin hpc
mv "$jar" "$work/mine"
back hpc "code=x&state=$state"
shows "another browser" 403 'did|not to a sign-in that began in this browser'
mv "$work/mine" "$jar"
back hpc "code=x&state=$state&iss=https%3A%2F%2Fevil.example"
shows "another issuer's word" 403 'sign in again'
if glewlwyd_is_here; then
    begin hpc
    back glewlwyd "code=x&state=$state"
    shows "another issuer's answer" 403 'sign in again'
fi
begin hpc
back hpc "state=$state&iss=$(jq -rn --arg iss "$op" '$iss | @uri')"
shows "neither code nor error" 400 'has no code'
begin hpc
back hpc "code=x&state=$state"
shows "an answer that does not say whose it is, where the issuer always says so" 403 'does not say that it is its own'
ours="iss=$(jq -rn --arg iss "$op" '$iss | @uri')"
begin hpc
back hpc "error=access_denied&error_description=%3Cb%3Eno&state=$state&$ours"
shows "an error is told as words" 403 'the sign-in was cancelled: &lt;b&gt;no'
shows "with the way back" 403 'href="/sign-in"'
begin hpc
back hpc "code=made-up&state=$state&$ours"
shows "a code that the issuer did not give" 403 'refused the sign-in: .*\(status 400\)'
back hpc "code=made-up&state=$state&$ours"
shows "and the cookie is gone" 403 'used already; sign in again'

lies() { # DESCRIPTION STATUS PATTERN CLAIMS
    begin hpc
    curl -fsS -X POST --data-binary "{\"claims\":{\"aud\":\"postern-web\",\"nonce\":\"$nonce\",$4}}" "$op/lie" >"$work/last"
    back hpc "code=any&state=$state&$ours"
    shows "$1" "$2" "$3"
    check "… gives no session" no_session
}
lies "a token of another sign-in" 403 'nonce: ' '"nonce":"another"'
lies "a token for the command line's client" 403 'aud: ' '"aud":"postern-hpc"'
lies "of another issuer" 403 'iss: ' '"iss":"https://evil.example"'
lies "without a second factor" 403 'second factor' '"amr":["pwd"]'
lies "that has expired" 403 'has expired' '"exp":1000000000'
lies "of nobody here" 403 'no account erin' '"preferred_username":"erin@hpc.example"'
lies "of an administrator" 403 'administrators do so with their password' '"preferred_username":"alice@hpc.example"'
gets "bob is disabled" 200 - PUT /api/v1/accounts/bob "$admin" '{"disabled":true}'
lies "of somebody who is disabled here" 403 'account bob is disabled' '"jti":"disabled"'
gets "and enabled" 200 - PUT /api/v1/accounts/bob "$admin" '{"disabled":false}'
audited "refusals are on record" '.action == "session.sign-in-back" and (.allowed | not) and (.detail | test("^nonce: "))'
api GET '/api/v1/audit?limit=1000' "$admin"
has "what anybody can ask fills no disk" '[.audit[] | select(.code == "sign_in_expired")] == []'

begin hpc
curl -fsS -X POST --data-binary "{\"claims\":{\"aud\":\"postern-web\",\"nonce\":\"$nonce\"}}" "$op/lie" >"$work/last"
back hpc "code=any&state=$state&$ours"
shows "a token that is right" 303 ''
check "leads to the place that was asked for" header location '/#/keys'
check "with a session, as strict as any" grep -qiE '^set-cookie: __Host-posterngate-session=pgb_[^;]*; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure' "$work/headers"
check "and the visit is over" grep -qiE '^set-cookie: __Host-posterngate-visit=; Path=/; Max-Age=0' "$work/headers"

# ---- with a password here as well ----------------------------------------------------------------

invite carol blue-river-stone-47
comes() { # AMR: carol, by the issuer, just now
    begin hpc
    curl -fsS -X POST --data-binary "{\"claims\":{\"aud\":\"postern-web\",\"nonce\":\"$nonce\",\"preferred_username\":\"carol@hpc.example\",
        \"sub\":\"carol\",\"amr\":$1,\"auth_time\":$(date +%s)}}" "$op/lie" >"$work/last"
    back hpc "code=any&state=$state&$ours"
    shows "carol comes by the issuer with $1" 303 ''
    visit GET /passkeys
}
comes '["otp"]'
shows "one factor there adds no passkey here: hers are asked for" 200 'Sign in to add a passkey.*name="password"'
comes '["otp","mfa"]'
shows "two do" 200 'Add passkey or security key'

# ---- strangers ----------------------------------------------------------------------------------

begin hpc
visit_cookie=$(sed -nE 's/^set-cookie: (__Host-posterngate-visit=[^;]*);.*/\1/Ip' "$work/headers" | tail -1)
strangers() { # COUNT [CURL-OPTION…]: so many made-up codes from another address, each in the one cookie; prints the statuses
    curl -sS --cacert "$authority/tls/ca.pem" --interface "${stranger:-127.0.0.9}" --connect-to "$authority_host:$port:127.0.0.1:$port" --max-time 120 \
        -o "$work/strangers" -w '%{http_code}\n' -H "Cookie: $visit_cookie" "${@:2}" "$url/sign-in/back/hpc?code=[1-$1]&state=$state&$ours"
}
curl -fsS -X POST --data-binary 4000 "$op/slow" >"$work/last"
strangers 6 --parallel --parallel-immediate >"$work/slow" 2>&1 &
stranger_pid=$!
waits_for_it() { ss -Htn state established "( dport = :$op_port )" | wc -l | grep -qvx '[01]'; }
check "made-up codes wait for an issuer that is slow" wait_for 20 waits_for_it
signs_in_at_once() {
    local from_ms status
    from_ms=$(date +%s%3N)
    api POST /api/v1/auth/login '' '{"username":"carol","password":"correct-horse-battery","totp":"123456"}'
    [ "$status" = 401 ] && [ $(($(date +%s%3N) - from_ms)) -lt 3500 ]
}
check "who signs in here is answered all the same" signs_in_at_once
wait "$stranger_pid"
curl -fsS -X POST --data-binary 0 "$op/slow" >"$work/last"
strangers 80 >"$work/statuses"
check "an issuer is asked by an address no oftener than passwords are tried" grep -qx 429 "$work/statuses"
check "but so often" grep -qx 403 "$work/statuses"

# ---- in a browser -------------------------------------------------------------------------------

drive_browser 240 dashboard_issuer.mjs "$(jq -n --arg glewlwyd "$(cat "$BROWSER_ROOM/bob.secret" 2>/dev/null)" \
    '{people: {bob: {password: "long enough", secret: $glewlwyd}}}')"
audited "it is on record, with the issuer" ".action == \"session.sign-in-back\" and .allowed and .actor == \"bob\" and .target == \"$op\""

# ---- a stop does not wait for it ------------------------------------------------------------------

begin hpc
visit_cookie=$(sed -nE 's/^set-cookie: (__Host-posterngate-visit=[^;]*);.*/\1/Ip' "$work/headers" | tail -1)
curl -fsS -X POST --data-binary 4000 "$op/slow" >"$work/last"
for last in 10 11; do
    stranger=127.0.0.$last strangers 50 --parallel --parallel-immediate --parallel-max 50 >"$work/stop$last" 2>&1 &
    started+=($!)
done
check "many wait for an issuer that is slow" wait_for 20 waits_for_it
stops_in_time() { # what posternd.service gives it
    kill "$authority_pid"
    wait_for 20 bash -c "ps -o stat= -p $authority_pid | grep -q '^Z' || ! kill -0 $authority_pid"
}
check "a stop lets them go" stops_in_time
wait "$authority_pid"
curl -fsS -X POST --data-binary 0 "$op/slow" >"$work/last"
serve
begin hpc
shows "and the next one sends people there as before" 303 ''

# ---- it goes away -------------------------------------------------------------------------------

kill "$provider_pid"
wait "$provider_pid" 2>/dev/null
begin hpc
back hpc "code=any&state=$state&$ours"
shows "while it is away, that is what the page says" 503 'cannot be reached'
done_testing
