# shellcheck shell=bash
# A cluster that real Slurm runs, in a network of its own. Sourced instead of lib.sh.
#
#   10.98.0.1   ctl, slurmctld
#   10.98.0.11  n1, 10.98.0.12  n2: a slurmd each, of 64 processors that this machine need not have
#
# alice, bob, carol and mallory are users. Nothing of the machine's own Slurm or munge is read, started or written: munged has a socket
# and a key of its own, and /etc/slurm is another one for whoever runs here, PAM included. Processes are numbered apart, so that
# whatever a job leaves behind ends with the scenario. $tracking is how Slurm follows the processes of a job: cgroup where this
# machine lets us (the hierarchy "freezer" of cgroup v1), else linuxproc, with which pam_slurm_adopt has nothing to adopt into.
slurm_apart=(setpriv --pdeathsig KILL unshare --net --mount --pid --fork --kill-child --mount-proc --cgroup)
if [ -z "${POSTERN_SLURM_WORLD:-}" ] && "${slurm_apart[@]}" true 2>/dev/null; then
    cgroup=/sys/fs/cgroup/freezer/posterngate-test.$$ tracking=linuxproc
    if mkdir "$cgroup" 2>/dev/null && echo $$ >"$cgroup/cgroup.procs"; then tracking=cgroup; fi
    POSTERN_SLURM_WORLD=$tracking "${slurm_apart[@]}" bash "$0" "$@"
    status=$?
    if [ $tracking = cgroup ]; then
        echo $$ >/sys/fs/cgroup/freezer/cgroup.procs
        find "$cgroup" -depth -type d -exec rmdir {} +
    fi
    exit $status
fi
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
slurm_lacks() { # the first thing that is not here
    local program
    [ -n "${POSTERN_SLURM_WORLD:-}" ] || { echo "root and namespaces: slurmd switches users" && return; }
    for program in munged slurmctld slurmd sbatch squeue; do
        command -v $program >/dev/null || { echo "$program (Debian: slurmctld slurmd slurm-client munge)" && return; }
    done
}
if [ -n "$(slurm_lacks)" ]; then
    skip "$(sed -n '2s/^# //p' "$0")" "needs $(slurm_lacks)"
    done_testing
fi
cd "$work" || exit 1
ctl_ip=10.98.0.1 n1_ip=10.98.0.11 n2_ip=10.98.0.12
ip link set lo up
for address in $ctl_ip $n1_ip $n2_ip; do ip address add $address/32 dev lo; done

mkdir -p home/{alice,bob,carol,mallory} munge slurm/etc slurm/state slurm/spool
for file in passwd group shadow; do cp "/etc/$file" "$file"; done
uid=42001
for user in alice bob carol mallory; do
    echo "$user:x:$uid:$uid::$work/home/$user:/bin/bash" >>passwd
    echo "$user:x:$uid:" >>group
    echo "$user:*:19000:0:99999:7:::" >>shadow
    chown $uid:$uid "home/$user"
    uid=$((uid + 1))
done
getent passwd sshd >/dev/null || echo "sshd:x:20099:65534::/run/sshd:/usr/sbin/nologin" >>passwd
printf '%s\n' "127.0.0.1 localhost" "$ctl_ip ctl" "$n1_ip n1" "$n2_ip n2" >hosts
[ -e /etc/hosts ] || { : >/etc/hosts && made+=(/etc/hosts); }
for file in passwd group shadow hosts; do mount --bind "$file" "/etc/$file"; done
[ -d /etc/slurm ] && mount --bind slurm/etc /etc/slurm
export SLURM_CONF=$work/slurm/etc/slurm.conf

chmod 700 munge
head -c 128 /dev/urandom >munge/key
chmod 400 munge/key
mkdir munge/run && chmod 711 munge && chmod 755 munge/run

tracking=$POSTERN_SLURM_WORLD
if [ "$tracking" = cgroup ]; then
    mkdir -p cgroup/freezer && mount -t cgroup -o freezer freezer cgroup/freezer || exit
fi

# shellcheck disable=SC2120
slurm_settings() { # LINES… beside the usual ones; before slurm_start
    printf '%s\n' "ClusterName=postern" "SlurmctldHost=ctl($ctl_ip)" "SlurmUser=root" "AuthType=auth/munge" "CredType=cred/munge" \
        "AuthInfo=socket=$work/munge/run/socket" "StateSaveLocation=$work/slurm/state" "SlurmdSpoolDir=$work/slurm/spool/%n" \
        "SlurmctldPidFile=$work/slurm/slurmctld.pid" "SlurmdPidFile=$work/slurm/%n.pid" "ProctrackType=proctrack/$tracking" \
        "SelectType=select/cons_tres" "SelectTypeParameters=CR_Core" "SlurmdParameters=config_overrides" "MailProg=/bin/true" \
        "ReturnToService=2" "PrologFlags=Alloc,Contain" "KillWait=1" "MessageTimeout=10" "MinJobAge=30" \
        "SchedulerParameters=sched_interval=2,batch_sched_delay=0,sched_min_interval=0,bf_interval=1" \
        "NodeName=n1 NodeAddr=$n1_ip Port=6821 CPUs=64 State=UNKNOWN" "NodeName=n2 NodeAddr=$n2_ip Port=6822 CPUs=64 State=UNKNOWN" \
        "PartitionName=main Nodes=n1,n2 Default=YES MaxTime=60 DefaultTime=10 State=UP" \
        "PartitionName=whole Nodes=n1,n2 MaxTime=60 DefaultTime=10 OverSubscribe=EXCLUSIVE State=UP" "$@" >"$SLURM_CONF"
    printf '%s\n' "CgroupMountpoint=$work/cgroup" "CgroupPlugin=cgroup/v1" "ConstrainCores=no" >slurm/etc/cgroup.conf
}

slurm_start_on() { # LOG MACHINE COMMAND…: Slurm's programs know by the machine's name which of them they are
    local log=$1
    shift
    # shellcheck disable=SC2016
    start "$log" unshare --uts sh -c 'hostname "$1" && shift && exec "$@"' sh "$@"
}

slurm_start() { # everything, until both nodes take jobs
    [ -e "$SLURM_CONF" ] || slurm_settings
    start munged munged --foreground --force --num-threads=2 --socket="$work/munge/run/socket" --key-file="$work/munge/key" \
        --pid-file="$work/munge/run/pid" --log-file="$work/munged-own.log" --seed-file="$work/munge/seed"
    wait_for 10 test -S munge/run/socket || return 1
    slurm_start_controller || return 1
    local node
    for node in n1 n2; do slurm_start_on slurmd-$node $node slurmd -D -N $node; done
    wait_for 30 slurm_takes_jobs
}
slurm_start_controller() {
    slurm_start_on slurmctld ctl slurmctld -D
    slurmctld_pid=$last_pid
}
slurm_takes_jobs() { [ "$(timeout 5 sinfo -h -N -p main -t idle,mixed,allocated -o %N | sort -u | wc -l)" = 2 ]; }

as_user() { # USER COMMAND…
    local user=$1
    shift
    setpriv --reuid "$user" --regid "$user" --init-groups --reset-env env SLURM_CONF="$SLURM_CONF" "$@"
}
slurm_submit() { # USER NODES [SECONDS [OPTION…]]: prints the job's id
    local user=$1 nodes=$2 seconds=${3:-600}
    shift $(($# < 3 ? $# : 3))
    as_user "$user" sbatch --parsable -D / -o /dev/null -w "$nodes" "$@" --wrap "exec sleep $seconds"
}
slurm_is() { # JOB STATE: as squeue's %T tells it; nothing for a job that is not there any more
    [ "$(timeout 5 squeue -h -j "$1" -o %T 2>/dev/null)" = "$2" ]
}
slurm_runs() { # USER NODES [SECONDS [OPTION…]]: submits, and waits until it runs; its id is in $job
    job=$(slurm_submit "$@") && wait_for 20 slurm_is "$job" RUNNING
}
slurm_cancel() { scancel "$@"; }
slurm_stop_controller() { kill "$slurmctld_pid" && wait "$slurmctld_pid"; }
slurm_kill_controller() { kill -9 "$slurmctld_pid" && wait "$slurmctld_pid"; [ $? = 137 ]; }
slurm_hang_controller() { kill -STOP "$slurmctld_pid"; }
slurm_resume_controller() { kill -CONT "$slurmctld_pid"; }

# slurmd does not end while it looks after a job, and a hung slurmctld takes no other signal. What they leave behind ends with
# this process, which is the first of its namespace.
slurm_stop() {
    [ ${#started[@]} = 0 ] || kill -9 "${started[@]}" 2>/dev/null
    disown -a
    [ "$tracking" != cgroup ] || umount --lazy "$work/cgroup/freezer"
    cleanup
}
trap slurm_stop EXIT
