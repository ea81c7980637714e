#!/usr/bin/env bash
# Clients that others wrote pass the gate to a real sshd: OpenSSH's tools, PuTTY's, paramiko, asyncssh, libssh, Conch, npm ssh2.
# shellcheck source=tests/e2e/gate_world.sh
. "$(dirname "$0")/gate_world.sh"
# Functions that check() and wait_for() call look unreachable.
# shellcheck disable=SC2317
gate_settings
check "the gate starts" gate_start gate
ssh=(ssh -F ssh_config)

# --- OpenSSH ---
check "ssh -J reaches the login host" "${ssh[@]}" daint 'id -un; hostname'
says "as alice" '^alice$'
says "on daint" '^daint$'
check "and a compute host" "${ssh[@]}" nid006554 hostname
check "-W by itself" sh -c 'ssh -F ssh_config -W daint.example:22 ela </dev/null | head -c 8 | grep -q SSH-2.0-'
check "a name in capitals, and with a dot at its end" sh -c \
    'for name in DAINT.Example daint.example.; do ssh -F ssh_config -W $name:22 ela </dev/null | head -c 8 | grep -q SSH-2.0- || exit 1; done'
check "ssh ela tells who one is" "${ssh[@]}" -T ela
says "the account" 'alice'
says "the cluster" 'daint'
says "from where" "$laptop_ip"
check "also with a terminal" python3 "$root/tests/e2e/tty.py" -- "${ssh[@]}" -tt ela
# ssh offers the key alone first then, each time.
grep -v CertificateFile ssh_config >implied_config
check "the certificate beside the key is found without CertificateFile" ssh -F implied_config -T ela
check "again" ssh -F implied_config -T ela
check "nobody is told that the key alone is not enough" sh -c '! grep -q "not registered" last'
check "cat of 50 MB is whole, up" sh -c \
    'head -c 50000000 /dev/urandom >big && ssh -F ssh_config daint "sha256sum" <big | cut -c1-64 >sum && sha256sum big | cut -c1-64 | cmp - sum'
check "and down" sh -c 'cp big home/alice/big && chown alice home/alice/big && ssh -F ssh_config daint cat big | cmp - big'
check "scp both ways" sh -c 'scp -q -F ssh_config big daint:up && scp -q -F ssh_config daint:up down && cmp big down'
check "sftp" sh -c 'printf "get up down2\nls -l\nbye\n" | sftp -q -F ssh_config -b - daint && cmp big down2'
check "rsync" sh -c 'mkdir -p tree/a && cp big tree/a && rsync -a -e "ssh -F $PWD/ssh_config" tree/ daint:tree/ && cmp big home/alice/tree/a/big'

port=$(free_port)
start forward "${ssh[@]}" -N -o ExitOnForwardFailure=yes -L "127.0.0.1:$port:daint.example:22" ela
forward_pid=$last_pid
check "-L leads to the host" wait_for 10 sh -c "timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/$port; head -c 8 <&3' | grep -q SSH-2.0-"
port=$(free_port)
start socks "${ssh[@]}" -N -D "127.0.0.1:$port" ela
socks_pid=$last_pid
check "-D too, by name" wait_for 10 sh -c "timeout 5 curl -s --http0.9 --max-time 2 --socks5-hostname 127.0.0.1:$port http://daint.example:22 | head -c 8 | grep -q SSH-2.0-"
check "ControlMaster" "${ssh[@]}" -o ControlMaster=yes -o ControlPath="$work/mux" -o ControlPersist=30 -fN ela
cat >many.py <<'PY'
import paramiko
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.WarningPolicy())
client.connect("ela.example", 22, "alice", key_filename="keys/alice", look_for_keys=False, allow_agent=False)
channels = [client.get_transport().open_channel("direct-tcpip", ("daint.example", 22), ("127.0.0.1", 0)) for _ in range(250)]
assert all(channel.recv(8) == b"SSH-2.0-" for channel in channels)
PY
check "250 channels of one session at once" /usr/bin/python3 -W ignore many.py
many() { # COUNT: so many hosts through one connection at the same time
    local i pids=() bad=0
    for ((i = 0; i < $1; i++)); do
        "${ssh[@]}" -o ProxyJump=none -o "ProxyCommand=ssh -F ssh_config -o ControlPath=$work/mux -W %h:%p ela" daint "echo $i" &
        pids+=($!)
    done
    for i in "${pids[@]}"; do wait "$i" || bad=1; done
    return $bad
}
check "ten sessions through one connection" many 10
ssh -F ssh_config -o ControlPath="$work/mux" -O exit ela 2>/dev/null

for cipher in aes128-gcm@openssh.com aes256-gcm@openssh.com chacha20-poly1305@openssh.com aes256-ctr; do
    check "cipher $cipher, with a new key every megabyte" sh -c "
        ssh -F ssh_config -o Ciphers=$cipher -o ProxyJump=none -o 'ProxyCommand=ssh -F ssh_config -o Ciphers=$cipher -o RekeyLimit=1M -W %h:%p ela' \
            daint cat big | cmp - big &&
        ssh -F ssh_config -o ProxyJump=none -o 'ProxyCommand=ssh -F ssh_config -o Ciphers=$cipher -o RekeyLimit=1M -W %h:%p ela' daint sha256sum <big |
            cut -c1-64 | cmp - sum"
done
for kex in $(ssh -Q kex | grep -xE 'mlkem768x25519-sha256|curve25519-sha256|curve25519-sha256@libssh.org|ecdh-sha2-nistp256'); do
    check "key exchange $kex" "${ssh[@]}" -o KexAlgorithms="$kex" -T ela
done
for type in "ecdsa 256" "ecdsa 384" "ecdsa 521" "rsa 3072"; do
    # shellcheck disable=SC2086
    make_key "alice-${type// /-}" $type
    certify "alice-${type// /-}" alice
    check "a certificate for a key of type $type" ssh -F bare_config -o CertificateFile="keys/alice-${type// /-}-cert.pub" \
        -i "keys/alice-${type// /-}" -T ela
    says "that one" "certificate $serial "
done
agent() { # through an agent
    eval "$(ssh-agent)" >/dev/null && ssh-add -q keys/alice && ssh -F bare_config -o IdentityAgent="$SSH_AUTH_SOCK" -o IdentitiesOnly=no -T ela
    local status=$?
    kill "$SSH_AGENT_PID"
    return $status
}
check "the certificate in an agent" agent
start quiet "${ssh[@]}" -N -o ServerAliveInterval=1 -o ServerAliveCountMax=2 ela
quiet_pid=$last_pid

mkdir -m 700 plain && cp keys/alice plain/
# --- what is refused, in the protocol's own way ---
refused "exec" 255 'exec request failed|request failed' "${ssh[@]}" ela id
refused "sftp on the gate" any 'Connection closed|subsystem request failed' sh -c 'echo ls | sftp -q -F ssh_config -b - ela'
refused "a remote forwarding" 255 'remote port forwarding failed' "${ssh[@]}" -N -o ExitOnForwardFailure=yes -R 2222:localhost:22 ela
check "an agent forwarding leads to nothing" sh -c 'eval $(ssh-agent) >/dev/null; ssh -F ssh_config -A -T ela; kill $SSH_AGENT_PID'
refused "a cluster one does not reach" any 'administratively prohibited|not a host' "${ssh[@]}" santis hostname
refused "a name that leads to loopback" any 'administratively prohibited' "${ssh[@]}" -W trap.example:22 ela
refused "a name that leads to a metadata service" any 'administratively prohibited' "${ssh[@]}" -W metadata.example:80 ela
for place in localhost:22 127.0.0.1:22 127.1:22 '[::1]:22' 2130706433:22 0.0.0.0:22 169.254.169.254:80 10.99.0.13:22 10.99.0.1:22 daint.example:23; do
    refused "the way to $place" any 'administratively prohibited' "${ssh[@]}" -W "$place" ela
done
refused "another user's name" 255 'Permission denied' "${ssh[@]}" -l bob -T ela
refused "a plain key" 255 'Permission denied' ssh -F bare_config -i plain/alice -T ela
check "the quiet session has stayed" kill -0 "$quiet_pid"

# --- PuTTY ---
if command -v plink >/dev/null; then
    puttygen keys/alice -o alice.ppk --add-cert keys/alice-cert.pub 2>/dev/null ||
        puttygen keys/alice -o alice.ppk --certificate keys/alice-cert.pub
    mkdir -p putty
    fingerprint=$(ssh-keygen -l -f ssh/ela_key.pub | cut -d' ' -f2)
    plink=(timeout 60 env "HOME=$work/putty" plink -batch -no-antispoof -i alice.ppk -l alice)
    target=$(ssh-keygen -l -f ssh/daint_key.pub | cut -d' ' -f2)
    check "plink -nc to a real sshd" sh -c "${plink[*]} -hostkey $fingerprint -nc daint.example:22 ela.example </dev/null | head -c 8 | grep -q SSH-2.0-"
    check "plink through plink" "${plink[@]}" -hostkey "$target" -proxycmd \
        "plink -batch -i $work/alice.ppk -l alice -hostkey $fingerprint -nc %host:%port ela.example" daint.example 'hostname'
    says "on daint" '^daint'
    check "psftp" sh -c "printf 'get up down3\nquit\n' | timeout 60 env HOME=$work/putty psftp -batch -i alice.ppk -l alice -hostkey $target \
        -proxycmd 'plink -batch -i $work/alice.ppk -l alice -hostkey $fingerprint -nc %host:%port ela.example' -b /dev/stdin daint.example && cmp big down3"
fi

# --- libraries ---
cat >paramiko_client.py <<'PY'
import paramiko
def client(host, sock=None):
    c = paramiko.SSHClient()
    c.set_missing_host_key_policy(paramiko.WarningPolicy())
    c.connect(host, 22, "alice", key_filename="keys/alice", sock=sock, look_for_keys=False, allow_agent=False, timeout=20)
    return c
gate = client("ela.example")
for turn in range(3):
    channel = gate.get_transport().open_channel("direct-tcpip", ("daint.example", 22), ("127.0.0.1", 0))
    host = client("daint.example", channel)
    assert host.exec_command("hostname")[1].read() == b"daint\n"
    with host.open_sftp() as sftp:
        sftp.get("up", "down4")
    assert open("down4", "rb").read() == open("big", "rb").read()
    gate.get_transport().renegotiate_keys()
    host.close()
gate.close()
PY
check "paramiko, with a new key now and then" /usr/bin/python3 -W ignore paramiko_client.py
cat >asyncssh_client.py <<'PY'
import asyncio, asyncssh
async def main():
    key = asyncssh.read_private_key("keys/alice")
    keys = [(key, asyncssh.read_certificate("keys/alice-cert.pub"))]
    kinds = dict(username="alice", client_keys=keys, known_hosts="known_hosts", agent_path=None, config=None, rekey_bytes=1000000)
    async with asyncssh.connect("ela.example", **kinds) as gate:
        async with gate.connect_ssh("daint.example", **kinds) as host:
            assert (await host.run("hostname")).stdout == "daint\n"
            async with host.start_sftp_client() as sftp:
                await sftp.get("up", "down5")
    assert open("down5", "rb").read() == open("big", "rb").read()
asyncio.run(main())
PY
check "asyncssh, with a new key every megabyte" /usr/bin/python3 -W ignore asyncssh_client.py

sessions_are() { [ "$(counter sessions)" = "$1" ]; }
check "of all these only the three that stay have a session" wait_for 20 sessions_are 3
kill "$forward_pid" "$socks_pid" "$quiet_pid"
check "and none when they have gone" wait_for 20 sessions_are 0
gate_stop
check "the gate ends well" test $? = 0
done_testing
