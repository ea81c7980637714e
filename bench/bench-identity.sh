#!/usr/bin/env bash
# What it costs the authority to know who calls: CPU time of calls with tokens that it has seen before, beside calls that need none;
# and of the sign-in page, over a new TLS connection each time. CPU time is posternd's alone,
# over kept connections. The goal: a known token adds less than 20 us. ROUNDS (5), SECONDS_EACH (2), CONNECTIONS (64), TOKENS (1024), PAGES (200).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-$root/build/release}
posternd=$BUILD/src/authority/posternd seconds=${SECONDS_EACH:-2} connections=${CONNECTIONS:-64} pages=${PAGES:-200}
work=$(mktemp -d)
pid=
cleanup() {
    [ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || :
    rm -rf "$work"
}
trap cleanup EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=https://localhost:$port
"$posternd" init "$work/a" --site bench --url "$url" --listen "127.0.0.1:$port" --admin admin >/dev/null
"$BUILD/bench/sign_bench" prepare "$work/a/store/posternd.db" "${TOKENS:-1024}" >"$work/tokens"
"$posternd" serve -c "$work/a/posternd.yaml" 2>"$work/log" &
pid=$!
until curl -sf --cacert "$work/a/tls/ca.pem" "$url/readyz" >/dev/null; do kill -0 "$pid"; done

cat >"$work/tokens.lua" <<'LUA'
local tokens, turn = {}, 0
function init(arguments)
    for line in io.lines(arguments[1]) do tokens[#tokens + 1] = line end
end
function request()
    turn = turn % #tokens + 1
    return wrk.format("GET", nil, {["Authorization"] = "Bearer " .. tokens[turn]})
end
LUA
cpu_ticks() { awk '{print $14 + $15}' "/proc/$pid/stat"; }
ticks_per_s=$(getconf CLK_TCK)
results=()
record() { # NAME TICKS REQUESTS REFUSED
    results+=("$(python3 -c 'import json, sys
name, ticks, requests, refused, per_s = sys.argv[1], *map(float, sys.argv[2:])
print(json.dumps({"name": name, "cpu_us": round(ticks / per_s * 1e6 / requests, 2), "requests": int(requests), "refused": int(refused)}))' \
        "$1" "$2" "$3" "$4" "$ticks_per_s")")
}
load() { # NAME PATH [FILE-OF-TOKENS]
    local before after count refused script=()
    [ -z "${3:-}" ] || script=(-s "$work/tokens.lua")
    before=$(cpu_ticks)
    wrk -t1 -c"$connections" -d"${seconds}s" "${script[@]}" "$url$2" -- "${@:3}" >"$work/wrk"
    after=$(cpu_ticks)
    count=$(awk '/requests in/ {print $1}' "$work/wrk")
    refused=$(awk '/Non-2xx/ {print $NF}' "$work/wrk")
    record "$1" $((after - before)) "$count" "${refused:-0}"
}
# In turns, for machines that do other things as well.
for ((round = 0; round < ${ROUNDS:-5}; round++)); do
    load "no token, no store (/healthz)" /healthz
    load "no token, the store (/readyz)" /readyz
    load "a known token (/api/v1/access)" /api/v1/access "$work/tokens"
    load "… and what it reaches (whoami)" /api/v1/auth/whoami "$work/tokens"
done

# The page itself: a process of curl each, as a browser that comes for the first time.
before=$(cpu_ticks)
for ((i = 0; i < pages; i++)); do
    curl -sf --cacert "$work/a/tls/ca.pem" --compressed -o "$work/page" -w '%{size_header} %{size_download} %{time_total}\n' "$url/sign-in"
done >"$work/pages"
record "the sign-in page, new connection" $(($(cpu_ticks) - before)) "$pages" 0

python3 - "$work/pages" "${results[@]}" <<'PY'
import json
import statistics
import sys

runs = {}
for text in sys.argv[2:]:
    row = json.loads(text)
    runs.setdefault(row["name"], []).append(row)
rows = [{"name": name, "cpu_us": round(statistics.median(run["cpu_us"] for run in found), 2),
         "least_us": min(run["cpu_us"] for run in found), "most_us": max(run["cpu_us"] for run in found),
         "calls": sum(run["requests"] for run in found), "refused": sum(run["refused"] for run in found)}
        for name, found in runs.items()]
with open(sys.argv[1], encoding="ascii") as file:
    pages = [line.split() for line in file]
times = sorted(float(page[2]) * 1000 for page in pages)
page = {"bytes": int(pages[0][0]) + int(pages[0][1]), "ms_p50": round(times[len(times) // 2], 2),
        "ms_p99": round(times[len(times) * 99 // 100], 2)}
for row in rows:
    print(f"{row['name']:36}{row['cpu_us']:10.2f} us of CPU ({row['least_us']} to {row['most_us']}){row['calls']:10} calls,"
          f" {row['refused']} refused")
# /readyz asks the store one small thing, /api/v1/access none: the first is the least that a token can cost, the second the most.
# The median of the differences within each round.
first, second, third = (runs[row["name"]] for row in rows[:3])
least, most = (round(statistics.median(b["cpu_us"] - a["cpu_us"] for a, b in zip(without, third)), 2) for without in (second, first))
print(f"{'a known token adds':36}{least:10.2f} us of CPU, {most} with the way to the store's thread")
print(f"{'the sign-in page on the wire':36}{page['bytes']:10} bytes, {page['ms_p50']} ms (p99 {page['ms_p99']})")
print(json.dumps({"bench": "identity", "calls": rows, "token_us": least, "token_and_thread_us": most, "page": page}, ensure_ascii=False))
sys.exit(any(row["refused"] for row in rows))
PY
