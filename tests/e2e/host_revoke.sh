#!/usr/bin/env bash
# From `postern revoke` to the end of a session on a plain sshd: a real authority, postern-host sync, and sshd.
# Functions that check() and wait_for() call look unreachable.
# shellcheck source=tests/e2e/lib.sh disable=SC2317
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" != 0 ]; then
    skip "a revocation ends sessions of a real sshd" "needs root: sshd switches users"
    done_testing
fi
cd "$work" || exit 1
mkdir -p bin home ssh /run/sshd
install -m 755 "$postern_host" "$BUILD/src/host/postern-host-sync" bin/
host=$work/bin/postern-host
port=$(free_port) ssh_port=$(free_port)
url=https://127.0.0.1:$port

invitation=$("$posternd" init authority --admin admin --site test --listen "127.0.0.1:$port" --url "$url" | grep -oE 'pgi_[A-Za-z0-9_-]+')
start posternd "$posternd" serve -c authority/posternd.yaml
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
enrolment=$(api POST /hosts '{"name":"daint-ln1","role":"login","cluster":"daint"}' | jq -r .enrolmentToken)
ssh-keygen -q -t ed25519 -N '' -C '' -f ssh/host_key
printf 'state: %s/state\nhost_keys:\n  - %s/ssh/host_key.pub\n' "$work" "$work" >host.yaml
ca=$(openssl x509 -in authority/tls/ca.pem -outform DER | sha256sum | cut -d' ' -f1)
check "the host enrols" "$host" enrol --url "$url" --config host.yaml --token "$enrolment" --fingerprint "$ca"
start manager python3 "$here/notified.py" "$work/notify" told
wait_for 10 grep -qx listening manager.log
start sync env NOTIFY_SOCKET="$work/notify" "$host" sync --config host.yaml
check "and follows" wait_for 10 grep -qx READY=1 told

for file in passwd group shadow; do cp "/etc/$file" "$file"; done
echo "admin:x:42201:42201::$work/home:/bin/bash" >>passwd && echo 'admin:x:42201:' >>group && echo 'admin:*:19000:0:99999:7:::' >>shadow
printf 'Port %s\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nLogLevel VERBOSE\n' "$ssh_port" >sshd.conf
check "sshd's configuration" sh -c "'$host' sshd-config --config host.yaml >>sshd.conf"
# shellcheck disable=SC2016
start sshd unshare -m sh -c '
    for file in passwd group shadow; do mount --bind "$1/$file" "/etc/$file" || exit 1; done
    exec /usr/sbin/sshd -D -e -f "$1/sshd.conf"' sh "$work"
wait_for 10 grep -q 'Server listening' sshd.log

certificate() { # NAME: a new key with a certificate; its serial is in NAME.serial
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$1"
    api POST /ssh-keys/sign "{\"publicKey\":\"$(cat "$1.pub")\"}" >"$1.json"
    jq -r .sshKey.publicKey "$1.json" >"$1-cert.pub"
    jq -r .sshKey.serialNumber "$1.json" >"$1.serial"
    ssh-keygen -L -f "$1-cert.pub" >"$work/last" 2>&1
}
session() { # NAME
    start "$1.session" ssh -F none -tt -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes \
        -o IdentityAgent=none -o LogLevel=ERROR -p "$ssh_port" -i "$1" admin@127.0.0.1 'echo ready; exec sleep 1000'
    pids[$1]=$last_pid
    wait_for 10 grep -q ready "$1.session.log"
}
over() { ! kill -0 "${pids[$1]}" 2>/dev/null; }
declare -A pids
check "a certificate" certificate first
check "another" certificate second
check "a session by the one" session first
check "a session by the other" session second
before=$(date +%s%N)
api PUT /ssh-keys/revoke "{\"serialNumber\":\"$(cat first.serial)\",\"reason\":\"test\"}" >last 2>&1
wait_for 3 over first
took=$((($(date +%s%N) - before) / 1000000))
over first && [ $took -lt 2000 ]
report $? "the revocation ends its session within two seconds"
echo "#   after $took ms"
cp first.session.log last
says "and its user is told" "your certificate $(cat first.serial) was revoked"
check "the log says who, by what, and why" grep -qE '"session_ended","user":"admin","account":"admin","serial":"[0-9]+","reason":"the certificate is revoked"' sync.log
over second
report $((!$?)) "the other session goes on"
before=$(date +%s%N)
api DELETE /projects/p1/clusters/daint >last 2>&1
wait_for 3 over second
took=$((($(date +%s%N) - before) / 1000000))
over second && [ $took -lt 2000 ]
report $? "a project that lost the cluster ends it"
echo "#   after $took ms"
done_testing
