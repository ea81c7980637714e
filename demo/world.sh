# shellcheck shell=bash
# A small centre on one machine: an authority, a jump host, login and compute nodes, each with a real sshd that trusts only
# the authority; and a person's laptop. Sourced by demo.sh inside a mount namespace of its own, so that the centre's accounts
# and host names exist for it alone.
#
# Everything lives in $world and ends with world_end. Hosts listen on loopback, on free ports.

world_pids=() world_mounts=()
# shellcheck disable=SC2034 # a story uses them
declare -A sshd_of sync_of # the processes of a host
# Connections on loopback come from 127.0.0.1. The jump host has another address, so that who comes through it can be told apart.
jump_address=127.0.0.2
sshd_run_made="" hosts_made=""

world_begin() {
    world=$(mktemp -d /run/posterngate-demo.XXXXXX)
    chmod 755 "$world"
    mkdir -p "$world"/{bin,etc,home,hosts,laptop,office,authority}
    if [ ! -d /run/sshd ]; then
        mkdir -m 755 /run/sshd
        sshd_run_made=1
    fi
    install -m 755 "$root"/build/release/src/{authority/posternd,cli/postern,gate/postern-gate} "$world/bin/"
    ln -s postern "$world/bin/postern-refresh"
    # The checkout may lie where the laptop's owner cannot look.
    install -m 755 "$root/tests/e2e/tty.py" "$world/bin/"
    find "$root/build/release/src/host" -maxdepth 1 -type f -perm -u+x -exec install -m 755 -t "$world/bin" {} +

    # The laptop's owner is whoever asked for the demo, so that they can play with it afterwards from another terminal.
    you_uid=${SUDO_UID:-0} you_gid=${SUDO_GID:-0}
    {
        echo "you:x:$you_uid:$you_gid:You:$world/laptop:/bin/bash"
        grep -v '^you:' /etc/passwd
        getent passwd sshd >/dev/null || echo "sshd:x:20099:65534::/run/sshd:/usr/sbin/nologin"
    } >"$world/etc/passwd"
    { cat /etc/group; echo "you:x:$you_gid:"; } >"$world/etc/group"
    cat /etc/shadow >"$world/etc/shadow" && chmod 600 "$world/etc/shadow"
    if [ ! -e /etc/hosts ]; then
        : >/etc/hosts
        hosts_made=1
    fi
    { echo "127.0.0.1 localhost"; cat /etc/hosts; } >"$world/etc/hosts"
    local file
    for file in passwd group shadow hosts; do mount --bind "$world/etc/$file" "/etc/$file" || return 1; done
    # Nobody else of this machine signs in here, nor looks for what is needed to do so.
    chmod 700 "$world/laptop" "$world/office"
    mkdir -m 700 "$world/laptop/.ssh"
    chown -R "$you_uid:$you_gid" "$world/laptop" "$world/office"
}

# A Unix account of the centre, as its user database would make it. "*" is no password at all; "!" would lock the account.
world_unix_account() { # NAME UID
    mkdir -p "$world/home/$1"
    echo "$1:x:$2:$2:$1:$world/home/$1:/bin/bash" >>/etc/passwd
    echo "$1:x:$2:" >>/etc/group
    echo "$1:*:19000:0:99999:7:::" >>/etc/shadow
    chown "$2:$2" "$world/home/$1"
    chmod 700 "$world/home/$1"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Waits until somebody listens on a port of loopback.
await_port() { # PORT [ADDRESS]
    python3 - "$1" "${2:-127.0.0.1}" <<'PY'
import socket, sys, time
deadline = time.monotonic() + 20
while True:
    try:
        socket.create_connection((sys.argv[2], int(sys.argv[1])), 1).close()
        break
    except OSError:
        if time.monotonic() > deadline:
            sys.exit("nobody listens on port " + sys.argv[1])
        time.sleep(0.02)
PY
}

# Waits until a process that was started here has ended by itself.
await_end() { # PID
    local deadline=$((SECONDS + 10))
    while kill -0 "$1" 2>/dev/null; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.01
    done
}

start() { # NAME COMMAND…
    local name=$1
    shift
    "$@" >"$world/$name.log" 2>&1 </dev/null &
    world_pids+=($!)
}

world_end() {
    local pid
    as_you "postern agent --kill" >/dev/null 2>&1
    [ -z "${SLURM_CONF:-}" ] || world_slurm_end
    for pid in "${world_pids[@]}"; do kill "$pid" 2>/dev/null; done
    for pid in "${world_pids[@]}"; do wait "$pid" 2>/dev/null; done
    # Sessions that were still open end with their sshd's process group.
    local file
    for file in passwd group shadow hosts; do umount "/etc/$file" 2>/dev/null; done
    [ ${#world_mounts[@]} = 0 ] || umount "${world_mounts[@]}"
    [ -z "$hosts_made" ] || rm -f /etc/hosts
    [ -z "$sshd_run_made" ] || rmdir /run/sshd 2>/dev/null
    [ -z "${world:-}" ] || rm -rf "$world"
}

# Runs a command line as the person at the laptop, or as the administrator in the office.
world_environment=() # what else the laptop's shells have: VARIABLE=VALUE
as_you() {
    setpriv --reuid="$you_uid" --regid="$you_gid" --clear-groups env -i HOME="$world/laptop" USER=you \
        PATH="$world/bin:/usr/bin:/bin" TERM="${TERM:-dumb}" LANG=C.UTF-8 TZ="${TZ:-}" "${world_environment[@]}" bash -c "cd; $1"
}
as_admin() {
    env -i HOME="$world/office" USER=root PATH="$world/bin:/usr/bin:/bin" LANG=C.UTF-8 bash -c "cd; $1"
}

# Waits until a host lets somebody in as a user, for a job.
await_job() { # HOST USER
    await_that "$world/bin/postern-host principals --state $world/hosts/$1/state $2 1 demo | grep -q ."
}
# Waits until a file has a line that matches.
await_text() { # FILE PATTERN
    await_that "grep -qE '$2' $1"
}
# Waits until a command line logs in at the laptop, or does so no more.
await_login() { # COMMAND
    local deadline=$((SECONDS + 5))
    until as_you "$1 true" >/dev/null 2>&1; do [ $SECONDS -lt $deadline ] || return 1; done
}
await_no_login() { # COMMAND
    local deadline=$((SECONDS + 5))
    while as_you "$1 true" >/dev/null 2>&1; do [ $SECONDS -lt $deadline ] || return 1; done
}
await_that() { # COMMAND
    local deadline=$((SECONDS + 10))
    until eval "$1" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.02
    done
}

# Waits until every host's KRL lists the serial of a certificate.
await_revocation() { # CERTIFICATE
    local krl deadline=$((SECONDS + 5))
    for krl in "$world"/hosts/*/state/revoked.krl; do
        while ssh-keygen -Q -f "$krl" "$1" >/dev/null 2>&1; do
            [ $SECONDS -lt $deadline ] || return 1
            sleep 0.01
        done
    done
}

# A shell on the laptop, for other terminals: ssh and friends read the laptop's configuration.
world_laptop_shell() {
    mkdir -p "$world/laptop/bin"
    local program
    for program in ssh scp sftp; do
        printf '#!/bin/sh\nexec /usr/bin/%s -F %s/laptop/.ssh/config "$@"\n' $program "$world" >"$world/laptop/bin/$program"
    done
    cat >"$world/laptop/shell" <<SHELL
#!/bin/sh
cd $world/laptop && exec env HOME=$world/laptop PATH=$world/laptop/bin:$world/bin:/usr/bin:/bin PS1='you@laptop:\\w\$ ' bash --norc
SHELL
    chmod 755 "$world/laptop/shell" "$world/laptop/bin"/*
    chown -R "$you_uid:$you_gid" "$world/laptop/bin" "$world/laptop/shell"
}

# A site with homes of its own, for the accounts there are.
world_site() { # NAME
    mkdir -p "$world/homes"
    cp -a "$world/home" "$world/homes/$1"
}

# Every site's home in a folder of its name, in an account's home on an access machine.
world_access_homes() { # SITE-OF-THE-ACCESS-MACHINE ACCOUNT SITE…
    local site account=$2 home=$world/homes/$1/$2
    for site in "${@:3}"; do
        mkdir -p "$home/$site" && mount --bind "$world/homes/$site/$account" "$home/$site" || return 1
        world_mounts+=("$home/$site")
    done
}

# Starts a program on a host: under its name, where SITE is not empty with that site's homes, and with the host's ssh_config where
# it has one.
start_on() { # LOG HOST SITE COMMAND…
    local log=$1 host=$2 homes=$world/home${3:+s/$3}
    shift 3
    # shellcheck disable=SC2016
    start "$log" unshare --uts --mount sh -c '
        hostname "$1" && mount --rbind "$2" "$3" || exit
        [ ! -f "$4" ] || mount --bind "$4" /etc/ssh/ssh_config || exit
        shift 4
        exec "$@"' sh "$host" "$homes" "$world/home" "$world/hosts/$host/ssh_config" "$@"
}

# Starts the authority and signs its first administrator in.
world_authority() { # SITE [DEFAULT-KEY-FILE [POLICY-SETTING…]]
    authority_port=$(free_port)
    authority_url=https://127.0.0.1:$authority_port
    "$world/bin/posternd" init "$world/authority" --site "$1" --url "$authority_url" --listen "127.0.0.1:$authority_port" \
        --admin operator >"$world/init.log" 2>&1 || { cat "$world/init.log"; return 1; }
    [ -z "${2:-}" ] || sed -i "/^site:/a\\  default_key_file: $2" "$world/authority/posternd.yaml"
    local setting
    for setting in "${@:3}"; do sed -i "/^  ${setting%%:*}:/d; /^policy:/a\\  $setting" "$world/authority/posternd.yaml"; done
    start posternd "$world/bin/posternd" serve -c "$world/authority/posternd.yaml"
    await_port "$authority_port" || { cat "$world/posternd.log"; return 1; }
    tls_fingerprint=$(openssl s_client -connect "127.0.0.1:$authority_port" -showcerts </dev/null 2>/dev/null |
        awk '/BEGIN CERT/ {pem = ""} {pem = pem $0 "\n"} /END CERT/ {last = pem} END {printf "%s", last}' |
        openssl x509 -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f)
    local invitation
    invitation=$(grep -o 'pgi_[A-Za-z0-9_-]*' "$world/init.log" | head -1)
    as_admin "postern init $authority_url --fingerprint $tls_fingerprint" >"$world/last" 2>&1 &&
        as_admin "$(accept_invitation "$world/office" "$invitation")" >"$world/last" 2>&1 || { cat "$world/last"; return 1; }
}

# The command with which a person accepts an invitation: chooses a password, scans the code, confirms it. It uses the code of the
# step before, so that the present one is still good for a login: a step is never accepted twice.
accept_invitation() { # HOME INVITATION
    printf '%s' "python3 $world/bin/tty.py \
        --send '[Pp]assword.*: ' '$demo_password' --send 'again.*: ' '$demo_password' \
        --send '\\b([A-Z2-7]{32})\\b' 'save:$1/totp-secret' --send '[Cc]ode.*: ' 'totp:$1/totp-secret:-1' \
        -- postern login --invitation $2"
}

# One host of the centre: enrolled with a one-time token, synced by the feed, its sshd set up by postern-host. It is told by its
# very address, since a gate leads to no loopback address that a mere name resolves to.
world_host() { # NAME ROLE CLUSTER PORT [SITE [SETTING…]]
    local name=$1 role=$2 cluster=$3 port=$4 site=${5:-} dir=$world/hosts/$1 address=127.0.0.1 token
    [ "$role" != jump ] || address=$jump_address
    mkdir -p "$dir/ssh"
    echo "$address $name" >>/etc/hosts
    ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$dir/ssh/ssh_host_ed25519_key" || return 1
    token=$(as_admin "postern --json admin host add $name --role $role ${cluster:+--cluster $cluster} \
        --address $address --port $port" 2> >(grep -v 'is a loopback address' >&2) | jq -r .enrolmentToken) || return 1
    printf '%s\n' "state: $dir/state" "host_keys: [$dir/ssh/ssh_host_ed25519_key.pub]" "${@:6}" >"$dir/host.yaml"
    world_enrol "$name" "$token" "$site"
}

# Enrols a host whose configuration is written, with its one-time token, and keeps it in sync.
world_enrol() { # NAME TOKEN [SITE]
    local name=$1 token=$2 site=${3:-} dir=$world/hosts/$1
    [ -f "$dir/host.yaml" ] || printf '%s\n' "state: $dir/state" "host_keys: [$dir/ssh/ssh_host_ed25519_key.pub]" >"$dir/host.yaml"
    "$world/bin/postern-host" enrol --config "$dir/host.yaml" --url "$authority_url" --token "$token" \
        --fingerprint "$tls_fingerprint" >"$world/last" 2>&1 &&
        "$world/bin/postern-host" sync --config "$dir/host.yaml" --once >>"$world/last" 2>&1 || { cat "$world/last"; return 1; }
    start_on "sync-$name" "$name" "$site" "$world/bin/postern-host" sync --config "$dir/host.yaml"
    # shellcheck disable=SC2034
    sync_of[$name]=${world_pids[-1]}
}

# Starts the jump host: postern-gate, or with --jump sshd a plain sshd.
world_jump() { # NAME PORT [SETTING…]
    local name=$1 port=$2 dir=$world/hosts/$1
    if [ "$jump" = sshd ]; then
        world_sshd "$name" jump "$port"
        return
    fi
    printf '%s\n' "listen: ['$jump_address:$port']" "host_keys: [$dir/ssh/ssh_host_ed25519_key]" "state: $dir/state" \
        "user: nobody" "metrics_listen: '127.0.0.1:$(free_port)'" "${@:3}" >"$dir/gate.yaml"
    start "gate-$name" "$world/bin/postern-gate" serve -c "$dir/gate.yaml"
    await_port "$port" $jump_address || { cat "$world/gate-$name.log"; return 1; }
}

# Starts a host's sshd, with the lines that postern-host prints and nothing of the machine's own configuration.
world_sshd() { # NAME ROLE PORT [SITE]
    local name=$1 role=$2 port=$3 dir=$world/hosts/$1 address=127.0.0.1 option=""
    case $role in
    jump) option=--jump-host address=$jump_address ;;
    compute) option=--deploy-jobs ;;
    esac
    {
        printf '%s\n' "Port $port" "ListenAddress $address" "HostKey $dir/ssh/ssh_host_ed25519_key" "PidFile none" \
            "UsePAM no" "PrintMotd no" "Subsystem sftp /usr/lib/openssh/sftp-server" "AcceptEnv LANG LC_*" \
            ${SLURM_CONF:+"SetEnv SLURM_CONF=$SLURM_CONF"}
        "$world/bin/postern-host" sshd-config --config "$dir/host.yaml" ${option:+"$option"}
    } >"$dir/ssh/sshd_config" || return 1
    /usr/sbin/sshd -t -f "$dir/ssh/sshd_config" || return 1
    start_on "sshd-$name" "$name" "${4:-}" /usr/sbin/sshd -D -e -f "$dir/ssh/sshd_config"
    # shellcheck disable=SC2034
    sshd_of[$name]=${world_pids[-1]}
    await_port "$port" "$address" || { cat "$world/sshd-$name.log"; return 1; }
}

# A cluster's batch scheduler: real Slurm, its controller on one host and a slurmd on another, by loopback and free ports. Whoever
# logs in to a host of the centre afterwards finds it by SLURM_CONF, which that host's sshd sets (world_sshd). Nothing of the
# machine's own Slurm or munge is read or written.
world_slurm() { # CONTROLLER NODE
    local controller=$1 node=$2 dir=$world/slurm
    mkdir -p "$dir"/{state,spool,munge}
    chmod 711 "$dir/munge"
    (umask 077 && head -c 128 /dev/urandom >"$dir/munge.key")
    printf '%s\n' "ClusterName=demo" "SlurmctldHost=$controller(127.0.0.1)" "SlurmUser=root" "SlurmctldPort=$(free_port)" \
        "AuthType=auth/munge" "CredType=cred/munge" "AuthInfo=socket=$dir/munge/socket" "StateSaveLocation=$dir/state" \
        "SlurmdSpoolDir=$dir/spool" "SlurmctldPidFile=$dir/slurmctld.pid" "SlurmdPidFile=$dir/slurmd.pid" \
        "ProctrackType=proctrack/linuxproc" "SelectType=select/cons_tres" "SelectTypeParameters=CR_Core" \
        "SlurmdParameters=config_overrides" "MailProg=/bin/true" "ReturnToService=2" "MinJobAge=300" "KillWait=1" \
        "SchedulerParameters=sched_interval=2,batch_sched_delay=0,sched_min_interval=0" \
        "NodeName=$node NodeAddr=127.0.0.1 Port=$(free_port) CPUs=16 State=UNKNOWN" \
        "PartitionName=main Nodes=$node Default=YES MaxTime=60 DefaultTime=10 State=UP" >"$dir/slurm.conf"
    echo "CgroupPlugin=cgroup/v1" >"$dir/cgroup.conf"
    export SLURM_CONF=$dir/slurm.conf
    start munged munged --foreground --force --num-threads=2 --socket="$dir/munge/socket" --key-file="$dir/munge.key" \
        --pid-file="$dir/munged.pid" --log-file="$dir/munged.log" --seed-file="$dir/munge.seed"
    await_that "test -S $dir/munge/socket" || return 1
    start_on slurmctld "$controller" '' slurmctld -D
    start_on slurmd "$node" '' slurmd -D -N "$node"
    await_that "sinfo -h -t idle -o %N | grep -qx $node"
}

# What jobs run is not a child of ours: it ends by the scheduler, while that is here.
world_slurm_end() {
    timeout 5 scancel --quiet --partition=main 2>/dev/null
    # shellcheck disable=SC2016
    await_that '[ -z "$(timeout 5 squeue --noheader)" ]'
}
