#!/usr/bin/env bash
# The dashboard in a real browser: each page's story, by mouse and by keyboard, judged by axe in light and dark at three widths, and
# pictures of it all in build/dashboard.
# shellcheck shell=bash disable=SC1091,SC2154,SC2317,SC2016
. "$(dirname "$0")/lib.sh"
. "$here/browser_world.sh"
need_browser "the dashboard in a browser"
site=alps authority_host=localhost # passkeys want a name
. "$here/authority_world.sh"
export HOME=$work/home LC_ALL=C.UTF-8
mkdir -p "$HOME"
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

make_authority
sed -i '/^  title:/d; /^site:/a\  title: Alpine Computing Centre' "$authority/posternd.yaml"
# Ten thousand certificates of years ago.
sqlite3 "$authority/store/posternd.db" "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
    INSERT INTO issued (serial, account_id, host_id, key_id, fingerprint, ca_fingerprint, issued_at, valid_after, valid_before, counts,
        source, revoked_at, revoked_reason) SELECT i, (SELECT id FROM account WHERE name = 'alice'), 0, 'alice@alps',
        printf('SHA256:%043d', i), 'SHA256:ca', 1700000000 + i, 1700000000 + i, 1700086400 + i, 0, '192.0.2.1', 0, '' FROM n"
serve
alice_signs_in
alice_secret=$secret

# ---- a centre ---------------------------------------------------------------------------------

gets "alice has a name" 200 - PUT /api/v1/accounts/alice "$admin" '{"displayName":"Alice Example"}'
gets "a project" 201 - POST /api/v1/projects "$admin" '{"name":"s1234","displayName":"Glacier flow"}'
gets "its manager" 200 - PUT /api/v1/projects/s1234/members/alice "$admin" '{"role":"manager"}'
for cluster in daint santis; do
    gets "the cluster $cluster" 201 - POST /api/v1/clusters "$admin" "{\"name\":\"$cluster\",\"address\":\"$cluster.alps.example\"}"
    gets "that the project reaches" 200 - PUT /api/v1/projects/s1234/clusters/$cluster "$admin"
done
enrol_host ela '"role":"jump","address":"ela.alps.example"'
ela_token=$host_token
enrol_host daint-ln001 '"role":"login","cluster":"daint","address":"daint.alps.example"'
gets "a host that never came" 201 - POST /api/v1/hosts "$admin" '{"name":"nid001234","role":"compute","cluster":"daint"}'
invite bob blue-river-stone-47
bob_secret=$secret
job_key=$(ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/job" && cat "$work/job.pub")
gets "a job with machines of its own" 200 - PUT /api/v1/clusters/daint/jobs/4711 "$admin" \
    "{\"username\":\"alice\",\"type\":\"cluster\",\"user\":\"runner\",\"address\":\"198.51.100.7\",\"port\":32100,\"hostKeys\":[\"$job_key\"],\"duration\":\"6h\"}"
gets "and one on nodes" 200 - PUT /api/v1/clusters/daint/jobs/4712 "$admin" '{"username":"alice","nodes":["nid001234"],"duration":"1h"}'

ssh-keygen -q -t ed25519 -N '' -C 'daemon' -f "$work/daemon"
gets "and a grant" 201 - POST /api/v1/grants "$admin" "{\"publicKey\":\"$(cat "$work/daemon.pub")\",\"name\":\"laptop-daemon\",\"from\":\"mine\",\"clusters\":[\"daint\"]}"

# The gate tells anew every few seconds, as gates do: what it was silent about for long is over.
sessions="{\"sessions\":[{\"id\":\"000000000000000000000001\",\"account\":\"bob\",\"source\":\"198.51.100.9\",
    \"sinceTime\":\"$(date -u -d '-5 min' +%FT%TZ)\",\"serialNumber\":\"4711\",\"destinations\":[\"daint:22\"],\"bytesIn\":1200,\"bytesOut\":34567890}]}"
gets "and a session at the gate" 200 - POST /api/v1/host/gate-sessions "$ela_token" "$sessions"
gate_tells() {
    while sleep 5; do
        curl -sS --cacert "$authority/tls/ca.pem" -o "$work/gate_told" -H "Authorization: Bearer $ela_token" \
            -H 'Content-Type: application/json' --data-binary "$sessions" "$url/api/v1/host/gate-sessions"
    done
}
start gate gate_tells

# ---- the browser ------------------------------------------------------------------------------

ssh-keygen -q -t ed25519 -N '' -C 'alice@laptop' -f "$work/laptop"
ssh-keygen -q -t ed25519 -N '' -C 'robot' -f "$work/robot"
drive_browser 500 dashboard.mjs "$(person alice correct-horse-battery "$alice_secret")" "$(person bob blue-river-stone-47 "$bob_secret")" \
    "$(jq -n --arg folder "$work" --arg jobFingerprint "$(ssh-keygen -lf "$work/job.pub" | cut -d' ' -f2)" '{$folder, $jobFingerprint}')"

check "what was downloaded is a certificate of that key" ssh-keygen -Lf "$work/laptop-cert.pub"
says "for alice" '^ +alice$'
judge() { ssh -F "$work/ssh_config" -G "$1" | grep -qxF "$2"; }
for line in 'hostname daint.alps.example' 'proxyjump ela' 'user alice' 'identitiesonly yes'; do
    check "ssh reads the configuration: $line" judge daint "$line"
done
check "the jump host is dialled as it is" judge ela 'hostname ela.alps.example'
check "the known hosts are the site's authority" ssh-keygen -F daint.alps.example -f "$work/known_hosts"
says "which is found for them" 'CA'
check "PuTTY's sessions lead through the jump host" grep -q '"ProxyHost"="ela"' "$work/putty.reg"
check "the export has the filtered rows alone" awk -F, 'NR == 1 && $4 != "action" || NR > 1 && $4 !~ /^"certificate/ {exit 1} END {exit NR < 3}' "$work/audit.csv"
done_testing
