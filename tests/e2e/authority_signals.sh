#!/usr/bin/env bash
# A supervised authority tells its manager how it fares, takes new TLS files and policy while it runs, keeps the old ones when the
# new are broken, and stops under load without losing or halving an answer.
# Functions that check() and wait_for() call look unreachable.
# shellcheck disable=SC2317
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
port=$(free_port)
url=https://127.0.0.1:$port
curl=(curl -sS --cacert authority/tls/ca.pem --max-time 60)
ready() { "${curl[@]}" -f "$url/readyz"; }
told() { [ "$(grep -cx "$1" told)" -ge "$2" ]; } # MESSAGE TIMES
logged() { [ "$(grep -c "\"event\":\"$1\"" posternd.log)" -ge "$2" ]; }
fingerprint() { openssl x509 -in "$1" -noout -fingerprint -sha256; } # FILE
served() { openssl s_client -connect "127.0.0.1:$port" </dev/null 2>>s_client.log | openssl x509 -noout -fingerprint -sha256; }
serves() { [ "$(served)" = "$1" ]; }
durations() { "${curl[@]}" "$url/.well-known/posterngate" | jq -c .policy.durations; }
signs_for() { # DURATION: the status
    "${curl[@]}" -o body -w '%{http_code}' -H "Authorization: Bearer $(head -n 1 tokens)" -H 'Content-Type: application/json' \
        --data-binary "$(jq -nc --arg key "$(cat key.pub)" --arg duration "$1" '{publicKey: $key, duration: $duration}')" \
        "$url/api/v1/ssh-keys/sign"
}

"$posternd" init authority --site signals --url "$url" --listen "127.0.0.1:$port" --admin root1 >init.log
sed -i 's/quota_per_day: 5/quota_per_day: 100000/' authority/posternd.yaml
"$BUILD/bench/sign_bench" prepare authority/store/posternd.db 640 >tokens
ssh-keygen -q -t ed25519 -N '' -C '' -f key

# ---- what the manager is told ----------------------------------------------------------------

start manager python3 "$here/notified.py" "$work/notify" told
manager=$last_pid
wait_for 10 grep -qx listening manager.log
start posternd env NOTIFY_SOCKET="$work/notify" WATCHDOG_USEC=400000 "$posternd" serve -c authority/posternd.yaml
pid=$last_pid
check "it says when it is ready" wait_for 20 told READY=1 1
check "it is" ready
check "it shows again and again that it is alive" wait_for 10 told WATCHDOG=1 3

# ---- new TLS files ---------------------------------------------------------------------------

old=$(fingerprint authority/tls/server.pem)
check "it serves its certificate" serves "$old"
# A connection from before that stays: two requests, with the reload between them.
mkfifo ask
openssl s_client -quiet -ign_eof -connect "127.0.0.1:$port" <ask >kept.log 2>>s_client.log &
kept=$!
exec 7>ask
answers() { [ "$(grep -o 'HTTP/1.1 200' kept.log | wc -l)" -ge "$1" ]; }
ask() { printf 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n' >&7; }
ask
check "a connection is used" wait_for 10 answers 1
"$posternd" init renewed --site signals --url "$url" --listen "127.0.0.1:$port" --admin root1 >>init.log
cp -a authority/tls first-tls
cp renewed/tls/* authority/tls/
new=$(fingerprint authority/tls/server.pem)
serves "$old"
report $? "new files change nothing by themselves"
kill -HUP "$pid"
check "on SIGHUP it reloads" wait_for 10 logged reloaded 1
check "new connections get the new certificate" serves "$new"
check "which those who trust its CA accept" ready
ask
check "the old connection lives on" wait_for 10 answers 2
exec 7>&-
kill "$kept"
wait "$kept" 2>>s_client.log
says_in_turn() { # what the manager heard, watchdog aside
    [ "$(grep -v WATCHDOG told | tr '\n' ' ')" = "$1" ]
}
check "the manager is told" wait_for 10 says_in_turn 'READY=1 RELOADING=1 READY=1 '

openssl ecparam -genkey -name prime256v1 -noout -out authority/tls/server.key 2>>s_client.log
kill -HUP "$pid"
check "a key of another certificate is refused" wait_for 10 logged tls_not_reloaded 1
grep '"event":"tls_not_reloaded"' posternd.log | tail -n 1 | jq -e '.reason | test("server.key")' >last
report $? "by its name"
check "the one before stays" serves "$new"
echo rubbish >authority/tls/server.pem
kill -HUP "$pid"
check "so is a file that is no certificate" wait_for 10 logged tls_not_reloaded 2
check "the one before stays" serves "$new"
rm authority/tls/server.pem
kill -HUP "$pid"
check "so is one that is gone" wait_for 10 logged tls_not_reloaded 3
check "the one before stays" serves "$new"
cp first-tls/* authority/tls/
kill -HUP "$pid"
check "mended, it is taken" wait_for 10 serves "$old"

# ---- a new policy ----------------------------------------------------------------------------

[ "$(signs_for 2h)" = 422 ]
report $? "two hours are not offered"
before=$(grep -c '"event":"reloaded"' posternd.log)
sed -i 's/durations: .*/durations: [1d, 2h, 1min]/' authority/posternd.yaml
kill -HUP "$pid"
check "the policy is reloaded" wait_for 10 logged reloaded $((before + 1))
[ "$(signs_for 2h)" = 200 ]
report $? "two hours are offered"
jq -r .sshKey.publicKey body >key-cert.pub
check "they are given" ssh-keygen -L -f key-cert.pub
durations >last
says "and told to clients" '7200|2h'
sed -i 's/durations: .*/durations: [never]/' authority/posternd.yaml
kill -HUP "$pid"
check "a bad policy is refused" wait_for 10 logged reload_refused 1
[ "$(signs_for 2h)" = 200 ]
report $? "and the one before stays"

# ---- the stop, under load --------------------------------------------------------------------

python3 "$here/drain.py" "$port" authority/tls/ca.pem tokens answered >drain.log 2>&1 &
load=$!
busy() { [ "$(wc -l <answered)" -ge 1000 ]; }
check "64 connections sign" wait_for 60 busy
begin=$EPOCHREALTIME
kill -TERM "$pid"
wait "$pid"
report $? "it ends when asked, under load"
awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN {exit b - a >= 10}'
report $? "within ten seconds"
wait "$load"
status=$?
cp drain.log last
report $status "each request has an answer or none, and none half of one"
grep -q '"event":"stopping","drained":"yes"' posternd.log
report $? "it had finished what it had begun"
check "what is on record was answered, and nothing else" python3 - authority/store/posternd.db answered <<'PY'
import sqlite3, sys
store = sqlite3.connect(sys.argv[1])
issued = {row[0] for row in store.execute("SELECT serial FROM issued")}
answered = {int(line) for line in open(sys.argv[2], encoding="ascii")}
print(f"answered {len(answered)}, on record {len(issued)}")
assert len(answered) >= 1000
assert answered <= issued, f"lost: {answered - issued}"
assert len(issued - answered) == 2, "the two of before"
PY
check "the manager is told of the stop" told STOPPING=1 1
[ "$(grep -v WATCHDOG told | tail -n 1)" = STOPPING=1 ]
report $? "last"

# ---- an abstract socket, and none ------------------------------------------------------------

kill "$manager"
wait "$manager" 2>>s_client.log
sed -i 's/durations: .*/durations: [1d, 1min]/' authority/posternd.yaml
start manager2 python3 "$here/notified.py" "@$work/abstract" told2
wait_for 10 grep -qx listening manager2.log
start posternd2 env NOTIFY_SOCKET="@$work/abstract" "$posternd" serve -c authority/posternd.yaml
check "an abstract socket does as well" wait_for 20 grep -qx READY=1 told2
kill -TERM "$last_pid"
wait "$last_pid"
report $? "it ends when asked"
! grep -q WATCHDOG told2
report $? "who asks for no watchdog gets none"
start posternd3 env NOTIFY_SOCKET="$work/nobody" "$posternd" serve -c authority/posternd.yaml
check "a manager that is not there stops nobody" wait_for 20 ready
kill -TERM "$last_pid"
wait "$last_pid"
report $? "it ends when asked"

done_testing
