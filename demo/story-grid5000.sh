# shellcheck shell=bash
# The story of the Grid'5000 document: registered keys, an access machine, a frontend at each site, nodes that a job opens, the
# internal key, every way to copy and to tunnel.

chapter "The grid: an access machine, the sites Nancy and Lyon, and nodes that jobs reserve"
world_unix_account jdoe 20001
# The tilde is for postern to expand.
# shellcheck disable=SC2088
must "the authority, and its first administrator signed in" world_authority g5k '~/.ssh/id_rsa' \
    'encrypted_keys_required: true' 'internal_networks: [127.0.0.0/8]'
must "project grid" as_admin "postern admin project create grid >/dev/null"
access_port=$(free_port)
must "host access" world_host access jump '' "$access_port"
must "the access machine" world_jump access "$access_port"
printf -v nancy_port %s "$(free_port)"
printf -v lyon_port %s "$(free_port)"
printf -v graphite_3_port %s "$(free_port)"
printf -v graphite_4_port %s "$(free_port)"
# What /etc/ssh/ssh_config has on a frontend; but for the ports, which are 22 anywhere else.
frontend_ssh() { # NAME
    local host
    "$world/bin/postern-host" ssh-config --config "$world/hosts/$1/host.yaml" >"$world/hosts/$1/ssh_config" || return 1
    for host in "fnancy $nancy_port" "flyon $lyon_port" "graphite-3 $graphite_3_port" "graphite-4 $graphite_4_port" "access $access_port"; do
        printf 'Host %s\n    Port %s\n    BatchMode yes\n' "${host% *}" "${host#* }"
    done >>"$world/hosts/$1/ssh_config"
}
for site in nancy lyon; do
    port=${site}_port
    must "site $site, reached by grid, which takes keys and certificates" as_admin "
        postern admin cluster create $site >/dev/null && postern admin project add-cluster grid $site >/dev/null"
    world_site $site
    must "host f$site" world_host "f$site" login "$site" "${!port}" $site "job_socket: $world/hosts/f$site/jobs.sock"
    must "its ssh finds the internal key and knows the hosts" frontend_ssh "f$site"
    must "the frontend f$site" world_sshd "f$site" login "${!port}" $site
done
for node in graphite-3 graphite-4; do
    port=${node/-/_}_port
    must "host $node" world_host $node compute nancy "${!port}" nancy
    must "the node $node" world_sshd $node compute "${!port}" nancy
done
invitation=$(as_admin "postern --json admin account create jdoe" | jq -r .invitation)
must "account jdoe, a member of grid" as_admin "postern admin project add-member grid jdoe >/dev/null"
as_you "cat >.ssh/config" <<CONFIG
# Alias for the gateway
Host g5k
    HostName $jump_address
    Port $access_port
    HostKeyAlias access
    RequestTTY no
Host nancy.g5k
    HostName fnancy
    Port $nancy_port
Host lyon.g5k
    HostName flyon
    Port $lyon_port
Host graphite-3.nancy.g5k
    HostName graphite-3
    Port $graphite_3_port
Host graphite-4.nancy.g5k
    HostName graphite-4
    Port $graphite_4_port
Host *.g5k
    ProxyJump g5k
Host *
    User jdoe
    IdentityFile $world/laptop/.ssh/id_rsa
    IdentitiesOnly yes
    UserKnownHostsFile $world/laptop/.config/posterngate/g5k/known_hosts
    BatchMode yes
CONFIG

internal_key=id_postern
for site in nancy lyon; do
    start_on "internal-$site" "f$site" $site "$world/bin/postern-host" internal-keys --config "$world/hosts/f$site/host.yaml"
done
await_internal_key() { # SITE…
    local site
    for site in "$@"; do await_that "ssh-keygen -y -P '' -f $world/homes/$site/jdoe/.ssh/$internal_key" || return 1; done
}
await_other_internal_key() { # LINE SITE
    await_that "[ -s $world/homes/$2/jdoe/.ssh/$internal_key.pub ] && ! grep -qF '$1' $world/homes/$2/jdoe/.ssh/$internal_key.pub"
}
job_run() { # JOB
    printf '%s' "$world/bin/postern job run --socket $world/hosts/fnancy/jobs.sock $1 --"
}
world_redeploy() { # NAME SITE PORT
    local name=$1 dir=$world/hosts/$1 token
    kill "${sshd_of[$name]}" "${sync_of[$name]}" && wait "${sshd_of[$name]}" "${sync_of[$name]}" 2>/dev/null
    rm -rf "$dir/state" "$dir/ssh"
    mkdir -p "$dir/ssh"
    ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$dir/ssh/ssh_host_ed25519_key" || return 1
    token=$(as_admin "postern --json admin host enrol $name" | jq -r .enrolmentToken) &&
        world_enrol "$name" "$token" "$2" && world_sshd "$name" compute "$3" "$2"
}

chapter "Generating keys: the external key has a passphrase"
step works "" "postern init $authority_url --fingerprint $tls_fingerprint"
step works "jdoe" "postern login --invitation $invitation" "$(accept_invitation "$world/laptop" "$invitation")"
step works "" "ssh-keygen -t rsa -b 4096 -f ~/.ssh/bare" "ssh-keygen -q -t rsa -b 4096 -N '' -f ~/.ssh/bare"
step refused "passphrase" "postern key add ~/.ssh/bare"
step works "" "ssh-keygen -t rsa -b 4096" "ssh-keygen -q -t rsa -b 4096 -N '$demo_password' -f ~/.ssh/id_rsa"
step refused "[Pp]ermission denied" "ssh g5k"

chapter "The account's key: registered once, known to every machine at once"
step refused "OpenSSH|convert" "ssh-keygen -e -f ~/.ssh/id_rsa.pub >ssh2.pub; postern key add ssh2.pub"
step works "SHA256:" "postern key add ~/.ssh/id_rsa --name laptop"
step works "laptop" "postern key list"
agent=$world/laptop/agent
start agent setpriv --reuid="$you_uid" --regid="$you_gid" --clear-groups ssh-agent -D -a "$agent"
# From here on the laptop's shells find the agent.
# shellcheck disable=SC2034 # of world.sh
world_environment=(SSH_AUTH_SOCK="$agent")
step works "Identity added" "ssh-add ~/.ssh/id_rsa" "
    printf '#!/bin/sh\necho %s\n' '$demo_password' >askpass && chmod 700 askpass
    SSH_ASKPASS=\$PWD/askpass SSH_ASKPASS_REQUIRE=force ssh-add ~/.ssh/id_rsa; rm askpass"
step works "jdoe" "ssh g5k"
step works "^fnancy$" "ssh nancy.g5k hostname"
step works "^flyon$" "ssh lyon.g5k hostname"

chapter "Handling files, each site with its home"
step works "" "echo 'from my workstation' >myfile; scp myfile nancy.g5k:"
step works "" "mkdir -p mydir && cp myfile mydir/; scp -r mydir nancy.g5k:"
step works "mydir/myfile" "rsync -avz mydir lyon.g5k:"
step works "" "tar c mydir | ssh lyon.g5k tar x -C ."
step works "^from my workstation$" "scp -q nancy.g5k:mydir/myfile fetched && cat fetched"
step refused "No such file" "ssh lyon.g5k cat myfile   # Nancy's home is not Lyon's" "ssh lyon.g5k cat myfile"
if [ -c /dev/fuse ] && command -v sshfs >/dev/null && as_you "mkdir -p remote_dir && sshfs nancy.g5k: remote_dir -o idmap=user && fusermount -u remote_dir" >"$world/last" 2>&1; then
    step works "^from my workstation$" "sshfs -o idmap=user nancy.g5k: ~/remote_dir; cat ~/remote_dir/myfile; fusermount -u ~/remote_dir"
else
    printf '  (sshfs needs FUSE, which this machine does not allow here)\n'
fi

chapter "An access machine in the document's own way: a plain sshd, with every site's home in a folder of its name"
south_port=$(free_port)
must "the access machine's own cluster, south" as_admin "
    postern admin cluster create south >/dev/null && postern admin project add-cluster grid south >/dev/null"
world_site south
must "the homes of nancy and lyon are mounted there" world_access_homes south jdoe nancy lyon
must "host access-south" world_host access-south login south "$south_port" south
must "its sshd" world_sshd access-south login "$south_port" south
as_you "sed -i '1i Host south\n    HostName 127.0.0.1\n    Port $south_port\n    HostKeyAlias access-south' .ssh/config"
must "the account's key is good there" await_login "ssh south"
step works "^from my workstation$" "ssh south cat nancy/myfile"
step works "^directly$" "echo directly >other; scp -q other south:lyon/ && ssh lyon.g5k cat other"

chapter "Tunnels: a local port, a remote port, and SOCKS"
service_port=$(free_port) local_port=$(free_port) remote_port=$(free_port) socks_port=$(free_port)
mkdir -p "$world/service" && echo "served inside" >"$world/service/index.html"
start service python3 -m http.server "$service_port" --bind 127.0.0.1 --directory "$world/service"
await_port "$service_port"
fetch="curl -s --retry 50 --retry-connrefused --retry-delay 0 --retry-max-time 20"
step works "^served inside$" "ssh -N -L $local_port:localhost:$service_port nancy.g5k & curl -s localhost:$local_port" "
    ssh -N -o ExitOnForwardFailure=yes -L $local_port:localhost:$service_port nancy.g5k & trap 'kill \$!' EXIT
    $fetch localhost:$local_port"
step works "^served inside$" "ssh -R $remote_port:localhost:$service_port nancy.g5k curl -s localhost:$remote_port" \
    "ssh -o ExitOnForwardFailure=yes -R $remote_port:localhost:$service_port nancy.g5k 'curl -s localhost:$remote_port'"
step works "^served inside$" "ssh -N -D $socks_port nancy.g5k & curl --socks5-hostname localhost:$socks_port http://localhost:$service_port" "
    ssh -N -o ExitOnForwardFailure=yes -D $socks_port nancy.g5k & trap 'kill \$!' EXIT
    $fetch --socks5-hostname localhost:$socks_port http://localhost:$service_port"

chapter "Nodes open with a job, and only to whose job it is"
step refused "[Pp]ermission denied|prohibited" "ssh graphite-3.nancy.g5k hostname"
must "the scheduler starts job 1234 on graphite-3, whole" as_admin \
    "postern admin job start nancy 1234 --account jdoe --type whole --node graphite-3 >/dev/null"
must "the node knows" await_job graphite-3 jdoe
step works "1234" "postern jobs"
step works "^graphite-3$" "ssh graphite-3.nancy.g5k hostname"
step works "^from my workstation$" "ssh graphite-3.nancy.g5k cat myfile   # the site's home" "ssh graphite-3.nancy.g5k cat myfile"
step refused "[Pp]ermission denied|prohibited" "ssh graphite-4.nancy.g5k hostname"

chapter "Inside: the internal key, from frontend to frontend and to the nodes"
must "the internal key is in the homes" await_internal_key nancy lyon
step works "" "ssh nancy.g5k ls -l .ssh"
step works "^flyon$" "ssh nancy.g5k ssh flyon hostname"
step works "^graphite-3$" "ssh nancy.g5k ssh graphite-3 hostname"
step refused "[Pp]ermission denied" "ssh nancy.g5k ssh access   # never on the access machine" "ssh nancy.g5k ssh access"
internal=$(as_you "ssh -q nancy.g5k cat .ssh/$internal_key.pub")
step works "" "ssh nancy.g5k 'echo broken >.ssh/$internal_key'   # you cannot change it: it is rewritten" "ssh nancy.g5k 'echo broken >.ssh/$internal_key'"
must "it is rewritten" await_internal_key nancy
must "the administrator has it replaced" as_admin "postern admin account rotate-internal-key jdoe >/dev/null"
must "every home has the new one" await_other_internal_key "$internal" nancy
step works "^graphite-3$" "ssh nancy.g5k ssh graphite-3 hostname"

chapter "A job with a part of a node: a key for this job alone, in oarsh's place"
must "the scheduler starts job 1235 on a part of graphite-4" as_admin \
    "postern admin job start nancy 1235 --account jdoe --type shared --node graphite-4 >/dev/null"
must "the node knows" await_job graphite-4 jdoe
step works "^graphite-4$" "ssh nancy.g5k postern job run 1235 -- hostname" "ssh nancy.g5k $(job_run 1235) hostname"
step refused "no such job" "ssh nancy.g5k postern job run 77 -- hostname" "ssh nancy.g5k $(job_run 77) hostname"

chapter "A deployed node: root on it, a new host key, and no warning"
must "the scheduler starts deploy job 1236 on graphite-4" as_admin "
    postern admin job end nancy 1235 >/dev/null &&
    postern admin job start nancy 1236 --account jdoe --type deploy --node graphite-4 >/dev/null"
must "graphite-4 is deployed anew" world_redeploy graphite-4 nancy "$graphite_4_port"
must "the node knows" await_job graphite-4 root
step works "^0$" "ssh root@graphite-4.nancy.g5k id -u"
step refused "[Pp]ermission denied" "ssh root@graphite-3.nancy.g5k id -u   # not deployed" "ssh root@graphite-3.nancy.g5k id -u"

chapter "The job ends, and with it what came in for it"
start node-session setpriv --reuid="$you_uid" --regid="$you_gid" --clear-groups env -i HOME="$world/laptop" SSH_AUTH_SOCK="$agent" \
    PATH=/usr/bin:/bin ssh -F "$world/laptop/.ssh/config" graphite-3.nancy.g5k "echo in; exec sleep 600"
session=$!
must "a session on graphite-3 is open" await_text "$world/node-session.log" '^in$'
must "the scheduler ends job 1234" as_admin "postern admin job end nancy 1234 >/dev/null"
must "the session ends" await_end "$session"
step refused "[Pp]ermission denied|prohibited" "ssh graphite-3.nancy.g5k hostname"
step works "^0$" "ssh root@graphite-4.nancy.g5k id -u   # the other job runs on" "ssh root@graphite-4.nancy.g5k id -u"

chapter "A lost key"
step works "" "postern key remove laptop"
step refused "[Pp]ermission denied" "ssh g5k"
step refused "[Pp]ermission denied" "ssh nancy.g5k hostname"
