#!/usr/bin/env bash
# Somebody who is let in, with a session or as a host, cannot use up the authority: its disk, its hash threads, the memory
# of the feed, or every host's revocation list.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

port=$(free_port)
url=https://127.0.0.1:$port
authority=$work/authority
curl=(curl -sS --cacert "$authority/tls/ca.pem" --max-time 60)

# One call; the body is in $work/last.
api() { # METHOD PATH TOKEN [JSON]
    "${curl[@]}" -o "$work/last" -X "$1" -H "Authorization: Bearer $3" -H 'Content-Type: application/json' \
        --data-binary "${4:-}" "$url$2"
}

# The same call COUNT times on one connection; the status of each in $work/statuses.
flood() { # COUNT METHOD PATH TOKEN [JSON]
    local i arguments=()
    for ((i = 0; i < $1; i++)); do arguments+=(-o /dev/null "$url$3"); done
    "${curl[@]}" -w '%{http_code}\n' -X "$2" -H "Authorization: Bearer $4" -H 'Content-Type: application/json' \
        --data-binary "${5:-}" "${arguments[@]}" >"$work/statuses"
}

answered() { # DESCRIPTION STATUS LEAST MOST
    local count
    count=$(grep -c "^$2\$" "$work/statuses")
    [ "$count" -ge "$3" ] && [ "$count" -le "$4" ]
    local status=$?
    [ $status = 0 ] || sort "$work/statuses" | uniq -c >"$work/last"
    report $status "$1"
}

rows() { python3 -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])' \
    "$authority/store/posternd.db" "$1"; }

"$posternd" init "$authority" --site floods --url "$url" --listen "127.0.0.1:$port" --admin root1 >"$work/init"
sed -i 's/quota_per_day: 5/quota_per_day: 1000/' "$authority/posternd.yaml"
invitation=$(grep -o 'pgi_[A-Za-z0-9_-]*' "$work/init")
start authority "$posternd" serve -c "$authority/posternd.yaml"
wait_for 20 "${curl[@]}" -f "$url/readyz"

api POST /api/v1/auth/invitation '' "{\"invitation\":\"$invitation\",\"password\":\"green-field-cloud-12\"}"
secret=$(jq -r .totpSecret "$work/last")
api POST /api/v1/auth/invitation/confirm '' "{\"invitation\":\"$invitation\",\"totp\":\"$(oathtool --totp -b "$secret")\"}"
admin=$(jq -r .access_token "$work/last")
api POST /api/v1/projects "$admin" '{"name":"p1"}'
check "the administrator is in" api PUT /api/v1/projects/p1/members/root1 "$admin" '{"role":"member"}'

# ---- an account ------------------------------------------------------------------------------

flood 25 POST /api/v1/ssh-keys "$admin" '{}'
answered "key pairs are made" 200 10 14
answered "… but not as many as one likes, whatever the quota" 429 11 15

api POST /api/v1/service-accounts "$admin" '{"name":"robot","project":"p1"}'
api POST /api/v1/service-accounts/robot/api-keys "$admin" '{"name":"one"}'
robot=$(jq -r .apiKey "$work/last")
sessions() { # COUNT: as flood, but for sessions by the API key
    local i arguments=()
    for ((i = 0; i < $1; i++)); do arguments+=(-o /dev/null "$url/api/v1/auth/token"); done
    "${curl[@]}" -w '%{http_code}\n' -X POST -H "X-API-Key: $robot" "${arguments[@]}" >"$work/statuses"
}
began=$SECONDS
sessions 6000
earned=$((20 * (SECONDS - began + 1)))
answered "an API key opens no more sessions than that" 429 $((earned < 100 ? 900 : 1000 - earned)) 1100

began=$SECONDS
flood 6000 GET /api/v1/projects/none "$admin"
# 5000 calls at once and 20 a second: what was earned meanwhile is known to the second.
earned=$((20 * (SECONDS - began + 1)))
answered "a flood of refused calls is throttled" 429 $((earned < 100 ? 900 : 1000 - earned)) 1100
[ "$(rows "SELECT count(*) FROM audit WHERE code = 'not_found'")" -lt 5999 ]
report $? "… and fills no disk"

# ---- a host ----------------------------------------------------------------------------------

start_again() {
    kill "$last_pid" && wait "$last_pid"
    start authority "$posternd" serve -c "$authority/posternd.yaml"
    wait_for 20 "${curl[@]}" -f "$url/readyz"
}
start_again
api POST /api/v1/hosts "$admin" '{"name":"jump.example.org","role":"jump"}'
enrolment=$(jq -r .enrolmentToken "$work/last")
ssh-keygen -q -N '' -t ed25519 -f "$work/hostkey"
keys="\"hostKeys\":[\"$(cat "$work/hostkey.pub")\"]"
api POST /api/v1/host/enrol '' "{\"token\":\"$enrolment\",$keys}"
host=$(jq -r .hostToken "$work/last")

flood 80 POST /api/v1/host/certificates "$host" "{$keys}"
answered "a host gets certificates" 200 60 62
answered "… but not as many as it likes" 429 18 20

api GET /api/v1/feed "$host"
revision=$(jq -r .revision "$work/last")
flood 90 GET /api/v1/feed "$host"
answered "a host gets snapshots" 200 59 70
answered "… but not as many as it likes" 429 20 31

# LIMIT_FEED_POLLS_COUNT is 256.
start polls "${curl[@]}" --parallel --parallel-immediate --parallel-max 300 -o "$work/poll#1.json" --no-buffer \
    -H "Authorization: Bearer $host" "$url/api/v1/feed?since=$revision&n=[1-260]"
polls_answered() { [ "$(find "$work" -name 'poll*.json' -size +0 | wc -l)" -ge "$1" ]; }
check "of too many polls of one host the oldest are answered" wait_for 30 polls_answered 4
! polls_answered 5
report $? "… and the others wait"
api POST /api/v1/accounts "$admin" '{"name":"alice"}'
check "… until something happens" wait_for 30 polls_answered 260
said_alice() { [ "$(grep -l '"alice"' "$work"/poll*.json | wc -l)" = 256 ]; }
check "… which they all learn" said_alice

# LIMIT_HTTP_LONG_POLL_S is 50: no poll waits less for nothing, and none longer but for the tick that ends it.
revision=$(jq -r .revision "$work/poll260.json")
"${curl[@]}" -o "$work/last" -w '%{time_starttransfer}' -H "Authorization: Bearer $host" "$url/api/v1/feed?since=$revision" >"$work/took"
awk '{exit !($1 >= 50 && $1 < 53)}' "$work/took"
report $? "nothing happens, and a poll is let go after fifty seconds ($(cat "$work/took"))"
jq -e --arg revision "$revision" '.changes == [] and .revision == $revision and (.snapshot | not)' "$work/last" >"$work/condition"
report $? "… with nothing"

# ---- a compute host ---------------------------------------------------------------------------

api POST /api/v1/clusters "$admin" '{"name":"nancy"}'
api PUT /api/v1/projects/p1/clusters/nancy "$admin"
api POST /api/v1/hosts "$admin" '{"name":"n1","role":"compute","cluster":"nancy"}'
api POST /api/v1/host/enrol '' "{\"token\":\"$(jq -r .enrolmentToken "$work/last")\",$keys}"
node=$(jq -r .hostToken "$work/last")
tell() { # NUMBERS: of that many jobs; the status of each in $work/statuses
    "${curl[@]}" -o /dev/null -w '%{http_code}\n' -X PUT -H "Authorization: Bearer $node" -H 'Content-Type: application/json' \
        --data-binary '{"username":"root1"}' "$url/api/v1/clusters/nancy/jobs/[$1]" >"$work/statuses"
}
most=$(limit JOBS_PER_NODE_COUNT)
tell "1-$most"
answered "a compute host tells of $most jobs on itself" 200 "$most" "$most"
tell $((most + 1))-$((most + 6))
answered "… and of no more" 409 6 6
flood 3000 PUT /api/v1/clusters/nancy/jobs/1 "$node" '{"username":"root1"}'
answered "telling the same again changes nothing, and costs nothing" 200 3000 3000
api PUT /api/v1/clusters/nancy/jobs/big "$admin" '{"username":"root1","nodes":["m[1-9999]"]}'
# Whether it runs out at a PUT or at a DELETE is the machine's: the DELETE after a PUT that was refused finds nothing (404), the PUT
# after a DELETE that was refused changes nothing (200).
turns=()
for ((i = 0; i < 100; i++)); do
    for method in PUT DELETE; do
        turns+=(--next "${curl[@]:1}" -o /dev/null -w '%{http_code}\n' -X "$method" -H "Authorization: Bearer $node"
            -H 'Content-Type: application/json' --data-binary "$([ $method = DELETE ] || echo '{"username":"root1"}')"
            "$url/api/v1/clusters/nancy/jobs/big")
    done
done
curl "${turns[@]:1}" >"$work/statuses"
answered "it joins and leaves a big job a few times" 200 20 150
answered "… and not as often as it likes: each is told of all its nodes" 429 50 90
done_testing
