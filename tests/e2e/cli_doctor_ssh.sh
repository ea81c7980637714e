#!/usr/bin/env bash
# postern doctor: agents, ssh's configuration, known hosts, the way in, jobs, and the report for a support team.
# Functions are called through check and refused; a shell of the laptop expands what is in single quotes.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/e2e/doctor_world.sh
. "$(dirname "$0")/doctor_world.sh"

site_config=$ssh/config.d/posterngate-cscs
user_ca=authority/ca/user_1.key
batch=(ssh -o BatchMode=yes)

# ---- agents ----
# A command with an agent of its own, after what is to be done in it.
cat >bin/in_agent <<'END'
#!/bin/bash
eval "$(ssh-agent)" >/dev/null
trap 'kill "$SSH_AGENT_PID"' EXIT
eval "$1"
shift
"$@"
END
chmod 755 bin/in_agent
finds_in_agent() { # DESCRIPTION PREPARATION CHECK WORDS
    local status=0
    laptop in_agent "$2" postern --json doctor >last 2>&1 || status=$?
    [ $status = 4 ] && jq -e --arg name "$3" --arg words "$4" \
        '.first == $name and (.checks[] | select(.check == $name) | .state == "broken" and (.message | test($words)))' last >condition
    report $? "$1: found"
}
dead() { laptop env SSH_AUTH_SOCK="$laptop_home/gone.sock" "$@"; }
refused "an agent that has gone" 4 'names ~/gone.sock, where no agent answers.*could not open a connection to your authentication agent' \
    dead postern doctor
says "and what to type" 'eval "\$\(postern agent\)"'
check "--fix starts one" dead postern doctor --fix --yes
check "which the shell finds by what it was told to type" dead sh -c 'eval "$(postern agent --shell sh)" && ssh-add -l'
check "it ends" laptop postern agent --kill
check "without any agent, and a key that needs none" laptop postern doctor
says "there is a note" '^note +Agent +this shell knows of no agent'

# Seven certificates that have expired, before the one that is good: each is a failed attempt.
mkdir -p home/alice/old && chown alice: home/alice/old
for i in 1 2 3 4 5 6 7; do
    ssh-keygen -q -t ed25519 -N '' -C "old$i" -f home/alice/old/k$i
    ssh-keygen -q -s $user_ca -I old -n alice -z "$i" -V 20240101:20240102 home/alice/old/k$i.pub
done
chown -R alice: home/alice/old
old='for i in 1 2 3 4 5 6 7; do ssh-add -q old/k$i; done; ssh-add -q .ssh/cscs-key'
cat >$ssh/config <<'END'
Host ela
    HostName ela.example
Host daint
    HostName daint.example
    ProxyJump ela
Host *
    User alice
    IdentityFile ~/.ssh/none
    UserKnownHostsFile ~/.config/posterngate/cscs/known_hosts
END
refused "an agent full of expired certificates: ssh fails" 255 'oo many authentication failures' laptop in_agent "$old" "${batch[@]}" daint true
finds_in_agent "an agent full of expired certificates" "$old" agentExpired '7 expired certificates.*too many authentication failures'
check "--fix takes them out, and configures ssh" laptop in_agent "$old" sh -c 'postern doctor --fix --yes && ssh -o BatchMode=yes daint true'
restore
plain='for i in 1 2 3 4 5 6 7; do rm -f old/k$i-cert.pub; ssh-add -q old/k$i; done'
grep -v 'IdentityFile' good/config >$ssh/config
printf '%s\n' 'Host ela' '    HostName ela.example' 'Host daint' '    HostName daint.example' '    ProxyJump ela' 'Host *' '    User alice' \
    '    UserKnownHostsFile ~/.config/posterngate/cscs/known_hosts' >$ssh/config
refused "an agent full of keys: ssh fails" 255 'oo many authentication failures' laptop in_agent "$plain" "${batch[@]}" daint true
finds_in_agent "an agent full of keys" "$plain" agentCrowd 'offers the 7 keys of the agent before yours'
check "--fix configures ssh to offer one" laptop in_agent "$plain" sh -c 'postern doctor --fix --yes && ssh -o BatchMode=yes daint true'
restore

# ---- ssh's configuration ----
rm $ssh/config
finds "a configuration that includes nothing" include 'does not include'
mends "postern config"
restore
rm -r $ssh/config $ssh/config.d
finds "no configuration at all" include 'postern has not configured ssh for cscs yet'
mends "postern config"
restore
printf '%s\n' 'Host other' '    HostName other.example' 'Include config.d/posterngate-cscs' >$ssh/config
finds "an Include behind a block" include 'on line 3 .* stands behind the block that begins on line 1'
mends "postern config"
check "the block is still there" grep -q 'HostName other.example' $ssh/config
restore
overrides() { # LINE…: a block of one's own before the Include
    { printf '%s\n' 'Host daint ela' "$@" && cat good/config; } >$ssh/config
}
overrides '    User bob'
finds "a block with another user name" include 'stands behind the block'
jq -e '.checks[] | select(.check == "settings") | .state == "broken" and
    (.message | test("as bob, and your account is alice, as line 2 of ~/.ssh/config says"))' last >condition
report $? "and the name"
refused "ssh fails" 255 'not for the name you asked for' laptop "${batch[@]}" daint true
mends "postern config"
restore
sed -i 's/^\( *\)User alice/\1User bob/' $site_config
finds "another user name in postern's own file" settings 'as bob, and your account is alice'
mends "postern config"
restore
sed -i 's/HostName daint.example/HostName elsewhere.example/' $site_config
finds "another host under the cluster's name" settings 'daint leads ssh to elsewhere.example, and not to daint.example'
mends "postern config"
restore
sed -i '/ProxyJump/d' $site_config
check "no jump host, in a network where none is needed" laptop postern doctor
says "is a note" '^note +Settings +ssh goes to daint directly, and the way leads over ela'
on laptop ip route add unreachable 10.99.0.11/32
finds "elsewhere it is what is wrong" settings 'ssh goes to daint directly, and the way leads over ela'
mends "postern config"
on laptop ip route delete unreachable 10.99.0.11/32
restore
sed -i 's,IdentityFile .*,IdentityFile ~/.ssh/another,' $site_config
finds "another key" settings 'does not use the key ~/.ssh/cscs-key'
mends "postern config"
restore
echo 'Nonsense yes' >>$site_config
finds "a line that ssh does not know" settings 'does not accept its configuration: .*Bad configuration option'
mends "postern config"
restore
# An older ssh, by a stand-in that refuses what OpenSSH before 7.3 did not know.
mkdir -p old
cat >old/ssh <<'END'
#!/bin/sh
[ "$1" != -V ] || { echo OpenSSH_7.2p2 >&2; exit 0; }
if grep -qi proxyjump "$HOME/.ssh/config.d/posterngate-cscs"; then
    echo "$HOME/.ssh/config.d/posterngate-cscs: line 1: Bad configuration option: proxyjump" >&2
    exit 255
fi
exec /usr/bin/ssh "$@"
END
chmod 755 old old/ssh
with_old() { laptop env PATH="$work/old:$work/bin:/usr/bin:/bin" "$@"; }
refused "an ssh that is too old for ProxyJump (a stand-in)" 4 'ssh +ssh is OpenSSH 7\.2, which does not know ProxyJump' with_old postern doctor
check "--fix writes ProxyCommand" with_old postern doctor --fix --yes
check "ssh works" with_old "${batch[@]}" daint true
restore

# A key of PuTTY's that somebody gave to ssh.
puttygen key.good -O private -o home/alice/mine.ppk && chown alice: home/alice/mine.ppk
printf '%s\n' 'Host ela' '    HostName ela.example' 'Host daint' '    HostName daint.example' '    ProxyJump ela' 'Host *' '    User alice' \
    '    IdentityFile ~/mine.ppk' '    IdentityFile ~/.ssh/cscs-key' '    IdentitiesOnly yes' \
    '    UserKnownHostsFile ~/.config/posterngate/cscs/known_hosts' >$ssh/config
check "a .ppk as IdentityFile, where ssh works by another: a note" laptop postern doctor
says "which names it" '^note +Identity files +IdentityFile ~/mine.ppk is a key file of PuTTY'
sed -i '/cscs-key/d' $ssh/config
refused "without another one ssh fails" 255 'Permission denied' laptop "${batch[@]}" daint true
check "--fix mends it" laptop postern doctor --fix --yes
check "ssh works" laptop "${batch[@]}" daint true
restore

# ---- known hosts ----
{ echo "# mine" && cat home/alice/.config/posterngate/cscs/known_hosts; } >$ssh/known_hosts && chown alice: $ssh/known_hosts
finds "a @cert-authority line among the person's known hosts" knownHosts 'line 2 of ~/.ssh/known_hosts is a @cert-authority line of cscs.*paramiko'
mends "it goes"
check "alone" test "$(cat $ssh/known_hosts)" = '# mine'
check "and a copy is kept" grep -q '^@cert-authority' $ssh/known_hosts.old
cp $ssh/known_hosts.old first-copy
{ echo "# mine, later" && cat home/alice/.config/posterngate/cscs/known_hosts; } >$ssh/known_hosts && chown alice: $ssh/known_hosts
check "the same once more" laptop postern doctor --fix --yes
check "keeps the first copy" cmp first-copy $ssh/known_hosts.old
check "and another beside it" grep -q '^# mine, later' $ssh/known_hosts.old.2
restore
ssh-keygen -q -t ed25519 -N '' -C '' -f other
echo "@cert-authority *.elsewhere $(cut -d' ' -f1,2 other.pub)" >$ssh/known_hosts && chown alice: $ssh/known_hosts
check "another site's is its own business" laptop postern doctor
says "though it is told" '^note +Known hosts +line 1 .* of another site'
restore
# An old key of a host that was set up anew; ssh knows it by its certificate, if it is told of that.
echo "ela,ela.example,daint.example,daint $(cut -d' ' -f1,2 other.pub)" >$ssh/known_hosts && chown alice: $ssh/known_hosts
check "an old key is no trouble where host certificates are known" laptop postern doctor
sed -i 's,UserKnownHostsFile .*,UserKnownHostsFile ~/.ssh/known_hosts,' $site_config
refused "where they are not, ssh fails" 255 'HOST IDENTIFICATION HAS CHANGED' laptop "${batch[@]}" daint true
finds "an old key of a host" login 'another key of a host than it shows, and ssh is not told of the certificates of cscs'
mends "postern config"
restore
: >$ssh/known_hosts && chown alice: $ssh/known_hosts
sed -i 's,UserKnownHostsFile .*,UserKnownHostsFile ~/.ssh/known_hosts,' $site_config
finds "a host that ssh does not know" login 'knows none of its hosts'
mends "postern config"
restore
# Clients may be told to leave certificates aside; then the plain key is what counts.
sed -i 's/^\( *\)HostName ela.example/&\n\1HostKeyAlgorithms ssh-ed25519/' $site_config
echo "ela,ela.example $(cut -d' ' -f1,2 other.pub)" >$ssh/known_hosts && chown alice: $ssh/known_hosts
finds "an old key, and a new one that the authority knows" login 'has an old key of a host that was set up anew'
refused "--fix takes the line out, and ssh has a question left" 4 'is the one that the authority knows: answer yes' \
    laptop postern doctor --fix --yes ela
check "the line is gone" test ! -s $ssh/known_hosts
check "with that answer ssh works" laptop tty.py --send 'continue connecting' yes -- ssh daint true
check "and the doctor is content" laptop postern doctor
restore

# ---- a shared connection ----
sed -i '1i Host *\n    ControlPath ~/.ssh/cm-%r@%h' $ssh/config
cat >hung.py <<'END'
import os, socket, sys, time
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(5)
time.sleep(1000)
END
hung=$laptop_home/.ssh/cm-alice@daint.example
start hung laptop python3 "$work/hung.py" "$hung"
hung_pid=$last_pid
wait_for 5 test -S "$hung"
refused "a shared connection that hangs: so does ssh" 124 '' laptop timeout 3 "${batch[@]}" daint true
finds "a shared connection that hangs" master 'does not answer: ssh waits for it'
mends "its socket goes"
kill "$hung_pid"
laptop python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('$hung')"
finds "one that nobody has any more" master 'nobody has the shared connection'
mends "its socket goes"
restore

# ---- the way in ----
kill "$gate_pid" && wait "$gate_pid" 2>/dev/null
finds "the gate is down" way 'nothing listens on ela.example port 22'
start http python3 -m http.server 22 --bind 10.99.0.1
http_pid=$last_pid
http_answers() { curl -s -o /dev/null http://10.99.0.1:22/; }
wait_for 10 http_answers
finds "another program answers in its place" way 'another program than an SSH server answers on ela.example port 22'
kill "$http_pid" && wait "$http_pid" 2>/dev/null
start gate postern-gate serve -c hosts/ela/gate.yaml
gate_pid=$last_pid
wait_for 10 gate_answers
on laptop ip route add unreachable 10.99.0.1/32
finds "the port is shut on the way" way 'ela.example port 22 cannot be reached from this network'
on laptop ip route delete unreachable 10.99.0.1/32
sed -i 's/HostName ela.example/HostName nowhere.example/' $site_config
finds "a host that there is not" settings 'ela leads ssh to nowhere.example'
says "nor any address" 'there is no host nowhere.example'
mends "postern config"
restore
gate_limits 'login_failures: 1'
fails() { laptop ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i old/k1 ela.example true 2>&1; }
turned_away() { fails | grep -q 'Connection closed\|closed by remote'; }
wait_for 30 turned_away
finds "the gate has had enough of failed logins" way 'too many failed logins from your address'
gate_limits 'login_failures: 100000'
check "once it takes more, all is well" wait_for 10 laptop postern doctor

# ---- where one may come from, and where to ----
check "alice shuts herself out" laptop postern access --from 192.0.2.0/24 --force
shut_out() { laptop "${batch[@]}" daint true 2>&1 | grep -q 'not good from the address'; }
wait_for 10 shut_out
finds "a network that is not allowed" login 'not good from the address you come from'
says "and what to type" 'postern access --from everywhere'
check "postern access" laptop postern access --from everywhere
check "is what mends it" wait_for 10 laptop postern doctor
check "alice comes from where she is alone" laptop postern access --from mine
kept_out() { laptop "${batch[@]}" daint true 2>&1 | grep -q 'daint.example: Permission denied'; }
wait_for 10 kept_out
finds "a certificate that does not say that she comes over ela" login 'daint.example does not let in, and you chose to come in from'
laptop postern access --from everywhere
check "once she may come from everywhere all is well" wait_for 10 laptop postern doctor
finds "a node without a job of hers" job 'is of no running job of yours' nid001235
job_ends 4711
gone() { laptop "${batch[@]}" nid001234 true 2>&1 | grep -q 'no job of yours'; }
wait_for 10 gone
finds "a job that has ended" job 'your job 4711, which nid001234 was of, ended' nid001234

# ---- the report ----
cat >>$ssh/config <<'END'
# the password of my proxy: hunter2-in-a-comment
Host proxied
    SetEnv LC_SECRET=hunter2-in-setenv
    ProxyCommand sshpass -p hunter2-of-sshpass ssh -W %h:%p ela
END
check "a report" laptop env POSTERN_API_KEY= postern doctor --report report.txt
check "that nobody else can read" test "$(stat -c %a home/alice/report.txt)" = 600
report_has() { grep -qE "$1" home/alice/report.txt; }
report_lacks() { ! grep -qF -- "$1" home/alice/report.txt; }
check "it has what was found" report_has '^fine +clock'
check "ssh -vvv" report_has '^debug1: Authentications that can continue: publickey'
check "of the jump host, too" report_has 'Authenticated to ela.example'
check "what ssh -G says" report_has '^proxyjump ela$'
check "the modes in ~/.ssh" report_has '^100600 [0-9]+ cscs-key$'
check "the certificate" report_has 'Key ID: "alice@cscs"'
check "the key's fingerprint" report_has "$(ssh-keygen -lf pub.good | cut -d' ' -f2 | sed 's/[+]/[+]/g')"
token=$(jq -r .accessToken "$state/token")
check "but not the session's token" report_lacks "$token"
check "nor any of its kind" sh -c "! grep -qE 'pg[a-z]_[A-Za-z0-9_-]{20}' home/alice/report.txt"
check "nor a line of the private key" sh -c "grep -v -- ----- key.good >lines && ! grep -qFf lines home/alice/report.txt"
check "nor the public key" report_lacks "$(cut -d' ' -f2 pub.good)"
check "nor a password" report_lacks hunter2
check "nor the second factor's secret" report_lacks "$(cat totp)"
check "nor where the home is" report_lacks "$laptop_home"
refused "a report that cannot be written" any 'cannot write' laptop postern doctor --report /nonexistent/report.txt
done_testing
