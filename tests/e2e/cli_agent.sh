#!/usr/bin/env bash
# Goal: one agent for all shells, found or started once whoever asks, with keys that leave when their certificates end.
# Real ssh-agent, ssh-add and ssh-keygen; bash, zsh, fish and tcsh read what is printed and written.
# Functions are called through check and refused.
# shellcheck disable=SC2317
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

tty() { python3 "$here/tty.py" "$@"; }
export HOME=$work/home XDG_RUNTIME_DIR=$work/run LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=1 SHELL=/bin/bash
unset XDG_CONFIG_HOME XDG_STATE_HOME POSTERN_API_KEY SSH_AUTH_SOCK ZDOTDIR
mkdir "$HOME" && mkdir -m 700 "$HOME/.ssh" "$XDG_RUNTIME_DIR"
own=$XDG_RUNTIME_DIR/posterngate/agent.sock

agents() { ss -xlpH "src unix:$own" | wc -l; }
add() { SSH_AUTH_SOCK=$own ssh-add "$@"; }
# A certificate by a CA of the test's own, valid as ssh-keygen -V has it.
certify() { # VALIDITY KEY
    ssh-keygen -q -s "$work/ca" -I "$(basename "$2")" -n alice -z "$((RANDOM + 1))" -V "$1" "$2.pub" 2>/dev/null
}
ssh-keygen -q -t ed25519 -N '' -f "$work/ca"

# ---- none, wrong words ----
refused "--list without an agent: exit 8" 8 'eval "\$\(postern agent\)"' "$postern" agent --list
refused "a shell that is not known" 2 'there are sh, bash' "$postern" agent --shell nu
refused "two jobs at once" 2 'one of --list' "$postern" agent --list --kill
check "--kill without an agent" "$postern" agent --kill
says "says so" 'No agent'
mkdir "$work/open" && chmod 755 "$work/open" && mkdir -m 755 "$work/open/posterngate"
XDG_RUNTIME_DIR=$work/open check "a runtime folder that others can read is not used" "$postern" agent
says "but one in ~/.ssh, by host" "'$HOME/.ssh/posterngate-$(hostname)/agent.sock'"
XDG_RUNTIME_DIR=$work/open check "and it is ended" "$postern" agent --kill
chmod 755 "$XDG_RUNTIME_DIR/posterngate"
refused "a folder that others can write is refused" 4 'chmod 700' "$postern" agent
chmod 700 "$XDG_RUNTIME_DIR/posterngate"
refused "no ssh-agent to start" 8 'cannot start ssh-agent: No such file' env PATH=/nowhere "$postern" agent

# ---- one ----
for i in $(seq 20); do
    bash -c 'eval "$("$0" agent)"; echo "$SSH_AUTH_SOCK"' "$postern" >"$work/shell.$i" 2>&1 &
done
wait
check "twenty shells at once get the same agent" test "$(sort -u "$work"/shell.*)" = "$own"
check "and there is one" test "$(agents)" = 1
check "it keeps no file of its starter open" bash -c "! ls -l /proc/$(ss -xlpH "src unix:$own" | grep -o 'pid=[0-9]*' | head -1 | cut -d= -f2)/fd | grep -q pipe:"
check "asked again it is found" "$postern" --json agent
says "it was not started anew" '"started": false'
check "--kill" "$postern" agent --kill
check "it is gone" test "$(agents)" = 0 -a ! -e "$own"
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$own"
check "a dead socket is in the way" test -S "$own"
check "a dead socket is replaced" "$postern" --json agent
says "by a new agent" '"started": true'
check "which answers" bash -c "SSH_AUTH_SOCK='$own' ssh-add -l; [ \$? = 1 ]"

# ---- the environment's ----
start other ssh-agent -D -a "$work/other"
wait_for 10 test -S "$work/other"
SSH_AUTH_SOCK=$work/other check "an agent that lives in the environment is the one" "$postern" agent
says "its socket is printed" "SSH_AUTH_SOCK='$work/other'; export SSH_AUTH_SOCK;"
SSH_AUTH_SOCK=$work/none check "a dead one is not" "$postern" agent
says "postern's own is" "SSH_AUTH_SOCK='$own'"
check "an agent of another program is not ended" bash -c "SSH_AUTH_SOCK='$work/other' '$postern' agent --kill && SSH_AUTH_SOCK='$work/other' ssh-add -l; [ \$? = 1 ]"
check "started again" "$postern" agent

# ---- every shell understands ----
for shell in bash sh zsh fish tcsh; do
    command -v $shell >/dev/null || {
        skip "$shell reads the lines" "$shell is not here"
        continue
    }
    case $shell in
    fish) ask="\"$postern\" agent --shell fish | source; echo \$SSH_AUTH_SOCK" ;;
    tcsh) ask="eval \`'$postern' agent --shell csh\`; echo \$SSH_AUTH_SOCK" ;;
    *) ask="eval \"\$('$postern' agent)\"; echo \$SSH_AUTH_SOCK" ;;
    esac
    check "$shell reads the lines" test "$($shell -c "$ask")" = "$own"
done

# ---- start files ----
echo 'alias ll="ls -l"' >"$work/bashrc" && chmod 600 "$work/bashrc" && ln -s "$work/bashrc" "$HOME/.bashrc"
cp "$work/bashrc" "$work/bashrc.before"
check "--write" "$postern" agent --write
check "a link stays a link" test -L "$HOME/.bashrc"
check "the mode stays" test "$(stat -c %a "$work/bashrc")" = 600
cp "$work/bashrc" "$work/bashrc.once"
check "--write again" "$postern" agent --write
check "changes nothing" cmp "$work/bashrc" "$work/bashrc.once"
check "an interactive bash finds the agent" test "$(bash -ic 'echo $SSH_AUTH_SOCK' 2>/dev/null)" = "$own"
check "--remove" "$postern" agent --remove
check "the file is as it was" cmp "$work/bashrc" "$work/bashrc.before"
echo '# >>> posterngate agent >>>' >>"$work/bashrc"
refused "half of the markers: exit 9" 9 'without the other' "$postern" agent --write
cp "$work/bashrc.before" "$work/bashrc"
for shell in zsh fish tcsh; do
    command -v $shell >/dev/null || {
        skip "an interactive $shell finds the agent" "$shell is not here"
        continue
    }
    check "--write --shell $shell" "$postern" agent --write --shell $shell
    case $shell in
    tcsh) found=$(tcsh -c 'echo $SSH_AUTH_SOCK' 2>/dev/null) ;;
    *) found=$($shell -ic 'echo $SSH_AUTH_SOCK' 2>/dev/null) ;;
    esac
    check "an interactive $shell finds the agent" test "$found" = "$own"
    check "--remove --shell $shell" "$postern" agent --remove --shell $shell
done
check "the lines are out everywhere" bash -c "! grep -rq 'posterngate agent' '$HOME/.zshrc' '$HOME/.tcshrc' '$HOME/.config/fish'"

# ---- keys ----
key=$HOME/.ssh/id_test
ssh-keygen -q -t ed25519 -N '' -C laptop -f "$key"
refused "a key whose certificate has expired is not added" 3 'postern sign' bash -c "
    ssh-keygen -q -s '$work/ca' -I x -n alice -z 1 -V 20200101:20200102 '$key.pub' && exec '$postern' agent -f '$key'"
add -q "$key" 2>/dev/null
check "an expired certificate is in the agent" bash -c "SSH_AUTH_SOCK='$own' ssh-add -l | grep -q CERT"
check "it is listed as expired" bash -c "'$postern' --json agent --list | jq -e '.identities | map(select(.expired)) | length == 1'"
check "postern agent removes it" "$postern" agent
says "and says so" 'Removed 1 expired certificate'
check "the plain key stays" bash -c "SSH_AUTH_SOCK='$own' ssh-add -l | grep -q laptop && ! SSH_AUTH_SOCK='$own' ssh-add -l | grep -q CERT"
add -qD 2>/dev/null
certify +1h "$key"
check "a key is added with its certificate" "$postern" agent -f "$key"
check "as the certificate" bash -c "SSH_AUTH_SOCK='$own' ssh-add -l | grep -c CERT | grep -qx 1"
check "and by itself, by which ssh finds it for a CertificateFile" bash -c "SSH_AUTH_SOCK='$own' ssh-add -l | grep laptop | grep -vc CERT | grep -qx 1"
certify +2h "$key"
check "a later certificate takes its place" "$postern" agent -f "$key"
check "there is one" bash -c "SSH_AUTH_SOCK='$own' ssh-add -l | grep -c CERT | grep -qx 1"
check "--list shows until when" "$postern" agent --list
says "in the user's zone" "laptop.*$(TZ='' date +%Y).* \(in (2 hours|an hour|1 hour)"
add -qD 2>/dev/null
certify +3s "$key"
check "a certificate of three seconds" "$postern" agent -f "$key"
check "leaves the agent by itself" wait_for 20 bash -c "SSH_AUTH_SOCK='$own' ssh-add -l | grep -q 'no identities'"
ssh-keygen -q -t ed25519 -N 'stolen horse' -C locked -f "$HOME/.ssh/locked"
refused "a passphrase, and no terminal" 4 'needs its passphrase' setsid -w "$postern" agent -f "$HOME/.ssh/locked"
check "the passphrase is asked for at the terminal" tty --send 'Passphrase: ' 'stolen horse' -- "$postern" agent -f "$HOME/.ssh/locked"
check "the key is there" bash -c "SSH_AUTH_SOCK='$own' ssh-add -l | grep -q locked"
printf -v evil 'x\033]0;evil\007y'
ssh-keygen -q -t ed25519 -N '' -C "$evil" -f "$work/evil" && add -q "$work/evil" 2>/dev/null
"$postern" agent --list >"$work/list"
check "--list tells a hostile comment" grep -q '0;evil' "$work/list"
check "without its control characters" bash -c "! grep -q $'[\\033\\007]' '$work/list'"

# ---- the site's key, without a question ----
url=https://127.0.0.1:$(free_port)
"$posternd" init "$work/authority" --site cscs --url "$url" --listen "${url#https://}" --admin operator >"$work/init.log" 2>&1
start posternd "$posternd" serve -c "$work/authority/posternd.yaml"
wait_for 20 bash -c "echo >/dev/tcp/127.0.0.1/${url##*:}"
check "a site" "$postern" init "$url" --yes
default=$HOME/.ssh/id_ed25519
ssh-keygen -q -t ed25519 -N '' -C default -f "$default"
add -qD 2>/dev/null
check "without a certificate nothing is added" "$postern" --json agent
says "nothing" '"loaded": null'
ssh-keygen -q -s "$work/authority/ca/user_1.key" -I alice -n alice -z 7 -V +1h "$default.pub"
check "with one the key is added unasked" "$postern" --json agent
says "the site's key" "\"loaded\": \"$default\""
check "but once" "$postern" --json agent
says "nothing more" '"loaded": null'
# Who listens where a forwarded agent was, in /tmp, once that has gone.
start foreign python3 "$here/foreign_agent.py" "$work/foreign" 65534 "$work/collected"
wait_for 10 bash -c "ss -xlH 'src unix:$work/foreign' | grep -q ."
add -qD 2>/dev/null
SSH_AUTH_SOCK=$work/foreign check "an agent of another user is none" "$postern" agent
says "postern's own is taken" "SSH_AUTH_SOCK='$own'"
check "no key was given away, and nothing else" test ! -s "$work/collected"
SSH_AUTH_SOCK=$work/foreign check "doctor says whose it is" bash -c "'$postern' doctor | grep 'is another user'"
add -qD 2>/dev/null
ssh-keygen -q -p -P '' -N 'stolen horse' -f "$default" >/dev/null
check "an encrypted key is left alone, and nothing is asked" tty --timeout 10 -- "$postern" --json agent
says "nothing was added" '"loaded": null'
check "--load asks" tty --send 'Passphrase: ' 'stolen horse' -- "$postern" agent --load
check "the certificate is there" bash -c "SSH_AUTH_SOCK='$own' ssh-add -l | grep -q CERT"
check "postern status sees it without the variable" bash -c "'$postern' status | grep -q 'In the agent: yes'"
check "the end" "$postern" agent --kill
check "no agent is left" test "$(agents)" = 0
done_testing
