#!/usr/bin/env bash
# postern-gate and OpenSSH's sshd as jump hosts, beside each other: logins, the leg that a user waits for, memory, relay against its
# floor, crowds, revocation. See bench/gate_bench.py for what can be chosen.
set -euo pipefail
exec python3 -B "$(dirname "$0")/gate_bench.py" "$BUILD"
