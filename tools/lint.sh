#!/usr/bin/env bash
# What a reviewer should not have to say: formatting, a clang build, gcc's analyzer, clang-tidy, shell scripts, house rules.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.." || exit
status=0
step() {
    printf '== %s\n' "$1"
    shift
    "$@" || { status=1 && echo "   FAILED"; }
}

formatting() { git ls-files '*.c' '*.h' | xargs clang-format --dry-run --Werror; }

clang_build() {
    [ -f build/clang/build.ninja ] || CC=clang meson setup build/clang >build/clang.log 2>&1 || return 1
    ninja -C build/clang --quiet
}

# gcc 12 takes every err_t returned through TRY for uninitialised, and so does not know that what it let through is set; the compiler's
# own warnings of these names stay on. Nor does it see that a pointer lives on behind a pointer to it: leaks are LeakSanitizer's to find.
analyzer_mistakes=(-Wno-analyzer-use-of-uninitialized-value -Wno-analyzer-null-argument -Wno-analyzer-null-dereference
    -Wno-analyzer-malloc-leak)
analyzer() {
    [ -f build/analyzer/build.ninja ] ||
        CC=gcc meson setup build/analyzer -Dtests=false \
            -Dc_args="-fanalyzer ${analyzer_mistakes[*]}" >build/analyzer.log 2>&1 || return 1
    ninja -C build/analyzer --quiet
}

tidy() { git ls-files 'src/*.c' | xargs -n 8 -P 2 clang-tidy --quiet -p build/clang 2>/dev/null; }

shell() { git ls-files 'run' '.ci/run' '*.sh' | xargs shellcheck -x -S warning; }

# Calls that have no bound or no error, and words that should not be there.
house_rules() {
    local bad=0
    if git grep -nE '\b(strcpy|strcat|sprintf|vsprintf|gets|alloca|system|popen|strtok|atoi|atol)\(' -- 'src/*.[ch]'; then bad=1; fi
    if git grep -nE '\b(TODO|FIXME|XXX)\b' -- src tests demo run tools bench ':!tools/lint.sh' ':!*/corpus/*'; then bad=1; fi
    # What a page is told by the API never becomes markup or a program.
    if git grep -nE 'innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\("style"' -- web; then bad=1; fi
    if git ls-files 'src/*util*' 'src/*common*' | grep .; then bad=1; fi
    return $bad
}

# A limit that no test names is one that nobody has met: LIMIT_NAME in C or a comment, $(limit NAME) in a scenario.
limits() {
    local name bad=0
    for name in $(grep -oE '^ *(#define )?LIMIT_[A-Z0-9_]+' src/base/limits.h | grep -oE '[A-Z0-9_]+$'); do
        git grep -qE "\b($name|limit ${name#LIMIT_})\b" -- tests/unit tests/e2e || { echo "no test names $name" && bad=1; }
    done
    return $bad
}

mkdir -p build
step formatting formatting
step "house rules" house_rules
step limits limits
step "shell scripts" shell
step "clang build" clang_build
step "gcc -fanalyzer" analyzer
step clang-tidy tidy
exit $status
