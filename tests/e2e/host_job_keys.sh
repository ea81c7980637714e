#!/usr/bin/env bash
# From a frontend into one's own running job, by proof of the uid alone: what `postern job` gets is good there and nowhere else.
# shellcheck source=tests/e2e/lib.sh disable=SC2317
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" != 0 ]; then
    skip "job keys" "needs root: sshd switches users"
    done_testing
fi
. "$here/authority_world.sh"
. "$here/frontend_world.sh"
start_authority
sed -i 's|^policy:|&\n  internal_networks: [127.0.0.0/24]|' "$authority/posternd.yaml"
kill -HUP "$authority_pid"
wait_for 10 grep -q reload "$work/posternd.log"
alice_signs_in
for name in bob svcd; do gets "an account $name" 201 - POST /api/v1/accounts "$admin" "{\"name\":\"$name\"}"; done
make_cluster
for name in alice bob svcd; do add_member "$name"; done
for name in alice bob carol; do add_user "$name"; done
add_user svcd 990
add_machine fnancy login 127.0.0.1
add_machine n1 compute 127.0.0.1
add_machine n2 compute 127.0.0.1 --deploy-jobs
add_machine ela jump 127.0.0.1

socket=$work/fnancy/run/jobs.sock
job() { # USER ARGUMENT…: postern job … as that user on the frontend
    local user=$1 verb=$2
    shift 2
    as "$user" postern job "$verb" --socket "$socket" "$@"
}
chmod 755 "$work"
cp "$here/job_socket.py" "$work/bin/" && here_python=$work/bin/job_socket.py
speak() { as "$1" /usr/bin/python3 "$here_python" "$socket" "${@:2}"; }
ask() { speak "$1" ask "$2"; }
starts() { # JOB JSON
    gets "job $1 starts" 200 - PUT "/api/v1/clusters/nancy/jobs/$1" "$admin" "$2"
}
ends() { gets "job $1 ends" 200 - DELETE "/api/v1/clusters/nancy/jobs/$1" "$admin"; }

# ---- only with a running job ----
check "the socket is everybody's, its folder root's alone" \
    test "$(stat -c %a "$socket"),$(stat -c %u:%a "$work/fnancy/run")" = 666,0:755
check "a node serves no users" test ! -e "$work/n1/run/jobs.sock"
refused "without a job there is nothing to enter" 8 'no such job' job alice run 1234 -- id -un
refused "nor to choose" 8 'no job of yours runs' job alice shell
starts 1234 '{"username":"alice","nodes":["n1"],"duration":"1h"}'
runs() { job alice run 1234 -- id -un; }
check "with one, alice is in" wait_for 10 runs
check "by plain means" job alice run 1234 -- id -un
says "as herself" '^alice$'
check "without saying which, where there is only one" job alice run -- id -un
check "and in a shell" sh -c "echo id -un | '$work/bin/as' alice postern job shell --socket '$socket'"
says "as herself" '^alice$'
check "with its name in full" job alice run 1234@nancy n1 -- id -un
refused "another cluster's is none" 8 'no such job' job alice run 1234@lyon -- id -un
refused "another node is not of the job" 8 'no node n2 in the job 1234@nancy' job alice run 1234 n2 -- id -un
refused "a command is needed" 2 'stands after --' job alice run 1234
refused "the exit status is the command's" 7 '' job alice run 1234 -- exit 7
check "options of ssh are passed on" \
    sh -c "'$work/bin/as' alice postern job run --socket '$socket' -v 1234 -- true 2>&1 | grep -q debug1"
check "its output is, and nothing more" test "$(job alice run 1234 -- printf 'a%sb' X 2>/dev/null)" = aXb
refused "bob does not get into alice's job" 8 'no such job' job bob run 1234 -- id -un
refused "nobody is root there" 4 'deploy jobs alone' job alice run --root 1234 -- id -un

# ---- what is left behind ----
mkdir "$work/runtime" && chown 42001 "$work/runtime" && chmod 700 "$work/runtime"
with_runtime() { as alice env XDG_RUNTIME_DIR="$work/runtime" postern job run --socket "$socket" "$@"; }
check "the key lies in the user's runtime folder" with_runtime 1234 -- true
check "and is gone afterwards" test -z "$(ls "$work/runtime")"
check "also after a failure" sh -c "! ls -d /tmp/postern.* 2>/dev/null | xargs -r stat -c %u | grep -x 42001"
start running as alice env XDG_RUNTIME_DIR="$work/runtime" postern job run --socket "$socket" 1234 -- sleep 1000
running=$last_pid
is_private() { [ "$(stat -c %u:%a "$work"/runtime/* "$work"/runtime/*/key | sort | tr '\n' ' ')" = '42001:600 42001:700 ' ]; }
check "while it runs there is one, for alice alone" wait_for 10 is_private
check "the command line does not have it" sh -c "! tr '\0' ' ' </proc/$running/cmdline | grep -q PRIVATE"
kill -TERM "$running"
wait "$running" 2>/dev/null
check "a signal ends both" test $? = 143
check "and takes the key away" test -z "$(ls "$work/runtime")"

# ---- the certificate ----
as alice ssh-keygen -q -t ed25519 -N '' -C '' -f job_key
key=$(cat "$work/home/alice/job_key.pub")
certificate() { # JOB: into job_key-cert.pub of alice
    ask alice "{\"call\":\"certificate\",\"job\":\"$1\",\"publicKey\":\"$key\"}" >"$work/answer" &&
        jq -er .certificate "$work/answer" >"$work/home/alice/job_key-cert.pub"
}
check "the certificate is for alice's key" certificate 1234
ssh-keygen -Lf "$work/home/alice/job_key-cert.pub" >"$work/last"
says "its one principal is the job" '^ +job:1234@nancy$'
says "its key id says whose" 'Key ID: "alice@test job:1234@nancy"'
says "it is good from inside alone" 'source-address 127.0.0.0/24'
check "and names nothing else" test "$(sed -n '/Principals:/,/Critical/p' "$work/last" | grep -c '^                ')" = 1
check "and ends with the job" python3 - "$(jq -r .expireTime "$work/answer")" <<'END'
import datetime, sys
left = datetime.datetime.fromisoformat(sys.argv[1].replace("Z", "+00:00")) - datetime.datetime.now(datetime.timezone.utc)
sys.exit(not 3300 < left.total_seconds() <= 3600)
END
audited "it is on record" \
    '.action == "job_certificate.sign" and .actor == "host:fnancy" and (.detail | contains("alice@test job:1234@nancy"))'
options=(-F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o "UserKnownHostsFile=$work/fnancy/run/known_hosts"
    -o IdentitiesOnly=yes -o ConnectTimeout=10 -o IdentityAgent=none -o LogLevel=ERROR -i job_key)
to() { # MACHINE OPTION…
    local machine=$1
    shift
    as alice ssh "${options[@]}" -o HostKeyAlias="$machine" -p "${ports[$machine]}" "$@" 127.0.0.1 id -un
}
denied='Permission denied'
check "it opens the job's node" to n1
refused "from inside" 255 "$denied" to n1 -b 127.0.1.9
refused "no other node" 255 "$denied" to n2
refused "no frontend" 255 "$denied" to fnancy
refused "no jump host" 255 "$denied" to ela
refused "nobody else there" 255 "$denied" to n1 -l bob
refused "not root" 255 "$denied" to n1 -l root
starts 1235 '{"username":"alice","nodes":["n2"],"duration":"1h"}'
starts 77 '{"username":"bob","nodes":["n1","n2"],"duration":"1h"}'
check "alice has a second job elsewhere" wait_for 10 job alice run 1235 -- true
refused "which the first one's does not open" 255 "$denied" to n2
refused "of two she must say which" 2 'say which' job alice shell
says "and is told of both" '1235'
# She may come in from afar alone; inside, that is no matter.
gets "alice restricts herself" 200 - PUT /api/v1/access "$admin" '{"ipSubnets":["192.0.2.0/24"],"force":true}'
restricted() { "$postern_host" principals --state "$work/n1/state" alice 7 alice@test | grep -q "^from=.* alice$"; }
check "the node knows" wait_for 10 restricted
check "and lets in whom the frontend sends" job alice run 1234 -- true
gets "she does so no more" 200 - PUT /api/v1/access "$admin" '{"from":"everywhere"}'
ends 1234
refused_now() { ! to n1; }
check "when the job is over, so is its certificate" wait_for 10 refused_now
refused "on its node" 255 "$denied" to n1
refused "and there is no other" 8 'no such job' job alice run 1234 -- true
check "the other job goes on" job alice run 1235 -- true
starts 99 '{"username":"alice","nodes":["n1","n2"],"type":"deploy","duration":"1h"}'
check "a deploy job lets in as root" wait_for 10 job alice run --root 99 n2 -- id -u
job alice run --root 99 n2 -- id -u >"$work/last" 2>&1
says "who it is" '^0$'

# ---- who asks, and how ----
claim='"username":"alice","user":"alice","uid":42001'
ask bob "{\"call\":\"certificate\",$claim,\"job\":\"1235\",\"publicKey\":\"$key\"}" >"$work/last"
says "who one is cannot be said, it is seen" '"code":"no_job"'
ask svcd '{"call":"jobs"}' >"$work/last"
says "a daemon's user is nobody, although it has an account" '"code":"no_account"'
ask carol '{"call":"jobs"}' >"$work/last"
says "a user without an account has no jobs" '"jobs":\[\]'
speak alice raw 'x
' >"$work/last"
says "what is no JSON is told so" '"code":"malformed"'
speak alice raw '["call"]
' >"$work/last"
says "nor what is no object" '"code":"malformed"'
speak alice raw '{"call":"certificate","job":{},"publicKey":7}
' >"$work/last"
says "nor other types" '"code":"malformed"'
speak alice raw '{"call":"certificate","job":"1235","publicKey":"ssh-ed25519 AAAA"}
' >"$work/last"
says "what is no key is refused by the authority" '"error"'
speak alice raw '{"call":"jobs"}
{"call":"jobs"}
' >"$work/last"
[ ! -s "$work/last" ]
report $? "a second question gets no answer, nor the first"
speak alice raw "$(head -c 5000 /dev/zero | tr '\0' x)" >"$work/last"
says "a question has a length" '"code":"too_long"'
check "half a question is not waited for" test "$(speak alice half)" = cut
start holder as bob /usr/bin/python3 "$here_python" "$socket" hold 20
wait_for 10 test -s "$work/holder.log"
check "who holds connections gets eight" test "$(cat "$work/holder.log")" = 8
check "and alice is served" job alice run 1235 -- true
for i in 1 2 3; do start "flood$i" as bob /usr/bin/python3 "$here_python" "$socket" flood 8; done
check "while somebody floods, too" job alice run 1235 -- true
check "again" job alice run 1235 -- true
many() {
    local pids=() pid
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
        job alice run 1235 -- true &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || return 1; done
}
check "many of one user at once get in, one after the other" many
kill "$authority_pid"
wait "$authority_pid" 2>/dev/null
refused "without the authority there is no certificate" 6 'cannot be asked' job alice run 1235 -- true
refused "on a machine that is no frontend" 8 'no frontend' as alice postern job run --socket "$work/n1/run/jobs.sock" 1 -- true
done_testing
