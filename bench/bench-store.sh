#!/usr/bin/env bash
# What a certificate costs in the store alone, everything that signing asks of it, in durable transactions of 64.
set -euo pipefail
dir=$(mktemp -d /var/tmp/posterngate-bench.XXXXXX)
trap 'rm -rf "$dir"' EXIT
"$BUILD/bench/store_bench" "$dir"
