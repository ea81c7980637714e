# shellcheck shell=bash
# The story of the AiiDA document: a machine that logs in by itself. A key in an agent, a chain of jumps, Slurm asked over ssh, and
# twenty workers that each have the certificate renewed and then connect, all at once, for POSTERN_DEMO_SECONDS (300).
workers=20 seconds=${POSTERN_DEMO_SECONDS:-300}
for program in munged slurmctld slurmd sbatch; do
    command -v $program >/dev/null || { echo "demo: $program is missing; install slurmctld slurmd slurm-client munge" >&2 && exit 1; }
done

chapter "The centre: the jump host proxy, the cluster target with its frontend, and Slurm with a node"
world_unix_account jdoe 20001
# The tilde is for postern to expand.
# shellcheck disable=SC2088
must "the authority, and its first administrator signed in" world_authority aiida '~/.ssh/aiida' \
    'default_duration: 1min' 'durations: [1min, 1d]'
must "project materials" as_admin "postern admin project create materials >/dev/null"
echo "127.0.0.1 frontend n1" >>/etc/hosts
must "Slurm, its controller on the frontend, a slurmd on n1" world_slurm frontend n1
proxy_port=$(free_port) frontend_port=$(free_port) node_port=$(free_port)
must "host proxy" world_host proxy jump '' "$proxy_port"
must "the jump host" world_jump proxy "$proxy_port"
must "cluster target, reached by materials" as_admin "
    postern admin cluster create target --address frontend --port $frontend_port >/dev/null &&
    postern admin project add-cluster materials target >/dev/null"
must "host frontend" world_host frontend login target "$frontend_port"
must "its sshd" world_sshd frontend login "$frontend_port"
must "host n1" world_host n1 compute target "$node_port"
must "its sshd" world_sshd n1 compute "$node_port"
invitation=$(as_admin "postern --json admin account create jdoe" | jq -r .invitation)
must "account jdoe, a member of materials" as_admin "postern admin project add-member materials jdoe >/dev/null"

chapter "A passphrase-protected key, held by one agent for all shells"
step works "" "postern init $authority_url --fingerprint $tls_fingerprint"
step works "jdoe" "postern login --invitation $invitation" "$(accept_invitation "$world/laptop" "$invitation")"
step works "" "postern keygen" "python3 $world/bin/tty.py --send 'assphrase.*: ' '$demo_password' --send 'again.*: ' '$demo_password' -- postern keygen"
step works "SSH_AUTH_SOCK" "eval \"\$(postern agent)\"" "postern agent --shell sh | tee agent.sh"
# shellcheck disable=SC2016
agent_socket=$(as_you '. ./agent.sh >/dev/null; echo $SSH_AUTH_SOCK')
world_environment=("SSH_AUTH_SOCK=$agent_socket")
step works "Identity added" "ssh-add ~/.ssh/aiida" "python3 $world/bin/tty.py --send 'assphrase.*: ' '$demo_password' -- ssh-add .ssh/aiida"

chapter "The configuration: the chain of jumps, and renewal before each login, written by one command"
step works "in a minute" "postern sign   # this site gives a minute"
step works "config.d" "postern config"
step works "proxyjump proxy" "ssh -G target | grep -iE '^(user|hostname|proxyjump|certificatefile|match) '"
step works "^frontend$" "ssh target hostname"
step works "JOBID" "ssh target squeue   # the list of jobs, and no errors"
as_you "mkdir -p upload; echo 'input' >upload/aiida.in"
step works "aiida.in" "echo 'put upload/aiida.in' | sftp -b - target && ssh target ls"
step works "Submitted batch job" "ssh target sbatch -o /dev/null --wrap \"'sleep 600'\""
step works " R .* n1" "ssh target squeue" "for i in 1 2 3 4 5 6 7 8 9 10; do ssh target squeue | grep ' R ' && exit; sleep 0.5; done; exit 1"

chapter "A person approves once what the machine may do: this key, from here, a minute at a time, for a month. No password is kept"
step works "" "postern grant create --from mine --duration 1min --lasts 30d --name daemon"
step works "daemon" "postern grant list"
step works "config|choose_user|core.ssh_async" "postern config --aiida target && cat target-*.yaml"
# For clients that know no host certificates.
as_you "postern known-hosts >/dev/null && cp .config/posterngate/aiida/known_hosts.plain ."
step works "" "postern logout"
if [ -n "${POSTERN_AIIDA:-}" ]; then
    # shellcheck source=tests/interop/aiida.sh
    . "$root/tests/interop/aiida.sh"
    return
fi

chapter "Twenty workers of the daemon: postern-refresh as the authentication_script, then ssh, for $seconds seconds"
cat >"$world/laptop/worker" <<'WORKER'
#!/bin/bash
# Connects until a time, or until the laptop is gone, and tells how often, and what failed.
connections=0 failures=0
while [ $EPOCHSECONDS -lt "$1" ] && [ -e "$0" ]; do
    if said=$(postern-refresh 2>&1) && said=$(ssh target squeue --noheader --format %i 2>&1) && [ "$said" = 1 ]; then
        connections=$((connections + 1))
    else
        failures=$((failures + 1))
        printf '%(%T)T %s\n' -1 "$said" >&2
    fi
    sleep 0.5
done
echo "$connections $failures"
WORKER
chmod 755 "$world/laptop/worker"
end=$((EPOCHSECONDS + seconds))
as_workers() {
    local pids=() number
    for ((number = 0; number < workers; number++)); do
        as_you "exec ./worker $end" >"$world/worker-$number.out" 2>"$world/worker-$number.err" </dev/null &
        pids+=($!)
    done
    wait "${pids[@]}"
    cat "$world"/worker-*.out | awk '{c += $1; f += $2} END {printf "%d connections, %d failures, by %d workers\n", c, f, NR}' >"$world/laptop/tally"
    cat "$world"/worker-*.err >>"$world/laptop/tally"
}
must "they work" as_workers
step works " 0 failures, by $workers workers" "cat tally"
renewals=$(as_admin "postern --json admin audit --action grant.renew" | jq '.audit | length')
# Half of a minute is left when a certificate is renewed.
step works "^$renewals renewals" "postern admin audit --action grant.renew   # in the office: one renewal for all of them, twice a minute" \
    "[ $renewals -ge $((seconds / 60)) ] && [ $renewals -le $((seconds / 30 + 1)) ] && echo $renewals renewals"
