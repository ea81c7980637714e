#!/usr/bin/env bash
# Goal: what makes postern pleasant: it says where one stands and what to type next, help comes in groups, tables fit the terminal
# and are whole in a pipe, times are the user's, and the manual has every command and option that there is.
# Functions are called through check and refused.
# shellcheck disable=SC2317
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

tty() { python3 "$here/tty.py" "$@"; }
export HOME=$work/home XDG_RUNTIME_DIR=$work/run LC_ALL=C.UTF-8 TERM=xterm-256color TZ=Europe/Zurich
unset XDG_CONFIG_HOME XDG_STATE_HOME POSTERN_API_KEY SSH_AUTH_SOCK NO_COLOR COLUMNS
mkdir "$HOME" && mkdir -m 700 "$HOME/.ssh" "$XDG_RUNTIME_DIR"
config=$HOME/.config/posterngate/cscs state=$HOME/.local/state/posterngate/cscs key=$HOME/.ssh/id_ed25519
next_is() { [ "$("$postern" | sed -n '/^Next:/{n;s/^ *//;p;q}')" = "$1" ]; } # COMMAND
on_terminal() { # COLUMNS COMMAND…
    # shellcheck disable=SC2016
    kept tty -- sh -c 'stty cols "$0" && exec "$@"' "$@"
}
kept() { "$@" | tee "$work/kept"; } # what it says is looked at more than once
lacks() { [ -s "$work/kept" ] && ! grep -qE -- "$1" "$work/kept"; } # PATTERN
has() { grep -qE -- "$1" "$work/kept"; }
widest() { python3 -c 'import sys, unicodedata
print(max((sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line.rstrip("\r\n")) for line in open(sys.argv[1], encoding="utf-8")), default=0))' "$work/kept"; }

# ---- the manual ----
check "the manual has every command and option" python3 "$here/man_page.py" "$postern" "$root/docs/man/postern.1.scd"
sed 's/\*--multiplex\*//; s/^\*postern jobs\*/*postern works*/' "$root/docs/man/postern.1.scd" >"$work/page.scd"
refused "a page that lacks some is found out" 1 'jobs: the page has no entry' python3 "$here/man_page.py" "$postern" "$work/page.scd"
says "what is there too much as well" 'works: the page has it'

# ---- help ----
check "help comes in groups" kept "$postern" --help
for group in 'Signing in' Certificates Keys Connecting 'For managers and operators'; do says "$group" "^$group:\$"; done
check "no line of it is longer than a terminal is wide" test "$(widest)" -le 100

# ---- a newcomer ----
check "alone, without a site: exit 0" "$postern"
says "what to type first" '^  postern init https://AUTHORITY$'
check "the same for programs" bash -c "'$postern' --json | jq -e '.sites == [] and (.next | startswith(\"postern init\"))'"
refused "another site is a mistake" 2 'no site is set up' "$postern" --site cscs

# ---- where one stands ----
url=https://127.0.0.1:$(free_port)
"$posternd" init "$work/authority" --site cscs --url "$url" --listen "${url#https://}" --admin operator >"$work/init.log" 2>&1
start posternd "$posternd" serve -c "$work/authority/posternd.yaml"
authority=$last_pid
wait_for 20 bash -c "echo >/dev/tcp/127.0.0.1/${url##*:}"
check "a site" "$postern" init "$url" --yes
# From here on there is no authority: what postern alone says it knows by itself.
kill "$authority" && wait "$authority"
check "not signed in" "$postern"
says "says so" '^Signed in: +no$'
check "next: login" next_is 'postern login'
install -d -m 700 "$state"
(umask 077 && jq -n '{accessToken: "pgt_x", expireTime: (now + 3600 | todate), username: "alice"}' >"$state/token")
check "signed in" "$postern"
says "as whom, until when, in the user's zone" '^Signed in: +alice, until 20..-..-.. ..:..:.. \+0[12]:00 \(in '
check "next: keygen" next_is 'postern keygen'
ssh-keygen -q -t ed25519 -N '' -C laptop -f "$key"
check "next: sign" next_is 'postern sign'
certify() { ssh-keygen -q -s "$work/authority/ca/user_1.key" -I alice -n alice -z 7 -V "$1" "$key.pub"; }
certify 20200101:20200102
check "an expired certificate" "$postern"
says "says so" '^Certificate: +expired: 2020-01-0'
check "next: sign again" next_is 'postern sign'
certify +1d
check "a valid certificate" "$postern"
says "until when" '^Certificate: +valid until 20'
check "next: config" next_is 'postern config'
check "for programs" bash -c "'$postern' --json | jq -e '.sites[0] | .site == \"cscs\" and .username == \"alice\" and .signedIn and
    .certificate.status == \"valid\" and .next == \"postern config\"'"
jq '.document.clusters = [{name: "daint", address: "daint.example", port: 22, nodeAccess: "job", credentials: "certificates"}]' \
    "$config/site.json" >"$work/site.json" && cp "$work/site.json" "$config/site.json"
mkdir -p "$HOME/.ssh/config.d" && : >"$HOME/.ssh/config.d/posterngate-cscs"
check "all is set up" "$postern"
says "what is reached" '^Reaches: +daint$'
check "next: ssh" next_is 'ssh daint'
rm "$state/token"
check "a session that has ended does not matter while the certificate is good" next_is 'ssh daint'
POSTERN_API_KEY=pgk_x check "an API key" "$postern"
says "is told" 'Signed in: +by \$POSTERN_API_KEY'
cp -r "$config" "${config%/*}/other"
check "two sites" "$postern"
check "both are told" test "$(grep -c '^Signed in' "$work/last")" = 2
check "or one" bash -c "test \"\$('$postern' --site other | grep -c '^Signed in')\" = 1"
rm -r "${config%/*}/other"

# ---- times ----
TZ=Asia/Tokyo check "status in Tokyo" "$postern" status
says "its zone" 'Expires: .* \+09:00'
TZ=America/St_Johns check "in Newfoundland" "$postern" status
says "its zone" 'Expires: .* -0[23]:30'
check "programs get UTC" bash -c "'$postern' --json status | jq -e '.expireTime | endswith(\"Z\")'"

# ---- tables ----
check "an agent" "$postern" agent
ssh-keygen -q -t ed25519 -N '' -C '日本語の鍵 für Zürich, die eine ganze Zeile lang ist und noch etwas mehr' -f "$work/wide"
# shellcheck disable=SC2046
export $("$postern" agent | sed -n "s/^\(SSH_AUTH_SOCK\)='\(.*\)';.*/\1=\2/p")
ssh-add -q "$work/wide"
check "in a pipe a table is whole" kept "$postern" agent --list
says "to its end" 'und noch etwas mehr  ED25519|und noch etwas mehr  ssh-ed25519'
check "and plain" lacks '│|…|❌'
check "in a narrow pipe too" bash -c "COLUMNS=40 '$postern' agent --list | grep -q 'noch etwas mehr'"
for columns in 200 100 80 61 60 40; do
    check "on a terminal of $columns columns" on_terminal $columns "$postern" agent --list
    check "it fits into $columns" test "$(widest)" -le $columns
done
check "what is cut is marked" has '…'
check "in a box" has '│ .* │'
COLUMNS=50 check "COLUMNS counts more than the terminal" on_terminal 200 "$postern" agent --list
check "it fits into 50" test "$(widest)" -le 50
check "the expired" bash -c "cp '$key' '$work/old' && cp '$key.pub' '$work/old.pub' &&
    ssh-keygen -q -s '$work/authority/ca/user_1.key' -I x -n x -z 9 -V 20200101:20200102 '$work/old.pub' && ssh-add -q '$work/old'"
check "a mark that the terminal has" on_terminal 120 "$postern" agent --list
check "is shown" has '❌'
TERM=linux check "the kernel's console" on_terminal 120 "$postern" agent --list
check "has boxes" has '│'
check "but no emoji" lacks '❌'
TERM=dumb check "a dumb terminal" on_terminal 120 "$postern" agent --list
check "has no boxes" lacks '│|❌'
LC_ALL=C check "a terminal without UTF-8" on_terminal 60 "$postern" agent --list
check "has none either" lacks '│|❌|…'
check "and cuts with dots" has '\.\.\.'

# ---- colour ----
check "colour on a terminal" on_terminal 80 "$postern" status
check "is shown" has $'\033\\[32m'
NO_COLOR=1 check "NO_COLOR" on_terminal 80 "$postern" status
check "there is none" lacks $'\033'
check "in a pipe" kept "$postern" status
check "nor there" lacks $'\033'
TERM=dumb check "on a dumb terminal" on_terminal 80 "$postern" status
check "nor there" lacks $'\033'
check "the end of the agent" "$postern" agent --kill
done_testing
