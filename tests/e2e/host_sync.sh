#!/usr/bin/env bash
# A host enrols with a real authority, follows it, outlives its absence, and learns what happened meanwhile.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# Functions that check() and wait_for() call look unreachable.
# shellcheck disable=SC2317
cd "$work" || exit 1
port=$(free_port)
url=https://127.0.0.1:$port

invitation=$("$posternd" init authority --admin admin --site test --listen "127.0.0.1:$port" --url "$url" | grep -oE 'pgi_[A-Za-z0-9_-]+')
serve() { start posternd "$posternd" serve -c authority/posternd.yaml; authority_pid=$last_pid; }
api() { # METHOD PATH [JSON]
    local arguments=(-sS --fail-with-body --cacert authority/tls/ca.pem --retry 50 --retry-connrefused --retry-delay 1 -X "$1")
    [ -z "${token:-}" ] || arguments+=(-H "Authorization: Bearer $token")
    [ -z "${3:-}" ] || arguments+=(-H 'Content-Type: application/json' --data-binary "$3")
    curl "${arguments[@]}" "$url/api/v1$2"
}
serve
secret=$(api POST /auth/invitation "{\"invitation\":\"$invitation\",\"password\":\"correct horse battery\"}" | jq -r .totpSecret)
token=$(api POST /auth/invitation/confirm \
    "{\"invitation\":\"$invitation\",\"totp\":\"$(oathtool --totp -b "$secret")\"}" | jq -r .access_token)
for step in 'POST /clusters {"name":"daint"}' 'POST /projects {"name":"p1"}' 'PUT /projects/p1/clusters/daint' \
    'PUT /projects/p1/members/admin {"role":"member"}'; do
    read -r method path body <<<"$step"
    check "$method $path" api "$method" "$path" "$body"
done
enrolment=$(api POST /hosts '{"name":"daint-ln1","role":"login","cluster":"daint"}' | jq -r .enrolmentToken)

ssh-keygen -q -t ed25519 -N '' -C '' -f host_key
ssh-keygen -q -t ed25519 -N '' -C '' -f admin_key
printf 'state: %s/state\nhost_keys:\n  - %s/host_key.pub\n' "$work" "$work" >host.yaml
printf '%s\n' "$enrolment" >token
ca=$(openssl x509 -in authority/tls/ca.pem -outform DER | sha256sum | cut -d' ' -f1)
enrol() { "$postern_host" enrol --url "$url" --config host.yaml "$@"; }

helps() { # COMMAND: how it is called, on standard output alone
    "$postern_host" "$1" "$2" 2>errors | grep -q "^usage: postern-host $1" && [ ! -s errors ]
}
for command in enrol sync sshd-config status sessions check principals keys greet; do
    check "$command --help says how it is called" helps $command --help
    check "$command -h as well" helps $command -h
done
printf 'host-keys: [%s/host_key.pub]\nmax_age: 5\ncommand_user: nobody-here\n' "$work" >wrong.yaml
refused "check tells every error of the configuration" 2 '^wrong.yaml:1: host-keys: is not known here; did you mean host_keys' \
    "$postern_host" check --config wrong.yaml
says "with its line" '^wrong.yaml:2: max_age:'
says "to the last" '^wrong.yaml:3: command_user:'
refused "and so does another command" 2 '^wrong.yaml:2: max_age' "$postern_host" sync --once --config wrong.yaml
check "a right one is good" "$postern_host" check --config host.yaml
printf 'host_keys: [%s/none.pub]\n' "$work" >wrong.yaml
refused "not with a key that is not there" 2 'wrong.yaml:1: host_keys: .*/none.pub: not found' \
    "$postern_host" check --config wrong.yaml
refused "status before enrolment says what to do" 2 'postern-host enrol' "$postern_host" status --config host.yaml
refused "sync as well" 2 'postern-host enrol' "$postern_host" sync --once --config host.yaml
refused "a wrong fingerprint is refused" 6 "fingerprint $ca; nothing was sent" enrol --token-file token --fingerprint "${ca//[0-9]/0}"
refused "so is an authority whose CA nobody vouched for" 6 '' enrol --token-file token
refused "and a wrong token" 4 '' enrol --token pge_wrong --fingerprint "$ca"
refused "both ways of trust at once are a mistake" 2 usage enrol --token x --fingerprint "$ca" --ca authority/tls/ca.pem
check "the right one enrols, and the token was not spent" enrol --token-file token --fingerprint "SHA256:${ca^^}"
refused "the token is good once" 4 '' enrol --token-file token --fingerprint "$ca"
check "the identity is root's alone" test "$(stat -c %a state/host.json)" = 600
check "there is a host certificate for this host" sh -c "ssh-keygen -L -f host_key-cert.pub | grep -q daint-ln1"
check "an empty KRL that OpenSSH reads" ssh-keygen -Qf state/revoked.krl admin_key.pub
check "the CA of users" ssh-keygen -lf state/user_ca.pub
refused "nobody may log in before the first sync" 8 'never' "$postern_host" status --config host.yaml

principals() { # SERIAL: who may log in as admin with it
    "$postern_host" principals --state "$work/state" admin "$1" admin@test
}
may() { principals "$1" | grep -qx admin; }
may_not() { [ -z "$(principals "$1")" ]; }
certificate() { api POST /ssh-keys/sign "{\"publicKey\":\"$(cat admin_key.pub)\"}" | jq -r .sshKey.serialNumber; }
revoke() { api PUT /ssh-keys/revoke "{\"serialNumber\":\"$1\",\"reason\":\"test\"}"; }

first=$(certificate) second=$(certificate) third=$(certificate)
check "a single sync" "$postern_host" sync --once --config host.yaml
check "admin may log in" may "$first"
check "status is content" "$postern_host" status --config host.yaml
check "also in JSON" sh -c "$postern_host status --json --config host.yaml | jq -e '.stale == false and .krlReadable and .certificatesValid'"

start manager python3 "$here/notified.py" "$work/notify" told
wait_for 10 grep -qx listening manager.log
follow() { start sync env NOTIFY_SOCKET="$work/notify" "$postern_host" sync --config host.yaml; sync_pid=$last_pid; }
follow
check "the manager is told that it follows" wait_for 10 grep -qx READY=1 told
api PUT /ssh-keys/revoke "{\"serialNumber\":\"$first\",\"reason\":\"test\"}" >"$work/last"
check "a revocation reaches the replica" wait_for 10 may_not "$first"
check "and the KRL" sh -c "ssh-keygen -Qlf state/revoked.krl | grep -q 'serial: $first'"
check "other certificates stay good" may "$second"
refused "a second follower keeps out" any 'another postern-host sync' "$postern_host" sync --once --config host.yaml

kill "$authority_pid"
wait "$authority_pid" 2>/dev/null
check "without the authority, logins go on" may "$second"
check "and what was revoked stays revoked" may_not "$first"
check "the follower says so once" wait_for 20 grep -q feed_failed sync.log
serve
check "revoked when the authority is back" revoke "$second"
check "the host learns it by itself" wait_for 60 may_not "$second"
check "and says so" wait_for 10 grep -q authority_back sync.log

# Killed and gone while something happens: the next start catches up.
kill -9 "$sync_pid"
wait "$sync_pid" 2>/dev/null
check "after a kill, logins go on" may "$third"
revoke "$third" >"$work/last"
rm state/revoked.krl host_key-cert.pub
follow
check "the next start catches up" wait_for 20 may_not "$third"
check "brings back the KRL" sh -c "ssh-keygen -Qlf state/revoked.krl | grep -q 'serial: $third'"
check "and asks for the certificate that is missing" wait_for 20 test -s host_key-cert.pub

check "the host is removed" api DELETE /hosts/daint-ln1
check "and told that it is not known any more" wait_for 60 grep -qE 'feed_failed.*answered 401' sync.log
kill "$sync_pid"
wait "$sync_pid" 2>/dev/null
check "a stop by SIGTERM is a stop by SIGTERM" test $? = 143
done_testing
