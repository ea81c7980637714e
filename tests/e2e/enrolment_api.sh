#!/usr/bin/env bash
# What jump hosts ask for those who enrol, and what they tell the audit log, driven by curl: nobody else may, and nobody gets
# further than one key.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/authority_world.sh
. "$(dirname "$0")/authority_world.sh"
check "an authority is made" "$posternd" init "$authority" --site test --listen "127.0.0.1:$port" --url "$url" --admin alice
invitation=$(grep -oE 'pgi_[A-Za-z0-9_-]{43}' "$work/last")
printf '  %s\n' "enrolment_window: 1h" "further_keys: true" >>"$authority/posternd.yaml"
serve
alice_signs_in
gets "a cluster" 201 - POST /api/v1/clusters "$admin" '{"name":"daint"}'
gets "a project" 201 - POST /api/v1/projects "$admin" '{"name":"p1"}'
gets "… that reaches it" 200 - PUT /api/v1/projects/p1/clusters/daint "$admin"
enrol_host gate1 '"role":"jump","address":"192.0.2.1"'
gate=$host_token
enrol_host gate2 '"role":"jump","address":"192.0.2.2"'
other_gate=$host_token
enrol_host ln1 '"role":"login","cluster":"daint","address":"192.0.2.3"'
login_host=$host_token

public() { # NAME: prints the public half of a new key
    [ -e "$work/$1" ] || ssh-keygen -q -t ed25519 -N '' -C "$1" -f "$work/$1"
    cat "$work/$1.pub"
}
opens() { # DESCRIPTION STATUS CODE TOKEN USER PASSWORD [SOURCE]
    gets "$1" "$2" "$3" POST /api/v1/host/enrolment "$4" "{\"username\":\"$5\",\"password\":\"$6\",\"source\":\"${7:-198.51.100.7}\"}"
}
brings() { # DESCRIPTION STATUS CODE TOKEN USER MEMBER VALUE KEY…
    local description=$1 expected=$2 code=$3 token=$4 user=$5 member=$6 value=$7
    shift 7
    gets "$description" "$expected" "$code" POST /api/v1/host/enrolment/keys "$token" "$(jq -cn --arg user "$user" \
        --arg member "$member" --arg value "$value" \
        '{username: $user, ($member): $value, source: "198.51.100.7", publicKeys: $ARGS.positional}' --args -- "$@")"
}

# ---- who may not -------------------------------------------------------------------------------

gets "an account, with a window" 201 - POST /api/v1/accounts "$admin" '{"name":"bob","passwordWindow":true}'
password=$(field .windowPassword)
has "the account says until when" '.account.windowExpireTime | length > 0'
for path in enrolment enrolment/keys audit; do
    gets "nobody asks $path without a token" 401 not_logged_in POST "/api/v1/host/$path" '' '{}'
    gets "nor with an administrator's" 401 not_logged_in POST "/api/v1/host/$path" "$admin" '{}'
done
opens "a login host does not ask" 403 not_permitted "$login_host" bob "$password"
brings "nor bring keys" 403 not_permitted "$login_host" bob serialNumber 17 "$(public bob)"
gets "nor tell the audit log" 403 not_permitted POST /api/v1/host/audit "$login_host" '{"events":[]}'
gets "only administrators open a window" 401 not_logged_in POST /api/v1/accounts/bob/window "$gate"

# ---- a password --------------------------------------------------------------------------------

opens "a wrong password" 401 invalid_credentials "$gate" bob wrong-horse-battery
jq -S 'del(.requestId, .instance)' "$work/last" >"$work/wrong"
opens "a name that nobody has" 401 invalid_credentials "$gate" mallory wrong-horse-battery
jq -S 'del(.requestId, .instance)' "$work/last" >"$work/nobody"
check "has the same answer" cmp "$work/wrong" "$work/nobody"
opens "alice, who has no window" 401 invalid_credentials "$gate" alice correct-horse-battery
opens "an address that is none" 422 bad_address "$gate" bob "$password" here
for guess in 1 2 3 4; do
    api POST /api/v1/host/enrolment "$gate" "{\"username\":\"bob\",\"password\":\"guess-$guess\",\"source\":\"198.51.100.9\"}"
    api POST /api/v1/host/enrolment "$gate" "{\"username\":\"mallory\",\"password\":\"guess-$guess\",\"source\":\"198.51.100.9\"}"
done
opens "five failures lock the name" 429 locked "$gate" bob "$password"
opens "also one that nobody has" 429 locked "$gate" mallory "$password"
gets "a new window has a new password, and no lock" 200 - POST /api/v1/accounts/bob/window "$admin"
old=$password
password=$(field .windowPassword)
opens "the one before is gone" 401 invalid_credentials "$gate" bob "$old"
opens "the right one" 200 - "$gate" bob "$password"
token=$(field .token)
has "is good so long" "(.expireTime | fromdate) - now | . <= $(limit ENROLMENT_S) and . > $(limit ENROLMENT_S) - 10"
gets "its token is no login" 401 not_logged_in GET /api/v1/auth/whoami "$token"
gets "nor a host's" 401 not_logged_in POST /api/v1/host/audit "$token" '{"events":[]}'

# ---- keys --------------------------------------------------------------------------------------

brings "another gate's token" 403 window_closed "$other_gate" bob token "$token" "$(public bob)"
brings "one for another account" 403 window_closed "$gate" alice token "$token" "$(public bob)"
brings "one that is made up" 403 window_closed "$gate" bob token "pgw_$(head -c 32 /dev/urandom | basenc --base64url | tr -d =)" "$(public bob)"
brings "no token at all" 403 window_closed "$gate" bob token "" "$(public bob)"
gets "two proofs at once" 400 missing_field POST /api/v1/host/enrolment/keys "$gate" \
    "{\"username\":\"bob\",\"token\":\"$token\",\"serialNumber\":\"17\",\"source\":\"198.51.100.7\",\"publicKeys\":[\"x\"]}"
mapfile -t seventeen < <(seq 17)
brings "seventeen keys" 400 too_long "$gate" bob token "$token" "${seventeen[@]}"
brings "what is no key is told so, and closes nothing" 200 - "$gate" bob token "$token" "hello" "$(sed -n 1p "$work/bob")"
has "each for itself" '[.keys[].registered] == [false, false] and (.keys[0].message | startswith("not registered: "))'
brings "two keys, one of them twice" 200 - "$gate" bob token "$token" "$(public bob)" "$(public bob)" "$(public bob2)"
has "two are registered" '[.keys[].registered] == [true, false, true]'
brings "the token is good for nothing any more" 403 window_closed "$gate" bob token "$token" "$(public bob3)"
opens "nor is the password" 401 invalid_credentials "$gate" bob "$password"
audited "whose keys came, and from where, is on record" \
    '.actor == "bob" and .target == "gate1" and .source == "198.51.100.7" and .detail == "2 of 3 keys, by the initial password"' \
    '&action=enrolment.keys'
audited "a guess at an open window is" '.actor == "bob" and .code == "invalid_credentials" and .detail == "wrong password"' \
    '&action=enrolment.open'
api GET "/api/v1/audit?limit=1000&action=enrolment.open" "$admin"
has "a guess at a closed one is not: there is no end of them" '[.audit[] | select(.actor == "mallory" or .actor == "alice")] | length == 0'

invite carol green-field-cloud-12
carol=$token
gets "carol is a member" 200 - PUT /api/v1/projects/p1/members/carol "$admin" '{"role":"member"}'
gets "carol has a certificate" 200 - POST /api/v1/ssh-keys/sign "$carol" "{\"publicKey\":\"$(public carol)\"}"
serial=$(field .sshKey.serialNumber)
brings "by a certificate that is another's" 403 not_permitted "$gate" bob serialNumber "$serial" "$(public bob3)"
brings "by one that is not" 403 not_permitted "$gate" carol serialNumber 12345 "$(public carol2)"
brings "by carol's own" 200 - "$gate" carol serialNumber "$serial" "$(public carol2)"
has "a further key" '.keys[0].registered'
fingerprint=$(field '.keys[0].fingerprint')
brings "by that key, which is not bob's" 403 not_permitted "$gate" bob fingerprint "$fingerprint" "$(public bob3)"
brings "by that key another one" 200 - "$gate" carol fingerprint "$fingerprint" "$(public carol3)"
gets "a key that is good from somewhere alone" 201 - POST /api/v1/keys "$carol" \
    "{\"publicKey\":\"$(public carol5)\",\"ipSubnets\":[\"198.51.100.0/24\"]}"
brings "begets none that is good from everywhere" 403 not_permitted "$gate" carol fingerprint "$(field .key.fingerprint)" "$(public carol4)"
gets "the certificate is revoked" 200 - PUT /api/v1/ssh-keys/revoke "$carol" "{\"serialNumber\":\"$serial\",\"reason\":\"lost\"}"
brings "then it brings nothing" 403 not_permitted "$gate" carol serialNumber "$serial" "$(public carol4)"
gets "carol is disabled" 200 - PUT /api/v1/accounts/carol "$admin" '{"disabled":true}'
brings "then her key brings nothing either" 403 account_disabled "$gate" carol fingerprint "$fingerprint" "$(public carol4)"
gets "and there is no window for her" 409 account_disabled POST /api/v1/accounts/carol/window "$admin"

# ---- a flood -----------------------------------------------------------------------------------

guesses=()
for ((i = 0; i < 200; i++)); do guesses+=(-o /dev/null "$url/api/v1/host/enrolment"); done
curl -sS --cacert "$authority/tls/ca.pem" --max-time 60 -w '%{http_code}\n' -H "Authorization: Bearer $gate" \
    -H 'Content-Type: application/json' -d '{"username":"trudy","password":"guess","source":"203.0.113.66"}' "${guesses[@]}" >"$work/last"
check "who guesses on and on is held back" test "$(grep -c 429 "$work/last")" -ge 190
opens "others at the same gate are not" 401 invalid_credentials "$gate" erin wrong-horse-battery 203.0.113.67

# ---- events ------------------------------------------------------------------------------------

event() { # JQ-CHANGES
    jq -cn "{action: \"gate.login\", actor: \"bob\", allowed: false, code: \"revoked\", detail: \"certificate 17\",
        source: \"198.51.100.7\", time: (now | todate)} | $1"
}
tells() { # DESCRIPTION STATUS CODE EVENTS [DROPPED]
    gets "$1" "$2" "$3" POST /api/v1/host/audit "$gate" "{\"events\":[$4]${5:+,\"dropped\":$5}}"
}
tells "an action that is another's" 422 malformed "$(event '.action = "account.create"')"
tells "no address" 422 malformed "$(event '.source = "here"')"
tells "no answer" 422 malformed "$(event '.allowed = 1')"
tells "no time" 422 malformed "$(event 'del(.time)')"
tells "a control character" 422 malformed "$(event '.detail = "a\u0007b"')"
many=$(yes "$(event .)" | head -51 | paste -sd,)
tells "fifty-one events" 400 too_long "$many"
tells "fifty" 200 - "$(yes "$(event '.code = "fifty"')" | head -50 | paste -sd,)"
has "are written" '.written == 50'
tells "one that waited" 200 - "$(event '.time = "2026-01-02T03:04:05Z" | .code = "late"')" 7
audited "says when it was" '.code == "late" and .detail == "certificate 17; at 2026-01-02T03:04:05Z"' '&action=gate.login'
audited "and how many are missing before it" \
    '.code == "dropped" and (.detail | startswith("7 older events")) and .target == "gate1"' '&action=gate.events'
tells "a long name" 200 - "$(event '.actor = ("ä" * 40) | .code = "long"')"
audited "is cut between characters" '.code == "long" and .actor == ("ä" * 23)' '&action=gate.login'
done_testing
