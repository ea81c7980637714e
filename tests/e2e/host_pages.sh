#!/usr/bin/env bash
# Snapshots in pages: a real authority's, whatever happens between two of them, and a host that is cut short.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/authority_world.sh
. "$here/authority_world.sh"
# Functions that check() and wait_for() call look unreachable.
# shellcheck disable=SC2317
cd "$work" || exit 1

"$posternd" init "$authority" --site test --listen "127.0.0.1:$port" --url "$url" --admin admin >made
"$BUILD/bench/site_make" "$authority/store/posternd.db" 3000 6000 50 20
serve() {
    start posternd "$posternd" serve -c "$authority/posternd.yaml"
    authority_pid=$last_pid
    wait_for 20 curl -sf --cacert "$authority/tls/ca.pem" -o /dev/null "$url/readyz"
}
check "an authority of a large site" serve
enrol "$(grep -oE 'pgi_[A-Za-z0-9_-]+' made)" "correct horse battery"
admin=$token
gets "its administrator may sign" 200 - PUT /api/v1/projects/bench/members/admin "$admin" '{"role":"member"}'
host_enrol() { # NAME JSON
    api POST /api/v1/hosts "$admin" "$2"
    field .enrolmentToken >token
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$1.key"
    printf 'state: %s/%s\nhost_keys: [%s/%s.key.pub]\n' "$work" "$1" "$work" "$1" >"$1.yaml"
    "$postern_host" enrol --url "$url" --ca "$authority/tls/ca.pem" --token-file token --config "$1.yaml" >"$work/last"
}
host_enrol front '{"name":"front","role":"login","cluster":"nancy"}'
report $? "a login host"
host=$(jq -r .hostToken front/host.json)

# ---- the authority's pages ----
page() { # NAME QUERY: takes it as the next page, which is then in NAME.json
    api GET "/api/v1/feed$2" "$host"
    cp "$work/last" "$1.json"
    cp "$work/last_head" "$1.head"
    [ "$status" = 200 ]
}
rest() { # FIRST: takes the pages that follow FIRST.json; page1.json, …, and $pages is how many
    local revision next
    revision=$(jq -r .revision "$1.json") pages=0
    cp "$1.json" page0.json
    while next=$(jq -er .next "page$pages.json"); do
        pages=$((pages + 1))
        page "page$pages" "?snapshot=$revision&after=$next" || return 1
    done
}
last() { jq -e "$1" "page$pages.json"; }
page first ''
report $? "the first page says that it begins"
check "and what brings the next" jq -e '.snapshot == "begins" and (.next | test("^[0-9.]+$"))' first.json
check "in its head as well" grep -qix "link: <?snapshot=$(jq -r .revision first.json)&after=$(jq -r .next first.json)>; rel=\"next\""$'\r' first.head
check "it has no more than a page may have" jq -e '.changes | length <= 2000' first.json
rest first
report $? "the others follow"
check "there are several" test "$pages" -ge 4
check "those between say that they continue" jq -e '.snapshot == "continues" and (.changes | length <= 2000)' page1.json
check "the last says that it ends" last '.snapshot == "ends" and has("next") == false'
refused "its head tells of none to come" any '' grep -qi ^link: "page$pages.head"
check "all accounts, keys and jobs are told, once" jq -es \
    '[.[].changes[]] | (map(select(.kind == "account")) | length == 3001) and (map(select(.kind == "key")) | length == 6000) and
     (map(select(.kind == "job")) | length == 50) and (map(.kind + .key) | length == (unique | length))' page?.json

# u0 is among the first: told in the first page. What becomes of it later is told by the last one.
page first ''
report $? "a new snapshot is begun"
check "an account of its first page" jq -e '.changes | any(.kind == "account" and .key == "u0" and .state.enabled)' first.json
gets "is disabled between pages" 200 - PUT /api/v1/accounts/u0 "$admin" '{"disabled":true}'
gets "a certificate is revoked" 200 - POST /api/v1/ssh-keys/sign "$admin" "{\"publicKey\":\"$(cat front.key.pub)\"}"
serial=$(field .sshKey.serialNumber)
gets "with the page of revocations still to come" 200 - PUT /api/v1/ssh-keys/revoke "$admin" "{\"serialNumber\":\"$serial\",\"reason\":\"test\"}"
gets "an account is added before the cursor" 201 - POST /api/v1/accounts "$admin" '{"name":"a0"}'
gets "with a way to the cluster" 200 - PUT /api/v1/projects/bench/members/a0 "$admin" '{"role":"member"}'
rest first
report $? "the other pages"
check "the last tells that the account may come in no more" last '.changes | map(select(.key == "u0" and .kind == "account")) | last | .state == null'
check "and the account that was added" last '.changes | map(select(.key == "a0")) | last | .state.clusters == ["nancy"]'
check "and its revision is that of today" last ".revision != \"$(jq -r .revision first.json)\""
check "the revocation is told" jq -es "[.[].changes[]] | any(.kind == \"revocation\" and .key == \"$serial\")" page?.json

page first ''
report $? "a snapshot whose authority restarts"
kill "$authority_pid"
wait "$authority_pid" 2>/dev/null
check "is the same afterwards" serve
rest first
report $? "and goes on"
check "to its end" last '.snapshot == "ends"'

revision=$(jq -r .revision first.json)
gets "a cursor without its snapshot" 400 malformed GET '/api/v1/feed?after=3.7' "$host"
gets "a snapshot without a cursor" 400 malformed GET "/api/v1/feed?snapshot=$revision" "$host"
gets "both and a revision" 400 malformed GET "/api/v1/feed?snapshot=$revision&after=3.7&since=1" "$host"
for cursor in '' 3 . 3. .7 9.1 -1.0 3.x 3.7.7 99999999999999999999.1; do
    gets "no cursor: \"$cursor\"" 400 malformed GET "/api/v1/feed?snapshot=$revision&after=$cursor" "$host"
done
gets "one of a thing that is not there" 410 snapshot_gone GET "/api/v1/feed?snapshot=$revision&after=3.999999" "$host"
gets "one of events to come" 410 snapshot_gone GET "/api/v1/feed?snapshot=$revision&after=8.999999" "$host"
gets "a snapshot of the future" 410 snapshot_gone GET "/api/v1/feed?snapshot=$((revision + 1000))&after=3.7" "$host"
gets "one before all that is kept" 410 snapshot_gone GET "/api/v1/feed?snapshot=0&after=3.7" "$host"
gets "a stranger with a right cursor" 401 not_logged_in GET "/api/v1/feed?snapshot=$revision&after=3.7" ''

# ---- a real host takes them ----
status_of() { "$postern_host" status --json --config front.yaml | jq -e "$1"; }
check "a real host takes all of them" "$postern_host" sync --once --config front.yaml
check "and has what they told" status_of '.accounts == 3001 and .registeredKeys == 5998 and .jobs == 50'
check "the KRL was written" sh -c "ssh-keygen -Qlf front/revoked.krl | grep -q 'serial: $serial'"
host_enrol nid000000 '{"name":"nid000000","role":"compute","cluster":"nancy"}'
report $? "a compute node"
check "takes its own" "$postern_host" sync --once --config nid000000.yaml
has_principal() { "$postern_host" principals --state "$work/nid000000" "$1" 1 "$1@test" | grep -qx "$1"; }
check "and lets in who has a job there" has_principal u20
check "and nobody else" test -z "$("$postern_host" principals --state "$work/nid000000" u100 1 u100@test)"

# ---- a host that is cut short keeps what it has ----
ca=$(jq -c '.changes[] | select(.kind == "ca" and .state.type == "user")' first.json)
account() { printf '{"revision":"%s","kind":"account","key":"%s","state":{"enabled":true,"clusters":["nancy"]}}' "$1" "$2"; }
places='{"revision":"5","kind":"cluster","key":"nancy","state":{"address":"","port":22}},{"revision":"5","kind":"host","key":"front","state":{"cluster":"nancy","role":"login","address":"","port":22}}'
ca=$(jq -c '.revision = "5"' <<<"$ca")
printf '{"revision":"5","snapshot":true,"changes":[%s,%s,%s]}' "$ca" "$places" "$(account 5 alice)" >whole
printf '{"revision":"5","snapshot":"begins","changes":[%s,%s,%s],"next":"3.7"}' "$ca" "$places" "$(account 5 bob)" >begins
printf '{"revision":"5","snapshot":"continues","changes":[%s],"next":"3.8"}' "$(account 5 carol)" >continues
printf '{"revision":"6","snapshot":"ends","changes":[%s]}' "$(account 6 dave)" >ends
printf '{"revision":"5","snapshot":"continues","changes":[]}' >blind
port=$(free_port)
jq ".url = \"http://127.0.0.1:$port\"" front/host.json >host.json
cp host.json front/host.json
stand_in() { # FILE…
    start pages python3 "$here/feed_pages.py" "$port" "$@"
    pages_pid=$last_pid
    wait_for 10 port_open
}
port_open() { : 2>/dev/null <"/dev/tcp/127.0.0.1/$port"; }
leave() {
    kill "$1"
    wait "$1" 2>/dev/null || :
}
lets_in() { # NAMES: who of all may log in
    local name names=()
    for name in alice bob carol dave; do
        [ -z "$("$postern_host" principals --state "$work/front" "$name" 1 "$name@test")" ] || names+=("$name")
    done
    [ "${names[*]}" = "$1" ]
}
sync_once() { "$postern_host" sync --once --config front.yaml; }
stand_in whole
check "another authority's snapshot, in one piece" sync_once
check "lets its people in" lets_in alice
leave "$pages_pid"
stand_in begins continues hang
start sync "$postern_host" sync --once --config front.yaml
sync_pid=$last_pid
check "a host between two pages" wait_for 10 grep -q 'after=3.8' pages.log
check "shows nothing of them" lets_in alice
kill -9 "$sync_pid"
wait "$sync_pid" 2>/dev/null
check "killed there, it keeps what it has" lets_in alice
leave "$pages_pid"
for what in 410 cut begins whole blind; do
    stand_in begins "$what"
    refused "a second page that is $what" any '' sync_once
    check "leaves what there was" lets_in alice
    leave "$pages_pid"
done
stand_in begins continues ends
check "the next attempt takes all" sync_once
check "and shows it" lets_in "bob carol dave"
# Without what the host says of itself.
asked() { diff <(printf '/api/v1/feed%s\n' '' "$@") <(sed -E 's/[?&]version=[^&]+&sessions=[0-9]+$//' pages.log); }
check "it asked as it was told" asked '?snapshot=5&after=3.7' '?snapshot=5&after=3.8'
leave "$pages_pid"
stand_in 'begins>?snapshot=5&after=3.7' 'continues>?snapshot=5&after=3.8' ends
check "told of the next in the head as well, it takes all" sync_once
check "and asked for each once" asked '?snapshot=5&after=3.7' '?snapshot=5&after=3.8'
leave "$pages_pid"
stand_in 'begins>?snapshot=5&after=3.9' hang continues 'ends>?snapshot=5&after=9.9'
check "told something else in the head, it takes all" sync_once
check "by what the page says" asked '?snapshot=5&after=3.9' '?snapshot=5&after=3.7' '?snapshot=5&after=3.8' '?snapshot=5&after=9.9'
check "and shows no other" lets_in "bob carol dave"
leave "$pages_pid"

most=$(limit FEED_PAGES_COUNT)
stand_in begins "continues*$((most - 1))" ends
refused "a snapshot of more pages than there may be does not end" any 'the snapshot does not end' sync_once
check "and shows nothing" lets_in "bob carol dave"
leave "$pages_pid"
sed 's/alice/erin/' whole | jq -c '.snapshot = "begins" | .next = "3.7"' >begins_anew
stand_in begins_anew "continues*$((most - 2))" ends
check "one of as many is taken" sync_once
check "and shown" lets_in "carol dave"
leave "$pages_pid"
done_testing
