#!/usr/bin/env bash
# Goal: every command of postern, its --json form and every exit code, against a real posternd; prompts typed on a real terminal.
# Functions are called through check and refused.
# shellcheck disable=SC2317
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

tty() { python3 "$here/tty.py" "$@"; }
export HOME=$work/home LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=1
unset XDG_CONFIG_HOME XDG_STATE_HOME POSTERN_API_KEY SSH_AUTH_SOCK DISPLAY WAYLAND_DISPLAY BROWSER
mkdir "$HOME" && mkdir -m 700 "$HOME/.ssh"
config=$HOME/.config/posterngate/cscs state=$HOME/.local/state/posterngate/cscs
password='correct horse battery' port=$(free_port)
url=https://127.0.0.1:$port

start_authority() {
    start posternd "$posternd" serve -c "$work/authority/posternd.yaml"
    authority=$last_pid
    wait_for 20 bash -c "echo >/dev/tcp/127.0.0.1/$port"
}
# Standard output alone is kept, so that what is meant for programs is known to be clean.
check_json() { # DESCRIPTION FILTER COMMAND…
    local description=$1 filter=$2
    shift 2
    "$@" >"$work/last" 2>"$work/last.err" && jq -e "$filter" "$work/last" >/dev/null
    report $? "$description"
}

# ---- before there is a site ----
refused "no site: exit 2 and what to type" 2 'postern init' "$postern" list
refused "a mistyped command is guessed" 2 'did you mean sign' "$postern" sing
refused "a mistyped option is guessed" 2 'did you mean --file' "$postern" sign --fiel x
refused "a command is missing, and which there are" 2 'command is missing: .*account, .* or statistics$' "$postern" admin
for words in 'help admin account' 'admin help account' 'admin account help'; do
    # shellcheck disable=SC2086
    check "help is asked for by a word as well: $words" "$postern" $words
    says "of that command" '^Usage: postern admin account COMMAND'
done
check "and of all" "$postern" help
says "the same as by --help" '^Usage: postern \[COMMAND\]'
refused "of none that is not there" 2 'there is no command admni; did you mean admin' "$postern" help admni
refused "too many arguments" 2 'takes no arguments' "$postern" list more
check "--version" "$postern" --version
for words in "" init login logout whoami credentials "credentials store" "credentials list" "credentials remove" grant "grant create" "grant list" "grant revoke" \
    sign refresh gen list revoke revoke-all status key "key inspect" "key convert" keygen "key add" "key list" "key remove" \
    access config ssh tunnel socks mount umount jobs known-hosts agent doctor completion admin "admin account" \
    project "project list" "project show" "project invite" "project add-member" "project remove-member" "project certificates" \
    "admin account create" "admin project" "admin cluster" "admin host" "admin job" "admin service-account" "admin service-account set" \
    "admin service-account key" "admin issuer" "admin audit" "admin statistics" "admin session" "admin session list" "admin session cut"; do
    # shellcheck disable=SC2086
    "$postern" $words --help >"$work/last" 2>&1 && said "Usage: postern $words"
    report $? "--help of postern $words"
done

# ---- init ----
"$posternd" init "$work/authority" --site cscs --url "$url" --listen "127.0.0.1:$port" --admin operator >"$work/init.log" 2>&1
invitation=$(grep -o 'pgi_[A-Za-z0-9_-]*' "$work/init.log" | head -1)
refused "nobody answers: exit 6" 6 'cannot reach' "$postern" init "$url" --yes
check "posternd starts" start_authority
wrong=$(printf '0%.0s' {1..64})
refused "a wrong fingerprint is refused" 6 'do not trust' "$postern" init "$url" --fingerprint "$wrong"
refused "a malformed fingerprint" 2 '64 hex digits' "$postern" init "$url" --fingerprint abc
refused "without a terminal nothing is trusted unseen" 6 'no terminal' setsid -w "$postern" init "$url"
refused "the answer no keeps nothing" 4 'not trusted' tty --send 'from now on' n -- "$postern" init "$url"
check "nothing was kept" test ! -e "$config/site.json"
check "init pins after a yes" tty --send '(?s)fingerprint is\s+([0-9a-f \r\n]+)Compare' save:"$work/fingerprint" \
    --send 'from now on' y -- "$postern" init "$url"
fingerprint=$(tr -d ' \r\n' <"$work/fingerprint")
check "the CA is pinned" grep -q 'BEGIN CERTIFICATE' "$config/tls-ca.pem"
check "the host CA has a known-hosts file of its own" grep -q '^@cert-authority \* ssh-ed25519 ' "$config/known_hosts"
check "init again, by fingerprint" "$postern" init "$url" --fingerprint "SHA256:$fingerprint"
check_json "init --json is the site document" '.site == "cscs" and (.userCaKeys | length) == 1' "$postern" --json init "$url"
refused "not signed in: exit 3" 3 'postern login' "$postern" whoami
refused "no terminal to sign in at" 3 'POSTERN_API_KEY' setsid -w "$postern" login

# ---- login ----
# Everybody on the machine sees the words of a command line, for as long as a person takes to choose a password.
start visible python3 "$here/tty.py" --timeout 60 --send 'never asked' x -- "$postern" login --invitation pgi_seen-by-others
wait_for 20 grep -q 'New password' "$work/visible.log"
check "an invitation is taken out of the command line" bash -c \
    "tr '\\0' ' ' </proc/$(pgrep -P "$last_pid")/cmdline | grep -a 'login --invitation' | grep -vq pgi_"
kill "$(pgrep -P "$last_pid")"
check "an invitation: password twice, QR code, code" tty --send 'New password: ' short --send 'New password: ' "$password" \
    --send 'again: ' other --send 'New password: ' "$password" --send 'again: ' "$password" \
    --send '(?s)█ ▄▄▄▄▄ █.*secret into it: ([A-Z2-7]{32})' save:"$work/totp" --send 'Code.*: ' 12x --send 'Code.*: ' "totp:$work/totp:-1" \
    -- "$postern" login --invitation "$invitation"
says "signed in" 'Signed in at cscs as operator'
check "the token is 0600 in 0700" test "$(stat -c %a "$state/token" "$state" | tr '\n' ' ')" = "600 700 "
refused "an invitation is asked for" 3 'is not valid' tty --send 'Invitation: ' "$invitation" \
    --send 'New password: ' "$password" --send 'again: ' "$password" -- "$postern" login --invitation -
refused "a used invitation: exit 3" 3 '' tty --send 'New password: ' "$password" --send 'again: ' "$password" \
    -- "$postern" login --invitation "$invitation"
check "whoami" "$postern" whoami
says "who it is" '^operator at cscs \(person, administrator\)'
check_json "whoami --json" '.username == "operator" and .administrator == true' "$postern" --json whoami
check "logout" "$postern" logout
check "the token is gone" test ! -e "$state/token"
refused "a wrong password: exit 3" 3 '' tty --send 'User name' operator --send 'Password: ' 'wrong' --send 'Code.*: ' 123456 \
    -- "$postern" login --password
check "login; the password is not echoed" tty --send 'User name \[operator\]' '' --send 'Password: ' 'echo?' \
    --send 'ECHO|' "$password" --send 'Code.*: ' "totp:$work/totp:0" -- "$postern" login --password
says "echo was off" 'ECHO OFF'
if grep -qF "$password" "$work/last"; then report 1 "the password is not shown"; else report 0 "the password is not shown"; fi
refused "Ctrl-C at a prompt: exit 130" 130 '' tty --signal 'Password: ' SIGINT -- "$postern" login --user operator
check "after Ctrl-C the terminal echoes again" tty --send '# ' "$postern login --user operator" --signal 'Password: ' SIGINT \
    --send '# ' 'echo?' --send 'ECHO|' 'exit 0' -- env PS1='# ' bash --norc --noprofile --noediting -i
says "echo is on" 'ECHO ON'
check "Ctrl-Z and fg: asked again, still silent" tty --send '# ' "$postern login --user operator" --signal 'Password: ' SIGTSTP \
    --send '# ' fg --send 'Password: ' 'echo?' --signal 'ECHO|' SIGINT --send '# ' 'exit 0' -- env PS1='# ' bash --norc --noprofile --noediting -i
says "echo is off again" 'ECHO OFF'

# ---- administration ----
refused "a bad project name: exit 4" 4 'project' "$postern" admin project create 'No Name'
check "project create" "$postern" admin project create physics --display-name Physics
refused "twice: exit 9" 9 'exists' "$postern" admin project create physics
check "cluster create" "$postern" admin cluster create daint --address daint.example --port 2222
check_json "cluster set" '.cluster.port == 22' "$postern" --json admin cluster set daint --port 22
check "a cluster on loopback is a cluster" "$postern" admin cluster set daint --address localhost
says "with a warning" 'warning: localhost is a name of this very machine'
check_json "which --json keeps apart" '.warnings | length == 1' "$postern" --json admin cluster set daint --address ::1
check "a new one as well" "$postern" admin cluster create 127.1 --address 169.254.169.254
says "by its name" 'warning: 127.1 is a loopback address'
says "and its address" 'warning: 169.254.169.254 is a link-local address, as metadata'
check "and it moves back" "$postern" admin cluster set daint --address daint.example
! grep -q warning "$work/last"
report $? "without one"
refused "a port out of range: exit 2" 2 'port' "$postern" admin cluster set daint --port 70000
check_json "cluster list" '.clusters[1].name == "daint"' "$postern" --json admin cluster list
check "add-cluster" "$postern" admin project add-cluster physics daint
check "account create" "$postern" admin account create alice --display-name 'Alice A.' --email alice@example.org
says "its invitation is told" 'postern login --invitation pgi_'
says "and the page that takes it" "^  $url/invitation#pgi_[A-Za-z0-9_-]{43}\$"
check_json "account create --json" '.invitation | startswith("pgi_")' "$postern" --json admin account create bob
check "add-member" "$postern" admin project add-member physics alice --role manager
check "add-member again, as the administrator" "$postern" admin project add-member physics operator
check "project show" "$postern" admin project show physics
says "its member" 'alice \(manager\)'
check_json "project list" '.projects[0].clusters == ["daint"]' "$postern" --json admin project list
check "remove-member" "$postern" admin project remove-member physics alice
check "account list" "$postern" admin account list
says "plain columns when not a terminal" '^alice +person +Alice A\. +- +no'
check "account show" "$postern" admin account show alice
check_json "account set" '.account.quotaPerDay == 3' "$postern" --json admin account set alice --quota 3
refused "nothing to set: exit 2" 2 'nothing to set' "$postern" admin account set alice
check "account disable" "$postern" admin account disable alice
check "account enable" "$postern" admin account enable alice
refused "a window where the site has none" any 'this site has no enrolment window' "$postern" admin account window alice
check_json "account invite" '.invitation' "$postern" --json admin account invite alice
refused "the last administrator: exit 9" 9 'last administrator' "$postern" admin account disable operator
refused "an unknown account: exit 8" 8 'nobody' "$postern" admin account show nobody
refused "a name that is a path: exit 2" 2 'no name' "$postern" admin account show ../x
check "host add" "$postern" admin host add ela --role jump --address ela.example
says "its token is told" 'pge_'
refused "host add without a role: exit 2" 2 'role is missing' "$postern" admin host add ln1
check_json "host enrol" '.enrolmentToken | startswith("pge_")' "$postern" --json admin host enrol ela
check_json "host list" '.hosts[0].name == "ela"' "$postern" --json admin host list
check_json "host list tells no version of one that never asked" '.hosts[0] | has("version") | not' "$postern" --json admin host list
check_json "session list" '.sessions == []' "$postern" --json admin session list --gate ela
refused "session cut of none: exit 8" 8 'no gate has a session' "$postern" admin session cut 17
check "host remove" "$postern" admin host remove ela
says "it had no certificate yet" 'Certificates revoked with it: 0$'
check "service-account create" "$postern" admin service-account create robot --project physics
check "service-account list" "$postern" admin service-account list --project physics
api_key=$("$postern" admin service-account key create robot --name ci --expires 90d --ip-subnet 127.0.0.0/8 2>/dev/null)
check "an API key alone is on standard output" grep -qx 'pgk_[A-Za-z0-9_-]*' <<<"$api_key"
check_json "service-account key list" '.apiKeys[0].name == "ci"' "$postern" --json admin service-account key list robot
check "remove-cluster" "$postern" admin project remove-cluster physics daint
check "audit" "$postern" admin audit --since 1h --actor operator --action account.create --limit 5
says "what was done" 'account\.create +alice +yes'
check "a new key for the issuer" "$postern" admin issuer rotate
says "which one" 'The key [0-9a-f]{16} signs'
check_json "issuer keys --json" '.keys | length == 2 and (.[0] | has("retiredTime") | not)' "$postern" --json admin issuer keys
check "statistics" "$postern" admin statistics
check_json "statistics --json" '(.counts.refusals | length) == 25 and (.counts.signIns | add) > 0' \
    "$postern" --json admin statistics --since 1d --step 1h
refused "statistics in steps of a minute: exit 2" 2 'multiple of five minutes' "$postern" admin statistics --step 1min
check_json "audit --json" '.audit | length == 2' "$postern" --json admin audit --limit 2

# ---- sign ----
key=$HOME/.ssh/id_ed25519
refused "no key: exit 8 and the command that makes one" 8 'postern keygen -f' "$postern" sign
check "keygen makes it" "$postern" keygen --no-passphrase -C alice@laptop
says "and says what to type next" '^  postern sign$'
check "where sign looks for it" test -s "$key"
refused "status without a certificate: exit 8" 8 'no certificate' "$postern" status
check "sign" "$postern" sign
check "ssh-keygen reads the certificate" ssh-keygen -Lf "$key-cert.pub"
says "its principal" '^ +operator$'
check "it is 0644" test "$(stat -c %a "$key-cert.pub")" = 644
check "no temporary file is left" test "$(find "$HOME/.ssh" -name '*.??????' | wc -l)" = 0
check "status: exit 0" "$postern" status
says "it matches the key" 'matches the .pub'
check_json "status --json" '.status == "valid" and .key == "match" and .principals == ["operator"]' "$postern" --json status
check "status needs no network" unshare -n "$postern" status
check_json "sign with restrictions" '.sshKey.serialNumber and .agent == false' "$postern" --json sign -f "$key.pub" -d 1min \
    --ip-subnet 10.0.0.0/8 --ip-subnet 192.0.2.1 --force-command hostname
check "they are in the certificate" ssh-keygen -Lf "$key-cert.pub"
says "source-address" 'source-address 10.0.0.0/8,192.0.2.1/32'
refused "a duration not offered: exit 4" 4 'duration' "$postern" sign -d 2h
refused "no duration: exit 2" 2 'no duration' "$postern" sign -d 7
refused "no subnet: exit 2" 2 'ip-subnet' "$postern" sign --ip-subnet 10.0.0.1/8
cp "$key" "$HOME/.ssh/pasted.pub"
refused "a private key in a .pub: exit 2" 2 'PRIVATE' "$postern" sign -f "$HOME/.ssh/pasted"
refused "a certificate is no key: exit 2" 2 'certificate' "$postern" sign -f "$key-cert.pub"
ssh-keygen -q -t ed25519 -N '' -f "$work/foreign-ca"
cp "$key" "$HOME/.ssh/old" && cp "$key.pub" "$HOME/.ssh/old.pub"
ssh-keygen -q -s "$work/foreign-ca" -I x -n operator -V -2d:-1d "$HOME/.ssh/old.pub"
refused "status of an expired certificate: exit 3" 3 'expired' "$postern" status -f "$HOME/.ssh/old"
refused "status of another CA's, with a site: exit 4" 4 'CA' "$postern" --site cscs status -f "$HOME/.ssh/old"
ssh-keygen -q -t ed25519 -N '' -f "$HOME/.ssh/other" && cp "$key-cert.pub" "$HOME/.ssh/other-cert.pub"
refused "status of another key's: exit 4" 4 'another key' "$postern" status -f "$HOME/.ssh/other"

# ---- key inspect ----
ssh-keygen -q -t rsa -b 3072 -a 50 -N secret -f "$HOME/.ssh/rsa"
check_json "key inspect: an encrypted key, without its passphrase" '.encrypted and .kdfRounds == 50 and .bits == 3072' \
    "$postern" --json key inspect "$HOME/.ssh/rsa"
check "key inspect: a public key" "$postern" key inspect "$key.pub"
check "key inspect: a certificate" bash -c "diff <('$postern' key inspect '$key-cert.pub') <(ssh-keygen -Lf '$key-cert.pub' | tail -n +2)"
cp "$key.pub" "$HOME/.ssh/odd.pub"
ssh-keygen -q -s "$work/foreign-ca" -I $'a\xff\xfeb\e[31m' -n operator "$HOME/.ssh/odd.pub"
check_json "key inspect: a certificate whose key id is no text" '.keyId == "a??b?[31m"' \
    "$postern" --json key inspect "$HOME/.ssh/odd-cert.pub"
check "key inspect: which is shown without what a terminal would obey" "$postern" key inspect "$HOME/.ssh/odd-cert.pub"
says "escaped" 'Key ID: "a'
! grep -q $'\e' "$work/last"
report $? "all of it"
refused "key inspect: something else" 2 'no SSH key' "$postern" key inspect /etc/passwd

# ---- the agent ----
refused "no agent: exit 8" 8 'postern agent' "$postern" sign --agent
start agent ssh-agent -D -a "$work/agent"
export SSH_AUTH_SOCK=$work/agent
wait_for 10 test -S "$work/agent"
check "sign --agent" "$postern" sign --agent
check "sign --agent again" "$postern" sign --agent
check "the agent has one certificate" test "$(ssh-add -l | grep -c CERT)" = 1
check_json "status sees it" '.inAgent' "$postern" --json status
check "an encrypted key: its passphrase is asked, again when wrong" tty --send 'Passphrase: ' wrong --send 'Passphrase: ' secret \
    -- "$postern" sign -f "$HOME/.ssh/rsa" --agent
ssh-keygen -q -t ed25519 -N '' -C agent-only -f "$work/gone" && ssh-add -q "$work/gone" && rm "$work/gone" "$work/gone.pub"
check_json "a key that only the agent has" '.file | test("/agent-[A-Za-z0-9]+-cert.pub$")' "$postern" --json sign -f agent-only
ssh-keygen -q -t ed25519 -N '' -f "$HOME/.ssh/half" && ssh-add -q "$HOME/.ssh/half" && rm "$HOME/.ssh/half"
check "a .pub file whose private key only the agent has" "$postern" sign -f "$HOME/.ssh/half" --agent
says "what ssh needs is told" 'IdentityFile .*/half$'
unset SSH_AUTH_SOCK

# ---- service accounts ----
export POSTERN_API_KEY=$api_key
refused "the site's durations hold for services too: exit 4" 4 'duration' "$postern" sign -d 2h
check_json "whoami with an API key" '.username == "robot" and .credential == "api-key"' "$postern" --json whoami
check "sign with an API key" "$postern" sign -f "$HOME/.ssh/other"
check "its token is cached, 0600" test "$(stat -c %a "$state"/token-*)" = 600
refused "not an administrator: exit 4" 4 '' "$postern" admin account list
check "logout drops the cached token only" "$postern" logout
check "the person's token stays" test -e "$state/token"
refused "a wrong API key: exit 3" 3 '' env POSTERN_API_KEY=pgk_wrong "$postern" whoami
check "the key works again" "$postern" whoami
unset POSTERN_API_KEY
check "key revoke" "$postern" admin service-account key revoke robot 1
says "what was signed with it ends as well" 'Certificates revoked with it: 1$'
refused "a revoked API key, its token cached: exit 3" 3 '' env POSTERN_API_KEY="$api_key" "$postern" whoami

# ---- list, revoke ----
check "list on a terminal is a box" tty -- "$postern" list
says "with marks" '│ ✅ VALID +│ in a day'
check "list in a pipe is plain" "$postern" list
says "without marks" '^[0-9]+ +VALID +in a day +20'
if grep -qE $'\t|[^ -~]' "$work/last"; then report 1 "ASCII, no tabs"; else report 0 "ASCII, no tabs"; fi
check_json "list --json" '.sshKeys[0].status == "valid"' "$postern" --json list
serial=$("$postern" --json list | jq -r '.sshKeys[0].serialNumber')
check "revoke SERIAL" "$postern" revoke "$serial" --reason 'lost laptop'
refused "again: exit 9" 9 'revoked already' "$postern" revoke --serial "$serial"
refused "an unknown serial: exit 8" 8 '12345' "$postern" revoke 12345
refused "no serial: exit 2" 2 'no serial number' "$postern" revoke abc
refused "one of two: exit 2" 2 'one serial' "$postern" revoke 1 --all
refused "revoke-all without a terminal: exit 2" 2 'say --yes' setsid -w "$postern" revoke-all
refused "revoke-all answered no: exit 4" 4 'nothing was revoked' tty --send 'Revoke all' n -- "$postern" revoke-all
check "revoke --all answered yes" tty --send 'Revoke all' y -- "$postern" revoke --all
check_json "revoke-all --yes" '.revoked == 0' "$postern" --json revoke-all --yes
check "list --all shows them" "$postern" list --all
says "revoked" 'REVOKED'
check_json "the reason is kept" '[.sshKeys[].reason] | index("lost laptop")' "$postern" --json list -a

# ---- gen ----
"$postern" admin account set operator --quota 6 >"$work/last" 2>&1
check "gen, with a passphrase" tty --send 'Passphrase.*: ' 'ein langes Geheimnis' --send 'again: ' 'ein langes Geheimnis' -- "$postern" gen -f "$HOME/.ssh/made"
says "it warns" 'deprecated'
check "ssh-keygen opens what was made" ssh-keygen -y -P 'ein langes Geheimnis' -f "$HOME/.ssh/made"
check "it is 0600" test "$(stat -c %a "$HOME/.ssh/made")" = 600
refused "gen never overwrites: exit 9" 9 'force' "$postern" gen -f "$HOME/.ssh/made" --no-passphrase
check_json "gen --force; the private key is not in the output" '(.sshKey | has("privateKey") | not) and .keyFile' \
    "$postern" --json gen -f "$HOME/.ssh/made" --no-passphrase --force
used=$("$postern" --json list -a | jq '.sshKeys | length')
"$postern" admin account set operator --quota 1 >"$work/last" 2>&1
ssh-keygen -q -t ed25519 -N '' -f "$HOME/.ssh/more"
refused "the quota ($used used): exit 5" 5 'try again' "$postern" sign -f "$HOME/.ssh/more"

# ---- state that is not as it should be ----
chmod 640 "$state/token"
refused "a token others can read: exit 4 and the chmod" 4 'chmod 600' "$postern" list
chmod 600 "$state/token"
mv "$config/tls-ca.pem" "$work/tls-ca.pem"
refused "a pinned CA that is gone is not replaced by the system's" 2 'tls-ca.pem' "$postern" list
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/evil.key" -out "$config/tls-ca.pem" \
    -subj /CN=evil -days 2 >"$work/last" 2>&1
refused "another TLS CA than the pinned one: exit 6" 6 'cannot trust' "$postern" list
mv "$work/tls-ca.pem" "$config/tls-ca.pem"
check "mended" "$postern" list

# ---- the authority changes ----
stop_authority() { kill "$authority" && wait "$authority" 2>/dev/null; }
stop_authority
ssh-keygen -q -t ed25519 -N '' -C user -f "$work/authority/ca/user_2.key" && rm "$work/authority/ca/user_2.key.pub"
chown --reference="$work/authority/ca" "$work/authority/ca/user_2.key"
touch -d '+1 minute' "$work/authority/ca/user_2.key"
sed -i 's/^policy:/&\n  encrypted_keys_required: true\n  enrolment_window: 2d/; s/quota_per_day: 5/quota_per_day: 50/' "$work/authority/posternd.yaml"
check "posternd starts with a second CA key" start_authority
"$postern" admin account set operator --quota 50 >"$work/last" 2>&1
check "sign: a new CA key is taken over the pinned TLS, and told" "$postern" sign
says "told" 'has a new user CA key: SHA256:'
check "it is kept" test "$(jq '.document.userCaKeys | length' "$config/site.json")" = 2
check "status knows it" "$postern" status
refused "a key without a passphrase, where the site demands one: exit 4" 4 'ssh-keygen -p' "$postern" sign
check "one with a passphrase is not opened for it" "$postern" sign -f "$HOME/.ssh/rsa"
check "account create, with a window" "$postern" admin account create dave --password-window
says "its password is told, and what for" '^  [a-z2-7]{5}(-[a-z2-7]{5}){3}$'
says "with the command" 'ssh-copy-id -i KEY.pub dave@GATE'
check "account show tells the window" "$postern" admin account show dave
says "until when" '^Window until: +20'
check_json "account window --json" '.windowPassword | length == 23' "$postern" --json admin account window dave
check "account window --close" "$postern" admin account window dave --close
says "said" 'The enrolment window of dave is closed'

# ---- an authority that is not to be trusted ----
stop_authority
refused "the authority is away: exit 6" 6 'cannot reach' "$postern" list
check "status needs nobody" test "$("$postern" --json status | jq -r .status)" = valid
cat >"$work/evil.py" <<'PY'
import http.server
import sys

class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        status, kind, body = open(sys.argv[2], encoding="utf-8").read().split("\n", 2)
        body = body.encode().decode("unicode_escape").encode("utf-8")
        self.send_response(int(status))
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = do_PUT = answer
    def log_message(self, *args):
        pass

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
PY
evil_port=$(free_port)
jq --arg url "http://127.0.0.1:$evil_port" '.url = $url | .tlsPinned = false | .document.policy.encryptedKeysRequired = false' "$config/site.json" >"$work/site.json"
cp "$work/site.json" "$config/site.json"
say() { printf '%s\n%s\n%s' "$@" >"$work/answer"; } # STATUS TYPE BODY, with \u escapes
say 200 application/json '{}'
start evil python3 "$work/evil.py" "$evil_port" "$work/answer"
wait_for 20 bash -c "echo >/dev/tcp/127.0.0.1/$evil_port"
clean() { # DESCRIPTION: nothing of the last output can steer a terminal
    if grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae' "$work/last"; then report 1 "$1"; else report 0 "$1"; fi
}
refused "an empty answer: exit 7" 7 'sshKeys' "$postern" list
say 200 application/json 'not JSON'
refused "no JSON: exit 7" 7 'not understood' "$postern" list
say 200 application/json '{"sshKeys":[7]}'
refused "rows that are none: exit 7" 7 'not understood' "$postern" list
say 503 application/problem+json '{"code":"signer_unavailable","message":"the signer is away","requestId":"r-1"}'
refused "authority trouble: exit 7" 7 'the signer is away \(request r-1\)' "$postern" sign
say 502 text/html '<html>'
refused "a proxy's page: exit 7" 7 'status 502' "$postern" list
say 403 application/problem+json '{"code":"x","message":"a\\u001b[2J\\u009b31m\\u202eb\\u0007c"}'
refused "escapes in a message: exit 4" 4 'a\?\[2J\?31m\?b\?c' "$postern" list
clean "they are not shown"
say 200 application/json '{"sshKeys":[{"serialNumber":"1\\u001b]0;x\\u0007","status":"\\u202e","expireTime":"\\r\\n"}]}'
check "escapes in a table" "$postern" list
clean "they are not shown in a table"
check "escapes in --json" "$postern" --json list
clean "they are not shown in --json"
cp "$key-cert.pub" "$work/kept"
say 200 application/json "{\"sshKey\":{\"publicKey\":\"$(cat "$HOME/.ssh/old-cert.pub")\",\"serialNumber\":\"1\",\"expireTime\":\"2030-01-01T00:00:00Z\"}}"
refused "a certificate of an unknown CA is not written: exit 7" 7 '' "$postern" sign
say 200 application/json "{\"sshKey\":{\"publicKey\":\"$(cat "$HOME/.ssh/other-cert.pub")\",\"serialNumber\":\"1\",\"expireTime\":\"2030-01-01T00:00:00Z\"}}"
refused "a certificate of another key is not written: exit 7" 7 'another key' "$postern" sign
check "the old certificate is as it was" cmp "$work/kept" "$key-cert.pub"

done_testing
