#!/usr/bin/env bash
# Sign-ins by an OpenID provider of another maker (npm oidc-provider): by browser and by device code, each algorithm, claims that
# become account and projects; and tokens that somebody made up.
# shellcheck shell=bash disable=SC1091,SC2154,SC2317
. "$(dirname "$0")/lib.sh"
. "$here/authority_world.sh"
. "$here/oidc_world.sh"

modules=$root/build/npm/node_modules
if [ ! -d "$modules/oidc-provider" ]; then
    skip "sign-ins by another provider" "npm's oidc-provider is not here: ./run setup"
    done_testing
fi
export LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=1 HOME=$work/home BROWSER_ROOM=$work/browser BROWSER=$here/foreign_browser
mkdir -p "$HOME" "$BROWSER_ROOM"
unset SSH_CONNECTION SSH_TTY DISPLAY WAYLAND_DISPLAY POSTERN_API_KEY XDG_CONFIG_HOME XDG_STATE_HOME http_proxy https_proxy all_proxy

op_port=$(free_port)
op=http://127.0.0.1:$op_port
provider() {
    start provider node "$here/oidc_provider.mjs" "$modules" "$op_port"
    provider_pid=$last_pid
    wait_for 20 curl -fsS "$op/.well-known/openid-configuration"
}
check "another provider starts" provider

check "an authority is made" "$posternd" init "$authority" --site test --listen "127.0.0.1:$port" --url "$url" --admin alice
invitation=$(grep -oE 'pgi_[A-Za-z0-9_-]{43}' "$work/last")
issuer_file() { # NAME CLIENT [LINE…]
    printf 'url: %s\nclient_id: %s\nscope: openid profile\nrequired_amr: [otp, mfa]\naccount:\n  claim: preferred_username\n  suffix: "@hpc.example"\n' "$op" "$2" >"$authority/$1.yaml"
    printf '%s\n' "${@:3}" >>"$authority/$1.yaml"
}
once_for=https://authority.example/sign
issuer_file hpc postern-hpc 'algorithms: [RS256]' one_time_tokens: "  audience: $once_for" '  max_age: 2min' 'projects:' '  claim: groups' '  prefix: "hpc-"' '  follow: true'
echo 'issuers: [hpc.yaml]' >>"$authority/posternd.yaml"
check "posternd check takes it" "$posternd" check -c "$authority/posternd.yaml"
sed -i 's/RS256/HS256/' "$authority/hpc.yaml"
refused "and refuses HS256" any 'HS256' "$posternd" check -c "$authority/posternd.yaml"
sed -i 's/HS256/RS256/' "$authority/hpc.yaml"
serve
alice_signs_in
gets "the site tells of it" 200 - GET /.well-known/posterngate ''
has "with our id there" ".issuers == [{issuer: \"$op\", clientId: \"postern-hpc\", scope: \"openid profile\"}]"

# ---- tokens that somebody made up ---------------------------------------------------------------

exchange=(grant_type=urn:ietf:params:oauth:grant-type:token-exchange subject_token_type=urn:ietf:params:oauth:token-type:id_token
    scope='openid offline_access')
forge() { curl -fsS -X POST --data-binary "$1" "$op/forge"; }
hostile() { # DESCRIPTION ERROR FORGERY [FIELD=VALUE…]
    trade "$1" "${4:-400}" "$2" "${exchange[@]}" subject_token="$(forge "$3")" "${@:5}"
}
hostile "nobody is made an account of unless the site says so" access_denied '{}' 403
says "which is told" 'no account bob'
gets "bob" 201 - POST /api/v1/accounts "$admin" '{"name":"bob","displayName":"Bob"}'
unused=$(field .invitation)
gets "whose invitation somebody has, too" 200 - POST /api/v1/auth/invitation '' "{\"invitation\":\"$unused\",\"password\":\"blue-forest-lamp-12\"}"
secret=$(field .totpSecret)
hostile "another issuer" invalid_grant '{"claims":{"iss":"https://evil.example"}}'
hostile "an issuer that only looks like it" invalid_grant "{\"claims\":{\"iss\":\"$op/\"}}"
hostile "another audience" invalid_grant '{"claims":{"aud":"other"}}'
hostile "one of several, for another" invalid_grant '{"claims":{"aud":["postern-hpc","other"]}}'
hostile "no signature" invalid_grant '{"alg":"none"}'
hostile "the public key as a shared secret" invalid_grant '{"alg":"HS256"}'
hostile "an algorithm that is not allowed here" invalid_grant '{"alg":"RS512"}'
hostile "another key under its id" invalid_grant '{"key":"other"}'
hostile "a key that the header brings" invalid_grant '{"key":"other","header":{"jwk":"other"}}'
hostile "the address of keys in the header" invalid_grant "{\"key\":\"other\",\"header\":{\"jku\":\"$op/jwks\"}}"
hostile "or of certificates" invalid_grant "{\"key\":\"other\",\"header\":{\"x5u\":\"$op/chain\"}}"
hostile "expired" invalid_grant '{"claims":{"exp":1000000000}}'
hostile "from the future" invalid_grant '{"claims":{"iat":4000000000,"exp":4000000300}}'
hostile "a nonce of another sign-in" invalid_grant '{"claims":{"nonce":"theirs"}}' 400 nonce=ours
hostile "another access token's" invalid_grant '{"claims":{"at_hash":"77QmUPtjPfzWtF2AnpK9RQ"}}' 400 access_token=ours
hostile "without a second factor" invalid_grant '{"claims":{"amr":["pwd"]}}'
hostile "of another domain" access_denied '{"claims":{"preferred_username":"bob@evil.example"}}' 403
hostile "a name that is none" access_denied '{"claims":{"preferred_username":"../bob@hpc.example"}}' 403
hostile "an administrator comes not this way" access_denied '{"claims":{"preferred_username":"alice@hpc.example"}}' 403
trade "no token at all" 400 invalid_grant "${exchange[@]}" subject_token=x
fetched() { curl -fsS -X POST "$op/fetched"; }
before=$(fetched)
for i in 1 2 3 4 5; do hostile "made-up key id $i" invalid_grant "{\"header\":{\"kid\":\"made-up-$i\"}}"; done
check "made-up key ids do not flood the issuer" test $(($(fetched) - before)) -le 1

good=$(forge '{}')
trade "a token that is right" 200 - "${exchange[@]}" subject_token="$good"
has "becomes a bearer" '.username == "bob" and (.access_token | startswith("pgs_")) and .issued_token_type == "urn:ietf:params:oauth:token-type:access_token"'
bob=$(field .access_token)
gets "of bob" 200 - GET /api/v1/auth/whoami "$bob"
trade "once" 400 invalid_grant "${exchange[@]}" subject_token="$good"
gets "now that he has come, nobody else comes by his invitation" 401 invalid_invitation POST /api/v1/auth/invitation/confirm '' \
    "{\"invitation\":\"$unused\",\"totp\":\"$(code "$secret" -30)\"}"
gets "or begins to" 401 invalid_invitation POST /api/v1/auth/invitation/about '' "{\"invitation\":\"$unused\"}"
audited "refusals are on record with what was wrong" '.action == "issuer.token" and (.allowed | not) and (.detail | test("^amr: "))'

gets "bob becomes an administrator" 200 - PUT /api/v1/accounts/bob "$admin" '{"administrator":true}'
gets "who comes by this issuer is none: what it opened before ends" 401 not_logged_in GET /api/v1/accounts "$bob"
gets "bob is none any more" 200 - PUT /api/v1/accounts/bob "$admin" '{"administrator":false}'

# ---- a name that is given to somebody else ---------------------------------------------------------

hostile "another person of the same name" access_denied '{"claims":{"sub":"another-bob"}}' 403
says "the administrator's command is told" 'postern admin account forget-identity bob'
audited "it is on record" '.action == "issuer.token" and .actor == "bob" and (.allowed | not) and (.detail | test("somebody else"))'
gets "carol" 201 - POST /api/v1/accounts "$admin" '{"name":"carol","displayName":"Carol"}'
hostile "the same person by another name" access_denied '{"claims":{"preferred_username":"carol@hpc.example"}}' 403
says "has an account already" 'by another name before'
trade "the one who had it stays" 200 - "${exchange[@]}" subject_token="$(forge '{"claims":{"jti":"stays"}}')"
bob=$(field .access_token) refresh=$(field .refresh_token)
ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/bobs"
gets "bob registers a key" 201 - POST /api/v1/keys "$bob" "$(jq -cn --rawfile key "$work/bobs.pub" '{publicKey: $key}')"
gets "people forget nobody's" 403 - POST /api/v1/accounts/bob/forget-identity "$bob"
gets "of nobody" 404 not_found POST /api/v1/accounts/nobody/forget-identity "$admin"
gets "an administrator does" 200 - POST /api/v1/accounts/bob/forget-identity "$admin"
gets "whoever was in is out" 401 not_logged_in GET /api/v1/auth/whoami "$bob"
trade "for good" 400 invalid_grant grant_type=refresh_token refresh_token="$refresh"
gets "what he left" 200 - GET '/api/v1/keys?account=bob' "$admin"
has "… lets in nobody" '.keys == []'
trade "the next one is whom it belongs to" 200 - "${exchange[@]}" subject_token="$(forge '{"claims":{"sub":"another-bob","jti":"next"}}')"
hostile "and the one before is not" access_denied '{"claims":{"jti":"before"}}' 403
gets "forgotten again" 200 - POST /api/v1/accounts/bob/forget-identity "$admin"
audited "that is on record" '.action == "identity.forget" and .actor == "alice" and .target == "bob" and .allowed'

# ---- projects -----------------------------------------------------------------------------------

gets "a project that the claim names" 201 - POST /api/v1/projects "$admin" '{"name":"csstaff"}'
gets "and one that it does not" 201 - POST /api/v1/projects "$admin" '{"name":"other"}'
gets "of which bob is a member" 200 - PUT /api/v1/projects/other/members/bob "$admin" '{"role":"member"}'
trade "he signs in" 200 - "${exchange[@]}" subject_token="$(forge '{"claims":{"groups":["hpc-csstaff","other","hpc-"]}}')"
gets "whoami" 200 - GET /api/v1/auth/whoami "$(field .access_token)"
has "he belongs to just what the claim says" '[.projects[] | .name? // .] == ["csstaff"]'

# ---- one that is good for one certificate ---------------------------------------------------------

ssh-keygen -q -t ed25519 -N '' -C once -f "$work/once"
once() { # DESCRIPTION STATUS CODE FORGERY-OR-TOKEN
    local token=$4
    [[ $token != '{'* ]] || token=$(forge "$token")
    gets "$1" "$2" "$3" POST /sign '' "$(jq -cn --arg key "$(cat "$work/once.pub")" --arg ott "$token" '{PublicKey: $key, OTT: $ott}')"
}
meant="\"aud\":\"$once_for\"" now=$(date +%s)
once "what one signs in by is no such token" 401 invalid_token '{}'
has "for it is meant for another" '.field == "OTT" and (.message | test("^aud: "))'
once "meant for both" 401 invalid_token "{\"claims\":{\"aud\":[\"$once_for\",\"postern-hpc\"]}}"
once "made for another client" 401 invalid_token "{\"claims\":{$meant,\"azp\":\"other\"}}"
once "of another issuer" 401 invalid_token "{\"claims\":{$meant,\"iss\":\"https://evil.example\"}}"
once "no signature" 401 invalid_token "{\"alg\":\"none\",\"claims\":{$meant}}"
once "the public key as a shared secret" 401 invalid_token "{\"alg\":\"HS256\",\"claims\":{$meant}}"
once "another key under its id" 401 invalid_token "{\"key\":\"other\",\"claims\":{$meant}}"
once "an access token" 401 invalid_token "{\"header\":{\"typ\":\"at+jwt\"},\"claims\":{$meant}}"
once "expired" 401 invalid_token "{\"claims\":{$meant,\"exp\":$((now - 100))}}"
once "good for an hour, and old" 401 invalid_token "{\"claims\":{$meant,\"iat\":$((now - 300)),\"exp\":$((now + 3300))}}"
once "without a second factor" 401 invalid_token "{\"claims\":{$meant,\"amr\":[\"pwd\"]}}"
once "of nobody here" 403 access_denied "{\"claims\":{$meant,\"preferred_username\":\"erin@hpc.example\"}}"
once "of an administrator" 403 access_denied "{\"claims\":{$meant,\"preferred_username\":\"alice@hpc.example\"}}"
token=$(forge "{\"claims\":{$meant}}")
trade "one for a certificate signs nobody in" 400 invalid_grant "${exchange[@]}" subject_token="$token"
gets "a key that is none" 422 truncated POST /sign '' "{\"PublicKey\":\"ssh-ed25519 AAAA\",\"OTT\":\"$token\"}"
once "does not use it up" 200 - "$token"
cp "$work/last" "$work/once-cert.pub"
check "its certificate" ssh-keygen -L -f "$work/once-cert.pub"
says "is bob's" 'Key ID: "bob@test'
once "once" 401 invalid_token "$token"
audited "it is on record" '.action == "certificate.sign_once" and .actor == "bob" and .allowed'
gets "bob is disabled" 200 - PUT /api/v1/accounts/bob "$admin" '{"disabled":true}'
once "who is disabled gets none" 403 access_denied "{\"claims\":{$meant,\"jti\":\"disabled\"}}"
gets "and enabled" 200 - PUT /api/v1/accounts/bob "$admin" '{"disabled":false}'

# What lasts is approved by somebody who has just signed in, and only the issuer knows when that was.
ssh-keygen -q -t ed25519 -N '' -C machine -f "$work/machine"
grant=$(jq -cn --arg key "$(cat "$work/machine.pub")" '{publicKey: $key, from: "everywhere"}')
member='"groups":["hpc-csstaff"],"amr":["otp","mfa"]'
trade "a sign-in of which nobody says when it was" 200 - "${exchange[@]}" subject_token="$(forge "{\"claims\":{$member}}")"
gets "approves no grant" 403 not_permitted POST /api/v1/grants "$(field .access_token)" "$grant"
trade "one of just now" 200 - "${exchange[@]}" subject_token="$(forge "{\"claims\":{$member,\"auth_time\":$(date +%s)}}")"
bob=$(field .access_token)
gets "does" 201 - POST /api/v1/grants "$bob" "$grant"
gets "he registers a key" 201 - POST /api/v1/keys "$bob" "$(jq -cn --arg key "$(cat "$work/machine.pub")" '{publicKey: $key}')"
trade "he signs in, and belongs to nothing any more" 200 - "${exchange[@]}" subject_token="$(forge '{"claims":{"groups":[]}}')"
gets "his older session has ended" 401 not_logged_in GET /api/v1/auth/whoami "$bob"
gets "his grant" 200 - GET '/api/v1/grants?account=bob&include_ended=true' "$admin"
has "… as well" '[.grants[].state] == ["revoked"]'
gets "and his key" 200 - GET '/api/v1/keys?account=bob' "$admin"
has "… is gone" '.keys == []'

# ---- postern login by it ------------------------------------------------------------------------

fingerprint=$(openssl x509 -in "$authority/tls/ca.pem" -outform DER | sha256sum | cut -d' ' -f1)
check "a laptop" "$postern" init "$url" --fingerprint "$fingerprint"
echo bob-weak >"$BROWSER_ROOM/username"
refused "without a second factor" 3 'second factor' "$postern" login
echo bob >"$BROWSER_ROOM/username"
check "postern login, by the other provider" "$postern" login
says "as bob" 'Signed in at test as bob'
check "whoami" "$postern" whoami
jq '.expireTime = "2020-01-01T00:00:00Z"' "$HOME/.local/state/posterngate/test/token" >"$work/token"
install -m 600 "$work/token" "$HOME/.local/state/posterngate/test/token"
check "what it gave renews itself at the authority" "$postern" whoami
check "signing out" "$postern" logout

# ---- by a code for a browser elsewhere (RFC 8628) ------------------------------------------------

headless() { # USERNAME: its exit status; what it says is in $work/last
    echo "$1" >"$BROWSER_ROOM/username"
    "$postern" login --headless >"$work/device.log" 2>&1 </dev/null &
    local pid=$! code result=0
    wait_for 20 grep -q 'enter the code' "$work/device.log"
    code=$(sed -nE 's/.*enter the code +([A-Z]{4}-[A-Z]{4}).*/\1/p' "$work/device.log")
    "$BROWSER" "$op/device?user_code=$code"
    wait "$pid" || result=$?
    cat "$work/device.log"
    return $result
}
check "postern login --headless, by the other provider" headless bob
says "as bob" 'Signed in at test as bob'
check "whoami" "$postern" whoami
check "signing out" "$postern" logout
refused "without a second factor" 3 'second factor' headless bob-weak
echo bob >"$BROWSER_ROOM/username"

# ---- every kind of key that it has --------------------------------------------------------------

for client in postern-ps:PS256 postern-es:ES256 postern-ed:EdDSA; do
    kill "$authority_pid"
    wait "$authority_pid" 2>/dev/null
    issuer_file hpc "${client%:*}" "algorithms: [${client#*:}]"
    serve
    check "the site document again" "$postern" init "$url" --fingerprint "$fingerprint"
    check "postern login, with ${client#*:}" "$postern" login
    says "as bob" 'Signed in at test as bob'
done
kill "$authority_pid"
wait "$authority_pid" 2>/dev/null
issuer_file hpc postern-hpc '  create: true'
serve
trade "and with RS256 again" 200 - "${exchange[@]}" subject_token="$(forge '{"claims":{"jti":"again"}}')"

# Of two good signatures by ECDSA, (r, s) and (r, n - s), anybody makes one of the other.
sister() {
    python3 - "$1" <<'PY'
import base64, sys
text, signature = sys.argv[1].rsplit(".", 1)
raw = base64.urlsafe_b64decode(signature + "==")
order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
raw = raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
print(text + "." + base64.urlsafe_b64encode(raw).decode().rstrip("="))
PY
}
es=$(forge '{"alg":"ES256","header":{"kid":"ec-1"},"claims":{"jti":"es"}}')
trade "a token by ECDSA" 200 - "${exchange[@]}" subject_token="$es"
trade "with its other signature is the same token" 400 invalid_grant "${exchange[@]}" subject_token="$(sister "$es")"
says "… which was used" 'used before'
hostile "an access token of the issuer's" invalid_grant '{"header":{"typ":"at+jwt"}}'
trade "an account is made, where the site says so" 200 - "${exchange[@]}" subject_token="$(forge '{"claims":{"sub":"erin","preferred_username":"erin@hpc.example"}}')"
hostile "but none of the system's users" access_denied '{"claims":{"preferred_username":"slurm@hpc.example"}}' 403

# ---- its keys change, and it goes away ----------------------------------------------------------

kept=$(forge '{"claims":{"jti":"kept"}}')
check "its keys change" curl -fsS -X POST "$op/rotate"
later=$(forge '{}')
retry() { curl -sS --cacert "$authority/tls/ca.pem" -o "$work/retried" "${forms[@]}" "$url/oauth/token" && jq -e .access_token "$work/retried"; }
forms=()
for value in client_id=posterngate-cli "${exchange[@]}" subject_token="$later"; do forms+=(--data-urlencode "$value"); done
check "a new key is fetched, once the last question is old enough" wait_for 45 retry
last=$(forge '{"claims":{"jti":"last"}}')
kill "$provider_pid"
wait "$provider_pid" 2>/dev/null
trade "it is away: what is checkable stays good" 200 - "${exchange[@]}" subject_token="$last"
trade "and a key that was taken out is not" 400 invalid_grant "${exchange[@]}" subject_token="$kept"

done_testing
