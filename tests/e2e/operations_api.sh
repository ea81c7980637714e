#!/usr/bin/env bash
# What operators see, driven by curl: how hosts are, the sessions at the gates and the order to end one, and counts over time. A
# gate tells of its own sessions alone.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/authority_world.sh
. "$(dirname "$0")/authority_world.sh"
start_authority
alice_signs_in
invite bob second-horse-battery
bob=$token
gets "a cluster" 201 - POST /api/v1/clusters "$admin" '{"name":"daint"}'
enrol_host gate1 '"role":"jump","address":"192.0.2.1"'
gate1=$host_token
enrol_host gate2 '"role":"jump","address":"192.0.2.2"'
gate2=$host_token
enrol_host ln1 '"role":"login","cluster":"daint","address":"192.0.2.3"'
login_host=$host_token

id() { printf '%024x' "$1"; }
session() { # NUMBER ACCOUNT
    jq -cn --arg id "$(id "$1")" --arg account "$2" '{id: $id, account: $account, serialNumber: "17", keyFingerprint: "SHA256:x",
        source: "198.51.100.7", sinceTime: "2026-04-01T14:15:20Z", destinations: ["daint:22"], bytesIn: 5, bytesOut: 70}'
}
tells() { # DESCRIPTION STATUS CODE TOKEN EPOCH ENDED-JSON SESSION…
    local description=$1 expected=$2 code=$3 token=$4 epoch=$5 ended=$6
    shift 6
    gets "$description" "$expected" "$code" POST /api/v1/host/gate-sessions "$token" "$(jq -cn --arg epoch "$epoch" \
        --argjson ended "$ended" '{sessions: $ARGS.positional, ended: $ended} + (if $epoch == "" then {} else {epoch: $epoch} end)' \
        --jsonargs -- "$@")"
}
lists() { # DESCRIPTION QUERY ID…
    local description=$1 query=$2
    shift 2
    api GET "/api/v1/gate-sessions$query" "$admin"
    [ "$(jq -r '.sessions[].id' "$work/last" | xargs)" = "$*" ]
    report $? "$description"
}

# ---- who may not -------------------------------------------------------------------------------

gets "nobody lists sessions without a token" 401 not_logged_in GET /api/v1/gate-sessions ''
gets "nor without being an administrator" 403 not_permitted GET /api/v1/gate-sessions "$bob"
gets "nor ends one" 403 not_permitted DELETE "/api/v1/gate-sessions/$(id 1)@gate1" "$bob"
gets "nor sees counts" 403 not_permitted GET /api/v1/statistics "$bob"
gets "a gate lists none either" 401 not_logged_in GET /api/v1/gate-sessions "$gate1"
tells "a login host tells of none" 403 not_permitted "$login_host" '' '[]' "$(session 1 bob)"
tells "nor does an administrator" 401 not_logged_in "$admin" '' '[]' "$(session 1 bob)"
tells "who has not begun cannot go on" 409 begin_anew "$gate1" 17 '[]'
for member in 'id = "17"' 'id |= ascii_upcase + "G"' 'account = ""  | del(.account)' 'source = "here"' 'sinceTime = "now"' 'bytesIn = -1' \
    'destinations = [""]' 'serialNumber = 17' 'keyFingerprint = "a\u001bb"'; do
    tells "a session is refused: $member" 422 malformed "$gate1" '' '[]' "$(session 171 bob | jq -c ".$member")"
done
too_many=$(session 1 bob | jq -c '{sessions: [range(201) as $i | .]}')
gets "more than fit" 400 too_long POST /api/v1/host/gate-sessions "$gate1" "$too_many"

# ---- telling -----------------------------------------------------------------------------------

lists "nothing is told yet" ''
tells "a gate begins" 200 - "$gate1" '' '[]' "$(session 1 bob)" "$(session 3 alice)"
epoch1=$(field .epoch)
tells "another one" 200 - "$gate2" '' '[]' "$(session 2 bob)"
epoch2=$(field .epoch)
lists "the newest first" '' "$(id 3)@gate1" "$(id 2)@gate2" "$(id 1)@gate1"
has "all is there" '.sessions[0] | .account == "alice" and .gate == "gate1" and .serialNumber == "17" and .source == "198.51.100.7"
    and .destinations == ["daint:22"] and .bytesIn == 5 and .bytesOut == 70 and .sinceTime == "2026-04-01T14:15:20Z"'
lists "those of one account" '?account=bob' "$(id 2)@gate2" "$(id 1)@gate1"
lists "those of one gate" '?gate=gate1' "$(id 3)@gate1" "$(id 1)@gate1"
lists "a page" '?limit=2' "$(id 3)@gate1" "$(id 2)@gate2"
lists "the next one" "?limit=2&before=$(id 2)@gate2" "$(id 1)@gate1"
gets "a page behind nothing" 400 malformed GET '/api/v1/gate-sessions?before=17' "$admin"
tells "another's epoch is none" 409 begin_anew "$gate2" "$epoch1" '[]'
tells "a gate ends its own alone" 200 - "$gate2" "$epoch2" "[\"$(id 1)\",\"$(id 2)\"]"
lists "the other's is there" '' "$(id 3)@gate1" "$(id 1)@gate1"
tells "a session changes" 200 - "$gate1" "$epoch1" '[]' "$(session 1 bob | jq -c '.bytesIn = 6 | .destinations = []')"
lists "it is the same one" '?account=bob' "$(id 1)@gate1"
has "with what changed" '.sessions[0] | .bytesIn == 6 and .destinations == []'
api GET '/api/v1/audit?action=gate.sessions&limit=1000' "$admin"
has "only what was refused is on record" '[.audit[] | select(.allowed)] == []'

# ---- hosts -------------------------------------------------------------------------------------

gets "a host asks for changes" 200 - GET '/api/v1/feed?version=9.8.7&sessions=4' "$login_host"
revision=$(field .revision)
gets "a version is short" 400 too_long GET "/api/v1/feed?version=$(printf '%032d' 1)" "$login_host"
gets "hosts are listed" 200 - GET /api/v1/hosts "$admin"
has "with what it said" '.hosts[] | select(.name == "ln1") | .version == "9.8.7" and .sessions == 4 and (.seenTime | length > 0)'
has "it may not have the answer" '.hosts[] | select(.name == "ln1") | has("replicaAge") | not'
has "a gate's are counted" '.hosts[] | select(.name == "gate1") | .sessions == 2 and (has("version") | not)'
curl -sS --cacert "$authority/tls/ca.pem" -H "Authorization: Bearer $login_host" "$url/api/v1/feed?since=$revision&sessions=0" >/dev/null &
poll=$!
ages() (
    api GET /api/v1/hosts "$admin"
    jq -e '.hosts[] | select(.name == "ln1") | .replicaAge >= 0 and .replicaAge < 5 and .sessions == 0' "$work/last"
)
check "who asks for what comes next has it" wait_for 20 ages
kill "$poll"

# ---- ending one --------------------------------------------------------------------------------

gets "the gate asks for changes" 200 - GET /api/v1/feed "$gate1"
revision=$(field .revision)
gets "one that is not there" 404 not_found DELETE "/api/v1/gate-sessions/$(id 9)@gate1" "$admin"
gets "no session at all" 404 not_found DELETE /api/v1/gate-sessions/17 "$admin"
gets "another gate's by that id" 404 not_found DELETE "/api/v1/gate-sessions/$(id 1)@gate2" "$admin"
gets "one is cut" 200 - DELETE "/api/v1/gate-sessions/$(id 1)@gate1" "$admin"
has "it is shown" ".session.account == \"bob\" and .session.id == \"$(id 1)@gate1\""
gets "its gate is told" 200 - GET "/api/v1/feed?since=$revision" "$gate1"
has "to end just that" ".changes | length == 1 and .[0].kind == \"cut\" and .[0].key == \"$(id 1)\""
before=$(curl -sS --cacert "$authority/tls/ca.pem" --max-time 2 -H "Authorization: Bearer $gate2" \
    "$url/api/v1/feed?since=$revision" -o /dev/null -w '%{http_code}' 2>/dev/null)
check "the other gate is not even woken" test "$before" = 000
audited "it is on record" ".action == \"gate_session.cut\" and .actor == \"alice\" and .target == \"$(id 1)@gate1\" and (.detail | startswith(\"bob from\"))"

# ---- counts ------------------------------------------------------------------------------------

gets "a step of a minute" 400 malformed GET '/api/v1/statistics?step=1min' "$admin"
gets "too many steps" 400 too_many_steps GET '/api/v1/statistics?since=30d&step=5min' "$admin"
steps_ago() { date -u -d "$1 days ago" +%Y-%m-%dT00:00:00Z; }
most=$(limit STATISTICS_STEPS_COUNT)
gets "a step more than there may be" 400 too_many_steps GET "/api/v1/statistics?since=$(steps_ago "$most")&step=1d" "$admin"
gets "as many as there may be" 200 - GET "/api/v1/statistics?since=$(steps_ago $((most - 1)))&step=1d" "$admin"
has "… are there" ".counts.signIns | length == $most"
gets "a time to come" 400 malformed GET '/api/v1/statistics?since=2999-01-01T00:00:00Z' "$admin"
event='{"action":"gate.login","actor":"bob","allowed":true,"code":"ok","detail":"","source":"198.51.100.7","time":"2026-04-01T14:15:20Z"}'
gets "a gate tells of two logins and a refusal" 200 - POST /api/v1/host/audit "$gate1" \
    "{\"events\":[$event,$event,$(jq -c '.allowed = false' <<<"$event")]}"
for step in 5min 1h 1d; do
    gets "counts in steps of $step" 200 - GET "/api/v1/statistics?since=2h&step=$step" "$admin"
    has "they are there" '(.counts.gateLogins | add) == 2 and (.counts.gateRefusals | add) == 1 and (.counts.refusals | add) > 5
        and (.counts | map(length) | unique | length) == 1'
done

# ---- ends --------------------------------------------------------------------------------------

gets "a host is removed" 200 - DELETE /api/v1/hosts/gate1 "$admin"
lists "with its sessions" ''
tells "the other is still known" 200 - "$gate2" "$epoch2" '[]' "$(session 5 bob)"
kill "$authority_pid"
wait "$authority_pid"
serve
tells "after a restart nothing is" 409 begin_anew "$gate2" "$epoch2" '[]'
lists "and nothing is shown" ''
tells "until it is told again" 200 - "$gate2" '' '[]' "$(session 5 bob)"
lists "as it is" '' "$(id 5)@gate2"
done_testing
