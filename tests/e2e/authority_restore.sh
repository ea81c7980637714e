#!/usr/bin/env bash
# An authority that is restored from a backup notices, and hosts that were told more than it knows follow it without letting
# in again what was revoked since.
# Functions that check() and wait_for() call look unreachable.
# shellcheck disable=SC2317
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
mkdir -p bin ssh
install -m 755 "$postern_host" "$BUILD/src/host/postern-host-sync" bin/
host=$work/bin/postern-host
port=$(free_port)
url=https://127.0.0.1:$port
store=authority/store/posternd.db

api() { # METHOD PATH [JSON]
    local arguments=(-sS --fail-with-body --cacert authority/tls/ca.pem --retry 50 --retry-connrefused --retry-delay 1 -X "$1")
    [ -z "${token:-}" ] || arguments+=(-H "Authorization: Bearer $token")
    [ -z "${3:-}" ] || arguments+=(-H 'Content-Type: application/json' --data-binary "$3")
    curl "${arguments[@]}" "$url/api/v1$2"
}
ready() { curl -fsS --cacert authority/tls/ca.pem "$url/readyz"; }
serve() { # NAME
    start "$1" "$posternd" serve -c authority/posternd.yaml
    authority_pid=$last_pid
    wait_for 20 ready
}
stop_authority() { kill "$authority_pid" && wait "$authority_pid"; }
skipped() { grep -c feed_revisions_skipped "$1.log"; } # NAME
sign() { api POST /ssh-keys/sign "{\"publicKey\":\"$(cat key.pub)\"}" | jq -r .sshKey.publicKey >"$1-cert.pub"; } # NAME
serial() { ssh-keygen -Lf "$1-cert.pub" | awk '$1 == "Serial:" {print $2}'; }
revoke() { api PUT /ssh-keys/revoke "{\"serialNumber\":\"$(serial "$1")\"}"; }
refuses() { test -s state/revoked.krl && ! ssh-keygen -Qf state/revoked.krl "$1-cert.pub"; } # NAME
knows_cluster() { sqlite state/replica.db "SELECT count(*) FROM cluster WHERE name = '$1'" | grep -qx "${2:-1}"; }
sqlite() { python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for row in db.execute(sys.argv[2]): print(*row)' "$@"; }

invitation=$("$posternd" init authority --site test --listen "127.0.0.1:$port" --url "$url" --admin admin |
    grep -oE 'pgi_[A-Za-z0-9_-]+')
check "an authority starts" serve first
secret=$(api POST /auth/invitation "{\"invitation\":\"$invitation\",\"password\":\"correct horse battery\"}" | jq -r .totpSecret)
token=$(api POST /auth/invitation/confirm \
    "{\"invitation\":\"$invitation\",\"totp\":\"$(oathtool --totp -b "$secret")\"}" | jq -r .access_token)
for key in key ssh/host_key; do ssh-keygen -q -t ed25519 -N '' -C '' -f "$key"; done
api POST /projects '{"name":"p1"}' >last && api PUT /projects/p1/members/admin '{"role":"member"}' >>last
printf 'state: state\nhost_keys: [ssh/host_key.pub]\n' >host.yaml
enrolment=$(api POST /hosts '{"name":"ela","role":"jump"}' | jq -r .enrolmentToken)
ca=$(openssl x509 -in authority/tls/ca.pem -outform DER | sha256sum | cut -d' ' -f1)
check "a host enrols" "$host" enrol --url "$url" --config host.yaml --token "$enrolment" --fingerprint "$ca"
follow() {
    start sync "$host" sync --config host.yaml
    sync_pid=$last_pid
}
follow
check "certificates are signed" sign early
sign late && sign offline
check "one is revoked" revoke early
check "and the host refuses it" wait_for 20 refuses early

# ---- what the backup does not hold -----------------------------------------------------------

sqlite $store "VACUUM INTO 'backup.db'"
check "another is revoked, after the backup" revoke late
check "and the host refuses it as well" wait_for 20 refuses late
check "a cluster is added" api POST /clusters '{"name":"forgotten"}'
check "of which the host hears" wait_for 20 knows_cluster forgotten
stop_authority
check "a start without a restore" serve again
[ "$(skipped first)$(skipped again)" = 00 ]
report $? "skips nothing"

# ---- the store alone is put back -------------------------------------------------------------

stop_authority
rm -f "$store"-wal "$store"-shm
cp backup.db $store
check "the backup is put in the store's place" serve restored
[ "$(skipped restored)" = 1 ] && grep -q 'older than what hosts were told' restored.log
report $? "the authority notices that hosts were told more"
check "the host follows it" wait_for 20 knows_cluster forgotten 0
check "and still refuses what was revoked before the backup" refuses early
check "and what was revoked after it" refuses late
check "a change of today" api POST /clusters '{"name":"today"}'
check "arrives" wait_for 20 knows_cluster today
kill "$sync_pid" && wait "$sync_pid" 2>/dev/null
check "the host is told everything anew" "$host" sync --once --config host.yaml
check "which makes it forget nothing" refuses late
stop_authority
check "the next start" serve next
[ "$(skipped next)" = 0 ]
report $? "skips nothing"

# ---- the host is away while the authority is set back, and catches up with what it had -------

follow
check "a third certificate is revoked" revoke offline
check "which the host hears" wait_for 20 refuses offline
kill "$sync_pid" && wait "$sync_pid" 2>/dev/null
stop_authority
rm -f authority/store/*
install -m 600 backup.db $store
check "the folder of the store is made anew, with nothing but the backup" serve moved
[ "$(skipped moved)" = 1 ] && grep -q 'no note beside the store' moved.log
report $? "the authority cannot know what hosts were told, and skips"
# Without the skip these would reach the revision that the host has, and it would ask for what follows.
for i in 1 2 3 4 5 6 7 8; do api POST /clusters "{\"name\":\"new$i\"}" >last; done
follow
check "the host comes back and learns what happened meanwhile" wait_for 20 knows_cluster new1
check "all of it" knows_cluster new8
check "has forgotten what the store forgot" knows_cluster today 0
for name in early late offline; do check "and refuses the certificate $name" refuses $name; done
stop_authority
! grep -qE 'runtime error|ERROR: (Address|Leak)Sanitizer' ./*.log
report $? "no sanitizer complained"
done_testing
