# shellcheck shell=bash
# A small cluster behind a gate, in a network of its own: what the gate's scenarios share. Sourced instead of lib.sh.
#
#   10.99.0.1   ela, the gate, port 22; its authority is feed_sock.py
#   10.99.0.11  daint.example, login host daint-ln001 of cluster daint: a real sshd; alice reaches it
#   10.99.0.12  nid006554, a compute host of daint: another
#   10.99.0.13  santis.example, cluster santis, which alice does not reach: another
#   10.99.0.9   the laptop
#
# alice and bob have accounts; alice is a member of daint, bob of nothing.
if [ -z "${POSTERN_GATE_WORLD:-}" ] && unshare --net --mount --propagation private true 2>/dev/null; then
    POSTERN_GATE_WORLD=1 exec unshare --net --mount --propagation private bash "$0" "$@"
fi
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
if [ -z "${POSTERN_GATE_WORLD:-}" ]; then
    skip "$(sed -n '2s/^# //p' "$0")" "needs root and namespaces: sshd switches users, and the network is of its own"
    done_testing
fi
cd "$work" || exit 1
ip link set lo up
for last in 1 9 11 12 13; do ip address add "10.99.0.$last/32" dev lo; done
gate_ip=10.99.0.1 laptop_ip=10.99.0.9

mkdir -p bin home/alice home/bob state keys ssh /run/sshd
install -m 755 "$BUILD/src/gate/postern-gate" bin/
for file in passwd group shadow; do cp "/etc/$file" "$file"; done
uid=42001
for user in alice bob; do
    echo "$user:x:$uid:$uid::$work/home/$user:/bin/bash" >>passwd
    echo "$user:x:$uid:" >>group
    echo "$user:*:19000:0:99999:7:::" >>shadow
    chown $uid:$uid "home/$user"
    uid=$((uid + 1))
done
getent passwd sshd >/dev/null || echo "sshd:x:20099:65534::/run/sshd:/usr/sbin/nologin" >>passwd
printf '%s\n' "127.0.0.1 localhost" "$gate_ip ela.example" "10.99.0.11 daint.example daint-ln001" "10.99.0.12 nid006554" \
    "10.99.0.13 santis.example" "127.0.0.1 trap.example" "169.254.169.254 metadata.example" >hosts
# A machine may have no hosts; what is mounted needs a place.
[ -e /etc/hosts ] || { : >/etc/hosts && made+=(/etc/hosts); }
for file in passwd group shadow hosts; do mount --bind "$file" "/etc/$file"; done

make_key() { ssh-keygen -q -t "${2:-ed25519}" ${3:+-b "$3"} -N '' -C "$1" -f "keys/$1"; }
serial=100
# A user certificate beside the key: certify KEY PRINCIPALS [ssh-keygen's options]. Its serial is in $serial.
certify() {
    local key=$1 principals=$2
    shift 2
    serial=$((serial + 1))
    ssh-keygen -q -s keys/user_ca -I "$key@test" -n "$principals" -z "$serial" -V -5m:+1h "$@" "keys/$key.pub"
}
for key in user_ca host_ca other_ca alice bob; do make_key $key; done
certify alice alice
certify bob bob
for host in ela:ela.example daint:daint.example,daint-ln001 nid:nid006554 santis:santis.example; do
    ssh-keygen -q -t ed25519 -N '' -C '' -f "ssh/${host%%:*}_key"
    ssh-keygen -q -s keys/host_ca -h -I "${host%%:*}" -n "${host#*:}" -z 7 -V -5m:+1d "ssh/${host%%:*}_key.pub"
done
echo "@cert-authority * $(cut -d' ' -f1,2 keys/host_ca.pub)" >known_hosts

# The feed: `feed` alone tells what is in changes.json; `feed JQ-FILTER` changes it first.
ca_line() { cut -d' ' -f1,2 "keys/$1.pub"; }
ca_key() { ssh-keygen -l -f "keys/$1.pub" | cut -d' ' -f2; }
jq -n --arg user_id "$(ca_key user_ca)" --arg user "$(ca_line user_ca)" --arg host_id "$(ca_key host_ca)" \
    --arg host "$(ca_line host_ca)" '[
    ["ca", $user_id, {type: "user", publicKey: $user}],
    ["ca", $host_id, {type: "host", publicKey: $host}],
    ["account", "alice", {enabled: true, clusters: ["daint"]}],
    ["account", "bob", {enabled: true, clusters: []}],
    ["cluster", "daint", {address: "daint.example", port: 22}],
    ["cluster", "santis", {address: "santis.example", port: 22}],
    ["host", "ela", {cluster: "", role: "jump", address: "ela.example", port: 22}],
    ["host", "daint-ln001", {cluster: "daint", role: "login", address: "daint.example", port: 22}],
    ["host", "nid006554", {cluster: "daint", role: "compute", address: "", port: 22}],
    ["host", "trap", {cluster: "daint", role: "compute", address: "trap.example", port: 22}],
    ["host", "metadata", {cluster: "daint", role: "compute", address: "metadata.example", port: 80}]
]' >changes.json
start feed python3 "$here/feed_sock.py" state/feed.sock changes.json
feed_pid=$last_pid
wait_for 10 test -S state/feed.sock
feed() { # [JQ-FILTER [JQ-OPTIONS…]]
    local filter=${1:-.}
    [ $# = 0 ] || shift
    jq "$@" "$filter" changes.json >changes.new && mv changes.new changes.json && kill -HUP "$feed_pid"
}

sshd_at() { # NAME ADDRESS
    printf '%s\n' "Port 22" "ListenAddress $2" "HostKey $work/ssh/$1_key" "HostCertificate $work/ssh/$1_key-cert.pub" \
        "TrustedUserCAKeys $work/keys/user_ca.pub" "PidFile none" "UsePAM no" "PrintMotd no" \
        "AuthorizedKeysFile $work/home/%u/authorized_keys" "StrictModes no" "MaxStartups 1000" \
        "Subsystem sftp /usr/lib/openssh/sftp-server" >"ssh/$1.conf"
    # Whoever only looks at a banner is penalised since OpenSSH 9.8, and here all come from one address.
    if /usr/sbin/sshd -t -f "ssh/$1.conf" -o PerSourcePenalties=no 2>/dev/null; then
        echo "PerSourcePenalties no" >>"ssh/$1.conf"
    fi
    start "sshd-$1" unshare --uts sh -c "hostname $1; exec /usr/sbin/sshd -D -e -f $work/ssh/$1.conf"
    wait_for 10 grep -q 'Server listening' "sshd-$1.log"
}
sshd_at daint 10.99.0.11 && sshd_at nid 10.99.0.12 && sshd_at santis 10.99.0.13

gate_settings() { # LINES… beside the usual ones
    printf '%s\n' "listen: ['$gate_ip:22']" "host_keys: [$work/ssh/ela_key]" "state: $work/state" "user: nobody" \
        "metrics_listen: '127.0.0.1:9422'" "$@" >gate.yaml
}
gate_start() { # NAME: its log is NAME.log
    start "$1" bin/postern-gate serve -c gate.yaml
    gate_pid=$last_pid
    wait_for 10 gate_answers
}
gate_answers() { bash -c "exec 3<>/dev/tcp/$gate_ip/22 && read -r -t 5 line <&3 && [[ \$line == SSH-2.0-* ]]"; }
gate_stop() { kill -INT "$gate_pid" && wait "$gate_pid"; }
counter() { curl -s http://127.0.0.1:9422/metrics | awk -v name="postern_gate_$1" '$1 == name {print $2}'; }

cat >ssh_config <<CONFIG
Host ela
    HostName ela.example
Host daint
    HostName daint.example
Host nid006554
    HostName nid006554
Host santis
    HostName santis.example
Host daint nid006554 santis
    ProxyJump ela
Host *
    User alice
    IdentityFile $work/keys/alice
    CertificateFile $work/keys/alice-cert.pub
    IdentitiesOnly yes
    IdentityAgent none
    BatchMode yes
    StrictHostKeyChecking yes
    UserKnownHostsFile $work/known_hosts
    GlobalKnownHostsFile /dev/null
    BindAddress $laptop_ip
    ConnectTimeout 20
CONFIG
# The same without an identity: ssh adds what the command line names to what the configuration does.
grep -vE 'IdentityFile|CertificateFile' ssh_config >bare_config
