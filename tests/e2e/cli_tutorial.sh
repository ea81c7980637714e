#!/usr/bin/env bash
# Goal: every line of docs/tutorial.md, in order, as a newcomer types it; in the place of Jupyter a small web server listens.
# Functions that check() and wait_for() call look unreachable.
# shellcheck disable=SC2317
# shellcheck source=tests/e2e/cli_world.sh
. "$(dirname "$0")/cli_world.sh"
cli_world_authority
cli_world_cluster
cli_world_enrol ela jump ',"address":"ela.example","port":22'
start sync-ela postern-host sync --config hosts/ela/host.yaml
check "ela follows the authority" wait_for 20 postern-host status --config hosts/ela/host.yaml
cli_world_gate
cli_world_host daint-ln001 login 11 daint.example
cli_world_host nid001234 compute 12

mapfile -t lines < <(sed -n 's/^\$ //p' "$root/docs/tutorial.md")
at=0
# The tutorial's next line, in an interactive shell of alice's; what follows it is typed at its prompts.
line() { # LINE TTY-ARGUMENT…
    local typed=$1
    [ "${lines[at]:-}" = "$typed" ] || echo "# the tutorial has: ${lines[at]:-nothing more}"
    check "the tutorial's line $((at + 1)) is: $typed" test "${lines[at]:-}" = "$typed"
    at=$((at + 1))
    typed=${typed//https:\/\/authority.example.org:8443/$url}
    typed=${typed//pgi_INVITATION/$invitation}
    check "… and works" laptop tty.py "${@:2}" -- bash -ic "$typed"
}
next_is() { [ "$(laptop postern | sed -n '/^Next:/{n;s/^ *//;p;q}')" = "$1" ]; } # COMMAND

check "before it all: init" next_is 'postern init https://AUTHORITY'
line 'postern init https://authority.example.org:8443' --send 'from now on' y
check "next: login" next_is 'postern login'
line 'postern login --invitation pgi_INVITATION' --send 'New password: ' "$password" --send 'again: ' "$password" \
    --send '\b([A-Z2-7]{32})\b' "save:$laptop_home/totp" --send 'Code.*: ' "totp:$laptop_home/totp:-1"
mv "$laptop_home/totp" totp
line 'postern whoami'
says "it is alice, who reaches daint" 'Clusters: +daint'
check "next: keygen" next_is 'postern keygen'
line 'postern keygen' --send 'the key.*: ' "$password" --send 'again: ' "$password"
check "next: sign" next_is 'postern sign'
line 'postern sign'
line 'postern status'
says "it is valid" 'valid'
check "next: config" next_is 'postern config'
line 'postern agent --write'
line 'postern agent --load' --send 'Passphrase: ' "$password"
line 'postern config'
check "next: ssh" next_is 'ssh daint'
line 'ssh daint hostname'
says "it is the login host" 'daint-ln001'
job_starts 4711 '{"username":"alice","nodes":["nid001234"],"duration":"4h"}'
line 'postern jobs'
says "the job is there" '4711.*nid001234'
check "the node is open" wait_for 10 laptop bash -ic 'ssh job-4711 true'
line 'ssh job-4711 hostname'
says "it is the node" 'nid001234'

# ---- the notebook ----
mkdir served && echo "a notebook" >served/index.html && chmod -R a+rX served
start_on notebook nid001234 python3 -m http.server 8888 --bind 127.0.0.1 --directory "$work/served"
tunnel='postern tunnel --job 4711 8888'
check "the tutorial's line $((at + 1)) is: $tunnel" test "${lines[at]}" = "$tunnel"
at=$((at + 1))
start tunnel laptop bash -c "eval \"\$(postern agent)\"; exec $tunnel"
check "… and prints the address" wait_for 20 grep -q 'http://localhost:8888/' tunnel.log
check "the notebook is there" test "$(laptop curl -s http://localhost:8888/)" = "a notebook"
job_ends 4711
tunnel_is_gone() { ! kill -0 "$last_pid" 2>/dev/null; }
check "the tunnel ends with the job" wait_for 30 tunnel_is_gone

# ---- the next day ----
# A code is good once: the one after the next.
line 'postern login --password' --send 'User name' '' --send '[Pp]assword.*: ' "$password" --send '[Cc]ode.*: ' "totp:$work/totp:0"
line 'postern sign'
line 'postern doctor daint'
check "the tutorial has no more lines" test "$at" = "${#lines[@]}"
check "postern agent --kill" laptop postern agent --kill
done_testing
