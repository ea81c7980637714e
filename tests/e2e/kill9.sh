#!/usr/bin/env bash
# An authority that is killed (SIGKILL) twenty times under signing load loses no certificate that it answered, signs none that
# is not on record, leaves no signer behind, and starts again each time.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

port=$(free_port)
url=https://127.0.0.1:$port
authority=$work/authority
rounds=20

"$posternd" init "$authority" --site testsite --url "$url" --listen "127.0.0.1:$port" --admin root1 >/dev/null
sed -i 's/quota_per_day: 5/quota_per_day: 100000/' "$authority/posternd.yaml"
"$BUILD/bench/sign_bench" prepare "$authority/store/posternd.db" 120 >"$work/tokens"
: >"$work/answered"

start_authority() {
    start posternd "$posternd" serve -c "$authority/posternd.yaml"
    pid=$last_pid
    wait_for 20 curl -sf --cacert "$authority/tls/ca.pem" "$url/readyz"
}
# Certificates on record.
issued() {
    python3 -c "
import sqlite3
print(sqlite3.connect('file:$authority/store/posternd.db?mode=ro', uri=True).execute('SELECT count(*) FROM issued').fetchone()[0])"
}
more_than() { [ "$(issued)" -gt "$1" ]; }

start_authority
start load python3 "$here/kill9.py" "$port" "$authority/tls/ca.pem" "$work/tokens" "$work/answered" 3600
load=$last_pid
broken=0 orphans=0
for round in $(seq $rounds); do
    # Killed while it signs: after at least a hundred more certificates.
    before=$(issued)
    wait_for 30 more_than $((before + 100)) || broken=$round
    signer=$(cat "/proc/$pid/task/$pid/children")
    kill -9 "$pid"
    wait "$pid" 2>/dev/null
    wait_for 5 sh -c "! kill -0 $signer" || orphans=$((orphans + 1))
    start_authority || {
        broken=$round
        break
    }
done
[ $broken = 0 ]
report $? "it starts and signs again after each of $rounds kills"
[ $orphans = 0 ]
report $? "its signer ends with it"
kill -0 "$load"
report $? "no answer was other than expected"
kill "$load"
wait "$load" 2>/dev/null
kill "$pid"
wait "$pid"

check "what was answered is on record, record and audit log agree" python3 - "$authority/store/posternd.db" "$work/answered" <<'EOP'
import sqlite3, sys
store = sqlite3.connect(sys.argv[1])
assert store.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
issued = {row[0] & 0xFFFFFFFFFFFFFFFF for row in store.execute("SELECT serial FROM issued")}
audited = {int(row[0]) for row in store.execute("SELECT target FROM audit WHERE action = 'certificate.sign' AND allowed = 1")}
lines = open(sys.argv[2]).read().split("\n")
answered = [int(line) for line in lines[:-1]]  # the last one may be cut off where the load was killed
print(f"answered {len(answered)}, on record {len(issued)}")
assert len(answered) > 1000
assert len(set(answered)) == len(answered), "a serial was given twice"
assert set(answered) <= issued, f"lost: {set(answered) - issued}"
assert issued == audited
EOP
sed 's/^/# /' "$work/last"
done_testing
