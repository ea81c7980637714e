#!/usr/bin/env bash
# The registry of jobs, driven by curl: who may tell of which job, what makes no sense, what hosts then learn, and that jobs end.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/authority_world.sh"
start_authority
alice_signs_in
invite bob blue-river-stone-47
bob=$token
invite carol green-field-cloud-12
carol=$token
gets "a cluster" 201 - POST /api/v1/clusters "$admin" '{"name":"nancy"}'
gets "another" 201 - POST /api/v1/clusters "$admin" '{"name":"lyon"}'
gets "a project" 201 - POST /api/v1/projects "$admin" '{"name":"p1"}'
gets "… that reaches nancy" 200 - PUT /api/v1/projects/p1/clusters/nancy "$admin"
gets "… and has bob" 200 - PUT /api/v1/projects/p1/members/bob "$admin" '{"role":"member"}'
enrol_host gate '"role":"jump"'
gate=$host_token
enrol_host slurmctld '"role":"login","cluster":"nancy","scheduler":true'
scheduler=$host_token
enrol_host frontend '"role":"login","cluster":"nancy"'
frontend=$host_token
enrol_host n1 '"role":"compute","cluster":"nancy"'
n1=$host_token
enrol_host n2.nancy.example '"role":"compute","cluster":"nancy"'
n2=$host_token
enrol_host n2.lyon.example '"role":"compute","cluster":"lyon"'
lyon=$host_token

jobs=/api/v1/clusters/nancy/jobs
since=0
told() { # DESCRIPTION JQ-CONDITION: what a gate learns from $since on
    api GET "/api/v1/feed?since=$since" "$gate"
    jq -e "$2" "$work/last" >"$work/condition" 2>&1
    report $? "$1"
    since=$(field .revision)
}
told "a gate follows" '.changes | length > 0'

# ---- who may ---------------------------------------------------------------------------------

job='{"username":"bob","nodes":["n1"]}'
gets "nobody tells of jobs without a token" 401 not_logged_in PUT $jobs/1 '' "$job"
gets "bob does not tell of his own" 403 not_permitted PUT $jobs/1 "$bob" "$job"
has "… and is told who does" '.message | test("scheduler")'
gets "nor does he end one" 403 not_permitted DELETE $jobs/1 "$bob"
gets "nor list a cluster's" 403 not_permitted GET $jobs "$bob"
gets "a frontend is no scheduler" 403 not_permitted PUT $jobs/1 "$frontend" "$job"
gets "… nor is a gate" 403 not_permitted PUT $jobs/1 "$gate" "$job"
gets "a host of another cluster tells nothing" 403 not_permitted PUT $jobs/1 "$lyon" "$job"
gets "… nor the scheduler of another" 403 not_permitted PUT /api/v1/clusters/lyon/jobs/1 "$scheduler" "$job"
gets "… nor lists it" 403 not_permitted GET /api/v1/clusters/lyon/jobs "$scheduler"
gets "there must be such a cluster" 404 not_found PUT /api/v1/clusters/nowhere/jobs/1 "$admin" "$job"

# ---- what makes no sense ---------------------------------------------------------------------

no_job() { # DESCRIPTION STATUS CODE JSON
    gets "$1" "$2" "$3" PUT $jobs/1 "$scheduler" "$4"
}
no_job "whose job must be told" 400 missing_field '{"nodes":["n1"]}'
no_job "… and where" 422 job_refused '{"username":"bob"}'
has "… which is said" '.field == "nodes" and (.message | test("no nodes"))'
no_job "a node has a host's name" 422 name_refused '{"username":"bob","nodes":["n1;reboot"]}'
no_job "a range has an end" 422 name_refused '{"username":"bob","nodes":["n[1-"]}'
no_job "10,001 nodes are too many" 422 too_long '{"username":"bob","nodes":["n[00001-10001]"]}'
no_job "… also in two parts" 422 too_long '{"username":"bob","nodes":["n[00001-09999]","m[1-2]"]}'
no_job "a type that is none" 422 choice_refused '{"username":"bob","nodes":["n1"],"type":"whatever"}'
no_job "an end before the start" 422 job_refused \
    '{"username":"bob","nodes":["n1"],"startTime":"2099-01-02T00:00:00Z","endTime":"2099-01-01T00:00:00Z"}'
has "… is called that" '.field == "endTime" and (.message | test("before it starts"))'
no_job "an end in the past" 422 job_refused \
    '{"username":"bob","nodes":["n1"],"startTime":"2020-01-01T00:00:00Z","endTime":"2020-01-02T00:00:00Z"}'
has "… is called that" '.message | test("has passed")'
no_job "two ends" 422 job_refused '{"username":"bob","nodes":["n1"],"duration":"1h","endTime":"2099-01-01T00:00:00Z"}'
no_job "a user that is another" 422 job_refused '{"username":"bob","nodes":["n1"],"user":"carol"}'
no_job "… or root" 422 name_refused '{"username":"bob","nodes":["n1"],"user":"root","type":"cluster"}'
no_job "an address without machines of its own" 422 job_refused '{"username":"bob","nodes":["n1"],"address":"198.51.100.7"}'
no_job "hosts that come with an ordinary job" 422 job_refused '{"username":"bob","nodes":["n1"],"enrol":true}'
no_job "a host key that is none" 422 malformed '{"username":"bob","type":"cluster","address":"198.51.100.7","hostKeys":["x"]}'
for name in '-1' 'a%20b' '1@nancy' "$(printf '1%.0s' {1..65})"; do
    gets "no job is named $name" 422 name_refused PUT "$jobs/$name" "$scheduler" "$job"
done
gets "ending what nobody told of" 404 not_found DELETE $jobs/1 "$scheduler"
gets "a user who is no account is skipped" 200 - PUT $jobs/1 "$scheduler" '{"username":"nobody","nodes":["n1"]}'
has "… and why is said" '. == {"skipped":"no_account"}'
gets "… and so is what is no name" 200 - PUT $jobs/1 "$scheduler" '{"username":"no name","nodes":["n1"]}'
gets "… and an account that does not reach the cluster" 200 - PUT $jobs/1 "$scheduler" '{"username":"carol","nodes":["n1"]}'
has "… with that reason" '. == {"skipped":"not_reached"}'
gets "nothing of that is on record" 200 - GET $jobs "$admin"
has "… indeed" '.jobs == []'

# ---- a job's life ----------------------------------------------------------------------------

gets "a job begins" 200 - PUT $jobs/1 "$scheduler" '{"username":"bob","nodes":["n[1-2]","x9"],"duration":"1h"}'
has "… on the hosts that are meant" '.changed and .job.nodes == ["n1","n2.nancy.example","x9"]'
has "… as the account, for an hour" '.job | .user == "bob" and .type == "shared" and
    ((.endTime | fromdate) - (.startTime | fromdate)) == 3600'
told "a gate learns it" '[.changes[] | select(.kind == "job")] | length == 1 and .[0].key == "1@nancy" and
    .[0].state.account == "bob" and .[0].state.nodes == ["n1","n2.nancy.example","x9"] and .[0].state.endTime != null'
start=$(api GET $jobs "$admin" && field '.jobs[0].startTime')
end=$(field '.jobs[0].endTime')
gets "told again" 200 - PUT $jobs/1 "$scheduler" "{\"username\":\"bob\",\"nodes\":[\"n[1-2]\",\"x9\"],\"endTime\":\"$end\"}"
has "… it is the same" ".changed == false and .job.startTime == \"$start\""
gets "it may lose a node, and its limit" 200 - PUT $jobs/1 "$scheduler" '{"username":"bob","nodes":["n[1-2]"]}'
has "… which shows" '.changed and .job.nodes == ["n1","n2.nancy.example"] and .job.endTime == null'
told "… and is told once" '[.changes[] | select(.kind == "job")] | length == 1'
gets "bob sees it" 200 - GET /api/v1/jobs "$bob"
has "… as his" '[.jobs[].job] == ["1"]'
gets "carol does not" 200 - GET /api/v1/jobs "$carol"
has "… at all" '.jobs == []'
gets "… nor by asking for bob's" 403 not_permitted GET '/api/v1/jobs?account=bob' "$carol"
gets "an administrator does" 200 - GET '/api/v1/jobs?account=bob' "$admin"
has "… indeed" '[.jobs[].job] == ["1"]'
gets "… and a whole cluster's" 200 - GET '/api/v1/jobs?cluster=nancy' "$admin"
has "… too" '[.jobs[].job] == ["1"]'
gets "a scheduler begins a second" 200 - PUT $jobs/2_7 "$scheduler" '{"username":"bob","nodes":["x9"],"type":"whole"}'
gets "pages have a size" 200 - GET "$jobs?limit=1" "$scheduler"
has "… which is kept" '[.jobs[].job] == ["1"]'
gets "… and go on" 200 - GET "$jobs?after=$(field '.jobs[0].id')" "$scheduler"
has "… after the last" '[.jobs[].job] == ["2_7"]'
gets "a job ends" 200 - DELETE $jobs/2_7 "$scheduler"
has "… for good" '. == {"ended":true}'
told "… and is gone for gates" '[.changes[] | select(.kind == "job")] | last | .key == "2_7@nancy" and .state == null'
gets "it ends once" 404 not_found DELETE $jobs/2_7 "$scheduler"
has "… which is said" '.message | test("has ended")'
gets "it stays on record" 200 - GET "$jobs?include_ended=1" "$scheduler"
has "… with its end" '.jobs[] | select(.job == "2_7") | .endedTime != null and .nodes == ["x9"]'
gets "its id may come again" 200 - PUT $jobs/2_7 "$scheduler" '{"username":"bob","nodes":["x9"]}'
gets "… and be somebody's who is no account" 200 - PUT $jobs/2_7 "$scheduler" '{"username":"nobody","nodes":["x9"]}'
has "… which ends bob's" '.skipped == "no_account"'
gets "so there is one left" 200 - GET $jobs "$scheduler"
has "… the first" '[.jobs[].job] == ["1"]'

gets "a job with a second to live" 200 - PUT $jobs/3 "$scheduler" '{"username":"bob","nodes":["n1"],"duration":"1s"}'
ended() {
    api GET "$jobs?include_ended=1" "$admin"
    field '.jobs[] | select(.job == "3") | .endedTime'
}
wait_for 5 ended
report $? "it ends by itself"
told "… for gates as well" '[.changes[] | select(.kind == "job" and .key == "3@nancy")] | last.state == null'
audited "… which left a row" '.action == "job.expire" and .actor == "system" and .target == "1 jobs"'
audited "what was told left some" '.action == "job.put" and .actor == "host:slurmctld" and .target == "1@nancy" and .detail == "bob"'

many=$(date +%s%N)
gets "a job on 10,000 nodes" 200 - PUT $jobs/big "$scheduler" '{"username":"bob","nodes":["big[00001-10000]"],"type":"whole"}'
echo "# told, kept and published in $((($(date +%s%N) - many) / 1000000)) ms"
has "… has them" '.job.nodes | length == 10000 and .[0] == "big00001" and .[-1] == "big10000"'
told "… for gates, too" '[.changes[] | select(.key == "big@nancy")] | last.state.nodes | length == 10000'
gets "it ends" 200 - DELETE $jobs/big "$scheduler"

# ---- what a compute host may tell ------------------------------------------------------------

gets "a compute host begins a job on itself" 200 - PUT $jobs/5 "$n1" '{"username":"bob"}'
has "… alone" '.job.nodes == ["n1"]'
gets "… not on another" 403 not_permitted PUT $jobs/6 "$n1" '{"username":"bob","nodes":["n2"]}'
gets "… nor on both" 403 not_permitted PUT $jobs/6 "$n1" '{"username":"bob","nodes":["n[1-2]"]}'
gets "… nor with an address" 403 not_permitted PUT $jobs/6 "$n1" '{"username":"bob","type":"cluster","address":"192.0.2.1"}'
gets "… nor with hosts" 403 not_permitted PUT $jobs/6 "$n1" '{"username":"bob","enrol":true}'
gets "another joins it" 200 - PUT $jobs/5 "$n2" '{"username":"bob","nodes":["n2"]}'
has "… by whichever of its names" '.job.nodes == ["n1","n2.nancy.example"]'
gets "the account is the first's to say" 200 - PUT /api/v1/projects/p1/members/carol "$admin" '{"role":"member"}'
gets "… so it is no other's job" 409 conflict PUT $jobs/5 "$n1" '{"username":"carol"}'
gets "… nor nobody's" 409 conflict PUT $jobs/5 "$n1" '{"username":"nobody"}'
gets "… nor one with root" 409 conflict PUT $jobs/5 "$n1" '{"username":"bob","type":"deploy"}'
gets "it lists what runs on it" 200 - GET $jobs "$n2"
has "… and what does not it never sees" '[.jobs[].job] == ["1","5"]'
gets "a job on one node, as its scheduler says" 200 - PUT $jobs/7 "$scheduler" '{"username":"bob","nodes":["n1"]}'
gets "… is not ended from another" 404 not_found DELETE $jobs/7 "$n2"
gets "one leaves" 200 - DELETE $jobs/5 "$n1"
has "… and the job goes on" '. == {"ended":false}'
gets "the last leaves" 200 - DELETE $jobs/5 "$n2"
has "… and it ends" '. == {"ended":true}'
gets "a compute host's token is good until the host is removed" 200 - DELETE /api/v1/hosts/n1 "$admin"
gets "… and no longer" 401 not_logged_in GET $jobs "$n1"

# ---- what a host learns ----------------------------------------------------------------------

enrol_host n1 '"role":"compute","cluster":"nancy"'
n1=$host_token
register() { # TOKEN NAME: sets $id
    gets "a key of $2" 201 - POST /api/v1/keys "$1" "{\"publicKey\":\"$(key "$2")\"}"
    id=$(field .key.id)
}
register "$bob" bobs
bobs=$id
# She stays in another project: whoever is in none any more loses her keys.
gets "a project that reaches nothing" 201 - POST /api/v1/projects "$admin" '{"name":"elsewhere"}'
gets "… has carol" 200 - PUT /api/v1/projects/elsewhere/members/carol "$admin" '{"role":"member"}'
gets "carol leaves nancy" 200 - DELETE /api/v1/projects/p1/members/carol "$admin"
register "$carol" carols
carols=$id
knows() { # DESCRIPTION TOKEN JQ-CONDITION: of a snapshot, which may begin earlier and then tell what changed
    gets "$1" 200 - GET /api/v1/feed "$2"
    jq '.changes |= (reduce .[] as $change ({}; .["\($change.kind) \($change.key)"] = $change) | map(select(.state != null)))' \
        "$work/last" >"$work/known" && mv "$work/known" "$work/last"
    has "… and no more" "$3"
}
knows "a compute host knows its jobs, its cluster, its people and their keys" "$n1" \
    "([.changes[] | select(.kind == \"job\") | .key, .state.nodes] == [\"1@nancy\",[\"n1\"],\"7@nancy\",[\"n1\"]]) and
     ([.changes[] | select(.kind == \"account\") | .key] == [\"bob\"]) and
     ([.changes[] | select(.kind == \"key\") | .key] == [\"$bobs\"]) and
     ([.changes[] | select(.kind == \"cluster\") | .key] == [\"nancy\"]) and
     ([.changes[] | select(.kind == \"host\") | .key] | sort == [\"gate\",\"n1\"])"
knows "a host of another cluster knows none of that" "$lyon" \
    '[.changes[] | select(.kind != "ca" and .kind != "revocation") | .key] | sort == ["gate","lyon","n2.lyon.example"]'
knows "a frontend knows all jobs of its cluster" "$frontend" \
    '[.changes[] | select(.kind == "job") | .key] == ["1@nancy","7@nancy"]'
knows "a gate knows everybody" "$gate" \
    "([.changes[] | select(.kind == \"account\") | .key] | sort == [\"alice\",\"bob\",\"carol\"]) and
     ([.changes[] | select(.kind == \"key\") | .key] | sort == [\"$bobs\",\"$carols\"])"

metric() { curl -fsS --cacert "$authority/tls/ca.pem" "$url/metrics" | sed -n "s/^posternd_$1 //p"; }
newest() { api GET /api/v1/feed "$gate" && field .revision; }
waiting() { [ "$(metric feed_waiting)" = "$1" ]; }
poll() { # NAME TOKEN SINCE: waits in the background for what comes
    start "poll-$1" curl -sS --cacert "$authority/tls/ca.pem" --max-time 60 -o "$work/$1.json" -H "Authorization: Bearer $2" \
        "$url/api/v1/feed?since=$3"
}
heard() { [ -s "$work/$1.json" ]; }
hears() { # DESCRIPTION NAME JQ-CONDITION
    wait_for 10 heard "$2" && cp "$work/$2.json" "$work/last" && jq -e "$3" "$work/last" >"$work/condition"
    report $? "$1"
}
now=$(newest)
for ((i = 0; i < 20; i++)); do poll "lyon$i" "$lyon" "$now"; done
poll n1 "$n1" "$now"
poll n2 "$n2" "$now"
check "hosts wait" wait_for 10 waiting 22
woken=$(metric feed_woken_total)
gets "a job on one of them" 200 - PUT $jobs/8 "$scheduler" '{"username":"bob","nodes":["n2"]}'
hears "… is told to it" n2 '[.changes[] | .key, .state.nodes] == ["8@nancy",["n2.nancy.example"]]'
check "… and the others wait on" waiting 21
check "… without having been woken" test "$(metric feed_woken_total)" = $((woken + 1))
gets "it moves" 200 - PUT $jobs/8 "$scheduler" '{"username":"bob","nodes":["n1"]}'
hears "… to the next" n1 '[.changes[] | .key, .state.nodes] == ["8@nancy",["n1"]]'
gets "… which the first learns as its end" 200 - GET "/api/v1/feed?since=$(jq -r .revision "$work/n2.json")" "$n2"
has "… alone" '[.changes[] | .key, .state] == ["8@nancy",null]'
n1_at=$(jq -r .revision "$work/n1.json")
rm "$work/n1.json"
poll n1 "$n1" "$n1_at"
check "one waits again" wait_for 10 waiting 21
gets "carol comes to nancy" 200 - PUT /api/v1/projects/p1/members/carol "$admin" '{"role":"member"}'
hears "… so its hosts learn her key" n1 \
    "[.changes[] | .kind, .key, .state != null] == [\"account\",\"carol\",true,\"key\",\"$carols\",true]"
hears "… which others do not" lyon0 \
    "[.changes[] | .kind, .key, .state] == [\"account\",\"carol\",null,\"key\",\"$carols\",null]"
gets "carol leaves again" 200 - DELETE /api/v1/projects/p1/members/carol "$admin"
gets "… and her key with her" 200 - GET "/api/v1/feed?since=$(jq -r .revision "$work/n1.json")" "$n1"
has "… where she was" "[.changes[] | .kind, .key, .state] == [\"account\",\"carol\",null,\"key\",\"$carols\",null]"
gets "a host that is somebody else now" 200 - DELETE /api/v1/hosts/n1 "$admin"
enrol_host n1 '"role":"compute","cluster":"lyon"'
gets "… and goes on where it was" 200 - GET "/api/v1/feed?since=$n1_at" "$host_token"
has "… begins anew" '.snapshot and ([.changes[] | select(.kind == "cluster") | .key] == ["lyon"])'
gets "a stolen token gets no certificate for another name" 403 not_permitted POST /api/v1/host/certificates "$n2" \
    "{\"hostKeys\":[\"$(cat "$work/frontend.key.pub")\"]}"

# ---- machines that come with a job -----------------------------------------------------------

ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/vm"
gets "a job cluster" 200 - PUT $jobs/00Grm "$admin" "{\"username\":\"bob\",\"type\":\"cluster\",\"user\":\"uprod_00Grm\",
    \"address\":\"203.0.113.7\",\"port\":32100,\"hostKeys\":[\"$(cat "$work/vm.pub")\"],\"nodes\":[\"vm[1-2]\"],\"enrol\":true}"
has "… has a user and a place of its own" '.job | .user == "uprod_00Grm" and .address == "203.0.113.7" and .port == 32100'
has "… and a token for each machine" '[.enrolments[].host] == ["vm1","vm2"] and all(.enrolments[]; .enrolmentToken | startswith("pge_"))'
first=$(field '.enrolments[0].enrolmentToken')
told "gates learn where it is" '[.changes[] | select(.key == "00Grm@nancy")] | last.state |
    .user == "uprod_00Grm" and .address == "203.0.113.7" and .port == 32100 and .type == "cluster"'
host_token=$(host_enrols vm1 "$first")
report $? "a machine enrols"
has "… as the job's" '.role == "job" and .cluster == "nancy"'
gets "carol is in nancy, too" 200 - PUT /api/v1/projects/p1/members/carol "$admin" '{"role":"member"}'
knows "… knows whose job it came with" "$host_token" \
    "([.changes[] | select(.kind == \"account\") | .key] == [\"bob\"]) and ([.changes[] | select(.kind == \"key\") | .key] == [\"$bobs\"]) and
     ([.changes[] | select(.kind == \"job\") | .key] == [\"00Grm@nancy\"])"
gets "told again" 200 - PUT $jobs/00Grm "$admin" '{"username":"bob","type":"cluster","user":"uprod_00Grm",
    "address":"203.0.113.7","port":32100,"nodes":["vm[1-3]"],"enrol":true}'
has "… there is a token for the new machine alone" '[.enrolments[].host] == ["vm3"]'
most=$(limit JOB_ENROLMENTS_COUNT)
comes_with() { # DESCRIPTION STATUS CODE COUNT
    gets "$1" "$2" "$3" PUT $jobs/00Many "$admin" "{\"username\":\"bob\",\"type\":\"cluster\",\"address\":\"203.0.113.8\",\"nodes\":[\"many[1-$4]\"],\"enrol\":true}"
}
comes_with "a job with more hosts of its own than there may be is refused" 422 too_long $((most + 1))
comes_with "one with as many is not" 200 - "$most"
has "… and there is a token for each" "[.enrolments[].enrolmentToken] | unique | length == $most"
gets "it ends" 200 - DELETE $jobs/00Many "$admin"
gets "a host that is none of the job's gets no token" 409 conflict PUT $jobs/00Grn "$admin" \
    '{"username":"bob","type":"cluster","nodes":["frontend"],"enrol":true}'
# What a scheduler says of a place, somebody with its stolen token may say as well.
gets "a login host of another cluster" 201 - POST /api/v1/hosts "$admin" '{"name":"ln.lyon.example","role":"login","cluster":"lyon","address":"2001:db8::50"}'
place() { # DESCRIPTION STATUS CODE ADDRESS [TOKEN]
    gets "$1" "$2" "$3" PUT $jobs/placed "${5:-$scheduler}" \
        "{\"username\":\"bob\",\"type\":\"cluster\",\"address\":\"$4\",\"nodes\":[\"placed\"],\"enrol\":true}"
}
for forbidden in 127.0.0.1 169.254.169.254 fd00:ec2::254 64:ff9b::7f00:1; do
    place "a scheduler leads no gate to $forbidden" 422 address_refused $forbidden
done
for taken in gate ln.lyon.example 2001:db8::50 2001:db8:0::50 lyon nancy; do
    place "… and to $taken neither, nor has its certificate" 409 conflict $taken
done
place "… but to any other place" 200 - 203.0.113.50
place "… where more machines may be, at other ports" 200 - 203.0.113.50
place "an administrator leads where he likes" 200 - 127.0.0.1 "$admin"
gets "what is no longer needed" 200 - DELETE $jobs/placed "$scheduler"
gets "64 machines can come" 200 - PUT $jobs/many "$admin" '{"username":"bob","type":"cluster","nodes":["w[1-64]"],"enrol":true}'
gets "… and no more" 422 too_long PUT $jobs/more "$admin" '{"username":"bob","type":"cluster","nodes":["v[1-65]"],"enrol":true}'
gets "a machine that came for bob" 200 - PUT $jobs/reused "$scheduler" \
    '{"username":"bob","type":"cluster","nodes":["vm9"],"enrol":true}'
bobs_machine=$(host_enrols vm9 "$(field '.enrolments[0].enrolmentToken')")
gets "… is not carol's when a job of that name is" 200 - PUT $jobs/reused "$scheduler" \
    '{"username":"carol","type":"cluster","nodes":["vm9"],"enrol":true}'
has "… whose own gets a token" '.job.username == "carol" and [.enrolments[].host] == ["vm9"]'
gets "… and the first none any more" 401 not_logged_in GET /api/v1/feed "$bobs_machine"
gets "a machine tells of no job" 403 not_permitted PUT $jobs/9 "$host_token" '{"username":"bob"}'
gets "the job ends" 200 - DELETE $jobs/00Grm "$admin"
gets "… and its machines with it" 401 not_logged_in GET '/api/v1/feed' "$host_token"
told "… which gates learn, and that their certificates are revoked" '([.changes[] | select(.kind == "host" and .state == null) | .key] |
    contains(["vm1","vm2","vm3"])) and ([.changes[] | select(.kind == "revocation")] | length > 0)'
gets "a token that was left is nobody's" 200 - GET /api/v1/hosts "$admin"
has "… for the hosts are gone" '[.hosts[].name] | index("vm1") == null and index("vm2") == null'
done_testing
