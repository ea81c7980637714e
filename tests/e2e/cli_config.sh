#!/usr/bin/env bash
# Goal: postern config makes plain ssh reach the jump host, clusters and nodes, and leaves a person's own ~/.ssh/config as it was.
# Functions that check() and wait_for() call look unreachable.
# shellcheck disable=SC2317
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
laptop ssh -n -o BatchMode=yes ela >last 2>&1
says "ssh ela says who she is" 'alice'
check "scp takes the same way" laptop scp -q -o BatchMode=yes .ssh/cscs-key.pub daint:copied
check "and the file is there" test -s "inside/alice/copied"
check "again: the same bytes" sh -c "cp '$ours' before && '$work/bin/laptop' postern config && cmp before '$ours' && test \"\$(grep -c Include '$dot/config')\" = 1"
check "--diff finds nothing to change" laptop postern config --diff
check "and is silent then" test ! -s last
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
    printf "$2" >hand && install -m "${3:-640}" -o alice -g alice hand "$dot/config"
    check "$1: configured" laptop postern config
    check "$1: the Include says something first" sh -c "grep -vE '^[[:space:]]*(#|\$)' '$dot/config' | head -n 1 | tr -d '\r' | grep -qx 'Include config.d/posterngate-cscs'"
    check "$1: it counts" judge daint 'proxyjump ela'
    check "$1: and so does the rest" judge mine 'hostname mine.example'
    check "$1: the mode stays" test "$(stat -c %a "$dot/config")" = "${3:-640}"
    check "$1: removed" laptop postern config --remove
    check "$1: not a byte differs" cmp hand "$dot/config"
}
own "a file" 'Host mine\n    HostName mine.example\n'
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
done_testing
