#!/usr/bin/env bash
# postern doctor: clock, authority, account, files, keys, certificates; each is broken, found, named, mended, and ssh works.
# Functions are called through check and refused; a shell of the laptop expands what is in single quotes.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/e2e/doctor_world.sh
. "$(dirname "$0")/doctor_world.sh"

# ---- nothing is wrong ----
check "nothing is wrong: exit 0" laptop postern doctor
says "it says so" '^Nothing is wrong\.$'
check "nor on the way to the jump host" laptop postern doctor ela
check "nor to the node of her job" laptop postern doctor nid001234
says "which is named" 'your job 4711 runs there'
check "--json" laptop sh -c 'postern doctor --json >j; jq -e ".healthy and .first == null and .target == \"daint\"" j'
check "nothing was changed by looking" unchanged
refused "two hosts: exit 2" 2 'takes' laptop postern doctor daint ela
refused "a host's name that is none: exit 2" 2 'name that long' laptop postern doctor "$(printf 'x%.0s' {1..300})"
refused "no such site: exit 2" 2 'no site other' laptop postern --site other doctor

# ---- somebody else's home ----
as_root() { HOME=$laptop_home PATH="$work/bin:$PATH" "$@"; }
mkdir -m 1777 secrets && mv "$laptop_home/.ssh" "$laptop_home/.ssh.kept" && ln -s "$work/secrets" "$laptop_home/.ssh"
refused "root follows nobody's links by --fix" 4 "is another user's, and nothing is changed there by root" as_root postern doctor --fix --yes
check "what they lead to has its mode" test "$(stat -c %a secrets)" = 1777
refused "nor by postern agent --write" 4 "is another user's" as_root postern agent --write
rm "$laptop_home/.ssh" && mv "$laptop_home/.ssh.kept" "$laptop_home/.ssh" && rm -r secrets

# ---- the machine ----
at_time() { laptop faketime "$@"; }
refused "a clock that is three days slow" 4 'clock is 3d behind' at_time '-3 days' postern doctor
says "is the first thing" "first thing that is wrong:|Clock +this machine's clock"
says "and how to set it" 'timedatectl'
refused "one that is an hour fast" 4 "Clock +this machine's clock is 1h ahead of" at_time '+1 hour' postern doctor
refused "--fix cannot set it" 4 'clock is 3d behind' at_time '-3 days' postern doctor --fix --yes
check "and makes no certificate by it" unchanged
stand_in() { # VERSION: an ssh that says to be another one; a stand-in for old clients, whose configuration it cannot judge
    mkdir -p old && printf '#!/bin/sh\n[ "$1" != -V ] || { echo "%s" >&2; exit 0; }\nexec /usr/bin/ssh "$@"\n' "$1" >old/ssh
    chmod 755 old old/ssh
}
with_stand_in() { laptop env PATH="$work/old:$work/bin:/usr/bin:/bin" "$@"; }
stand_in OpenSSH_6.4p1
refused "ssh 6.4 is too old for Ed25519 (a stand-in)" 4 'OpenSSH 6\.4, which is too old for Ed25519' with_stand_in postern doctor
stand_in 'Dropbear v2022.83'
check "one that is not OpenSSH is told of (a stand-in)" with_stand_in postern doctor
says "by its name" '^note +ssh .*Dropbear'
refused "no ssh at all" 4 'there is no ssh on this machine' laptop env PATH="$work/nothing" "$work/bin/postern" doctor

# ---- the authority, and the account ----
kill "$authority_pid" && wait "$authority_pid" 2>/dev/null
refused "the authority is away" 4 'Authority +cannot reach the authority' laptop postern doctor
says "ssh works all the same" '^ok +Login'
serve
reaches_cluster() { laptop postern --json whoami | jq -e '.clusters == ["daint"]'; }
gets "her project loses the cluster" 200 - DELETE /api/v1/projects/p1/clusters/daint "$admin"
finds "no project reaches a cluster" account 'none of the projects of alice reaches a cluster'
gets "it has it again" 200 - PUT /api/v1/projects/p1/clusters/daint "$admin"
gets "another cluster" 201 - POST /api/v1/clusters "$admin" '{"name":"santis","address":"santis.example","port":22}'
laptop postern init "$url" >/dev/null
finds "a cluster that is not hers" account 'none of the projects of alice reaches santis, but: daint' santis
check "once she is in again all is well" wait_for 10 laptop postern doctor
# ---- ~/.ssh and the key in it ----
chmod 777 $ssh
finds "a folder .ssh that others can enter" folder 'mode 777'
mends "chmod mends it"
check "0700 it is" test "$(stat -c %a $ssh)" = 700
chmod 644 $ssh/cscs-key
finds "a private key that others can read" keyModes 'ssh ignores a key like that'
refused "ssh says so too" 255 'UNPROTECTED PRIVATE KEY' laptop ssh -o BatchMode=yes daint true
check "--fix --json keeps its answer apart from what it does" laptop sh -c 'postern doctor --fix --yes --json 2>said >j && jq -e .healthy j && grep chmod said'
mends "chmod mends it"
check "0600 it is" test "$(stat -c %a $ssh/cscs-key)" = 600
chmod 666 $ssh/config
finds "a configuration that others can write" configFile 'ssh does not read one that others can write'
mends "chmod mends it"
sed -i 's/$/\r/' $ssh/config
finds "CR LF in the configuration" configFile 'end in CR LF'
mends "they go"
check "and nothing else does" cmp "$ssh/config" config.good
sed -i 's/$/\r/' $ssh/cscs-key
finds "CR LF in the private key" key 'end in CR LF'
refused "which ssh does not read" 255 'error in libcrypto|invalid format' laptop ssh -o BatchMode=yes daint true
mends "they go"
check "and nothing else does" cmp "$ssh/cscs-key" key.good

puttygen key.good -O private -o "$ssh/cscs-key" && chown alice: $ssh/cscs-key
finds "a key of PuTTY's under the name of ssh's" key 'a key file of PuTTY'
mends "it is converted"
ssh-keygen -e -f key.good >"$ssh/cscs-key.pub"
finds "a public key in SSH2's form" publicKey 'SSH2 \(RFC 4716\)'
mends "it is converted"
check "to what it was" test "$(cut -d' ' -f1,2 $ssh/cscs-key.pub)" = "$(cut -d' ' -f1,2 pub.good)"
ssh-keygen -q -t ed25519 -N '' -C '' -f other
cp other.pub $ssh/cscs-key.pub
finds "a public key of another pair" publicKey 'not the public half'
mends "it is made anew from the private one"
check "as it was" test "$(cut -d' ' -f1,2 $ssh/cscs-key.pub)" = "$(cut -d' ' -f1,2 pub.good)"

# Keys that no server takes.
ssh-keygen -q -t rsa -b 1024 -m PEM -N '' -C '' -f short
ssh-keygen -q -t dsa -N '' -C '' -f dsa 2>last || openssl genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:1024 2>last |
    openssl genpkey -paramfile /dev/stdin -out dsa 2>last
printf 'SSH PRIVATE KEY FILE FORMAT 1.1\n\0\0\0\0' >rsa1
for kind in short:'RSA of too few bits' dsa:DSA rsa1:'RSA of SSH protocol 1'; do
    install -o alice -m 600 "${kind%%:*}" $ssh/cscs-key
    finds "${kind#*:}" key "no server takes any more: ${kind#*:}"
    restore
done
install -o alice -m 600 pub.good $ssh/cscs-key
finds "a public key where the private one should be" key 'is a public key where the private key should be'
restore
install -o alice -m 600 dsa $ssh/cscs-key
refused "a new key needs a passphrase, and there is no terminal" 4 'terminal' laptop setsid -w postern doctor --fix --yes
check "the old one has gone aside" cmp dsa $ssh/cscs-key.was
finds "from then on there is none" key 'there is no key'
phrase='seven long words for a key 5'
through_agent() { laptop sh -c 'eval "$(postern agent --shell sh)" && exec "$@"' sh "$@"; }
check "at a terminal a new one is made, signed, and given to an agent" laptop tty.py --send 'Passphrase for .*: ' "$phrase" \
    --send 'again: ' "$phrase" --send 'Passphrase: ' "$phrase" -- postern doctor --fix --yes
says "until nothing is wrong" '^Nothing is wrong'
check "ssh works, by the agent" through_agent ssh -o BatchMode=yes daint true
check "and the doctor sees that" through_agent postern doctor
check "the agent ends" laptop postern agent --kill
finds "a key with a passphrase, and no agent" agent 'this shell knows of no agent'
check "an agent without the key" laptop sh -c 'eval "$(ssh-agent)" >/dev/null; postern doctor; status=$?; kill "$SSH_AGENT_PID"; exit $status'
says "is told of" '^note +Agent +the agent does not hold the key'
says "and why ssh cannot be tried" '^\? +Login +ssh would ask for the passphrase'
restore

# ---- what the site demands ----
sed -i 's/^\( *\)encrypted_keys_required:.*/\1encrypted_keys_required: true/; t; /^policy:/a\  encrypted_keys_required: true' "$authority/posternd.yaml"
kill "$authority_pid" && wait "$authority_pid" 2>/dev/null
serve
laptop postern init "$url" >/dev/null
finds "a key without a passphrase where the site demands one" passphrase 'cscs demands private keys with a passphrase'
check "it gets one" laptop tty.py --send 'new passphrase.*: ' "$phrase" --send 'again: ' "$phrase" --send 'Passphrase: ' "$phrase" \
    -- postern doctor --fix --yes
says "which is told" '^ok +Passphrase +the key has one'
check "ssh works, by the agent" through_agent ssh -o BatchMode=yes daint true
check "the agent ends" laptop postern agent --kill
restore
sed -i 's/encrypted_keys_required: true/encrypted_keys_required: false/' "$authority/posternd.yaml"
kill "$authority_pid" && wait "$authority_pid" 2>/dev/null
serve
laptop postern init "$url" >/dev/null

# ---- the certificate; without postern-refresh, which would renew most of these before ssh logs in ----
sed -i '/^Match /d' $ssh/config.d/posterngate-cscs
keep
certify() { # [CA] OPTION…: a certificate like the authority's, or not
    local ca=$1
    shift
    ssh-keygen -q -s "$ca" -I alice@cscs -z 4242 "$@" $ssh/cscs-key.pub && chown alice: $ssh/cscs-key-cert.pub
}
user_ca=authority/ca/user_1.key
rm $ssh/cscs-key-cert.pub
finds "no certificate" certificate 'there is no certificate'
mends "postern sign"
certify $user_ca -n alice -V 20240101:20240102
finds "an expired one" certificate 'expired .* ago'
refused "ssh says so" 255 'your certificate expired' laptop ssh -o BatchMode=yes daint true
mends "postern sign"
certify $user_ca -n alice -V 20400101:20400102
finds "one of the future" certificate 'becomes valid only in'
mends "postern sign"
certify $user_ca -n bob -V -1h:+1d
finds "one for another name" certificate 'is not for alice but for bob'
mends "postern sign"
certify $user_ca -n alice -V -1h:+1d -O source-address=192.0.2.0/24
finds "one that is good from elsewhere" login 'not good from the address you come from'
mends "postern sign"
certify other -n alice -V -1h:+1d
finds "one of another CA" certificate 'signed by a CA that this site does not use'
mends "postern sign"
ssh-keygen -q -s $user_ca -I alice@cscs -n alice -z 4243 -V -1h:+1d other.pub && install -o alice other-cert.pub $ssh/cscs-key-cert.pub
finds "one of another key" certificate 'for another key than the one beside it'
mends "postern sign"
echo nonsense >$ssh/cscs-key-cert.pub
finds "one that is none" certificate 'cscs-key-cert.pub'
mends "postern sign"
restore
check "all of hers are revoked" laptop postern revoke --all --yes --reason 'lost laptop'
revoked() { laptop ssh -o BatchMode=yes daint true 2>&1 | grep -q revoked; }
wait_for 10 revoked
finds "a revoked one" revocation 'was revoked: lost laptop'
mends "postern sign"
keep

# ---- signed out ----
check "signed out with a valid certificate" laptop sh -c 'postern logout && postern doctor'
says "is but a note" '^note +Account +nobody is signed in'
certify $user_ca -n alice -V 20240101:20240102
finds "signed out with one that expired" certificate 'nobody is signed in to get a new one'
says "and what to type" '"command": *"postern login"'
check "signed in again" laptop tty.py --send 'User name.*: ' '' --send 'Password: ' "$password" \
    --send 'Code.*: ' "totp:$work/totp:0" -- postern login --password
finds "then it is one that expired, and no more" certificate 'expired .* ago$'
mends "postern sign"
check "asked at the terminal, no does nothing" sh -c "chmod 644 $ssh/cscs-key; ! laptop tty.py --send 'Do it' n -- postern doctor --fix"
check "the mode is as it was" test "$(stat -c %a $ssh/cscs-key)" = 644
check "yes does it" laptop tty.py --send 'Do it' y -- postern doctor --fix
refused "without a terminal --fix asks for --yes" 4 'no terminal to ask at' sh -c "chmod 644 $ssh/cscs-key; laptop setsid -w postern doctor --fix"
done_testing
