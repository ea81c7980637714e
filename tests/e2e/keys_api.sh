#!/usr/bin/env bash
# Registered keys and an account's own restriction, driven by curl: what is refused, what is published, and what certificates
# then carry.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/authority_world.sh"
start_authority
alice_signs_in
invite bob blue-river-stone-47
bob=$token
invite carol green-field-cloud-12
carol=$token
registers() { # DESCRIPTION STATUS CODE TOKEN PUBLIC-KEY [MORE-MEMBERS]
    gets "$1" "$2" "$3" POST /api/v1/keys "$4" "$(jq -cn --arg key "$5" "{publicKey: \$key} + {${6:-}}")"
}

gets "a cluster" 201 - POST /api/v1/clusters "$admin" '{"name":"daint"}'
gets "a project" 201 - POST /api/v1/projects "$admin" '{"name":"p1"}'
gets "… that reaches it" 200 - PUT /api/v1/projects/p1/clusters/daint "$admin"
for account in bob carol; do
    gets "… and has $account" 200 - PUT "/api/v1/projects/p1/members/$account" "$admin" '{"role":"member"}'
done
enrol_host gate1 '"role":"jump","address":"192.0.2.1"'
gate=$host_token
enrol_host gate2 '"role":"jump","address":"gate2.example"'

# What the feed tells a jump host from $since on; sets $since.
since=0
told() { # DESCRIPTION JQ-CONDITION
    api GET "/api/v1/feed?since=$since" "$gate"
    jq -e "$2" "$work/last" >"$work/condition" 2>&1
    report $? "$1"
    since=$(field .revision)
}
told "a gate follows" '.changes | length > 0'

# ---- refused ---------------------------------------------------------------------------------

gets "nobody registers keys without a login" 401 not_logged_in POST /api/v1/keys '' "{\"publicKey\":\"$(key first)\"}"
gets "there must be a key" 400 missing_field POST /api/v1/keys "$bob" '{}'
registers "nonsense is no key" 422 truncated "$bob" "ssh-ed25519 AAAA"
registers "a private key is burnt" 422 key_private "$bob" "$(cat "$work/first")"
has "… which is said" '.message | test("compromised")'
registers "RSA below the bound is refused" 422 key_size_refused "$bob" "$(key small -t rsa -b 2048)"
has "… with what to do" '.message | test("ssh-keygen")'
ssh-keygen -q -t ed25519 -N '' -f "$work/ca"
key second >/dev/null
ssh-keygen -q -s "$work/ca" -I x -n bob "$work/second.pub"
registers "a certificate is no key" 422 key_is_cert "$bob" "$(cat "$work/second-cert.pub")"
registers "an expiry in the past is refused" 422 expiry_refused "$bob" "$(key first)" 'expireTime: "2020-01-01T00:00:00Z"'
registers "… and one that is no time" 422 bad_time "$bob" "$(key first)" 'expireTime: "tomorrow"'
registers "… and two" 422 expiry_refused "$bob" "$(key first)" 'expireTime: "2099-01-01T00:00:00Z", duration: "1d"'
registers "a duration beyond a year is refused" 422 bad_duration "$bob" "$(key first)" 'duration: "367d"'
registers "no subnets at all is refused" 422 subnets_refused "$bob" "$(key first)" 'ipSubnets: []'
registers "… and two ways to say them" 422 subnets_refused "$bob" "$(key first)" 'ipSubnets: ["10.0.0.0/8"], from: "mine"'
registers "… and a place that is none" 422 subnets_refused "$bob" "$(key first)" 'from: "home"'
registers "33 subnets are refused" 400 too_long "$bob" "$(key first)" "ipSubnets: [$(printf '"10.0.%d.0/24",' {1..33} | sed 's/,$//')]"
api GET /api/v1/keys "$bob"
has "nothing of that is registered" '.keys == []'

# ---- registered ------------------------------------------------------------------------------

registers "a key is registered" 201 - "$bob" "$(key first)"
has "… under its comment, for good, from everywhere" '.key | .name == "first" and .expireTime == null and .ipSubnets == []'
id=$(field .key.id)
told "… and told to gates" "[.changes[] | select(.kind == \"key\" and .key == \"$id\" and .state.account == \"bob\")] | length == 1"
registers "it cannot be again" 409 exists "$bob" "$(key first)"
has "… as which it is, its owner is told" '.message | test("bob already, as first")'
registers "nor by another" 409 exists "$carol" "$(key first)"
has "… who is not told whose it is" '.message | test("bob|first") | not'
registers "a name is given once" 409 exists "$bob" "$(key other)" 'name: "first"'
registers "… and made unlike the others otherwise" 201 - "$bob" "$(key third -C first)"
has "… by a number" '.key.name == "first (2)"'
registers "a key without a comment" 201 - "$bob" "$(key bare -C '')"
has "… is called by its fingerprint" '.key | .name == .fingerprint'
registers "32 subnets are taken" 201 - "$bob" "$(key wide)" "ipSubnets: [$(printf '"10.0.%d.0/24",' {1..32} | sed 's/,$//')]"
registers "a key from here alone, for a day" 201 - "$bob" "$(key mine)" 'from: "mine", duration: "1d"'
has "… knows the address" '.key | .ipSubnets == ["127.0.0.1/32"] and .expireTime != null'
told "… and so do gates" '[.changes[] | select(.kind == "key") | .state | select(.ipSubnets == ["127.0.0.1/32"] and .expireTime != null)] | length == 1'
gets "carol sees none of them" 200 - GET /api/v1/keys "$carol"
has "… indeed" '.keys == []'
gets "… also not by asking" 403 not_permitted GET '/api/v1/keys?account=bob' "$carol"
gets "… nor does she remove one" 404 not_found DELETE "/api/v1/keys/$id" "$carol"
gets "an administrator sees them" 200 - GET '/api/v1/keys?account=bob' "$admin"
has "… all" '.keys | length == 5'
gets "what is no id is not found" 404 not_found DELETE /api/v1/keys/first "$bob"
gets "a key is removed" 200 - DELETE "/api/v1/keys/$id" "$bob"
told "… and gone for gates" "[.changes[] | select(.kind == \"key\" and .key == \"$id\" and .state == null)] | length == 1"
gets "… once" 404 not_found DELETE "/api/v1/keys/$id" "$bob"
registers "it may be carol's now" 201 - "$carol" "$(key first)"
audited "registering left a row" '.action == "key.register" and .actor == "bob" and .allowed and .detail == "mine"'
audited "… and so did what was refused" '.action == "key.register" and .code == "key_private" and (.allowed | not)'
audited "… and the removal" '.action == "key.remove" and .actor == "bob" and .detail == "first"'

# What an API key obtains is bound to its networks and ends with it, which a registered key would not.
gets "a service account" 201 - POST /api/v1/service-accounts "$admin" '{"name":"robot","project":"p1"}'
gets "… with an API key for one address" 201 - POST /api/v1/service-accounts/robot/api-keys "$admin" '{"name":"one","ipSubnets":["127.0.0.1"]}'
curl -sS --cacert "$authority/tls/ca.pem" -o "$work/last" -X POST -H "X-API-Key: $(field .apiKey)" "$url/api/v1/auth/token"
robot=$(field .access_token)
registers "registers no key that would outlive it" 403 not_a_person "$robot" "$(key robots)"
has "… and is told what to do" '.message | test("postern sign")'
gets "nothing of that is registered either" 200 - GET /api/v1/keys "$robot"
has "… indeed" '.keys == []'

registers "a key that soon expires" 201 - "$carol" "$(key brief)" 'duration: "1s"'
expired() {
    api POST /api/v1/keys "$bob" "{\"publicKey\":\"$(key brief)\"}"
    [ "$status" = 201 ]
}
wait_for 10 expired
report $? "… is free for others when it has"

api GET '/api/v1/keys' "$bob"
most=$(limit REGISTERED_KEYS_COUNT)
for ((i = $(field '.keys | length'); i < most; i++)); do
    api POST /api/v1/keys "$bob" "{\"publicKey\":\"$(key "many$i")\"}"
done
check "an account may have $most" test "$status" = 201
registers "… and no more" 409 too_many "$bob" "$(key toomany)"

gets "bob is disabled" 200 - PUT /api/v1/accounts/bob "$admin" '{"disabled":true}'
told "… so none of his keys opens anything" \
    '[.changes[] | select(.kind == "account" and .key == "bob")] | last.state | .enabled == false and .clusters == []'
registers "… and he registers none" 401 not_logged_in "$bob" "$(key toomany)"

# ---- where one may come in from --------------------------------------------------------------

access() { # DESCRIPTION STATUS CODE JSON
    gets "$1" "$2" "$3" PUT /api/v1/access "$carol" "$4"
}
gets "at first from everywhere" 200 - GET /api/v1/access "$carol"
has "… which is no list" '.ipSubnets == []'
access "something must be chosen" 400 missing_field '{}'
access "… with an address in it" 422 subnets_refused '{"ipSubnets":[]}'
access "what shuts oneself out is refused" 409 locks_out '{"ipSubnets":["198.51.100.0/24"]}'
has "… and why is said" '.message | test("127.0.0.1") and test("force")'
access "… unless it is meant" 200 - '{"ipSubnets":["198.51.100.0/24"],"force":true}'
told "gates know it at once" \
    '[.changes[] | select(.key == "carol")] | last.state | .ipSubnets == ["198.51.100.0/24"] and (.critical | index("ipSubnets") != null)'

signed() { # DESCRIPTION SOURCE-ADDRESS [MORE-MEMBERS]
    api POST /api/v1/ssh-keys/sign "$carol" "$(jq -cn --arg key "$(key first)" "{publicKey: \$key} + {${3:-}}")"
    field .sshKey.publicKey >"$work/cert.pub"
    ssh-keygen -Lf "$work/cert.pub" >"$work/last"
    grep -qF "source-address $2" "$work/last"
    report $? "$1"
}
signed "a certificate carries it, and the jump host that has an address" '198.51.100.0/24,192.0.2.1/32'
signed "… what is asked for is taken from that" '198.51.100.7/32' 'ipSubnets: ["198.51.100.7"]'
api POST /api/v1/ssh-keys/sign "$carol" "$(jq -cn --arg key "$(key first)" '{publicKey: $key, ipSubnets: ["203.0.113.0/24"]}')"
has "… and nothing else can be asked for" '.code == "subnets_refused" and (.message | test("your own restriction"))'
access "the present address can be chosen" 200 - '{"from":"mine"}'
has "… as it is" '.ipSubnets == ["127.0.0.1/32"]'
access "everywhere, too" 200 - '{"from":"everywhere"}'
told "… which lifts it for gates" '[.changes[] | select(.key == "carol")] | last.state.ipSubnets == null'
api POST /api/v1/ssh-keys/sign "$carol" "{\"publicKey\":\"$(key first)\"}"
field .sshKey.publicKey >"$work/cert.pub"
refused "… and for certificates" 1 "" sh -c 'ssh-keygen -Lf "$1" | grep source-address' - "$work/cert.pub"
audited "the choice left a row" '.action == "access.choose" and .actor == "carol" and .detail == "198.51.100.0/24"'

# ---- a site's rules --------------------------------------------------------------------------

reload() { # YAML: of policy
    sed -i '/^policy:/,$d' "$authority/posternd.yaml"
    printf '%s\n' "$1" >>"$authority/posternd.yaml"
    : >"$work/mark"
    kill -HUP "$authority_pid"
    wait_for 10 reloaded
}
reloads=0
reloaded() { [ "$(grep -c 'reloaded' "$work/posternd.log")" -gt "$reloads" ]; }
cp "$authority/posternd.yaml" "$work/before.yaml"
check "a site bounds the time" reload $'policy:\n  registered_keys:\n    default_duration: 30d\n    max_duration: 90d'
reloads=$((reloads + 1))
registers "more is refused" 422 expiry_refused "$carol" "$(key fourth)" 'duration: "91d"'
has "… with the bound" '.message | test("90d")'
registers "the bound itself is not" 201 - "$carol" "$(key fourth)" 'duration: "90d"'
registers "without a wish it is the usual one" 201 - "$carol" "$(key fifth)"
has "… a month" '(.key.expireTime | fromdate) - (.key.createTime | fromdate) == 30 * 86400'
check "a site takes no keys" reload $'policy:\n  registered_keys:\n    allowed: false'
registers "none is registered then" 403 keys_refused "$carol" "$(key sixth)"
has "… and certificates are pointed to" '.message | test("postern sign")'
done_testing
