#!/usr/bin/env bash
# Goal: a person approves once what a machine may do; the machine renews by postern-refresh and gets just there, and nowhere else.
# Functions that check() and wait_for() call look unreachable; what the laptop's shells expand stands in single quotes.
# shellcheck disable=SC2317,SC2016
# shellcheck source=tests/e2e/cli_world.sh
. "$(dirname "$0")/cli_world.sh"
cli_world_begin
gets "another cluster" 201 - POST /api/v1/clusters "$admin" '{"name":"eiger","address":"eiger.example","port":22}'
gets "… that alice reaches as well" 200 - PUT /api/v1/projects/p1/clusters/eiger "$admin"

# ---- approved on the laptop, with the machine's public key ----
machine=$laptop_home/machine
install -d -m 700 -o alice -g alice "$machine"
check "a machine makes a key without a passphrase" laptop ssh-keygen -q -t ed25519 -N '' -C workflow -f machine/key
refused "a grant says from where" 2 'from mine' laptop postern grant create machine/key.pub
refused "and what is reached" 4 'daint2' laptop postern grant create machine/key.pub --from mine --cluster daint2
refused "for as long as is offered" 4 '1d, 1min' laptop postern grant create machine/key.pub --from mine -d 2h
check "postern grant create" laptop postern grant create machine/key.pub --from 10.99.0.9 --from 10.99.0.1 --cluster daint -d 1d \
    --lasts 7d # and from ela, which the authority knows by name alone
says "tells where" '^Clusters: +daint$'
says "and from where" '^From: +10\.99\.0\.9/32, 10\.99\.0\.1/32$'
says "and how to end it" 'postern grant revoke'
refused "once for a key" 9 'you have a grant for this key' laptop postern grant create machine/key.pub --from mine
check "it is listed, as never used" laptop postern grant list
says "by the key's comment" 'workflow .*daint .*never.* valid'
laptop postern --json grant list >json
check "and as JSON" jq -e '.grants | length == 1 and .[0].clusters == ["daint"]' json

# ---- used without anybody ----
check "the session of alice is over" laptop postern logout
laptop mv .ssh/cscs-key-cert.pub .ssh/away
refresh() { laptop postern-refresh -f machine/key "$@"; }
check "postern-refresh renews by the grant" refresh --verbose
says "and says so" 'renewed.*by the grant of the key'
ssh-keygen -Lf "$machine/key-cert.pub" >last
says "the certificate is bound to daint" '^ +alice@daint$'
check "it is used again while it lasts" refresh --verbose
says "without a renewal" ': valid until'
certificate() { laptop ssh-keygen -Lf "$machine/key-cert.pub" | grep -q "$1"; }
check "other tools see the certificate as good" laptop postern status -f machine/key

# ---- anybody may approve a public key ----
fresh() { laptop env HOME="$laptop_home/fresh" "$@"; }
laptop mkdir fresh
check "a machine where nobody ever signed in" fresh postern init "$url" --fingerprint \
    "$(openssl x509 -in "$authority/tls/ca.pem" -outform DER | sha256sum | cut -d' ' -f1)"
laptop rm machine/key-cert.pub
check "… renews by the grant" fresh postern-refresh -f "$machine/key"
gets "somebody else" 200 - PUT /api/v1/projects/p1/members/operator "$admin" '{"role":"member"}'
gets "somebody else approves its key" 201 - POST /api/v1/grants "$admin" \
    "{\"publicKey\":\"$(cut -d' ' -f1,2 "$machine/key.pub")\",\"from\":\"everywhere\"}"
laptop rm machine/key-cert.pub
check "… which is nothing to the machine" fresh postern-refresh -f "$machine/key"
check "… nor to its certificate" certificate 'alice@daint'

# ---- it leads to daint, through the gate, and nowhere else ----
plain="ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile=~/.config/posterngate/$site/known_hosts -i machine/key"
through() { laptop sh -c "$plain -o 'ProxyCommand=$plain -W %h:%p ela.example' $1 hostname"; }
check "ssh through ela to daint" through daint.example
says "gets there" '^daint-ln001$'
check "and to the node of her job" through nid001234
laptop sh -c "$plain ela.example" >last 2>&1
says "the gate tells what it leads to" 'You reach: daint$'
# With the code of the next step, and so on: none is taken twice.
sign_ins=0
sign_in_again() {
    sign_ins=$((sign_ins + 1))
    if [ "$sign_ins" -gt 1 ]; then wait_for 40 next_step; fi
    laptop tty.py --send '[Pp]assword.*: ' "$password" --send '[Cc]ode.*: ' "$(code "$(cat totp)" 30)" -- postern login -u alice
    step=$(($(date +%s) / 30))
}
next_step() { [ $(($(date +%s) / 30)) -gt "$step" ]; }
check "she signs in again" sign_in_again
check "another machine, for eiger" laptop sh -c 'ssh-keygen -q -t ed25519 -N "" -C other -f machine/other'
check "… is approved" laptop postern grant create machine/other.pub --from everywhere --cluster eiger
check "she signs out" laptop postern logout
check "… renews" laptop postern-refresh -f machine/other
plain=${plain/machine\/key/machine\/other}
refused "… and is led to daint by nobody" any 'not a host of the clusters you reach' through daint.example
inside_plain="ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile=~/.config/posterngate/$site/known_hosts -i machine/other"
refused "… nor let in by it, without the gate" any 'Permission denied' laptop sh -c "$inside_plain daint.example true"
check "… although daint is there" laptop sh -c "${inside_plain/machine\/other/machine\/key} daint.example true"

# ---- an agent's key ----
check "alice is there once more" sign_in_again
check "a key that only an agent opens" laptop ssh-keygen -q -t ed25519 -N 'a b c d e' -C locked -f machine/locked
check "… is approved" laptop postern grant create machine/locked.pub --from mine -d 1min
check "alice signs out" laptop postern logout
refused "… does nothing alone" 3 'postern login' laptop postern-refresh -f machine/locked
cat >bin/askpass <<'END'
#!/bin/sh
echo 'a b c d e'
END
chmod 755 bin/askpass
check "… and renews with an agent" laptop sh -c 'eval "$(ssh-agent)" >/dev/null && SSH_ASKPASS=askpass SSH_ASKPASS_REQUIRE=force DISPLAY=x \
    ssh-add -q machine/locked && postern-refresh -f machine/locked; status=$?; ssh-agent -k >/dev/null; exit $status'

# ---- the end ----
gets "the grant is known to administrators" 200 - GET '/api/v1/grants?account=alice' "$admin"
grant=$(field '.grants[] | select(.name == "workflow").id')
has "with its last use" '.grants[] | select(.name == "workflow") | .lastUsedTime != null and .lastUsedFrom == "10.99.0.9"'
plain=${plain/machine\/other/machine\/key}
start_on live laptop setpriv --reuid alice --regid alice --clear-groups env -i HOME="$laptop_home" PATH="$PATH" \
    sh -c "cd && exec $plain -o 'ProxyCommand=$plain -W %h:%p ela.example' daint.example 'echo here; sleep 600'"
check "a session is open by it" wait_for 20 grep -q here live.log
gets "an administrator revokes it" 200 - DELETE "/api/v1/grants/$grant" "$admin"
gone() { ! kill -0 "$last_pid" 2>/dev/null; }
check "which cuts the session" wait_for 20 gone
refused "its certificate is good for nothing" any '' through daint.example
laptop rm -f machine/key-cert.pub
refused "and it gets no other" 3 'revoked or has ended' refresh
done_testing
