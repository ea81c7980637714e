#!/usr/bin/env bash
# Searches with libFuzzer: tools/fuzz.sh [SECONDS [TARGET…]]. Each target in turn, SECONDS (60) long. Inputs that reached something
# new stay in build/fuzz/inputs/TARGET for the next search, what broke a target is in build/fuzz/found.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
seconds=${1:-60}
shift || :
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        name=${source#tests/fuzz/fuzz_}
        targets+=("${name%.c}")
    done
fi

folder=build/fuzz
mkdir -p build
[ -f $folder/build.ninja ] ||
    CC=clang meson setup $folder -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false >$folder.log 2>&1 || {
    cat $folder.log >&2
    exit 1
}
ninja -C $folder --quiet "${targets[@]/#/tests/fuzz/fuzz_}"

# The folders of inputs that the replay of a target reads.
corpora() { # TARGET
    meson introspect --tests $folder | python3 -c '
import json, sys
for test in json.load(sys.stdin):
    if test["name"] == "replay_" + sys.argv[1]:
        print("\n".join(test["cmd"][1:]))' "$1"
}

export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
status=0
mkdir -p $folder/found
for target in "${targets[@]}"; do
    inputs=$folder/inputs/$target log=$folder/$target.log
    mkdir -p "$inputs"
    mapfile -t known < <(corpora "$target")
    if $folder/tests/fuzz/fuzz_"$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
        -artifact_prefix="$folder/found/$target-" "$inputs" "${known[@]}" >"$log" 2>&1; then
        printf '%-16s %s\n' "$target" "$(grep -E '^#[0-9]+\s+DONE' "$log" | tr '\t' ' ')"
    else
        status=1
        printf '%-16s FOUND SOMETHING; the end of %s:\n' "$target" "$log"
        tail -n 40 "$log" | sed 's/^/    /'
    fi
done
exit $status
