# shellcheck shell=bash
# A browser (curl with a jar of cookies) and a client of the embedded issuer, for scenarios on authority_world.sh.
# Used by the scenarios.
# shellcheck disable=SC2034,SC2154
back=http://127.0.0.1:4711/back

random_text() { head -c 32 /dev/urandom | basenc --base64url | tr -d '='; }

# Sets $verifier, $challenge and $nonce.
new_request() {
    verifier=$(random_text) nonce=$(random_text)
    challenge=$(printf %s "$verifier" | openssl dgst -sha256 -binary | basenc --base64url | tr -d '=')
}

authorize_query() { # REDIRECT-URI
    printf 'client_id=posterngate-cli&response_type=code&scope=openid%%20offline_access&state=st%%26%%20ate&nonce=%s&code_challenge=%s&code_challenge_method=S256&redirect_uri=%s' \
        "$nonce" "$challenge" "$(jq -rn --arg uri "$1" '$uri | @uri')"
}

jar=$work/cookies
# What a browser does: sets $status; the page is in $work/last, its headers in $work/headers.
visit() { # METHOD PATH [CURL-OPTION…]
    local method=$1 path=$2
    shift 2
    status=$(curl -sS --cacert "$authority/tls/ca.pem" --max-time 60 -b "$jar" -c "$jar" -D "$work/headers" -o "$work/last" \
        -w '%{http_code}' -X "$method" "$@" "$url$path") || status=none
}

location() { sed -n 's/^[Ll]ocation: //p' "$work/headers" | tr -d '\r'; }
answered_code() { location | sed -nE 's/.*[?&]code=([^&]*).*/\1/p'; }

shows() { # DESCRIPTION STATUS PATTERN
    local result=0
    [ "$status" = "$2" ] && { [ -z "$3" ] || tr '\n' ' ' <"$work/last" | grep -qE -- "$3"; } || result=1
    [ $result = 0 ] || echo "(status $status, expected $2; looking for: $3)" >>"$work/last"
    report $result "$1"
}

asks() { # DESCRIPTION STATUS PATTERN QUERY
    visit GET "/oauth/authorize?$4"
    cp "$work/last" "$work/page"
    shows "$1" "$2" "$3"
}

# The form of the last page asked for, with these fields in place of its own.
submit() { # PATH [--no-cookies] FIELD=VALUE…
    local path=$1 options=() name value jar=$jar
    shift
    if [ "${1:-}" = --no-cookies ]; then
        jar=/dev/null
        shift
    fi
    while IFS=$'\t' read -r name value; do
        [[ " $* " == *" $name="* ]] || options+=(--data-urlencode "$name=$value")
    done < <(python3 "$here/hidden.py" "$work/page")
    for value in "$@"; do options+=(--data-urlencode "$value"); done
    visit POST "$path" "${options[@]}"
}

submits() { # DESCRIPTION STATUS PATTERN [--no-cookies] FIELD=VALUE…
    submit /oauth/authorize "${@:4}"
    shows "$1" "$2" "$3"
}

# Enters the code into the page that asks for one, as a person does, and answers the page that comes of it.
enters_code() { # CODE
    visit GET /device
    cp "$work/last" "$work/page"
    submit /device action=find user_code="$1"
    cp "$work/last" "$work/page"
    [ "$status" = 200 ]
}
submits_device() { # DESCRIPTION STATUS PATTERN CODE FIELD=VALUE…
    enters_code "$4" && submit /device "${@:5}"
    cp "$work/last" "$work/page"
    shows "$1" "$2" "$3"
}

# A form to an endpoint that answers JSON; ERROR is OAuth's.
post_form() { # DESCRIPTION STATUS ERROR PATH FIELD=VALUE…
    local description=$1 expected=$2 error=$3 path=$4 options=() value result=0
    shift 4
    for value in "$@"; do options+=(--data-urlencode "$value"); done
    status=$(curl -sS --cacert "$authority/tls/ca.pem" --max-time 60 -o "$work/last" -w '%{http_code}' "${options[@]}" "$url$path") || status=none
    [ "$status" = "$expected" ] && { [ "$error" = - ] || [ "$(field .error)" = "$error" ]; } || result=1
    [ $result = 0 ] || echo "(status $status, expected $expected $error)" >>"$work/last"
    report $result "$description"
}

trade() { # DESCRIPTION STATUS ERROR FIELD=VALUE…: at the token endpoint, as our client unless the fields say otherwise
    local client=(client_id=posterngate-cli)
    [[ " $* " != *" client_id="* ]] || client=()
    post_form "$1" "$2" "$3" /oauth/token "${client[@]}" "${@:4}"
}

# ---- ID tokens ----------------------------------------------------------------------------------

base64url_decode() { python3 -c 'import base64, sys; t = sys.stdin.read().strip(); sys.stdout.buffer.write(base64.urlsafe_b64decode(t + "=" * (-len(t) % 4)))'; }
id_token_header() { cut -d. -f1 <<<"$1" | base64url_decode; }
id_token_claims() { cut -d. -f2 <<<"$1" | base64url_decode; }

# By openssl alone: the key of the set that the token names, as PEM, and the signature over the first two parts.
id_token_verifies() { # TOKEN KEY-SET
    local kid
    kid=$(id_token_header "$1" | jq -r .kid)
    [ "$(id_token_header "$1" | jq -r .alg)" = RS256 ] || return 1
    jq -e --arg kid "$kid" '.keys[] | select(.kid == $kid)' "$2" >"$work/jwk.json" || return 1
    {
        echo 'asn1=SEQUENCE:key'
        echo '[key]'
        echo "n=INTEGER:0x$(jq -r .n "$work/jwk.json" | base64url_decode | xxd -p | tr -d '\n')"
        echo "e=INTEGER:0x$(jq -r .e "$work/jwk.json" | base64url_decode | xxd -p)"
    } >"$work/key.cnf"
    openssl asn1parse -genconf "$work/key.cnf" -noout -out "$work/key.der" &&
        openssl rsa -RSAPublicKey_in -inform DER -in "$work/key.der" -out "$work/key.pem" 2>/dev/null || return 1
    cut -d. -f3 <<<"$1" | base64url_decode >"$work/signature"
    printf %s "${1%.*}" | openssl dgst -sha256 -verify "$work/key.pem" -signature "$work/signature"
}
