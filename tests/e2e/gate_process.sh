#!/usr/bin/env bash
# The gate's processes: locked in, started again, reloaded, drained, handed over, and no live session is cut by any of it.
# shellcheck source=tests/e2e/gate_world.sh
. "$(dirname "${BASH_SOURCE[0]}")/gate_world.sh"
promtool=$TOOLS/promtool
[ -x "$promtool" ] || promtool=$(command -v promtool)

# A process of the gate whose master is $gate_pid: relay, keys or names.
child() { pgrep -P "${2:-$gate_pid}" -f "^postern-gate-$1 "; }
go() { ssh -F ssh_config "$@"; }
# A session that lives: `talk NAME` starts one through the gate, `lives NAME` says something on it and hears it back.
talk() {
    mkfifo "$1.in"
    start "$1" sh -c "exec ssh -F ssh_config daint cat <$1.in"
    eval "$1_pid=$last_pid"
    exec {talk_fd}>"$1.in"
    eval "$1_fd=$talk_fd"
    lives "$1"
}
lives() {
    local fd=$1_fd word=word$RANDOM$RANDOM
    echo "$word" >&"${!fd}" && wait_for 10 grep -q "$word" "$1.log"
}
hang_up() {
    local fd=$1_fd pid=$1_pid
    eval "exec ${!fd}>&-"
    wait "${!pid}"
    rm "$1.in"
}
gone() { ! kill -0 "$1" 2>/dev/null; }
logged() { grep -q "\"event\":\"$1\"" "${2:-gate}.log"; }

# --- configuration ---

gate_settings
check "check takes a good configuration" bin/postern-gate check -c gate.yaml
says "and says so" 'gate.yaml: good'
cat >bad.yaml <<EOT
listen: [10.99.0.1]
host_keys: [$work/ssh/nothing]
user: nobody-here
limits:
  sessions: 0
  chanels: 4
times:
  idle: 5
EOT
refused "check tells every error" 2 'bad.yaml:1: listen: "10.99.0.1" is not an address and a port' \
    bin/postern-gate check -c bad.yaml
says "with its line" 'bad.yaml:5: limits.sessions: .* from 1 to'
says "a name that is not known" 'bad.yaml:6: limits.chanels: .*limits.channels'
says "a time without a unit" 'bad.yaml:8: times.idle: .*is not a duration'
printf '%s\n' "listen: ['$gate_ip:22']" "host_keys: [$work/ssh/nothing]" "user: nobody-here" >bad.yaml
refused "a user that is not there" 2 'bad.yaml:3: user: there is no user nobody-here' bin/postern-gate check -c bad.yaml
printf '%s\n' "host_keys: [$work/ssh/nothing]" "user: nobody" >bad.yaml
refused "a host key that is not there" 2 'bad.yaml:1: host_keys: .*ssh/nothing: not found' bin/postern-gate check -c bad.yaml
chmod 640 ssh/ela_key
refused "a host key that others read" 2 'chmod 600' bin/postern-gate check -c gate.yaml
chmod 600 ssh/ela_key
gate_settings "ssh: {kex: diffie-hellman-group1-sha1}"
refused "an algorithm that is not known" 2 'gate.yaml:[0-9]*: ssh.kex: .*diffie-hellman-group1-sha1' \
    bin/postern-gate check -c gate.yaml
refused "and it does not start so" any 'diffie-hellman-group1-sha1' timeout 20 bin/postern-gate serve -c gate.yaml
gate_settings "limits: {sessions: 900000}"
refused "more sessions than descriptors" 1 'limits.sessions.*raise LimitNOFILE' \
    sh -c 'ulimit -n 4096; exec setpriv --bounding-set -sys_resource --inh-caps -sys_resource bin/postern-gate serve -c gate.yaml'
refused "an address that another has" 1 'another program listens there' sh -c "
    printf '%s\n' \"listen: ['10.99.0.11:22']\" 'host_keys: [$work/ssh/ela_key]' 'user: nobody' >taken.yaml
    exec bin/postern-gate serve -c taken.yaml"

# --- walls ---

gate_settings "workers: 2" "times: {drain: 3s}"
start manager python3 "$here/notified.py" "$work/notify" "$work/notified"
wait_for 10 grep -q listening manager.log
export NOTIFY_SOCKET=$work/notify
check "the gate starts" gate_start gate
check "and says when it is ready" wait_for 5 grep -q READY=1 notified
check "a session begins" talk alice

locked_in() { # PROCESS
    local status
    for status in /proc/"$(child "$1")"/task/*/status; do
        grep -q '^Seccomp:[[:space:]]*2' "$status" && grep -q '^NoNewPrivs:[[:space:]]*1' "$status" &&
            grep -qE '^Uid:[[:space:]]*65534[[:space:]]65534[[:space:]]65534' "$status" &&
            grep -q '^CapEff:[[:space:]]*0*$' "$status" || { cat "$status" && return 1; }
    done
}
for process in relay keys names; do
    if grep -qE '__(asan|tsan)_init' bin/postern-gate; then
        skip "$process is locked in" "sanitisers make system calls of their own"
    else
        check "$process is locked in, every thread of it" locked_in $process
    fi
done
# What a relay in wrong hands would try.
walls=$BUILD/tests/e2e/gate_walls
if grep -qE '__(asan|tsan)_init' "$walls"; then
    skip "the walls hold" "sanitisers make system calls of their own"
else
    check "behind the walls a relay can work" "$walls" work
    for attempt in open write unix udp raw netlink mptcp listen shut block starve kill code fork; do
        check "but not: $attempt" "$walls" $attempt
    done
    for attempt in exec ptrace uring; do
        refused "and it dies of: $attempt" 159 '' "$walls" $attempt
    done
fi
# The standard ones are what the service manager gave.
no_files() {
    local fd
    for fd in /proc/"$(child "$1")"/fd/*; do
        case $(readlink "$fd") in socket:* | anon_inode:* | pipe:*) ;;
        *) [ "${fd##*/}" -le 2 ] || { ls -l "$fd" && return 1; } ;;
        esac
    done
}
check "the relay has no descriptor of a file" no_files relay
check "nor have the keys" no_files keys
keys_read_nothing() { ! tr '\0' '\n' </proc/"$(child relay)"/maps 2>/dev/null | grep -q ela_key; }
check "the relay knows nothing of the key's file" keys_read_nothing

# --- metrics ---

check "metrics are there" sh -c 'curl -sf http://127.0.0.1:9422/metrics >metrics'
check "promtool takes them" "$promtool" check metrics <metrics
check "the session is counted" grep -qx 'postern_gate_sessions_authenticated 1' metrics
check "the gate is alive" curl -sf http://127.0.0.1:9422/healthz
check "and ready" curl -sf http://127.0.0.1:9422/readyz
refused "there is nothing else" 22 '' curl -sf http://127.0.0.1:9422/
refused "and nothing to write" 22 '' curl -sf -X POST -d x http://127.0.0.1:9422/metrics

# --- reload ---

reload() { # EVENT it must log
    local before
    before=$(grep -c "\"event\":\"$1\"" gate.log)
    kill -HUP "$gate_pid"
    wait_for 10 sh -c "[ \$(grep -c '\"event\":\"$1\"' gate.log) -gt $before ]"
}
cp gate.yaml good.yaml
echo "nonsense: 1" >>gate.yaml
check "a bad configuration is refused" reload reload_refused
check "and the error is told" grep -q 'nonsense' gate.log
check "the gate goes on" go daint true
cp good.yaml gate.yaml && echo "ssh: {ciphers: none-such}" >>gate.yaml
check "one that only the relay can judge is refused as well" reload reload_refused
check "and the gate goes on" go daint true
cp good.yaml gate.yaml && echo "ssh: {ciphers: aes256-gcm@openssh.com}" >>gate.yaml
check "a good one is taken" reload reloaded
check "the manager is told" grep -q RELOADING=1 notified
refused "new sessions have it" 255 'no matching cipher' go -c chacha20-poly1305@openssh.com ela
check "by the other cipher they come in" go -c aes256-gcm@openssh.com -T ela
check "the session has lived on" lives alice
cp good.yaml gate.yaml
check "and back" reload reloaded
relay=$(child relay)

ssh-keygen -q -s keys/host_ca -h -I ela -n ela.example -z 88 -V -5m:+1d ssh/ela_key.pub
check "a new host certificate is taken by a reload" reload reloaded
go -v -T ela >shown 2>&1
check "and shown" grep 'Server host certificate:.*serial 88' shown
ssh-keygen -q -s keys/host_ca -h -I ela -n ela.example -z 89 -V -2d:-1d ssh/ela_key.pub
check "one that has expired is not" reload reloaded
check "and that is said" grep -q 'host_certificate_not_shown.*expired' gate.log
refused "so the key stands alone" 255 'Host key verification failed' go -T ela
ssh-keygen -q -s keys/host_ca -h -I ela -n ela.example -z 90 -V -5m:+1d ssh/ela_key.pub
check "until there is a good one" reload reloaded
check "then one comes in again" go daint true
check "all in one relay" [ "$relay" = "$(child relay)" ]

# --- host keys ---

ssh-keygen -q -t rsa -b 3072 -N '' -f ssh/ela_rsa && ssh-keygen -q -t ecdsa -N '' -f ssh/ela_ecdsa
sed -i "s|^host_keys:.*|host_keys: [$work/ssh/ela_key, $work/ssh/ela_rsa, $work/ssh/ela_ecdsa, $work/ssh/junk]|" gate.yaml
echo junk >ssh/junk && chmod 600 ssh/junk
check "a reload with a key that is none is refused" reload reload_refused
check "and the gate goes on" go daint true
sed -i "s|, $work/ssh/junk||" gate.yaml
check "new host keys are taken by a reload" reload reloaded
for algorithm in ssh-ed25519 rsa-sha2-256 rsa-sha2-512 ecdsa-sha2-nistp256; do
    check "the gate proves its key by $algorithm" ssh -F ssh_config -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o HostKeyAlgorithms=$algorithm -T ela
done
echo "ela.example $(cut -d' ' -f1,2 ssh/ela_key.pub)" >known_plain
ssh -F ssh_config -o UserKnownHostsFile=known_plain -o UpdateHostKeys=yes -o HostKeyAlgorithms=ssh-ed25519,rsa-sha2-512,ecdsa-sha2-nistp256 -T ela >/dev/null 2>&1
for type in rsa ecdsa; do
    check "and proves the $type one to a client that collects them" grep -qF "$(cut -d' ' -f2 ssh/ela_$type.pub)" known_plain
done
check "the session has lived on" lives alice
cp good.yaml gate.yaml
check "and back" reload reloaded

# --- deaths ---

other_child() { local now && now=$(child "$1") && [ -n "$now" ] && [ "$now" != "$2" ]; }
for process in names keys; do
    old=$(child $process)
    kill -KILL "$old"
    check "$process is killed and comes back" wait_for 10 other_child $process "$old"
    check "new sessions come in" wait_for 10 go daint true
    check "the live one lives" lives alice
done
check "in the same relay" [ "$relay" = "$(child relay)" ]
check "metrics are served again" wait_for 5 curl -sf http://127.0.0.1:9422/healthz
keys=$(child keys) names=$(child names)
# As a relay in wrong hands could, to the sockets that the next one gets.
cat >deafen.py <<'PY'
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
pid = os.pidfd_open(int(sys.argv[1]))
for fd in os.listdir(f"/proc/{sys.argv[1]}/fd"):
    copy = libc.syscall(438, pid, int(fd), 0) # pidfd_getfd
    if os.readlink(f"/proc/self/fd/{copy}").startswith("socket:"):
        with socket.socket(fileno=copy) as it:
            if it.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                libc.connect(copy, bytes(16), 16) # AF_UNSPEC
PY
python3 deafen.py "$gate_pid"
check "the listening sockets can be made deaf" sh -c "! bash -c 'exec 3<>/dev/tcp/$gate_ip/22'"
kill -KILL "$relay"
check "the relay is killed and comes back" wait_for 10 other_child relay "$relay"
check "with keys and names of its own" sh -c "! kill -0 $keys 2>/dev/null && ! kill -0 $names 2>/dev/null"
check "and lets people in" wait_for 10 go daint true
hang_up alice

# --- the feed ---

kill "$feed_pid"
check "the end of the feed is noticed" wait_for 10 logged feed_lost
check "those known still come in" go daint true
kill -USR2 "$gate_pid"
check "a hand-over to one that could not hear it is given up" wait_for 20 logged hand_over_failed
check "which says why" logged feed_not_heard
check "and the gate goes on" go daint true
rm state/feed.sock
start feed python3 "$here/feed_sock.py" state/feed.sock changes.json
feed_pid=$last_pid
wait_for 10 test -S state/feed.sock
feed 'map(if .[0] == "account" and .[1] == "bob" then .[2].clusters = ["daint"] else . end)'
check "and its return: who is let in now, is" wait_for 10 go -l bob -i keys/bob -o CertificateFile=keys/bob-cert.pub -W daint.example:22 ela

# --- hand-over ---

check "a session begins" talk alice
: >stop
knock() { # as fast as one client can, until `stop` is gone; each failure is a line
    local count=0
    while [ -e stop ]; do
        bash -c "exec 3<>/dev/tcp/$gate_ip/22 && read -r -t 10 line <&3 && [[ \$line == SSH-2.0-* ]]" 2>>knock.err || echo refused
        count=$((count + 1))
    done
    echo "knocked $count"
}
visit() { # the same with whole logins
    local count=0
    while [ -e stop ]; do
        ssh -F ssh_config daint true 2>&1 || echo refused
        count=$((count + 1))
    done
    echo "visited $count"
}
export -f knock visit
export gate_ip
start knock bash -c knock && knock_pid=$last_pid
start visit bash -c visit && visit_pid=$last_pid
wait_for 10 sh -c 'ps -o pid= --ppid '"$visit_pid"
old=$gate_pid
kill -USR2 "$gate_pid"
check "the gate hands over" wait_for 20 logged handed_over
new=$(sed -n 's/.*"event":"handed_over".*"pid":"\([0-9]*\)".*/\1/p' gate.log | tail -n 1)
check "to a new process" kill -0 "$new"
check "of which the manager is told" wait_for 5 grep -qx "MAINPID=$new" notified
check "visits go on" sh -c 'before=$(wc -c <visit.log); for i in 1 2 3; do ssh -F ssh_config daint true || exit 1; done'
rm stop
wait "$knock_pid" "$visit_pid"
check "nobody was refused" sh -c '! grep -q refused knock.log visit.log'
check "although many came" grep -E 'knocked [1-9][0-9]' knock.log
check "the session that was there lives" lives alice
check "in the old process" kill -0 "$old"
check "the metrics are the new one's" sh -c "curl -s http://127.0.0.1:9422/metrics | grep -qx 'postern_gate_draining 0'"
hang_up alice
check "which ends after it" wait_for 10 gone "$old"
check "new sessions go on" go daint true
gate_pid=$new

cp bin/postern-gate bin/postern-gate.good
check "a session begins" talk alice
rm bin/postern-gate && ln -s /bin/false bin/postern-gate
kill -USR2 "$gate_pid"
check "a hand-over to what does not run is given up" wait_for 10 sh -c "[ \$(grep -c hand_over_failed gate.log) = 2 ]"
check "and the gate goes on" go daint true
check "with the session that was there" lives alice
rm bin/postern-gate && mv bin/postern-gate.good bin/postern-gate
kill -USR2 "$gate_pid"
check "the next one is well" wait_for 20 sh -c "[ \$(grep -c handed_over gate.log) = 2 ]"
new=$(sed -n 's/.*"event":"handed_over".*"pid":"\([0-9]*\)".*/\1/p' gate.log | tail -n 1)
check "and lets people in" go daint true

# --- drain ---

old=$gate_pid gate_pid=$new
hang_up alice
check "the second process ends after its last session" wait_for 10 gone "$old"
check "a session begins" talk alice
all=$(child relay) all="$all $(child keys) $(child names)"
kill -TERM "$gate_pid"
check "SIGTERM: nobody is accepted" wait_for 5 sh -c '! bash -c "exec 3<>/dev/tcp/'"$gate_ip"'/22" 2>/dev/null'
check "the session lives" lives alice
check "the manager is told" grep -q STOPPING=1 notified
check "until the limit" wait_for 10 gone "$gate_pid"
wait "$alice_pid"
check "and hears why" grep -q 'this gate is being stopped' alice.log
eval "exec $alice_fd>&-" && rm alice.in
all_gone() { local pid && for pid in $all; do gone "$pid" || return 1; done; }
check "no process is left" wait_for 5 all_gone

printf '%s\n' "$(gate_settings && cat gate.yaml)" "times: {drain: none}" >drain.yaml && mv drain.yaml gate.yaml
gate_start gate2
check "a session begins" talk alice
kill -TERM "$gate_pid"
wait_for 5 logged draining gate2
check "a drain without a limit waits" lives alice
hang_up alice
check "for the last session" wait_for 10 gone "$gate_pid"
wait "$gate_pid"
check "and ends well" [ $? = 0 ]
gate_start gate3
check "a session begins" talk alice
kill -TERM "$gate_pid"
wait_for 5 logged draining gate3
kill -TERM "$gate_pid"
check "a second SIGTERM ends it at once" wait_for 5 gone "$gate_pid"
eval "exec $alice_fd>&-" && rm alice.in

# --- sockets of systemd ---

cat >activate.py <<'EOT'
import os, socket, sys
sockets = [socket.create_server((sys.argv[1], 22)), socket.create_server(("10.99.0.9", 2222))]
for number, one in enumerate(sockets):
    os.dup2(one.fileno(), 40 + number, inheritable=False)
    os.dup2(40 + number, 3 + number)
os.environ.update(LISTEN_FDS="2", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
EOT
start gate4 python3 activate.py "$gate_ip" "$work/bin/postern-gate" serve -c gate.yaml
gate_pid=$last_pid
check "sockets are taken from systemd" wait_for 10 go daint true
check "one that is not configured is closed, and that is said" logged inherited_socket_not_configured gate4
refused "for good" any '' bash -c 'exec 3<>/dev/tcp/10.99.0.9/2222'
check "SIGINT ends it at once, well" gate_stop

# --- with the rights that the service gives ---

start gate6 setpriv --no-new-privs --bounding-set -all,+net_bind_service,+setuid,+setgid "$work/bin/postern-gate" serve -c gate.yaml
gate_pid=$last_pid
check "root with three capabilities runs it" wait_for 10 go daint true
gate_stop

# --- without root ---

mkdir own && cp ssh/ela_key own/key && cp ssh/ela_key-cert.pub own/key-cert.pub && chown -R nobody own && chmod 600 own/key
printf '%s\n' "listen: ['$gate_ip:2200']" "host_keys: [own/key]" "state: $work/state" >own.yaml
start gate5 setpriv --reuid nobody --clear-groups "$work/bin/postern-gate" serve -c own.yaml
gate_pid=$last_pid
check "an ordinary user runs it at a high port" wait_for 10 go -p 2200 -T ela
gate_stop
done_testing
