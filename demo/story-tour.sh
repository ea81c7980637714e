# shellcheck shell=bash
# The tour: one cluster, one login node, one compute node, one person.

chapter "A centre comes up: an authority, a jump host, a login node and a compute node"
world_unix_account alice 20001
must "the authority, and its first administrator signed in" world_authority demo
jump_port=$(free_port) login_port=$(free_port) node_port=$(free_port)
must "cluster daint, and project physics that reaches it" as_admin "
    postern admin cluster create daint >/dev/null &&
    postern admin project create physics >/dev/null && postern admin project add-cluster physics daint >/dev/null"
must "host jump" world_host jump jump '' "$jump_port"
must "host daint-ln001" world_host daint-ln001 login daint "$login_port"
must "host nid006554" world_host nid006554 compute daint "$node_port"
must "the jump host" world_jump jump "$jump_port"
for host in "daint-ln001 login $login_port" "nid006554 compute $node_port"; do
    # shellcheck disable=SC2086
    must "sshd of ${host%% *}" world_sshd $host
done
invitation=$(as_admin "postern --json admin account create alice --display-name Alice" | jq -r .invitation)
must "account alice, a member of physics" as_admin "postern admin project add-member physics alice >/dev/null"

as_you "cat >.ssh/config" <<CONFIG
Host jump
    HostName $jump_address
    Port $jump_port
    HostKeyAlias jump
    RequestTTY no
Host daint
    HostName daint-ln001
    Port $login_port
    ProxyJump jump
Host nid*
    Port $node_port
    ProxyJump daint
Host *
    User alice
    IdentityFile $world/laptop/.ssh/id_ed25519
    CertificateFile $world/laptop/.ssh/id_ed25519-cert.pub
    IdentitiesOnly yes
    UserKnownHostsFile $world/laptop/.config/posterngate/demo/known_hosts
    BatchMode yes
CONFIG

chapter "Alice sets up her laptop, once"
step works "" "postern init $authority_url --fingerprint $tls_fingerprint"
step works "alice" "postern login --invitation $invitation" \
    "$(accept_invitation "$world/laptop" "$invitation")"
step works "" "ssh-keygen -t ed25519 -f ~/.ssh/id_ed25519" "ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519"
step refused "[Pp]ermission denied" "ssh daint hostname"

chapter "Every morning: prove who you are, sign your key"
step works "" "postern logout"
step works "alice" "postern login --password" "python3 $world/bin/tty.py --send '[Uu]ser.*: ' alice --send '[Pp]assword.*: ' '$demo_password' \
    --send '[Cc]ode.*: ' 'totp:$world/laptop/totp-secret:0' -- postern login --password"
step works "" "postern sign -f ~/.ssh/id_ed25519"
step works "alice" "postern status -f ~/.ssh/id_ed25519"

chapter "Pass the jump host, reach the nodes"
step works "alice" "ssh jump"
step works "^daint-ln001$" "ssh daint hostname"
step refused "[Pp]ermission denied" "ssh nid006554 hostname   # a compute node opens with a job" "ssh nid006554 hostname"
must "the scheduler starts a job of alice's on it" as_admin \
    "postern admin job start daint 4711 --account alice --node nid006554 >/dev/null"
must "the node knows" await_job nid006554 alice
step works "^nid006554$" "ssh nid006554 hostname"
step works "" "echo 'six bytes of physics' > data && scp data daint:"
step works "" "mkdir -p results && cp data results/ && rsync -a results/ nid006554:results/"
step works "^six bytes of physics$" "ssh nid006554 cat results/data"
step works "VALID|valid" "postern list"

chapter "Lose access on revocation"
if [ "$jump" = gate ]; then
    session_port=$(free_port)
    start session setpriv --reuid="$you_uid" --regid="$you_gid" --clear-groups env -i HOME="$world/laptop" PATH=/usr/bin:/bin \
        ssh -F "$world/laptop/.ssh/config" -N -L "127.0.0.1:$session_port:daint-ln001:$login_port" jump
    session=$!
    must "a session through the jump host is open" await_port "$session_port"
fi
serial=$(as_you "postern --json list" | jq -r '.sshKeys[0].serialNumber')
step works "" "postern revoke $serial"
if [ "$jump" = gate ]; then
    must "the open session is cut" await_end "$session"
    step works "revoked" "# what that session's ssh said" "cat $world/session.log"
fi
must "every host has the revocation" await_revocation "$world/laptop/.ssh/id_ed25519-cert.pub"
step refused "[Pp]ermission denied" "ssh jump"
step refused "[Pp]ermission denied" "ssh daint hostname"
step refused "[Pp]ermission denied" "ssh -o ProxyJump=none daint hostname"
step refused "[Pp]ermission denied" "ssh -o ProxyJump=none nid006554 hostname"

