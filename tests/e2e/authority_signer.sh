#!/usr/bin/env bash
# An authority whose CA keys are in an ssh-agent signs with them, says so when the agent is gone, and goes on when it is back;
# keys of security keys get certificates too.
# Functions that check() and wait_for() call look unreachable.
# shellcheck disable=SC2317
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
port=$(free_port)
url=https://127.0.0.1:$port
sign=/api/v1/ssh-keys/sign
curl=(curl -sS --cacert authority/tls/ca.pem --max-time 60)

api() { # PATH [JSON]; sets $status; the body is in last, the head in head
    status=$("${curl[@]}" -D head -o last -w '%{http_code}' ${token:+-H "Authorization: Bearer $token"} \
        ${2:+-H 'Content-Type: application/json' --data-binary "$2"} "$url$1") || status=none
}
gets() { # DESCRIPTION STATUS CODE PATH [JSON]
    local description=$1 expected=$2 code=$3
    shift 3
    api "$@"
    [ "$status" = "$expected" ] && { [ "$code" = - ] || [ "$(jq -r .code last)" = "$code" ]; }
    report $? "$description"
}
request() { jq -nc --arg key "$(cat "$1")" '{publicKey: $key}'; } # FILE
ready() { "${curl[@]}" -f "$url/readyz"; }
metric() { "${curl[@]}" "$url/metrics" | grep -qx "$1"; } # LINE
signs() (api "$sign" "$(request key.pub)" && [ "$status" = 200 ]) # a subshell: check() has a status of its own

agent_socket=$work/agent.socket
start_agent() {
    rm -f "$agent_socket"
    start agent ssh-agent -D -a "$agent_socket"
    agent_pid=$last_pid
    wait_for 10 test -S "$agent_socket"
}
add() { SSH_AUTH_SOCK=$agent_socket ssh-add -q "$@" 2>>add.log; } # KEY…
end_agent() {
    kill -KILL "$agent_pid"
    wait "$agent_pid" 2>>add.log
}

"$posternd" init authority --site agents --url "$url" --listen "127.0.0.1:$port" --admin root1 >init.log
token=$("$BUILD/bench/sign_bench" prepare authority/store/posternd.db 1)
ssh-keygen -q -t ed25519 -N '' -C 'a comment' -f key
ssh-keygen -q -t rsa -b 3072 -N '' -C 'user CA in RSA' -f rsa_ca
ssh-keygen -q -t ed25519 -N '' -C 'mine, no CA' -f other
mv authority/ca ca

# ---- the start -------------------------------------------------------------------------------

serve=("$posternd" serve -c authority/posternd.yaml)
sed -i "s|^signer:|&\n  agent: $agent_socket|; s/quota_per_day: 5/quota_per_day: 1000/" authority/posternd.yaml
refused "a folder and an agent are one too many" 2 'signer: has both directory and agent' \
    "$posternd" check -c authority/posternd.yaml
sed -i '/^  directory: ca/d' authority/posternd.yaml
refused "no agent, no start" 2 'agent.socket: is not a socket; start the agent first' "${serve[@]}"
start_agent
refused "nor without keys in it" 1 'has no CA key for users' "${serve[@]}"
add other
refused "keys that are called otherwise are no CA keys" 1 'its comment must start with .*user' "${serve[@]}"
add ca/user_1.key
refused "both kinds are needed" 1 'has no CA key for hosts' "${serve[@]}"
add ca/host_1.key
start posternd "${serve[@]}"
pid=$last_pid
check "with both it starts" wait_for 20 ready
[ -z "$(cat "/proc/$pid/task/$pid/children")" ]
report $? "and has no signer of its own"

# ---- signing ---------------------------------------------------------------------------------

gets "it signs" 200 - $sign "$(request key.pub)"
jq -r .sshKey.publicKey last >key-cert.pub
check "ssh-keygen reads the certificate" ssh-keygen -L -f key-cert.pub
mine=$(ssh-keygen -lf ca/user_1.key | cut -d' ' -f2)
grep -qF "Signing CA: ED25519 $mine (using ssh-ed25519)" last
report $? "the agent's first key for users has signed it"
gets "the keys of both CAs are told" 200 - /.well-known/posterngate
[ "$(jq -r '.userCaKeys | length' last)" = 1 ] && [ "$(jq -r '.hostCaKeys | length' last)" = 1 ]
report $? "and nothing else that the agent has"

# ---- security keys ---------------------------------------------------------------------------

# Their public halves need no hardware: the key, and the application it is for.
ssh-keygen -q -t ecdsa -b 256 -N '' -f point
python3 - <<'PY'
import base64, struct

def put(*parts):
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)

def last_string(path):
    data, part = base64.b64decode(open(path, encoding="ascii").read().split()[1]), b""
    while data:
        size = struct.unpack(">I", data[:4])[0]
        part, data = data[4:4 + size], data[4 + size:]
    return part

def write(path, name, *parts):
    text = base64.b64encode(put(name.encode(), *parts)).decode()
    open(path, "w", encoding="ascii").write(f"{name} {text} a security key\n")

write("sk_ed25519.pub", "sk-ssh-ed25519@openssh.com", last_string("other.pub"), b"ssh:")
write("sk_ecdsa.pub", "sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", last_string("point.pub"), b"ssh:work")
PY
for name in sk_ed25519:sk-ssh-ed25519-cert-v01@openssh.com sk_ecdsa:sk-ecdsa-sha2-nistp256-cert-v01@openssh.com; do
    file=${name%%:*}
    check "ssh-keygen knows $file.pub" ssh-keygen -lf "$file.pub"
    fingerprint=$(cut -d' ' -f2 last)
    gets "$file is signed" 200 - $sign "$(request "$file.pub")"
    jq -r .sshKey.publicKey last >"$file-cert.pub"
    check "ssh-keygen reads its certificate" ssh-keygen -L -f "$file-cert.pub"
    says "of that type" "Type: ${name#*:} user certificate"
    grep -qF "$fingerprint" last
    report $? "for that key"
done
sed 's/AAAA/AAAB/' sk_ed25519.pub >sk_bad.pub
gets "a damaged one is refused" 422 - $sign "$(request sk_bad.pub)"
jq -e '.field == "publicKey"' last >/dev/null
report $? "by its field"

# ---- the agent goes away ---------------------------------------------------------------------

kill -STOP "$agent_pid"
"${curl[@]}" -o waiting.json -w '%{http_code}' -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
    --data-binary "$(request key.pub)" "$url$sign" >waiting.status &
waiting=$!
check "a request waits for an agent that is slow" wait_for 10 metric 'posternd_signer_pending 1'
end_agent
wait "$waiting"
[ "$(cat waiting.status)" = 503 ] && [ "$(jq -r .code waiting.json)" = signer_unavailable ]
report $? "when the agent dies it is told"
gets "so is who asks now" 503 signer_unavailable $sign "$(request key.pub)"
grep -qiE '^retry-after: [0-9]+' head && ! grep -q cert-v01 last
report $? "when to ask again, and no certificate"
gets "the authority is not ready" 503 signer_unavailable /readyz
gets "but alive" 200 - /healthz
gets "and can be read" 200 - /api/v1/ssh-keys
grep -q '"event":"signer_lost"' posternd.log
report $? "the loss is logged"

start_agent
check "an agent without the keys is one" wait_for 20 metric 'posternd_signer_up 1'
gets "that signs nothing" 503 signer_unavailable $sign "$(request key.pub)"
metric 'posternd_signer_refusals_total [1-9][0-9]*'
report $? "which is counted"
add ca/user_1.key ca/host_1.key
gets "with its keys back it signs, without a restart" 200 - $sign "$(request key.pub)"
gets "and is ready" 200 - /readyz

end_agent
start_agent
add ca/user_1.key ca/host_1.key
check "after another loss as well" wait_for 20 signs

kill -STOP "$agent_pid" # and left so
begin=$SECONDS
gets "who asks an agent that hangs is told in the end" 503 signer_unavailable $sign "$(request key.pub)"
[ $((SECONDS - begin)) -ge 9 ] && [ $((SECONDS - begin)) -le 20 ]
report $? "after ten seconds"
grep -q '"event":"signer_lost","error":"timeout"' posternd.log
report $? "the log says why"
kill -CONT "$agent_pid"
check "when it goes on, so does the signing" wait_for 20 signs
kill -TERM "$pid"
wait "$pid"
report $? "it ends when asked"
kill -0 "$agent_pid"
report $? "and leaves the agent alone"

# ---- a CA of another type --------------------------------------------------------------------

end_agent
start_agent
add rsa_ca ca/user_1.key ca/host_1.key
start posternd2 "${serve[@]}"
check "an RSA CA in the agent" wait_for 20 ready
gets "signs" 200 - $sign "$(request key.pub)"
jq -r .sshKey.publicKey last >key-cert.pub
check "what ssh-keygen reads" ssh-keygen -L -f key-cert.pub
says "with SHA-512" 'Signing CA: RSA SHA256:.* \(using rsa-sha2-512\)'

done_testing
