#!/usr/bin/env bash
# A real sshd, configured with exactly what `postern-host sshd-config` prints, lets in who should and nobody else.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" != 0 ]; then
    skip "a real sshd asks postern-host" "needs root: sshd switches users"
    done_testing
fi
feed=$BUILD/tests/e2e/host_feed
cd "$work" || exit 1
mkdir -p bin home ssh keys /run/sshd
install -m 755 "$postern_host" "$BUILD/src/host/postern-host-sync" bin/
host=$work/bin/postern-host

# Users that exist for these sshds alone. A shadow entry of "!" would be a locked account, also for keys.
for file in passwd group shadow; do cp "/etc/$file" "$file"; done
id=42001
for user in alice bob carol dave erin; do
    echo "$user:x:$id:$id::$work/home:/bin/sh" >>passwd
    echo "$user:x:$id:" >>group
    echo "$user:*:19000:0:99999:7:::" >>shadow
    id=$((id + 1))
done
# Local users that are nobody's account, although the authority may have an account of the same name: root by another
# name, and a daemon.
echo "toor:x:0:0::$work/home:/bin/sh" >>passwd && echo 'toor:*:19000:0:99999:7:::' >>shadow
echo "munge:x:990:990::$work/home:/bin/sh" >>passwd && echo 'munge:*:19000:0:99999:7:::' >>shadow
# The jump host's users have the home directory of the clusters, as is common, and there they write what they like.
mkdir home/frank && echo "echo escaped >$work/home/frank/escaped" >home/frank/.bashrc
echo "frank:x:42020:42020::$work/home/frank:/bin/bash" >>passwd && echo 'frank:*:19000:0:99999:7:::' >>shadow
chown -R 42020:42020 home/frank
chmod 755 home

new_key() { ssh-keygen -q -t ed25519 -N '' -C '' -f "$1"; }
for key in user_ca host_ca other_ca alice erin erin_far erin_old; do new_key "keys/$key"; done
new_key ssh/host_key

certify() { # NAME PRINCIPAL SERIAL VALIDITY [CA]: a certificate NAME for alice's key
    cp keys/alice "keys/$1" && cp keys/alice.pub "keys/$1.pub"
    ssh-keygen -q -s "keys/${5:-user_ca}" -I "$2@test" -n "$2" -z "$3" -V "$4" "keys/$1.pub"
}
line() { cut -d' ' -f1,2 "keys/$1.pub"; }
fingerprint() { ssh-keygen -lf "keys/$1.pub" | cut -d' ' -f2; }
change() { # REVISION KIND KEY STATE
    printf '{"revision":"%s","kind":"%s","key":"%s","state":%s}' "$@"
}
account() { change 1 account "$1" "{\"enabled\":$2,\"clusters\":[$3]}"; }
registered() { change 1 key "$1" "{\"account\":\"erin\",\"publicKey\":\"$(line "$2")\"$3}"; }

port=$(free_port) jump_port=$(free_port) closed_port=$(free_port)
tomorrow=$(date -u -d tomorrow +%Y-%m-%dT%H:%M:%SZ) yesterday=$(date -u -d yesterday +%Y-%m-%dT%H:%M:%SZ)
changes=(
    "$(change 1 ca "$(fingerprint user_ca)" "{\"type\":\"user\",\"publicKey\":\"$(line user_ca)\"}")"
    "$(change 1 ca "$(fingerprint host_ca)" "{\"type\":\"host\",\"publicKey\":\"$(line host_ca)\"}")"
    "$(account alice true '"daint"')" "$(account bob false '"daint"')" "$(account carol true '"santis"')"
    "$(account dave true '"daint","santis"')" "$(account erin true '"daint"')"
    "$(account toor true '"daint"')" "$(account munge true '"daint"')" "$(account frank true '"daint"')"
    "$(change 1 revocation 66 "{\"account\":\"alice\",\"expireTime\":\"$tomorrow\",\"reason\":\"lost\"}")"
    "$(change 1 cluster daint "{\"address\":\"127.0.0.1\",\"port\":$port}")"
    "$(change 1 cluster santis "{\"address\":\"127.0.0.1\",\"port\":$closed_port}")"
    "$(change 1 host daint-ln1 "{\"cluster\":\"daint\",\"role\":\"login\",\"address\":\"127.0.0.1\",\"port\":$port}")"
    "$(change 1 host ela "{\"cluster\":\"\",\"role\":\"jump\",\"address\":\"192.0.2.1\",\"port\":$jump_port}")"
    "$(registered 1 erin '')" "$(registered 2 erin_far ',"ipSubnets":["10.0.0.0/8"]')"
    "$(registered 3 erin_old ",\"expireTime\":\"$yesterday\"")"
)
answer() { # REVISION SNAPSHOT CHANGE…
    local revision=$1 snapshot=$2
    shift 2
    (IFS=,; echo "{\"revision\":\"$revision\",\"snapshot\":$snapshot,\"changes\":[$*]}")
}
answer 1 true "${changes[@]}" >snapshot.json

ssh-keygen -q -s keys/host_ca -I daint-ln1 -h -n 127.0.0.1 -z 7 -V +1h ssh/host_key.pub
echo "@cert-authority * $(cat keys/host_ca.pub)" >known_hosts
printf 'host_keys:\n  - %s/ssh/host_key.pub\n' "$work" >host.yaml

# From OpenSSH 9.8 on, sshd turns away an address from which many logins failed; here all of them come from one.
penalties=
ssh-keygen -q -t ed25519 -N '' -f penalties_key
if /usr/sbin/sshd -t -f /dev/null -h "$work/penalties_key" -o PerSourcePenalties=no 2>"$work/last"; then
    penalties='PerSourcePenalties no'
fi

run_sshd() { # NAME STATE PORT OPTION…
    local name=$1 state=$2 listen=$3
    shift 3
    printf 'Port %s\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nLogLevel VERBOSE\n%s\n' "$listen" "$penalties" >"$name.conf"
    "$host" sshd-config --config host.yaml --state "$state" "$@" >>"$name.conf" || return 1
    /usr/sbin/sshd -t -f "$name.conf" || return 1
    # shellcheck disable=SC2016
    start "$name" unshare -m sh -c '
        for file in passwd group shadow; do mount --bind "$1/$file" "/etc/$file" || exit 1; done
        exec /usr/sbin/sshd -D -e -f "$1/$2.conf"' sh "$work" "$name"
    wait_for 10 grep -q 'Server listening' "$name.log"
}

check "a snapshot makes the login host's files" "$feed" "$work/state" daint-ln1 <snapshot.json
check "and the jump host's" "$feed" "$work/jump" ela <snapshot.json
check "sshd takes the configuration of a login host" run_sshd sshd "$work/state" "$port"
check "sshd takes the configuration of a jump host" run_sshd jump "$work/jump" "$jump_port" --jump-host
check "which a jump host has also when nobody says that it is one" sh -c "
    '$host' sshd-config --config host.yaml --state '$work/jump' | grep -q '^    ForceCommand '"
check "a login host's exempts the jump host, or says how where sshd is too old" sh -c "
    if [ -n '$penalties' ]; then /usr/sbin/sshd -T -f sshd.conf | grep -ix 'PerSourcePenaltyExemptList 192.0.2.1'
    else grep -x '# PerSourcePenaltyExemptList 192.0.2.1' sshd.conf; fi"
check "no way in but keys is left to another file" sh -c '/usr/sbin/sshd -T -f sshd.conf | sort |
    grep -E "^(gssapi|hostbased|kbdinteractive|password)authentication yes" && exit 1 ||
    grep -q "^GSSAPIAuthentication no" sshd.conf'
check "the program of a login loads no libcrypto" sh -c "! ldd $host | grep -E 'libcrypto|libssl'"

options=(-F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o "UserKnownHostsFile=$work/known_hosts"
    -o IdentitiesOnly=yes -o ConnectTimeout=10 -o IdentityAgent=none -o LogLevel=ERROR)
login() { # KEY USER COMMAND…
    local key=$1 user=$2
    shift 2
    ssh "${options[@]}" -p "$port" -i "keys/$key" "$user@127.0.0.1" "$@"
}
jump() { # KEY USER OPTION…
    local key=$1 user=$2
    shift 2
    ssh "$@" "${options[@]}" -p "$jump_port" -i "keys/$key" "$user@127.0.0.1"
}

certify good alice 10 -5m:+1h
certify revoked alice 66 -5m:+1h
certify expired alice 11 -2h:-1h
certify none alice 0 -5m:+1h
certify foreign alice 12 -5m:+1h other_ca
certify bob bob 13 -5m:+1h
certify carol carol 14 -5m:+1h
certify dave dave 15 -5m:+1h
certify root root 16 -5m:+1h
certify toor toor 17 -5m:+1h
certify munge munge 18 -5m:+1h
certify frank frank 19 -5m:+1h
denied='Permission denied \(publickey\)'

check "a certificate of an account that reaches this cluster logs in" login good alice id -un
says "as that account" '^alice$'
refused "a revoked certificate is refused" 255 "$denied" login revoked alice true
refused "an expired one" 255 "$denied" login expired alice true
refused "one without a serial number, which could not be revoked" 255 "$denied" login none alice true
refused "one of another CA" 255 "$denied" login foreign alice true
refused "a disabled account" 255 "$denied" login bob bob true
refused "an account whose projects do not reach this cluster" 255 "$denied" login carol carol true
refused "another's account" 255 "$denied" login good dave true
refused "root, whatever the certificate says" 255 "$denied" login root root true
refused "root by another name, although it is an account" 255 "$denied" login toor toor true
refused "a daemon's user, although it is an account" 255 "$denied" login munge munge true
refused "a plain key that nobody registered" 255 "$denied" login alice alice true
refused "a password" 255 "$denied" login good alice -o BatchMode=no -o PreferredAuthentications=password true

check "a registered key logs in" login erin erin id -un
refused "but not from outside its subnets" 255 "$denied" login erin_far erin true
refused "nor after its end" 255 "$denied" login erin_old erin true

# What a certificate is bound to holds at a jump host that is a plain sshd as well. Nothing listens for santis.
bind_to() { # NAME PRINCIPALS SERIAL [SOURCE]
    cp keys/alice "keys/$1" && cp keys/alice.pub "keys/$1.pub"
    ssh-keygen -q -s keys/user_ca -I dave@test -n "$2" -z "$3" -V -5m:+1h ${4:+-O "source-address=$4"} "keys/$1.pub"
}
bind_to in_daint dave@daint 20
bind_to in_santis dave@santis 21
bind_to in_both dave@daint,dave@santis 22
bind_to near dave@daint 23 127.0.0.0/8
bind_to far dave@daint 24 192.0.2.7/32
by_jump() { # KEY OPTION…: dave's way to the login host, with one certificate for both
    ssh "${options[@]}" -p "$port" -i "keys/$1" -o "ProxyCommand=ssh ${options[*]} -p $jump_port -i $work/keys/$1 -W %h:%p dave@127.0.0.1" dave@127.0.0.1 id -un
}
closed="127.0.0.1:$closed_port"
refused "a certificate for the whole account leads to each of its clusters" any 'Connection refused' jump dave dave -o LogLevel=INFO -W "$closed"
check "one that is bound to daint leads there, and logs in" by_jump in_daint
says "as the account" '^dave$'
refused "it leads to no other cluster" any 'administratively prohibited' jump in_daint dave -o LogLevel=INFO -W "$closed"
check "the jump host says so" jump in_daint dave
says "and what is left" 'you reach +daint$'
refused "one for santis leads there" any 'Connection refused' jump in_santis dave -o LogLevel=INFO -W "$closed"
refused "and not to daint" any 'administratively prohibited' jump in_santis dave -o LogLevel=INFO -W "127.0.0.1:$port"
refused "whose hosts it does not open either" 255 "$denied" login in_santis dave true
check "one for both leads to daint" by_jump in_both
refused "and to santis" any 'Connection refused' jump in_both dave -o LogLevel=INFO -W "$closed"
check "one that is bound to this network leads through" by_jump near
refused "one for another network ends at the jump host" any "$denied" jump far dave -W "127.0.0.1:$port"
refused "and at the login host" 255 "$denied" login far dave true
refused "neither is anybody else's" 255 "$denied" jump in_daint alice

# A running sshd sees each change at the next login.
answer 2 false "$(change 2 revocation 15 "{\"account\":\"dave\",\"expireTime\":\"$tomorrow\",\"reason\":\"\"}")" >revoke.json
check "dave logs in" login dave dave true
check "his certificate is revoked" "$feed" "$work/state" daint-ln1 <revoke.json
check "ssh-keygen finds it in the KRL" sh -c "! ssh-keygen -Qf state/revoked.krl keys/dave-cert.pub"
refused "and is refused at once" 255 "$denied" login dave dave true
cp state/revoked.krl krl.kept
echo garbage >state/revoked.krl
refused "a damaged KRL refuses everybody" 255 "$denied" login good alice true
refused "which the status tells" 8 'THE KRL CANNOT BE READ' "$host" status --config host.yaml --state "$work/state"
ssh-keygen -q -k -f state/revoked.krl </dev/null
refused "also by the second door, when the KRL is empty" 255 "$denied" login dave dave true
check "which lets others in" login good alice true
cp krl.kept state/revoked.krl
answer 3 false "$(change 3 account alice '{"enabled":false,"clusters":["daint"]}')" >disable.json
check "alice is disabled" "$feed" "$work/state" daint-ln1 <disable.json
refused "and is refused at once" 255 "$denied" login good alice true
answer 4 true "${changes[@]//\"revision\":\"1\"/\"revision\":\"4\"}" >restore.json
check "a snapshot brings back what it holds" "$feed" "$work/state" daint-ln1 <restore.json
check "alice logs in again" login good alice true

check "the jump host leads to the login host" ssh "${options[@]}" -p "$port" -i keys/good \
    -o "ProxyCommand=ssh ${options[*]} -p $jump_port -i $work/keys/good -W %h:%p alice@127.0.0.1" alice@127.0.0.1 id -un
says "as the account" '^alice$'
refused "not to a port that is none of a cluster" any 'administratively prohibited' \
    jump good alice -o LogLevel=INFO -W "127.0.0.1:$jump_port"
refused "not to a cluster that the account does not reach" any 'administratively prohibited' \
    jump carol carol -o LogLevel=INFO -W "127.0.0.1:$port"
check "it greets instead of giving a shell" jump good alice
says "says who" 'You are alice'
says "until when" 'certificate 10, valid until'
says "and where to" 'you reach +daint$'
check "frank, who writes his home elsewhere, is greeted" jump frank frank
check "and his shell's start-up file is not run" test ! -e home/frank/escaped
refused "no remote forwarding" any 'remote port forwarding failed' \
    jump good alice -N -o ExitOnForwardFailure=yes -R "$closed_port:127.0.0.1:22"
refused "a revoked certificate is refused there as well" 255 "$denied" jump revoked alice

# sshd takes 4096 destinations (LIMIT_LOGIN_DESTINATIONS_COUNT); each host here is one more.
destinations() { "$host" principals --state "$work/jump" alice 10 alice@test | grep -o 'permitopen=' | wc -l; }
grow() { # COUNT: as many destinations in all
    local had
    had=$(destinations)
    seq $((had + 1)) "$1" | jq -c '{revision: "5", kind: "host", key: "nid\(.)",
        state: {cluster: "daint", role: "compute", address: "", port: 22}}' |
        jq -sc '{revision: "5", snapshot: false, changes: .}' | "$feed" "$work/jump" ela
}
check "a cluster grows to as many destinations as sshd takes" grow 4096
[ "$(destinations)" = 4096 ]
report $? "all of them are given"
check "and the jump host lets in" jump good alice
check "one host more" grow 4097
[ "$(destinations)" = 4096 ]
report $? "is left out"
check "which locks nobody out" jump good alice

for n in $(seq 1 2100); do
    changes+=("$(change 1 host "nid$n" \
        "{\"cluster\":\"daint\",\"role\":\"compute\",\"address\":\"192.0.$((n / 250)).$((n % 250))\",\"port\":22}")")
done
answer 1 true "${changes[@]}" >many.json
check "a cluster grows past what sshd takes of destinations" "$feed" "$work/jump" ela <many.json
check "which locks nobody out" jump good alice
check "and its login host is still led to" ssh "${options[@]}" -p "$port" -i keys/good \
    -o "ProxyCommand=ssh ${options[*]} -p $jump_port -i $work/keys/good -W %h:%p alice@127.0.0.1" alice@127.0.0.1 true
check "the replica grows old" "$feed" "$work/state" daint-ln1 90000 <restore.json
refused "and strict refuses" 255 "$denied" login good alice true
refused "which the status tells" 8 'TOO OLD' "$host" status --config host.yaml --state "$work/state"
done_testing
