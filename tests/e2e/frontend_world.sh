# shellcheck shell=bash
# A cluster "nancy" of one's own, on authority_world.sh: users that exist for this test alone, frontends and nodes that enrol,
# follow the authority, and let in by a real sshd. Needs root.
# Used by the scenarios.
# shellcheck disable=SC2034
mkdir -p "$work/bin" "$work/home" /run/sshd
install -m 755 "$postern_host" "$BUILD/src/host/postern-host-sync" "$postern" "$work/bin/"
postern_host=$work/bin/postern-host
chmod 755 "$work/home"
for file in passwd group shadow; do cp "/etc/$file" "$work/$file"; done

user_id=42001
add_user() { # NAME [UID]: with a home of its own
    local id=${2:-$user_id}
    echo "$1:x:$id:$id::$work/home/$1:/bin/bash" >>"$work/passwd"
    echo "$1:x:$id:" >>"$work/group"
    echo "$1:*:19000:0:99999:7:::" >>"$work/shadow"
    mkdir -p "$work/home/$1" && chown "$id:$id" "$work/home/$1" && chmod 700 "$work/home/$1"
    user_id=$((user_id + 1))
}

# Run a command where those users exist, and as one of them, in the home. Programs of their own, so that what start() remembers
# is the command itself.
cat >"$work/bin/with_users" <<END
#!/bin/sh
exec unshare -m sh -c 'for file in passwd group shadow; do mount --bind "$work/\$file" "/etc/\$file" || exit 1; done
    exec "\$@"' sh "\$@"
END
cat >"$work/bin/as" <<END
#!/bin/sh
user=\$1
shift
exec "$work/bin/with_users" setpriv --reuid "\$user" --regid "\$user" --clear-groups --no-new-privs \\
    env -i "HOME=$work/home/\$user" "USER=\$user" "PATH=$work/bin:/usr/bin:/bin" sh -c 'cd && exec "\$@"' sh "\$@"
END
chmod 755 "$work/bin/with_users" "$work/bin/as"
PATH=$work/bin:$PATH

# From OpenSSH 9.8 on, sshd turns away an address from which many logins failed; here all of them come from one.
penalties=
ssh-keygen -q -t ed25519 -N '' -f "$work/penalties_key"
if /usr/sbin/sshd -t -f /dev/null -h "$work/penalties_key" -o PerSourcePenalties=no 2>"$work/last"; then
    penalties='PerSourcePenalties no'
fi

# A machine NAME of the cluster, which listens at ADDRESS, with its own folder, enrolled, following and with an sshd. Its port is
# in ports[NAME].
declare -A ports
add_machine() { # NAME ROLE ADDRESS [OPTION-OF-SSHD-CONFIG…]
    local name=$1 folder=$work/$1
    ports[$name]=$(free_port)
    mkdir -p "$folder"
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$folder/host_key"
    printf '%s\n' "state: state" "host_keys: [host_key.pub]" "job_socket: run/jobs.sock" >"$folder/host.yaml"
    local cluster=',"cluster":"nancy"'
    [ "$2" != jump ] || cluster=
    gets "a host $name" 201 - POST /api/v1/hosts "$admin" \
        "{\"name\":\"$name\",\"role\":\"$2\",\"address\":\"$3\",\"port\":${ports[$name]}$cluster}"
    check "$name enrols" "$postern_host" enrol --url "$url" --config "$folder/host.yaml" --ca "$authority/tls/ca.pem" \
        --token "$(field .enrolmentToken)"
    follow "$name"
    check "$name follows the authority" wait_for 20 with_users "$postern_host" status --config "$folder/host.yaml"
    check "$name has an sshd" run_sshd "$name" "${@:3}"
}
follow() { start "sync-$1" with_users "$postern_host" sync --config "$work/$1/host.yaml"; }
run_sshd() { # NAME ADDRESS [OPTION-OF-SSHD-CONFIG…]
    printf 'Port %s\nListenAddress %s\nPidFile none\nUsePAM no\nMaxStartups 100\nLogLevel VERBOSE\n%s\n' "${ports[$1]}" "$2" "$penalties" \
        >"$work/$1/sshd.conf"
    "$postern_host" sshd-config --config "$work/$1/host.yaml" "${@:3}" >>"$work/$1/sshd.conf" || return 1
    start "sshd-$1" with_users /usr/sbin/sshd -D -e -f "$work/$1/sshd.conf"
    wait_for 10 grep -q 'Server listening' "$work/sshd-$1.log"
}

# The cluster, and a project p1 that reaches it.
make_cluster() { # [MEMBERS-OF-JSON]
    gets "a cluster" 201 - POST /api/v1/clusters "$admin" "{\"name\":\"nancy\"${1:-}}"
    gets "a project" 201 - POST /api/v1/projects "$admin" '{"name":"p1"}'
    gets "… that reaches it" 200 - PUT /api/v1/projects/p1/clusters/nancy "$admin"
}
add_member() { gets "… and has $1" 200 - PUT "/api/v1/projects/p1/members/$1" "$admin" '{"role":"member"}'; }
