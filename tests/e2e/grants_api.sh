#!/usr/bin/env bash
# Automation grants, driven by curl and ssh-keygen: who approves, what a machine gets without anybody, and how it ends.
# Functions that check() and wait_for() call look unreachable.
# shellcheck disable=SC2317
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/authority_world.sh
. "$(dirname "$0")/authority_world.sh"
start_authority
alice_signs_in
invite bob blue-river-stone-47
bob=$token
invite carol green-field-cloud-12
carol=$token
for cluster in daint santis; do
    gets "a cluster $cluster" 201 - POST /api/v1/clusters "$admin" "{\"name\":\"$cluster\"}"
done
gets "a project" 201 - POST /api/v1/projects "$admin" '{"name":"p1"}'
gets "… that reaches one" 200 - PUT /api/v1/projects/p1/clusters/daint "$admin"
for account in bob carol; do
    gets "… and has $account" 200 - PUT "/api/v1/projects/p1/members/$account" "$admin" '{"role":"member"}'
done
enrol_host gate1 '"role":"jump","address":"198.51.100.1"'

# ---- approving -------------------------------------------------------------------------------

approves() { # DESCRIPTION STATUS CODE TOKEN KEY-NAME [MORE-MEMBERS]
    gets "$1" "$2" "$3" POST /api/v1/grants "$4" "$(jq -cn --arg key "$(key "$5")" "{publicKey: \$key} + {${6:-from: \"mine\"}}")"
}
gets "nobody approves without a login" 401 not_logged_in POST /api/v1/grants '' "{\"publicKey\":\"$(key machine)\"}"
gets "there must be a key" 400 missing_field POST /api/v1/grants "$bob" '{"from":"mine"}'
approves "… and where it is used from" 400 missing_field "$bob" machine 'name: "x"'
approves "a cluster out of reach is refused" 422 clusters_refused "$bob" machine 'from: "mine", clusters: ["daint", "santis"]'
has "… by its name" '.message | test("santis")'
approves "so is one that is none" 422 clusters_refused "$bob" machine 'from: "mine", clusters: ["Daint"]'
approves "… and no cluster at all" 422 clusters_refused "$bob" machine 'from: "mine", clusters: []'
approves "a length that is not offered is refused" 422 duration_refused "$bob" machine 'from: "mine", duration: "1h"'
approves "more than 90 days are refused" 422 expiry_refused "$bob" machine 'from: "mine", expiresIn: "91d"'
approves "the past as well" 422 expiry_refused "$bob" machine 'from: "mine", expireTime: "2020-01-01T00:00:00Z"'
approves "and two ends" 422 expiry_refused "$bob" machine 'from: "mine", expiresIn: "1d", expireTime: "2099-01-01T00:00:00Z"'
approves "a command of 1025 bytes is refused" 400 too_long "$bob" machine "from: \"mine\", forceCommand: \"$(printf 'x%.0s' {1..1025})\""
key weak -t rsa -b 2048 >/dev/null
approves "a weak key is refused" 422 key_size_refused "$bob" weak

gets "a service account" 201 - POST /api/v1/service-accounts "$admin" '{"name":"robot","project":"p1"}'
gets "… with an API key" 201 - POST /api/v1/service-accounts/robot/api-keys "$admin" '{"name":"one"}'
curl -sS --cacert "$authority/tls/ca.pem" -o "$work/last" -X POST -H "X-API-Key: $(field .apiKey)" "$url/api/v1/auth/token"
robot=$(field .access_token)
approves "… approves nothing" 403 not_permitted "$robot" machine
has "… for want of a second factor" '.message | test("second factor")'

approves "bob approves: this key, from here, on daint, a minute each, a command" 201 - "$bob" machine \
    'from: "mine", clusters: ["daint"], duration: "1min", expiresIn: "30d", forceCommand: "rsync --server", name: "nightly"'
has "… as it is told" '.grant | .name == "nightly" and .clusters == ["daint"] and .ipSubnets == ["127.0.0.1/32"] and .duration == "1min"
    and .forceCommand == "rsync --server" and .state == "valid" and .lastUsedTime == null'
grant=$(field .grant.id)
approves "not twice for one key" 409 exists "$bob" machine
approves "another machine, with what is usual" 201 - "$bob" other 'from: "everywhere"'
has "… which is a day each, for 30 days, on every cluster" '.grant | .duration == "1d" and .clusters == [] and
    (.expireTime | fromdate) - (.createTime | fromdate) == 30 * 86400 and .name == "other"'
other=$(field .grant.id)
gets "bob sees his grants" 200 - GET /api/v1/grants "$bob"
has "… both" '[.grants[].name] == ["nightly", "other"]'
gets "carol sees none of them" 200 - GET /api/v1/grants "$carol"
has "… indeed" '.grants == []'
gets "… nor by asking" 403 not_permitted GET '/api/v1/grants?account=bob' "$carol"
gets "… nor does she revoke one" 404 not_found DELETE "/api/v1/grants/$grant" "$carol"
gets "an administrator sees them" 200 - GET '/api/v1/grants?account=bob' "$admin"
has "… too" '.grants | length == 2'

# ---- renewing --------------------------------------------------------------------------------

now_ms() { date +%s%3N; }
# What a machine sends; the proof is made by ssh-keygen.
proof() { # KEY-NAME TIME-MS [USERNAME [SITE [NAMESPACE]]]
    local message=$work/message
    printf 'posterngate grant renewal\nsite: %s\naccount: %s\ntime: %s\n' "${4:-test}" "${3:-}" "$2" >"$message"
    rm -f "$message.sig"
    ssh-keygen -q -Y sign -f "$work/$1" -n "${5:-renewal@posterngate}" "$message" 2>/dev/null
    jq -cn --arg time "$2" --arg username "${3:-}" --rawfile signature "$message.sig" \
        '{time: $time, signature: $signature} + if $username == "" then {} else {username: $username} end'
}
renews() { # DESCRIPTION STATUS CODE BODY
    gets "$1" "$2" "$3" POST /api/v1/grants/certificates '' "$4"
}
certificate() { # DESCRIPTION PATTERN: of the last answer
    field .sshKey.publicKey >"$work/cert.pub" && ssh-keygen -Lf "$work/cert.pub" >"$work/last"
    says "$@"
}
renews "nothing is no proof" 400 missing_field '{}'
renews "nor is nonsense" 401 proof_refused "{\"time\":\"$(now_ms)\",\"signature\":\"x\"}"
renews "a signature for another purpose is none" 401 proof_refused "$(proof machine "$(now_ms)" '' test file)"
renews "nor one for another site" 401 proof_refused "$(proof machine "$(now_ms)" '' elsewhere)"
body=$(proof machine "$(now_ms)")
renews "nor one of another time" 401 proof_refused "$(jq -c '.time = "1"' <<<"$body")"
renews "nor one for another account" 401 proof_refused "$(jq -c '.username = "carol"' <<<"$body")"
key stranger >/dev/null
renews "a key without a grant is told so" 404 no_grant "$(proof stranger "$(now_ms)")"
renews "a grant of bob's is not carol's" 404 no_grant "$(proof machine "$(now_ms)" carol)"
renews "a clock that is behind is refused" 401 proof_refused "$(proof machine $(($(now_ms) - 125000)))"
has "… with what to do" '.message | test("behind") and test("timedatectl")'
renews "… or ahead" 401 proof_refused "$(proof machine $(($(now_ms) + 125000)))"
body=$(proof machine "$(now_ms)" bob)
renews "the machine renews" 200 - "$body"
certificate "… a certificate of bob, for daint alone" '^ +bob@daint$'
says "… of its key" "$(ssh-keygen -lf "$work/machine.pub" | cut -d' ' -f2 | sed 's/[+]/[+]/g')"
says "… with the command" 'force-command rsync --server'
says "… from the machine, and the jump host before the cluster" 'source-address 127.0.0.1/32,198.51.100.1/32'
check "… and of no other principal" test "$(sed -n '/Principals:/,/Critical/p' "$work/last" | wc -l)" = 3
renews "the same proof is not good twice" 401 proof_refused "$body"
has "… which is said" '.message | test("used already")'
old=$(proof machine $(($(now_ms) - 60000)))
renews "nor an older one" 401 proof_refused "$old"
renews "a newer one is, for whoever approved it" 200 - "$(proof machine "$(now_ms)")"
gets "bob sees when and from where it was used" 200 - GET /api/v1/grants "$bob"
has "… now" '.grants[0] | (now - (.lastUsedTime | fromdate) < 60) and .lastUsedFrom == "127.0.0.1"'
gets "his quota is not touched" 200 - GET /api/v1/ssh-keys "$bob"
has "… the certificates are his" '.sshKeys | length == 2'
for _ in {1..6}; do api POST /api/v1/grants/certificates '' "$(proof other "$(now_ms)")"; done
check "more than a person's five a day are given" test "$status" = 200
from=(--interface 127.0.0.2)
renews "not from another network" 403 source_refused "$(proof machine "$(now_ms)")"
has "… which is said" '.message | test("127.0.0.2")'
renews "but where it may be used everywhere" 200 - "$(proof other "$(now_ms)")"
from=()
audited "renewals are bob's, with the key" '.action == "grant.renew" and .actor == "bob" and .allowed and (.detail | test("SHA256:"))'
audited "refusals are recorded" '.action == "grant.renew" and .code == "source_refused"'
audited "the approval too" '.action == "grant.create" and .actor == "bob" and (.detail | test("nightly"))'

approves "carol may approve the same machine" 201 - "$carol" machine 'from: "mine"'
renews "then it must say for whom" 409 conflict "$(proof machine "$(now_ms)")"
renews "… by name" 200 - "$(proof machine "$(now_ms)" carol)"
certificate "… and gets hers" '^ +carol$'

# ---- the end ---------------------------------------------------------------------------------

poll() { api GET "/api/v1/feed?since=0" "$host_token"; }
gets "bob revokes it" 200 - DELETE "/api/v1/grants/$grant" "$bob"
has "… with the certificates that it gave" '.certificatesRevoked == 2 and .grant.state == "revoked"'
poll
has "… of which hosts hear" '[.changes[] | select(.kind == "revocation")] | length == 2'
renews "the machine renews no more" 403 grant_ended "$(proof machine "$(now_ms)" bob)"
renews "nor as carol, unless it says so" 409 conflict "$(proof machine "$(now_ms)")"
gets "it is not listed" 200 - GET /api/v1/grants "$bob"
has "… but for the other" '[.grants[].id] == ["'"$other"'"]'
gets "… unless asked for" 200 - GET '/api/v1/grants?include_ended=true' "$bob"
has "… as revoked" '[.grants[].state] == ["revoked", "valid"]'
gets "revoking again changes nothing" 200 - DELETE "/api/v1/grants/$grant" "$bob"
approves "the key may be approved anew" 201 - "$bob" machine 'from: "mine"'
gets "bob is disabled" 200 - PUT /api/v1/accounts/bob "$admin" '{"disabled":true}'
renews "all his grants end" 403 grant_ended "$(proof other "$(now_ms)")"
gets "… also when he is back" 200 - PUT /api/v1/accounts/bob "$admin" '{"disabled":false}'
renews "… for good" 403 grant_ended "$(proof other "$(now_ms)")"
approves "a brief one" 201 - "$carol" brief 'from: "mine", expiresIn: "2s"'
brief_ended() {
    api POST /api/v1/grants/certificates '' "$(proof brief "$(now_ms)")"
    [ "$(field .code)" = grant_ended ]
}
gets "… gives nothing that outlasts it" 200 - POST /api/v1/grants/certificates '' "$(proof brief "$(now_ms)")"
has "… by a second" '(.sshKey.expireTime | fromdate) - now < 3'
wait_for 10 brief_ended
report $? "… and ends"
most=$(limit GRANTS_COUNT)
for ((i = 1; i < most; i++)); do
    api POST /api/v1/grants "$carol" "{\"publicKey\":\"$(key "many$i")\",\"from\":\"mine\"}"
done
check "an account may have $most" test "$status" = 201
approves "… and no more" 409 too_many "$carol" onemore

# ---- a new password --------------------------------------------------------------------------

renews "a machine of carol's has a certificate" 200 - "$(proof many1 "$(now_ms)" carol)"
gets "and she another" 200 - POST /api/v1/ssh-keys/sign "$carol" "{\"publicKey\":\"$(key hers)\"}"
gets "of those that are valid" 200 - GET /api/v1/ssh-keys "$carol"
valid=$(field '.sshKeys | length')
check "… there are both at least" test "$valid" -ge 2
gets "her own new password …" 200 - PUT /api/v1/auth/password "$carol" '{"currentPassword":"green-field-cloud-12","newPassword":"green-lake-stone-48"}'
has "… ends no more than sign-ins, and she is told what is left" ".left == {certificates: $valid, registeredKeys: 0, grants: $most, passkeys: 0}"
renews "… which goes on" 200 - "$(proof many1 "$(now_ms)" carol)"
gets "her factors are reset" 200 - POST /api/v1/accounts/carol/reset-factors "$admin"
cp "$work/last" "$work/reset"
has "… which ends her grants and what they obtained" ".ended == {grants: $most, certificates: $valid}"
has "… but not what she got herself, which is told" '.left == {certificates: 1, registeredKeys: 0, grants: 0, passkeys: 0}'
renews "… so that a machine gets nothing more" 403 grant_ended "$(proof many1 "$(now_ms)" carol)"
audited "… all of it on record" ".action == \"factor.reset\" and .target == \"carol\" and .detail == \"$most grants ended, with $valid certificates; 1 certificates and 0 registered keys are left\""
enrol "$(jq -r .invitation "$work/reset")" green-field-cloud-13
carol=$token
approves "she approves anew" 201 - "$carol" machine 'from: "mine"'

sed -i '/^policy:/,$d' "$authority/posternd.yaml"
printf 'policy:\n  grants:\n    allowed: false\n' >>"$authority/posternd.yaml"
kill -HUP "$authority_pid"
reloaded() { grep -q reloaded "$work/posternd.log"; }
check "a site gives none" wait_for 10 reloaded
renews "… also by those that were approved" 403 grant_ended "$(proof machine "$(now_ms)" carol)"
approves "… and approves no more" 403 grants_refused "$carol" onemore
done_testing
