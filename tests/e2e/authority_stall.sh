#!/usr/bin/env bash
# An authority whose store another program has locked, or that has more passwords to hash than it can, says so with 503, loses
# nothing, and goes on by itself.
# Functions that check() and wait_for() call look unreachable.
# shellcheck disable=SC2317
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
port=$(free_port)
url=https://127.0.0.1:$port
curl=(curl -sS --cacert authority/tls/ca.pem --max-time 60)
burst=60

api() { # METHOD PATH [JSON]; sets $answered; the body is in body, the head in head
    answered=$("${curl[@]}" -X "$1" -D head -o body -w '%{http_code}' -H "Authorization: Bearer $token" \
        ${3:+-H 'Content-Type: application/json' --data-binary "$3"} "$url$2") || answered=none
}
gets() { # DESCRIPTION STATUS CODE METHOD PATH [JSON]
    local description=$1 expected=$2 code=$3
    shift 3
    api "$@"
    cp body last
    [ "$answered" = "$expected" ] && { [ "$code" = - ] || [ "$(jq -r .code body)" = "$code" ]; }
    report $? "$description"
}
metric() { "${curl[@]}" "$url/metrics" | awk -v name="$1" '$1 == name {print $2}'; } # NAME
queued() { [ "$(metric posternd_store_queue)" -ge "$1" ]; }
all_connected() { [ "$(metric posternd_connections)" -ge "$1" ]; }
issued() {
    python3 -c "
import sqlite3
print(sqlite3.connect('file:authority/store/posternd.db?mode=ro', uri=True).execute('SELECT count(*) FROM issued').fetchone()[0])"
}
all() { jq -es "length == $1 and all($2)" answers; } # COUNT CONDITION

mkfifo hold
lock() {
    start lock python3 "$here/lock.py" authority/store/posternd.db hold
    lock_pid=$last_pid
    wait_for 10 grep -qx locked lock.log
}
unlock() {
    : >hold
    wait "$lock_pid"
}

"$posternd" init authority --site stall --url "$url" --listen "127.0.0.1:$port" --admin root1 >init.log
"$BUILD/bench/sign_bench" prepare authority/store/posternd.db $burst >tokens
token=$(head -n 1 tokens)
ssh-keygen -q -t ed25519 -N '' -C '' -f key
request=$(jq -nc --arg key "$(cat key.pub)" '{publicKey: $key}')
jq -Rc --argjson body "$request" '{source: "127.0.0.1", token: ., body: $body}' tokens >signings
sign=/api/v1/ssh-keys/sign
start posternd "$posternd" serve -c authority/posternd.yaml
pid=$last_pid
check "it starts" wait_for 20 "${curl[@]}" -f "$url/readyz"
gets "it signs" 200 - POST $sign "$request"

# ---- a lock that ends in time ----------------------------------------------------------------

check "another program locks the store" lock
python3 "$here/burst.py" "$port" authority/tls/ca.pem $sign signings >answers 2>burst.log &
load=$!
check "they come" wait_for 20 all_connected $burst
# One of them is what the store's thread has at work, or a few.
check "$burst requests wait for it" wait_for 4 queued $((burst / 2))
gets "who needs no store does not wait" 200 - GET /healthz
unlock
wait $load
report $? "each gets an answer"
check "all are signed when the lock is gone" all $burst '.status == 200 and (.body.sshKey.publicKey | startswith("ssh-ed25519-cert-v01"))'
[ "$(issued)" = $((burst + 1)) ]
report $? "all are on record"

# ---- a lock that stays -----------------------------------------------------------------------

lock
python3 "$here/burst.py" "$port" authority/tls/ca.pem $sign signings >answers 2>burst.log &
load=$!
check "another program locks the store, and $burst requests come" wait_for 10 all_connected $burst
begin=$SECONDS
wait $load
report $? "each gets an answer"
check "which says what is wrong" all $burst '.status == 503 and .body.code == "store_unavailable" and (.retryAfter | tonumber) > 0'
! grep -q cert-v01 answers
report $? "and has no certificate"
[ $((SECONDS - begin)) -le 30 ]
report $? "they did not wait one after the other"
gets "a plain read is told the same" 503 store_unavailable GET /api/v1/ssh-keys
gets "the authority is not ready" 503 store_unavailable GET /readyz
[ "$(issued)" = $((burst + 1)) ]
report $? "nothing is on record of what was refused"
[ "$(metric posternd_store_batches_lost_total)" -ge 1 ]
report $? "the loss is counted"
unlock
gets "it signs again when the lock is gone" 200 - POST $sign "$request"
gets "and is ready" 200 - GET /readyz

# ---- more passwords than can be hashed -------------------------------------------------------

# Two threads hash, 256 wait; sixty from one address are no flood yet.
python3 - >logins <<'PY'
import json
for i in range(400):
    body = {"username": f"user{i}", "password": "green-field-cloud-12", "totp": "123456"}
    print(json.dumps({"source": f"127.0.0.{10 + i // 50}", "token": None, "body": body}))
PY
check "400 people log in at the same moment" python3 "$here/burst.py" "$port" authority/tls/ca.pem /api/v1/auth/login logins
cp last answers
check "each is judged or told to come again" all 400 \
    '.status == 401 or (.status == 503 and .body.code == "overloaded" and .retryAfter == "2")'
[ "$(jq -s '[.[] | select(.status == 401)] | length' answers)" -ge 256 ]
report $? "256 and more are judged"
[ "$(jq -s '[.[] | select(.status == 503)] | length' answers)" -ge 1 ]
report $? "and some told to come again"
gets "meanwhile and afterwards it signs" 200 - POST $sign "$request"

# ---- a stop while the store is locked ---------------------------------------------------------

# More than the batches that fail, five seconds each, before the stop runs out of patience.
crowd=2200
python3 - "$token" "$(cat key.pub)" $crowd >signings <<'PY'
import json, sys
for i in range(int(sys.argv[3])):
    print(json.dumps({"source": f"127.0.0.{20 + i // 400}", "token": sys.argv[1], "body": {"publicKey": sys.argv[2]}}))
PY
lock
python3 "$here/burst.py" "$port" authority/tls/ca.pem $sign signings >answers 2>burst.log &
load=$!
check "$crowd requests wait for a locked store" wait_for 60 queued $((crowd - 520))
kill -TERM "$pid"
begin=$SECONDS
wait "$pid"
report $? "it ends when asked"
[ $((SECONDS - begin)) -le 17 ]
report $? "when its time and that of the batch at work are over"
wait $load
unlock

done_testing
