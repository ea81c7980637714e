#!/usr/bin/env bash
# What an API key is bound to holds for its certificates, and a portal gets certificates of its project's people: in its own and in
# other clients' dialects, no further than the project, and no longer than its key.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/authority_world.sh
. "$(dirname "$0")/authority_world.sh"
start_authority
alice_signs_in
invite bob blue-river-stone-47
bob=$token
for name in carol dave; do gets "an account for $name" 201 - POST /api/v1/accounts "$admin" "{\"name\":\"$name\"}"; done
for cluster in daint santis eiger; do
    gets "a cluster $cluster" 201 - POST /api/v1/clusters "$admin" "{\"name\":\"$cluster\"}"
done
for project in p1 p2; do gets "a project $project" 201 - POST /api/v1/projects "$admin" "{\"name\":\"$project\"}"; done
for reach in p1/clusters/daint p1/clusters/santis p2/clusters/eiger; do
    gets "$reach" 200 - PUT "/api/v1/projects/$reach" "$admin"
done
gets "bob manages p1" 200 - PUT /api/v1/projects/p1/members/bob "$admin" '{"role":"manager"}'
gets "carol is in both projects" 200 - PUT /api/v1/projects/p1/members/carol "$admin" '{"role":"member"}'
gets "… indeed" 200 - PUT /api/v1/projects/p2/members/carol "$admin" '{"role":"member"}'
gets "dave is in the other" 200 - PUT /api/v1/projects/p2/members/dave "$admin" '{"role":"member"}'
enrol_host gate1 '"role":"jump","address":"198.51.100.1"'

ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/key"
public=$(cat "$work/key.pub")
exchange() { # API-KEY: prints the token for it
    curl -sS --cacert "$authority/tls/ca.pem" -o "$work/last" -X POST -H "X-API-Key: $1" "${from[@]}" "$url/api/v1/auth/token"
    field .access_token
}
certificate() { # DESCRIPTION PATTERN: of the last answer
    field .sshKey.publicKey >"$work/cert.pub"
    names "$@"
}
names() { # DESCRIPTION PATTERN: the certificate in cert.pub
    ssh-keygen -Lf "$work/cert.pub" >"$work/last"
    says "$@"
}
names_not() { # DESCRIPTION PATTERN
    # shellcheck disable=SC2016
    refused "$1" 1 '' sh -c 'ssh-keygen -Lf "$1" | grep -E "$2"' - "$work/cert.pub" "$2"
}

# ---- what a key is bound to ------------------------------------------------------------------

gets "a manager makes a service account" 201 - POST /api/v1/service-accounts "$bob" '{"name":"portal","project":"p1"}'
has "… which impersonates nobody" '.account.impersonates == false'
keys=/api/v1/service-accounts/portal/api-keys
gets "no key for what the project does not reach" 422 clusters_refused POST $keys "$bob" '{"name":"x","clusters":["daint","eiger"]}'
has "… by its name" '.message | test("eiger")'
gets "… nor for a time that is not offered" 422 duration_refused POST $keys "$bob" '{"name":"x","maxDuration":"1h"}'
has "… which field it is" '.field == "maxDuration"'
gets "a key for daint, from here, a minute each" 201 - POST $keys "$bob" \
    '{"name":"small","clusters":["daint"],"maxDuration":"1min","ipSubnets":["127.0.0.1"]}'
small=$(field .apiKey) small_id=$(field .id)
gets "it is listed so" 200 - GET $keys "$bob"
has "… indeed" '.apiKeys[0] | .clusters == ["daint"] and .maxDuration == "1min" and .lastUsedTime == null'
token=$(exchange "$small")
gets "more than a minute is refused" 422 duration_refused POST /api/v1/ssh-keys/sign "$token" "{\"publicKey\":\"$public\",\"duration\":\"1d\"}"
has "… with the bound" '.message | test("1min")'
gets "a minute is what one gets without a wish" 200 - POST /api/v1/ssh-keys/sign "$token" "{\"publicKey\":\"$public\"}"
has "… a minute" '(.sshKey.expireTime | fromdate) - now | . > 50 and . < 61'
certificate "… for daint alone" '^ +portal@daint$'
says "… from here, and through the jump host" 'source-address 127.0.0.1/32,198.51.100.1/32'
gets "a key does not choose the networks of all" 403 not_permitted PUT /api/v1/access "$token" '{"from":"everywhere"}'

# ---- in the place of others ------------------------------------------------------------------

in_place_of() { # DESCRIPTION STATUS CODE USERNAME [MORE]
    gets "$1" "$2" "$3" POST /api/v1/ssh-keys "$token" "{\"username\":\"$4\"${5:-}}"
}
in_place_of "nobody impersonates without leave" 403 impersonation_refused carol
gets "a manager gives no leave" 403 not_permitted PUT /api/v1/accounts/portal "$bob" '{"impersonates":true}'
gets "a person has none" 422 not_a_service PUT /api/v1/accounts/bob "$admin" '{"impersonates":true}'
gets "a key that ends soon" 201 - POST $keys "$bob" '{"name":"brief","expiresIn":"1h"}'
brief_id=$(field .id) brief=$(exchange "$(field .apiKey)")
gets "gives a certificate" 200 - POST /api/v1/ssh-keys/sign "$brief" "{\"publicKey\":\"$public\"}"
has "… that does not outlast it" '(.sshKey.expireTime | fromdate) - now | . > 3500 and . < 3601'
gets "it is revoked" 200 - DELETE "$keys/$brief_id" "$bob"
gets "nor has an account whose keys managers have" 409 has_keys PUT /api/v1/accounts/portal "$admin" '{"impersonates":true}'
has "… what to do about it" '.message | test("key list portal")'
gets "the key is revoked" 200 - DELETE "$keys/$small_id" "$bob"
gets "an administrator gives leave" 200 - PUT /api/v1/accounts/portal "$admin" '{"impersonates":true}'
has "… as it is told" '.account.impersonates'
gets "its keys are not the managers' to make" 403 not_permitted POST $keys "$bob" '{"name":"mine"}'
gets "they are the administrators'" 201 - POST $keys "$admin" \
    '{"name":"small","clusters":["daint"],"maxDuration":"1min","ipSubnets":["127.0.0.1"]}'
small=$(field .apiKey) small_id=$(field .id)
token=$(exchange "$small")
gets "… and good for the portal itself" 200 - POST /api/v1/ssh-keys/sign "$token" "{\"publicKey\":\"$public\"}"
in_place_of "whoever is not of the project is refused" 403 impersonation_refused dave
said=$(field .message)
in_place_of "… as who does not exist" 403 impersonation_refused nobody
check "… in the same words" test "$(field .message)" = "$said"
in_place_of "… the portal itself" 403 impersonation_refused portal
in_place_of "… an administrator who is no member" 403 impersonation_refused alice
token_of_bob=$token token=$bob
in_place_of "a person impersonates nobody" 403 impersonation_refused carol
token=$token_of_bob
in_place_of "a member is answered 201, as portals expect" 201 - carol ',"duration":"1min"'
has "… with both keys" '.sshKey | (.privateKey | test("OPENSSH PRIVATE KEY")) and (.publicKey | test("cert-v01"))'
field .sshKey.privateKey >"$work/pair" && chmod 600 "$work/pair"
field .sshKey.publicKey >"$work/pair-cert.pub"
check "… which belong together" test "$(ssh-keygen -yf "$work/pair" | ssh-keygen -lf - | cut -d' ' -f2)" = \
    "$(ssh-keygen -Lf "$work/pair-cert.pub" | sed -n 's/.*Public key:.* \(SHA256:[^ ]*\).*/\1/p')"
cp "$work/pair-cert.pub" "$work/cert.pub"
names "… for the portal's clusters" '^ +carol@daint$'
names_not "… and no other" 'santis|eiger|^ +carol$'
gets "another key for all of the project" 201 - POST $keys "$admin" '{"name":"wide"}'
wide=$(field .apiKey)
token=$(exchange "$wide")
in_place_of "by it" 201 - carol
certificate "… all that the project reaches" '^ +carol@santis$'
names_not "… and not what else carol reaches" 'eiger|^ +carol$'
for _ in {1..6}; do in_place_of "carol's quota is not used up" 201 - carol; done
audited "the portal's doing is on record" '.action == "certificate.generate" and .actor == "portal" and .allowed and (.detail | test("^carol: "))'
audited "… and what it was refused" '.code == "impersonation_refused" and .actor == "portal" and .target == "dave"'

# ---- the dialect of one-time tokens ----------------------------------------------------------

sign() { # DESCRIPTION STATUS CODE OTT
    gets "$1" "$2" "$3" POST /sign '' "$(jq -cn --arg key "$public" --arg ott "$4" '{PublicKey: $key, OTT: $ott}')"
}
ticket() { api POST /api/v1/one-time-tokens "$token" "{\"username\":\"$1\"}" && field .token; }
gets "a token for somebody else is refused" 403 impersonation_refused POST /api/v1/one-time-tokens "$token" '{"username":"dave"}'
gets "a person gets none" 403 impersonation_refused POST /api/v1/one-time-tokens "$bob" '{"username":"carol"}'
sign "nonsense is no token" 401 invalid_token eyJhbGciOiJub25lIn0.e30.
sign "nor is an API key" 401 invalid_token "$wide"
ott=$(ticket carol)
check "a token for carol" test -n "$ott"
sign "gives a certificate" 200 - "$ott"
cp "$work/last" "$work/cert.pub"
names "… as text, of carol" '^ +carol@daint$'
says "… for the key" "Public key: ED25519-CERT"
sign "once" 401 invalid_token "$ott"
ott=$(ticket carol)
gets "a bad key spends no token that it does not name" 422 truncated POST /sign '' "{\"PublicKey\":\"ssh-ed25519 AAAA\",\"OTT\":\"$ott\"}"
# Times are the authority's: what it keeps is set back.
most=$(limit TICKET_S)
ticket carol >"$work/ott"
has "it says until when it is good" "(.expireTime | fromdate) - now | . <= $most and . > $most - 10"
ages() { sqlite3 "$authority/store/posternd.db" "UPDATE ticket SET expires_at = expires_at - $1"; } # SECONDS
check "a while later" ages $((most - 30))
sign "it is still good" 200 - "$(cat "$work/ott")"
ticket carol >"$work/ott"
check "so long later" ages "$most"
sign "another is good no more" 401 invalid_token "$(cat "$work/ott")"
audited "… which the log explains" '.code == "invalid_token" and (.detail | test("expired"))'
audited "tokens leave rows" '.action == "certificate.sign_once" and .actor == "portal" and .allowed and (.detail | test("^carol: "))'

# ---- the end ---------------------------------------------------------------------------------

gets "carol sees what was signed for her" 200 - GET '/api/v1/audit?limit=1000' "$admin"
ott=$(token=$(exchange "$small") && ticket carol)
gets "the small key is revoked" 200 - DELETE "$keys/$small_id" "$bob"
has "… with what it obtained, for itself and for others" '.certificatesRevoked >= 2'
sign "… and its tokens" 401 invalid_token "$ott"
ott=$(token=$(exchange "$wide") && ticket carol)
gets "leave is taken away" 200 - PUT /api/v1/accounts/portal "$admin" '{"impersonates":false}'
sign "… which holds for tokens that were given" 403 impersonation_refused "$ott"
sign "… and spends them" 401 invalid_token "$ott"
gets "leave is not given again while keys are valid" 409 has_keys PUT /api/v1/accounts/portal "$admin" '{"impersonates":true}'
gets "the portal is disabled" 200 - PUT /api/v1/accounts/portal "$admin" '{"disabled":true}'
api GET "/api/v1/feed?since=0" "$host_token"
has "… and every certificate that it obtained for carol ends" '[.changes[] | select(.kind == "revocation")] | length >= 9'
in_place_of "… and no other is given" 401 not_logged_in carol
done_testing
