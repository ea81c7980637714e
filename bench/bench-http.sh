#!/usr/bin/env bash
# What the HTTP server alone costs: CPU time of a small POST over 64 kept connections, with and without TLS. SECONDS_EACH (5).
set -euo pipefail
build=$BUILD seconds=${SECONDS_EACH:-5}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/post.lua" <<'LUA'
wrk.method = "POST"
wrk.path = "/api/v1/ssh-keys/sign"
wrk.body = '{"publicKey":"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0q7gkR1VVn alice","duration":"1d"}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. string.rep("t", 600)
LUA
for kind in plain tls; do
    mkfifo "$dir/$kind"
    "$build/bench/http_bench" "$kind" "$dir" >"$dir/$kind" &
    server=$!
    {
        read -r port
        scheme=https
        [ "$kind" = tls ] || scheme=http
        wrk -t1 -c64 -d"${seconds}s" -s "$dir/post.lua" "$scheme://127.0.0.1:$port/" >"$dir/wrk" 2>&1
        kill "$server"
        cat
    } <"$dir/$kind"
    wait "$server"
    grep -q 'Non-2xx' "$dir/wrk" && cat "$dir/wrk" >&2
    grep 'Requests/sec' "$dir/wrk" >&2
done
