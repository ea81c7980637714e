#!/usr/bin/env bash
# What frontends may register for accounts, and what not; driven by curl.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/authority_world.sh"
start_authority
alice_signs_in
gets "a cluster" 201 - POST /api/v1/clusters "$admin" '{"name":"nancy"}'
gets "another" 201 - POST /api/v1/clusters "$admin" '{"name":"lyon"}'
gets "a project" 201 - POST /api/v1/projects "$admin" '{"name":"p1"}'
gets "… that reaches the first" 200 - PUT /api/v1/projects/p1/clusters/nancy "$admin"
gets "… and has alice" 200 - PUT /api/v1/projects/p1/members/alice "$admin" '{"role":"member"}'
invite bob blue-river-stone-47
enrol_host n1 '"role":"compute","cluster":"nancy"'
node=$host_token
enrol_host flyon '"role":"login","cluster":"lyon"'
lyon=$host_token
enrol_host fnancy '"role":"login","cluster":"nancy"'
frontend=$host_token

new_key() { # NAME [TYPE]: prints its public half
    [ -e "$work/$1" ] || ssh-keygen -q -t "${2:-ed25519}" -N '' -C '' -f "$work/$1"
    cut -d' ' -f1,2 "$work/$1.pub"
}
registers() { # DESCRIPTION STATUS CODE TOKEN USERNAME KEY
    gets "$1" "$2" "$3" PUT "/api/v1/host/internal-keys/$5" "$4" "{\"publicKey\":\"$6\"}"
}
registers "a site without an inside has none" 409 no_inside "$frontend" alice "$(new_key one)"
sed -i 's|^policy:|&\n  internal_networks: [10.0.0.0/8]|' "$authority/posternd.yaml"
kill -HUP "$authority_pid"
wait_for 10 grep -q reload "$work/posternd.log"
registers "nobody without a token" 401 not_logged_in "" alice "$(new_key one)"
registers "no account, be it an administrator's" 401 not_logged_in "$admin" alice "$(new_key one)"
registers "no node" 403 not_permitted "$node" alice "$(new_key one)"
registers "no frontend of a cluster that the account does not reach" 404 not_found "$lyon" alice "$(new_key one)"
registers "none for an account that does not reach it" 404 not_found "$frontend" bob "$(new_key one)"
registers "nor for one that is not there" 404 not_found "$frontend" nobody "$(new_key one)"
registers "no other kind of key" 422 key_type "$frontend" alice "$(new_key ecdsa ecdsa)"
registers "nor what is none" 422 - "$frontend" alice "ssh-ed25519 AAAA"
gets "alice registers a key of her own" 201 - POST /api/v1/keys "$admin" "{\"publicKey\":\"$(new_key hers)\"}"
registers "which no frontend takes for itself" 409 exists "$frontend" alice "$(new_key hers)"
registers "a frontend of the cluster registers one" 200 - "$frontend" alice "$(new_key one)"
fingerprint=$(field .fingerprint)
registers "again, it is the same" 200 - "$frontend" alice "$(new_key one)"

# What the feed of the frontend has of internal keys.
told() { # DESCRIPTION JQ-CONDITION-ON-THE-LIST
    api GET /api/v1/feed "$frontend"
    # A snapshot ends with what changed since its first page was made: of each key the last word counts.
    jq -e "[.changes | map(select(.kind == \"key\")) | group_by(.key)[] | last.state | select(.use == \"internal\")] | $2" \
        "$work/last" >"$work/condition"
    report $? "$1"
}
told "hosts hear of one, from inside alone" \
    "length == 1 and .[0].account == \"alice\" and .[0].ipSubnets == [\"10.0.0.0/8\"] and .[0].publicKey == \"$(new_key one)\""
registers "another takes its place" 200 - "$frontend" alice "$(new_key two)"
told "there is one, the other" "length == 1 and .[0].publicKey == \"$(new_key two)\""
registers "nobody can have the key of another account" 404 not_found "$frontend" bob "$(new_key two)"
gets "a frontend forgets its own" 200 - DELETE /api/v1/host/internal-keys/alice "$frontend"
has "which was one" '.removed == 1'
gets "again there is none" 200 - DELETE /api/v1/host/internal-keys/alice "$frontend"
has "and nothing happens" '.removed == 0'
gets "a node may not" 403 not_permitted DELETE /api/v1/host/internal-keys/alice "$node"

# As many as there may be, and one more.
more() { # NUMBER: a further frontend's key
    local token
    api POST /api/v1/hosts "$admin" "{\"name\":\"f$1\",\"role\":\"login\",\"cluster\":\"nancy\"}"
    cp "$work/fnancy.key" "$work/f$1.key" && cp "$work/fnancy.key.pub" "$work/f$1.key.pub"
    token=$(host_enrols "f$1" "$(field .enrolmentToken)")
    api PUT /api/v1/host/internal-keys/alice "$token" "{\"publicKey\":\"$(new_key "key$1")\"}"
}
most=$(limit INTERNAL_KEYS_COUNT)
for ((i = 1; i <= most; i++)); do
    more "$i"
    [ "$status" = 200 ] || break
done
check "$most frontends have one each" test "$i" = $((most + 1))
more $((most + 1))
check "the next has no place" test "$status $(field .code)" = "409 too_many"
told "nor do hosts hear of it" "length == $most"
gets "rotation ends all of them" 200 - POST /api/v1/accounts/alice/internal-keys/rotate "$admin"
has "that is $most" ".removed == $most"
told "hosts hear of none" 'length == 0'
gets "only administrators rotate" 403 not_permitted POST /api/v1/accounts/alice/internal-keys/rotate "$token"
registers "then there is room again" 200 - "$frontend" alice "$(new_key one)"
gets "another administrator" 201 - POST /api/v1/accounts "$admin" '{"name":"dave","administrator":true}'
enrol "$(field .invitation)" blue-river-stone-47
gets "alice is disabled" 200 - PUT /api/v1/accounts/alice "$token" '{"disabled":true}'
told "which ends hers" 'length == 0'
registers "and she gets no other" 404 not_found "$frontend" alice "$(new_key one)"
admin=$token
audited "who did what is on record" ".action == \"internal_key.put\" and .actor == \"host:fnancy\" and .detail == \"$fingerprint\""
done_testing
