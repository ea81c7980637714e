# shellcheck shell=bash
# What every scenario uses: TAP output, a temporary directory, waiting on events, and clean-up of what it started.
#
# A scenario says its goal in its first line, sources this file, and calls done_testing at the end. $BUILD is the folder of the
# programs to test; run one by hand with: BUILD=build/release bash tests/e2e/NAME.sh
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
BUILD=$(cd "${BUILD:-$root/build/release}" && pwd)
TOOLS=${TOOLS:-$root/build/tools}
# Used by the scenarios.
# shellcheck disable=SC2034
posternd=$BUILD/src/authority/posternd postern=$BUILD/src/cli/postern postern_host=$BUILD/src/host/postern-host \
    postern_gate=$BUILD/src/gate/postern-gate

tests=0 failures=0
started=() made=()
# sshd accepts helper programs only from folders that nobody but root can write, which rules out /tmp.
if [ "$(id -u)" = 0 ]; then
    work=$(mktemp -d "/run/posterngate-test.XXXXXX")
    chmod 755 "$work"
else
    work=$(mktemp -d)
fi

# A gate that is asked to end waits for its sessions: no longer than this.
cleanup() {
    local pid file deadline=$((SECONDS + 10))
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null; done
    for pid in "${started[@]}"; do
        while kill -0 "$pid" 2>/dev/null && [ $SECONDS -lt $deadline ]; do read -rt 0.05 <> <(:) || :; done
        ! kill -0 "$pid" 2>/dev/null || kill -KILL "$pid"
        wait "$pid" 2>/dev/null
    done
    for file in "${made[@]}"; do umount "$file" 2>/dev/null; rm -f "$file"; done
    if [ "${KEEP:-}" = 1 ]; then echo "# kept: $work"; else rm -rf "$work"; fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

report() { # STATUS DESCRIPTION
    tests=$((tests + 1))
    if [ "$1" = 0 ]; then
        echo "ok $tests - $2"
    else
        failures=$((failures + 1))
        echo "not ok $tests - $2"
        [ ! -s "$work/last" ] || sed 's/^/#   /' "$work/last" | tail -n 40
    fi
}

# Runs a command; its output is in $work/last afterwards. Until then $work/last is what the command before said, so that a
# command can be a condition on that; what a function writes to $work/last itself stays there.
hear() { # COMMAND…
    local heard_status=0 hearing=1
    : >>"$work/last"
    touch -d @0 "$work/last" "$work/never"
    "$@" >"$work/heard" 2>&1 || heard_status=$?
    [ "$work/last" -nt "$work/never" ] || mv "$work/heard" "$work/last"
    return $heard_status
}

# The command succeeds.
check() { # DESCRIPTION COMMAND…
    local description=$1 result=0
    shift
    hear "$@" || result=$?
    report $result "$description"
}

# The output of the last command matches; an empty pattern matches anything. In a function that is run here, what that function
# has put out so far is the last output.
said() {
    local file=$work/last
    [ -z "${hearing:-}" ] || [ ! -s "$work/heard" ] || file=$work/heard
    [ -z "$1" ] || grep -qE -- "$1" "$file"
}

# The command fails, with status STATUS when it is not "any", and what it says matches the pattern.
refused() { # DESCRIPTION STATUS PATTERN COMMAND…
    local description=$1 expected=$2 pattern=$3 status=0
    shift 3
    hear "$@" || status=$?
    if [ $status = 0 ] || { [ "$expected" != any ] && [ $status != "$expected" ]; } ||
        ! said "$pattern"; then
        echo "(status $status, expected $expected; looking for: $pattern)" >>"$work/last"
        report 1 "$description"
    else
        report 0 "$description"
    fi
}

# The output of the last command matches.
says() { # DESCRIPTION PATTERN
    said "$2"
    report $? "$1"
}

skip() { # DESCRIPTION REASON
    tests=$((tests + 1))
    echo "ok $tests - $1 # SKIP $2"
}

# Runs the command again and again until it succeeds or the seconds are over.
wait_for() { # SECONDS COMMAND…
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || return 1
        read -rt 0.05 <> <(:) || :
    done
}

# Starts a program in the background and remembers it; its output goes to $work/NAME.log. Its pid is in $last_pid.
start() { # NAME COMMAND…
    local name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 </dev/null &
    last_pid=$!
    started+=("$last_pid")
}

# What a limit is, by its name in src/base/limits.h without LIMIT_. It must be a number on one line.
limit() { # NAME
    local value
    value=$(sed -nE "s/^ *LIMIT_$1 = ([0-9 *]+),.*/\\1/p" "$root/src/base/limits.h")
    [ -n "$value" ] && echo $((value))
}

# So many of a letter.
letters() { # COUNT
    printf "%${1}s" '' | tr ' ' x
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

done_testing() {
    echo "1..$tests"
    [ $failures = 0 ]
    exit
}
