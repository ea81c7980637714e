#!/usr/bin/env bash
# Goal: ./run demo prints the dashboard's address and a first login, and both work, taken from what it printed.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/browser_world.sh
. "$here/browser_world.sh"
need_browser "the first login of the demo"

start demo env -u SUDO_UID -u SUDO_GID bash "$root/demo/demo.sh" # the laptop is the owner's of this test
demo=$last_pid
printed() { sed -n "s|^ *$1 *||p" "$work/demo.log" | head -1; } # WORDS: what stands after them
check "the tour is played, and the centre stays up" wait_for 120 grep -q '^The log of the authority' "$work/demo.log"
check "every step held" grep -q '^Every one of the .* steps held' "$work/demo.log"
url=$(printed 'The dashboard:')
url=${url%/}
ca=$(printed 'The browser asks about the certificate, which is of the CA in')
check "an address is printed, with the CA of its certificate" curl -sS --cacert "$ca" -o "$work/last" "$url/"
name=$(printed 'user name' | cut -d' ' -f1) password=$(printed password)
totp=$(bash -c "$(printed code)")
drive_browser 60 demo_first_login.mjs "$(person "$name" "$password" none)" "$(jq -n --arg name "$name" --arg totp "$totp" '{$name, $totp}')"
check "a shell on the laptop" grep -q '^alice' <(echo 'exec </dev/null; postern whoami' | "$(sed -n 's/^The laptop, in another terminal: //p' "$work/demo.log")")
kill "$demo"
wait "$demo"
world=$(dirname "$(dirname "$(dirname "$ca")")")
refused "the centre is gone with its end" 1 '' test -e "$world"
done_testing
