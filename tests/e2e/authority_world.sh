# shellcheck shell=bash
# An authority of one's own, spoken to with curl. The scenario starts it by start_authority, which leaves its
# administrator's invitation in $invitation; alice_signs_in makes her $admin. A scenario that wants another name of the
# authority's host, or another administrator, sets $authority_host and $administrator before.
# Used by the scenarios.
# shellcheck disable=SC2034
port=$(free_port)
authority_host=${authority_host:-127.0.0.1} administrator=${administrator:-alice} site=${site:-test}
url=https://$authority_host:$port
authority=$work/authority

# ---- speaking to the authority ---------------------------------------------------------------

from=() # curl's options for another source address
# Sets $status; the body is in $work/last, the head in $work/last_head.
api() { # METHOD PATH TOKEN [JSON]
    local arguments=(-sS --cacert "$authority/tls/ca.pem" --max-time 60 -o "$work/last" -D "$work/last_head" -w '%{http_code}' -X "$1")
    arguments+=("${from[@]}")
    [ -z "$3" ] || arguments+=(-H "Authorization: Bearer $3")
    [ -z "${4:-}" ] || arguments+=(-H 'Content-Type: application/json' --data-binary "$4")
    status=$(curl "${arguments[@]}" "$url$2") || status=none
}

field() { jq -er "$1" "$work/last"; }

# The call is answered with this status and, when it is a refusal, this code.
gets() { # DESCRIPTION STATUS CODE METHOD PATH TOKEN [JSON]
    local description=$1 expected=$2 code=$3
    shift 3
    api "$@"
    if [ "$status" = "$expected" ] && { [ "$code" = - ] || [ "$(field .code)" = "$code" ]; }; then
        report 0 "$description"
    else
        echo "(status $status, expected $expected $code)" >>"$work/last"
        report 1 "$description"
    fi
}

# What the last call answered.
has() { # DESCRIPTION JQ-CONDITION
    [ -s "$work/last" ] && jq -e "$2" "$work/last" >"$work/condition" 2>&1
    report $? "$1"
}

# The code of a step near now; waits for the next step when this one is about to end.
code() { # SECRET [SECONDS]
    local now
    now=$(date +%s)
    while [ $((now % 30)) -gt 24 ]; do
        read -rt 0.2 <> <(:) || :
        now=$(date +%s)
    done
    oathtool --totp -b --now "@$((now + ${2:-0}))" "$1"
}

# Accepts an invitation and confirms it with the code of the step before; sets $secret and $token.
enrol() { # INVITATION PASSWORD
    api POST /api/v1/auth/invitation '' "{\"invitation\":\"$1\",\"password\":\"$2\"}"
    secret=$(field .totpSecret) || return 1
    api POST /api/v1/auth/invitation/confirm '' "{\"invitation\":\"$1\",\"totp\":\"$(code "$secret" -30)\"}"
    token=$(field .access_token)
}

audited() { # DESCRIPTION JQ-CONDITION-ON-A-ROW [QUERY]
    api GET "/api/v1/audit?limit=1000${3:-}" "$admin"
    jq -e "[.audit[] | select($2)] | length > 0" "$work/last" >"$work/condition" 2>&1
    report $? "$1"
}

make_authority() {
    check "an authority is made" "$posternd" init "$authority" --site "$site" --listen "${authority_address:-127.0.0.1}:$port" \
        --url "$url" --admin "$administrator"
    invitation=$(grep -oE 'pgi_[A-Za-z0-9_-]{43}' "$work/last")
}

start_authority() {
    make_authority
    serve
}

ready() { curl -fsS --cacert "$authority/tls/ca.pem" "$url/readyz"; }

serve() {
    start posternd "$posternd" serve -c "$authority/posternd.yaml"
    authority_pid=$last_pid
    check "it starts" wait_for 30 ready
}

alice_signs_in() {
    enrol "$invitation" correct-horse-battery
    report $? "alice signs in"
    admin=$token
}

# Makes the account and signs in; sets $token.
invite() { # NAME PASSWORD
    gets "an account for $1" 201 - POST /api/v1/accounts "$admin" "{\"name\":\"$1\",\"displayName\":\"The one named $1\"}"
    enrol "$(field .invitation)" "$2"
    report $? "$1 accepts the invitation"
}

# Makes a host, with the members of JSON, and enrols it; sets $host_token.
enrol_host() { # NAME JSON
    gets "a host $1" 201 - POST /api/v1/hosts "$admin" "{\"name\":\"$1\",$2}"
    host_token=$(host_enrols "$1" "$(field .enrolmentToken)")
    report $? "$1 enrols"
}

host_enrols() { # NAME ENROLMENT-TOKEN: prints its token
    [ -e "$work/$1.key" ] || ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/$1.key"
    api POST /api/v1/host/enrol '' "{\"token\":\"$2\",\"hostKeys\":[\"$(cat "$work/$1.key.pub")\"]}"
    field .hostToken
}

key() { # NAME [OPTION…]: prints the public half of a key of that name, made where there is none
    local name=$1
    shift
    [ -e "$work/$name" ] || ssh-keygen -q -t ed25519 -N '' -C "$name" "$@" -f "$work/$name"
    cat "$work/$name.pub"
}
