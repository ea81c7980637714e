#!/usr/bin/env bash
# The gate's policy is live: who loses the right to a session loses the session, is told why, and nobody else loses anything.
# shellcheck source=tests/e2e/gate_world.sh
. "$(dirname "$0")/gate_world.sh"
# Functions that check() and wait_for() call look unreachable.
# shellcheck disable=SC2317
gate_settings "limits: {login_failures: 8, sessions_per_account: 6, channels: 4}" "times: {login: 3s}" "when_expired: cut"
check "the gate starts" gate_start gate

# A session that stays, with a way to daint: session NAME PORT [ssh's options]. Its pid is in $session.
session() {
    local name=$1 port=$2
    shift 2
    start "$name" ssh "$@" -N -o ExitOnForwardFailure=yes -L "127.0.0.1:$port:daint.example:22" ela
    session=$last_pid
    wait_for 10 greets "$port"
}
greets() { timeout 5 bash -c "exec 3<>/dev/tcp/127.0.0.1/$1 && head -c 8 <&3" 2>/dev/null | grep -q SSH-2.0-; }
ended() { ! kill -0 "$1" 2>/dev/null; }
# A session closed by the peer, as seen by a connection through it that nobody closed.
holds() { # PORT NAME: opens a connection that stays; its end is the end of process $held
    start "$2" bash -c "exec 3<>/dev/tcp/127.0.0.1/$1; cat <&3 >/dev/null"
    held=$last_pid
}
make_key alice2
certify alice2 alice
certify alice alice
first=$serial
other=(-F bare_config -o CertificateFile="$work/keys/alice2-cert.pub" -i "$work/keys/alice2")

# --- revocation ---
first_port=$(free_port)
check "a session is open" session first "$first_port" -F ssh_config
first_session=$session
second_port=$(free_port)
check "another of the same account, by another certificate" session second "$second_port" "${other[@]}"
second_session=$session
holds "$first_port" held
feed '. + [["revocation", $serial, {account: "alice", expireTime: "2099-01-01T00:00:00Z", reason: "lost laptop"}]]' \
    --arg serial "$first"
check "the revocation cuts the session" wait_for 3 ended "$first_session"
check "which says why" grep -q 'revoked' first.log
check "what went through it ends too" wait_for 3 ended "$held"
check "the other session goes on" greets "$second_port"
refused "the revoked certificate opens no new one" 255 'Permission denied' ssh -F ssh_config -T ela
says "and its owner is told what to do" 'revoked'
check "the log tells it" grep -qE '"event":"session_closed".*revoked' gate.log
check "the other certificate still does" ssh "${other[@]}" -T ela
feed 'map(select(.[0] != "revocation")) + [["revocation", "1", {account: "alice", expireTime: "2099-01-01T00:00:00Z", reason: ""}]]'

# --- membership ---
holds "$second_port" held
feed 'map(if .[0] == "account" and .[1] == "alice" then .[2].clusters = ["santis"] else . end)'
check "a lost membership ends what leads to that cluster" wait_for 3 ended "$held"
refused "and nothing leads there any more" any 'administratively prohibited' ssh "${other[@]}" -W daint.example:22 ela
check "the new cluster is open at once" sh -c "ssh ${other[*]} -W santis.example:22 ela </dev/null | head -c 8 | grep -q SSH-2.0-"
feed 'map(if .[0] == "account" and .[1] == "alice" then .[2].clusters = ["daint"] else . end)'
check "given back, it leads there again" wait_for 5 greets "$second_port"

holds "$second_port" held
feed 'map(if .[1] == "daint-ln001" or .[1] == "daint" then .[2].address = "10.99.0.12" else . end)'
check "a host that moved takes its channels along" wait_for 3 ended "$held"
feed 'map(if .[1] == "daint-ln001" or .[1] == "daint" then .[2].address = "daint.example" else . end)'

# --- the account ---
feed 'map(if .[0] == "account" and .[1] == "alice" then .[2].enabled = false else . end)'
check "a disabled account loses its sessions" wait_for 3 ended "$second_session"
check "and hears why" grep -qi 'disabled' second.log
refused "and gets none" 255 'Permission denied' ssh "${other[@]}" -T ela
feed 'map(if .[0] == "account" and .[1] == "alice" then .[2].enabled = true else . end)'
check "until it is enabled again" wait_for 5 ssh "${other[@]}" -T ela

# --- the CA ---
third_port=$(free_port)
check "a session" session third "$third_port" "${other[@]}"
feed 'map(if .[0] == "ca" and .[2].type == "user" then .[1] = $id | .[2].publicKey = $line else . end)' \
    --arg id "$(ca_key other_ca)" --arg line "$(ca_line other_ca)"
check "a CA that is trusted no more takes its sessions along" wait_for 3 ended "$session"
refused "and its certificates" 255 'Permission denied' ssh "${other[@]}" -T ela
feed 'map(if .[0] == "ca" and .[2].type == "user" then .[1] = $id | .[2].publicKey = $line else . end)' \
    --arg id "$(ca_key user_ca)" --arg line "$(ca_line user_ca)"
check "the old one is back" wait_for 5 ssh "${other[@]}" -T ela

# --- time ---
make_key short
certify short alice -V -5m:+6s
short_port=$(free_port)
check "a session by a certificate of six seconds" session short "$short_port" -F bare_config -o CertificateFile=keys/short-cert.pub -i keys/short
check "is cut when it has expired" wait_for 12 ended "$session"
check "and says so" grep -qi 'expired' short.log
refused "it opens none then" 255 'Permission denied' ssh -F bare_config -o CertificateFile=keys/short-cert.pub -i keys/short -T ela
says "and the next command is told" 'expired.*postern sign|postern sign'

# --- restrictions of certificates ---
with() { ssh -F bare_config -o CertificateFile="keys/$1-cert.pub" -i "keys/$1" "${@:2}"; }
for key in far near future critical comma empty nofwd foreign; do make_key $key; done
certify far alice -O source-address=192.0.2.0/24
refused "a certificate for other addresses" 255 'Permission denied' with far -T ela
certify near alice -O source-address=10.99.0.0/24
check "one for this address" with near -T ela
certify future alice -V +1h:+2h
refused "one that begins later" 255 'Permission denied' with future -T ela
certify critical alice -O critical:frobnicate@example.org=1
refused "one with an unknown critical option" 255 'Permission denied' with critical -T ela
certify comma bob,alicia
refused "one for other principals" 255 'Permission denied' with comma -T ela
ssh-keygen -q -s keys/user_ca -I none -z 999 -V -5m:+1h keys/empty.pub
refused "one without principals" 255 'Permission denied' with empty -T ela
certify nofwd alice -O clear -O permit-pty
refused "one that forbids forwarding leads nowhere" any 'administratively prohibited|stdio forwarding failed' with nofwd -W daint.example:22 ela
ssh-keygen -q -s keys/other_ca -I foreign -n alice -z 1000 -V -5m:+1h keys/foreign.pub
refused "one of another CA" 255 'Permission denied' with foreign -T ela
ssh-keygen -q -s keys/user_ca -h -I host -n alice -z 1001 -V -5m:+1h keys/foreign.pub
refused "a host certificate" 255 'Permission denied' with foreign -T ela

# --- limits ---
check "a connection that says nothing is closed in time" timeout 10 bash -c "exec 3<>/dev/tcp/$gate_ip/22; cat <&3 >/dev/null"
cat >channels.py <<'PY'
import paramiko, sys
def gate():
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.WarningPolicy())
    client.connect("ela.example", 22, "alice", key_filename="keys/alice2", look_for_keys=False, allow_agent=False)
    return client.get_transport()
def channel(transport):
    return transport.open_channel("direct-tcpip", ("daint.example", 22), ("127.0.0.1", 0))
transport = gate()
channels = [channel(transport) for _ in range(4)]
try:
    channel(transport)
    sys.exit("the fifth channel was opened")
except paramiko.ChannelException as refusal:
    assert refusal.code == 4, refusal
channels.pop().close()
channels.append(channel(transport))
others = [gate() for _ in range(5)]
try:
    gate()
    sys.exit("the seventh session was opened")
except (paramiko.SSHException, EOFError):
    pass
others.pop().close()
for _ in range(100):
    try:
        gate()
        break
    except (paramiko.SSHException, EOFError):
        pass
else:
    sys.exit("a session that ended still counts")
assert channels[0].recv(8) == b"SSH-2.0-"
PY
check "a session gets as many channels as it may, an account as many sessions, and no more" /usr/bin/python3 -W ignore channels.py
check "the failures were counted" sh -c "[ $(counter login_failures_total) -ge 10 ]"
check "the cut sessions too" sh -c "[ $(counter sessions_cut_total) -ge 4 ]"
check "metrics are as Prometheus wants them" sh -c "curl -s http://127.0.0.1:9422/metrics | $TOOLS/promtool check metrics"

# --- rates ---
gate_stop
feed 'map(if .[0] == "account" and .[1] == "bob" then .[2].clusters = ["daint"] else . end)'
# The sixth refusal ends the connection: LIMIT_AUTH_TRIES_COUNT.
make_key known
feed '. + [["key", "9", {account: "alice", publicKey: $key}]]' --arg key "$(ca_line known)"
gate_settings "limits: {login_failures: 1000}"
check "a gate that minds no failures" gate_start tries
strangers=()
for ((i = 1; i < $(limit AUTH_TRIES_COUNT); i++)); do
    make_key "stranger$i"
    strangers+=(-i "keys/stranger$i")
done
check "after five keys of nobody the sixth is heard" ssh -F bare_config "${strangers[@]}" -i keys/known -T ela
make_key stranger
refused "after six the seventh is not" 255 'Too many authentication failures|Permission denied|disconnect' \
    ssh -F bare_config "${strangers[@]}" -i keys/stranger -i keys/known -T ela
gate_stop
gate_settings "limits: {logins_per_minute: 6, connections_per_minute: 120, channels_per_minute: 6, login_failures: 2}"
check "a gate that allows little in a minute" gate_start rates
rated_port=$(free_port)
check "a session asks for a channel" session rated "$rated_port" "${other[@]}"
for _ in 2 3 4 5 6; do check "and for another" greets "$rated_port"; done
refused "not for a seventh in a minute" any '' greets "$rated_port"
check "and hears why" grep -q 'resource shortage: posterngate: this session has asked for 6 channels in the last minute' rated.log
check "the log tells which limit it was" grep -q '"event":"channel_refused".*"why":"channels_per_minute_max"' rates.log
check "there is room again before the minute is over" wait_for 30 greets "$rated_port"
kill "$session"
# The agent's other keys are refused before the right one is turned away: that makes no failures of the address.
two_keys=(-F bare_config -i keys/far -i keys/alice2)
for _ in 1 2 3 4 5 6; do check "an account logs in" ssh "${two_keys[@]}" -T ela; done
for _ in 7 8 9 10 11; do
    refused "not a seventh time in a minute" 255 'alice has logged in 6 times in the last minute.*ControlMaster' \
        ssh "${two_keys[@]}" -T ela
done
check "the log tells that too" grep -q '"event":"login_refused".*"account":"alice".*"why":"logins_per_minute_max"' rates.log
check "another account does" ssh -F bare_config -l bob -i keys/bob -T ela
check "and this one a little later" wait_for 30 ssh "${two_keys[@]}" -T ela
cat >connect.py <<'PY'
import socket, sys
def first_words():
    with socket.create_connection((sys.argv[2], 22), 10, (sys.argv[1], 0)) as connection:
        return connection.recv(100)
for count in range(1000):
    words = first_words()
    if not words.startswith(b"SSH-2.0-"):
        break
assert words == b"posterngate: too many connections from your address in the last minute; wait a little\r\n", words
assert count >= 120, count
while not first_words().startswith(b"SSH-2.0-"):
    pass
PY
check "an address connects as often as it may, and again after a while" timeout 60 python3 connect.py 10.99.0.13 "$gate_ip"
check "the log tells which" grep -q '"event":"connection_refused","from":"10.99.0.13","why":"connections_per_minute_max"' rates.log
check "another address does all the while" gate_answers
check "all is counted" sh -c "[ $(counter channels_refused_total) -ge 1 ] && [ $(counter login_failures_total) -ge 5 ] &&
    [ $(counter connections_refused_total) -ge 1 ]"

# --- an authority that is away ---
gate_stop
gate_settings "max_age: 3s" "when_stale: strict"
check "a strict gate" gate_start strict
check "lets in while the authority is there" ssh "${other[@]}" -T ela
kill -USR1 "$feed_pid"
check "and nobody when it has been away for too long" wait_for 15 sh -c "! ssh ${other[*]} -T ela"
feed
check "until it is back" wait_for 15 ssh "${other[@]}" -T ela
gate_stop
gate_settings "max_age: 3s" "when_stale: best-effort" "when_expired: run"
check "a gate that goes on" gate_start lax
kill -USR1 "$feed_pid"
certify short alice -V -5m:+4s
check "a session by a short certificate" session lax-short "$short_port" -F bare_config -o CertificateFile=keys/short-cert.pub -i keys/short
over=$(date -d "$(ssh-keygen -L -f keys/short-cert.pub | sed -n 's/.*Valid: from .* to //p')" +%s)
has_passed() { [ "$(date +%s)" -gt $((over + 2)) ]; }
check "its end passes" wait_for 15 has_passed
check "runs on when the certificate has expired" greets "$short_port"
check "without the authority" ssh "${other[@]}" -T ela
gate_stop
done_testing
