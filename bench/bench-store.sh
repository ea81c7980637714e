#!/usr/bin/env bash
# What a certificate and a job cost in the store alone, everything that is asked of it, in durable transactions of 64.
set -euo pipefail
dir=$(mktemp -d /var/tmp/posterngate-bench.XXXXXX)
trap 'rm -rf "$dir"' EXIT
"$BUILD/bench/store_bench" "$dir"
