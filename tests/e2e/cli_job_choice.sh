#!/usr/bin/env bash
# Which of several jobs on a node a session belongs to, through the gate: the newest, or the one that postern sign --job names.
# shellcheck source=tests/e2e/cli_world.sh disable=SC2016,SC2088,SC2317
. "$(dirname "$0")/cli_world.sh"
cli_world_begin
gets "two certificates a day for alice" 200 - PUT /api/v1/accounts/alice "$admin" '{"quotaPerDay":2}'

ssh=(ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o "UserKnownHostsFile=$laptop_home/.config/posterngate/cscs/known_hosts"
    -o IdentitiesOnly=yes -o IdentityAgent=none -o LogLevel=ERROR)
to() { # KEY HOST COMMAND…: alone through the gate, where her usual certificate lets in
    local key=$1
    laptop "${ssh[@]}" -i "$key" -o "ProxyCommand=${ssh[*]} -i .ssh/cscs-key -W %h:%p ela.example" "${@:2}"
}
ordinary=.ssh/cscs-key of_4711=.ssh/cscs-key-job-4711@daint
job_starts 4712 '{"username":"alice","nodes":["nid001234"],"duration":"2h"}'
gets "… operator in the project" 200 - PUT /api/v1/projects/p1/members/operator "$admin" '{"role":"member"}'
job_starts 99 '{"username":"operator","nodes":["nid001234"],"duration":"2h"}'
both() { [ "$(on nid001234 postern-host principals --state "$work/hosts/nid001234/state" alice 1 alice@cscs | grep -c '^job:')" = 2 ]; }
check "the node knows both of her jobs" wait_for 10 both

# ---- what is refused ----
refused "a job that there is not" 8 'no job 1234 of yours runs' laptop postern sign --job 1234
refused "somebody else's" 8 'no job 99 of yours runs' laptop postern sign --job 99
refused "another cluster's" 8 'no job 4711@santis of yours runs' laptop postern sign --job 4711@santis
refused "with the key that has the usual certificate" 9 'is not for this job' laptop postern sign --job 4711 -f .ssh/cscs-key
api POST /api/v1/accounts "$admin" '{"name":"bob","displayName":"Bob"}'
enrol "$(field .invitation)" 'red mountain pass 31'
bob=$token
gets "… bob in the project" 200 - PUT /api/v1/projects/p1/members/bob "$admin" '{"role":"member"}'
line=$(cat "$laptop_home/.ssh/cscs-key.pub")
gets "who has no such job gets no certificate for it" 404 no_job POST /api/v1/ssh-keys/sign "$bob" "{\"publicKey\":\"$line\",\"job\":\"4711@daint\"}"
gets "nor one for a job of another name" 404 no_job POST /api/v1/ssh-keys/sign "$bob" "{\"publicKey\":\"$line\",\"job\":\"1\"}"
gets "nor for longer than is signed" 422 duration_refused POST /api/v1/ssh-keys/sign "$admin" \
    "{\"publicKey\":\"$line\",\"job\":\"99\",\"duration\":\"8d\"}"

# ---- the certificate ----
for turn in first second third fourth; do check "the $turn is not counted" laptop postern sign --job 4711; done
says "it says whose session it is" 'Good for job 4711@daint alone'
says "and how to get it" "ssh -i .*/$of_4711 -o IdentitiesOnly=yes -o IdentityAgent=none -J alice@ela.example:22 alice@nid001234"
check "the key is alice's alone" test "$(stat -c %a "$laptop_home/$of_4711")" = 600
ssh-keygen -Lf "$laptop_home/$of_4711-cert.pub" >last
says "its one principal is the job" '^ +job:4711@daint$'
says "its key id says whose, and that it comes from outside" 'Key ID: "alice@cscs outside job:4711@daint"'
check "and it ends with the job" python3 - "$(awk '/Valid:/ {print $5}' last)" <<'END'
import datetime, sys
left = datetime.datetime.fromisoformat(sys.argv[1]) - datetime.datetime.now()
sys.exit(not 4 * 3600 - 300 < left.total_seconds() <= 4 * 3600)
END
check "one may be shorter" laptop postern sign --job 4711 -d 20min
check "with --json" laptop sh -c 'postern --json sign --job 4711@daint | jq -e ".sshKey.serialNumber"'
audited "they are on record" '.action == "certificate.sign" and .actor == "alice" and (.detail | startswith("job:4711@daint SHA256:"))'
# Nobody counted it, so its key is not one that may be signed again for nothing.
laptop ssh-keygen -q -t ed25519 -N '' -C '' -f .ssh/other
check "one more usual certificate is within the quota" laptop postern sign -f .ssh/other
laptop sh -c "cp $of_4711 .ssh/spent && cp $of_4711.pub .ssh/spent.pub"
refused "and with the job's key it is not" 5 '2 are allowed' laptop postern sign -f .ssh/spent

# ---- where it is good ----
denied='Permission denied'
check "it opens the node" test "$(to "$of_4711" nid001234 id -un)" = alice
refused "but no login host" 255 "$denied" to "$of_4711" daint.example true
refused "and no gate" 255 "$denied" laptop "${ssh[@]}" -i "$of_4711" ela.example true
refused "and nobody else there" 255 "$denied" to "$of_4711" -l root nid001234 true

# ---- whose session it is ----
belongs() { postern-host sessions --json --config hosts/nid001234/host.yaml | jq -e "any(.[]; .job == \"$1\")"; }
start newest laptop "${ssh[@]}" -tt -i "$ordinary" -o "ProxyCommand=${ssh[*]} -i .ssh/cscs-key -W %h:%p ela.example" nid001234 'sleep 1000'
newest=$last_pid
check "with the usual certificate it is the newest job's" wait_for 10 belongs 4712@daint
check "which she is told" wait_for 15 grep -q 'belongs to your job 4712@daint, the newest here. .*postern sign --job JOB' newest.log
start chosen laptop "${ssh[@]}" -tt -i "$of_4711" -o "ProxyCommand=${ssh[*]} -i .ssh/cscs-key -W %h:%p ela.example" nid001234 'sleep 1000'
chosen=$last_pid
check "with the job's it is that one's" wait_for 10 belongs 4711@daint
check "which she is told as well" wait_for 15 grep -q 'belongs to your job 4711@daint, and ends with it' chosen.log
job_ends 4712
ended() { ! kill -0 "$1" 2>/dev/null; }
check "when the newest ends, so does its session" wait_for 10 ended "$newest"
check "and not that of the other" kill -0 "$chosen"
check "of which the certificate goes on" to "$of_4711" nid001234 true
job_starts 4713 '{"username":"alice","nodes":["nid001234"],"duration":"2h"}'
check "a newer job of hers opens it too" wait_for 10 to "$ordinary" nid001234 true
job_ends 4711
check "when the chosen one ends, so does its session" wait_for 10 ended "$chosen"
says_in() { grep -q "$2" "$1"; }
check "and she is told why" says_in chosen.log 'this session ends'
refused "its certificate is good for nothing more" 255 "$denied" to "$of_4711" nid001234 true
check "though another job of hers runs there" to "$ordinary" nid001234 true

# ---- from where she may come in counts for it as for any other ----
job_starts 4714 '{"username":"alice","nodes":["nid001234"],"duration":"2h"}'
check "one more" laptop postern sign --job 4714
of_4714=.ssh/cscs-key-job-4714@daint
check "lets in" wait_for 10 to "$of_4714" nid001234 true
direct() { laptop "${ssh[@]}" -i "$of_4714" nid001234 true; }
check "also without the gate, from the same network" direct
check "she restricts herself" laptop postern access --from 10.99.7.0/24 --force
shut() { ! direct; }
check "which counts at once" wait_for 10 shut
done_testing
