#!/usr/bin/env bash
# What the page Connect writes for ssh is what `postern config` writes: the same text, but for what needs the command line, and the same
# to ssh itself. Of a site whose hosts differ in everything that the text depends on, with jump hosts and without.
# shellcheck shell=bash disable=SC1091,SC2154,SC2317,SC2016
. "$(dirname "$0")/lib.sh"
. "$here/browser_world.sh"
need_browser "the way to connect in a browser"
site=alps authority_host=localhost
. "$here/authority_world.sh"
export HOME=$work/home LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=1
mkdir -p "$HOME"
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
unset SSH_CONNECTION SSH_TTY DISPLAY WAYLAND_DISPLAY BROWSER POSTERN_API_KEY XDG_CONFIG_HOME XDG_STATE_HOME

start_authority
alice_signs_in
alice_secret=$secret
gets "a project" 201 - POST /api/v1/projects "$admin" '{"name":"s1234"}'
gets "of alice's" 200 - PUT /api/v1/projects/s1234/members/alice "$admin" '{"role":"member"}'
cluster() { # NAME JSON
    gets "the cluster $1" 201 - POST /api/v1/clusters "$admin" "{\"name\":\"$1\",$2}"
    gets "reached" 200 - PUT "/api/v1/projects/s1234/clusters/$1" "$admin"
}
cluster daint '"address":"daint.alps.example"'
cluster santis '"address":"santis.alps.example","port":2222'
cluster eiger '"address":"192.0.2.40"'
cluster twin '"address":"daint.alps.example"'
gets "one that she does not reach" 201 - POST /api/v1/clusters "$admin" '{"name":"secret","address":"secret.alps.example"}'
enrol_host ela1 '"role":"jump","address":"ela.alps.example","port":2022'
enrol_host ela2 '"role":"jump","address":"ela.alps.example"'
enrol_host daint-ln001 '"role":"login","cluster":"daint","address":"192.0.2.41"'
enrol_host santis-ln1 '"role":"login","cluster":"santis","address":"ln1.alps.example","port":2200'
enrol_host secret-ln1 '"role":"login","cluster":"secret","address":"192.0.2.66"'
for node in nid001234 nid001235 gpu-a01; do enrol_host $node '"role":"compute","cluster":"daint"'; done
enrol_host nid009999 '"role":"compute","cluster":"daint","port":2200'
enrol_host n7 '"role":"compute","cluster":"santis"'
enrol_host cn101 '"role":"compute","cluster":"santis","address":"192.0.2.101","port":22'
enrol_host cn102 '"role":"compute","cluster":"santis","address":"192.0.2.102"'

fingerprint=$(openssl x509 -in "$authority/tls/ca.pem" -outform DER | sha256sum | cut -d' ' -f1)
check "a laptop" "$postern" init "$url" --fingerprint "$fingerprint"
check "where alice signs in" python3 "$here/tty.py" --send 'Password: ' correct-horse-battery --send 'Code from your authenticator: ' \
    "$(code "$alice_secret")" -- "$postern" login --password --user alice
check "what the command line writes" "$postern" config --print
cp "$work/last" "$work/cli-jump"
drive_browser 200 dashboard_connect.mjs "$(person alice correct-horse-battery "$alice_secret")" \
    "$(jq -n --argjson step $(($(date +%s) / 30)) '{people: {alice: {$step}}}')" "$(jq -n --arg folder "$work" --arg admin "$admin" '{$folder, $admin}')"
check "and without jump hosts" "$postern" config --print
cp "$work/last" "$work/cli-direct"

# ---- the same text, and the same to ssh --------------------------------------------------------

# What needs the command line, and where the page says another place: known hosts, and keeping certificates fresh. Where the home is
# not the account's own, as here, the command line says it in full.
for way in jump direct; do sed -i "s|$HOME/|~/|" "$work/cli-$way"; done
alike() { grep -vE '^(#.*)?$|^(IgnoreUnknown|Match) |^ +(UserKnownHostsFile|KnownHostsCommand|UseKeychain) ' "$1"; }
for way in jump direct; do
    check "$way: the same text" diff <(alike "$work/cli-$way") <(alike "$work/page-$way")
    names=(ela1 ela2 ela.alps.example daint daint.alps.example santis santis.alps.example eiger 192.0.2.40 twin daint-ln001 santis-ln1
        ln1.alps.example nid001234 nid001235 nid005555 nid009999 gpu-a01 gpu-a77 n7 cn101 cn102 job-4711 secret-ln1 other.example)
    for name in "${names[@]}"; do
        judged() { ssh -F "$1" -G "$name" 2>/dev/null | grep -vE '^(userknownhostsfile|knownhostscommand|ignoreunknown|updatehostkeys) '; }
        check "$way: ssh $name goes the same way" diff <(judged "$work/cli-$way") <(judged "$work/page-$way")
    done
done
for name in '[ela1]:2022' daint '[santis]:2222' daint-ln001 nid001234 nid005555 '[nid009999]:2200' cn101; do
    check "the site's authority is known for $name" ssh-keygen -F "$name" -f "$work/known-hosts"
    says "as such" ' CA'
done
refused "and for nobody else" any '' ssh-keygen -F other.example -f "$work/known-hosts"
judge() { ssh -F "$work/page-jump" -G "$1" | grep -qxF "$2"; }
check "nodes by their pattern" judge nid005555 'proxyjump ela1'
check "the one that differs by its name" judge nid009999 'port 2200'
check "jobs" judge job-4711 'proxyjump ela1'
check "no other host" bash -c "! ssh -F '$work/page-jump' -G other.example | grep -E '^(proxyjump|certificatefile) '"
done_testing
