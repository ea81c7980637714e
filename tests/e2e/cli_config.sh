#!/usr/bin/env bash
# Goal: postern config makes plain ssh reach the jump host, clusters and nodes, and leaves a person's own ~/.ssh/config as it was.
# Functions that check() and wait_for() call look unreachable; what is single-quoted is for others to expand.
# shellcheck disable=SC2317,SC2016
# shellcheck source=tests/e2e/cli_world.sh
. "$(dirname "$0")/cli_world.sh"
cli_world_begin
dot=$laptop_home/.ssh ours=$laptop_home/.ssh/config.d/posterngate-cscs
real_ssh=$(command -v ssh)

judge() { laptop ssh -G "$1" 2>/dev/null | grep -qxF -e "$2"; } # HOST LINE
logs_in() { laptop ssh -n -o BatchMode=yes "$@"; }
bytes() { cat "$dot/config" 2>/dev/null; }

# ---- nothing there yet ----
check "--print writes nothing" laptop postern config --print
says "but shows it" '^Host daint daint.example$'
check "neither folder nor file" sh -c "! test -e '$dot/config' && ! test -e '$dot/config.d'"
refused "before it, ssh knows no daint" any 'resolve' logs_in daint true
check "postern config" laptop postern config
says "what to type now" 'ssh daint '
says "and which names may be somebody else's" 'outside of the domain of authority.example: .*daint.example.*if they are somebody else'
check "the folder is 0700" test "$(stat -c %a "$dot/config.d")" = 700
check "both files are 0600" test "$(stat -c %a "$ours" "$dot/config" | tr '\n' ' ')" = "600 600 "
check "one line leads there" test "$(bytes)" = "Include config.d/posterngate-cscs"
check "by ssh -G the cluster is its address" judge daint 'hostname daint.example'
check "through the jump host" judge daint 'proxyjump ela'
check "as alice" judge daint 'user alice'
check "with her certificate" judge daint "certificatefile ~/.ssh/cscs-key-cert.pub"
check "and no other identity" judge daint 'identitiesonly yes'
check "a node by its pattern" judge nid009999 'proxyjump ela'
check "another host is not touched" sh -c "! '$work/bin/laptop' ssh -G other.example | grep -E '^(proxyjump|certificatefile)'"
check "ssh daint" logs_in daint hostname
says "is its login host" '^daint-ln001$'
check "ssh to the login host by its name" logs_in daint-ln001 true
check "ssh to the node of her job" logs_in nid001234 hostname
says "is the node" '^nid001234$'
check "ssh to her job by its number, without a question about a host key" logs_in job-4711 hostname
says "is its node" '^nid001234$'
check "and by its cluster" logs_in -o HostName=job-4711@daint job-4711 true
refused "a job of nobody" any '' logs_in job-4712 true
laptop ssh -n -o BatchMode=yes ela >last 2>&1
says "ssh ela says who she is" 'alice'
check "scp takes the same way" laptop scp -q -o BatchMode=yes .ssh/cscs-key.pub daint:copied
check "and the file is there" test -s "inside/alice/copied"
check "again: the same bytes" sh -c "cp '$ours' before && '$work/bin/laptop' postern config && cmp before '$ours' && test \"\$(grep -c Include '$dot/config')\" = 1"
check "of names that were there already nothing is said" sh -c "! '$work/bin/laptop' postern config 2>&1 | grep -i outside"
check "--diff finds nothing to change" laptop postern config --diff
[ ! -s last ]
report $? "and is silent then"
laptop postern --json config >json 2>last
check "--json" jq -e '.site == "cscs" and .clusters == ["daint"] and .jumpHosts == ["ela"] and .loginHosts == ["daint-ln001"] and
    .computePatterns == ["nid??????"]' json

# ---- taken away ----
check "postern config --remove" laptop postern config --remove
check "leaves nothing of it" sh -c "! test -e '$dot/config' && ! test -e '$dot/config.d'"
check "again: there is nothing" laptop postern config --remove
says "and it says so" 'There was no'

# ---- what a person wrote stays, to the byte ----
own() { # DESCRIPTION TEXT: written, configured, removed
    printf '%b' "$2" >hand && install -m "${3:-640}" -o alice -g alice hand "$dot/config"
    check "$1: configured" laptop postern config
    check "$1: the Include says something first" sh -c "grep -vE '^[[:space:]]*(#|\$)' '$dot/config' | head -n 1 | tr -d '\r' | grep -qx 'Include config.d/posterngate-cscs'"
    check "$1: it counts" judge daint 'proxyjump ela'
    check "$1: and so does the rest" judge mine 'hostname mine.example'
    check "$1: the mode stays" test "$(stat -c %a "$dot/config")" = "${3:-640}"
    check "$1: removed" laptop postern config --remove
    check "$1: not a byte differs" cmp hand "$dot/config"
}
own "a file" 'Host mine\n    HostName mine.example\n'
printf 'Host daint mine\n    HostName mine.example\n' >hand && install -m 600 -o alice -g alice hand "$dot/config"
check "a name that the person has, too" laptop postern config
says "is told of" 'these names as well, and ssh takes them for those of cscs: daint$'
laptop postern config --remove >last
own "without a newline at its end" 'Host mine\n    HostName mine.example'
own "with CR LF" 'Host mine\r\n    HostName mine.example\r\n' 600
own "with comments first" '# mine\n\nHost mine\n    HostName mine.example\n' 644
own "with options for all hosts" 'ServerAliveInterval 30\nHost=mine\nHostName=mine.example\nHost *\n  User bob\n'
own "with an IgnoreUnknown of its own" 'IgnoreUnknown Strange*,Other\nStrangeOption 1\nHost mine\n HostName mine.example\n Other 2\n'

install -m 600 -o alice -g alice /dev/null "$dot/config"
printf 'Host other\n    Include config.d/posterngate-cscs\nHost mine\n    HostName mine.example\n' >"$dot/config"
check "an Include that belongs to a host does not do" laptop postern config
check "so one stands first" test "$(head -n 1 "$dot/config")" = "Include config.d/posterngate-cscs"
check "and counts" judge daint 'proxyjump ela'
laptop postern config --remove >last 2>&1
for include in "include   ~/.ssh/config.d/posterngate-cscs" "Include=\"$dot/config.d/*\"" "Include ~/.ssh/config.d/posterngate-*"; do
    printf '%s\nHost mine\n    HostName mine.example\n' "$include" >hand
    install -m 600 -o alice -g alice hand "$dot/config"
    check "there already as $include" laptop postern config
    check "it is not written twice" cmp hand "$dot/config"
    check "and counts" judge daint 'proxyjump ela'
    check "removed" laptop postern config --remove
    check "the hand-made line stays" cmp hand "$dot/config"
done
printf 'Host mine\n    HostName mine.example\nInclude config.d/posterngate-cscs\n' >hand
install -m 600 -o alice -g alice hand "$dot/config"
check "an Include that came behind a host" laptop postern config
check "goes first" test "$(head -n 1 "$dot/config")" = "Include config.d/posterngate-cscs"
check "and is there once" test "$(grep -c Include "$dot/config")" = 1

printf 'Host mine\n    HostName mine.example\n' >hand
mkdir -p "$laptop_home/dotfiles" && install -m 600 -o alice -g alice hand "$laptop_home/dotfiles/ssh"
chown alice: "$laptop_home/dotfiles"
rm -f "$dot/config" && ln -s ../dotfiles/ssh "$dot/config"
check "a symbolic link" laptop postern config
check "stays one" test "$(readlink "$dot/config")" = ../dotfiles/ssh
check "what it leads to is edited" grep -q Include "$laptop_home/dotfiles/ssh"
check "and it counts" judge daint 'proxyjump ela'
check "removed" laptop postern config --remove
check "the link stays" test "$(readlink "$dot/config")" = ../dotfiles/ssh
check "not a byte differs" cmp hand "$laptop_home/dotfiles/ssh"
rm -f "$dot/config" && ln -s nowhere/config "$dot/config"
refused "a link that leads nowhere: exit 2" 2 'leads nowhere' laptop postern config
rm -f "$dot/config"

install -m 400 -o alice -g alice hand "$dot/config"
refused "a read-only file is not touched: exit 2" 2 'is read-only' laptop postern config
says "what to do is told" 'Include config.d/posterngate-cscs'
check "not a byte differs" cmp hand "$dot/config"
chmod 600 "$dot/config"
printf '# begin of posterngate-cscs\nHost mine\n' >hand && install -m 600 -o alice -g alice hand "$dot/config"
refused "a block without its end is not touched" 2 'none that ends it' laptop postern config
check "not a byte differs" cmp hand "$dot/config"
rm "$dot/config"
install -d -o alice -g alice "$dot/config.d" && echo '# by hand' >"$ours"
refused "a file of that name by another hand: exit 9" 9 'not written by postern' laptop postern config
check "stays" grep -qx '# by hand' "$ours"
rm -r "$dot/config.d"
printf 'Host mine\n    HostName mine.example\n' >hand && install -m 600 -o root -g root hand "$dot/config" && chmod 644 "$dot/config"
refused "a file of another user's: exit 2" 2 'belongs to another user' laptop postern config
check "stays" cmp hand "$dot/config"
check "and nothing else is written" test ! -e "$ours"
rm "$dot/config" && rm -rf "$dot/config.d"
install -m 600 -o alice -g alice hand "$dot/config"
ln -s nobody/there "$dot/config.d"
refused "a folder that cannot be made" any 'config.d' laptop postern config
check "not a byte differs" cmp hand "$dot/config"
rm "$dot/config.d"

# What somebody else's option for an old ssh would do.
printf 'NoSuchOption yes\n' >hand && install -m 600 -o alice -g alice hand "$dot/config"
check "a file that ssh does not take is not made worse" laptop postern config
says "and that is told" 'did not take'
check "removed" laptop postern config --remove
check "not a byte differs" cmp hand "$dot/config"
rm "$dot/config"

# ---- ten at once ----
printf 'Host mine\n    HostName mine.example\n' >hand && install -m 600 -o alice -g alice hand "$dot/config"
pids=()
for i in {1..10}; do
    laptop postern config >"many-$i" 2>&1 &
    pids+=($!)
done
good=0
for pid in "${pids[@]}"; do wait "$pid" && good=$((good + 1)); done
check "ten at once all succeed" test $good = 10
check "the line is there once" test "$(grep -c . "$dot/config")" = 3
check "no other file is left" test "$(find "$dot" -name '.*' -o -name '*.??????' | grep -cv known_hosts)" = 1
check "removed" laptop postern config --remove
check "not a byte differs" cmp hand "$dot/config"

# ---- the disk is full ----
laptop postern config >last 2>&1
cp "$dot/config" full-config && cp "$ours" full-ours
small() { on laptop sh -c "cp -a '$dot' '$work/dot' && mount -t tmpfs -o size=128k,mode=700,uid=42001,gid=42001 small '$dot' &&
    cp -a '$work/dot/.' '$dot/' && { dd if=/dev/zero of='$dot/filler' bs=1k 2>/dev/null || :; }"; }
check "a disk gets full" small
refused "then nothing is written" any 'disk is full' laptop postern config --multiplex
check "what was there is as it was" on laptop sh -c "cmp '$work/full-config' '$dot/config' && cmp '$work/full-ours' '$ours'"
check "and no rest of it" on laptop sh -c "! find '$dot' -name '.*.??????' | grep ."
on laptop umount "$dot"

# ---- options ----
check "--multiplex, --agent-forwarding, --suffix" laptop postern config --multiplex --agent-forwarding --suffix .g5k
check "connections are shared" judge daint 'controlmaster auto'
check "ssh makes one" logs_in daint true
check "that goes on" laptop ssh -O check daint
check "and is closed" sh -c "'$work/bin/laptop' ssh -O exit daint && '$work/bin/laptop' ssh -O exit ela"
check "hosts inside may use the agent" judge daint 'forwardagent yes'
check "the jump host may not" judge ela 'forwardagent no'
laptop postern config --suffix .g5k >last 2>&1
# A login shell that is none: whatever cuts names in a shell of its own would fail.
cat >bin/noshell <<'END'
#!/bin/sh
case $2 in exec\ ssh\ -*) exec sh -c "$2" ;; esac
exit 99
END
chmod 755 bin/noshell
for host in daint:daint-ln001 daint-ln001:daint-ln001 nid001234:nid001234; do
    for shell in /bin/bash /bin/dash "$work/bin/noshell" $(command -v fish zsh tcsh); do
        check "ssh ${host%:*}.g5k with SHELL=${shell##*/}" laptop env SHELL="$shell" ssh -n -o BatchMode=yes "${host%:*}.g5k" hostname
        says "is ${host#*:}" "^${host#*:}\$"
    done
done
check "without a question about its host key" judge nid001234.g5k 'hostname nid001234'
refused "a name that nobody has" any '' logs_in nobody.g5k true
check "CanonicalizeHostname changes nothing" logs_in -o CanonicalizeHostname=always -o CanonicalDomains=example daint.g5k true
refused "a suffix that is none: exit 2" 2 'suffix' laptop postern config --suffix 'a b'
refused "a suffix with a pattern: exit 2" 2 'suffix' laptop postern config --suffix '.*'
refused "a hop that is a word of a shell: exit 2" 2 'jump' laptop postern config --jump '$(touch x)'
refused "a hop behind the jump host: exit 8" 8 'no jump host of the site' laptop postern config --jump ela,other.example

# Through a host of the person's own first, and to nodes through the login host.
check "a chain of jumps" laptop postern config --jump daint-ln001.example:22,ela --through-login
check "ssh -G: the first hop" judge ela 'proxyjump daint-ln001.example:22'
check "ssh -G: a node by its cluster" judge nid001234 'proxyjump daint'
laptop postern config --through-login >last 2>&1
check "through two hops to a node" logs_in nid001234 hostname
says "it is the node" '^nid001234$'
check "--diff tells what would change" laptop postern config --diff
says "line by line" '^-    ProxyJump daint$'
laptop postern config >last 2>&1

check "another key" laptop sh -c 'ssh-keygen -q -t ed25519 -N "" -C "" -f .ssh/other && postern config -f .ssh/other'
check "by ssh -G it is that one" judge daint 'identityfile ~/.ssh/other'
check "it alone, and its certificate, which is got first" logs_in daint true
check "beside it" test -s "$dot/other-cert.pub"
refused "a key that no line can hold" any 'cannot hold' laptop postern config -f '.ssh/a"b'
laptop postern config >last 2>&1

# ---- renewing ----
check "the line names the program" grep -q "exec $work/bin/postern-refresh --from-ssh --site cscs" "$ours"
mv bin/postern-refresh refresh-away
check "where it is gone ssh goes on" logs_in daint true
[ ! -s last ]
report $? "without a word"
# A stand-in that notes how it was called; the real one has a scenario of its own.
printf '#!/bin/sh\necho "$*" >>%s/refreshed\nexit 3\n' "$laptop_home" >bin/postern-refresh && chmod 755 bin/postern-refresh
check "where it fails ssh goes on" logs_in daint true
check "it ran for both hops" test "$(sort "$laptop_home/refreshed" | uniq -c | tr -s ' ')" = " 2 --from-ssh --site cscs"
rm "$laptop_home/refreshed"
laptop ssh -G other.example >last 2>&1
check "and for no other host" test ! -e "$laptop_home/refreshed"
rm bin/postern-refresh && mv refresh-away bin/postern-refresh
rm "$dot/cscs-key-cert.pub"
check "without a certificate plain ssh gets one first" logs_in daint true
check "and there it is" test -s "$dot/cscs-key-cert.pub"

# Whose session has ended hears of it at a terminal, and programs do not. The CA's own key makes a certificate that has ended.
state=$laptop_home/.local/state/posterngate/cscs
cp -p "$dot/cscs-key-cert.pub" kept-cert.pub
mv "$state/token" kept-token
ssh-keygen -q -s "$authority/ca/user_1.key" -I alice@cscs -n alice -z 7 -V -2h:-1h "$dot/cscs-key.pub"
chown alice: "$dot/cscs-key-cert.pub"
at_terminal() { rm -f "$state/refresh.json" && python3 "$here/tty.py" -- "$work/bin/laptop" "$@"; }
refused "without a session and with a certificate that has ended ssh does not get in" 255 'Permission denied' at_terminal ssh -n daint true
says "at a terminal it is said why" 'postern: you are not signed in at cscs'
says "and what to type" 'postern login'
check "once for both hops" test "$(grep -c 'not signed in' last)" = 1
refused "with scp, too" any 'not signed in' at_terminal scp -q .ssh/cscs-key.pub daint:
refused "another ssh a moment later" 255 'Permission denied' python3 "$here/tty.py" -- "$work/bin/laptop" ssh -n daint true
if grep -q 'not signed in' last; then report 1 "says it no more"; else report 0 "says it no more"; fi
rm -f "$state/refresh.json"
laptop ssh -n -o BatchMode=yes daint true >said 2>complained
check "a program hears what ssh says" grep -q 'Permission denied' complained
refused "and nothing of ours" any '' grep -E '^postern:|signed in' said complained
rm "$dot/cscs-key-cert.pub"
refused "who never had one, and may have a registered key, is not told" 255 'Permission denied' at_terminal ssh -n daint true
if grep -q 'not signed in' last; then report 1 "indeed"; else report 0 "indeed"; fi
cp -p kept-cert.pub "$dot/cscs-key-cert.pub"
mv kept-token "$state/token"
check "signed in again, ssh gets in" logs_in daint true

# ---- Kerberos ----
laptop postern config --print >last 2>&1
if grep -q GSSAPI last; then report 1 "no GSSAPI where the site has none"; else report 0 "no GSSAPI where the site has none"; fi
kill "$authority_pid" && wait "$authority_pid"
sed -i 's/^site:/site:\n  gssapi: true/' "$authority/posternd.yaml"
serve
check "the site has it now" laptop postern config
check "and ssh is told" judge daint 'gssapiauthentication yes'

# ---- an old ssh ----
# A stand-in: it says that it is OpenSSH 7.2, and is otherwise the real one.
mkdir old && printf '#!/bin/sh\n[ "$1" != -V ] || { echo "OpenSSH_7.2p2 Ubuntu-4ubuntu2.10, OpenSSL 1.0.2g" >&2; exit; }\nexec %s "$@"\n' "$real_ssh" >old/ssh
chmod 755 old/ssh
old() { laptop env PATH="$work/old:$work/bin:/usr/bin:/bin" "$@"; }
printf 'ServerAliveInterval 30\nHost mine\n    HostName mine.example\n' >hand
laptop postern config --remove >last 2>&1
install -m 600 -o alice -g alice hand "$dot/config"
check "for OpenSSH 7.2, which has no Include" old postern config --suffix .g5k
check "there is none" sh -c "! grep -Eq '^Include|ProxyJump' '$dot/config'"
check "ssh -G: ProxyCommand" judge daint "proxycommand ssh -W '[%h]:%p' ela"
check "what follows is for all hosts as before" judge other.example 'serveraliveinterval 30'
check "ssh daint" logs_in daint true
check "ssh nid001234" logs_in nid001234 true
check "ssh nid001234.g5k" logs_in nid001234.g5k true
refused "a host name with a quote is none of a node's" any '' logs_in "nid00123'" true
check "again: once" sh -c "cp '$dot/config' before && '$work/bin/laptop' env PATH='$work/old:$work/bin:/usr/bin:/bin' postern config --suffix .g5k && cmp before '$dot/config'"
check "with today's ssh it becomes an Include" laptop postern config
check "and nothing else" sh -c "printf 'Include config.d/posterngate-cscs\n' | cat - hand | cmp - '$dot/config'"
old postern config >last 2>&1
check "removed" laptop postern config --remove
check "not a byte differs" cmp hand "$dot/config"
rm "$dot/config"

# ---- PuTTY ----
check "--putty --print" laptop postern config --putty --print
says "is a file for regedit" '^Windows Registry Editor Version 5\.00'
says "with a session" '^\[HKEY_CURRENT_USER\\Software\\SimonTatham\\PuTTY\\Sessions\\daint\]'
says "by way of another" '^"ProxyHost"="ela"'
says "at its port" '^"PortNumber"=dword:00000016'
says "the site's host CA" '^\[HKEY_CURRENT_USER\\Software\\SimonTatham\\PuTTY\\SshHostCAs\\posterngate-cscs-1\]'
check "every line of it is a header, a comment or a value" sh -c "tail -n +2 last | tr -d '\r' |
    grep -vE '^(;.*|\[HKEY_CURRENT_USER.Software.SimonTatham.PuTTY.[^]]+\]|\"[A-Za-z0-9]+\"=(\".*\"|dword:[0-9a-f]{8}))?\$' >strange; test ! -s strange"
check "nothing was written" test ! -e "$laptop_home/.putty"
check "--putty" laptop postern config --putty --putty-key 'C:\Users\alice\cscs-key.ppk'
says "what to type next" 'postern key convert'
check "the key's path is escaped for Windows" grep -qF '"PublicKeyFile"="C:\\Users\\alice\\cscs-key.ppk"' "$laptop_home/posterngate-cscs.reg"
check "the key for PuTTY" laptop postern key convert .ssh/cscs-key --to ppk --no-certificate
laptop plink -batch -load ela >last 2>&1
says "plink -load ela: who she is, without a question about the host key" 'alice'
for host in daint daint-ln001; do
    check "plink -load $host, through ela" laptop plink -batch -load $host hostname
    says "is its login host" '^daint-ln001$'
done
check "a certificate that was renewed counts" laptop sh -c 'postern sign && plink -batch -load daint true'
check "again: the same" sh -c "cp -r '$laptop_home/.putty' putty-before && '$work/bin/laptop' postern config --putty && diff -r putty-before/sessions '$laptop_home/.putty/sessions'"
sed -i '/^Posterngate=/d; s/^PortNumber=.*/PortNumber=77/' "$laptop_home/.putty/sessions/daint"
printf 'HostName=mine.example\n' >"$laptop_home/.putty/sessions/mine" && chown alice: "$laptop_home/.putty/sessions/mine"
check "a session that the person saved" laptop postern config --putty
says "is told of" 'not of this site'
check "and stays" grep -q '^PortNumber=77$' "$laptop_home/.putty/sessions/daint"
echo mine >"$laptop_home/posterngate-cscs.reg"
refused "a file of that name by another hand: exit 9" 9 'is there already' laptop postern config --putty
check "--remove --putty" laptop postern config --remove --putty
says "says how many" 'Removed: 2 sessions'
(cd "$laptop_home/.putty" && find . -type f ! -name randomseed | sort) >left
check "leaves what is the person's, and nothing else" test "$(tr '\n' ' ' <left)" = "./sessions/daint ./sessions/mine "

# ---- AiiDA ----
check "--aiida" laptop sh -c 'mkdir aiida && postern config --aiida daint --output aiida'
says "what to type" 'verdi computer configure core.ssh_async daint --non-interactive --config aiida/daint-ssh_async.yaml'
check "verdi's fields, by PyYAML" /usr/bin/python3 - "$laptop_home/aiida" "$work/bin/postern-refresh" "$laptop_home/.ssh/cscs-key" <<'PY'
import sys, yaml
folder, refresh, key = sys.argv[1:]
setup, new, old = (yaml.safe_load(open(f"{folder}/daint-{name}.yaml")) for name in ("setup", "ssh_async", "ssh"))
assert set(setup) == {"label", "hostname", "description", "transport", "scheduler", "shebang", "work_dir", "mpirun_command",
                      "mpiprocs_per_machine", "prepend_text", "append_text"}, setup
assert setup["label"] == "daint" and setup["hostname"] == "daint.example" and setup["transport"] == "core.ssh_async"
assert setup["scheduler"] == "core.slurm" and setup["shebang"] == "#!/bin/bash" and setup["mpiprocs_per_machine"] == 1
assert setup["work_dir"] == "/scratch/{username}/aiida/" and setup["mpirun_command"] == "srun -n {tot_num_mpiprocs}"
assert new == {"host": "daint", "max_io_allowed": 8, "authentication_script": refresh, "backend": "asyncssh",
               "use_login_shell": True, "safe_interval": 15.0}, new
assert set(old) == {"username", "port", "look_for_keys", "key_filename", "timeout", "allow_agent", "proxy_jump", "proxy_command",
                    "compress", "gss_auth", "gss_kex", "gss_deleg_creds", "gss_host", "load_system_host_keys", "key_policy",
                    "use_login_shell", "safe_interval"}, old
assert old["username"] == "alice" and old["port"] == 22 and old["key_filename"] == key and old["proxy_jump"] == "alice@ela.example:22"
assert old["key_policy"] == "RejectPolicy" and old["look_for_keys"] is False and old["proxy_command"] == ""
PY
aiida_takes_ssh() { # with a key that has a passphrase
    laptop sh -c 'mkdir encrypted && cp .ssh/cscs-key encrypted/kept && ssh-keygen -q -p -P "" -N "blue river 47" -f .ssh/cscs-key &&
        postern config --aiida daint --print; mv encrypted/kept .ssh/cscs-key' && said '^backend: "openssh"$' && said 'The key has a passphrase'
}
check "with a passphrase on the key the backend is ssh itself" aiida_takes_ssh
refused "files that are there are the person's: exit 9" 9 'is there already' laptop postern config --aiida daint --output aiida
check "with a chain of jumps" laptop postern config --aiida daint --print --jump me@gw.example:2222,ela
says "each hop in full" '^proxy_jump: "me@gw.example:2222,alice@ela.example:22"$'
check "of a login host" laptop postern config --aiida daint-ln001 --print
cp last yaml
check "it is YAML in three parts" /usr/bin/python3 -c 'import yaml; assert len(list(yaml.safe_load_all(open("yaml")))) == 3'
refused "of a host that is none: exit 8" 8 'no cluster' laptop postern config --aiida elsewhere
refused "of the jump host: exit 8" 8 'no cluster' laptop postern config --aiida ela
mv bin/postern-refresh refresh-away
check "without postern-refresh there is no script, as verdi takes none that is missing" laptop postern config --aiida daint --print
says "and that is told" 'left out'
if grep -q authentication_script: last; then report 1 "it is not there"; else report 0 "it is not there"; fi
mv refresh-away bin/postern-refresh

# ---- Visual Studio Code ----
laptop postern config --vscode >settings.json 2>last
says "--vscode says what to do with it" 'settings.json'
check "which is JSON for just these hosts" jq -e '."remote.SSH.connectTimeout" == 60 and
    ."remote.SSH.remotePlatform" == {daint: "linux", "daint-ln001": "linux"}' settings.json

# ---- an authority that cannot be asked, and one that lies ----
laptop postern config >last 2>&1
cp "$ours" before
kill "$authority_pid" && wait "$authority_pid"
check "without the authority" laptop postern config
says "it goes by what it knows" 'said last'
check "the same bytes" cmp before "$ours"
known=$laptop_home/.config/posterngate/cscs/site.json
cp "$known" site.json
for lie in '.document.clusters[0].address = "x\nProxyCommand touch /tmp/owned"' '.document.jumpHosts[0].name = "-oProxyCommand=x"' \
    '.document.clusters[0].name = "*"' '.document.jumpHosts[0].address = "a b"' '.document.clusters[0].address = "$(touch x)"'; do
    jq "$lie" site.json >"$known"
    refused "$lie: exit 7" 7 'makes no sense' laptop postern config
    check "nothing is written" cmp before "$ours"
done
cp site.json "$known"
laptop_state=$laptop_home/.local/state/posterngate/cscs/reach.json
cp "$laptop_state" reach.json
jq '.hosts[0].name = "nid1\n  ProxyCommand x"' reach.json >"$laptop_state"
refused "what is kept is judged too: exit 7" 7 'hosts\[0\]\.name' laptop postern config
cp reach.json "$laptop_state"

# ---- two sites ----
folder=$laptop_home/.config/posterngate
cp -a "$folder/cscs" "$folder/north"
jq '.document.site = "north" | .document.jumpHosts[0] |= (.name = "pole" | .address = "pole.example") |
    .document.clusters = [{name: "daint", address: "daint.north.example", port: 22}, {name: "frost", address: "frost.example", port: 22}]' \
    site.json >"$folder/north/site.json"
check "a second site" laptop postern --site north config
says "a name that both have is told" 'daint is a name of the site cscs too'
check "one line for both" test "$(bytes)" = "Include config.d/posterngate-cscs config.d/posterngate-north"
check "the first site's" judge daint 'hostname daint.example'
check "the second's" judge frost 'proxyjump pole'
refused "which one must be said: exit 2" 2 'cscs, north' laptop postern config
check "one is removed" laptop postern --site cscs config --remove
check "the other stays" test "$(bytes)" = "Include config.d/posterngate-north"
rm -r "$folder/north"
check "also when the site is gone from here" laptop postern --site north config --remove
check "nothing is left" sh -c "! test -e '$dot/config' && ! test -e '$dot/config.d'"

# ---- another home ----
odd="$work/home/a b"
install -d -o alice -g alice "$odd"
cp -a "$laptop_home/.config" "$laptop_home/.local" "$odd/"
rm -rf "$odd/.ssh"
check "a home with a blank and without .ssh" laptop env HOME="$odd" postern config
says "that is not ssh's" 'ssh -F'
check "the folder is made 0700" test "$(stat -c %a "$odd/.ssh")" = 700
check "ssh -F takes it" sh -c "'$work/bin/laptop' ssh -F '$odd/.ssh/config' -G daint | grep -qx 'certificatefile $odd/.ssh/cscs-key-cert.pub'"
check "removed" laptop env HOME="$odd" postern config --remove
check "nothing is left" sh -c "! find '$odd/.ssh' -type f | grep ."

# The account's own home, now.
cp -p "$dot"/cscs-key* "$odd/.ssh/"
sed "s|:$laptop_home:|:$odd:|" passwd >passwd.odd && cat passwd.odd >passwd
check "an account whose home has a blank" laptop env HOME="$odd" postern config --multiplex --suffix .g5k
check "the names in the line are ssh's" test "$(cat "$odd/.ssh/config")" = "Include config.d/posterngate-cscs"
check "ssh daint" laptop env HOME="$odd" ssh -n -o BatchMode=yes daint true
check "ssh nid001234.g5k" laptop env HOME="$odd" ssh -n -o BatchMode=yes nid001234.g5k true
for host in daint nid001234.g5k ela; do laptop env HOME="$odd" ssh -O exit $host >last 2>&1; done
check "removed" laptop env HOME="$odd" postern config --remove
done_testing
