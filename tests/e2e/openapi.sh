#!/usr/bin/env bash
# The description of the API in docs/openapi.yaml and the routes of posternd are the same, in both directions.
# shellcheck shell=bash disable=SC1091,SC2154
. "$(dirname "$0")/lib.sh"

python=/usr/bin/python3 # the distribution's, which has python3-yaml
holds() { "$python" "$here/openapi.py" "$posternd" "$1" "$root/src"; }

check "every route and code is described, and everything described is a route" holds "$root/docs/openapi.yaml"

# The check itself: it sees what is missing on either side, and access that is not what it is said to be.
sed '/^  \/api\/v1\/audit:/,/^  \/api\/v1\/host\/enrol:/{/host\/enrol/!d}' "$root/docs/openapi.yaml" >"$work/less.yaml"
refused "a route that is not described is seen" 1 "posternd has GET /api/v1/audit" holds "$work/less.yaml"
sed 's|^  /api/v1/audit:|  /api/v1/audits:|' "$root/docs/openapi.yaml" >"$work/other.yaml"
refused "a description without a route is seen" 1 "the description has GET /api/v1/audits" holds "$work/other.yaml"
sed '/operationId: audit.list/,/x-access/s/x-access: administrator/x-access: account/' "$root/docs/openapi.yaml" \
    >"$work/lax.yaml"
refused "access that differs is seen" 1 "posternd has GET /api/v1/audit administrator" holds "$work/lax.yaml"
sed 's/bad_subnet//' "$root/docs/openapi.yaml" >"$work/silent.yaml"
refused "a code that is not described is seen" 1 "the code bad_subnet is not described" holds "$work/silent.yaml"

done_testing
