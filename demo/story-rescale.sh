# shellcheck shell=bash
# The story of the Rescale document: a key made by PuTTYgen in the account's settings, good for every cluster to come; a cluster for
# each job, with a user name, an address and a port of its own; and from where one may come in.

chapter "The platform: an authority, and no cluster yet: each job will bring its own"
# The tilde is for postern to expand.
# shellcheck disable=SC2088
must "the authority, and its first administrator signed in" world_authority rescale '~/.ssh/id_rsa'
must "cluster jobs, and project mairi-team that reaches it" as_admin "
    postern admin cluster create jobs --credentials both >/dev/null &&
    postern admin project create mairi-team >/dev/null && postern admin project add-cluster mairi-team jobs >/dev/null"
invitation=$(as_admin "postern --json admin account create mairi" | jq -r .invitation)
must "account mairi, a member of mairi-team" as_admin "postern admin project add-member mairi-team mairi >/dev/null"

# A cluster that is provisioned for a job: its machine enrols itself with the token that the hook was given.
provision() { # JOB USER PORT
    local job=$1 user=$2 port=$3 name=job-${1,,} dir=$world/hosts/job-${1,,} token
    world_unix_account "$user" "$((21000 + port % 1000))"
    mkdir -p "$dir/ssh"
    echo "127.0.0.1 $name" >>/etc/hosts
    ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$dir/ssh/ssh_host_ed25519_key" || return 1
    token=$(as_admin "postern --json admin job start jobs $job --account mairi --type cluster --user $user --node $name \
        --address 127.0.0.1 --port $port --enrol --host-key \"\$(cat $dir/ssh/ssh_host_ed25519_key.pub)\"" |
        jq -r '.enrolments[0].enrolmentToken') || return 1
    world_enrol "$name" "$token" && world_sshd "$name" job "$port" && await_job "$name" "$user"
}

chapter "SSH from a Windows workstation: PuTTYgen makes the key, the account's settings take it"
step works "" "postern init $authority_url --fingerprint $tls_fingerprint"
step works "mairi" "postern login --invitation $invitation" "$(accept_invitation "$world/laptop" "$invitation")"
step works "" "puttygen -t rsa -b 4096 -C rsa-key-1234 -o key.ppk" "puttygen -q -t rsa -b 4096 -C rsa-key-1234 --new-passphrase /dev/null -o key.ppk"
step works "^ssh-rsa " "puttygen -L key.ppk | tee key.pub | cut -c -40"
step works "rsa-key-1234" "postern key add key.pub"
step works "No jobs|no jobs" "postern jobs"

chapter "A job starts, and a cluster with it: its log tells the user name and the address"
job_port=$(free_port)
must "the cluster of job 00Grm" provision 00Grm uprod_00Grm "$job_port"
step works "uprod_00Grm@127.0.0.1 port $job_port" "postern jobs"
await_port "$job_port"
host_key=$(ssh-keygen -l -f "$world/hosts/job-00grm/ssh/ssh_host_ed25519_key.pub" | cut -d' ' -f2)
step works "^uprod_00Grm$" "plink -i key.ppk -P $job_port uprod_00Grm@127.0.0.1 id -un" \
    "plink -batch -no-antispoof -hostkey $host_key -i key.ppk -P $job_port uprod_00Grm@127.0.0.1 id -un"

chapter "SSH from a Linux workstation: the same account, another key"
step works "" "ssh-keygen   # the default name: ~/.ssh/id_rsa" "ssh-keygen -q -t rsa -b 3072 -N '' -f ~/.ssh/id_rsa"
step works "" "postern key add ~/.ssh/id_rsa"
known="-o UserKnownHostsFile=$world/laptop/.config/posterngate/rescale/known_hosts -o BatchMode=yes"
login="ssh $known -i ~/.ssh/id_rsa -p $job_port uprod_00Grm@127.0.0.1"
must "the new key is at the cluster" await_login "$login"
step works "^uprod_00Grm$" "ssh -i ~/.ssh/id_rsa -p $job_port uprod_00Grm@127.0.0.1 id -un   # and no question about the host" "$login id -un"
service_port=$(free_port) local_port=$(free_port)
mkdir -p "$world/service" && echo "solver at step 42" >"$world/service/index.html"
start service python3 -m http.server "$service_port" --bind 127.0.0.1 --directory "$world/service"
await_port "$service_port"
step works "^solver at step 42$" "ssh -N -L $local_port:localhost:$service_port uprod_00Grm@… & curl -s localhost:$local_port" "
    $login -N -o ExitOnForwardFailure=yes -L $local_port:localhost:$service_port & trap 'kill \$!' EXIT
    curl -s --retry 50 --retry-connrefused --retry-delay 0 --retry-max-time 20 localhost:$local_port"

chapter "Access restriction: everywhere, my current address, or a CIDR rule"
step works "127.0.0.1" "postern access --from mine"
step works "^uprod_00Grm$" "ssh -p $job_port uprod_00Grm@127.0.0.1 id -un" "$login id -un"
step refused "shut|force|out" "postern access --from 192.0.2.0/24"
step works "192.0.2.0/24" "postern access --from 192.0.2.0/24 --force"
must "the restriction is at the cluster" await_no_login "$login"
step refused "[Pp]ermission denied" "ssh -p $job_port uprod_00Grm@127.0.0.1 id -un" "$login id -un"
step works "everywhere" "postern access --from everywhere"
must "the restriction is gone" await_login "$login"

chapter "A second job, at the same time: another cluster, another user"
second_port=$(free_port)
must "the cluster of job qpWia" provision qpWia uprod_qpWia "$second_port"
step works "^uprod_qpWia$" "ssh -p $second_port uprod_qpWia@127.0.0.1 id -un" "ssh $known -i ~/.ssh/id_rsa -p $second_port uprod_qpWia@127.0.0.1 id -un"
step refused "[Pp]ermission denied" "ssh -p $second_port uprod_00Grm@127.0.0.1 id -un   # the other job's user" \
    "ssh $known -i ~/.ssh/id_rsa -p $second_port uprod_00Grm@127.0.0.1 id -un"
step works "uprod_qpWia" "postern sign -f ~/.ssh/id_rsa && ssh -o IdentitiesOnly=yes -p $second_port uprod_qpWia@127.0.0.1 id -un   # a certificate as well" \
    "postern sign -f ~/.ssh/id_rsa >/dev/null && ssh $known -o PubkeyAcceptedAlgorithms=rsa-sha2-512-cert-v01@openssh.com -i ~/.ssh/id_rsa -p $second_port uprod_qpWia@127.0.0.1 id -un"

chapter "The job ends, and its cluster with it"
start job-session setpriv --reuid="$you_uid" --regid="$you_gid" --clear-groups env -i HOME="$world/laptop" PATH=/usr/bin:/bin \
    bash -c "cd; $login 'echo in; exec sleep 600'"
session=$!
must "a session on the cluster is open" await_text "$world/job-session.log" '^in$'
must "job 00Grm ends" as_admin "postern admin job end jobs 00Grm >/dev/null"
must "the session ends" await_end "$session"
step refused "[Pp]ermission denied" "ssh -p $job_port uprod_00Grm@127.0.0.1 id -un" "$login id -un"
step works "qpWia" "postern jobs"
step works "ended" "postern jobs --all"
