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
check "the feed was heard" wait_for 5 sh -c 'curl -s http://127.0.0.1:9422/metrics | grep -q "feed_revision 2"'
refused "a registered key from elsewhere than its subnets" 255 'Permission denied' "${ssh[@]}" -i keys/bob -l bob -T ela

modules=$root/build/npm/node_modules
if [ -d "$modules/ssh2" ]; then
    check "npm's ssh2, with a registered key" node "$interop/ssh2_client.js" "$modules" keys/registered down
    check "the file is whole" cmp home/alice/up down
    check "npm's ssh2, with one of RSA" node "$interop/ssh2_client.js" "$modules" keys/registered-rsa down
else
    skip "npm's ssh2" "npm could not fetch it"
fi

# --- sshfs ---
mkdir -p mounted
mount_sshfs() { sshfs -F "$work/ssh_config" -o ssh_command="ssh -F $work/ssh_config" daint:. mounted; }
if [ ! -c /dev/fuse ]; then
    skip "sshfs" "there is no /dev/fuse"
elif ! mount_sshfs >"$work/last" 2>&1 && grep -qE 'fuse: (mount failed|failed to open|device not found)|fusermount' "$work/last"; then
    skip "sshfs" "this machine mounts no FUSE file systems"
else
    check "sshfs reads through the gate" cmp mounted/up home/alice/up
    check "and writes" sh -c 'cp mounted/up mounted/copy && sync && cmp mounted/copy home/alice/copy'
    umount mounted || fusermount3 -u mounted
fi

# --- ssh-audit ---
check "ssh-audit finds nothing against the policy" ssh-audit --no-colors --policy "$interop/ssh-audit.policy" ela.example

# --- Twisted Conch, which knows neither AEAD ciphers nor encrypt-then-MAC ---
if [ -x /usr/bin/conch3 ]; then
    mkdir -p conch/.ssh
    rm -f down
    echo "ela.example,$gate_ip $(cut -d' ' -f1,2 ssh/ela_key.pub)" >conch/.ssh/known_hosts
    port=$(free_port)
    conch=(env HOME="$work/conch" /usr/bin/conch3 -v -l alice -N -n --localforward="$port:daint.example:22"
        --user-authentications=publickey --known-hosts "$work/conch/.ssh/known_hosts")
    through=(ssh -F ssh_config -o HostName=127.0.0.1 -o Port="$port" -o HostKeyAlias=daint.example -o ProxyJump=none
        -o BindAddress=127.0.0.1 daint)
    refused "Conch, where encrypt-and-MAC is off" any "match all kex parts" \
        timeout 60 "${conch[@]}" -i keys/registered ela.example
    gate_stop
    gate_settings "ssh: {macs: 'hmac-sha2-256-etm@openssh.com,hmac-sha2-256', rekey_bytes: 1000000}"
    check "the gate starts with encrypt-and-MAC" gate_start gate-macs
    start conch "${conch[@]}" -i keys/registered ela.example
    conch_pid=$last_pid
    check "Conch logs in by a registered key" wait_for 20 grep -q "ForwardingFactory starting on $port" conch.log
    # It ends with its last channel, so that all goes through one.
    # shellcheck disable=SC2016
    check "Conch forwards a port: 5 MB there and back at once, under many keys" \
        timeout 60 sh -c '"$@" "tee copy" <home/alice/up >down' sh "${through[@]}"
    check "what went there is whole" cmp home/alice/up home/alice/copy
    check "what came back is whole" cmp home/alice/up down
    check "and the keys were many" test "$(grep -c 'NEW KEYS' conch.log)" -gt 3
    check "Conch ends" wait "$conch_pid"
    check "ssh takes aes256-ctr" ssh -v -F ssh_config -o Ciphers=aes256-ctr -T ela
    says "and with it encrypt-then-MAC all the same" 'client->server cipher: aes256-ctr MAC: hmac-sha2-256-etm@openssh.com '
    check "ssh is made to take encrypt-and-MAC" ssh -v -F ssh_config -o Ciphers=aes256-ctr -o MACs=hmac-sha2-256 -T ela
    says "and does" 'server->client cipher: aes256-ctr MAC: hmac-sha2-256 '
    check "ssh-audit finds the MACs" sh -c 'ssh-audit --no-colors ela.example || :'
    says "and warns of encrypt-and-MAC" 'hmac-sha2-256 .*warn.*encrypt-and-MAC'
else
    skip "Conch" "there is no conch3"
fi
gate_stop
done_testing
