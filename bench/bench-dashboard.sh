#!/usr/bin/env bash
# The dashboard's first page in Chromium, over loopback and with nothing kept: bytes over the wire, and the time until it is ready.
# Then a list of 10,000 certificates, page by page. LOADS (15). JSON goes to standard output, the table to standard error.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-$root/build/release}
posternd=$BUILD/src/authority/posternd
modules=$root/build/npm/node_modules
if [ ! -d "$modules/playwright-core" ] || ! command -v chromium >/dev/null; then
    echo "bench: the dashboard needs chromium and npm's playwright-core: ./run setup" >&2
    exit 1
fi
work=$(mktemp -d)
pid=
cleanup() {
    [ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || :
    rm -rf "$work"
}
trap cleanup EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=https://127.0.0.1:$port password=correct-horse-battery
"$posternd" init "$work/a" --site bench --url "$url" --listen "127.0.0.1:$port" --admin alice >"$work/init"
invitation=$(grep -oE 'pgi_[A-Za-z0-9_-]{43}' "$work/init")
sqlite3 "$work/a/store/posternd.db" "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
    INSERT INTO issued (serial, account_id, host_id, key_id, fingerprint, ca_fingerprint, issued_at, valid_after, valid_before, counts,
        source, revoked_at, revoked_reason) SELECT i, (SELECT id FROM account WHERE name = 'alice'), 0, 'alice@bench', printf('SHA256:%043d', i), 'SHA256:ca',
        1700000000 + i, 1700000000 + i, 1700086400 + i, 0, '192.0.2.1', 0, '' FROM n"
"$posternd" serve -c "$work/a/posternd.yaml" 2>"$work/log" &
pid=$!
deadline=$((SECONDS + 20))
until curl -sf --cacert "$work/a/tls/ca.pem" "$url/readyz" >/dev/null; do
    [ $SECONDS -lt $deadline ] || { cat "$work/log" >&2; exit 1; }
    read -rt 0.05 <> <(:) || :
done
post() { curl -sSf --cacert "$work/a/tls/ca.pem" -H 'Content-Type: application/json' --data-binary "$2" "$url/api/v1/auth/$1"; }
secret=$(post invitation "{\"invitation\":\"$invitation\",\"password\":\"$password\"}" | jq -r .totpSecret)
post invitation/confirm "{\"invitation\":\"$invitation\",\"totp\":\"$(oathtool --totp -b --now "@$(($(date +%s) - 30))" "$secret")\"}" >/dev/null
code=$(oathtool --totp -b "$secret")
timeout 300 node "$root/bench/dashboard.mjs" "$modules" "$(command -v chromium)" "$url" "$password" "$code" "${LOADS:-15}"
