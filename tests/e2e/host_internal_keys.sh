#!/usr/bin/env bash
# Frontends keep passphrase-less keys in the homes of accounts, whatever those do there; the keys open nodes from inside alone.
# shellcheck source=tests/e2e/lib.sh disable=SC2317
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" != 0 ]; then
    skip "internal keys in homes" "needs root: homes belong to others"
    done_testing
fi
. "$here/authority_world.sh"
. "$here/frontend_world.sh"
start_authority
alice_signs_in
for name in bob carol dave erin frank mallory; do
    gets "an account $name" 201 - POST /api/v1/accounts "$admin" "{\"name\":\"$name\"}"
done
make_cluster ',"nodeAccess":"open"'
for name in alice bob carol dave erin mallory; do add_member "$name"; done
# carol is no local user, and frank's projects do not reach the cluster.
for name in alice bob dave erin frank mallory; do add_user "$name"; done
add_user toor 0
gets "an account of root's other name" 201 - POST /api/v1/accounts "$admin" '{"name":"toor"}'
add_member toor
rm -r "$work/home/erin"
add_machine fnancy login 127.0.0.1
add_machine n1 compute 127.0.0.1

keep() { # FRONTEND
    start "keys-$1" with_users "$postern_host" internal-keys --config "$work/$1/host.yaml"
    keeper=$last_pid
}
once() { with_users "$postern_host" internal-keys --once --config "$work/$1/host.yaml"; }
stop() { kill "$1" && wait "$1" 2>/dev/null; :; }
key_of() { echo "$work/home/$1/.ssh/id_postern"; }
has_key() { [ -s "$(key_of "$1")" ]; }
line_of() { [ -f "$(key_of "$1")" ] && ssh-keygen -y -P '' -f "$(key_of "$1")" | cut -d' ' -f1,2; }
kept() { echo "$work/fnancy/state/internal/$1"; }

# ---- the site must have an inside ----
check "without an inside the frontend asks, and is refused" once fnancy
says "as its log says" 'internal_key_failed.*policy.internal_networks'
check "nobody has a key" sh -c "! ls '$work'/home/*/.ssh"
sed -i 's|^policy:|&\n  internal_networks: [127.0.0.0/24]|' "$authority/posternd.yaml"
kill -HUP "$authority_pid"
wait_for 10 grep -q reload "$work/posternd.log"

# ---- a key for every account that is a local user ----
check "with one, it keeps keys" once fnancy
check "alice has one" has_key alice
check "with the right owner and modes" test "$(stat -c %u:%g:%a "$work/home/alice/.ssh" "$(key_of alice)" "$(key_of alice).pub" |
    tr '\n' ' ')" = '42001:42001:700 42001:42001:600 42001:42001:644 '
check "without a passphrase" line_of alice
check "root has it as well, for itself" test "$(stat -c %u:%a "$(kept alice)")" = 0:600
check "it is no copy that root reads from the home" cmp "$(kept alice)" "$(key_of alice)"
check "frank, whom no project brings here, has none" test ! -e "$work/home/frank/.ssh"
check "nor has root, by whatever name" sh -c "! grep -q internal /root/.ssh/* 2>/dev/null && test ! -e '$(kept toor)'"
check "erin, who has no home, is no trouble" sh -c "test ! -e '$work/home/erin' && test ! -e '$(kept erin)'"
before=$(line_of alice)
check "a second time changes nothing" once fnancy
check "not the key" test "$(line_of alice)" = "$before"

# ---- what it opens ----
cp "$work/fnancy/run/known_hosts" "$work/known_hosts"
options=(-F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o "UserKnownHostsFile=$work/known_hosts"
    -o IdentitiesOnly=yes -o ConnectTimeout=10 -o IdentityAgent=none -o LogLevel=ERROR)
to() { # MACHINE USER OPTION…
    local machine=$1 user=$2
    shift 2
    as "$user" ssh "${options[@]}" -o HostKeyAlias="$machine" -p "${ports[$machine]}" -i "${identity:-$(key_of "$user")}" "$@" \
        "$user@127.0.0.1" id -un
}
with_identity() { # FILE COMMAND…
    local identity=$1
    shift
    "$@"
}
wait_for 10 to n1 alice
check "alice's opens a node" to n1 alice
says "as her" '^alice$'
check "and a frontend" to fnancy alice
refused "not from outside" 255 'Permission denied' to n1 alice -b 127.0.1.9
refused "nor another's account" 255 'Permission denied' to n1 alice -l bob
"$postern_host" ssh-config --config "$work/fnancy/host.yaml" >"$work/ssh_config"
plain() { as alice ssh -F "$work/ssh_config" -o BatchMode=yes -o HostKeyAlias=n1 -p "${ports[n1]}" alice@127.0.0.1 id -un; }
check "plain ssh finds it and knows the node, with what ssh-config prints" plain

# ---- touched ----
keep fnancy
restored() {
    [ "$(line_of alice)" = "$before" ] && [ "$(stat -c %a%h "$(key_of alice)")" = 6001 ] && [ -f "$(key_of alice).pub" ]
}
touch_it() { # DESCRIPTION COMMAND: as alice, in her ~/.ssh
    as alice sh -c "cd .ssh && $2" >"$work/last" 2>&1
    report $? "alice $1"
    check "… and it is put right" wait_for 10 restored
}
touch_it "removes it" 'rm id_postern'
touch_it "overwrites it" 'echo mine >id_postern'
touch_it "puts another key there" 'rm id_postern* && ssh-keygen -q -t ed25519 -N "" -f id_postern'
touch_it "gives it a passphrase" 'ssh-keygen -q -p -P "" -N secret -f id_postern'
touch_it "lets others read it" 'chmod 644 id_postern'
touch_it "removes the public half" 'rm id_postern.pub'
echo mine >"$work/home/alice/mine" && chown 42001 "$work/home/alice/mine"
touch_it "puts a link there" 'ln -sf ../mine id_postern'
check "what the link led to is as it was" test "$(cat "$work/home/alice/mine")" = mine
touch_it "puts a hard link there" 'cp id_postern copy; ln -f copy id_postern'
touch_it "puts a pipe there" 'rm id_postern && mkfifo id_postern'
touch_it "removes the folder" 'rm -r ../.ssh'

# ---- attacks ----
mkdir "$work/rootssh" && chmod 700 "$work/rootssh" && echo root >"$work/rootssh/authorized_keys"
mkdir "$work/open" && chmod 777 "$work/open"
tells() { wait_for 15 grep -qE "internal_key_failed.*\"account\":\"$1\".*$2" "$work/keys-fnancy.log"; }
as bob sh -c "rm -r .ssh; ln -s '$work/rootssh' .ssh"
check "a link to root's folder is no way into it" tells bob 'symbolic link'
check "nothing was written there" test "$(ls -A "$work/rootssh")" = authorized_keys
chown 42002:42002 "$work/home/dave"
check "a home that is another's is left alone" tells dave "not its user's own"
stop "$keeper"
as bob sh -c "rm .ssh; ln -s '$work/open' .ssh"
keep fnancy
check "nor is one followed to where others can read" tells bob 'symbolic link'
check "nothing was written there either" test -z "$(ls -A "$work/open")"
as bob rm .ssh
chown 42003:42003 "$work/home/dave"

# A user who changes ~/.ssh all the time, to a link to root's folder and back.
# shellcheck disable=SC2016
start racer as mallory sh -c 'rm -rf .ssh; mkdir a; while :; do
    mv -T a .ssh; rm -f .ssh/id_postern; mv -T .ssh a; ln -s "$1" .ssh; rm .ssh; done' sh "$work/rootssh"
racer=$last_pid
for _ in 1 2 3 4 5 6 7 8; do
    stop "$keeper"
    keep fnancy
    read -rt 0.7 <> <(:) || :
done
stop "$racer"
check "a race is not won" test "$(ls -A "$work/rootssh")" = authorized_keys
check "and nothing of root's stands in the home" sh -c "! find '$work/home/mallory' -user 0 | grep ."
# A user who stops and kills whatever runs in their name.
# shellcheck disable=SC2016
start stopper as mallory sh -c 'trap "" TERM; while :; do kill -STOP -1; done'
stopper=$last_pid
stop "$keeper"
rm -rf "$work/home/mallory/.ssh" "$work/home/alice/.ssh"
keep fnancy
check "a user who stops what runs in their name holds up nobody else for long" wait_for 45 restored
check "and is told of" wait_for 45 tells mallory "gave no answer within $(limit HOME_S) s"
kill -KILL "$stopper"
wait "$stopper" 2>/dev/null
stop "$keeper"

# A home without room.
mount -t tmpfs -o size=4k,nr_inodes=4,mode=700,uid=42002,gid=42002 none "$work/home/bob"
made+=("$work/home/bob")
head -c 4096 /dev/zero >"$work/home/bob/full" 2>/dev/null
keep fnancy
check "a full home is told of" tells bob 'disk is full'
check "and keeps no half of a key" sh -c "! find '$work/home/bob' -type f -name '*id_postern*' | grep ."
umount "$work/home/bob"
made=()
stop "$keeper"
keep fnancy
check "everybody has one in the end" \
    wait_for 20 sh -c "test -s '$(key_of bob)' && test -s '$(key_of dave)' && test -s '$(key_of alice)'"

# ---- rotated ----
cp "$(key_of alice)" "$work/old" && chown 42001 "$work/old" && cp "$(kept alice)" "$work/old.kept"
export XDG_CONFIG_HOME=$work/config XDG_STATE_HOME=$work/cli-state
gets "alice's internal key is ended" 200 - POST /api/v1/accounts/alice/internal-keys/rotate "$admin"
another() { has_key alice && [ "$(line_of alice)" != "$before" ]; }
check "she gets another" wait_for 15 another
check "which opens the node" wait_for 10 to n1 alice
refused "and the old one does not" 255 'Permission denied' with_identity "$work/old" to n1 alice
gets "the administrators alone do that" 404 - POST /api/v1/accounts/nobody/internal-keys/rotate "$admin"

# ---- a second frontend with the same homes ----
add_machine fnancy2 login 127.0.0.1
now=$(line_of alice)
check "a second frontend looks at them" once fnancy2
check "leaves them alone" test "$(line_of alice)" = "$now"
check "and makes none of its own" test -z "$(ls "$work/fnancy2/state/internal")"
keeper_1=$keeper
keep fnancy2
keeper2=$keeper
gets "both see it end" 200 - POST /api/v1/accounts/alice/internal-keys/rotate "$admin"
before=$now
check "there is another" wait_for 15 another
agreed() { # nobody writes any more
    local first
    first=$(line_of alice) && read -rt 3 <> <(:)
    [ "$(line_of alice)" = "$first" ]
}
check "on which both agree" wait_for 20 agreed
check "it opens the node" wait_for 10 to n1 alice
stop "$keeper2"

# ---- those who leave ----
cp "$(key_of bob)" "$work/bobs" && chown 42002 "$work/bobs"
check "bob's opens the node" to n1 bob
gets "bob is disabled" 200 - PUT /api/v1/accounts/bob "$admin" '{"disabled":true}'
check "his key is taken away" \
    wait_for 15 sh -c "test ! -e '$(key_of bob)' && test ! -e '$(key_of bob).pub' && test ! -e '$(kept bob)'"
refused "a copy of it opens nothing" 255 'Permission denied' with_identity "$work/bobs" to n1 bob
gets "he is enabled again" 200 - PUT /api/v1/accounts/bob "$admin" '{"disabled":false}'
check "and gets another" wait_for 15 has_key bob
refused "the copy still opens nothing" 255 'Permission denied' with_identity "$work/bobs" to n1 bob
gets "dave leaves the project" 200 - DELETE /api/v1/projects/p1/members/dave "$admin"
check "his key is taken away as well" wait_for 15 sh -c "test ! -e '$(key_of dave)' && test ! -e '$(kept dave)'"
check "alice's stays" has_key alice
audited "each key is on record" '.action == "internal_key.put" and .target == "alice" and .allowed'
audited "and each end" '.action == "internal_key.rotate" and .target == "alice"'
check "a node keeps no keys" \
    sh -c "$postern_host internal-keys --once --config $work/n1/host.yaml 2>&1 | grep -q internal_keys_misplaced"
stop "$keeper_1"
done_testing
