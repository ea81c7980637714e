#!/usr/bin/env bash
# Goal: nobody is asked whether to trust a host, and nobody is warned when one is set up anew: by host certificates, and for
# clients that read none by plain lines.
# Functions are called through check and refused.
# shellcheck disable=SC2317
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
export HOME=$work/home LC_ALL=C.UTF-8 NO_COLOR=1
unset XDG_CONFIG_HOME XDG_STATE_HOME POSTERN_API_KEY SSH_AUTH_SOCK
mkdir -p "$HOME/.ssh" "$work/ssh" "$work/bin"
chmod 700 "$HOME/.ssh"
[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
install -m 755 "$postern_host" "$BUILD/src/host/postern-host-sync" "$work/bin/"
port=$(free_port) url=https://127.0.0.1:$port
password='correct horse battery'
config=$HOME/.config/posterngate/cscs

start_authority() {
    start posternd "$posternd" serve -c "$work/authority/posternd.yaml"
    wait_for 20 bash -c "echo >/dev/tcp/127.0.0.1/$port"
}
fingerprint() {
    openssl s_client -connect "127.0.0.1:$port" -showcerts </dev/null 2>/dev/null |
        awk '/BEGIN CERT/ {pem = ""} {pem = pem $0 "\n"} /END CERT/ {last = pem} END {printf "%s", last}' |
        openssl x509 -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f
}
sign_in() {
    python3 "$here/tty.py" --send '[Pp]assword.*: ' "$password" --send 'again.*: ' "$password" \
        --send '\b([A-Z2-7]{32})\b' "save:$work/totp" --send '[Cc]ode.*: ' "totp:$work/totp:0" -- "$postern" login --invitation "$1"
}
new_host_key() { rm -f "$work/ssh/$1" "$work/ssh/$1.pub" "$work/ssh/$1-cert.pub"; ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/ssh/$1"; }
enrol() { # NAME TOKEN
    printf '%s\n' "state: $work/$1" "host_keys: [$work/ssh/$1.pub]" "command_user: $(id -un)" >"$work/$1.yaml"
    "$work/bin/postern-host" enrol --config "$work/$1.yaml" --url "$url" --token "$2" --fingerprint "$tls" "${@:3}"
}
token() { "$postern" --json admin host "$@" 2>/dev/null | jq -r .enrolmentToken; }
run_sshd() { # NAME PORT: its pid is in $last_pid
    start "sshd-$1" "$(command -v sshd || echo /usr/sbin/sshd)" -D -e -f /dev/null -p "$2" -o ListenAddress=127.0.0.1 -o PidFile=none \
        -o UsePAM=no -h "$work/ssh/$1" -o "HostCertificate=$work/ssh/$1-cert.pub"
    wait_for 10 grep -q 'Server listening' "$work/sshd-$1.log"
}
# How far ssh gets says whether it knew the host: nobody is let in here.
meets() { # FILE PORT [OPTION…]
    local file=$1 at=$2
    shift 2
    ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o "UserKnownHostsFile=$file" -o GlobalKnownHostsFile=none "$@" \
        -o PubkeyAuthentication=no -p "$at" 127.0.0.1 true >"$work/met" 2>&1
    cat "$work/met"
    grep -q 'Permission denied' "$work/met"
}
plain=(-o HostKeyAlgorithms=ssh-ed25519)

"$posternd" init "$work/authority" --site cscs --url "$url" --listen "127.0.0.1:$port" --admin operator >"$work/init.log" 2>&1
check "posternd starts" start_authority
tls=$(fingerprint)
check "init" "$postern" init "$url" --fingerprint "$tls"
refused "without a session there is nothing to fetch" 3 'postern login' "$postern" known-hosts
check "the administrator signs in" sign_in "$(grep -o 'pgi_[A-Za-z0-9_-]*' "$work/init.log" | head -1)"
daint_port=$(free_port) santis_port=$(free_port)
check "two clusters, of which a project reaches one" sh -c "
    $postern admin cluster create daint && $postern admin cluster create santis && $postern admin project create physics &&
    $postern admin project add-cluster physics daint && $postern admin project add-member physics operator"
for host in "daint $daint_port" "santis $santis_port"; do
    read -r name at <<<"$host"
    new_host_key "$name-ln1"
    check "$name-ln1 is enrolled" enrol "$name-ln1" "$(token add "$name-ln1" --role login --cluster "$name" --address 127.0.0.1 --port "$at")"
    check "and its sshd runs" run_sshd "$name-ln1" "$at"
done
refused "the host is not known by itself" any 'verification failed' meets /dev/null "$daint_port"
check "postern known-hosts" "$postern" known-hosts
says "tells both files" 'known_hosts\.plain'
check "ssh knows the host by its certificate" meets "$config/known_hosts" "$daint_port"
check "and without certificates by its key" meets "$config/known_hosts.plain" "$daint_port" "${plain[@]}"
check "the name is known as well as the address" sh -c "grep -qF '[daint-ln1]:$daint_port,[127.0.0.1]:$daint_port ssh-ed25519' '$config/known_hosts.plain'"
refused "a host that the caller does not reach is not in it" any 'verification failed' \
    meets "$config/known_hosts.plain" "$santis_port" "${plain[@]}"
check "--json has the API's names" sh -c "$postern --json known-hosts >$work/json && jq -e '.knownHosts[0].publicKeys | length == 1' $work/json"
if /usr/bin/python3 -c 'import paramiko' 2>/dev/null; then
    check "paramiko knows it by that file, in which it stumbles over nothing" /usr/bin/python3 - "$config/known_hosts.plain" "$daint_port" <<'PY'
import sys, paramiko
client = paramiko.SSHClient()
client.load_host_keys(sys.argv[1])
client.set_missing_host_key_policy(paramiko.RejectPolicy())
try:
    client.connect("127.0.0.1", int(sys.argv[2]), username="alice", password="no", allow_agent=False, look_for_keys=False)
except (paramiko.AuthenticationException, paramiko.BadAuthenticationType):
    sys.exit(0)
PY
else
    skip "paramiko knows it by that file" "python3-paramiko is not installed"
fi

# The node is deployed anew: another host key, and its certificate from the same authority.
kill "${started[1]}" && wait "${started[1]}" 2>/dev/null
new_host_key daint-ln1
rm -rf "$work/daint-ln1"
check "the host is enrolled anew" enrol daint-ln1 "$(token enrol daint-ln1)"
check "and its sshd runs with the new key" run_sshd daint-ln1 "$daint_port"
check "ssh sees no difference: no question, no warning" meets "$config/known_hosts" "$daint_port"
check "nobody is warned of a man in the middle" sh -c "! grep -qi 'identification has changed' $work/met"
refused "a client that goes by the old key is" any 'IDENTIFICATION HAS CHANGED|verification failed' \
    meets "$config/known_hosts.plain" "$daint_port" "${plain[@]}"
check "until postern known-hosts is called" "$postern" known-hosts
check "then it knows the new one" meets "$config/known_hosts.plain" "$daint_port" "${plain[@]}"
done_testing
