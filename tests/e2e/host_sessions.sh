#!/usr/bin/env bash
# sshd's sessions end with the right to them, those that another credential opened go on, and the user is told why.
# Functions that check() and wait_for() call look unreachable.
# shellcheck source=tests/e2e/lib.sh disable=SC2317
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" != 0 ]; then
    skip "sessions of a real sshd end" "needs root: sshd switches users"
    done_testing
fi
cd "$work" || exit 1
mkdir -p bin home ssh keys /run/sshd
install -m 755 "$postern_host" "$BUILD/src/host/postern-host-sync" "$BUILD/tests/e2e/host_feed" bin/
host=$work/bin/postern-host
spelling=$BUILD/tests/e2e/other_spelling.so

# --- a world: users, keys, certificates, a node of a cluster ---

for file in passwd group shadow; do cp "/etc/$file" "$file"; done
id=42101
for user in alice bob; do
    echo "$user:x:$id:$id::$work/home:/bin/bash" >>passwd
    echo "$user:x:$id:" >>group
    echo "$user:*:19000:0:99999:7:::" >>shadow
    id=$((id + 1))
done
new_key() { ssh-keygen -q -t ed25519 -N '' -C '' -f "$1"; }
for key in user_ca alice bob erin; do new_key "keys/$key"; done
new_key ssh/host_key
certify() { # NAME KEY PRINCIPALS KEYID SERIAL VALIDITY: a certificate NAME for that key
    cp "keys/$2" "keys/$1" && cp "keys/$2.pub" "keys/$1.pub"
    ssh-keygen -q -s keys/user_ca -I "$4" -n "$3" -z "$5" -V "$6" "keys/$1.pub"
}
line() { cut -d' ' -f1,2 "keys/$1.pub"; }
fingerprint() { ssh-keygen -lf "keys/$1.pub" | cut -d' ' -f2; }
in_seconds() { date -u -d "$1 seconds" +%Y-%m-%dT%H:%M:%SZ; }
revision=1
change() { printf '{"revision":"%s","kind":"%s","key":"%s","state":%s}' "$revision" "$@"; } # KIND KEY STATE
account() { change account "$1" "{\"enabled\":$2,\"clusters\":[$3]}"; }
registered() { change key "$1" "{\"account\":\"$2\",\"publicKey\":\"$(line "$3")\"$4}"; }
job() { # ID USER STARTED TYPE [MORE]
    change job "$1@nancy" "{\"account\":\"$2\",\"cluster\":\"nancy\",\"user\":\"$2\",\"type\":\"$4\",\"nodes\":[\"n1\"],\"startTime\":\"$(in_seconds "$3")\"${5:-}}"
}
revoked() { change revocation "$1" "{\"account\":\"\",\"expireTime\":\"$(in_seconds 86400)\",\"reason\":\"\"}"; }
cluster() { change cluster nancy "{\"address\":\"127.0.0.1\",\"port\":22,\"nodeAccess\":\"$1\",\"credentials\":\"$2\"}"; }

# What the authority tells: each answer a line that the feed applies.
mkfifo answers
exec 8<>answers
answer() { # SNAPSHOT CHANGE…
    local snapshot=$1
    shift
    (IFS=,; echo "{\"revision\":\"$revision\",\"snapshot\":$snapshot,\"changes\":[$*]}") >&8
    revision=$((revision + 1))
}
snapshot() { # NODE_ACCESS [CHANGE…]
    local access=$1
    shift
    answer true "$(change ca "$(fingerprint user_ca)" "{\"type\":\"user\",\"publicKey\":\"$(line user_ca)\"}")" \
        "$(account alice true '"nancy"')" "$(account bob true '"nancy"')" "$(cluster "$access" both)" \
        "$(change host n1 '{"cluster":"nancy","role":"compute","address":"127.0.0.1","port":22}')" \
        "$(change host ela '{"cluster":"","role":"jump","address":"192.0.2.10","port":22}')" \
        "$(registered 2 alice erin '')" "$@"
}
follow() { # [SETTING…]: follows the answers, in sync's place
    printf '%s\n' "host_keys: [$work/ssh/host_key.pub]" "$@" >host.yaml
    LD_PRELOAD=$spelling ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0 \
        "$work/bin/host_feed" --follow host.yaml "$work/state" n1 <answers >>feed.log 2>&1 8>&- &
    feed_pid=$!
    started+=("$feed_pid")
}
unfollow() { # SIGNAL
    kill "-$1" "$feed_pid"
    wait "$feed_pid" 2>/dev/null
    return 0
}
meta() { # NAME VALUE: what the replica says of itself
    python3 -c 'import sqlite3, sys
found = sqlite3.connect("file:state/replica.db?mode=ro", uri=True).execute("SELECT 1 FROM meta WHERE name = ? AND CAST(value AS TEXT) = ?", sys.argv[1:])
sys.exit(found.fetchone() is None)' "$@"
}
caught_up() { meta revision $((revision - 1)); }

port=$(free_port)
sshd=${SSHD:-/usr/sbin/sshd} # another OpenSSH, by hand
penalties=
ssh-keygen -q -t ed25519 -N '' -f penalties_key
if "$sshd" -t -f /dev/null -h "$work/penalties_key" -o PerSourcePenalties=no 2>"$work/last"; then
    penalties='PerSourcePenalties no'
fi
follow
snapshot open
check "the feed's first answer is applied" wait_for 10 caught_up
printf 'Port %s\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nLogLevel VERBOSE\nMaxStartups 200\n%s\nSubsystem sftp internal-sftp\n' \
    "$port" "$penalties" >sshd.conf
check "sshd's configuration is printed" sh -c "'$host' sshd-config --config host.yaml --state '$work/state' --deploy-jobs >>sshd.conf"
printf 'Match User bob\n    ForceCommand echo forced; exec sleep 1000\n' >>sshd.conf
# shellcheck disable=SC2016
start sshd unshare -m sh -c '
    for file in passwd group shadow; do mount --bind "$1/$file" "/etc/$file" || exit 1; done
    LD_PRELOAD=$3 exec "$2" -D -e -f "$1/sshd.conf"' sh "$work" "$sshd" "$spelling"
sshd_pid=$last_pid
wait_for 10 grep -q 'Server listening' sshd.log

options=(-F none -o BatchMode=yes -o StrictHostKeyChecking=no -o "UserKnownHostsFile=/dev/null"
    -o IdentitiesOnly=yes -o ConnectTimeout=10 -o IdentityAgent=none -o LogLevel=ERROR -p "$port")
login() { # KEY USER [OPTION…] [-- COMMAND…]
    local key=$1 user=$2
    shift 2
    ssh "${options[@]}" -i "keys/$key" "$user@127.0.0.1" "$@"
}
declare -A pids
session() { # NAME KEY USER [OPTION…] COMMAND: one that stays; the command says "ready" first
    local name=$1 key=$2 user=$3
    shift 3
    start "$name" ssh "${options[@]}" -i "keys/$key" "$user@127.0.0.1" "$@"
    pids[$name]=$last_pid
    wait_for 10 grep -qE 'ready|forced' "$name.log"
}
stay='echo ready; exec sleep 1000'
lives() { kill -0 "${pids[$1]}" 2>/dev/null; }
over() { ! lives "$1"; }
goes_on() { # NAME: it does, and a second later still
    lives "$1" && ! wait_for 1 over "$1"
}
# Tells what ends a session, and how long it took until its client ended.
ends() { # DESCRIPTION NAME CHANGE…
    local description=$1 name=$2 before after
    shift 2
    before=$(date +%s%N)
    answer false "$@"
    wait_for 3 over "$name"
    after=$(date +%s%N)
    over "$name" && [ $((after - before)) -lt 2000000000 ]
    report $? "$description"
    echo "#   after $(((after - before) / 1000000)) ms"
    cp "$name.log" last
}
records() { find state/logins state/sessions -type l | wc -l; }
has_records() { [ "$(records)" = "$1" ]; }

# --- by which credential a session was opened ---

certify one alice alice alice@test 11 -5m:+1h
certify two alice alice alice@test 12 -5m:+1h
check "a session by a certificate" session first one alice -tt "$stay"
check "another by another certificate" session second two alice -tt "$stay"
check "a third by a registered key" session third erin alice -tt "$stay"
check "records of them are in root's directory" wait_for 5 has_records 3
[ "$(stat -c %a state/logins) $(stat -c %a state/sessions)" = '1730 700' ]
report $? "the command user may add to one directory, and do nothing in the other"
check "all are listed" "$host" sessions --config host.yaml --state "$work/state"
says "with the certificate" 'alice +alice +- .* certificate 11$'
says "and with the key" 'alice +alice +- .* key SHA256:'
check "also as JSON" sh -c "'$host' sessions --json --state '$work/state' --config host.yaml | jq -e 'map(.serialNumber) | contains([\"11\", \"12\"])'"
check "status has them" sh -c "'$host' status --json --config host.yaml --state '$work/state' | jq -e '.sessions | length == 3'"
ends "a revoked certificate ends its session" first "$(revoked 11)"
says "and says so on the terminal" 'postern: this session ends: your certificate 11 was revoked. Sign in anew with: postern sign'
check "the session of the other certificate goes on" goes_on second
check "and so does the key's" lives third
ends "a registered key that is removed ends its session" third "$(change key 2 null)"
says "and says so" 'your registered key was removed'
check "the session of the other certificate goes on" goes_on second
check "the records of those that ended are gone" wait_for 5 has_records 1
ends "a disabled account ends every session" second "$(account alice false '"nancy"')"
says "and says so" 'the account alice was disabled'

answer false "$(account alice true '"nancy"')"
wait_for 5 caught_up
check "enabled again, a session" session lost two alice -tt "$stay"
ends "a lost membership ends it" lost "$(account alice true '')"
says "and says so" 'no project of the account alice reaches this machine'
answer false "$(account alice true '"nancy"')"
wait_for 5 caught_up

# One connection has a few credentials; a record of another certificate of the same connection is a further one.
most=$(limit LOGIN_CREDENTIALS_COUNT)
check "a session" session many two alice -tt "$stay"
check "with one record" wait_for 5 has_records 1
record=$(find state/sessions -type l)
said_there=$(readlink "$record")
offers() { # FROM TO: serial numbers
    local serial
    for ((serial = $1; serial <= $2; serial++)); do
        ln -s "${said_there/ 12 / $serial }" "state/logins/$(basename "${record%12}")$serial"
    done
}
offers 1001 $((1000 + most - 1))
check "and with as many as there may be" wait_for 10 has_records "$most"
check "it goes on" goes_on many
offers 2001 2001
check "with one more it ends" wait_for 5 over many
cp many.log last
says "and says why" 'too many credentials were offered'
check "the records have gone" wait_for 5 has_records 0

# sshd calls the monitor by the name that the client gave, and asks for the user that the machine knows by it.
certify spelt alice alice alice@test 94 -5m:+1h
check "a session by another spelling of the user's name" session spelt spelt ALICE -tt "$stay"
ends "ends as any other" spelt "$(revoked 94)"

# Records without end can only be forged: the connection ends, since none of them may be passed over.
certify many alice alice alice@test 1000 -5m:+1h
check "a session" session many many alice -tt "$stay"
record_of() { find state/sessions -name "*-$1" -printf '%f\n'; } # SERIAL
has_record() { [ -n "$(record_of "$1")" ]; }
has_none() { ! has_record "$1"; }
check "its record is taken over" wait_for 5 has_record 1000
connection=$(record_of 1000)
forge() { # FIRST LAST: records of that connection
    for serial in $(seq "$1" "$2"); do ln -s "1 alice alice - 0 $serial - 0 1" "state/logins/${connection%-*}-$serial"; done
}
forge 1001 1255
check "256 credentials are followed" wait_for 10 has_record 1255
check "and the session goes on" goes_on many
forge 1256 1256
check "one more ends it" wait_for 3 over many
check "and all records of it are put away" wait_for 5 has_none 1255

# --- every kind of session ---

pid_in() { grep -oE "$2=[0-9]+" "$1" | cut -d= -f2; } # LOG WORD
gone() { ! grep -qE '^State:[[:space:]]+[^ZX]' "/proc/$1/status" 2>/dev/null; } # or waits for init to take note

certify three alice alice alice@test 13 -5m:+1h
check "a command without a terminal" session plain three alice "echo ready pid=\$\$; exec sleep 1000"
check "one that takes no hint" session stubborn three alice -tt \
    "trap '' TERM INT; trap : HUP; echo ready pid=\$\$; while :; do sleep 0.1; done"
check "one that is stopped" session stopped three alice -tt "echo ready pid=\$\$; kill -STOP \$\$"
check "one with what was detached" session detaching three alice -tt \
    "nohup sleep 1001 >/dev/null 2>&1 & echo nohup=\$!; setsid sleep 1002 >/dev/null 2>&1 & echo setsid=\$!; echo ready; exec sleep 1003"
check "a forced command" session forced three alice -tt "$stay"
# Several sessions of one connection.
start master ssh "${options[@]}" -i keys/three -M -S "$work/ctl" -N alice@127.0.0.1
pids[master]=$last_pid
wait_for 10 ssh -S "$work/ctl" -O check alice@127.0.0.1
check "two sessions of one connection" session shared1 three alice -S "$work/ctl" -tt "$stay"
check "the second" session shared2 three alice -S "$work/ctl" "$stay"
# sftp reads its commands from a pipe that stays open.
mkfifo sftp_in
exec 7<>sftp_in
sftp "${options[@]/-p/-P}" -i keys/three -b - alice@127.0.0.1 <sftp_in >sftp.log 2>&1 &
pids[sftp]=$!
started+=("$!")
echo pwd >&7
check "sftp" wait_for 10 grep -q 'Remote working directory' sftp.log
plain_pid=$(pid_in plain.log pid) stubborn_pid=$(pid_in stubborn.log pid) stopped_pid=$(pid_in stopped.log pid)
nohup_pid=$(pid_in detaching.log nohup) detached_pid=$(pid_in detaching.log setsid)
started+=("$nohup_pid" "$detached_pid")
ends "a revoked certificate ends a command without a terminal" plain "$(revoked 13)"
echo ls >&7 # sftp looks at its connection when it has something to ask
for name in stubborn stopped detaching forced master shared1 shared2 sftp; do
    check "and $name" wait_for 3 over "$name"
done
check "what ran for a command is gone" wait_for 5 gone "$plain_pid"
check "and what took no hint" wait_for 5 gone "$stubborn_pid"
check "and what was stopped" wait_for 5 gone "$stopped_pid"
check "what ignores a hang-up runs on" kill "$nohup_pid"
check "and so does what has a session of its own" kill "$detached_pid"
check "no record is left" wait_for 5 has_records 0

certify bob1 bob bob bob@test 20 -5m:+1h
check "a session with a forced command" session bob bob1 bob -tt
ends "ends as well" bob "$(revoked 20)"
says "and its user is told" 'your certificate 20 was revoked'

# --- records and the program that keeps them ---

check "two sessions" session one_more two alice -tt "$stay"
certify four alice alice alice@test 14 -5m:+1h
check "by two certificates" session fourth four alice -tt "$stay"
wait_for 5 has_records 2
unfollow KILL
check "a login while nobody follows" session meanwhile four alice -tt "$stay"
[ "$(find state/logins -type l | wc -l)" = 1 ]
report $? "leaves a record"
answer false "$(revoked 14)"
ln -s '1 alice alice - 0 14 - 0 1' state/sessions/999999-5-14
ln -s '1 alice alice - 0 14 - 0 1' "state/logins/$$-0-14"
ln -s 'nonsense' state/logins/nonsense
touch state/logins/file
follow
check "the next start ends what was revoked meanwhile" wait_for 3 over fourth
check "also the session that it never saw begin" wait_for 3 over meanwhile
check "the other goes on" goes_on one_more
check "records of dead connections, of what is no sshd, and nonsense are put away" wait_for 5 has_records 1
[ -z "$(find state/logins -type f)" ]
report $? "whatever it was"

kept=$(basename "$(find state/sessions -type l)")
pid=${kept%%-*}
check "a record of whoever had the pid before is put away" sh -c "ln -s '1 alice alice - 0 11 - 0 1' state/logins/$pid-1-11 &&
    while [ -L state/logins/$pid-1-11 ]; do sleep 0.05; done"
check "and the session goes on" goes_on one_more

# Many: of connections that are gone, and of one that lives.
unfollow TERM
check "10,000 records of dead connections, and 200 of one that lives" python3 -c "
import os
for n in range(10000):
    os.symlink('1 alice alice - 0 7 - 0 1', 'state/logins/%d-5-7' % (4194304 + n))
for n in range(200):
    os.symlink('1 alice alice - 0 %d - 0 1' % (100000 + n), 'state/logins/${kept%-*}-%d' % (100000 + n))"
before=$(date +%s%N)
follow
check "are taken over or put away" wait_for 60 sh -c "[ \"\$(ls state/logins | wc -l)\" = 0 ]"
echo "#   in $((($(date +%s%N) - before) / 1000000)) ms"
check "those that live are kept" has_records 201
check "another session among them" session among two alice -tt "$stay"
before=$(date +%s%N)
answer false "$(revoked 100199)"
check "one of 200 that is revoked ends the session" wait_for 20 over one_more
echo "#   after $((($(date +%s%N) - before) / 1000000)) ms"
check "and no other" goes_on among
check "and all its records are put away" wait_for 30 has_records 1
check "a session again" session one_more two alice -tt "$stay"
kill "${pids[among]}"
wait_for 5 has_records 1

# What a process of the command user could do: its records end sessions, but spare none.
monitor=$(basename "$(find state/sessions -type l)")
setpriv --reuid 65534 --regid 65534 --clear-groups ln -s '1 alice alice - 0 99 - 0 1' "state/logins/${monitor%-*}-99"
check "a forged record is taken" wait_for 5 has_records 2
ends "but spares no session" one_more "$(revoked 12)"
refused "nobody may list the records" any 'ermission denied' setpriv --reuid 65534 --regid 65534 --clear-groups ls state/logins
check "a record that names the listener" sh -c "
    ln -s '1 alice alice - 0 12 - 0 1' state/logins/$sshd_pid-0-12"
check "is put away" wait_for 5 has_records 0
check "and the listener lives" kill -0 "$sshd_pid"

# Without a place for records nobody gets in, unless the site says so.
certify five alice alice alice@test 15 -5m:+1h
check "a session before the disk is full" login five alice true
mv state/logins state/logins.away
refused "no record can be left: strict refuses" 255 'Permission denied \(publickey\)' login five alice true
unfollow TERM
mv state/logins.away state/logins
follow 'when_stale: best-effort'
wait_for 5 meta best_effort 1
mount -t tmpfs -o size=16k,nr_inodes=3,mode=1730,gid=65534 none state/logins
made+=("$work/state/logins")
touch state/logins/1 state/logins/2
refused "the disk is full" any 'No space left' touch state/logins/3
check "best-effort lets in" login five alice true
umount state/logins
made=()
unfollow TERM
follow
wait_for 5 meta best_effort 0

# --- names that look like something else ---

# shellcheck disable=SC2016
for name in --state -h ../../etc/passwd '$(id)' 'a b' '%u' root; do
    refused "the user \"$name\" is refused" any '.' login five "$name" true
done

# --- jobs ---

snapshot job
wait_for 5 caught_up
refused "without a job nobody gets in on a node of a cluster with jobs" 255 'Permission denied' login five alice true
answer false "$(job 1 alice -100 shared)" "$(job 7 bob -100 shared)"
wait_for 5 caught_up
certify bob2 bob bob bob@test 21 -5m:+1h
check "a job's account gets in" session job1 five alice -tt "$stay"
check "and another's" session other bob2 bob -tt
"$host" sessions --config host.yaml --state "$work/state" >last
says "the sessions belong to their jobs" 'alice +alice +1@nancy'
ends "the end of the job ends the session" job1 "$(change job 1@nancy null)"
says "and the user is told" 'your job 1@nancy has ended'
check "the session of another user's job goes on" goes_on other
refused "and nobody comes in by that job" 255 'Permission denied' login five alice true

answer false "$(job 2 alice -200 whole)" "$(job 3 alice -100 shared)"
wait_for 5 caught_up
check "with several jobs" session several five alice -tt "$stay"
check "the newest is taken, and the user is told" wait_for 5 grep -q 'belongs to your job 3@nancy' several.log
cp several.log last
says "and how to choose" 'postern job shell JOB'
certify for2 alice job:2@nancy 'alice@test job:2@nancy' 16 -5m:+1h
check "a certificate of a job alone gets in by that job" session by2 for2 alice -tt "$stay"
ends "the end of the newest ends what came in by it" several "$(change job 3@nancy null)"
check "and not what came in by the other" goes_on by2
answer false "$(job 4 alice -50 shared)"
wait_for 5 caught_up
ends "the end of its own ends it" by2 "$(change job 2@nancy null)"
refused "and it opens nothing by another job" 255 'Permission denied' login for2 alice true
refused "root is nobody's without a deploy job" 255 'Permission denied' login five root true
answer false "$(job 5 alice -10 deploy)"
wait_for 5 caught_up
check "a deploy job's account is root on its nodes" session deploy five root -tt "echo ready; id -un; exec sleep 1000"
cp deploy.log last
says "root it is" '^root'
ends "as long as it runs" deploy "$(change job 5@nancy null)"
says "and is told" 'your job 5@nancy has ended'
refused "and then no more" 255 'Permission denied' login five root true
answer false "$(job 6 alice -5 shared ",\"endTime\":\"$(in_seconds 3)\"")"
wait_for 5 caught_up
check "a job with an end" session timed five alice -tt "$stay"
check "ends its sessions at that time" wait_for 5 over timed
cp timed.log last
says "and says so" 'your job 6@nancy has ended'

# --- what a site may choose ---

check "a job's session" session slurms five alice -tt "$stay"
unfollow TERM
follow 'when_job_ended: run' 'when_expired: cut'
wait_for 5 caught_up
answer false "$(change job 4@nancy null)"
wait_for 5 caught_up
check "where the scheduler sees to the end of jobs it goes on" goes_on slurms
ends "but not when the account is disabled" slurms "$(account alice false '"nancy"')"
says "and the user is told that" 'the account alice was disabled'
answer false "$(account alice true '"nancy"')" "$(job 8 alice -5 shared)"
wait_for 5 caught_up
certify short alice alice alice@test 17 "-5m:$(TZ=UTC date -d '4 seconds' +%Y%m%d%H%M%S)Z"
check "a session by a certificate that ends soon" session short short alice -tt "$stay"
check "ends with it, where a site wants that" wait_for 6 over short
cp short.log last
says "and the user is told" 'your certificate has expired'
answer false "$(change key 2 null)" "$(registered 9 alice erin ",\"expireTime\":\"$(in_seconds 4)\"")"
wait_for 5 caught_up
check "a session by a key that ends soon" session short_key erin alice -tt "$stay"
check "ends with it" wait_for 6 over short_key
cp short_key.log last
says "and the user is told" 'your registered key has expired'
ends "a cluster that takes certificates no more ends their sessions" other "$(cluster job keys)"
# The machine of a job: its account comes in as the user that the job names, and nobody else does.
(
    revision=1
    printf '{"revision":"1","snapshot":true,"changes":[%s,%s,%s,%s,%s,%s]}' \
        "$(change ca "$(fingerprint user_ca)" "{\"type\":\"user\",\"publicKey\":\"$(line user_ca)\"}")" \
        "$(account alice true '"nancy"')" "$(cluster job both)" "$(registered 2 alice erin '')" \
        "$(change host j1 '{"cluster":"nancy","role":"job","address":"","port":22}')" \
        "$(change job 30@nancy "{\"account\":\"alice\",\"cluster\":\"nancy\",\"user\":\"uprod\",\"type\":\"cluster\",
            \"nodes\":[\"j1\"],\"startTime\":\"$(in_seconds -60)\"}")"
) >machine.json
check "a job's own machine" "$work/bin/host_feed" "$work/machine" j1 <machine.json
on_machine() { "$host" "$1" --state "$work/machine" "${@:2}"; } # COMMAND USER …
[ "$(on_machine principals uprod 15 alice@test)" = "$(printf 'alice@nancy\nalice\njob:30@nancy')" ]
report $? "lets in its account, as the user that the job names"
[ "$(on_machine principals uprod 15 'alice@test job:31@nancy')" = '' ]
report $? "not by the certificate of another job"
[ "$(on_machine principals uprod 15 'bob@test job:30@nancy')" = "$(printf 'alice@nancy\nalice')" ]
report $? "nor by one for the job of that name that was somebody else's"
[ "$(on_machine keys uprod)" = "$(line erin)" ]
report $? "and by its keys"
[ -z "$(on_machine principals alice 15 alice@test)$(on_machine keys alice)$(on_machine principals root 15 alice@test)" ]
report $? "and as nobody else"
check "no record is left at the end" wait_for 5 has_records 0
if grep -E 'ERROR: |runtime error' feed.log; then report 1 "the sanitizers are content"; fi
done_testing
