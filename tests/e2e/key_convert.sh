#!/usr/bin/env bash
# Goal: postern keygen and postern key convert: every key type, form and direction, judged by ssh-keygen and puttygen.
# Functions are called through check and refused.
# shellcheck disable=SC2317
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

tty() { python3 "$here/tty.py" "$@"; }
export HOME=$work/home LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=1
unset XDG_CONFIG_HOME XDG_STATE_HOME POSTERN_API_KEY SSH_AUTH_SOCK
mkdir -m 700 "$HOME" && cd "$HOME" || exit 1
phrase='correct horse battery' other='tangerine lamp orbit'
printf %s "$phrase" >phrase
printf %s "$other" >other
: >none

mode() { stat -c %a "$1"; }
# The line of a public key file, without its comment.
line() { cut -d' ' -f1,2 "$1"; }
# What OpenSSH and PuTTY say a private key file's public half is. PuTTY names the public key, its certificate apart.
by_openssh() { ssh-keygen -y -P "$2" -f "$1" | cut -d' ' -f1,2; }
by_putty() { puttygen "$1" -O public-openssh | cut -d' ' -f1,2; }
same() { [ -n "$1" ] && [ "$1" = "$2" ]; }
unlocked_by_putty() { # FILE PASSPHRASE-FILE LINE
    rm -f unlocked
    puttygen "$1" -O private-openssh-new --old-passphrase "$2" --new-passphrase none -o unlocked && same "$(by_openssh unlocked '')" "$3"
}
convert() { "$postern" key convert "$@"; }
typing() { tty --send 'Passphrase: ' "$phrase" -- "$postern" key convert "$@"; }

# ---- keygen ----
refused "keygen: no such type: exit 2" 2 'no type of key' "$postern" keygen -t dsa
refused "RSA of 1024 bits" 2 '2048 to 16384' "$postern" keygen -t rsa -b 1024
refused "ECDSA of 257 bits" 2 '256, 384 or 521' "$postern" keygen -t ecdsa -b 257
refused "no rounds" 2 'from 1 to 4096' "$postern" keygen -a 0
refused "more rounds than anybody may ask for" 2 'from 1 to 4096' "$postern" keygen -a 4097
refused "a comment of two lines" 2 'UTF-8' "$postern" keygen -C $'a\nb'
refused "no terminal, no passphrase" 2 'no-passphrase' setsid -w "$postern" keygen
check "weak passphrases are told so and refused, others are asked twice" tty \
    --send 'Passphrase' geheim --send '(?s)6 characters and needs at least 10.*Passphrase' abcabcabcabc \
    --send '(?s)repeats a short text.*Passphrase' abcdefgh1234 --send '(?s)run of neighbouring.*Passphrase' 'Password-2026!' \
    --send '(?s)first that anybody tries.*Passphrase' "$phrase" --send 'again: ' "$other" \
    --send '(?s)two differ.*Passphrase' "$phrase" --send 'again: ' "$phrase" -- "$postern" keygen -C 'alice laptop'
says "what to type next" 'postern init https://'
check "the private key is 0600 in a folder of 0700" same "$(mode .ssh/id_ed25519) $(mode .ssh)" "600 700"
check "ssh-keygen reads it" same "$(by_openssh .ssh/id_ed25519 "$phrase")" "$(line .ssh/id_ed25519.pub)"
check "100 rounds, aes256-ctr" "$postern" key inspect .ssh/id_ed25519
says "as it says" 'aes256-ctr, bcrypt, 100 rounds'
check "the comment" grep -q ' alice laptop$' .ssh/id_ed25519.pub
before=$(sha256sum .ssh/id_ed25519)
refused "never a second one over it: exit 9" 9 'exists already' "$postern" keygen --no-passphrase
check "the first is as it was" same "$before" "$(sha256sum .ssh/id_ed25519)"
check "unless by force" "$postern" keygen --no-passphrase --force
check "RSA has 4096 bits" "$postern" keygen -t rsa --no-passphrase -f r
check "by ssh-keygen" bash -c 'ssh-keygen -lf r.pub | grep -q "^4096 .*(RSA)"'
"$postern" --json keygen -t ecdsa -b 384 --no-passphrase -f e >"$work/last" 2>&1
jq -e '.type == "ecdsa-sha2-nistp384" and .encrypted == false and .publicKeyFile == .keyFile + ".pub"' "$work/last" >"$work/condition"
report $? "--json"
check "--help" "$postern" keygen --help

# ---- convert: what is refused ----
refused "no such file: exit 8" 8 'missing' convert missing --to ppk
refused "no form" 2 'there are openssh' convert r
refused "no such form" 2 'there are openssh' convert r --to putty
refused "a .ppk of a public key" 2 'private key' convert r.pub --to ppk
refused "a .ppk of the public half" 2 'private key' convert r --to ppk --public
echo nothing >nothing
refused "no key at all" 2 'no SSH key' convert nothing --to openssh
refused "traditional PEM of Ed25519" 2 'key convert .* --to pkcs8' convert .ssh/id_ed25519 --to pem
refused "PKCS#1 of ECDSA" 2 'no pem form' convert e --to pem --public
check "a .ppk whose passphrase is hard to try in another way" puttygen r -O private --ppk-param kdf=argon2d --new-passphrase phrase -o odd.ppk
refused "is refused with what to type" any 'puttygen odd.ppk --reencrypt' typing odd.ppk --to openssh
refused "no terminal to ask at: exit 4" 4 'no terminal' setsid -w "$postern" key convert odd.ppk --to openssh
check "--help" "$postern" key convert --help

# ---- every type, form and direction ----
ssh-keygen -q -t ed25519 -N '' -f ca
for options in "ed25519" "ecdsa -b 256" "ecdsa -b 384" "ecdsa -b 521" "rsa -b 2048"; do
    type=${options/ -b /-}
    rm -rf t && mkdir t && cd t || exit 1
    cp ../phrase ../none .
    # shellcheck disable=SC2086
    ssh-keygen -q -t $options -N '' -C 'alice laptop' -f k
    line=$(line k.pub)
    cp k s && ssh-keygen -q -p -P '' -N "$phrase" -f s # s: sealed
    cp k.pub s.pub
    for form in ppk ppk2; do
        check "$type to $form" convert k --to $form -o k.$form
        check "$type to $form: 0600" same "$(mode k.$form)" 600
        check "$type to $form: puttygen reads it" unlocked_by_putty k.$form none "$line"
        check "$type to $form, sealed" typing s --to $form -o s.$form
        check "$type to $form, sealed: puttygen reads it" unlocked_by_putty s.$form phrase "$line"
        version=$([ $form = ppk ] && echo 3 || echo 2)
        puttygen k -O private --ppk-param version="$version" --new-passphrase none -o p.$form
        puttygen k -O private --ppk-param version="$version" --new-passphrase phrase -o q.$form
        check "$type from puttygen's $form" convert p.$form --to openssh -o p.k
        check "$type from puttygen's $form: ssh-keygen reads it" same "$(by_openssh p.k '')" "$line"
        check "$type from puttygen's $form: its public half and comment" same "$(cat p.k.pub)" "$(cat k.pub)"
        check "$type from puttygen's sealed $form" typing q.$form --to openssh -o q.k
        check "$type from puttygen's sealed $form: ssh-keygen reads it" same "$(by_openssh q.k "$phrase")" "$line"
        rm -f p.k* q.k*
    done
    for form in pkcs8 pem; do
        [ "$type/$form" != ed25519/pem ] || continue
        check "$type to $form" convert k --to $form -o k.$form
        check "$type to $form, sealed" typing s --to $form -o s.$form
        if [ "$type" = ed25519 ]; then # which ssh-keygen reads from 9.6 on
            check "$type to $form: openssl reads it" openssl pkey -in k.$form -noout
            check "$type to $form, sealed: openssl reads it" openssl pkey -in s.$form -passin "pass:$phrase" -noout
        else
            check "$type to $form: ssh-keygen reads it" same "$(by_openssh k.$form '')" "$line"
            check "$type to $form, sealed: ssh-keygen reads it" same "$(by_openssh s.$form "$phrase")" "$line"
        fi
        check "$type from $form" convert k.$form --to openssh -o f.k
        check "$type from $form: ssh-keygen reads it" same "$(by_openssh f.k '')" "$line"
        check "$type from sealed $form" typing s.$form --to ppk -o f.ppk
        check "$type from sealed $form: puttygen reads it" unlocked_by_putty f.ppk phrase "$line"
        rm -f f.*
    done
    convert k --to ssh2 >k.ssh2
    check "$type to ssh2: ssh-keygen reads it" same "$(ssh-keygen -i -f k.ssh2)" "$line"
    check "$type to ssh2: puttygen reads it" same "$(by_putty k.ssh2)" "$line"
    ssh-keygen -e -f k.pub >o.ssh2
    puttygen k -O public -o p.ssh2
    check "$type from ssh-keygen's ssh2" same "$(convert o.ssh2 --to openssh | cut -d' ' -f1,2)" "$line"
    check "$type from puttygen's ssh2, with its comment" same "$(convert p.ssh2 --to openssh)" "$(cat k.pub)"
    convert k.pub --to pkcs8 >k.spki
    check "$type public pkcs8: openssl reads it" openssl pkey -pubin -in k.spki -noout
    check "$type public pkcs8 and back" same "$(convert k.spki --to openssh)" "$line"
    check "$type: the public half of a sealed key needs no passphrase" same "$(setsid -w "$postern" key convert s --to openssh --public)" "$line"
    check "$type: nor that of a sealed .ppk, with its comment" same "$(setsid -w "$postern" key convert s.ppk --to openssh --public)" "$(cat k.pub)"
    # Certificates
    ssh-keygen -q -s ../ca -I alice -n alice k.pub
    check "$type to ppk takes the certificate along" convert k --to ppk -o c.ppk
    says "$type: as it says" 'with its certificate'
    check "$type: puttygen finds it there" bash -c 'puttygen c.ppk --cert-info | grep -q "Key ID string: *alice\|alice"'
    check "$type from ppk gives it back" convert c.ppk --to openssh -o c
    check "$type: it is the same" same "$(line c-cert.pub)" "$(line k-cert.pub)"
    check "$type to ppk, without" convert k --to ppk -o d.ppk --no-certificate
    check "$type: puttygen finds none" bash -c '! grep -q cert-v01 d.ppk'
    cd .. || exit 1
done

# ---- files and passphrases ----
cp t/k t/k.pub t/k-cert.pub . && cp t/s sealed
check "names its output" convert k --to ppk
check "beside the file" test -s k.ppk
refused "which is not replaced: exit 9" 9 'k.ppk exists already' convert k --to ppk
refused "and no passphrase is asked for in vain" 9 'k.ppk exists already' setsid -w "$postern" key convert sealed --to ppk -o k.ppk
refused "another passphrase and none" 2 'exclude each other' convert k --to ppk --new-passphrase --no-passphrase
check "unless by force" convert k --to ppk --force
refused "nor is the original: exit 9" 9 'k exists already' convert k.ppk --to openssh
mkdir back && cp k.ppk k.pub back
check "a public key that is there and the same stays" convert back/k.ppk --to openssh
echo 'ssh-ed25519 AAAA another' >back/x.pub
refused "another one is not replaced: exit 9" 9 'x.pub exists already' convert k.ppk --to openssh -o back/x
check "and no private key was written beside it" test ! -e back/x
check "another passphrase" tty --send 'Passphrase: ' "$phrase" --send 'Passphrase for the key' "$other" --send 'again: ' "$other" \
    -- "$postern" key convert sealed --to ppk -o new.ppk --new-passphrase
check "is what opens it" unlocked_by_putty new.ppk other "$(line k.pub)"
check "none" tty --send 'Passphrase: ' wrong --send 'Passphrase: ' "$phrase" -- "$postern" key convert sealed --to openssh -o open --no-passphrase
check "opens by itself" same "$(by_openssh open '')" "$(line k.pub)"
check "rounds" typing sealed --to openssh -o slow -a 200
check "are written" "$postern" key inspect slow
says "as asked" '200 rounds'
check "traditional PEM with a passphrase" typing sealed --to pem -o weak.pem
says "is warned of" 'warning: .*--to pkcs8'
"$postern" --json key convert k --to ppk -o j.ppk >"$work/last" 2>&1
jq -e '.kind == "private" and .format == "ppk" and .certificate == true and .encrypted == false' "$work/last" >"$work/condition"
report $? "--json"
"$postern" --json key convert k --to ssh2 >"$work/last" 2>&1
jq -e '.publicKey | startswith("---- BEGIN SSH2")' "$work/last" >"$work/condition"
report $? "--json, public"
check "inspect knows PuTTY's files" "$postern" key inspect new.ppk
says "and their protection" 'aes256-cbc, argon2id'
check "no temporary file is left" test "$(find . -name '*.??????' | wc -l)" = 0

done_testing
