#!/usr/bin/env bash
# What a person's commands cost: CPU time of one `postern status` and one `postern list`, process start and TLS included, against
# a fresh authority on loopback, beside /bin/true as the floor of a process here. RUNS (200).
set -euo pipefail
runs=${RUNS:-200}
postern=$BUILD/src/cli/postern posternd=$BUILD/src/authority/posternd
work=$(mktemp -d)
pid=
cleanup() {
    [ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || :
    rm -rf "$work"
}
trap cleanup EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=https://127.0.0.1:$port
"$posternd" init "$work/a" --site bench --url "$url" --listen "127.0.0.1:$port" --admin admin >/dev/null
"$BUILD/bench/sign_bench" prepare "$work/a/store/posternd.db" 1 >"$work/tokens"
"$posternd" serve -c "$work/a/posternd.yaml" 2>"$work/log" &
pid=$!
until curl -sf --cacert "$work/a/tls/ca.pem" "$url/readyz" >/dev/null; do kill -0 "$pid"; done

# The session that was prepared, put where `postern login` would put it.
export HOME=$work/home XDG_CONFIG_HOME=$work/home/config XDG_STATE_HOME=$work/home/state
mkdir -p "$HOME/.ssh"
"$postern" init "$url" --yes >/dev/null 2>&1
install -d -m 700 "$XDG_STATE_HOME/posterngate" "$XDG_STATE_HOME/posterngate/bench"
(umask 077 && jq -Rn --arg token "$(awk 'NR == 1 {print $NF}' "$work/tokens")" \
    '{accessToken: $token, expireTime: (now + 3600 | todate), username: "bench0"}' >"$XDG_STATE_HOME/posterngate/bench/token")
ssh-keygen -q -t ed25519 -N '' -f "$HOME/.ssh/id_ed25519"
"$postern" sign >/dev/null

status=$("$BUILD/bench/child_cost" "$runs" "$postern" status)
list=$("$BUILD/bench/child_cost" "$runs" "$postern" list)
floor=$("$BUILD/bench/child_cost" "$runs" /bin/true)
json="{\"bench\":\"start\",\"status\":$status,\"list\":$list,\"process\":$floor}"
python3 - "$json" <<'PY'
import json, sys
data = json.loads(sys.argv[1])
print("CPU microseconds of one run")
print(f"{'':12}{'p50':>8}{'p99':>8}{'mean':>8}")
for name in ("status", "list", "process"):
    cpu = data[name]["cpu_us"]
    print(f"{name:12}{cpu['p50']:8}{cpu['p99']:8}{cpu['mean']:8}")
PY
echo "$json"
