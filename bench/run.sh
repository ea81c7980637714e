#!/usr/bin/env bash
# Runs the benchmarks by name, or all: ./run bench [sign|revoke|principals|hosts|cli|http|identity|store|gate|dashboard]. Each prints a table and then one line of JSON.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
export BUILD="$PWD/build/release"
names=("$@")
if [ ${#names[@]} = 0 ]; then
    for script in bench/bench-*.sh; do
        name=${script#bench/bench-}
        names+=("${name%.sh}")
    done
fi
for name in "${names[@]}"; do
    if [ ! -f "bench/bench-$name.sh" ]; then
        echo "bench: there is no benchmark \"$name\"; there are:" bench/bench-*.sh >&2
        exit 2
    fi
    echo "== $name"
    bash "bench/bench-$name.sh"
done
