#!/usr/bin/env bash
# Hosts of a large site: a resync, sshd's commands, how soon a job's nodes know it, the feed's traffic, logins beside static files.
# See bench/hosts_bench.py for what can be chosen.
set -euo pipefail
exec python3 -B "$(dirname "$0")/hosts_bench.py" "$BUILD"
