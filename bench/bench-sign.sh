#!/bin/bash
# Certificates per second and per CPU-second of a fresh authority on loopback. SECONDS_EACH (5), CONNECTIONS (64).
# JSON goes to standard output, the table to standard error.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-$root/build/release}
posternd=$BUILD/src/authority/posternd
bench=$BUILD/bench/sign_bench
work=$(mktemp -d)
pid=
cleanup() {
    [ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || :
    rm -rf "$work"
}
trap cleanup EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$posternd" init "$work/a" --site bench --url "https://localhost:$port" --listen "127.0.0.1:$port" --admin admin >/dev/null
# A certificate of a key that has a valid one does not count against the quota; the first ones do.
sed -i 's/log_level:.*//; s/quota_per_day: 5/quota_per_day: 100000/' "$work/a/posternd.yaml"
"$bench" prepare "$work/a/store/posternd.db" 1024 >"$work/tokens"
"$posternd" serve -c "$work/a/posternd.yaml" 2>"$work/log" &
pid=$!
deadline=$((SECONDS + 20))
until curl -sf --cacert "$work/a/tls/ca.pem" "https://localhost:$port/readyz" >/dev/null; do
    [ $SECONDS -lt $deadline ] || { cat "$work/log" >&2; exit 1; }
    read -rt 0.05 <> <(:) || :
done
"$bench" run "$port" "$work/a/tls/ca.pem" "$work/tokens" "$pid" "${SECONDS_EACH:-5}" "${CONNECTIONS:-64}"
