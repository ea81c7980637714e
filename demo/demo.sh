#!/usr/bin/env bash
# Plays the whole chain on this machine with real OpenSSH: prove who you are, sign your key, pass the jump host, reach the
# node, lose access on revocation. ./run demo starts it.
#
# usage: demo.sh [--once] [--site NAME] [--jump gate|sshd]
set -uo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
once="" site="" jump=gate
arguments=("$@")
while [ $# -gt 0 ]; do
    case $1 in
    --once) once=1 ;;
    --site)
        site=${2:-}
        shift
        ;;
    --jump)
        jump=${2:-}
        shift
        ;;
    *)
        echo "usage: ./run demo [--once] [--site NAME] [--jump gate|sshd]" >&2
        exit 2
        ;;
    esac
    shift
done
story=$root/demo/story-${site:-tour}.sh
if [ ! -f "$story" ]; then
    echo "demo: there is no story for the site \"$site\"; there are: aiida cscs grid5000 mlcloud rescale" >&2
    exit 2
fi
if [ "$jump" != gate ] && [ "$jump" != sshd ]; then
    echo "demo: --jump takes gate or sshd, not \"$jump\"" >&2
    exit 2
fi
if [ "$(id -u)" != 0 ]; then
    echo "demo: sshd must be able to switch users; run it as root, or as ./run demo, which asks sudo" >&2
    exit 1
fi
if [ -z "${POSTERN_DEMO_NAMESPACE:-}" ]; then
    POSTERN_DEMO_NAMESPACE=1 exec unshare --mount --propagation private bash "$0" "${arguments[@]}"
fi

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'; else bold="" dim="" red="" green="" plain=""; fi
demo_password="correct-horse-7-battery"
steps=0 failures=0 started=$EPOCHREALTIME

seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.2f s", b - a}'; }

# shellcheck source=demo/world.sh
. "$root/demo/world.sh"

finish() {
    local status=$?
    trap - EXIT INT TERM
    world_end
    exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The centre stays up for whoever wants to look around in it.
play() {
    printf '\nThe centre stays up until Ctrl-C.\n\nThe dashboard: %s/\n' "$authority_url"
    printf '    user name  operator (an administrator)\n    password   %s\n' "$demo_password"
    printf '    code       oathtool --totp -b "$(cat %s)"   # each works once\n' "$world/office/totp-secret"
    printf '    The browser asks about the certificate, which is of the CA in %s\n' "$world/authority/tls/ca.pem"
    printf '\nThe laptop, in another terminal: %s\n' "$world/laptop/shell"
    printf '    In it there are ssh, scp, postern list, postern sign, … To sign in again: postern login --password, with the\n'
    printf '    same password and a code from: oathtool --totp -b "$(cat ~/totp-secret)"\n'
    printf '\nThe log of the authority: %s\n' "$world/posternd.log"
    while :; do
        sleep 3600 &
        wait $!
    done
}

chapter() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }

# Indented, and without colours where they would only be noise.
show() { if [ -n "$plain" ]; then sed 's/^/  /'; else sed 's/\x1b\[[0-9;]*m//g; s/^/  /'; fi; }

# One step: shows the command as it is typed, runs it at the laptop, shows what it said and how long it took. OUTCOME is "works",
# or "refused" for one that must fail; PATTERN, when not empty, must be in what it said.
step() { # OUTCOME PATTERN COMMAND [COMMAND-TO-RUN-INSTEAD]
    local outcome=$1 pattern=$2 shown=$3 command=${4:-$3} begun=$EPOCHREALTIME status=0 mark=$green sign=✓ why=""
    steps=$((steps + 1))
    printf '%s$ %s%s\n' "$bold" "$shown" "$plain"
    as_you "$command" >"$world/last" 2>&1 </dev/null || status=$?
    if [ "$outcome" = works ] && [ $status != 0 ]; then why="it failed with status $status"; fi
    if [ "$outcome" = refused ] && [ $status = 0 ]; then why="it worked, and should have been refused"; fi
    if [ -z "$why" ] && [ -n "$pattern" ] && ! grep -qE -- "$pattern" "$world/last"; then why="it did not say \"$pattern\""; fi
    show <"$world/last"
    if [ -n "$why" ]; then
        failures=$((failures + 1)) mark=$red sign=✗
        printf '  %s✗ %s%s\n' "$red" "$why" "$plain"
    fi
    [ "$outcome$why" != refused ] || sign="$sign refused, as it should be"
    printf '  %s%s%s %s%s%s\n' "$mark" "$sign" "$plain" "$dim" "$(seconds_since "$begun")" "$plain"
}

must() { # DESCRIPTION COMMAND… : preparation that the story cannot go on without
    local description=$1 begun=$EPOCHREALTIME
    shift
    if ! "$@"; then
        printf '  %s✗ %s failed; the logs of the centre:%s\n' "$red" "$description" "$plain"
        tail -n 15 "$world"/*.log
        exit 1
    fi
    printf '  %s✓%s %s %s%s%s\n' "$green" "$plain" "$description" "$dim" "$(seconds_since "$begun")" "$plain"
}

world_begin || exit 1
world_laptop_shell
# shellcheck disable=SC1090
. "$story"

echo
if [ $failures = 0 ]; then
    printf '%sEvery one of the %d steps held%s, in %s.\n' "$green" "$steps" "$plain" "$(seconds_since "$started")"
else
    tail -n 12 "$world"/*.log
    printf '%s%d of %d steps did not hold.%s\n' "$red" "$failures" "$steps" "$plain"
fi
if [ -n "$once" ]; then [ $failures = 0 ]; exit; fi
play
