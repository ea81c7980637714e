#!/usr/bin/env bash
# An authority whose disk is full signs nothing, says so, can still be read, and goes on when there is room again.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# The small disk is mounted in a namespace of our own, so that nothing of it stays behind.
if [ "${1:-}" != inside ]; then
    if unshare --mount true 2>/dev/null; then rmdir "$work" && exec unshare --mount "$0" inside; fi
    skip "a full disk" "needs the right to mount a tmpfs"
    done_testing
fi

port=$(free_port)
url=https://127.0.0.1:$port
authority=$work/authority
mkdir "$work/disk"
mount -t tmpfs -o size=3m tmpfs "$work/disk" || {
    skip "a full disk" "cannot mount a tmpfs"
    done_testing
}

"$posternd" init "$authority" --site testsite --url "$url" --listen "127.0.0.1:$port" --admin root1 >/dev/null
mv "$authority/store" "$work/disk/store"
ln -s "$work/disk/store" "$authority/store"
token=$("$BUILD/bench/sign_bench" prepare "$authority/store/posternd.db" 1)
sed -i 's/quota_per_day: 5/quota_per_day: 100000/' "$authority/posternd.yaml"
start posternd "$posternd" serve -c "$authority/posternd.yaml"
wait_for 20 curl -sf --cacert "$authority/tls/ca.pem" "$url/readyz"

call() { # METHOD PATH [JSON]; sets $status
    status=$(curl -sS --cacert "$authority/tls/ca.pem" --max-time 30 -o "$work/last" -w '%{http_code}' -X "$1" \
        -H "Authorization: Bearer $token" ${3:+-H 'Content-Type: application/json' --data-binary "$3"} "$url$2")
}
sign() {
    rm -f "$work/key" "$work/key.pub"
    ssh-keygen -q -t ed25519 -N '' -f "$work/key"
    call POST /api/v1/ssh-keys/sign "$(jq -nc --arg key "$(cat "$work/key.pub")" '{publicKey:$key}')"
}
listed() { call GET '/api/v1/ssh-keys' && jq '.sshKeys | length' "$work/last"; }

sign
[ "$status" = 200 ]
report $? "with room it signs"

dd if=/dev/zero of="$work/disk/ballast" bs=4k 2>/dev/null
answered=1
for _ in {1..400}; do # what the log file has allocated still takes a few
    sign
    [ "$status" = 200 ] || break
    answered=$((answered + 1))
done
[ "$status" = 507 ] && [ "$(jq -r .code "$work/last")" = disk_full ] && ! grep -q ssh-ed25519-cert "$work/last"
report $? "on a full disk it refuses to sign and says why ($answered signed before)"
for _ in {1..20}; do
    sign
    [ "$status" = 507 ] || break
done
[ "$status" = 507 ]
report $? "again and again"
[ "$(listed)" = $answered ]
report $? "what was answered is on record, and nothing else; it can still be listed"
call PUT /api/v1/ssh-keys/revoke-all '{}'
[ "$status" = 507 ]
report $? "a revocation that cannot be recorded is not pretended"

rm "$work/disk/ballast"
sign
[ "$status" = 200 ]
report $? "with room again it signs again"
[ "$(listed)" = $((answered + 1)) ]
report $? "and nothing was lost"
kill "$last_pid"
wait "$last_pid"
report $? "it ends when asked"
umount "$work/disk"

done_testing
