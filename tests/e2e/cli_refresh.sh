#!/usr/bin/env bash
# Goal: postern-refresh keeps a certificate good: quickly, once for many, without a question, and whatever happens to it.
# Functions are called through check and refused.
# shellcheck disable=SC2317
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
administrator=operator
# shellcheck source=tests/e2e/authority_world.sh
. "$here/authority_world.sh"

refresh=$BUILD/src/cli/postern-refresh
tty() { python3 "$here/tty.py" "$@"; }
export HOME=$work/home LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=1
unset XDG_CONFIG_HOME XDG_STATE_HOME XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS POSTERN_API_KEY SSH_AUTH_SOCK
mkdir "$HOME" && mkdir -m 700 "$HOME/.ssh"
config=$HOME/.config/posterngate/test state=$HOME/.local/state/posterngate/test key=$HOME/.ssh/id_ed25519

signed() { # how many certificates the authority has signed
    api GET '/api/v1/audit?limit=1000&action=certificate.sign' "$admin"
    field '[.audit[]] | length'
}
serial_of() { ssh-keygen -Lf "$key-cert.pub" | sed -n 's/^ *Serial: //p'; }
silent() { "$@" >"$work/last" 2>&1 && [ ! -s "$work/last" ]; }
# The command makes the authority sign so many.
signs() { # DESCRIPTION COUNT COMMAND…
    local description=$1 count=$2 before after status=0
    shift 2
    before=$(signed)
    "$@" >"$work/said" 2>&1 || status=$?
    after=$(signed)
    cp "$work/said" "$work/last"
    if [ $status = 0 ] && [ $((after - before)) = "$count" ]; then
        report 0 "$description"
    else
        echo "(status $status, signed $before, then $after)" >>"$work/last"
        report 1 "$description"
    fi
}
# As for one that lives for a minute and was written long ago: due by its backdated beginning, and valid.
due_and_valid() { "$postern" sign -d 1min >"$work/last" 2>&1 && touch -d '10 minutes ago' "$key-cert.pub"; }

# ---- before there is anything ----------------------------------------------------------------
refused "no site: exit 2" 2 'postern init' "$refresh"
refused "an option that is none: exit 2" 2 'no option|did you mean|unknown' "$refresh" --no-such
refused "a margin that is no time: exit 2" 2 'margin 5 is no duration' "$refresh" --margin 5
most=$(limit REFRESH_WAIT_S)
refused "a wait beyond the limit: exit 2" 2 "at most $most s" "$refresh" --wait $((most + 1))s
check "--help by that name" "$refresh" --help
says "is that of postern refresh" 'Usage: postern refresh'

start_authority
enrol "$invitation" correct-horse-battery
report $? "operator signs in"
admin=$token
gets "a project" 201 - POST /api/v1/projects "$admin" '{"name":"p1"}'
gets "an account for alice" 201 - POST /api/v1/accounts "$admin" '{"name":"alice","displayName":"Alice"}'
alice_invitation=$(field .invitation)
gets "… in the project" 200 - PUT /api/v1/projects/p1/members/alice "$admin" '{"role":"member"}'
fingerprint=$(openssl x509 -in "$authority/tls/ca.pem" -outform DER | sha256sum | cut -d' ' -f1)
check "postern init" "$postern" init "$url" --fingerprint "$fingerprint"
refused "no key: exit 8" 8 'postern keygen' "$refresh"
check "a key with a passphrase, in the default place" ssh-keygen -q -t ed25519 -N 'ein langes Geheimnis' -C '' -f "$key"
refused "nothing to sign in with: exit 3" 3 'not signed in at test, and nothing is stored' "$refresh"
refused "and on a terminal as well, without a question" 3 'postern login' tty --timeout 20 -- "$refresh"
refused "--quiet: the exit code alone" 3 '' "$refresh" --quiet
check "says nothing" test ! -s "$work/last"
check "postern login" tty --send 'New password: ' 'correct horse battery' --send 'again: ' 'correct horse battery' \
    --send '(?s)secret into it: ([A-Z2-7]{32})' save:"$work/totp" --send 'Code.*: ' "totp:$work/totp:-1" \
    -- "$postern" login --invitation "$alice_invitation"

# ---- one certificate, as long as it is good ----------------------------------------------------
signs "the first certificate, without a passphrase" 1 setsid -w "$refresh"
check "it was silent" test ! -s "$work/said"
check "ssh-keygen reads it" ssh-keygen -Lf "$key-cert.pub"
says "its principal" '^ +alice$'
first=$(serial_of)
signs "a valid one is left alone" 0 silent "$refresh"
signs "a hundred times" 0 bash -c "for i in {1..100}; do '$refresh' || exit 1; done"
check "is the same certificate" test "$(serial_of)" = "$first"
check "--verbose says so" "$refresh" --verbose
says "until when" "^$key-cert.pub: valid until 20.*\(in a day\)"
check "--json" "$refresh" --json
has "says so as well" ".status == \"valid\" and .file == \"$key-cert.pub\" and (.expireTime | endswith(\"Z\"))"
signs "a margin of half of its life is the most" 0 "$refresh" --margin 2d
signs "postern refresh is the same" 0 silent "$postern" refresh
ln -s "$(readlink -f "$postern")" "$work/postern-refresh-test"
signs "a link that names the site" 0 silent "$work/postern-refresh-test"
ln -s "$(readlink -f "$postern")" "$work/postern-refresh-nowhere"
refused "one that names another" 2 'no site nowhere' "$work/postern-refresh-nowhere"
cp -r "$config" "$HOME/.config/posterngate/other"
refused "several sites, and none is named" 2 'several sites' "$refresh"
signs "named by the link" 0 silent "$work/postern-refresh-test"
rm -r "$HOME/.config/posterngate/other"

cat >"$work/cpu.py" <<'PY'
import resource, subprocess, sys
def cpu(words):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(100):
        subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 10
ours, theirs = cpu(sys.argv[1:]), cpu(["ssh", "-V"])
print(f"{ours:.2f} ms of CPU; ssh -V {theirs:.2f} ms")
sys.exit(0 if ours < 5 and ours < 2 * theirs else 1)
PY
# Sanitizers cost more than the whole program.
if grep -q __asan_init "$postern"; then
    skip "a valid one costs less than 5 ms of CPU, and than twice ssh -V" "this is a build with sanitizers"
else
    check "a valid one costs less than 5 ms of CPU, and than twice ssh -V" python3 "$work/cpu.py" "$refresh"
fi

# ---- what is due ---------------------------------------------------------------------------------
signs "one of a minute" 1 "$postern" sign -d 1min
signs "is not due at once, nor again and again" 0 bash -c "for i in {1..20}; do '$refresh' -d 1min || exit 1; done"
# As a workflow's daemons do it: before each login, all of them at once, and then they log in.
cat >"$work/worker.sh" <<'END'
until [ $SECONDS -ge 40 ]; do
    "$1" -d 1min || exit
    "$2" status >/dev/null || exit
    read -rt 0.7 <> <(:) || :
done
END
workers() {
    local pids=() pid
    for _ in {1..20}; do
        bash "$work/worker.sh" "$refresh" "$postern" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || return; done
}
signs "twenty workers for more than half of it: it is renewed once, and is valid whenever it is used" 1 workers
check "before it ends: that does not count against the quota" test "$("$postern" --json list --all | jq '[.sshKeys[]] | length')" = 3
due_and_valid
check "--json tells by what it signed in" "$refresh" --json
has "the session" '.status == "renewed" and .signedInBy == "the session of postern login"'
ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/elsewhere"
"$postern" sign -f "$work/elsewhere" >"$work/last" 2>&1
cp "$work/elsewhere-cert.pub" "$key-cert.pub"
signs "one of another key" 1 silent "$refresh"
echo damaged >"$key-cert.pub"
signs "one that is damaged" 1 silent "$refresh"
check "is whole again" "$postern" status

# ---- many at once ---------------------------------------------------------------------------------
crowd() { # COUNT STATUS COMMAND…: all of them end with the status
    local count=$1 expected=$2 pids=() pid good=0
    shift 2
    while [ $((count--)) != 0 ]; do
        "$@" >>"$work/crowd" 2>&1 &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid"
        [ $? = "$expected" ] && good=$((good + 1))
    done
    [ $good = ${#pids[@]} ] || { echo "$good of ${#pids[@]} ended with $expected"; tail -n 5 "$work/crowd"; return 1; }
}
rm "$key-cert.pub"
signs "fifty at once make one request" 1 crowd 50 0 "$refresh"
due_and_valid
signs "also while the old one is valid" 1 crowd 50 0 "$refresh"

# ---- another one at work ----------------------------------------------------------------------------
exec 8>"$state/refresh.lock"
flock 8
signs "the lock of another does not hold up a valid certificate" 0 silent "$refresh"
due_and_valid
signs "nor one that is due, for longer than --wait" 0 silent "$refresh" --wait 1s
mv "$key-cert.pub" "$work/kept-cert.pub"
refused "without one: exit 9" 9 'another postern-refresh' "$refresh" --wait 1s
flock -u 8
exec 8>&-
signs "it goes on when the lock is free" 1 silent "$refresh" --wait "${most}s"

# ---- killed at any moment ------------------------------------------------------------------------------
cat >"$work/kill.py" <<'PY'
"""Kills refresh after 0, 1, 2, … thirds of a millisecond; then the certificate is the old or a new one, whole, and the lock is free."""
import fcntl, os, shutil, signal, subprocess, sys, time
refresh, cert, old, lock = sys.argv[1:]
seen = {"old": 0, "new": 0}
for step in range(90):
    shutil.copy(old, cert)
    process = subprocess.Popen([refresh], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(step / 3000)
    process.send_signal(signal.SIGKILL)
    process.wait()
    same = open(cert, "rb").read() == open(old, "rb").read()
    seen["old" if same else "new"] += 1
    subprocess.run(["ssh-keygen", "-Lf", cert], check=True, stdout=subprocess.DEVNULL)
    with open(lock, "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
print(seen)
sys.exit(0 if seen["old"] > 5 else 1)
PY
check "killed at any moment: the old certificate or a whole new one, and no lock" python3 "$work/kill.py" "$refresh" "$key-cert.pub" \
    "$work/elsewhere-cert.pub" "$state/refresh.lock"
signs "and the next one mends it" 1 bash -c "cp '$work/elsewhere-cert.pub' '$key-cert.pub' && '$refresh'"

# ---- the agent ----------------------------------------------------------------------------------------
holds() { ssh-add -l 2>&1 | grep -c -- '-CERT'; }
cp "$key-cert.pub" "$work/kept-cert.pub"
refused "--agent, and there is none: exit 8" 8 'postern agent' "$refresh" --agent
start agent ssh-agent -D -a "$work/agent"
export SSH_AUTH_SOCK=$work/agent
wait_for 10 test -S "$SSH_AUTH_SOCK"
refused "--agent asks for a passphrase at a terminal alone: exit 4" 4 'no terminal' setsid -w "$refresh" --agent
check "where it does" tty --send 'Passphrase: ' 'ein langes Geheimnis' -- "$refresh" --agent
check "the agent has the certificate" test "$(holds)" = 1
check "another time nothing is asked" silent setsid -w "$refresh" --agent
ssh-keygen -q -p -P 'ein langes Geheimnis' -N '' -f "$key"
due_and_valid
signs "a new certificate replaces the agent's" 1 silent "$refresh" --agent
check "it has one, not two" test "$(holds)" = 1
check "which is the new one" bash -c "ssh-add -L | grep -qF \"\$(cut -d' ' -f2 '$key-cert.pub')\""
unset SSH_AUTH_SOCK

# ---- the authority is away --------------------------------------------------------------------------------
due_and_valid
kill "$authority_pid" && wait "$authority_pid" 2>/dev/null
check "a valid certificate is good without it: exit 0, and silent" silent "$refresh"
check "--verbose says so" "$refresh" --verbose
says "with the reason" 'still valid, but cannot be renewed: cannot reach the authority'
check "--json" "$refresh" --json
has "says so as well" '.status == "kept" and (.reason | contains("cannot reach"))'
serve
silent "$refresh" # for a minute the authority is not asked again
cp "$state/refresh.json" "$work/failure.json"
check "what failed a moment ago is not tried again" test "$("$refresh" --json | jq -r .status)" = kept
"$postern" sign -f "$work/elsewhere" -d 1min >"$work/last" 2>&1 && touch -d '10 minutes ago' "$work/elsewhere-cert.pub"
check "another key's certificate is" test "$("$refresh" --json -f "$work/elsewhere" | jq -r .status)" = renewed
cp "$work/failure.json" "$state/refresh.json"
jq '.failedAtMs -= 61000' "$state/refresh.json" >"$work/refresh.json" && cp "$work/refresh.json" "$state/refresh.json"
check "but a minute later" test "$("$refresh" --json | jq -r .status)" = renewed
check "and the failure is forgotten" test ! -e "$state/refresh.json"
kill "$authority_pid" && wait "$authority_pid" 2>/dev/null
rm "$key-cert.pub"
refused "without a certificate: exit 6" 6 'cannot reach' "$refresh"

cat >"$work/slow.py" <<'PY'
"""Takes connections, says nothing for two seconds, closes them, and writes down how many there were."""
import socket, sys, threading, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
count = 0
def end(connection):
    time.sleep(3)
    connection.close()
while True:
    connection, _ = listener.accept()
    count += 1
    with open(sys.argv[2], "w", encoding="ascii") as file:
        file.write(str(count))
    threading.Thread(target=end, args=(connection,)).start()
PY
slow_port=$(free_port)
start slow python3 "$work/slow.py" "$slow_port" "$work/connections"
slow_pid=$last_pid
wait_for 10 bash -c "echo >/dev/tcp/127.0.0.1/$slow_port"
cp "$config/site.json" "$work/site.json"
jq --arg url "http://127.0.0.1:$slow_port" '.url = $url' "$work/site.json" >"$config/site.json"
before=$(cat "$work/connections")
check "fifty at once, an authority that answers nobody: all of them exit 6" crowd 50 6 "$refresh"
check "and it was asked once" test $(($(cat "$work/connections") - before)) = 1
kill "$slow_pid"
cp "$work/site.json" "$config/site.json"
serve

# ---- refused -------------------------------------------------------------------------------------------------
signs "all is well again" 1 silent "$refresh"
check "due and valid" due_and_valid
gets "alice leaves her project" 200 - DELETE /api/v1/projects/p1/members/alice "$admin"
check "while the certificate is valid, exit 0" "$refresh"
says "with a warning" 'still valid, but cannot be renewed: .*postern login'
check "--quiet leaves it out" silent "$refresh" --quiet
rm "$key-cert.pub"
refused "her session ended with her membership: exit 3" 3 'postern login' "$refresh"
gets "alice's account is disabled" 200 - PUT /api/v1/accounts/alice "$admin" '{"disabled":true}'
refused "which changes nothing: exit 3" 3 'postern login' "$refresh"

done_testing
