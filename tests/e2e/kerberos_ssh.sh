#!/usr/bin/env bash
# Tickets of a real KDC shown to a real sshd, by exactly the lines that postern config writes where the site has site.gssapi; and that
# nobody gets in by a ticket whom Posterngate would refuse, unless check has warned of it.
# shellcheck source=tests/e2e/cli_world.sh
. "$(dirname "$0")/cli_world.sh"
kdc_address=10.99.0.2
# shellcheck source=tests/e2e/kerberos_world.sh
. "$here/kerberos_world.sh"

check "a realm" make_realms
for name in alice bob; do principal $realm -pw "$name-password" "$name"; done
principal $realm -randkey host/daint.example
kadmin.local -r $realm ktadd -k "$kerberos/hosts.keytab" host/daint.example >/dev/null
export KRB5_KTNAME=FILE:$kerberos/hosts.keytab # for the sshd of daint-ln001
add_user bob

cli_world_authority
cli_world_cluster
gets "an account for bob, who is in no project" 201 - POST /api/v1/accounts "$admin" '{"name":"bob"}'
kill "$authority_pid" && wait "$authority_pid"
sed -i 's/^site:/site:\n  gssapi: true/' "$authority/posternd.yaml"
serve
cli_world_enrol ela jump ',"address":"ela.example","port":22'
start sync-ela postern-host sync --config hosts/ela/host.yaml
check "ela follows the authority" wait_for 20 postern-host status --config hosts/ela/host.yaml
cli_world_gate
cli_world_host daint-ln001 login 11 daint.example
sshd_pid=$last_pid
cli_world_sign_in
cli_world_certificate
check "postern config writes it for ssh" laptop postern config
check "also for daint" laptop sh -c 'ssh -G daint | grep -qx "gssapiauthentication yes"'

cp hosts/daint-ln001/sshd.conf printed.conf
# sshd takes the first value of a keyword, so these go before what postern-host sshd-config printed.
daint_with() { # LINE…
    printf '%s\n' "$@" | cat - printed.conf >hosts/daint-ln001/sshd.conf
    kill "$sshd_pid" && wait "$sshd_pid"
    start_on sshd-daint-ln001 daint-ln001 /usr/sbin/sshd -D -e -f "$work/hosts/daint-ln001/sshd.conf"
    sshd_pid=$last_pid
    wait_for 10 grep -q 'Server listening' sshd-daint-ln001.log
}
tickets=("GSSAPIAuthentication yes" "GSSAPIStrictAcceptorCheck no") # users call it daint.example, itself it is daint-ln001
with_ticket() { laptop env KRB5_CONFIG="$KRB5_CONFIG" KRB5CCNAME="FILE:$laptop_home/tickets" "$@"; }
by() { [ "$(grep -oE 'Accepted [a-z-]+ for [a-z]+' sshd-daint-ln001.log | tail -1)" = "Accepted $1 for $2" ]; } # METHOD USER: the last one
# Past the jump host, as from a machine inside, and without a key.
past=(-o ProxyJump=none -o PubkeyAuthentication=no -o BatchMode=yes)

judge() { postern-host check --config hosts/daint-ln001/host.yaml --sshd-config hosts/daint-ln001/sshd.conf; }

check "kinit" with_ticket kinit alice <<<alice-password
check "kinit for bob" laptop env KRB5_CONFIG="$KRB5_CONFIG" KRB5CCNAME="FILE:$laptop_home/bobs" kinit bob <<<bob-password
as_bob() { with_ticket env KRB5CCNAME="FILE:$laptop_home/bobs" ssh "${past[@]}" bob@daint "$@"; }

# ---- as it is printed ---------------------------------------------------------------------------

check "an sshd as it is printed" judge
refused "has no door that check would warn of" 1 '' grep warning last
check "it takes her certificate" with_ticket ssh daint true
check "… as such" by publickey alice
refused "and no ticket" 255 'Permission denied \(publickey\)' with_ticket ssh "${past[@]}" daint true

# ---- tickets beside keys ------------------------------------------------------------------------

check "sshd takes tickets" daint_with "${tickets[@]}"
check "check" judge
says "warns of it" 'warning: sshd: GSSAPIAuthentication yes: by a Kerberos ticket people get in whom Posterngate would refuse'
check "ssh shows her ticket, behind the jump host" with_ticket ssh daint id -un
says "it is alice" '^alice$'
check "… by her ticket" by gssapi-with-mic alice
refused "without one she needs her certificate" 255 'Permission denied' laptop ssh "${past[@]}" daint true
check "which does as well" laptop ssh daint true
check "… as such" by publickey alice
refused "at the jump host a ticket is nothing" 255 'Permission denied \(publickey\)' with_ticket ssh "${past[@]}" ela
check "as check warned: bob, who reaches nothing, gets in from inside" as_bob id -un
says "by his ticket" '^bob$'

# ---- a ticket besides a key ---------------------------------------------------------------------

check "sshd wants a key in any case" daint_with "${tickets[@]}" "AuthenticationMethods publickey gssapi-with-mic,publickey"
check "check" judge
refused "has nothing to warn of" 1 '' grep warning last
check "ssh shows ticket and certificate" with_ticket ssh daint true
check "… both" grep -q 'Accepted publickey for alice' sshd-daint-ln001.log
check "… indeed" grep -q 'Partial gssapi-with-mic for alice' sshd-daint-ln001.log
check "who has no ticket shows the certificate alone" laptop ssh daint true
refused "who has a ticket alone stays out" 255 'Permission denied \(publickey' as_bob true
start open with_ticket ssh -n daint 'echo in; sleep 60'
open_pid=$last_pid
check "a session is open" wait_for 10 grep -q '^in$' open.log
gets "alice is disabled" 200 - PUT /api/v1/accounts/alice "$admin" '{"disabled":true}'
ended() { ! kill -0 "$open_pid"; }
check "it ends with her right" wait_for 10 ended
refused "and her ticket opens nothing" 255 'Permission denied' with_ticket ssh "${past[@]}" daint true

# ---- other doors --------------------------------------------------------------------------------

printf '%s\n' "PasswordAuthentication yes" "AuthorizedKeysFile .ssh/authorized_keys" >hosts/daint-ln001/sshd.conf
cat printed.conf >>hosts/daint-ln001/sshd.conf
check "check tells every door" judge
says "passwords" 'warning: sshd: PasswordAuthentication yes'
says "files of keys" 'warning: sshd: AuthorizedKeysFile .ssh/authorized_keys'
grep -E '^(Port|HostKey)' printed.conf >hosts/daint-ln001/sshd.conf
check "and that an sshd is not set up" judge
says "at all" 'warning: sshd: TrustedUserCAKeys none'
done_testing
