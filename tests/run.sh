#!/usr/bin/env bash
# Runs the suites and counts: "N passed, N failed[, N skipped]". Called by ./run test [NAME…].
#
# unit and fuzz run under AddressSanitizer and UBSan as the calling user; e2e and demo run the release build as root, since a
# real sshd switches users. Every test program prints TAP lines ("ok 1 - …"); one that prints none counts as one test.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo
names=("$@")
passed=0 failed=0 skipped=0
logs=build/test-logs
rm -rf "$logs"
mkdir -p "$logs"

wanted() { # SUITE [NAME]
    [ ${#names[@]} = 0 ] && return 0
    local name
    for name in "${names[@]}"; do
        if [ "$name" = "$1" ] || [ "$name" = "${2:-}" ]; then return 0; fi
    done
    return 1
}

# Adds one program's TAP output to the totals. A program that fails without saying which test counts as one failure.
count() { # NAME STATUS LOG SECONDS
    local name=$1 status=$2 log=$3 good bad skip
    # cmocka writes "not ok" before what it was told to skip.
    skip=$(grep -cE '^(not )?ok .*# SKIP' "$log" || :)
    good=$(grep -E '^ok( |$)' "$log" | grep -vc '# SKIP' || :)
    bad=$(grep -E '^not ok( |$)' "$log" | grep -vc '# SKIP' || :)
    if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
    # A scenario that ends before its plan has left tests out, whatever its status.
    if [[ $name == e2e-* ]] && [ "$bad" = 0 ] && ! grep -qxE "1\.\.$((good + skip))" "$log"; then bad=1; fi
    if [ "$status" = 0 ] && [ $((good + bad + skip)) = 0 ]; then good=1; fi
    passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + skip))
    printf '%-34s %4d passed %3d failed %3d skipped  %5.1f s\n' "$name" "$good" "$bad" "$skip" "$4"
    if [ "$skip" != 0 ]; then grep -E '^(not )?ok .*# SKIP|^# skipped:' "$log" | sed 's/^/    /'; fi
    if [ "$bad" != 0 ]; then
        echo "    --- the end of $log:"
        tail -n 60 "$log" | sed 's/^/    /'
    fi
}

run_one() { # NAME COMMAND…
    local name=$1 status=0 start=$EPOCHREALTIME
    shift
    "$@" >"$logs/$name.log" 2>&1 </dev/null || status=$?
    count "$name" "$status" "$logs/$name.log" "$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN {print b - a}')"
}

# Two scenarios at a time, each with what it starts in folders and on ports of its own: most of their time they wait. The longest
# takes four minutes on a busy machine; one that waits for ever is ended, and counted as failed.
lanes=2 scenario_s=900
declare -A name_of=() start_of=() # by process
run_beside() { # NAME COMMAND…
    local name=$1
    shift
    [ ${#name_of[@]} -lt $lanes ] || count_next
    "$@" >"$logs/$name.log" 2>&1 </dev/null &
    name_of[$!]=$name start_of[$!]=$EPOCHREALTIME
}
count_next() {
    local process="" status=0 name seconds
    wait -n -p process "${!name_of[@]}" || status=$?
    name=${name_of[$process]} seconds=$(awk -v a="${start_of[$process]}" -v b="$EPOCHREALTIME" 'BEGIN {print b - a}')
    unset "name_of[$process]" "start_of[$process]"
    count "$name" $status "$logs/$name.log" "$seconds"
}
trap '[ ${#name_of[@]} = 0 ] || kill "${!name_of[@]}"' EXIT

export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export CMOCKA_MESSAGE_OUTPUT=TAP
export BUILD="$PWD/build/release" TOOLS="$PWD/build/tools"

folder=build/asan
if [ ! -f $folder/build.ninja ]; then
    meson setup $folder -Db_sanitize=address,undefined -Db_lundef=false >"$logs/meson.log" 2>&1 || {
        cat "$logs/meson.log"
        exit 1
    }
fi
ninja -C $folder --quiet
for suite in unit fuzz; do
    while IFS=$'\t' read -r name program; do
        if wanted "$suite" "$name"; then
            # shellcheck disable=SC2086
            run_one "$suite-$name" env BUILD="$PWD/$folder" $program
        fi
    done < <(meson introspect --tests $folder | python3 -c '
import json, sys
for test in json.load(sys.stdin):
    if any(s.endswith(sys.argv[1]) for s in test["suite"]):
        print(test["name"], " ".join(test["cmd"]), sep="\t")' "$suite")
done

for script in tests/e2e/*.sh; do
    name=$(basename "$script" .sh)
    case $name in lib | *_world) continue ;; esac
    if wanted e2e "$name"; then
        run_beside "e2e-$name" $sudo env BUILD="$BUILD" TOOLS="$TOOLS" timeout -k 30 "$scenario_s" bash "$script"
    fi
done
while [ ${#name_of[@]} -gt 0 ]; do count_next; done

if wanted demo; then
    run_one demo $sudo bash demo/demo.sh --once
    run_one demo-sshd $sudo bash demo/demo.sh --jump sshd --once
    for site in aiida cscs grid5000 mlcloud rescale; do run_one "demo-$site" $sudo bash demo/demo.sh --site $site --once; done
fi

if [ $skipped = 0 ]; then
    echo "$passed passed, $failed failed"
else
    echo "$passed passed, $failed failed, $skipped skipped"
fi
[ $failed = 0 ] && [ $passed -gt 0 ]
