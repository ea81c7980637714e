#!/usr/bin/env bash
# Goal: a service on a compute node in the laptop's browser, whatever is broken on the way said so, and nothing left behind.
# Functions that check() and wait_for() call look unreachable.
# shellcheck disable=SC2317,SC2016
# shellcheck source=tests/e2e/cli_world.sh
. "$(dirname "$0")/cli_world.sh"
cli_world_begin
cli_world_host nid001235 compute 13

# ---- helpers ----
on laptop mount -t tmpfs -o mode=1777 tmpfs /tmp # where nobody else makes folders
url_here="" local_port="" # of the tunnel that was looked at last
mkdir served && echo "six by six" >served/index.html
head -c 20000000 /dev/urandom >served/large
chmod -R a+rX served
serve_at() { # NAME PLACE ADDRESS PORT: a service; its pid is in $service_pid
    start_on "$1" "$2" python3 -m http.server "$4" --bind "$3" --directory "$work/served"
    service_pid=$last_pid
    listens() { on "$1" python3 -c "import socket; socket.create_connection(('$2', $3), 1)"; }
    wait_for 40 listens "$2" "${3/0.0.0.0/127.0.0.1}" "$4"
}
end_of() { kill "-${2:-TERM}" "$1"; wait "$1" 2>/dev/null; }
tunnel() { start "$1" laptop postern tunnel "${@:2}"; tunnel_pid=$last_pid; } # LOG WORDS…
is_ready() { grep -q ' leads to ' "$1.log" && url_of "$1"; }
url_of() { url_here=$(grep -oE 'http://localhost:[0-9]+/' "$1.log") && local_port=${url_here//[^0-9]/}; }
gets_page() { [ "$(laptop curl -s --max-time 5 "$url_here")" = "six by six" ]; }
# What a tunnel is made of; a scenario's own programs run as root.
processes() { pgrep -u alice -x 'ssh|postern|sshfs' || :; }
nothing_runs() { [ -z "$(processes)" ]; }
nothing_listens() { ! on laptop ss -Hltn | grep -v ':22 ' | grep -q .; }
no_folder() { [ -z "$(on laptop ls /tmp)" ]; }
leaves_nothing() { # DESCRIPTION
    check "$1: no process is left" wait_for 5 nothing_runs
    check "… no port" wait_for 5 nothing_listens
    check "… and no file" no_folder
}
has_ended() { ! kill -0 "$tunnel_pid" 2>/dev/null; }
tells() { grep -qE -- "$2" "$1.log"; }

# ---- refused ----
refused "without words: exit 2" 2 'PORT' laptop postern tunnel
refused "without a node: exit 2" 2 'which port' laptop postern tunnel daint 6006
refused "a port that is none" 2 '65535' laptop postern tunnel daint nid001234 http
refused "nor is 0" 2 'port 0' laptop postern tunnel daint nid001234 0
refused "a local port that is none" 2 '--local' laptop postern tunnel daint nid001234 6006 --local 65536
refused "no such cluster" 8 'no host dain at cscs; did you mean daint' laptop postern tunnel dain nid001234 6006
refused "a node of another cluster" 2 'no host of the cluster daint' laptop postern tunnel daint ela 6006
refused "not one's node" 4 'no job of yours runs on nid001235.*job has ended' laptop postern tunnel daint nid001235 6006
says "and what to type" 'postern jobs'
refused "no such job" 8 'no job 4712 of yours runs' laptop postern tunnel --job 4712 6006
refused "a node that is not the job's" 8 'does not have the node nid001235' laptop postern tunnel --job 4711 nid001235 6006
refused "a cluster beside a job" 2 'has its cluster' laptop postern tunnel --job 4711 daint nid001234 6006
leaves_nothing "refusals"

# ---- a tunnel ----
serve_at web nid001234 127.0.0.1 6006
tunnel first daint nid001234 6006
check "a tunnel by cluster and node" wait_for 40 is_ready first
check "the port here is the service's, since it is free" test "$local_port" = 6006
check "the page is there" gets_page
check "until when is said" tells first '^Until job 4711 ends, at the latest .*in 4 hours.*Ctrl-C'
on laptop ss -Hltn >last
says "it listens on loopback" '127\.0\.0\.1:6006 '
check "and nowhere else" sh -c "! grep -vE '127\.0\.0\.1:6006 |\[::1\]:6006 ' last | grep -q ."
check "a large file comes whole" sh -c "laptop curl -s ${url_here}large | cmp - served/large"
for host in 127.0.0.1 '[::1]'; do
    refused "who is somebody else on this machine gets nothing at $host" any '' \
        on laptop setpriv --reuid 65534 --regid 65534 --clear-groups curl -sS --max-time 5 "http://$host:6006/"
done
check "which is said, once" sh -c "[ \$(grep -c 'another user of this machine .* turned away' first.log) = 1 ]"
check "by IPv6 as well" sh -c "laptop curl -s 'http://[::1]:6006/' | grep -q six"
many() { laptop sh -c "seq 300 | xargs -P 300 -I{} curl -s -o /dev/null -w '%{http_code}\n' --max-time 60 '$url_here' | grep -c 200"; }
check "300 connections at once" test "$(many)" = 300
tunnel second --job 4711 6006 --json
check "a second, by job, at a port that is free" wait_for 40 grep -q localPort second.log
check "--json is one line" sh -c "[ \$(wc -l <second.log) = 1 ] && jq -e '.node == \"nid001234\" and .port == 6006 and .job == \"4711\" and
    .cluster == \"daint\" and .user == \"alice\" and .localPort != 6006 and .url == \"http://localhost:\(.localPort)/\"' second.log"
end_of "$tunnel_pid"
check "SIGTERM ends it as SIGTERM does" test $? = 143
refused "a port that is in use: exit 9" 9 'port 6006 is in use' laptop postern tunnel daint nid001234 6006 --local 6006
free=$(free_port)
tunnel third --job 4711@daint nid001234 6006 --local "$free"
check "a port that is chosen" wait_for 40 is_ready third
check "is the port" test "$local_port" = "$free"
check "and leads there" gets_page
end_of "$tunnel_pid" HUP
check "SIGHUP ends it" test $? = 129
check "the first goes on" url_of first
check "as it should" gets_page
end_of "$(pgrep -u alice -x postern)"
leaves_nothing "after signals"

refused "Ctrl-C" 130 '' laptop tty.py --signal 'leads to' SIGINT -- postern tunnel daint nid001234 6006
leaves_nothing "after Ctrl-C"
tunnel killed daint nid001234 6006
wait_for 40 is_ready killed
kill -9 "$(pgrep -u alice -x postern)"
wait "$tunnel_pid" 2>/dev/null
check "kill -9 of postern leaves no process" wait_for 5 nothing_runs
check "nor a port" wait_for 5 nothing_listens
on laptop sh -c 'rm -r /tmp/postern.*'

# ---- the browser ----
cat >bin/xdg-open <<END
#!/bin/sh
# A stand-in for a desktop's xdg-open: writes down what it was to open.
echo "\$1" >$laptop_home/opened
END
chmod 755 bin/xdg-open
tunnel open daint nid001234 6006 --open
wait_for 40 is_ready open
check "--open opens the browser" wait_for 5 grep -qx "$url_here" "$laptop_home/opened"
end_of "$tunnel_pid"

# ---- the service ----
end_of "$service_pid"
tunnel waits daint nid001234 6006
check "nothing listens yet: it waits" wait_for 40 tells waits 'Nothing listens on nid001234 port 6006 yet; waiting'
serve_at web nid001234 127.0.0.1 6006
check "until something does" wait_for 40 is_ready waits
check "and leads there" gets_page
end_of "$tunnel_pid"
refused "a progress line on a terminal" 143 '' laptop tty.py --signal 'waiting: [0-9]+ s' SIGTERM -- postern tunnel daint nid001234 6007
end_of "$service_pid"
serve_at web nid001234 10.99.0.12 6006
tunnel elsewhere daint nid001234 6006
check "a service on the node's own address alone is found" wait_for 40 is_ready elsewhere
check "and that is said" tells elsewhere 'listens on 10\.99\.0\.12 of nid001234 alone.*127\.0\.0\.1'
check "the page is there" gets_page
ssh_of() { pgrep -u alice -f '^ssh .*ControlMaster=yes'; }
kill -9 "$(ssh_of)"
check "also after a new login" wait_for 40 gets_page
end_of "$tunnel_pid"
end_of "$service_pid"
serve_at web nid001234 0.0.0.0 6006
tunnel everywhere daint nid001234 6006
check "a service at every address is no such case" wait_for 40 is_ready everywhere
check "so nothing is said" sh -c "! grep -q alone everywhere.log"
end_of "$tunnel_pid"
leaves_nothing "after all of that"

# ---- what is broken on the way ----
kill -INT "$gate_pid" && wait "$gate_pid" 2>/dev/null
refused "the gate is down" 6 'link from here to ela is broken: nothing listens' laptop postern tunnel daint nid001234 6006
says "and what to type" 'postern doctor ela'
cli_world_gate
sshd_of() { pgrep -f "^sshd: /usr/sbin/sshd .*/hosts/$1/sshd.conf"; }
stop_sshd() { kill "$(sshd_of "$1")"; gone() { ! sshd_of "$1"; }; wait_for 5 gone "$1"; }
run_sshd() {
    start_on "sshd-$1" "$1" /usr/sbin/sshd -D -e -f "$work/hosts/$1/sshd.conf" "${@:2}"
    wait_for 40 grep -q 'Server listening' "sshd-$1.log"
}
stop_sshd nid001234
refused "the node's sshd is down" 6 'link from ela to nid001234 is broken: nid001234:22 refused the connection' laptop postern tunnel daint nid001234 6006
run_sshd nid001234 -o DenyUsers=alice
refused "the node lets nobody in" 4 'link from ela to nid001234 is broken: it does not let you in as alice' \
    laptop postern tunnel daint nid001234 6006
stop_sshd nid001234
run_sshd nid001234 -o AllowTcpForwarding=no
refused "the node forwards nothing" 4 'link from nid001234 to the service is broken' laptop postern tunnel daint nid001234 6006
stop_sshd nid001234
run_sshd nid001234
tunnel login daint nid001234 6006 --through-login
check "by way of the login host" wait_for 40 is_ready login
check "the page is there" gets_page
check "and it was that way" grep -q 'Accepted publickey for alice from 10.99.0.11' sshd-nid001234.log
end_of "$tunnel_pid"
stop_sshd daint-ln001
refused "the login host's sshd is down" 6 'link from ela to daint is broken' laptop postern tunnel daint nid001234 6006 --through-login
run_sshd daint-ln001
mv "$laptop_home/.config/posterngate/cscs/known_hosts" kept
refused "a jump host that is not known" 4 'link from here to ela is broken: its host key' laptop postern tunnel daint nid001234 6006
mv kept "$laptop_home/.config/posterngate/cscs/known_hosts"
leaves_nothing "after failures"

# ---- a connection that is lost ----
tunnel lost daint nid001234 6006
wait_for 40 is_ready lost
page() { laptop curl -s --max-time 40 "$url_here"; }
kill -9 "$(ssh_of)"
check "ssh is killed: who connects meanwhile waits" test "$(page)" = "six by six"
check "that is said" tells lost 'connection to nid001234 is lost'
check "and that it is back" wait_for 5 tells lost 'Connected again'
kill -INT "$gate_pid" && wait "$gate_pid" 2>/dev/null
again() { [ "$(grep -c 'is lost' lost.log)" = 2 ]; }
check "the gate goes away" wait_for 40 again
cli_world_gate
check "and comes back: the page is there at the same port" test "$(page)" = "six by six"
ip link set veth-9 down
on laptop ip address del 10.99.0.9/24 dev eth0
on laptop ip address add 10.99.0.19/24 dev eth0
ip link set veth-9 up
before=$SECONDS
changed() { [ "$(grep -c 'Connected again' lost.log)" = 3 ]; }
check "another network, with another address: connected again" wait_for 60 changed
echo "# after $((SECONDS - before)) s"
check "and the page is there" gets_page
check "the same tunnel all the time" kill -0 "$tunnel_pid"
end_of "$tunnel_pid"
leaves_nothing "after losses"

# ---- certificates, and registered keys ----
certificate=$laptop_home/.ssh/cscs-key-cert.pub token=$laptop_home/.local/state/posterngate/cscs/token
rm "$certificate"
tunnel renewed daint nid001234 6006
check "without a certificate one is got first" wait_for 40 is_ready renewed
check "as it should be" laptop postern status
end_of "$tunnel_pid"
check "a key to register" laptop postern key add .ssh/cscs-key.pub
mv "$certificate" kept_certificate && mv "$token" kept_token
enters() { laptop postern ssh nid001234 -- true; }
check "who is not signed in and has no certificate is let in by the key" wait_for 40 enters
tunnel registered daint nid001234 6006
check "and has tunnels, too" wait_for 40 is_ready registered
check "to the page" gets_page
end_of "$tunnel_pid"
mv kept_token "$token"
check "without the key" laptop postern key remove .ssh/cscs-key.pub
mv "$token" kept_token
refused "nothing is left" 4 'link from here to ela is broken: .*registered' laptop postern tunnel daint nid001234 6006
says "and what to type" 'postern sign'
mv kept_token "$token" && mv kept_certificate "$certificate"

# ---- SOCKS, and ssh ----
start socks laptop postern socks daint
socks_pid=$last_pid
check "a SOCKS proxy, at the usual port" wait_for 40 grep -q 'socks5h://localhost:1080 leads wherever daint' socks.log
check "leads inside" sh -c "laptop curl -s --proxy socks5h://localhost:1080 http://nid001234:6006/ | grep -qx 'six by six'"
refused "another cannot have that port" 9 'in use' laptop postern socks daint 1080
end_of "$socks_pid"
leaves_nothing "after it"
check "postern ssh" laptop postern ssh daint -- hostname
says "is ssh" '^daint-ln001$'
refused "with the status of the command" 7 '' laptop postern ssh nid001234 -- exit 7
check "by job" laptop postern ssh --job 4711 -- hostname
says "is on its node" '^nid001234$'
refused "to nobody knows where" 8 'no host nid009999 at cscs' laptop postern ssh nid009999
refused "to nowhere" 2 'say where to' laptop postern ssh

# ---- sshfs ----
if [ -c /dev/fuse ] && command -v sshfs >/dev/null; then
    # Other users of this machine may be kept from it: it is alice's in this namespace.
    mkdir fuse && cp -a /dev/fuse fuse/ && chmod 666 fuse/fuse && on laptop mount --bind "$work/fuse/fuse" /dev/fuse
    laptop mkdir inside
    echo "from inside" >inside/alice/note
    refused "a folder that is not there" 8 'cannot mount on nowhere' laptop postern mount daint nowhere
    says "and what to type" 'mkdir nowhere'
    refused "nothing is mounted yet" 8 'nothing is mounted on inside' laptop postern umount inside
    refused "a host that is not there" 8 'no host dain' laptop postern mount dain inside
    check "postern mount" laptop postern mount daint inside
    check "shows the home over there" laptop grep -qx "from inside" inside/note
    check "and takes files" laptop sh -c 'echo mine >inside/mine'
    check "which are alice's there" test "$(stat -c %U inside/alice/mine)" = alice
    refused "a second mount there" 9 'is mounted on inside already' laptop postern mount daint inside
    sshfs_of() { pgrep -u alice -x sshfs; }
    kill -9 "$(sshfs_of)"
    check "sshfs is killed: umount puts away what is left" laptop postern umount inside
    refused "so that nothing is" 8 'nothing is mounted' laptop postern umount inside
    check "mounted again, by job, read only" laptop postern mount --job 4711 "$work/home/alice" inside --read-only
    refused "it takes no files" any 'Read-only' laptop sh -c 'echo mine >inside/more'
    kill -9 "$(sshfs_of)"
    check "a stale mount is put away by the next" laptop postern mount daint: inside
    says "which says so" 'was left on inside'
    check "and it is there" laptop grep -qx mine inside/mine
    check "umount" laptop postern umount inside
    leaves_nothing "after mounts"
else
    skip "postern mount" "needs /dev/fuse and sshfs"
fi

# ---- a cluster of the job's own ----
echo "uprod_00Grm:x:42001:42001::$work/home/alice:/bin/bash" >>passwd
echo "uprod_00Grm:*:19000:0:99999:7:::" >>shadow
job_starts 00Grm "{\"username\":\"alice\",\"type\":\"cluster\",\"user\":\"uprod_00Grm\",\"nodes\":[\"job-00grm\"],\"address\":\"10.99.0.14\",
    \"port\":32100,\"duration\":\"1h\",\"enrol\":true,\"hostKeys\":[\"$(ssh-keygen -q -t ed25519 -N '' -C '' -f own_key && cat own_key.pub)\"]}"
own_token=$(field '.enrolments[0].enrolmentToken')
mkdir -p hosts/job-00grm && cp own_key hosts/job-00grm/host_key && cp own_key.pub hosts/job-00grm/host_key.pub
printf '%s\n' "state: state" "host_keys: [host_key.pub]" >hosts/job-00grm/host.yaml
add_place job-00grm 14
on job-00grm mount --bind "$work/inside" "$work/home"
check "its machine enrols" postern-host enrol --url "$url" --config hosts/job-00grm/host.yaml --ca "$authority/tls/ca.pem" --token "$own_token"
start_on sync-job job-00grm postern-host sync --config "$work/hosts/job-00grm/host.yaml"
# The key that came with the job is what shows who it is, not a certificate.
printf '%s\n' "Port 32100" "PidFile none" "UsePAM no" "LogLevel VERBOSE" "HostKey $work/own_key" "$penalties" >hosts/job-00grm/sshd.conf
postern-host sshd-config --config hosts/job-00grm/host.yaml | grep -v HostCertificate >>hosts/job-00grm/sshd.conf
start_on sshd-job-00grm job-00grm /usr/sbin/sshd -D -e -f "$work/hosts/job-00grm/sshd.conf"
wait_for 40 grep -q 'Server listening' sshd-job-00grm.log
enters() { laptop postern ssh --job 00Grm -- id -un; }
check "a cluster of the job's own, through the jump host" wait_for 40 enters
check "as its user" laptop postern ssh --job 00Grm -- 'echo $USER; echo $SSH_CONNECTION'
says "whom the job names" '^uprod_00Grm$'
says "by way of the gate" '^10\.99\.0\.[12] '
serve_at own job-00grm 127.0.0.1 8888
tunnel own --job 00Grm 8888
check "a tunnel there" wait_for 40 is_ready own
check "has the page" gets_page
end_of "$tunnel_pid"
gets "the site gives up its jump host" 200 - DELETE /api/v1/hosts/ela "$admin"
rm "$laptop_home/.local/state/posterngate/cscs/reach.json"
laptop postern known-hosts >last 2>&1
check "straight to the address of the job" wait_for 40 enters
check "from the laptop itself" laptop postern ssh --job 00Grm -- 'echo $SSH_CONNECTION'
says "that is" '^10\.99\.0\.(9|19) '
tunnel straight --job 00Grm 8888
check "a tunnel there" wait_for 40 is_ready straight
check "has the page" gets_page

# ---- the job's end ----
job_ends 00Grm
check "the job ends, and the tunnel with it" wait_for 40 has_ended
check "which is said" tells straight 'The job 00Grm has ended, and the tunnel with it'
wait "$tunnel_pid"
check "as a success" test $? = 0
leaves_nothing "after the job"

done_testing
