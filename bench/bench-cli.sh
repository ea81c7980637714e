#!/usr/bin/env bash
# What a person's commands cost: CPU and wall time of one run each, process start and TLS included, against a fresh authority on
# loopback, beside `ssh -V` and `ssh-keygen -L` of a certificate in the same run. The goal: status and a postern-refresh that has
# nothing to do take at most twice the CPU of `ssh -V`. RUNS (200).
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

# The session that was prepared, put where `postern login` would put it. No agent: what that costs is the agent's.
export HOME=$work/home XDG_CONFIG_HOME=$work/home/config XDG_STATE_HOME=$work/home/state XDG_RUNTIME_DIR=$work/home/run
unset SSH_AUTH_SOCK POSTERN_API_KEY
mkdir -p "$HOME/.ssh"
mkdir -m 700 "$XDG_RUNTIME_DIR"
"$postern" init "$url" --yes >/dev/null 2>&1
install -d -m 700 "$XDG_STATE_HOME/posterngate" "$XDG_STATE_HOME/posterngate/bench"
(umask 077 && jq -Rn --arg token "$(awk 'NR == 1 {print $NF}' "$work/tokens")" \
    '{accessToken: $token, expireTime: (now + 3600 | todate), username: "bench0"}' >"$XDG_STATE_HOME/posterngate/bench/token")
key=$HOME/.ssh/id_ed25519
ssh-keygen -q -t ed25519 -N '' -f "$key"
"$postern" sign >/dev/null

results=()
measure() { # NAME COMMAND…
    local name=$1
    shift
    # What ssh -V says goes to standard error.
    if ! results+=("\"$name\":$("$BUILD/bench/child_cost" "${without[@]}" "$runs" "$@" 2>"$work/said")"); then
        cat "$work/said" >&2
        exit 1
    fi
}
without=()
ssh=$(command -v ssh) ssh_keygen=$(command -v ssh-keygen)
measure "ssh -V" "$ssh" -V
measure "ssh-keygen -L" "$ssh_keygen" -L -f "$key-cert.pub"
measure "postern" "$postern"
measure "postern status" "$postern" status
measure "postern-refresh, valid" "$BUILD/src/cli/postern-refresh"
measure "postern list" "$postern" list
measure "postern sign" "$postern" sign
without=(-x "$key-cert.pub")
measure "postern-refresh, none" "$BUILD/src/cli/postern-refresh"
without=()
measure "a process" /bin/true
json="{\"bench\":\"cli\",$(IFS=, && echo "${results[*]}")}"
python3 - "$json" <<'PY'
import json, sys
data = json.loads(sys.argv[1])
base = data["ssh -V"]["cpu_us"]["p50"]
print(f"{'microseconds':24}{'CPU p50':>10}{'p99':>8}{'wall p50':>10}{'p99':>8}{'CPU / ssh -V':>14}")
for name, figures in data.items():
    if name != "bench":
        cpu, wall = figures["cpu_us"], figures["wall_us"]
        print(f"{name:24}{cpu['p50']:10}{cpu['p99']:8}{wall['p50']:10}{wall['p99']:8}{cpu['p50'] / base:14.2f}")
PY
echo "$json"
