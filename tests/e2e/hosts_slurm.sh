#!/usr/bin/env bash
# Who has a job of real Slurm's on a node logs in there while it runs: with our own ending of sessions, and with pam_slurm_adopt.
# shellcheck source=tests/e2e/slurm_world.sh
. "$(dirname "$0")/slurm_world.sh"
# Functions that check() and wait_for() call look unreachable.
# shellcheck disable=SC2317
# shellcheck source=tests/e2e/authority_world.sh
. "$here/authority_world.sh"
mkdir -p bin keys ssh /run/sshd
install -m 755 "$postern_host" "$BUILD/src/host/postern-host-sync" bin/
host=$work/bin/postern-host

# ---- an authority, three accounts of one cluster, and its three hosts -----------------------------

start_authority
alice_signs_in
declare -A tokens=([alice]=$admin)
for user in bob carol; do
    invite $user "a password of $user's"
    tokens[$user]=$token
done
for step in 'POST clusters {"name":"daint"}' 'POST projects {"name":"p1"}' 'PUT projects/p1/clusters/daint' \
    'PUT projects/p1/members/alice {"role":"member"}' 'PUT projects/p1/members/bob {"role":"member"}' \
    'PUT projects/p1/members/carol {"role":"member"}'; do
    read -r method path body <<<"$step"
    api "$method" "/api/v1/$path" "$admin" "$body"
    [ "${status:0:1}" = 2 ]
    report $? "$method $path"
done
certify() { # USER: a key and its certificate
    [ -e "keys/$1" ] || ssh-keygen -q -t ed25519 -N '' -C '' -f "keys/$1"
    api POST /api/v1/ssh-keys/sign "${tokens[$1]}" "{\"publicKey\":\"$(cat "keys/$1.pub")\"}"
    field .sshKey.publicKey >"keys/$1-cert.pub"
}
join() { # NAME MEMBERS: a host of the cluster, enrolled
    gets "a host $1" 201 - POST /api/v1/hosts "$admin" "{\"name\":\"$1\",\"cluster\":\"daint\",$2}"
    ssh-keygen -q -t ed25519 -N '' -C '' -f "ssh/$1"
    printf 'state: %s/state-%s\nhost_keys: [%s/ssh/%s.pub]\n' "$work" "$1" "$work" "$1" >"$1.yaml"
    check "$1 enrols" "$host" enrol --url "$url" --ca "$authority/tls/ca.pem" --config "$1.yaml" \
        --token "$(field .enrolmentToken)"
}
declare -A syncs
follow() { start "sync-$1" "$host" sync --config "$1.yaml"; syncs[$1]=$last_pid; }
for user in alice bob carol; do
    certify $user
    report $? "a certificate for $user"
done
join ctl '"role":"login","scheduler":true'
join n1 '"role":"compute"'
join n2 '"role":"compute"'
for node in n1 n2; do
    follow $node
    check "$node follows the authority" wait_for 20 "$host" status --config $node.yaml
done

# ---- Slurm with our hooks, an sshd on each node ----------------------------------------------------

for hook in prolog epilog; do
    # slurmd runs these for both nodes; each has an identity of its own here.
    # shellcheck disable=SC2016
    printf '#!/bin/sh\n[ ! -e %s/lost ] || exit 0\n%s slurm %s --config "%s/$SLURMD_NODENAME.yaml"\nexit 0\n' "$work" "$host" $hook \
        "$work" >bin/$hook
    chmod 755 bin/$hook
done
slurm_settings "Prolog=$work/bin/prolog" "Epilog=$work/bin/epilog"
check "Slurm starts ($tracking)" slurm_start
start watch "$host" slurm watch --config ctl.yaml
watch_pid=$last_pid

sshd_on() { # NODE ADDRESS [PAM-STACK]
    local pam=no
    [ $# -lt 3 ] || pam=yes
    printf '%s\n' "Port 22" "ListenAddress $2" "HostKey $work/ssh/$1" "PidFile none" "UsePAM $pam" "LogLevel VERBOSE" \
        "PrintMotd no" >"$1.conf"
    if /usr/sbin/sshd -t -f "$1.conf" -o PerSourcePenalties=no 2>/dev/null; then echo "PerSourcePenalties no" >>"$1.conf"; fi
    "$host" sshd-config --config "$1.yaml" >>"$1.conf" || return
    # shellcheck disable=SC2016
    slurm_start_on "sshd-$1" "$1" unshare --mount sh -c '
        [ -z "$2" ] || mount --bind "$2" /etc/pam.d/sshd || exit
        exec /usr/sbin/sshd -D -e -f "$1"' sh "$work/$1.conf" "${3:-}"
    sshd_pids+=("$last_pid")
    wait_for 10 grep -q 'Server listening' "sshd-$1.log"
}
sshd_pids=()
check "an sshd runs on n1" sshd_on n1 $n1_ip
check "and on n2" sshd_on n2 $n2_ip

ssh_options=(-F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes
    -o IdentityAgent=none -o ConnectTimeout=10 -o LogLevel=ERROR)
login() { # USER NODE COMMAND…
    local user=$1 node=$2
    shift 2
    ssh "${ssh_options[@]}" -i "keys/$user" "$user@$node" "$@"
}
declare -A sessions
opens() { # USER NODE: a session that stays
    start "session-$1-$2" ssh "${ssh_options[@]}" -tt -i "keys/$1" "$1@$2" 'echo ready; exec sleep 1000'
    sessions[$1-$2]=$last_pid
    wait_for 10 grep -q ready "session-$1-$2.log"
}
lives() { kill -0 "${sessions[$1]}" 2>/dev/null; }
is_over() { ! lives "$1"; }
ends_within_2s() { # DESCRIPTION SESSION COMMAND…
    local description=$1 session=$2 before after
    shift 2
    before=$(date +%s%N)
    "$@" >"$work/last" 2>&1
    wait_for 4 is_over "$session"
    after=$(date +%s%N)
    is_over "$session" && [ $((after - before)) -lt 2000000000 ]
    report $? "$description"
    echo "#   after $(((after - before) / 1000000)) ms"
}
denied='Permission denied \(publickey\)'
listed() { # JOB JQ-CONDITION, of a job that the authority has
    local status # which api() sets
    api GET /api/v1/clusters/daint/jobs "$admin"
    jq -e --arg job "$1" "[.jobs[] | select(.job == \$job and ($2))] | length == 1" last >/dev/null
}
is_not_listed() { ! listed "$1" true; }

# ---- logins by jobs -----------------------------------------------------------------------------

logins() { # WHO-ENDS: the story that is told with and without pam_slurm_adopt
    local alice_job bob_job
    refused "$1: without a job alice is refused" 255 "$denied|Connection closed|no active jobs" login alice n1 true
    check "$1: her job begins on n1" slurm_runs alice n1
    alice_job=$job
    check "$1: the authority has it" wait_for 10 listed "$alice_job" '.username == "alice" and .nodes == ["n1"]'
    check "$1: she is let in at once" wait_for 2 login alice n1 true
    check "$1: as herself" login alice n1 id -un
    says "$1: and no other" '^alice$'
    refused "$1: not on n2, where she has no job" 255 "$denied|Connection closed|no active jobs" login alice n2 true
    refused "$1: nor is bob, who has none" 255 "$denied|Connection closed|no active jobs" login bob n1 true
    check "$1: bob's job begins on both nodes" slurm_runs bob n1,n2 600 -N2
    bob_job=$job
    check "$1: bob is let in on n2" wait_for 10 login bob n2 true
    check "$1: and on n1" wait_for 10 login bob n1 true
    check "$1: alice opens a session" opens alice n1
    check "$1: so does bob" opens bob n1
    ends_within_2s "$1: alice's ends within 2 s of scancel" alice-n1 slurm_cancel "$alice_job"
    check "$1: the authority has her job no more" wait_for 10 is_not_listed "$alice_job"
    refused "$1: she is refused" 255 "$denied|Connection closed|no active jobs" login alice n1 true
    check "$1: bob's session is untouched" lives bob-n1
    check "$1: and he gets in" login bob n1 true
    slurm_cancel "$bob_job"
    check "$1: until his ends" wait_for 4 is_over bob-n1
    check "$1: and is not listed" wait_for 10 is_not_listed "$bob_job"
}
logins "ours"

# ---- 200 jobs in a minute ----------------------------------------------------------------------

check "a job of carol begins, and stays" slurm_runs carol n1
carol_job=$job
check "and is listed" wait_for 10 listed "$carol_job" 'true'
begin=$SECONDS
for _ in $(seq 10); do
    for user in alice bob; do
        for node in n1 n2; do
            as_user "$user" sbatch --parsable -D / -o /dev/null -w $node --array=1-5 --wrap 'sleep 1' >>submitted
        done
    done
done
only_carol_is_left() { [ "$(squeue -h -t PENDING,RUNNING,CONFIGURING -o %A)" = "$carol_job" ]; }
check "200 jobs have run within a minute" wait_for $((60 - SECONDS + begin)) only_carol_is_left
echo "# $((SECONDS - begin)) s"
lists_just() { # JOB
    local status
    api GET /api/v1/clusters/daint/jobs "$admin"
    [ "$(jq -r '[.jobs[].job] | join(",")' last)" = "$1" ]
}
check "the authority's list is exact" wait_for 10 lists_just "$carol_job"
api GET '/api/v1/clusters/daint/jobs?include_ended=true&limit=1000' "$admin"
has "and it was told of every one" '[.jobs[] | select(.username != "carol")] | length >= 200'
slurm_cancel "$carol_job"
check "until hers ends" wait_for 10 lists_just ''

# ---- what the hooks tell is lost ------------------------------------------------------------------

touch lost
check "a job begins of which no hook tells" slurm_runs carol n2
carol_job=$job
check "carol is let in within 10 s" wait_for 10 login carol n2 true
check "and opens a session" opens carol n2
slurm_cancel "$carol_job"
check "which ends within 10 s of scancel" wait_for 10 is_over carol-n2
rm lost

# ---- Slurm hangs: a job is over at its end, and not before -------------------------------------------

check "a job with a limit of a minute" slurm_runs alice n2 600 -t 1
wait_for 10 listed "$job" '(.endTime | fromdate) - (.startTime | fromdate) == 60'
report $? "which the authority knows"
slurm_hang_controller
check "slurmctld hangs: alice is let in" login alice n2 true
check "the log says that it does not answer" wait_for 30 grep -q scheduler_failed watch.log
check "and nobody comes in when the minute is over" wait_for 70 sh -c "! ssh ${ssh_options[*]} -i keys/alice alice@n2 true"
slurm_resume_controller
slurm_cancel "$job"
check "it is back" wait_for 30 grep -q scheduler_back watch.log

# ---- with pam_slurm_adopt -----------------------------------------------------------------------

adopt=$(dpkg -L libpam-slurm-adopt 2>/dev/null | grep -m1 'pam_slurm_adopt\.so$')
if [ $tracking != cgroup ] || [ -z "$adopt" ]; then
    skip "with pam_slurm_adopt" "needs cgroup v1 to make groups in, and libpam-slurm-adopt"
else
    kill "${sshd_pids[@]}" && wait "${sshd_pids[@]}" 2>/dev/null
    # What the job ends, Slurm ends; sync leaves it alone.
    for node in n1 n2; do
        kill "${syncs[$node]}" && wait "${syncs[$node]}" 2>/dev/null
        echo "when_job_ended: run" >>$node.yaml
        follow $node
        check "$node leaves sessions to Slurm" wait_for 20 "$host" status --config $node.yaml
    done
    # Each node has a stack of its own, since the module is told here which node it is on.
    for node in n1 n2; do
        printf '%s\n' "auth required pam_deny.so" "account required pam_permit.so" \
            "account required $adopt nodename=$node action_adopt_failure=deny action_generic_failure=deny log_level=debug3" \
            "session required pam_permit.so" "password required pam_deny.so" >"pam-$node"
    done
    adopted_into() { # JOB: where a session of carol's finds itself
        login carol n1 cat /proc/self/cgroup >last && grep -q "freezer:.*/slurm_n1/uid_42003/job_$1/step_extern" last
    }
    check "an sshd with pam_slurm_adopt runs on n1" sshd_on n1 $n1_ip "$work/pam-n1"
    check "and on n2" sshd_on n2 $n2_ip "$work/pam-n2"
    logins "adopted"
    slurm_runs carol n1 && wait_for 10 login carol n1 true
    check "a session is in the cgroup of its job" adopted_into "$job"
    slurm_cancel "$job"
fi
check "no node was taken out of service" slurm_takes_jobs
kill "$watch_pid"
done_testing
