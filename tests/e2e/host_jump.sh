#!/usr/bin/env bash
# A jump host's real sshd leads to a cluster that was added later, and shows renewed certificates, without anybody's help.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# Functions that check() and wait_for() call look unreachable.
# shellcheck disable=SC2317
if [ "$(id -u)" != 0 ]; then
    skip "a jump host learns where it leads to" "needs root: sshd switches users"
    done_testing
fi
cd "$work" || exit 1
mkdir -p bin home ssh /run/sshd
install -m 755 "$postern_host" "$BUILD/src/host/postern-host-sync" bin/
host=$work/bin/postern-host
authority_port=$(free_port) jump_port=$(free_port) daint_port=$(free_port)
url=https://127.0.0.1:$authority_port

for file in passwd group shadow; do cp "/etc/$file" "$file"; done
echo "admin:x:42001:42001::$work/home:/bin/sh" >>passwd
echo "admin:x:42001:" >>group
echo "admin:*:19000:0:99999:7:::" >>shadow

invitation=$("$posternd" init authority --site test --listen "127.0.0.1:$authority_port" --url "$url" --admin admin |
    grep -oE 'pgi_[A-Za-z0-9_-]+')
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

for key in ssh/jump_key ssh/daint_key admin_key; do ssh-keygen -q -t ed25519 -N '' -C '' -f "$key"; done
settings() { printf '%s\n' "state: state" "host_keys: [ssh/jump_key.pub]" "$@" >host.yaml; }
settings
enrolment=$(api POST /hosts "{\"name\":\"ela\",\"role\":\"jump\",\"address\":\"127.0.0.1\",\"port\":$jump_port}" | jq -r .enrolmentToken)
ca=$(openssl x509 -in authority/tls/ca.pem -outform DER | sha256sum | cut -d' ' -f1)
check "the jump host enrols" "$host" enrol --url "$url" --config host.yaml --token "$enrolment" --fingerprint "$ca"
check "and knows where it leads to: nowhere" "$host" sync --once --config host.yaml
check "so sshd opens nothing" grep -qx 'PermitOpen none' state/permit_open.conf

run_sshd() { # NAME PORT
    # shellcheck disable=SC2016
    start "$1" unshare -m sh -c '
        for file in passwd group shadow; do mount --bind "$1/$file" "/etc/$file" || exit 1; done
        exec /usr/sbin/sshd -D -e -f "$1/$2.conf"' sh "$work" "$1"
    wait_for 10 grep -q "Server listening on .* port $2" "$1.log"
}
printf 'Port %s\nListenAddress 127.0.0.1\nPidFile %s/jump.pid\nUsePAM no\nLogLevel VERBOSE\n' "$jump_port" "$work" >jump.conf
"$host" sshd-config --jump-host --config host.yaml >>jump.conf
printf 'Port %s\nListenAddress 127.0.0.2\nPidFile none\nUsePAM no\nHostKey %s\nTrustedUserCAKeys %s\n' \
    "$daint_port" "$work/ssh/daint_key" "$work/state/user_ca.pub" >daint.conf
check "the jump host's sshd runs" run_sshd jump "$jump_port"
check "so does the cluster's" run_sshd daint "$daint_port"
settles() { /usr/sbin/sshd -T -C user="$1",host=h,addr=192.0.2.1 -f jump.conf | grep -qix "permitopen $2"; }
check "sshd reads the file for users" settles admin none
mv state/permit_open.conf kept
check "without it, it opens nothing either" settles admin none
mv kept state/permit_open.conf
check "for root, who is no user of the jump host, it is not read" settles root any

add() { # CLUSTER ADDRESS PORT: one that admin reaches
    api POST /clusters "{\"name\":\"$1\",\"address\":\"$2\",\"port\":$3}" &&
        api PUT "/projects/p1/clusters/$1"
}
api POST /projects '{"name":"p1"}' >"$work/last" && api PUT /projects/p1/members/admin '{"role":"member"}' >>"$work/last"
check "a cluster is added" add santis santis.example 22
api POST /ssh-keys/sign "{\"publicKey\":\"$(cat admin_key.pub)\"}" | jq -r .sshKey.publicKey >admin_key-cert.pub
printf '@cert-authority * %s\n127.0.0.2 %s\n' "$(cat state/host_ca.pub)" "$(cat ssh/daint_key.pub)" >known_hosts
options=(-F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o "UserKnownHostsFile=$work/known_hosts"
    -o IdentitiesOnly=yes -o ConnectTimeout=10 -o IdentityAgent=none -o LogLevel=INFO -i "$work/admin_key")
through() {
    ssh "${options[@]}" -p "$daint_port" -o HostKeyAlias=127.0.0.2 \
        -o "ProxyCommand=ssh ${options[*]} -p $jump_port -W %h:%p admin@127.0.0.1" admin@127.0.0.2 "$@"
}

follow() { start "$1" "$host" sync --config host.yaml; sync_pid=$last_pid; }
stop() { kill "$sync_pid" && wait "$sync_pid" 2>/dev/null; :; }

# Without a command, and with one that fails, it is told.
follow sync-none
check "the file has it" wait_for 20 grep -q ' santis.example:22' state/permit_open.conf
check "without a reload_command the log says what to do" wait_for 10 grep -q sshd_reload_by_hand sync-none.log
check "and the status" "$host" status --config host.yaml
says "by hand, that is" 'sshd +is to be reloaded since .*by hand'
check "also in JSON" sh -c "$host status --json --config host.yaml | jq -e '.reloadDueTime != null and .reloadByHand'"
stop
settings 'reload_command: [sh, -c, "echo not today; exit 3"]'
follow sync-failing
check "a command that fails is logged with what it said" wait_for 10 \
    grep -q 'sshd_not_reloaded.*ended with status 3: not today' sync-failing.log
check "and stays due" test -e state/reload_due
stop
settings 'reload_command: [sleep, "100"]'
follow sync-hanging
check "one that hangs is given LIMIT_RELOAD_S" wait_for $((2 * $(limit RELOAD_S))) grep -q 'sshd_not_reloaded.*took too long' sync-hanging.log
check "and stays due, too" test -e state/reload_due
stop
settings "reload_command: [sh, -c, 'kill -HUP \$(cat $work/jump.pid)']"
follow sync
check "a command that works makes up for it" wait_for 10 grep -q sshd_reloaded sync.log
check "nothing is due then" "$host" status --config host.yaml
says "as the status says" 'sshd +has read everything'

refused "the new cluster cannot be reached before it is one" any 'administratively prohibited' through id -un
reloads() { [ "$(grep -c 'Received SIGHUP; restarting' jump.log)" = "$1" ]; }
check "the cluster is added" add daint 127.0.0.2 "$daint_port"
check "sshd is told by itself" wait_for 20 reloads 2
check "and is up again" wait_for 10 sh -c "[ \$(grep -c 'Server listening' jump.log) = 3 ]"
check "the cluster can be reached through the jump host" through id -un
says "as the account" '^admin$'
check "a change of something else reloads nothing" sh -c "test ! -e state/reload_due"

# sshd shows the certificate that it read at its start.
shown() { # the certificate's serial, as a client sees it
    ssh -v "${options[@]}" -p "$jump_port" admin@127.0.0.1 2>&1 | grep -oE 'Server host certificate: .* serial [0-9]+' | grep -oE '[0-9]+$'
}
before=$(shown)
shows_another() { local now; now=$(shown) && [ -n "$now" ] && [ "$now" != "$before" ]; }
stop
rm ssh/jump_key-cert.pub
follow sync-certificate
check "a lost host certificate is asked for again" wait_for 20 test -s ssh/jump_key-cert.pub
check "sshd is told" wait_for 20 reloads 3
check "and shows the new one" wait_for 20 shows_another
done_testing
