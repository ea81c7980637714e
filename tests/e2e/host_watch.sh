#!/usr/bin/env bash
# What the authority is told of jobs is what real Slurm says, whatever is lost, stopped or hung; and no node pays for it.
# shellcheck source=tests/e2e/slurm_world.sh
. "$(dirname "$0")/slurm_world.sh"
# Functions that check() and wait_for() call look unreachable.
# shellcheck disable=SC2317
mkdir -p bin state
install -m 755 "$postern_host" "$BUILD/src/host/postern-host-sync" bin/
host=$work/bin/postern-host
printf 'state: %s/state\n' "$work" >host.yaml
registry_start() { start registry python3 "$here/job_registry.py" 8080 requests; registry_pid=$last_pid; wait_for 10 told; }
registry() { curl -sS --max-time 5 "http://127.0.0.1:8080$1" "${@:2}"; }
told() { registry /jobs >jobs.json; }
enrolled() { printf '{"url":"http://127.0.0.1:8080","name":"ctl","cluster":"daint","hostToken":"%s"}\n' "$1" >state/host.json; }

# Prolog and Epilog can be lost: then the file lost-prolog or lost-epilog is there.
for hook in prolog epilog; do
    printf '#!/bin/sh\n[ ! -e %s/lost-%s ] || exit 0\n%s slurm %s --config %s/host.yaml\nexit 0\n' "$work" $hook "$host" $hook \
        "$work" >bin/$hook
    chmod 755 bin/$hook
done
# What asks Slurm is counted, and can be made to talk nonsense.
# shellcheck disable=SC2016
printf '#!/bin/sh\necho >>%s/asked\n[ ! -e %s/nonsense ] || { cat %s/nonsense; exit 0; }\nexec %s "$@"\n' "$work" "$work" "$work" \
    "$(command -v squeue)" >bin/squeue
chmod 755 bin/squeue

has_job() { # JOB JQ-CONDITION: it is told, and so
    told && jq -e --arg job "$1" ".[\$job] | . != null and ($2)" jobs.json >"$work/last"
}
has_no_job() { told && jq -e --arg job "$1" '.[$job] == null' jobs.json >"$work/last"; }
# Job, user and number of nodes of each, as Slurm has them and as they were told.
both_agree() {
    squeue -h -t RUNNING,CONFIGURING -o '%A %u %D' | sed '/ root /d' | sort >slurm.list || return
    told && jq -r '.[] | "\(.job) \(.username) \(.nodes | length)"' jobs.json | sort | diff slurm.list - >"$work/last"
}
asked() { wc -l <asked; }
rounds() { # COUNT: so many have been
    local goal=$(($(asked) + $1))
    wait_for 30 sh -c "[ \$(wc -l <asked) -ge $goal ]"
}
watch_start() { # OPTION…
    watches=$((${watches:-0} + 1))
    start "watch-$watches" env PATH="$work/bin:$PATH" SQUEUE_USERS=carol "$host" slurm watch --config host.yaml "$@"
    watch_pid=$last_pid watch_log=watch-$watches.log
}
watch_stop() { kill "$watch_pid" && wait "$watch_pid" 2>/dev/null; [ $? = 143 ]; }
logged() { # COUNT EVENT
    [ "$(grep -c "\"event\":\"$2\"" "$watch_log")" = "$1" ]
}

# ---- refused -----------------------------------------------------------------------------------

for command in slurm oar jobs; do
    check "$command --help says how it is called" sh -c "'$host' $command --help | grep -q '^usage: postern-host $command watch'"
done
refused "a command that is none" 2 '^usage: ' "$host" slurm observe
refused "a table that is not named" 2 '^usage: ' "$host" jobs watch
refused "a file for Slurm" 2 '^usage: ' "$host" slurm watch --file x
refused "an interval without a unit" 2 'write it as 5s' "$host" slurm watch --interval 5
refused "a machine that is not enrolled" 2 'postern-host enrol' "$host" slurm watch --config host.yaml
printf '{"url":"http://127.0.0.1:8080","name":"ctl","hostToken":"x"}\n' >state/host.json
refused "one of no cluster" 2 'cluster: this host is of no cluster' "$host" slurm watch --config host.yaml
enrolled token-of-ctl
refused "an authority that is away" 6 '' "$host" slurm watch --once --config host.yaml
check "what stands in for the authority starts" registry_start
enrolled wrong
refused "one that does not know this host" 4 'answered 401' "$host" slurm watch --once --config host.yaml
enrolled token-of-ctl
refused "Slurm that does not answer" 1 'squeue: (ended with status 1|took longer)' "$host" slurm watch --once --config host.yaml

# ---- hooks alone -------------------------------------------------------------------------------

slurm_settings "Prolog=$work/bin/prolog" "Epilog=$work/bin/epilog"
check "Slurm starts ($tracking)" slurm_start
check "a job of alice begins" slurm_runs alice n1
check "and was told by the prologue" has_job "$job" '.username == "alice" and .nodes == ["n1"] and .type == "shared"'
check "with an end that is near" has_job "$job" \
    "(.endTime | fromdate) - (.startTime | fromdate) - $(limit UNCONFIRMED_JOB_S) | . > -10 and . < 10"
check "it is cancelled" slurm_cancel "$job"
check "and told to be over by the epilogue" wait_for 10 has_no_job "$job"

hook() { # NAME VARIABLE…: runs, ends with 0 and in time (LIMIT_SCHEDULER_HOOK_S)
    local name=$1 before=$SECONDS
    shift
    env -i "$@" "$host" slurm "$name" --config host.yaml >"$work/last" 2>&1 && [ $((SECONDS - before)) -le 4 ]
}
asks_nothing() { # COMMAND…
    local before
    before=$(wc -l <requests)
    "$@" && [ "$(wc -l <requests)" = "$before" ]
}
check "a prologue without Slurm's variables ends with 0 and tells nothing" asks_nothing hook prolog
check "so does one of root's job" asks_nothing hook prolog SLURM_JOB_ID=7 SLURM_JOB_USER=root SLURMD_NODENAME=n1
check "one of a user like an option" asks_nothing hook prolog SLURM_JOB_ID=7 SLURM_JOB_USER=-oX SLURMD_NODENAME=n1
check "one of a job like a path" asks_nothing hook epilog SLURM_JOB_ID=../../hosts/n1
check "one of a job like a log line" asks_nothing hook epilog SLURM_JOB_ID=$'7\nroot logged in'
check "one of many nodes" asks_nothing hook prolog SLURM_JOB_ID=7 SLURM_JOB_USER=alice 'SLURMD_NODENAME=n[1-99999]'
check "one whose configuration is not there" asks_nothing hook prolog SLURM_JOB_ID=7 --config=/nonexistent
job_variables=(SLURM_JOB_ID=77 SLURM_JOB_USER=alice SLURMD_NODENAME=n1)
check "one with an end of Slurm's tells that" hook prolog "${job_variables[@]}" SLURM_JOB_END_TIME=$(($(date +%s) + 3600))
check "as it is" has_job 77 '(.endTime | fromdate) - now | . > 3500'
check "the epilogue of a job that is not there ends with 0" hook epilog SLURM_JOB_ID=78
check "and of one that is" hook epilog SLURM_JOB_ID=77
kill -STOP "$registry_pid"
check "a prologue does not wait for an authority that hangs" hook prolog "${job_variables[@]}"
check "nor does an epilogue" hook epilog SLURM_JOB_ID=77
kill -CONT "$registry_pid"
registry /trouble -X PUT -d 503 >/dev/null
check "nor is one in trouble a reason to fail" hook prolog "${job_variables[@]}"
registry /trouble -X PUT -d 0 >/dev/null
mv bin/postern-host-sync bin/away
check "nor a program that is missing" hook prolog "${job_variables[@]}"
mv bin/away bin/postern-host-sync
check "no node was taken out of service" slurm_takes_jobs

# ---- the watcher makes up for what is lost, with its usual interval --------------------------------

touch lost-prolog lost-epilog
slurm_runs alice n1 && alice_job=$job
watch_start
check "a job that nobody told of is told within 10 s" wait_for 10 has_job "$alice_job" \
    '.username == "alice" and .nodes == ["n1"] and .type == "shared"'
check "with Slurm's own end" has_job "$alice_job" '(.endTime | fromdate) - (.startTime | fromdate) == 600'
check "a second watcher keeps out" sh -c "! '$host' slurm watch --once --config host.yaml 2>last && grep -q 'another postern-host' last"
slurm_runs bob n2 600 -p whole && bob_job=$job
check "so is one of a whole node" wait_for 10 has_job "$bob_job" '.username == "bob" and .type == "whole" and .nodes == ["n2"]'
check "alice's is cancelled, and told to be over within 10 s" sh -c "scancel $alice_job"
check "though its epilogue is lost" wait_for 10 has_no_job "$alice_job"
rm lost-prolog
short=$(slurm_submit alice n1 0)
check "a job that is over before anybody looks is told by its prologue" wait_for 20 grep -q "^PUT .*/jobs/$short " requests
check "and told to be over within 10 s" wait_for 10 has_no_job "$short"
check "a limit of time is changed" scontrol update "JobId=$bob_job" TimeLimit=30
check "and told" wait_for 10 has_job "$bob_job" '(.endTime | fromdate) - (.startTime | fromdate) == 1800'
check "the watcher stops" watch_stop
rm lost-epilog

# ---- from here on with a short interval ------------------------------------------------------------

for stale in 900001 900002; do
    registry "/api/v1/clusters/daint/jobs/$stale" -X PUT -H 'Authorization: Bearer token-of-ctl' \
        -d '{"username":"alice","type":"shared","nodes":["n1"],"startTime":"2026-01-01T00:00:00Z"}' >/dev/null
done
watch_start --interval 1s --patience 3s
check "jobs that the authority has and Slurm has not are over after a start" wait_for 10 has_no_job 900002
check "and the others were not told again" both_agree
array=$(slurm_submit alice n1 600 --array=1-3)
check "each task of an array is told" wait_for 40 sh -c "curl -s http://127.0.0.1:8080/jobs | jq -e '[.[] | select(.username == \"alice\")] | length == 3'"
check "as Slurm numbers them" wait_for 5 both_agree
scancel "$array"
scancel "$bob_job"
as_user carol sbatch --parsable -D / -o /dev/null -w n1 --wrap 'exec sleep 600' : -w n2 >het
check "each part of a heterogeneous job is told" wait_for 40 sh -c "curl -s http://127.0.0.1:8080/jobs | jq -e '[.[] | select(.username == \"carol\")] | length == 2'"
scancel "$(cut -d';' -f1 het)"
check "and all are over" wait_for 10 both_agree

root_job=$(sbatch --parsable -D / -o /dev/null -w n1 --wrap 'exec sleep 600')
mallory_job=$(slurm_submit mallory n1)
check "a job of root is left out" wait_for 20 logged 1 job_left_out
check "one of nobody's account is refused" wait_for 10 logged 1 job_refused
rounds 3
check "either is logged once" sh -c "[ \$(grep -c job_left_out $watch_log) = 1 ] && [ \$(grep -c job_refused $watch_log) = 1 ]"
before=$(wc -l <requests)
check "some rounds pass" rounds 4
check "a cluster where nothing happens costs the authority nothing" test "$(wc -l <requests)" = "$before"
scancel "$root_job" "$mallory_job"

registry /trouble -X PUT -d 503 >/dev/null
slurm_runs alice n1 && alice_job=$job
check "the authority is in trouble" wait_for 10 logged 1 jobs_not_told
registry /trouble -X PUT -d 0 >/dev/null
check "and is told what it missed" wait_for 20 both_agree
check "which the log says" wait_for 5 logged 1 authority_back

# ---- Slurm in trouble --------------------------------------------------------------------------

# A squeue that hangs is given LIMIT_SCHEDULER_S.
in_trouble() { # WHAT: each in the watcher's log once, and nothing changes
    check "$1: the log says so" wait_for 30 logged $((trouble + 1)) scheduler_failed
    check "$1: and that it lasts" wait_for 30 logged $((trouble + 1)) scheduler_silent
    check "$1: the job is still told" has_job "$alice_job" '.username == "alice"'
    trouble=$((trouble + 1))
}
is_back() {
    check "$1: it is back" wait_for 40 logged $trouble scheduler_back
    check "$1: and all is as Slurm says" wait_for 20 both_agree
}
trouble=0
slurm_hang_controller
in_trouble "slurmctld hangs"
slurm_resume_controller
is_back "slurmctld hung"
check "slurmctld is stopped" slurm_stop_controller
in_trouble "slurmctld is stopped"
slurm_start_controller
is_back "slurmctld was stopped"
check "slurmctld is killed" slurm_kill_controller
in_trouble "slurmctld is killed"
slurm_start_controller
is_back "slurmctld was killed"
for text in 'slurm_load_jobs error: Unexpected message received' '1|RUNNING|alice|OK|2026-'; do
    echo "$text" >nonsense.new && mv nonsense.new nonsense
    in_trouble "squeue says \"$text\""
    rm nonsense
    is_back "squeue said \"$text\""
done

check "no node was taken out of service" slurm_takes_jobs
check "the watcher stops" watch_stop

# ---- without Slurm -----------------------------------------------------------------------------

cp "$root/examples/postern-jobs" table
start table "$host" jobs watch --file table --config host.yaml --interval 1s
table_pid=$last_pid
check "a table is told instead" wait_for 10 has_job course-2026 '.username == "alice" and (.nodes | length) == 4'
check "and what it lacks is over" wait_for 10 has_no_job "$alice_job"
grep -v ^course table >table.new && mv table.new table
check "whose line goes is over" wait_for 10 has_no_job course-2026
check "others stay" has_job lab-bench '.type == "whole"'
rm table
check "a table that is not there is no empty one" wait_for 10 grep -q scheduler_failed table.log
check "and ends nobody" has_job lab-bench '.username == "bob"'
kill "$table_pid" && wait "$table_pid" 2>/dev/null

# This is a stand-in for oarstat, in the form that OAR 2.5 documents: there is no OAR in Debian.
cat >bin/oarstat <<'OARSTAT'
#!/bin/sh
[ "$*" = "--full --json" ] || exit 2
cat oar.json
OARSTAT
chmod 755 bin/oarstat
jq -n '{"4242": {Job_Id: 4242, state: "Running", owner: "alice", name: "x\n    owner = root", startTime: 1795275089,
    walltime: 3600, types: ["deploy"], wanted_resources: "-l \"{type = '\''default'\''}/host=2,walltime=1:0:0\" ",
    assigned_network_address: ["gros-1.example", "gros-1.example", "gros-2.example"]},
    "4243": {Job_Id: 4243, state: "Waiting", owner: "bob", assigned_network_address: []}}' >oar.json
check "OAR's jobs are told" env PATH="$work/bin:$PATH" "$host" oar watch --once --config host.yaml
check "those that run" has_job 4242 '.username == "alice" and .type == "deploy" and .nodes == ["gros-1.example", "gros-2.example"]'
check "and no others" has_no_job 4243
done_testing
