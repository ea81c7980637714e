#!/usr/bin/env bash
# Goal: TAB in real bash, zsh and fish gives postern's words, by the table of commands and by what the site has; and nothing that
# an authority answers is ever run.
# Functions are called through check and refused.
# shellcheck disable=SC2317
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

export HOME=$work/home LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=1
unset XDG_CONFIG_HOME XDG_STATE_HOME POSTERN_API_KEY SSH_AUTH_SOCK ZDOTDIR
mkdir "$HOME" "$work/bin" "$work/play"
cd "$work/play" || exit 1

# What is typed reaches this: completion goes on to postern, and all else is written down.
cat >"$work/bin/postern" <<END
#!/bin/sh
[ "\$1" != __complete ] || exec "$postern" "\$@"
printf '<%s>' "\$@" >>"$work/typed"
echo >>"$work/typed"
END
chmod 755 "$work/bin/postern"
export PATH=$work/bin:$PATH

"$postern" completion bash >"$work/postern.bash"
"$postern" completion fish >"$work/postern.fish"
mkdir "$work/zsh" && "$postern" completion zsh >"$work/zsh/_postern"
cat >"$work/bashrc" <<END
PS1='READY> '
bind 'set bell-style none' 'set enable-bracketed-paste off'
source "$work/postern.bash"
END
cat >"$work/zsh/.zshrc" <<END
PS1='READY> '
fpath=("$work/zsh" \$fpath)
autoload -Uz compinit && compinit -u -d "$work/zsh/dump"
unsetopt ZLE_BRACKETED_PASTE 2>/dev/null; setopt NO_BEEP
END
mkdir -p "$HOME/.config/fish" && cat >"$HOME/.config/fish/config.fish" <<END
function fish_prompt; printf 'READY> '; end
set -g fish_greeting
source "$work/postern.fish"
END

# Types lines into one shell; with what words postern was run then is a line each of $work/typed.
type_into() { # SHELL LINE…
    local command
    case $1 in
    bash) command=(bash --noprofile --rcfile "$work/bashrc" -i) ;;
    zsh) command=(env "ZDOTDIR=$work/zsh" zsh -i) ;;
    fish) command=(fish -i) ;;
    esac
    : >"$work/typed"
    python3 "$here/complete.py" "${@:2}" -- "${command[@]}" >"$work/screen" 2>&1
}
completed() { # NUMBER EXPECTED
    local got
    got=$(sed -n "$1p" "$work/typed")
    [ "$got" = "$2" ] || {
        echo "expected: $2"
        echo "     got: $got"
        cat "$work/screen"
        return 1
    }
}

says_nothing() { # DESCRIPTION: the last command printed nothing
    test ! -s "$work/last"
    report $? "$1"
}

refused "a shell that is not known" 2 'there are bash, zsh and fish' "$postern" completion nu
check "__complete is not shown" bash -c "! '$postern' --help | grep -q __complete"
check "without words nothing is completed" "$postern" __complete --

# ---- a site, signed in, whose authority is then another ----
port=$(free_port)
url=https://127.0.0.1:$port
"$posternd" init "$work/authority" --site cscs --url "$url" --listen "127.0.0.1:$port" --admin operator >"$work/init.log" 2>&1
start posternd "$posternd" serve -c "$work/authority/posternd.yaml"
authority=$last_pid
wait_for 20 bash -c "echo >/dev/tcp/127.0.0.1/$port"
check "a site" "$postern" init "$url" --yes
kill "$authority" && wait "$authority"
state=$HOME/.local/state/posterngate/cscs
install -d -m 700 "${state%/*}" "$state"
(umask 077 && jq -n '{accessToken: "pgt_x", expireTime: (now + 3600 | todate), username: "alice"}' >"$state/token")
printf '{}' >"$work/answer"
# What is kept of what alice reaches: as postern writes it, and as somebody else could.
keep() { # CLUSTER HOST: of the document, and of reach.json
    jq --arg name "$1" '.document.clusters = [{name: $name, address: $name, port: 22, nodeAccess: "job", credentials: "certificates"}]' \
        "$work/site.json" >"$HOME/.config/posterngate/cscs/site.json"
    jq -n --arg cluster "$1" --arg host "$2" '{fetchedAt: now | floor, username: "alice", clusters: [$cluster],
        hosts: [{name: $host, role: "compute", cluster: $cluster, port: 22}]}' >"$state/reach.json"
}
cp "$HOME/.config/posterngate/cscs/site.json" "$work/site.json"
start hostile python3 "$here/hostile_authority.py" "$port" "$work/authority/tls/server.pem" "$work/authority/tls/server.key" "$work/answer"
wait_for 20 grep -q ready "$work/hostile.log"

answer() { # JOB…: each a job, and a certificate's serial number
    python3 -c 'import json, sys
names = sys.argv[1:]
print(json.dumps({"jobs": [{"job": name, "id": name, "cluster": "daint", "nodes": [name], "type": "shared"} for name in names],
    "sshKeys": [{"serialNumber": name, "status": "valid", "expireTime": name} for name in names]}))' "$@" >"$work/answer"
}

answer 4711
cp -p "$state/token" "$work/token"
jq '.expireTime = "2020-01-01T00:00:00Z" | .refreshToken = "pgr_x" | .endTime = (now + 3600 | todate)' "$work/token" |
    install -m 600 /dev/stdin "$state/token"
"$postern" __complete -- job shell '' >"$work/last" 2>&1
check "no sign-in is renewed by a process that may be ended meanwhile" bash -c "! grep -q POST '$work/hostile.log' && test ! -s '$work/last'"
cp -p "$work/token" "$state/token"

for shell in bash zsh fish; do
    command -v $shell >/dev/null || {
        skip "completion in $shell" "$shell is not here"
        continue
    }
    answer 4711
    keep daint nid001234
    echo >'key with blank'
    check "$shell reads what is typed" type_into $shell 'postern keyg\t' 'postern key conv\t' 'postern sign --dur\t1d' 'postern list --js\t' \
        'postern agent --shell fi\t' 'postern agent --shell=fi\t' 'postern status --site \t' 'postern sign --file key\t' \
        'postern job shell \t' 'postern revoke \t' 'postern admin job end \t' 'postern job shell 4711 \t' \
        'postern ssh dai\t' 'postern tunnel daint \t8888' 'postern tunnel --job \t8888'
    rm 'key with blank'
    check "$shell: a command" completed 1 '<keygen>'
    check "$shell: a command of a group" completed 2 '<key><convert>'
    check "$shell: an option" completed 3 '<sign><--duration><1d>'
    check "$shell: an option of every command" completed 4 '<list><--json>'
    check "$shell: what an option can be" completed 5 '<agent><--shell><fish>'
    check "$shell: in the form with =" completed 6 '<agent><--shell=fish>'
    check "$shell: a site" completed 7 '<status><--site><cscs>'
    check "$shell: a file, quoted by the shell" completed 8 '<sign><--file><key with blank>'
    check "$shell: a job" completed 9 '<job><shell><4711>'
    check "$shell: a serial number" completed 10 '<revoke><4711>'
    check "$shell: a cluster" completed 11 '<admin><job><end><daint>'
    check "$shell: a node" completed 12 '<job><shell><4711><nid001234>'
    check "$shell: where ssh goes" completed 13 '<ssh><daint>'
    check "$shell: where a tunnel leads" completed 14 '<tunnel><daint><nid001234><8888>'
    check "$shell: by which job" completed 15 '<tunnel><--job><4711><8888>'
    # shellcheck disable=SC2016
    answer '$(touch ran-1)' '`touch ran-2`' ';touch ran-3' '|touch ran-4' $'\ntouch ran-5\n' "';touch ran-6;'" '";touch ran-7;"' \
        '&&touch ran-8' '<(touch ran-9)' '${x:=$(touch ran-10)}' '%{$(touch ran-11)%}' '(touch ran-12)' '--all' $'\033]0;evil\007' \
        '!!' '*' '{a,b}' ':files' 4712
    check "$shell reads on" type_into $shell 'postern job shell \t' 'postern revoke \t'
    check "$shell: of a hostile authority's jobs just the harmless one" completed 1 '<job><shell><4712>'
    check "$shell: of its serial numbers as well" completed 2 '<revoke><4712>'
    check "$shell: nothing of it was run" test -z "$(ls -A)"
    # shellcheck disable=SC2016
    keep daint '$(touch ran-20)'
    check "$shell reads a hostile host's name" type_into $shell 'postern job shell 4711 \t'
    check "$shell: and does not get it" completed 1 '<job><shell><4711>'
    # shellcheck disable=SC2016
    keep '`touch ran-21`' x
    check "$shell reads a hostile cluster's name" type_into $shell 'postern admin job end \t'
    check "$shell: and does not get it either" completed 1 '<admin><job><end>'
    check "$shell: nothing of them was run" test -z "$(ls -A)"
    check "$shell: no control characters of it were shown" bash -c "! grep -q $'\033]0;evil' '$work/screen'"
done

# ---- nobody waits ----
: >"$work/answer"
began=$SECONDS
check "an authority that gives no answer" "$postern" __complete -- revoke ''
check "is waited for a second, no more" test $((SECONDS - began)) -le 3
says_nothing "nothing is said"
rm "$state/token"
check "not signed in" "$postern" __complete -- revoke ''
says_nothing "nothing is said then"
done_testing
