#!/usr/bin/env bash
# More clients pass the gate, by certificate or by a registered key: libssh, Conch, npm's ssh2, sshfs; and ssh-audit judges it.
# shellcheck source=tests/e2e/gate_world.sh
. "$(dirname "$0")/gate_world.sh"
# shellcheck disable=SC2317
interop=$root/tests/interop
gate_settings
check "the gate starts" gate_start gate
head -c 5000000 /dev/urandom >home/alice/up

# --- libssh ---
# shellcheck disable=SC2046
check "a client by libssh compiles" cc -o libssh_client "$interop/libssh_client.c" $(pkg-config --cflags --libs libssh)
check "libssh: 200 channels, one after the other" ./libssh_client keys/alice keys/alice-cert.pub ela.example daint.example 22 200
refused "libssh with somebody else's certificate" any 'key|offer|login' ./libssh_client keys/bob keys/alice-cert.pub ela.example daint.example 22 1

# --- registered keys, for clients that know no certificates ---
make_key registered
make_key registered-rsa rsa 3072
cat keys/registered.pub keys/registered-rsa.pub >home/alice/authorized_keys
ssh=(ssh -F bare_config)
refused "a key that nobody registered" 255 'Permission denied' "${ssh[@]}" -i keys/registered -T ela
feed '. + [["key", "1", {account: "alice", publicKey: $key}], ["key", "2", {account: "alice", publicKey: $rsa}]]' \
    --arg key "$(ca_line registered)" --arg rsa "$(ca_line registered-rsa)"
check "a registered key, as soon as the feed tells of it" wait_for 5 "${ssh[@]}" -i keys/registered -T ela
check "one of RSA" "${ssh[@]}" -i keys/registered-rsa -T ela
refused "it is no other account's" 255 'Permission denied' "${ssh[@]}" -i keys/registered -l bob -T ela
feed '. + [["key", "3", {account: "bob", publicKey: $key, ipSubnets: ["10.99.0.77/32"]}]]' --arg key "$(ca_line bob)"
check "the feed was heard" wait_for 5 sh -c 'sleep 0.1; curl -s http://127.0.0.1:9422/metrics | grep -q "feed_revision 2"'
refused "a registered key from elsewhere than its subnets" 255 'Permission denied' "${ssh[@]}" -i keys/bob -l bob -T ela

if /usr/bin/python3 -c 'import twisted.conch.scripts.conch' 2>/dev/null; then
    port=$(free_port)
    mkdir -p conch/.ssh
    echo "ela.example $(cut -d' ' -f1,2 ssh/ela_key.pub)" >conch/.ssh/known_hosts
    start conch env HOME="$work/conch" /usr/bin/conch3 -l alice -i "$work/keys/registered-rsa" -N -n --known-hosts "$work/conch/.ssh/known_hosts" \
        -L "$port:daint.example:22" ela.example
    check "Conch forwards a port" wait_for 20 sh -c "timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/$port; head -c 8 <&3' | grep -q SSH-2.0-"
fi
modules=$root/build/npm/node_modules
check "npm's ssh2, with a registered key" node "$interop/ssh2_client.js" "$modules" keys/registered down
check "the file is whole" cmp home/alice/up down
check "npm's ssh2, with one of RSA" node "$interop/ssh2_client.js" "$modules" keys/registered-rsa down

# --- sshfs ---
if [ -c /dev/fuse ] && sshfs -F "$work/ssh_config" -o directport=1 x:/ "$work/home" 2>&1 | grep -q 'fusermount\|permitted'; then
    skip "sshfs" "this machine mounts no FUSE file systems"
elif [ -c /dev/fuse ]; then
    mkdir -p mounted
    check "sshfs mounts through the gate" sshfs -F "$work/ssh_config" -o ssh_command="ssh -F $work/ssh_config" daint:. mounted
    check "and reads" cmp mounted/up home/alice/up
    check "and writes" sh -c 'cp mounted/up mounted/copy && sync && cmp mounted/copy home/alice/copy'
    umount mounted || fusermount3 -u mounted
else
    skip "sshfs" "there is no /dev/fuse"
fi

# --- ssh-audit ---
check "ssh-audit finds nothing against the policy" ssh-audit --no-colors --policy "$interop/ssh-audit.policy" ela.example
gate_stop
done_testing
