#!/usr/bin/env bash
# From a revocation to the KRL on 200 hosts (real `postern-host sync` processes) that share this machine with the authority.
set -euo pipefail
exec python3 -B "$(dirname "$0")/revoke_bench.py" "$BUILD" "${HOSTS:-200}" "${REVOCATIONS:-40}"
