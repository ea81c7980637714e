#!/usr/bin/env bash
# Goal: postern keygen has ssh-keygen make keys on a security token, under the same rules as every other key. The token is a
# stand-in (stand_in_token.c): no hardware is here; ssh-keygen loads it as a provider and is otherwise as always.
# Functions are called through check and refused.
# shellcheck disable=SC2317
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

tty() { python3 "$here/tty.py" "$@"; }
export HOME=$work/home XDG_RUNTIME_DIR=$work/run LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=1
unset XDG_CONFIG_HOME XDG_STATE_HOME SSH_AUTH_SOCK SSH_ASKPASS DISPLAY
mkdir -m 700 "$HOME" "$XDG_RUNTIME_DIR"
password='blue river stone 47'

refused "--bits" 2 'have 256' "$postern" keygen -t ed25519-sk -b 384
refused "--option of another type" 2 'security token' "$postern" keygen -t rsa -O resident
refused "no token" 4 'plugged in' "$postern" keygen -t ed25519-sk --no-passphrase
check "nothing is left of it" test -z "$(find "$HOME" "$XDG_RUNTIME_DIR" -mindepth 1)"
export SSH_SK_PROVIDER=$BUILD/tests/e2e/stand_in_token.so
for type in ed25519-sk ecdsa-sk; do
    file=$HOME/.ssh/id_${type//-/_}
    check "$type" "$postern" keygen -t $type --no-passphrase -C desk
    says "what to do next" 'postern init'
    check "$type: ssh-keygen knows it" bash -c "ssh-keygen -l -f '$file' | grep -qi '256 .* desk (${type^^})'"
    check "$type: the public half is that of the private file" bash -c "ssh-keygen -y -f '$file' | cmp - '$file.pub'"
    check "$type: modes" test "$(stat -c %a "$file" "$file.pub" | tr '\n' ' ')" = "600 644 "
    cp "$file" "$work/before"
    refused "$type: a key that is there is not replaced" 9 'exists already' "$postern" keygen -t $type --no-passphrase
    check "$type: it is as it was" cmp "$file" "$work/before"
done
key=$HOME/.ssh/id_ed25519_sk
echo words >"$work/words"
check "it signs, through the token" bash -c "ssh-keygen -q -Y sign -n test -f '$key' <'$work/words' >'$work/words.sig' 2>/dev/null &&
    echo \"alice \$(cat '$key.pub')\" >'$work/allowed' && ssh-keygen -q -Y verify -f '$work/allowed' -I alice -n test -s '$work/words.sig' <'$work/words'"
check "--force replaces it" "$postern" keygen -t ed25519-sk --no-passphrase --force
check "with another" bash -c "! ssh-keygen -q -Y verify -f <(echo \"alice \$(cat '$key.pub')\") -I alice -n test -s '$work/words.sig' <'$work/words'"
check "a passphrase, judged and asked twice" tty --send 'for none.: ' password --send 'for none.: ' "$password" --send 'again: ' "$password" \
    -- "$postern" keygen -t ed25519-sk -f "$HOME/locked"
check "locks it" bash -c "! ssh-keygen -y -P wrong -f '$HOME/locked' && ssh-keygen -y -P '$password' -f '$HOME/locked' | cmp -n 60 - '$HOME/locked.pub'"
check "in 100 rounds" "$postern" key inspect "$HOME/locked"
says "as every key of ours" '100 rounds'
check "the token's PIN is asked by ssh-keygen" tty --send 'PIN' 1234 -- "$postern" keygen -t ed25519-sk -O verify-required --no-passphrase -f "$HOME/pin"
check "the key is there" test -s "$HOME/pin"
refused "a wrong PIN" any 'made no ed25519-sk key' tty --send 'PIN' 9999 --send 'PIN for' 9999 --send 'PIN for' 9999 -- "$postern" keygen -t ed25519-sk -O verify-required --no-passphrase -f "$HOME/none"
check "makes no key" test ! -e "$HOME/none"
check "no file is left in between" test -z "$(ls -A "$XDG_RUNTIME_DIR")"
check "the agent leaves it to ssh-add" bash -c "eval \"\$('$postern' agent)\"; '$postern' agent -f '$key' 2>&1 | grep -q ssh-add; '$postern' agent --kill"
done_testing
