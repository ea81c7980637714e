#!/usr/bin/env bash
# Administrators see who is at the gates, and end a session there: real gates, postern-host and ssh. What dies takes its sessions
# along, and what comes back tells them again.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/authority_world.sh
. "$(dirname "$0")/authority_world.sh"
# Functions that check() and wait_for() call look unreachable.
# shellcheck disable=SC2317
cd "$work" || exit 1
export HOME=$work/home LC_ALL=C.UTF-8 NO_COLOR=1
unset XDG_CONFIG_HOME XDG_STATE_HOME POSTERN_API_KEY SSH_AUTH_SOCK
mkdir -p bin keys ssh home/.ssh
chmod 700 home home/.ssh
install -m 755 "$postern_host" "$BUILD/src/host/postern-host-sync" "$postern_gate" bin/
gate_port=$(free_port) target_port=$(free_port)

# ---- an authority, a gate, somewhere to go -----------------------------------------------------

start_authority
alice_signs_in
ca=$(openssl x509 -in "$authority/tls/ca.pem" -outform DER | sha256sum | cut -d' ' -f1)
gets "carol administers as well" 201 - POST /api/v1/accounts "$admin" '{"name":"carol","administrator":true}'
carol=$(field .invitation)
check "her command line knows the authority" "$postern" init "$url" --fingerprint "$ca"
check "and she signs in" python3 "$here/tty.py" --send '[Pp]assword.*: ' correct-horse-battery --send 'again.*: ' correct-horse-battery \
    --send '\b([A-Z2-7]{32})\b' "save:$work/totp" --send '[Cc]ode.*: ' "totp:$work/totp:0" -- "$postern" login --invitation "$carol"
gets "a cluster" 201 - POST /api/v1/clusters "$admin" '{"name":"daint"}'
gets "a project" 201 - POST /api/v1/projects "$admin" '{"name":"p1"}'
gets "the project reaches the cluster" 200 - PUT /api/v1/projects/p1/clusters/daint "$admin"
gets "a login host" 201 - POST /api/v1/hosts "$admin" \
    "{\"name\":\"daint-ln1\",\"role\":\"login\",\"cluster\":\"daint\",\"address\":\"127.0.0.1\",\"port\":$target_port}"
gets "a jump host" 201 - POST /api/v1/hosts "$admin" "{\"name\":\"ela\",\"role\":\"jump\",\"address\":\"127.0.0.2\",\"port\":$gate_port}"
enrolment=$(field .enrolmentToken)
ssh-keygen -q -t ed25519 -N '' -C '' -f ssh/ela_key
printf '%s\n' "state: $work/state" "host_keys: [$work/ssh/ela_key.pub]" >host.yaml
check "it enrols" bin/postern-host enrol --url "$url" --config host.yaml --token "$enrolment" --fingerprint "$ca"
follow() { start "$1" bin/postern-host sync --config host.yaml; sync_pid=$last_pid; wait_for 20 bin_is_served; }
bin_is_served() { bin/postern-host status --config host.yaml | grep -q . && test -S state/uplink.sock; }
check "sync serves the gate" follow sync
start target python3 -c '
import socketserver, sys
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
socketserver.ThreadingTCPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
' "$target_port"
printf '%s\n' "listen: ['127.0.0.1:$gate_port']" "host_keys: [$work/ssh/ela_key]" "state: $work/state" "user: nobody" "workers: 2" >gate.yaml
answers() { bash -c "exec 3<>/dev/tcp/127.0.0.1/$gate_port && read -r -t 5 line <&3 && [[ \$line == SSH-2.0-* ]]"; }
open_gate() { start "$1" bin/postern-gate serve -c gate.yaml; gate_pid=$last_pid; wait_for 20 answers; }
check "the gate answers" open_gate gate

echo "[127.0.0.1]:$gate_port $(cut -d' ' -f1,2 ssh/ela_key.pub)" >known_hosts
for name in bob alice; do ssh-keygen -q -t ed25519 -N '' -C "$name" -f "keys/$name"; done
invite bob second-horse-battery
bob=$token
gets "bob is a member" 200 - PUT /api/v1/projects/p1/members/bob "$admin" '{"role":"member"}'
gets "alice, too" 200 - PUT /api/v1/projects/p1/members/alice "$admin" '{"role":"member"}'
gets "bob has a certificate" 200 - POST /api/v1/ssh-keys/sign "$bob" "$(jq -cn --rawfile key keys/bob.pub '{publicKey: $key}')"
jq -r '.. | strings | select(startswith("ssh-ed25519-cert"))' last >keys/bob-cert.pub
serial=$(ssh-keygen -L -f keys/bob-cert.pub | sed -n 's/ *Serial: //p')
gets "alice registers a key" 201 - POST /api/v1/keys "$admin" "$(jq -cn --rawfile key keys/alice.pub '{publicKey: $key}')"
fingerprint=$(ssh-keygen -l -f keys/alice.pub | cut -d' ' -f2)

# Enters as NAME and stays, as NUMBER: its log is ssh-NUMBER.log, its pid in $entered, and its way leads from ${port[NUMBER]}.
declare -A port
enters() { # NUMBER NAME
    port[$1]=$(free_port)
    start "ssh-$1" ssh -F none -p "$gate_port" -l "$2" -i "keys/$2" -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
        -o UserKnownHostsFile=known_hosts -o GlobalKnownHostsFile=/dev/null -o ControlPath=none -N \
        -L "127.0.0.1:${port[$1]}:daint-ln1:$target_port" 127.0.0.1
    entered=$last_pid
    wait_for 20 listens "${port[$1]}"
}
listens() { ss -Hltn "sport = :$1" | grep -q .; }
# What administrators see, as a jq condition on the sessions.
sees() ( # JQ-CONDITION [QUERY]
    curl -sS --cacert "$authority/tls/ca.pem" -H "Authorization: Bearer $admin" "$url/api/v1/gate-sessions${2:-}" >seen &&
        jq -e ".sessions | $1" seen
)
milliseconds() { echo $(($(date +%s%N) / 1000000)); }
gone() { ! kill -0 "$1" 2>/dev/null; }

# ---- who is here -------------------------------------------------------------------------------

check "bob enters, by his certificate" wait_for 20 enters 1 bob
bob_pid=$entered
check "he is seen" wait_for 10 sees 'length == 1'
check "with all there is to know" sees ".[0] | .account == \"bob\" and .serialNumber == \"$serial\" and .gate == \"ela\"
    and .source == \"127.0.0.1\" and .destinations == [] and .bytesIn > 0 and (.sinceTime | fromdate) > now - 60"
check "alice enters, by a registered key" enters 2 alice
alice_pid=$entered
check "she is seen, and first" wait_for 10 sees "length == 2 and (.[0] | .account == \"alice\" and .keyFingerprint == \"$fingerprint\" and (has(\"serialNumber\") | not))"
check "by the account" sees 'map(.account) == ["bob"]' '?account=bob'
check "by another gate none" sees '. == []' '?gate=emil'
exec 5<>"/dev/tcp/127.0.0.1/${port[1]}"
echo hello >&5
read -r -t 10 line <&5
check "bob goes to daint" test "$line" = hello
check "where he is is seen" wait_for 10 sees "map(select(.account == \"bob\"))[0].destinations == [\"daint-ln1:$target_port\"]"
exec 5>&-
check "and that he has left" wait_for 10 sees 'map(select(.account == "bob"))[0].destinations == []'
short() { ssh -F none -p "$gate_port" -l bob -i keys/bob -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
    -o UserKnownHostsFile=known_hosts -T 127.0.0.1; }
check "who comes and goes" short
check "leaves nothing" sees 'length == 2'
check "carol's command line lists them" "$postern" admin session list --account bob
says "as they are" "bob .*$serial"
check "the hosts tell how they are" "$postern" --json admin host list
check "version, age and sessions" jq -e --arg version "$("$postern" --version | grep -oE '[0-9]+\.[0-9.]+' | head -1)" \
    '.hosts[] | select(.name == "ela") | .version == $version and .replicaAge < 60 and .sessions == 2' last

# ---- one is cut --------------------------------------------------------------------------------

sees 'map(select(.account == "bob"))' >/dev/null
id=$(jq -r '.sessions[] | select(.account == "bob") | .id' seen)
refused "one that is not there" 8 'no gate has a session' "$postern" admin session cut "0${id:1}"
began=$(milliseconds)
check "carol cuts bob's" "$postern" admin session cut "$id"
says "and is told whose" 'session of bob from 127.0.0.1'
check "it ends" wait_for 5 gone "$bob_pid"
took=$(($(milliseconds) - began))
check "within a second or so ($took ms, the command included)" test $took -lt 3000
check "bob is told by whom" grep -q 'an administrator has ended this session' ssh-1.log
check "alice's goes on" kill -0 "$alice_pid"
check "it is seen no more" wait_for 10 sees 'map(.account) == ["alice"]'
check "the gate's log tells it" grep -q '"session_closed".*"why":"ordered"' gate.log
audited "who ordered it is on record" ".action == \"gate_session.cut\" and .actor == \"carol\" and .target == \"$id\""
ended_by_gate() ( audited "" '.action == "gate.session" and .actor == "bob" and .code == "cut" and .detail == "ordered"' | grep -q '^ok' )
check "and that the gate did" wait_for 10 ended_by_gate
check "he may come again" enters 3 bob
bob_pid=$entered
check "and is seen anew" wait_for 10 sees 'length == 2'

# ---- what dies, and what comes back ------------------------------------------------------------

kill -KILL "$sync_pid"
kill "$bob_pid"
check "bob leaves while nobody hears it" wait_for 10 gone "$bob_pid"
check "another postern-host takes over" follow sync2
check "it tells what there is, and no more" wait_for 30 sees 'map(.account) == ["alice"]'
kill "$authority_pid"
wait "$authority_pid"
check "bob enters while the authority is away" enters 4 bob
serve
check "which then hears of both" wait_for 60 sees 'map(.account) == ["bob", "alice"]'
kill -KILL "$gate_pid"
check "a gate that dies takes its sessions along" wait_for 20 sees '. == []'
check "another opens" open_gate gate2
check "alice comes again" wait_for 20 enters 5 alice
check "and is seen" wait_for 20 sees 'map(.account) == ["alice"]'
kill -USR2 "$gate_pid"
handed() { grep -q '"handed_over"' gate2.log; }
check "the gate is upgraded" wait_for 20 handed
check "bob enters at the new one" wait_for 20 enters 6 bob
check "both are seen" wait_for 20 sees 'map(.account) == ["bob", "alice"]'

# ---- many --------------------------------------------------------------------------------------

# A gate with ten thousand sessions connects to the uplink (src/feed/uplink.h), and goes when its input ends.
many() {
    python3 -c '
import json, socket, struct, sys
gate = socket.socket(socket.AF_UNIX)
gate.connect("state/uplink.sock")
for number in range(10000):
    body = json.dumps({"id": f"{number:024x}", "account": "dave", "serialNumber": str(number), "keyFingerprint": "SHA256:" + "x" * 43,
        "source": "192.0.2.7", "sinceTime": "2026-04-01T14:15:20Z", "destinations": ["daint-ln1:22"], "bytesIn": number, "bytesOut": 7}).encode()
    gate.sendall(struct.pack(">IIB", 5 + len(body), 0, 4) + body)
print("told", flush=True)
sys.stdin.read()'
}
cpu() { awk '{print ($14 + $15) * 10}' "/proc/$1/stat"; } # milliseconds
mkfifo stay
before_sync=$(cpu "$sync_pid") before_authority=$(cpu "$authority_pid") began=$(milliseconds)
many <stay >many.log 2>&1 &
exec 7>stay
last_of_many() ( sees 'map(.account) == ["dave"]' "?account=dave&limit=1&before=$(printf '%024x' 1)@ela" && sees 'length == 1000' '?account=dave' )
sessions_of_ela() ( "$postern" --json admin host list | jq -e '.hosts[] | select(.name == "ela") | .sessions >= 10002' )
check "ten thousand are told" wait_for 60 sessions_of_ela
took=$(($(milliseconds) - began)) for_sync=$(($(cpu "$sync_pid") - before_sync)) for_authority=$(($(cpu "$authority_pid") - before_authority))
check "within half a minute ($took ms; CPU: postern-host $for_sync ms, posternd $for_authority ms)" test "$took" -lt 30000
check "and are paged" last_of_many
exec 7>&-
check "with their gate they go" wait_for 30 sees 'map(.account) == ["bob", "alice"]'

# ---- counts ------------------------------------------------------------------------------------

counted() ( "$postern" --json admin statistics --step 5min --since 30min | jq -e '(.counts.gateLogins | add) >= 6 and (.counts.signings | add) == 1' )
check "logins at the gate are counted" wait_for 20 counted
check "and shown" "$postern" admin statistics --since 1h --step 5min
says "in a line for each kind" 'Logins at gates +[0-9]+ +[0-9]+ +[.1-8]+'
done_testing
