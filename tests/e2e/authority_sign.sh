#!/usr/bin/env bash
# A fresh authority signs, lists and revokes; refuses every malformed request with the field it is about; survives the loss
# of its signer; and takes a new policy while it runs.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

port=$(free_port)
url=https://127.0.0.1:$port
authority=$work/authority
bench=$BUILD/bench/sign_bench
promtool=$TOOLS/promtool
[ -x "$promtool" ] || promtool=$(command -v promtool)

# ---- speaking to the authority ---------------------------------------------------------------

# Sets $status; the body is in $work/last, the head in $work/head.
api() { # METHOD PATH TOKEN [JSON]
    local arguments=(-sS --cacert "$authority/tls/ca.pem" --max-time 60 -D "$work/head" -o "$work/last" -w '%{http_code}' -X "$1")
    [ -z "$3" ] || arguments+=(-H "Authorization: Bearer $3")
    [ -z "${4:-}" ] || arguments+=(-H 'Content-Type: application/json' --data-binary "$4")
    status=$(curl "${arguments[@]}" "$url$2") || status=none
}

# The call is answered with this status, code and field; "-": whatever.
gets() { # DESCRIPTION STATUS CODE FIELD METHOD PATH TOKEN [JSON]
    local description=$1 expected=$2 code=$3 field=$4
    shift 4
    api "$@"
    if [ "$status" = "$expected" ] &&
        { [ "$code" = - ] || [ "$(jq -r .code "$work/last")" = "$code" ]; } &&
        { [ "$field" = - ] || [ "$(jq -r .field "$work/last")" = "$field" ]; }; then
        report 0 "$description"
    else
        echo "(status $status, expected $expected $code $field)" >>"$work/last"
        report 1 "$description"
    fi
}

has() { # DESCRIPTION JQ-CONDITION
    [ -s "$work/last" ] && jq -e "$2" "$work/last" >/dev/null 2>&1
    report $? "$1"
}

# Makes a key and prints the request for it.
request() { # TYPE [MORE-JSON]
    rm -f "$work/key" "$work/key.pub"
    # shellcheck disable=SC2086
    ssh-keygen -q -N '' -C 'a comment' -f "$work/key" -t $1
    jq -nc --arg key "$(cat "$work/key.pub")" "{publicKey:\$key} + ${2:-{\}}"
}

start_authority() {
    start "$1" "$posternd" serve -c "$authority/posternd.yaml"
    pid=$last_pid
    wait_for 20 curl -sf --cacert "$authority/tls/ca.pem" "$url/readyz"
}

# ---- making and judging one ------------------------------------------------------------------

check "init makes an authority" "$posternd" init "$authority" --site testsite --url "$url" --listen "127.0.0.1:$port" --admin root1
says "it says the next command" 'postern login --invitation pgi_'
refused "init does not overwrite" 2 'there already; nothing was changed' "$posternd" init "$authority"
[ "$(stat -c %a "$authority/ca" "$authority/ca/user_1.key" "$authority/tls/server.key" "$authority/store" | tr '\n' ' ')" = '700 600 600 700 ' ]
report $? "keys and store are their owner's alone"
refused "init refuses a bad address" 2 'ADDRESS:PORT' "$posternd" init "$work/other" --listen nowhere
refused "init refuses a bad name" 2 -- "$posternd" init "$work/other" --admin root
check "check finds nothing wrong" "$posternd" check -c "$authority/posternd.yaml"

sed 's/quota_per_day: 5/quota_per_day: many\n  colour: red/; s/port: .*/port: 99999/' "$authority/posternd.yaml" >"$authority/bad.yaml"
refused "check refuses a bad file" 2 'bad.yaml:[0-9]+: policy.quota_per_day: ' "$posternd" check -c "$authority/bad.yaml"
says "and tells all that is wrong with it" 'bad.yaml:[0-9]+: listen.port: '
says "unknown settings too" 'bad.yaml:[0-9]+: policy.colour: '
refused "serve does not start with it" 2 'policy.quota_per_day' "$posternd" serve -c "$authority/bad.yaml"
chmod 644 "$authority/ca/user_1.key"
refused "check sees a CA key that others can read" 2 'user_1.key: can be read by other users; run: chmod 600' \
    "$posternd" check -c "$authority/posternd.yaml"
refused "serve does not start with it" any 'can be read by other users' "$posternd" serve -c "$authority/posternd.yaml"
chmod 600 "$authority/ca/user_1.key"

"$bench" prepare "$authority/store/posternd.db" 3 >"$work/tokens"
mapfile -t tokens <"$work/tokens"
alice=${tokens[0]} bob=${tokens[1]} carol=${tokens[2]}

check "it starts" start_authority posternd
refused "a second one on the same store does not" 1 'another posternd is running' "$posternd" serve -c "$authority/posternd.yaml"

# ---- signing ---------------------------------------------------------------------------------

api POST /api/v1/ssh-keys/sign "$alice" "$(request ed25519)"
jq -r .sshKey.publicKey "$work/last" >"$work/key-cert.pub"
serial=$(jq -r .sshKey.serialNumber "$work/last")
expires=$(jq -r .sshKey.expireTime "$work/last")
check "a key is signed, and ssh-keygen reads it" ssh-keygen -L -f "$work/key-cert.pub"
says "for the account alone" 'Principals: *$'
[ "$(sed -n '/Principals/{n;p;n;p}' "$work/last" | tr -d ' \n')" = 'bench0CriticalOptions:(none)' ]
report $? "with one principal and no option"
says "with the serial that was told" "Serial: $serial\$"
says "and the key id" 'Key ID: "bench0@testsite"'
says "and terminals" permit-pty
[ $(($(date -d "$expires" +%s) - $(date +%s))) -gt 86390 ]
report $? "for a day"
ssh-keygen -lf "$authority/ca/user_1.pub" | cut -d' ' -f2 >"$work/fingerprint"
ssh-keygen -L -f "$work/key-cert.pub" >"$work/last"
grep -qF "Signing CA: ED25519 $(cat "$work/fingerprint")" "$work/last"
report $? "by the user CA"

api POST /api/v1/ssh-keys/sign "$alice" "$(jq -nc --arg key "$(cat "$work/key.pub")" \
    '{publicKey:$key, duration:"1min", ipSubnets:["192.0.2.0/24","2001:db8::1"], forceCommand:"/bin/true \"x\""}')"
jq -r .sshKey.publicKey "$work/last" >"$work/key-cert.pub"
check "restrictions travel in the certificate" ssh-keygen -L -f "$work/key-cert.pub"
says "the networks" 'source-address 192.0.2.0/24,2001:db8::1'
says "the command" 'force-command /bin/true "x"'

for type in 'rsa -b 3072' 'ecdsa -b 256' 'ecdsa -b 384' 'ecdsa -b 521'; do
    api POST /api/v1/ssh-keys/sign "$bob" "$(request "$type")"
    jq -r .sshKey.publicKey "$work/last" >"$work/key-cert.pub"
    check "$type is signed" ssh-keygen -L -f "$work/key-cert.pub"
done

# ---- refusals name the field -----------------------------------------------------------------

sign=/api/v1/ssh-keys/sign
key=$(cat "$work/key.pub")
gets "no bearer" 401 not_logged_in null POST $sign '' "$(jq -nc --arg k "$key" '{publicKey:$k}')"
gets "an unknown bearer" 401 not_logged_in null POST $sign "pgs_$(head -c 32 /dev/zero | base64 | tr -d = | tr / _)" '{}'
gets "who is not logged in learns nothing of the body" 401 not_logged_in null POST $sign '' '{"colour":1}'
gets "no body" 400 missing_field publicKey POST $sign "$carol"
gets "no key" 400 missing_field publicKey POST $sign "$carol" '{}'
gets "a key that is a number" 400 wrong_type publicKey POST $sign "$carol" '{"publicKey":5}'
gets "an unknown field" 400 unknown_field pubkey POST $sign "$carol" "$(jq -nc --arg k "$key" '{publicKey:$k, pubkey:1}')"
gets "not JSON" 400 bad_json null POST $sign "$carol" '{"publicKey"'
gets "not an object" 400 bad_json null POST $sign "$carol" '["publicKey"]'
gets "a member given twice" 400 bad_json null POST $sign "$carol" '{"publicKey":"a","publicKey":"b"}'
gets "deep nesting" 400 bad_json null POST $sign "$carol" "{\"publicKey\":$(printf '[%.0s' {1..40})$(printf ']%.0s' {1..40})}"
nested() { printf '{"publicKey":%s%s}' "$(printf '[%.0s' $(seq $(($1 - 1))))" "$(printf ']%.0s' $(seq $(($1 - 1))))"; } # LEVELS
# LIMIT_JSON_DEPTH, LIMIT_LIST_ROWS_COUNT
gets "sixteen levels are read" 400 wrong_type publicKey POST $sign "$carol" "$(nested 16)"
gets "seventeen are not" 400 bad_json null POST $sign "$carol" "$(nested 17)"
gets "a page of a thousand rows" 200 - - GET '/api/v1/ssh-keys?limit=1000' "$carol"
gets "a page of more" 400 - limit GET '/api/v1/ssh-keys?limit=1001' "$carol"
gets "a page of none" 400 malformed limit GET '/api/v1/ssh-keys?limit=0' "$carol"
gets "not a key" 422 malformed publicKey POST $sign "$carol" '{"publicKey":"hello"}'
for field in duration forceCommand; do
    gets "$field of the wrong type" 400 wrong_type $field POST $sign "$carol" \
        "$(jq -nc --arg k "$key" "{publicKey:\$k, $field:[1]}")"
done
gets "a bad duration" 422 bad_duration duration POST $sign "$carol" "$(jq -nc --arg k "$key" '{publicKey:$k, duration:"7"}')"
gets "a duration that is not offered" 422 duration_refused duration POST $sign "$carol" \
    "$(jq -nc --arg k "$key" '{publicKey:$k, duration:"2d"}')"
gets "a bad network" 422 bad_subnet ipSubnets POST $sign "$carol" "$(jq -nc --arg k "$key" '{publicKey:$k, ipSubnets:["10.1.2.3/8"]}')"
gets "networks that are no list" 400 wrong_type ipSubnets POST $sign "$carol" "$(jq -nc --arg k "$key" '{publicKey:$k, ipSubnets:"10.0.0.0/8"}')"
gets "too many networks" 400 too_long ipSubnets POST $sign "$carol" \
    "$(jq -nc --arg k "$key" '{publicKey:$k, ipSubnets:[range(33)|"10.0.0.\(.)"]}')"
gets "a small RSA key" 422 key_size_refused publicKey POST $sign "$carol" "$(request 'rsa -b 2048')"
gets "a certificate" 422 key_is_cert publicKey POST $sign "$carol" "$(jq -nc --arg k "$(cat "$work/key-cert.pub")" '{publicKey:$k}')"
gets "an SSH2 key" 422 key_rfc4716 publicKey POST $sign "$carol" "$(jq -nc --arg k "$(ssh-keygen -e -f "$work/key.pub")" '{publicKey:$k}')"
gets "a private key" 422 key_private publicKey POST $sign "$carol" "$(jq -nc --arg k "$(cat "$work/key")" '{publicKey:$k}')"
has "is to be given up" '.message | test("compromised")'
secret=$(sed -n 3p "$work/key")
! grep -qF -- "$secret" "$authority"/store/* "$work/posternd.log"
report $? "and is kept nowhere"
status=$(curl -sS --cacert "$authority/tls/ca.pem" -o "$work/last" -w '%{http_code}' -H "Authorization: Bearer $carol" -d '{}' "$url$sign")
[ "$status" = 415 ]
report $? "a form is not JSON"
gets "an unknown path" 404 not_found null GET /api/v1/nothing "$carol"
gets "another method" 405 method_not_allowed null DELETE $sign "$carol"

# ---- quota -----------------------------------------------------------------------------------

for number in 1 2 3 4 5; do
    gets "certificate $number of the day" 200 - - POST $sign "$carol" "$(request ed25519)"
done
cp "$work/key.pub" "$work/fifth.pub"
gets "the sixth is refused" 429 quota_exceeded - POST $sign "$carol" "$(request ed25519)"
grep -qiE '^retry-after: (86[34][0-9]{2})' "$work/head"
report $? "and told when there is room again"
gets "signing a key anew is free" 200 - - POST $sign "$carol" "$(jq -nc --arg k "$(cat "$work/fifth.pub")" '{publicKey:$k}')"

# ---- listing and revoking --------------------------------------------------------------------

api GET /api/v1/ssh-keys "$carol"
has "all valid ones are listed, newest first" '[.sshKeys[].serialNumber|tonumber] as $s | ($s|length) == 6 and $s == ($s|sort|reverse)'
has "and nobody else's" '[.sshKeys[].keyId] | unique == ["bench2@testsite"]'
one=$(jq -r '.sshKeys[0].serialNumber' "$work/last")
gets "a query that is no boolean" 400 wrong_type include_revoked GET '/api/v1/ssh-keys?include_revoked=maybe' "$carol"
revoke=/api/v1/ssh-keys/revoke
gets "somebody else's certificate is unknown" 404 not_found serialNumber PUT $revoke "$alice" "{\"serialNumber\":\"$one\"}"
gets "a serial as a number" 400 wrong_type serialNumber PUT $revoke "$carol" "{\"serialNumber\":$one}"
gets "a serial that is no number" 400 malformed serialNumber PUT $revoke "$carol" '{"serialNumber":"0x1"}'
gets "one's own is revoked" 200 - - PUT $revoke "$carol" "{\"serialNumber\":\"$one\",\"reason\":\"lost\"}"
gets "once" 409 already_revoked serialNumber PUT $revoke "$carol" "{\"serialNumber\":\"$one\"}"
api GET '/api/v1/ssh-keys?include_revoked=1' "$carol"
has "it is shown with the reason" "[.sshKeys[] | select(.status == \"revoked\" and .reason == \"lost\" and .serialNumber == \"$one\")] | length == 1"
gets "all of somebody else's: administrators only" 403 not_permitted username PUT /api/v1/ssh-keys/revoke-all "$carol" '{"username":"bench0"}'
api PUT /api/v1/ssh-keys/revoke-all "$carol" '{"reason":"leaving"}'
has "all of one's own" '.revoked == 5'
api GET /api/v1/ssh-keys "$carol"
has "none is left" '.sshKeys == []'

# ---- a pair made by the authority ------------------------------------------------------------

api POST /api/v1/ssh-keys "$alice" '{"duration":"1d","passphrase":"correct horse"}'
jq -r .sshKey.privateKey "$work/last" >"$work/made"
jq -r .sshKey.publicKey "$work/last" >"$work/made-cert.pub"
chmod 600 "$work/made"
check "the private key opens with its passphrase" ssh-keygen -y -P 'correct horse' -f "$work/made"
refused "and not without" any 'incorrect passphrase' ssh-keygen -y -P '' -f "$work/made"
gets "an unknown type of key" 422 key_type_refused keyType POST /api/v1/ssh-keys "$alice" '{"keyType":"dsa"}'

# ---- operation -------------------------------------------------------------------------------

curl -s --cacert "$authority/tls/ca.pem" "$url/metrics" >"$work/metrics"
check "promtool takes the metrics" "$promtool" check metrics <"$work/metrics"
grep -q '^posternd_sign_decisions_total{code="quota_exceeded"} 1$' "$work/metrics"
report $? "decisions are counted"
sqlite3_rows() { python3 -c "
import sqlite3, sys
print(sqlite3.connect('file:$authority/store/posternd.db?mode=ro', uri=True).execute(sys.argv[1]).fetchone()[0])" "$1"; }
[ "$(sqlite3_rows "SELECT count(*) FROM audit WHERE action LIKE 'certificate.%' AND code IN ('not_logged_in','key_private','quota_exceeded','already_revoked','not_permitted') AND allowed = 0")" = 7 ]
report $? "refusals are in the audit log"
[ "$(sqlite3_rows "SELECT count(*) FROM issued")" = "$(sqlite3_rows "SELECT count(*) FROM audit WHERE allowed = 1 AND action IN ('certificate.sign','certificate.generate')")" ]
report $? "and one row for each certificate"

signer=$(cat "/proc/$pid/task/$pid/children")
grep -q '^NoNewPrivs:.*1' "/proc/${signer// /}/status"
report $? "the signer gets no rights by programs it runs"
if grep -qE '__(asan|tsan)_init' "$posternd"; then
    skip "the signer is locked in" "sanitisers make system calls of their own"
else
    grep -q '^Seccomp:.*2' "/proc/${signer// /}/status"
    report $? "the signer is locked in"
fi
kill -9 $signer
check "a killed signer comes back" wait_for 10 grep -q signer_restarted "$work/posternd.log"
wait_for 10 curl -sf --cacert "$authority/tls/ca.pem" "$url/readyz"
gets "and signs" 200 - - POST $sign "$alice" "$(request ed25519)"

sed -i 's/quota_per_day: 5/quota_per_day: 1/' "$authority/posternd.yaml"
kill -HUP "$pid"
wait_for 10 grep -q '"event":"reloaded"' "$work/posternd.log"
gets "a new policy counts at once" 429 quota_exceeded - POST $sign "$alice" "$(request ed25519)"
echo 'colour: red' >>"$authority/posternd.yaml"
kill -HUP "$pid"
wait_for 10 grep -q '"event":"reload_refused"' "$work/posternd.log"
gets "a bad one is refused, and the last one stays" 429 quota_exceeded - POST $sign "$alice" "$(request ed25519)"
kill -TERM "$pid"
wait "$pid"
report $? "it ends when asked"
! kill -0 "$(pgrep -P "$pid" || echo 999999999)" 2>/dev/null
report $? "and so does the signer"

done_testing
