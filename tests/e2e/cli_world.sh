# shellcheck shell=bash disable=SC2034,SC2119,SC2120,SC2317
# A small centre, and alice's laptop outside it: what the scenarios of the command line share. Sourced instead of lib.sh.
#
#   10.99.0.1   ela.example, the jump host: postern-host sync and postern-gate, port 22
#   10.99.0.2   authority.example, its authority
#   10.99.0.9   the laptop: alice, with a home and a network of her own
#   10.99.0.11  daint.example, login host daint-ln001 of cluster daint: a real sshd
#   10.99.0.12  nid001234, a compute host of daint, where alice's job 4711 runs: another
#
# Each host but ela and the authority has a network of its own, so its loopback is its own, and they share homes that are not
# the laptop's. cli_world_begin brings all of it up, signed in and with a certificate; its parts can be called one by one.
# Commands run on the laptop by `laptop COMMAND…` and on a host by `on HOST COMMAND…`; operator administers by `api … "$admin"`.
if [ -z "${POSTERN_CLI_WORLD:-}" ] &&
    unshare --net --mount --pid --fork --propagation private ip link add name probe type veth 2>/dev/null; then
    POSTERN_CLI_WORLD=1 exec unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private bash "$0" "$@"
fi
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
if [ -z "${POSTERN_CLI_WORLD:-}" ]; then
    skip "$(sed -n '2s/^# //p' "$0")" "needs root and namespaces: sshd switches users, and the network is of its own"
    done_testing
fi
cd "$work" || exit 1
authority_host=authority.example authority_address=10.99.0.2 administrator=operator site=cscs laptop_home=$work/home/alice password='blue river stone 47'
# shellcheck source=tests/e2e/authority_world.sh
. "$here/authority_world.sh"

mkdir -p bin home inside hosts /run/sshd
install -m 755 "$postern" "$postern_host" "$postern_gate" "$BUILD/src/host/postern-host-sync" bin/
ln -s postern bin/postern-refresh
install -m 755 "$here/tty.py" bin/
PATH=$work/bin:$PATH

for file in passwd group shadow; do cp "/etc/$file" "$file"; done
getent passwd sshd >/dev/null || echo "sshd:x:20099:65534::/run/sshd:/usr/sbin/nologin" >>passwd
printf '%s\n' "127.0.0.1 localhost" "10.99.0.1 ela.example" "10.99.0.2 authority.example" >hosts.txt
# A machine may have no hosts; what is mounted needs a place.
[ -e /etc/hosts ] || { : >/etc/hosts && made+=(/etc/hosts); }
for file in passwd group shadow; do mount --bind "$file" "/etc/$file"; done
mount --bind hosts.txt /etc/hosts
cli_world_uid=42001
add_user() { # NAME: at every host, and on the laptop
    echo "$1:x:$cli_world_uid:$cli_world_uid::$work/home/$1:/bin/bash" >>passwd
    echo "$1:x:$cli_world_uid:" >>group
    echo "$1:*:19000:0:99999:7:::" >>shadow
    install -d -m 700 -o $cli_world_uid -g $cli_world_uid "home/$1" "inside/$1"
    cli_world_uid=$((cli_world_uid + 1))
}
add_user alice
install -d -m 700 -o 42001 -g 42001 home/alice/.ssh

ip link set lo up
ip link add centre type bridge
ip link set centre up
for last in 1 2; do ip address add "10.99.0.$last/24" dev centre; done

# A machine with a network and mounts of its own. Its link to the others is veth-LAST, seen from here.
declare -A place
add_place() { # NAME LAST-OCTET
    start "place-$1" unshare --net --mount --uts --propagation private sleep infinity
    place[$1]=$last_pid
    separate() { [ "$(readlink "/proc/${place[$1]}/ns/uts")" != "$(readlink /proc/self/ns/uts)" ]; }
    wait_for 10 separate "$1"
    ip link add "veth-$2" master centre type veth peer name eth0 netns "${place[$1]}"
    ip link set "veth-$2" up
    # shellcheck disable=SC2016
    on "$1" sh -c 'hostname "$1" && ip link set lo up && ip address add "10.99.0.$2/24" dev eth0 && ip link set eth0 up' sh "$1" "$2"
}
# The root too: entering a mount namespace leaves a chroot.
on() { nsenter -t "${place[$1]}" -n -m -u -r "${@:2}"; } # PLACE COMMAND…, as root, in /
start_on() { start "$1" nsenter -t "${place[$2]}" -n -m -u -r -w "${@:3}"; } # NAME PLACE COMMAND…

add_place laptop 9
# A program, so that what start() remembers is the command itself.
cat >bin/laptop <<END
#!/bin/sh
exec nsenter -t ${place[laptop]} -n -m -u -r -w setpriv --reuid alice --regid alice --clear-groups \\
    env -i HOME=$laptop_home USER=alice LOGNAME=alice SHELL=/bin/bash PATH=$work/bin:/usr/bin:/bin LC_ALL=C.UTF-8 TERM=xterm \\
    NO_COLOR=1 ${ASAN_OPTIONS:+ASAN_OPTIONS=$ASAN_OPTIONS} ${UBSAN_OPTIONS:+UBSAN_OPTIONS=$UBSAN_OPTIONS} \\
    sh -c 'cd && exec "\$@"' sh "\$@"
END
chmod 755 bin/laptop

# From OpenSSH 9.8 on, sshd turns away an address from which many logins failed; here all of them come from the gate.
penalties=
ssh-keygen -q -t ed25519 -N '' -f penalties_key
if /usr/sbin/sshd -t -f /dev/null -h "$work/penalties_key" -o PerSourcePenalties=no 2>last; then
    penalties='PerSourcePenalties no'
fi

# The host's own folder is hosts/NAME. JSON has the members besides name and role.
cli_world_enrol() { # NAME ROLE JSON
    mkdir -p "hosts/$1"
    ssh-keygen -q -t ed25519 -N '' -C '' -f "hosts/$1/host_key"
    printf '%s\n' "state: state" "host_keys: [host_key.pub]" "job_socket: run/jobs.sock" >"hosts/$1/host.yaml"
    gets "a host $1" 201 - POST /api/v1/hosts "$admin" "{\"name\":\"$1\",\"role\":\"$2\"$3}"
    check "$1 enrols" postern-host enrol --url "$url" --config "hosts/$1/host.yaml" --ca "$authority/tls/ca.pem" \
        --token "$(field .enrolmentToken)"
}
# A login or compute host of daint with its sshd, at port 22 of 10.99.0.LAST: its address, or else its name, leads there.
cli_world_host() { # NAME ROLE LAST-OCTET [ADDRESS [LINE-OF-SSHD-CONFIG…]]
    local name=$1 address=${4:-}
    echo "10.99.0.$3 $name $address" >>hosts.txt
    add_place "$name" "$3"
    on "$name" mount --bind "$work/inside" "$work/home"
    cli_world_enrol "$name" "$2" ",\"cluster\":\"daint\",\"port\":22${address:+,\"address\":\"$address\"}"
    start_on "sync-$name" "$name" postern-host sync --config "$work/hosts/$name/host.yaml"
    check "$name follows the authority" wait_for 20 postern-host status --config "hosts/$name/host.yaml"
    printf '%s\n' "Port 22" "PidFile none" "UsePAM no" "PrintMotd no" "MaxStartups 100" "LogLevel VERBOSE" "$penalties" \
        "Subsystem sftp /usr/lib/openssh/sftp-server" "${@:5}" >"hosts/$name/sshd.conf"
    postern-host sshd-config --config "hosts/$name/host.yaml" >>"hosts/$name/sshd.conf"
    start_on "sshd-$name" "$name" /usr/sbin/sshd -D -e -f "$work/hosts/$name/sshd.conf"
    check "$name has an sshd" wait_for 10 grep -q 'Server listening' "sshd-$name.log"
}

cli_world_gate() { # [LINE-OF-GATE.YAML…]: its pid is in $gate_pid
    printf '%s\n' "listen: ['10.99.0.1:22']" "host_keys: [$work/hosts/ela/host_key]" "state: $work/hosts/ela/state" \
        "user: nobody" "metrics_listen: '127.0.0.1:9422'" "$@" >hosts/ela/gate.yaml
    gate_answers() { bash -c "exec 3<>/dev/tcp/10.99.0.1/22 && read -r -t 5 line <&3 && [[ \$line == SSH-2.0-* ]]"; }
    start gate postern-gate serve -c hosts/ela/gate.yaml
    gate_pid=$last_pid
    check "the gate answers" wait_for 10 gate_answers
}

cli_world_authority() { # [SETTING-OF-POLICY…]
    local setting
    make_authority
    for setting in "$@"; do sed -i "/^policy:/a\\  $setting" "$authority/posternd.yaml"; done
    # The tilde is for postern to expand.
    # shellcheck disable=SC2088
    sed -i "/^site:/a\\  default_key_file: ~/.ssh/cscs-key" "$authority/posternd.yaml"
    serve
    enrol "$invitation" correct-horse-battery
    report $? "operator signs in"
    admin=$token
}

# The cluster daint, a project p1 that reaches it, and alice in it. Her invitation is in $invitation.
cli_world_cluster() {
    gets "a cluster" 201 - POST /api/v1/clusters "$admin" '{"name":"daint","address":"daint.example","port":22}'
    gets "a project" 201 - POST /api/v1/projects "$admin" '{"name":"p1"}'
    gets "… that reaches it" 200 - PUT /api/v1/projects/p1/clusters/daint "$admin"
    gets "an account for alice" 201 - POST /api/v1/accounts "$admin" '{"name":"alice","displayName":"Alice"}'
    invitation=$(field .invitation)
    gets "… in the project" 200 - PUT /api/v1/projects/p1/members/alice "$admin" '{"role":"member"}'
}

job_starts() { # JOB JSON
    gets "job $1 starts" 200 - PUT "/api/v1/clusters/daint/jobs/$1" "$admin" "$2"
}
job_ends() { # JOB
    gets "job $1 ends" 200 - DELETE "/api/v1/clusters/daint/jobs/$1" "$admin"
}

# The secret of her second factor is in totp, of the step after next on; her password is $password.
cli_world_sign_in() {
    local ca
    ca=$(openssl x509 -in "$authority/tls/ca.pem" -outform DER | sha256sum | cut -d' ' -f1)
    check "postern init" laptop postern init "$url" --fingerprint "$ca"
    check "postern login" laptop tty.py --send '[Pp]assword.*: ' "$password" --send 'again.*: ' "$password" \
        --send '\b([A-Z2-7]{32})\b' "save:$laptop_home/totp" --send '[Cc]ode.*: ' "totp:$laptop_home/totp:-1" \
        -- postern login --invitation "$invitation"
    mv "$laptop_home/totp" totp
}
cli_world_certificate() {
    check "a key" laptop ssh-keygen -q -t ed25519 -N '' -C '' -f .ssh/cscs-key
    check "postern sign" laptop postern sign
}

cli_world_begin() { # [SETTING-OF-POLICY…]
    cli_world_authority "$@"
    cli_world_cluster
    cli_world_enrol ela jump ',"address":"ela.example","port":22'
    start sync-ela postern-host sync --config hosts/ela/host.yaml
    check "ela follows the authority" wait_for 20 postern-host status --config hosts/ela/host.yaml
    cli_world_gate
    cli_world_host daint-ln001 login 11 daint.example
    cli_world_host nid001234 compute 12
    job_starts 4711 '{"username":"alice","nodes":["nid001234"],"duration":"4h"}'
    cli_world_sign_in
    cli_world_certificate
    local plain="ssh -F none -o BatchMode=yes -o UserKnownHostsFile=~/.config/posterngate/$site/known_hosts -i .ssh/cscs-key"
    reaches() { laptop sh -c "$plain -o 'ProxyCommand=$plain -W %h:%p ela.example' $1 true"; }
    check "ssh gets through ela to daint" wait_for 10 reaches daint.example
    check "and to the node of her job" wait_for 10 reaches nid001234
}
