#!/usr/bin/env bash
# A new account registers its first key at the gate, by a password and with the real ssh-copy-id; nobody gets any further by it.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/authority_world.sh
. "$(dirname "$0")/authority_world.sh"
# Functions that check() and wait_for() call look unreachable.
# shellcheck disable=SC2317
cd "$work" || exit 1
mkdir -p bin keys ssh home/.ssh
chmod 700 home/.ssh
install -m 755 "$postern_host" "$BUILD/src/host/postern-host-sync" "$postern_gate" bin/
gate_port=$(free_port)

policy() { # LINES… of policy, beside the usual ones; the authority reads them by SIGHUP
    cp posternd.yaml.made "$authority/posternd.yaml"
    printf '  %s\n' "$@" >>"$authority/posternd.yaml"
    reloads=$(grep -c reloaded posternd.log)
    kill -HUP "$authority_pid"
    wait_for 10 sh -c "[ \$(grep -c reloaded posternd.log) -gt $reloads ]"
}

# ---- an authority, a gate ----------------------------------------------------------------------

start_authority
cp "$authority/posternd.yaml" posternd.yaml.made
alice_signs_in
alice_secret=$secret
gets "a cluster" 201 - POST /api/v1/clusters "$admin" '{"name":"daint","address":"daint.example","port":22}'
gets "a project" 201 - POST /api/v1/projects "$admin" '{"name":"p1"}'
gets "the project reaches the cluster" 200 - PUT /api/v1/projects/p1/clusters/daint "$admin"
gets "a jump host" 201 - POST /api/v1/hosts "$admin" "{\"name\":\"ela\",\"role\":\"jump\",\"address\":\"127.0.0.1\",\"port\":$gate_port}"
enrolment=$(field .enrolmentToken)
ssh-keygen -q -t ed25519 -N '' -C '' -f ssh/ela_key
printf '%s\n' "state: $work/state" "host_keys: [$work/ssh/ela_key.pub]" >host.yaml
ca=$(openssl x509 -in "$authority/tls/ca.pem" -outform DER | sha256sum | cut -d' ' -f1)
check "it enrols" bin/postern-host enrol --url "$url" --config host.yaml --token "$enrolment" --fingerprint "$ca"
follow() { start "$1" bin/postern-host sync --config host.yaml; sync_pid=$last_pid; wait_for 10 test -S state/uplink.sock; }
check "sync serves the gate" follow sync
if [ "$(id -u)" = 0 ]; then
    check "its uplink is for root alone" sh -c "[ \$(stat -c %a:%u state/uplink.sock) = 600:0 ]"
fi

gate_settings() {
    printf '%s\n' "listen: ['127.0.0.1:$gate_port']" "host_keys: [$work/ssh/ela_key]" "state: $work/state" "user: nobody" \
        "workers: 2" "$@" >gate.yaml
}
answers() { bash -c "exec 3<>/dev/tcp/127.0.0.1/$gate_port && read -r -t 5 line <&3 && [[ \$line == SSH-2.0-* ]]"; }
gate_reloads() {
    local before
    before=$(grep -c '"reloaded"' gate.log)
    kill -HUP "$gate_pid"
    wait_for 10 sh -c "[ \$(grep -c '\"reloaded\"' gate.log) -gt $before ]"
}
gate_settings
start gate bin/postern-gate serve -c gate.yaml
gate_pid=$last_pid
check "the gate answers" wait_for 10 answers

echo "[127.0.0.1]:$gate_port $(cut -d' ' -f1,2 ssh/ela_key.pub)" >known_hosts
cat >ssh_config <<CONFIG
Host ela
    HostName 127.0.0.1
    Port $gate_port
    StrictHostKeyChecking yes
    UserKnownHostsFile $work/known_hosts
    GlobalKnownHostsFile /dev/null
    IdentityAgent none
    NumberOfPasswordPrompts 1
    ConnectTimeout 20
CONFIG
key() { ssh-keygen -q -t "${2:-ed25519}" ${3:+-b "$3"} -N '' -C "$1" -f "keys/$1"; }
copy_id() { # USER PASSWORD KEY [OPTIONS…]
    local user=$1 password=$2 key=$3
    shift 3
    HOME=$work/home sshpass -p "$password" ssh-copy-id -F ssh_config -i "keys/$key.pub" "$@" "$user@ela"
}
by_key() { # USER KEY [COMMAND…]
    local user=$1 key=$2
    shift 2
    ssh -F ssh_config -o BatchMode=yes -o IdentitiesOnly=yes -i "keys/$key" "$user@ela" "$@"
}
by_password() { # USER PASSWORD [OPTIONS… COMMAND…]
    local user=$1 password=$2
    shift 2
    sshpass -p "$password" ssh -F ssh_config -o PubkeyAuthentication=no "$user@ela" "$@"
}
# A new account that is a member of the project; sets $password.
account() { # NAME
    gets "an account $1, with a window" 201 - POST /api/v1/accounts "$admin" "{\"name\":\"$1\",\"passwordWindow\":true}"
    password=$(field .windowPassword)
    invitations[$1]=$(field .invitation)
    passwords+=("$password")
    gets "$1 is a member" 200 - PUT "/api/v1/projects/p1/members/$1" "$admin" '{"role":"member"}'
}
declare -A invitations
passwords=(wrong-horse-battery)

# ---- off, in every way -------------------------------------------------------------------------

gets "without a window of the site's no account gets one" 422 window_refused POST /api/v1/accounts "$admin" \
    '{"name":"bob","passwordWindow":true}'
check "the site sets one" policy "enrolment_window: 2d"
account bob
bob=$password
key bob
refused "a gate that is not told to takes no password" any 'Permission denied \(publickey\)' by_password bob "$bob" -T
gate_settings "enrolment: true" "limits: {login_failures: 1000}"
check "now it is" gate_reloads
gets "the password does not sign in" 401 invalid_credentials POST /api/v1/auth/login '' \
    "{\"username\":\"bob\",\"password\":\"$bob\",\"totp\":\"123456\"}"

# ---- how do I get in? ---------------------------------------------------------------------------

took() { # COMMAND…: milliseconds in $ms
    local began
    began=$(date +%s%N)
    "$@" >"$work/last" 2>&1
    ms=$((($(date +%s%N) - began) / 1000000))
}
refused "a wrong password" any 'Permission denied \(publickey,password\)' by_password bob wrong-horse-battery -T
says "with one line that says nothing of the account" 'posterngate: the user name or the password is wrong, or it may not register'
took by_password bob wrong-horse-battery -T
bob_ms=$ms
grep posterngate: last >said-bob
took by_password nobodyatall wrong-horse-battery -T
grep posterngate: last >said-nobody
check "a name that nobody has: the same words" cmp said-bob said-nobody
check "after the same time, of a second at least ($bob_ms and $ms ms)" \
    sh -c "[ $bob_ms -ge 1000 ] && [ $ms -ge 1000 ] && [ $((bob_ms - ms)) -lt 1200 ] && [ $((ms - bob_ms)) -lt 1200 ]"
refused "the administrator's own password" any 'Permission denied' by_password alice correct-horse-battery -T
refused "an empty one" any 'Permission denied' by_password bob '' -T

refused "the right one gives no shell, and says what it is for" 1 'your password registers a key here and does nothing else' \
    by_password bob "$bob" -T
refused "it leads nowhere" any 'a password only registers a key here' by_password bob "$bob" -W daint.example:22
refused "it runs nothing" any 'exec request failed' by_password bob "$bob" id
refused "nor does sftp work" any 'subsystem request failed' by_password bob "$bob" -s sftp
refused "nor reading the keys that are there" any 'exec request failed' by_password bob "$bob" 'cat .ssh/authorized_keys'
refused "no port is forwarded to the client" any 'remote port forwarding failed' \
    by_password bob "$bob" -N -o ExitOnForwardFailure=yes -R 2000:localhost:22
refused "what is no key is none" 1 'posterngate: not registered:' \
    sh -c "echo hello world | sshpass -p '$bob' ssh -F ssh_config -o PubkeyAuthentication=no bob@ela 'cat >> .ssh/authorized_keys'"
refused "nothing is nothing" 1 'posterngate: no public key came' \
    by_password bob "$bob" -n 'cat >> .ssh/authorized_keys'
refused "a private key is told to be burnt" 1 'PRIVATE|private' \
    sh -c "sshpass -p '$bob' ssh -F ssh_config -o PubkeyAuthentication=no bob@ela 'cat >> .ssh/authorized_keys' <keys/bob"
bytes=$(limit ENROLMENT_INPUT_BYTES)
for _ in 1 2 3 4; do letters $((bytes / 4 - 1)) && echo; done >much
refused "as much as is read is read, and is no key" 1 'not registered' \
    sh -c "sshpass -p '$bob' ssh -F ssh_config -o PubkeyAuthentication=no bob@ela 'cat >> .ssh/authorized_keys' <much"
echo >>much
refused "more is too much" 1 'more than public keys take' \
    sh -c "sshpass -p '$bob' ssh -F ssh_config -o PubkeyAuthentication=no bob@ela 'cat >> .ssh/authorized_keys' <much"
key weak rsa 2048
refused "a weak key is refused, with the reason" any 'not registered: .*3072' copy_id bob "$bob" weak

if python3 -c 'import paramiko' 2>/dev/null; then
    cat >guest.py <<'PYTHON'
import sys
import paramiko
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect("127.0.0.1", int(sys.argv[1]), "bob", sys.argv[2], allow_agent=False, look_for_keys=False, timeout=20)
transport = client.get_transport()
assert transport.is_authenticated()
for what in (lambda: client.exec_command("id"), lambda: client.open_sftp(),
             lambda: transport.open_channel("direct-tcpip", ("daint.example", 22), ("127.0.0.1", 1)),
             lambda: transport.request_port_forward("", 2000)):
    try:
        what()
        sys.exit("it did something")
    except (paramiko.SSHException, EOFError) as refusal:
        print("refused:", refusal)
PYTHON
    check "paramiko gets in, and may do nothing" python3 guest.py "$gate_port" "$bob"
fi

# ---- ssh-copy-id -------------------------------------------------------------------------------

check "ssh-copy-id registers the key" copy_id bob "$bob" bob
says "and the gate says as what" 'posterngate: registered SHA256:[A-Za-z0-9+/]+ as bob'
says "so that it is content" 'Number of key\(s\) added: 1'
check "the key lets in, at once" wait_for 5 by_key bob bob -T
by_key bob bob -T >last 2>&1
says "as bob's" 'You are bob'
key bob2
refused "the window is closed: the password is good for nothing any more" any 'Permission denied' copy_id bob "$bob" bob2
check "ssh-copy-id sees that the key is there" sh -c "HOME=$work/home ssh-copy-id -F ssh_config -i keys/bob.pub bob@ela 2>&1 |
    grep 'already exist on the remote system'"

# What ssh-copy-id of OpenSSH 10 sends, of which the gate runs as little.
newer='exec sh -c "cd; umask 077; AUTH_KEY_FILE=.ssh/authorized_keys; mkdir -p .ssh && cat >> ${AUTH_KEY_FILE} || exit 1"'
refused "a newer ssh-copy-id is understood" 1 'this site registers further keys by' \
    sh -c 'ssh -F ssh_config -o BatchMode=yes -o IdentitiesOnly=yes -i keys/bob bob@ela "$1" <keys/bob2.pub' sh "$newer"

account carol
carol=$password
key carol1
key carol2
eval "$(ssh-agent -s)" >/dev/null
started+=("$SSH_AGENT_PID")
ssh-add -q keys/carol1 keys/carol2
sed 's/IdentityAgent none/#/' ssh_config >agent_config
two() { HOME=$work/home sshpass -p "$carol" ssh-copy-id -f -F agent_config carol@ela; }
check "two keys of an agent at once" two
says "are both registered" 'Number of key\(s\) added: 2'
unset SSH_AUTH_SOCK
check "the first lets in" wait_for 5 by_key carol carol1 -T
check "and the second" wait_for 5 by_key carol carol2 -T

# ---- further keys ------------------------------------------------------------------------------

further() { HOME=$work/home ssh-copy-id -f -F ssh_config -i keys/bob2.pub -o "IdentityFile=$work/keys/bob" bob@ela; }
refused "who got in by a key registers no other here" any 'posterngate: this site registers further keys by: postern key add' further
check "unless the site allows it" policy "enrolment_window: 2d" "further_keys: true"
key alice
key alice2
gets "alice is a member" 200 - PUT /api/v1/projects/p1/members/alice "$admin" '{"role":"member"}'
certified() { # MEMBERS: alice's certificate, beside her key
    gets "a certificate for alice" 200 - POST /api/v1/ssh-keys/sign "$admin" "{\"publicKey\":\"$(cat keys/alice.pub)\"$1}"
    field .sshKey.publicKey >keys/alice-cert.pub
}
adds_for_alice() {
    ssh -F ssh_config -o BatchMode=yes -o IdentitiesOnly=yes -i keys/alice alice@ela 'cat >> .ssh/authorized_keys' <keys/alice2.pub
}
certified ',"ipSubnets":["127.0.0.0/8"]'
refused "a certificate that is restricted begets no key that is not" 1 'posterngate: your certificate is restricted' adds_for_alice
certified ''
check "another does" adds_for_alice
says "and the gate says as what" 'posterngate: registered SHA256:.* as alice2'
check "then ssh-copy-id adds one" further
says "and says so" 'posterngate: registered SHA256:.* as bob2'
check "which lets in" wait_for 5 by_key bob bob2 -T
refused "one that is registered is not registered again" any 'registered for bob already' further
refused "nor is somebody else's" any 'registered already and cannot be again' \
    sh -c "ssh -F ssh_config -o BatchMode=yes -o IdentitiesOnly=yes -i keys/bob bob@ela 'cat >> .ssh/authorized_keys' <keys/carol1.pub"

# ---- the window's end --------------------------------------------------------------------------

account dave
dave=$password
key dave
gets "an administrator closes it" 200 - DELETE /api/v1/accounts/dave/window "$admin"
refused "then the password is good for nothing" any 'Permission denied' copy_id dave "$dave" dave
gets "and opens it again, with another password" 200 - POST /api/v1/accounts/dave/window "$admin"
dave=$(field .windowPassword)
passwords+=("$dave")
enrol "${invitations[dave]}" another-horse-battery
report $? "dave accepts his invitation, with a second factor"
refused "which closes the window" any 'Permission denied' copy_id dave "$dave" dave
refused "and his own password opens nothing at the gate" any 'Permission denied' copy_id dave another-horse-battery dave
gets "there is no window for who has a second factor" 409 enrolled POST /api/v1/accounts/dave/window "$admin"

check "a site may make it short" policy "enrolment_window: 2s"
account erin
erin=$password
key erin
wait_for 10 sh -c "[ \$(date +%s) -gt $(($(date +%s) + 2)) ]"
refused "after its time the password is good for nothing" any 'Permission denied' copy_id erin "$erin" erin

# ---- guessing ----------------------------------------------------------------------------------

policy "enrolment_window: 2d"
account frank
frank=$password
key frank
for guess in 1 2 3 4 5; do by_password frank "guess-number-$guess" -T >>guesses 2>&1; done
refused "after five wrong ones the right one is held back" any 'Permission denied' copy_id frank "$frank" frank
gets "a guesser at the gate locks nobody out of signing in" 200 - POST /api/v1/auth/login '' \
    "{\"username\":\"alice\",\"password\":\"correct-horse-battery\",\"totp\":\"$(code "$alice_secret")\"}"

# ---- the authority is away ---------------------------------------------------------------------

kill -STOP "$authority_pid"
took by_password frank "$frank" -T
kill -CONT "$authority_pid"
says "an authority that hangs: the gate says so" 'the authority cannot be asked at the moment; try again later'
kill -STOP "$authority_pid"
by_password frank "$frank" -T >waiting 2>&1 &
waiting=$!
wait_for 10 sh -c "ss -xtn state established 2>/dev/null | grep -q ':$gate_port'"
kill -KILL "$sync_pid"
wait "$waiting"
check "a postern-host that dies while it is asked: the same" grep -q 'the authority cannot be asked at the moment' waiting
kill -CONT "$authority_pid"
check "another takes its place" follow sync2
check "the authority ends" sh -c "kill $authority_pid; while kill -0 $authority_pid 2>/dev/null; do :; done"
took by_password frank "$frank" -T
says "one that is away: the gate says so" 'the authority cannot be asked at the moment; try again later'
check "at once ($ms ms)" test "$ms" -lt 5000
check "who has a key gets in all the while" by_key bob bob -T
serve
check "it is back, and has missed no event" wait_for 20 sh -c \
    "curl -sS --cacert $authority/tls/ca.pem -H 'Authorization: Bearer $admin' '$url/api/v1/audit?action=gate.login&limit=1' |
    jq -e '.audit[0].actor == \"bob\" and .audit[0].allowed'"

# ---- on record ---------------------------------------------------------------------------------

audited "a login that was refused is on record, from where and why" \
    '.actor == "bob" and .code == "password" and .allowed == false and .source == "127.0.0.1" and .target == "ela"' '&action=gate.login'
audited "one that was allowed, and by what" \
    '.actor == "bob" and .allowed and (.detail | test("^key SHA256:"))' '&action=gate.login'
audited "a channel that was refused" \
    '.actor == "bob" and .code == "window" and .detail == "daint.example:22"' '&action=gate.channel'
audited "the keys that came" \
    '.actor == "bob" and .allowed and (.detail | test("^1 of 1 keys, by the initial password"))' '&action=enrolment.keys'
opened() { grep -c '"session_opened".*"account":"carol"' gate.log; }
before=$(opened)
more_opened() { [ "$(opened)" -gt "$before" ]; }
start live ssh -F ssh_config -N -o BatchMode=yes -o IdentitiesOnly=yes -i keys/carol1 carol@ela
wait_for 20 more_opened
gets "carol is disabled" 200 - PUT /api/v1/accounts/carol "$admin" '{"disabled":true}'
cut_told() {
    local status
    api GET "/api/v1/audit?action=gate.session&actor=carol" "$admin"
    jq -e '.audit[0].code == "cut"' last
}
check "and her session, which was cut, is on record" wait_for 10 cut_told
for secret in "${passwords[@]}"; do
    refused "no password stands in a log" any '' grep -F -- "$secret" gate.log sync.log sync2.log posternd.log
done
api GET "/api/v1/audit?limit=1000" "$admin"
for secret in "${passwords[@]}"; do
    refused "nor in the audit log" any '' grep -F -- "$secret" last
done
done_testing
