#!/usr/bin/env bash
# What sshd's principals command costs a login: CPU time of one `postern-host principals`, process start included, with
# 100,000 accounts and 300,000 registered keys in the replica, beside /bin/true as the floor of a process here; and the
# same on a compute node that only jobs open, with 20,000 running jobs on 10,000 nodes.
set -euo pipefail
accounts=${ACCOUNTS:-100000} revocations=${REVOCATIONS:-1000} registered=${KEYS:-300000} jobs=${JOBS:-20000} nodes=${NODES:-10000} runs=${RUNS:-300}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/login" "$dir/node"
"$BUILD/bench/replica_make" "$dir/login/replica.db" "$accounts" "$revocations" daint-ln1 "$registered"
"$BUILD/bench/replica_make" "$dir/node/replica.db" "$accounts" "$revocations" n0 "$registered" "$jobs" "$nodes"
host="$BUILD/src/host/postern-host"
name=u$((accounts * 7 / 9))
"$host" principals --state "$dir/login" "$name" 17 "$name@site" | grep -qx "$name"
"$host" principals --state "$dir/node" u0 17 u0@site | grep -qx u0
[ -z "$("$host" principals --state "$dir/node" u1 17 u1@site)" ] # its job is elsewhere
cost() { "$BUILD/bench/child_cost" "$runs" "$@"; }
principals=$(cost "$host" principals --state "$dir/login" "$name" 17 "$name@site")
keys=$(cost "$host" keys --state "$dir/login" "$name")
node_principals=$(cost "$host" principals --state "$dir/node" u0 17 u0@site)
node_keys=$(cost "$host" keys --state "$dir/node" u0)
floor=$(cost /bin/true)
json="{\"bench\":\"principals\",\"accounts\":$accounts,\"revocations\":$revocations,\"keys_registered\":$registered,\"jobs\":$jobs,\"nodes\":$nodes,\"principals\":$principals,\"keys\":$keys,\"node_principals\":$node_principals,\"node_keys\":$node_keys,\"process\":$floor}"
python3 - "$json" <<'PY'
import json, sys
data = json.loads(sys.argv[1])
print(f"{data['accounts']} accounts, {data['revocations']} revocations, {data['keys_registered']} keys, "
      f"{data['jobs']} jobs on {data['nodes']} nodes; CPU microseconds of one run")
print(f"{'':16}{'p50':>8}{'p99':>8}{'mean':>8}")
for name in ("principals", "keys", "node_principals", "node_keys", "process"):
    cpu = data[name]["cpu_us"]
    print(f"{name:16}{cpu['p50']:8}{cpu['p99']:8}{cpu['mean']:8}")
PY
echo "$json"
