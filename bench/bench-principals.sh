#!/usr/bin/env bash
# What sshd's principals command costs a login: CPU time of one `postern-host principals`, process start included, with
# 100,000 accounts in the replica, beside /bin/true as the floor of a process here.
set -euo pipefail
accounts=${ACCOUNTS:-100000} revocations=${REVOCATIONS:-1000} runs=${RUNS:-300}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$BUILD/bench/replica_make" "$dir/replica.db" "$accounts" "$revocations"
host="$BUILD/src/host/postern-host"
name=u$((accounts * 7 / 9))
[ "$("$host" principals --state "$dir" "$name" 17 "$name@site")" = "$name" ]
principals=$("$BUILD/bench/child_cost" "$runs" "$host" principals --state "$dir" "$name" 17 "$name@site")
keys=$("$BUILD/bench/child_cost" "$runs" "$host" keys --state "$dir" "$name")
floor=$("$BUILD/bench/child_cost" "$runs" /bin/true)
json="{\"bench\":\"principals\",\"accounts\":$accounts,\"revocations\":$revocations,\"principals\":$principals,\"keys\":$keys,\"process\":$floor}"
python3 - "$json" <<'PY'
import json, sys
data = json.loads(sys.argv[1])
print(f"{data['accounts']} accounts, {data['revocations']} revocations; CPU microseconds of one run")
print(f"{'':12}{'p50':>8}{'p99':>8}{'mean':>8}")
for name in ("principals", "keys", "process"):
    cpu = data[name]["cpu_us"]
    print(f"{name:12}{cpu['p50']:8}{cpu['p99']:8}{cpu['mean']:8}")
PY
echo "$json"
