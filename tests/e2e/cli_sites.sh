#!/usr/bin/env bash
# Goal: who has two sites says which with --site, and nothing of the one gets into the other: tokens, CA keys, certificates.
# Functions that check() and wait_for() call look unreachable.
# shellcheck disable=SC2317
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
export HOME=$work/home LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=1
unset XDG_CONFIG_HOME XDG_STATE_HOME POSTERN_API_KEY SSH_AUTH_SOCK
mkdir "$HOME" && mkdir -m 700 "$HOME/.ssh"
key=$HOME/.ssh/id_ed25519
ssh-keygen -q -t ed25519 -N '' -C '' -f "$key"
password='correct horse battery'

declare -A url invitation
for site in north south; do
    port=$(free_port)
    url[$site]=https://127.0.0.1:$port
    "$posternd" init "$site" --site $site --url "${url[$site]}" --listen "127.0.0.1:$port" --admin operator >$site.log
    invitation[$site]=$(grep -o 'pgi_[A-Za-z0-9_-]*' $site.log)
    start "posternd-$site" "$posternd" serve -c $site/posternd.yaml
    check "$site starts" wait_for 20 curl -sf --cacert $site/tls/ca.pem "${url[$site]}/readyz"
    check "$site is set up" "$postern" init "${url[$site]}" --fingerprint \
        "SHA256:$(openssl x509 -in $site/tls/ca.pem -outform DER | sha256sum | cut -d' ' -f1)"
done
at() { "$postern" --site "$@"; } # SITE COMMAND…
signed_by() { # SITE: who signed the certificate that is there
    ssh-keygen -L -f "$key-cert.pub" | grep -qF "Signing CA: ED25519 $(ssh-keygen -lf "$1/ca/user_1.pub" | cut -d' ' -f2)"
}
refused "without a choice: exit 2" 2 'several sites are set up; say which: north, south' "$postern" whoami
says "what to type" 'postern --site north'
refused "a site that is none: exit 2" 2 'there is no site west here; there is: north, south' at west whoami
refused "a name that is a path: exit 2" 2 'no name of a site' at ../north whoami

enter() { # SITE
    python3 "$here/tty.py" --send 'New password: ' "$password" --send 'again: ' "$password" \
        --send '(?s)secret into it: ([A-Z2-7]{32})' "save:$work/totp-$1" --send 'Code.*: ' "totp:$work/totp-$1:-1" \
        -- "$postern" --site "$1" login --invitation "${invitation[$1]}"
}
check "a login at one" enter north
check "holds there" at north whoami
says "as the site tells" '^operator at north '
refused "and not at the other: exit 3" 3 'postern' at south whoami
check "a login at the other" enter south
for site in north south; do
    check "a project at $site" at $site admin project create physics
    check "with the operator in it" at $site admin project add-member physics operator
done
check "north signs" at north sign
check "by north's CA" signed_by north
check "which north's status accepts" at north status
refused "and south's does not: exit 4" 4 'CA' at south status
check "south signs the same key" at south sign
check "by south's CA" signed_by south
refused "which is not north's: exit 4" 4 'CA' at north status
for site in north south; do
    at $site --json list >last 2>&1
    jq -e '.sshKeys | length == 1' last >/dev/null
    report $? "each lists its own: $site"
done
check "logout at one" at north logout
refused "is one there" 3 '' at north whoami
check "alone" at south whoami
check "with the folder of one gone" rm -r "$HOME/.config/posterngate/north"
check "the other needs no choice" "$postern" whoami
says "it is that" '^operator at south '

done_testing
