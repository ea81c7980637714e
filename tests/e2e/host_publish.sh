#!/usr/bin/env bash
# `postern-host sync` tells gates on the same machine what the feed says: at once, and no longer than they listen.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# Functions that check() and wait_for() call look unreachable.
# shellcheck disable=SC2317
cd "$work" || exit 1
port=$(free_port)
url=https://127.0.0.1:$port
socket=$work/state/feed.sock

invitation=$("$posternd" init authority --admin admin --site test --listen "127.0.0.1:$port" --url "$url" | grep -oE 'pgi_[A-Za-z0-9_-]+')
start posternd "$posternd" serve -c authority/posternd.yaml
authority_pid=$last_pid
api() { # METHOD PATH [JSON]
    local arguments=(-sS --fail-with-body --cacert authority/tls/ca.pem --retry 50 --retry-connrefused --retry-delay 1 -X "$1")
    [ -z "${token:-}" ] || arguments+=(-H "Authorization: Bearer $token")
    [ -z "${3:-}" ] || arguments+=(-H 'Content-Type: application/json' --data-binary "$3")
    curl "${arguments[@]}" "$url/api/v1$2"
}
secret=$(api POST /auth/invitation "{\"invitation\":\"$invitation\",\"password\":\"correct horse battery\"}" | jq -r .totpSecret)
token=$(api POST /auth/invitation/confirm \
    "{\"invitation\":\"$invitation\",\"totp\":\"$(oathtool --totp -b "$secret")\"}" | jq -r .access_token)
for step in 'POST /clusters {"name":"daint"}' 'POST /projects {"name":"p1"}' 'PUT /projects/p1/clusters/daint' \
    'PUT /projects/p1/members/admin {"role":"member"}'; do
    read -r method path body <<<"$step"
    check "$method $path" api "$method" "$path" "$body"
done
enrolment=$(api POST /hosts '{"name":"ela","role":"jump"}' | jq -r .enrolmentToken)
ssh-keygen -q -t ed25519 -N '' -C '' -f host_key
ssh-keygen -q -t ed25519 -N '' -C '' -f admin_key
printf 'state: %s/state\nhost_keys:\n  - %s/host_key.pub\n' "$work" "$work" >host.yaml
check "the host enrols" "$postern_host" enrol --url "$url" --config host.yaml --token "$enrolment" --ca authority/tls/ca.pem
certificate() { api POST /ssh-keys/sign "{\"publicKey\":\"$(cat admin_key.pub)\"}" | jq -r .sshKey.serialNumber; }
revoke() { api PUT /ssh-keys/revoke "{\"serialNumber\":\"$1\",\"reason\":\"a secret\"}"; }
first=$(certificate) second=$(certificate) third=$(certificate)

follow() { start sync "$postern_host" sync --config host.yaml; sync_pid=$last_pid; }
reader() { start "$1" python3 "$here/feed_reader.py" "$socket" "${@:2}"; wait_for 10 grep -q connected "$1.log"; }
connects() { python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$socket"; }
status_says() { { "$postern_host" status --config host.yaml || :; } | grep -q "$1"; }

check "status says that no socket is served" status_says 'feed socket *nobody serves it'
follow
check "the socket is served" wait_for 10 connects
check "and status says so" status_says 'feed socket *is served'
check "it is for its group, and nobody else" test "$(stat -c '%a %G' "$socket")" = "660 $(id -gn nobody)"
if [ "$(id -u)" = 0 ]; then
    cp "$here/feed_reader.py" .
    as() { exec setpriv --reuid="$1" --regid="$(id -g "$1")" --clear-groups /usr/bin/python3 feed_reader.py "$socket"; }
    stranger() { (as daemon); }
    refused "a stranger is not let in" any PermissionError stranger
    as nobody >group.log 2>&1 &
    started+=($!)
    check "its group is" wait_for 10 grep -q snapshot group.log
else
    skip "a stranger is not let in" "needs root"
    skip "its group is" "needs root"
fi

reader gate
check "the first frame is a snapshot" wait_for 10 grep -qE '^[0-9]+ [0-9]+ snapshot [0-9]+ .*ca/SHA256:.* account/admin' gate.log
check "with the host itself" grep -q 'host/ela' gate.log

arrived() { awk -v thing="$1" '$3 == "changes" && index($0, thing) {print $1; exit}' "$work/gate.log"; }
has_arrived() { [ -n "$(arrived "$1")" ]; }
revoke "$first" >revoked
answered=${EPOCHREALTIME/[.,]/}
check "a revocation reaches the gate" wait_for 10 has_arrived "revocation/$first"
late=$(($(arrived "revocation/$first") - answered / 1000))
echo "# $late ms after the authority answered"
check "within 100 ms" test "$late" -lt 100
check "and without the reason, which is not its to know" grep -q "revocation/$first" gate.log

check "16 subscribers are served" reader others --idle $((16 - 1 - $([ "$(id -u)" = 0 ] && echo 1 || echo 0)))
timeout 10 python3 "$here/feed_reader.py" "$socket" >beyond.log 2>&1
check "the next sees its end at once" test "$(cat beyond.log)" = "$(printf 'connected\nend')"
check "and the log says so" grep -q feed_subscriber_refused sync.log
kill "$last_pid"
wait "$last_pid" 2>/dev/null
has_room() { grep -qm 1 snapshot < <(timeout 5 python3 "$here/feed_reader.py" "$socket" 2>&1); }
check "room is made by those who leave" wait_for 10 has_room

kill -9 "$sync_pid"
wait "$sync_pid" 2>/dev/null
check "when sync is killed, the gate sees its end" wait_for 10 grep -qx end gate.log
refused "and the socket is served by nobody" any ConnectionRefused connects
check "as status says" status_says 'feed socket *nobody serves it'
revoke "$second" >revoked
# A replica of some size, so that a snapshot is more than a socket holds.
python3 - "$work/state/replica.db" <<'EOF'
import sqlite3, sys
replica = sqlite3.connect(sys.argv[1])
with replica:
    replica.executemany("INSERT INTO account VALUES (?, 1, ',daint,', '', 0)", [(f"u{i:05}",) for i in range(20000)])
EOF
follow
check "after a start it is served again" wait_for 10 connects
reader gate
knows() { grep -qE "^[0-9]+ [0-9]+ (snapshot|changes) [0-9]+ .*revocation/$1" gate.log; }
check "and a new subscriber knows what happened meanwhile" wait_for 10 knows "$second"
reader slow --idle 1
SECONDS=0
revoke "$third" >revoked
check "who reads nothing holds up nobody" wait_for 2 knows "$third"
check "and is cut" wait_for 20 grep -qx end slow.log
check "after ten seconds" test "$SECONDS" -ge 9
check "the others stay" sh -c "! grep -qx end gate.log"

kill "$authority_pid"
wait "$authority_pid" 2>/dev/null
check "when the authority is away" wait_for 20 grep -q feed_failed sync.log
lines=$(wc -l <gate.log)
check "who connects gets the last that is known" has_room
check "and nobody is told anything" test "$(wc -l <gate.log)" = "$lines"
kill "$sync_pid"
wait "$sync_pid" 2>/dev/null
check "a stop by SIGTERM is a stop by SIGTERM" test $? = 143
done_testing
