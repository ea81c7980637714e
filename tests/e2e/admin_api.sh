#!/usr/bin/env bash
# The whole of administration, sign-in, API keys, hosts and the feed, driven by curl: what is allowed works, and everything
# else is refused, whoever tries.
. "$(dirname "$0")/lib.sh"

. "$(dirname "$0")/authority_world.sh"

login() { # DESCRIPTION STATUS CODE USERNAME PASSWORD TOTP
    gets "$1" "$2" "$3" POST /api/v1/auth/login '' "{\"username\":\"$4\",\"password\":\"$5\",\"totp\":\"$6\"}"
}

exchange() { # APIKEY
    status=$(curl -sS --cacert "$authority/tls/ca.pem" -o "$work/last" -w '%{http_code}' -X POST -H "X-API-Key: $1" \
        "$url/api/v1/auth/token")
}

exchange_gets() { # DESCRIPTION STATUS CODE APIKEY
    exchange "$4"
    [ "$status" = "$2" ] && { [ "$3" = - ] || [ "$(field .code)" = "$3" ]; }
    report $? "$1"
}

start_authority

# ---- invitation ------------------------------------------------------------------------------

good=correct-horse-battery
gets "a made-up invitation is refused" 401 invalid_invitation POST /api/v1/auth/invitation '' \
    "{\"invitation\":\"pgi_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"password\":\"$good\"}"
gets "text that is no invitation gets the same answer" 401 invalid_invitation POST /api/v1/auth/invitation '' \
    "{\"invitation\":\"x\",\"password\":\"$good\"}"
gets "a short password is refused" 422 password_refused POST /api/v1/auth/invitation '' \
    "{\"invitation\":\"$invitation\",\"password\":\"short\"}"
has "… and the field is named" '.field == "password"'
gets "a password of a run of letters is refused" 422 password_refused POST /api/v1/auth/invitation '' \
    "{\"invitation\":\"$invitation\",\"password\":\"abcdefghijklmnop\"}"
gets "confirming what was not prepared is refused" 401 invalid_credentials POST /api/v1/auth/invitation/confirm '' \
    "{\"invitation\":\"$invitation\",\"totp\":\"123456\"}"
login "nobody signs in before the invitation is confirmed" 401 invalid_credentials alice "$good" 123456
gets "the invitation gives a secret" 200 - POST /api/v1/auth/invitation '' \
    "{\"invitation\":\"$invitation\",\"password\":\"$good-older\"}"
older=$(field .totpSecret)
gets "… and again until it is confirmed" 200 - POST /api/v1/auth/invitation '' \
    "{\"invitation\":\"$invitation\",\"password\":\"$good\"}"
secret=$(field .totpSecret)
has "… as a link for authenticator apps, too" '.totpUri | startswith("otpauth://totp/test:alice?secret=")'
gets "the older secret's code does not confirm" 401 invalid_credentials POST /api/v1/auth/invitation/confirm '' \
    "{\"invitation\":\"$invitation\",\"totp\":\"$(code "$older" -30)\"}"
first=$(code "$secret" -30)
gets "the new one's does, and signs in" 200 - POST /api/v1/auth/invitation/confirm '' \
    "{\"invitation\":\"$invitation\",\"totp\":\"$first\"}"
admin=$(field .access_token) alice_secret=$secret
has "… with a bearer token" '.token_type == "Bearer" and .expires_in > 0 and .username == "alice"'
gets "an invitation works once" 401 invalid_invitation POST /api/v1/auth/invitation/confirm '' \
    "{\"invitation\":\"$invitation\",\"totp\":\"$(code "$secret")\"}"
gets "… also for a new password" 401 invalid_invitation POST /api/v1/auth/invitation '' \
    "{\"invitation\":\"$invitation\",\"password\":\"$good\"}"
gets "whoami knows the administrator" 200 - GET /api/v1/auth/whoami "$admin"
has "… and says so" '.username == "alice" and .administrator and .kind == "person" and .credential == "session"'

# ---- sign-in ---------------------------------------------------------------------------------

login "the code that confirmed is used up" 401 invalid_credentials alice "$good" "$first"
message=$(field .message)
login "an unknown user gets the same answer" 401 invalid_credentials nobody "$good" "$(code "$secret")"
has "… to the letter" ".message == \"$message\""
login "a wrong password as well" 401 invalid_credentials alice "$good-not" "$(code "$secret")"
has "… to the letter" ".message == \"$message\""
second=$(code "$secret")
login "a new code signs in" 200 - alice "$good" "$second"
session=$(field .access_token)
login "a code works only once" 401 invalid_credentials alice "$good" "$second"
login "a code before one that was used is refused" 401 invalid_credentials alice "$good" "$first"
gets "logout" 200 - POST /api/v1/auth/logout "$session"
gets "… ends that session" 401 not_logged_in GET /api/v1/auth/whoami "$session"
gets "… and no other" 200 - GET /api/v1/auth/whoami "$admin"
gets "no token, no answer" 401 not_logged_in GET /api/v1/accounts ''
gets "an invitation is no bearer" 401 not_logged_in GET /api/v1/auth/whoami "$invitation"

gets "a member that is not known is refused" 400 unknown_field POST /api/v1/accounts "$admin" '{"name":"bob","admin":true}'
has "… and named" '.field == "admin"'
gets "a wrong type is refused" 400 wrong_type POST /api/v1/accounts "$admin" '{"name":"bob","administrator":"true"}'
gets "a missing member is refused" 400 missing_field POST /api/v1/accounts "$admin" '{"displayName":"Bob"}'
gets "a member given twice is refused" 400 bad_json POST /api/v1/accounts "$admin" '{"name":"bob","name":"root"}'
gets "another method is refused" 405 method_not_allowed DELETE /api/v1/accounts "$admin"

# ---- accounts --------------------------------------------------------------------------------

# What a certificate's principal must never be: a list, a wildcard, root, another name in disguise.
for name in root 'bob,root' '*' 'bob root' 'bob?' Bob '' '-bob' 'böb' "$(printf 'b%.0s' {1..33})"; do
    gets "no account can be named '$name'" 422 name_refused POST /api/v1/accounts "$admin" "{\"name\":\"$name\"}"
    has "… which field it is" '.field == "name"'
done
gets "a name cannot hide a NUL" 400 - POST /api/v1/accounts "$admin" '{"name":"bob\u0000root"}'

invite bob blue-river-stone-47
bob=$token bob_secret=$secret
invite carol green-field-cloud-12
carol=$token
invite dave grey-night-lamp-93
dave=$token dave_secret=$secret
gets "a name is given once" 409 exists POST /api/v1/accounts "$admin" '{"name":"bob"}'
gets "accounts are listed" 200 - GET /api/v1/accounts "$admin"
has "… by name" '[.accounts[].name] == ["alice","bob","carol","dave"] and all(.accounts[]; .enrolled)'
gets "… in pages" 200 - GET '/api/v1/accounts?after=alice&limit=2' "$admin"
has "… of the size asked for" '[.accounts[].name] == ["bob","carol"]'
gets "one account is shown" 200 - GET /api/v1/accounts/bob "$admin"
gets "one that is not there is not" 404 not_found GET /api/v1/accounts/erin "$admin"

for call in 'GET /api/v1/accounts' 'GET /api/v1/accounts/alice' 'POST /api/v1/accounts {"name":"eve"}' \
    'PUT /api/v1/accounts/bob {"administrator":true}' 'POST /api/v1/accounts/alice/invitation' 'GET /api/v1/audit' \
    'POST /api/v1/projects {"name":"mine"}' 'PUT /api/v1/projects/p1/clusters/daint' 'GET /api/v1/hosts' \
    'DELETE /api/v1/projects/p1/clusters/daint' 'POST /api/v1/clusters {"name":"mine"}' 'PUT /api/v1/clusters/daint {"port":23}' \
    'POST /api/v1/hosts {"name":"h","role":"jump"}' 'POST /api/v1/hosts/h/enrolment' 'DELETE /api/v1/hosts/h'; do
    read -r method path body <<<"$call"
    gets "$method $path is for administrators" 403 not_permitted "$method" "$path" "$bob" "$body"
done
gets "bob is no administrator for all that" 200 - GET /api/v1/accounts/bob "$admin"
has "… indeed" '.account.administrator == false'

gets "the last administrator cannot be demoted" 409 last_administrator PUT /api/v1/accounts/alice "$admin" \
    '{"administrator":false}'
gets "… nor disabled" 409 last_administrator PUT /api/v1/accounts/alice "$admin" '{"disabled":true}'
gets "an administrator who never signed in" 201 - POST /api/v1/accounts "$admin" '{"name":"frank","administrator":true}'
gets "… does not make alice dispensable" 409 last_administrator PUT /api/v1/accounts/alice "$admin" '{"disabled":true}'
gets "a quota out of range is refused" 400 out_of_range PUT /api/v1/accounts/bob "$admin" '{"quotaPerDay":-1}'
gets "… in either direction" 400 out_of_range PUT /api/v1/accounts/bob "$admin" '{"quotaPerDay":100001}'
gets "the highest is accepted" 200 - PUT /api/v1/accounts/bob "$admin" '{"quotaPerDay":100000}'
# LIMIT_DISPLAY_NAME_CHARS
gets "a display name can be long" 200 - PUT /api/v1/accounts/bob "$admin" "{\"displayName\":\"$(printf 'n%.0s' {1..128})\"}"
gets "… but not longer than that" 400 too_long PUT /api/v1/accounts/bob "$admin" "{\"displayName\":\"$(printf 'n%.0s' {1..129})\"}"
gets "details can be changed" 200 - PUT /api/v1/accounts/bob "$admin" \
    '{"quotaPerDay":7,"displayName":"Bob","email":"bob@example.org"}'
has "… and what was not named stays" \
    '.account | .quotaPerDay == 7 and .displayName == "Bob" and .email == "bob@example.org" and (.disabled | not)'

# ---- the time that a refusal takes ------------------------------------------------------------

# The least time in ms of four wrong sign-ins: whatever else the machine does only adds.
least_ms() { # USERNAME PASSWORD
    local i least=100000 took
    for i in 1 2 3 4; do
        took=$(curl -sS --cacert "$authority/tls/ca.pem" -o "$work/last" -w '%{time_starttransfer} %{time_appconnect}' \
            -H 'Content-Type: application/json' "$url/api/v1/auth/login" \
            --data "{\"username\":\"$1\",\"password\":\"$2\",\"totp\":\"000000\"}" |
            awk '{printf "%d", ($1 - $2) * 1000}')
        [ "$(field .code)" = invalid_credentials ] || echo "unexpected: $(cat "$work/last")" >&2
        [ "$took" -ge "$least" ] || least=$took
    done
    echo "$least"
}
right=$(least_ms bob blue-river-stone-47)
wrong=$(least_ms dave wrong-wrong-wrong)
unknown=$(least_ms somebody wrong-wrong-wrong)
fresh=$(least_ms frank wrong-wrong-wrong)
echo "right password, wrong code: $right ms; wrong password: $wrong; unknown user: $unknown; not enrolled: $fresh" >"$work/last"
same=0
for other in "$wrong" "$unknown" "$fresh"; do
    [ "$other" -gt $((right / 2)) ] && [ "$other" -lt $((right * 2)) ] || same=1
done
report $same "whatever is wrong, a refusal takes the same time"

# ---- projects, clusters and their managers ---------------------------------------------------

gets "a cluster" 201 - POST /api/v1/clusters "$admin" '{"name":"daint","address":"daint.example"}'
has "… with its port" '.cluster | .address == "daint.example" and .port == 22 and .hosts == []'
gets "another" 201 - POST /api/v1/clusters "$admin" '{"name":"santis"}'
gets "a cluster's name is given once" 409 exists POST /api/v1/clusters "$admin" '{"name":"daint"}'
gets "a cluster's address is judged" 422 address_refused PUT /api/v1/clusters/daint "$admin" '{"address":"a b"}'
gets "a cluster can move" 200 - PUT /api/v1/clusters/santis "$admin" '{"address":"santis.example","port":2222}'
has "… without a warning" '.warnings == null'
gets "a cluster on a jump host's own loopback is a cluster" 200 - PUT /api/v1/clusters/santis "$admin" '{"address":"127.0.0.1"}'
has "… with a warning" '.warnings | length == 1 and (.[0] | startswith("127.0.0.1 is a loopback address"))'
gets "and moves back" 200 - PUT /api/v1/clusters/santis "$admin" '{"address":"santis.example"}'
gets "on a new cluster's nodes jobs open the door" 200 - GET /api/v1/clusters "$admin"
has "… and either credential does" 'all(.clusters[]; .nodeAccess == "job" and .credentials == "both")'
gets "a rule that is none is refused" 422 choice_refused PUT /api/v1/clusters/santis "$admin" '{"nodeAccess":"closed"}'
has "… with those there are" '.message == "nodeAccess is job or open"'
gets "… and so is a credential" 422 choice_refused PUT /api/v1/clusters/santis "$admin" '{"credentials":"passwords"}'
has "… also with those" '.message == "credentials is certificates, keys or both"'
gets "a cluster can be opened to all its accounts, with certificates alone" 200 - PUT /api/v1/clusters/santis "$admin" \
    '{"nodeAccess":"open","credentials":"certificates"}'
has "… which shows, and moves nothing" '.cluster | .nodeAccess == "open" and .credentials == "certificates" and .port == 2222'
gets "clients learn it" 200 - GET /.well-known/posterngate ''
has "… from the site document" '[.clusters[] | select(.name == "santis")] == [{"name":"santis","address":"santis.example","port":2222,
    "nodeAccess":"open","credentials":"certificates"}]'
gets "a jump host is no scheduler" 422 role_refused POST /api/v1/hosts "$admin" '{"name":"j","role":"jump","scheduler":true}'
gets "nobody makes a job's host but a job" 422 role_refused POST /api/v1/hosts "$admin" '{"name":"j","role":"job","cluster":"daint"}'
gets "a host may be the scheduler" 201 - POST /api/v1/hosts "$admin" \
    '{"name":"slurmctld","role":"login","cluster":"santis","scheduler":true}'
has "… which shows" '.host.scheduler == true'
gets "it goes, too" 200 - DELETE /api/v1/hosts/slurmctld "$admin"
gets "a login host's name and address both count" 201 - POST /api/v1/hosts "$admin" '{"name":"localhost","role":"login","cluster":"santis","address":"fe80::1"}'
has "… and each is warned of" '.warnings | length == 2 and (.[0] | startswith("localhost is")) and (.[1] | contains("link-local"))'
gets "it goes" 200 - DELETE /api/v1/hosts/localhost "$admin"
gets "a project" 201 - POST /api/v1/projects "$admin" '{"name":"p1","displayName":"First"}'
gets "another" 201 - POST /api/v1/projects "$admin" '{"name":"p2"}'
gets "p1 reaches daint" 200 - PUT /api/v1/projects/p1/clusters/daint "$admin"
has "… which shows" '.project.clusters == ["daint"]'
gets "p2 reaches santis" 200 - PUT /api/v1/projects/p2/clusters/santis "$admin"
gets "no project reaches what is not there" 404 not_found PUT /api/v1/projects/p1/clusters/eiger "$admin"
gets "bob manages p1" 200 - PUT /api/v1/projects/p1/members/bob "$admin" '{"role":"manager"}'
gets "an unknown role is refused" 422 role_refused PUT /api/v1/projects/p1/members/carol "$bob" '{"role":"administrator"}'
gets "a manager adds a member" 200 - PUT /api/v1/projects/p1/members/carol "$bob" '{"role":"member"}'
gets "… who reaches the cluster from then on" 200 - GET /api/v1/auth/whoami "$carol"
has "… and no other" '.clusters == ["daint"] and .projects == [{"name":"p1","role":"member"}]'
gets "a manager cannot give the project a cluster" 403 not_permitted PUT /api/v1/projects/p1/clusters/santis "$bob"
gets "a manager cannot touch another project" 403 not_permitted PUT /api/v1/projects/p2/members/bob "$bob" '{"role":"manager"}'
gets "… and does not learn whether it exists" 403 not_permitted PUT /api/v1/projects/p9/members/bob "$bob" '{"role":"member"}'
gets "a member manages nothing" 403 not_permitted PUT /api/v1/projects/p1/members/dave "$carol" '{"role":"member"}'
gets "… not even herself" 403 not_permitted PUT /api/v1/projects/p1/members/carol "$carol" '{"role":"manager"}'
gets "… nor removes anyone" 403 not_permitted DELETE /api/v1/projects/p1/members/bob "$carol"
gets "a member sees the project" 200 - GET /api/v1/projects/p1 "$carol"
gets "others do not" 403 not_permitted GET /api/v1/projects/p1 "$dave"
gets "the list of projects is one's own" 200 - GET /api/v1/projects "$carol"
has "… alone" '[.projects[].name] == ["p1"]'
gets "the list of clusters is what one reaches" 200 - GET /api/v1/clusters "$carol"
has "… alone" '[.clusters[].name] == ["daint"]'

# ---- service accounts and API keys -----------------------------------------------------------

gets "a manager makes a service account" 201 - POST /api/v1/service-accounts "$bob" '{"name":"robot","project":"p1"}'
has "… of the project" '.account | .kind == "service" and .projects[0].name == "p1"'
gets "… not in another project" 403 not_permitted POST /api/v1/service-accounts "$bob" '{"name":"spy","project":"p2"}'
gets "… nor one that hosts would take for a user of the system" 422 name_refused POST /api/v1/service-accounts "$bob" \
    '{"name":"slurm","project":"p1"}'
gets "a member does not" 403 not_permitted POST /api/v1/service-accounts "$carol" '{"name":"spy","project":"p1"}'
gets "a service account takes no person's name" 409 exists POST /api/v1/service-accounts "$bob" '{"name":"alice","project":"p1"}'
gets "a service account is no member of other projects" 422 not_a_person PUT /api/v1/projects/p2/members/robot "$admin" \
    '{"role":"member"}'
gets "… is no administrator" 422 not_a_person PUT /api/v1/accounts/robot "$admin" '{"administrator":true}'
gets "… and is not invited" 422 not_a_person POST /api/v1/accounts/robot/invitation "$admin"
gets "the administrator's of p2" 201 - POST /api/v1/service-accounts "$admin" '{"name":"other","project":"p2"}'
gets "service accounts are listed" 200 - GET /api/v1/service-accounts "$bob"
has "… of the projects one manages" '[.accounts[].name] == ["robot"]'
gets "… and of no other" 403 not_permitted GET '/api/v1/service-accounts?project=p2' "$bob"

keys=/api/v1/service-accounts/robot/api-keys
gets "an empty list of subnets is refused" 422 subnets_refused POST $keys "$bob" '{"name":"k","ipSubnets":[]}'
gets "a subnet with bits beyond its prefix is refused" 422 bad_subnet POST $keys "$bob" '{"name":"k","ipSubnets":["10.1.2.3/8"]}'
gets "a lifetime beyond the limit is refused" 422 bad_duration POST $keys "$bob" '{"name":"k","expiresIn":"400d"}'
gets "an API key" 201 - POST $keys "$bob" '{"name":"here","ipSubnets":["127.0.0.0/8"]}'
here_key=$(field .apiKey) here_id=$(field .id)
gets "one for elsewhere" 201 - POST $keys "$bob" '{"name":"elsewhere","ipSubnets":["192.0.2.0/24"]}'
elsewhere_key=$(field .apiKey)
gets "one that soon ends" 201 - POST $keys "$bob" '{"name":"brief","expiresIn":"2s"}'
brief_key=$(field .apiKey) brief_end=$(field .expireTime)
gets "API keys are listed" 200 - GET $keys "$bob"
has "… without their secret" "([.apiKeys[].name] == [\"here\",\"elsewhere\",\"brief\"]) and (tostring | contains(\"$here_key\") | not)"
gets "a member makes no API key" 403 not_permitted POST $keys "$carol" '{"name":"mine"}'
gets "a manager of another project's account neither" 403 not_permitted POST /api/v1/service-accounts/other/api-keys "$bob" \
    '{"name":"mine"}'
gets "people have no API keys" 404 not_found POST /api/v1/service-accounts/bob/api-keys "$admin" '{"name":"mine"}'

exchange_gets "an API key gives a session" 200 - "$here_key"
robot=$(field .access_token)
gets "… of the service account" 200 - GET /api/v1/auth/whoami "$robot"
has "… that reaches its project's clusters" \
    '.username == "robot" and .kind == "service" and .credential == "api-key" and .clusters == ["daint"]'
exchange_gets "an API key outside its subnets is refused" 401 invalid_api_key "$elsewhere_key"
message=$(field .message)
exchange_gets "a made-up API key is refused" 401 invalid_api_key pgk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
has "… with the same words" ".message == \"$message\""
exchange_gets "a session token is no API key" 401 invalid_api_key "$admin"
gets "an API key is no bearer" 401 not_logged_in GET /api/v1/auth/whoami "$here_key"

# A session holds to the subnets of its API key at every call, not only when it is opened.
gets "an API key for one address" 201 - POST $keys "$bob" '{"name":"one","ipSubnets":["127.0.0.1"]}'
exchange "$(field .apiKey)"
bound=$(field .access_token)
from_elsewhere() { # DESCRIPTION STATUS CODE PATH [JSON]
    from=(--interface 127.0.0.2)
    gets "$1" "$2" "$3" "$([ -z "${5:-}" ] && echo GET || echo POST)" "$4" "$bound" "${5:-}"
    from=()
}
ssh-keygen -q -t ed25519 -N '' -f "$work/robot_key"
robot_line=$(jq -cn --rawfile key "$work/robot_key.pub" '{publicKey: $key}')
gets "its session works there" 200 - GET /api/v1/auth/whoami "$bound"
from_elsewhere "… and from nowhere else" 403 source_refused /api/v1/auth/whoami
from_elsewhere "… least of all to sign" 403 source_refused /api/v1/ssh-keys/sign "$robot_line"
gets "a certificate signed with it" 200 - POST /api/v1/ssh-keys/sign "$bound" "$robot_line"
field .sshKey.publicKey >"$work/robot_key-cert.pub"
check "… is a certificate" ssh-keygen -L -f "$work/robot_key-cert.pub"
says "… good from that address alone" 'source-address 127.0.0.1/32'
says "… for the service account alone" 'Key ID: "robot@test"'
gets "wider subnets cannot be had by asking" 200 - POST /api/v1/ssh-keys/sign "$bound" \
    "$(jq -c '. + {ipSubnets: ["0.0.0.0/0"]}' <<<"$robot_line")"
field .sshKey.publicKey >"$work/robot_key-cert.pub"
check "… the certificate" ssh-keygen -L -f "$work/robot_key-cert.pub"
says "… is as narrow as before" 'source-address 127.0.0.1/32'
bound_serials() { # those of the certificates, as the feed's keys
    api GET '/api/v1/ssh-keys' "$bound"
    jq -c '[.sshKeys[].serialNumber] | sort' "$work/last"
}
gets "another certificate, signed with another key of the account" 200 - POST /api/v1/ssh-keys/sign "$robot" "$robot_line"
robot_serial=$(field .sshKey.serialNumber)
gets "a service account manages nothing" 403 not_permitted POST $keys "$robot" '{"name":"more"}'
gets "… and administers nothing" 403 not_permitted GET /api/v1/accounts "$robot"
over() { [ "$(date +%s)" -ge "$(date -d "$brief_end" +%s)" ]; }
wait_for 10 over
exchange_gets "an expired API key is refused" 401 invalid_api_key "$brief_key"
has "… with the same words" ".message == \"$message\""
audited "the audit log has the real reasons" '.detail == "outside the API key'"'"'s subnets" and .actor == "robot"'
audited "… all of them" '.detail == "the API key has expired"'
gets "a key is not revoked under another account's name" 404 not_found DELETE "/api/v1/service-accounts/other/api-keys/$here_id" "$admin"
gets "a member revokes no API key" 403 not_permitted DELETE "$keys/$here_id" "$carol"
gets "a manager does" 200 - DELETE "$keys/$here_id" "$bob"
has "… and learns that its certificate ended with it" '.revoked and .certificatesRevoked == 1'
gets "… which ends its sessions" 401 not_logged_in GET /api/v1/auth/whoami "$robot"
bound_serials | jq -e --arg serial "$robot_serial" 'length == 2 and all(. != $serial)' >"$work/condition"
report $? "… and the certificate signed with it, and no other"
gets "revoking it again" 200 - DELETE "$keys/$here_id" "$bob"
has "… does nothing more" '.revoked and .certificatesRevoked == 0'
exchange_gets "a revoked API key is refused" 401 invalid_api_key "$here_key"
has "… with the same words" ".message == \"$message\""

# ---- hosts -----------------------------------------------------------------------------------

ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/host_key"
ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/stolen_key"
host_line=$(cut -d' ' -f1,2 "$work/host_key.pub") stolen_line=$(cut -d' ' -f1,2 "$work/stolen_key.pub")
gets "a login host needs a cluster" 400 missing_field POST /api/v1/hosts "$admin" '{"name":"ln1","role":"login"}'
gets "a jump host has none" 422 cluster_refused POST /api/v1/hosts "$admin" '{"name":"ela","role":"jump","cluster":"daint"}'
gets "a host's name is judged" 422 name_refused POST /api/v1/hosts "$admin" '{"name":"a,b","role":"jump"}'
gets "a host takes no cluster's name" 409 conflict POST /api/v1/hosts "$admin" \
    '{"name":"daint.example","role":"compute","cluster":"santis"}'
gets "… nor its address" 409 conflict POST /api/v1/hosts "$admin" '{"name":"x","address":"daint.example","role":"jump"}'
gets "a host with a name of its own" 201 - POST /api/v1/hosts "$admin" '{"name":"first.example","role":"jump"}'
gets "… which no other host has as its address" 409 conflict POST /api/v1/hosts "$admin" \
    '{"name":"second.example","address":"first.example","role":"jump"}'
gets "… nor a new cluster as its name" 409 conflict POST /api/v1/clusters "$admin" '{"name":"first.example"}'
gets "… or address" 409 conflict POST /api/v1/clusters "$admin" '{"name":"alps","address":"first.example"}'
gets "… nor one that moves there" 409 conflict PUT /api/v1/clusters/santis "$admin" '{"address":"first.example"}'
gets "… and it goes" 200 - DELETE /api/v1/hosts/first.example "$admin"
gets "the login host of the cluster" 201 - POST /api/v1/hosts "$admin" \
    '{"name":"daint-ln1","role":"login","cluster":"daint","address":"daint.example"}'
enrolment=$(field .enrolmentToken)
gets "a made-up enrolment token is refused" 401 invalid_enrolment POST /api/v1/host/enrol '' \
    "{\"token\":\"pge_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"hostKeys\":[\"$host_line\"]}"
gets "a private key is refused, and said to be burnt" 422 key_private POST /api/v1/host/enrol '' \
    "$(jq -cn --arg token "$enrolment" --rawfile key "$work/stolen_key" '{$token, hostKeys: [$key]}')"
lines=$(for i in 1 2 3 4 5; do
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/many_key$i"
    cat "$work/many_key$i.pub"
done | jq -cRn '[inputs]')
# LIMIT_HOST_KEYS_COUNT; four are enrolled below.
gets "five host keys are too many" 400 too_long POST /api/v1/host/enrol '' "{\"token\":\"$enrolment\",\"hostKeys\":$lines}"
gets "one given twice is refused" 422 duplicate POST /api/v1/host/enrol '' \
    "{\"token\":\"$enrolment\",\"hostKeys\":[\"$host_line\",\"$host_line\"]}"
gets "a host enrols" 200 - POST /api/v1/host/enrol '' "{\"token\":\"$enrolment\",\"hostKeys\":[\"$host_line\"]}"
host=$(field .hostToken)
field '.certificates[0]' >"$work/host_key-cert.pub"
field '.hostCaKeys[0]' >"$work/host_ca.pub"
check "ssh-keygen reads its certificate" ssh-keygen -L -f "$work/host_key-cert.pub"
says "… a host certificate" 'Type: ssh-ed25519-cert-v01@openssh.com host certificate'
grep -qF "Signing CA: ED25519 $(ssh-keygen -lf "$work/host_ca.pub" | cut -d' ' -f2) " "$work/last"
report $? "… signed by the CA for hosts"
sed -n '/Principals:/,/Critical/p' "$work/last" | sed '1d;$d' | tr -d ' \t' | sort | tr '\n' ' ' >"$work/principals"
[ "$(cat "$work/principals")" = "daint daint-ln1 daint.example " ]
report $? "… for its names and those of the cluster behind it, and nothing else"
gets "an enrolment token works once" 401 invalid_enrolment POST /api/v1/host/enrol '' \
    "{\"token\":\"$enrolment\",\"hostKeys\":[\"$stolen_line\"]}"
gets "a host renews its certificate" 200 - POST /api/v1/host/certificates "$host" "{\"hostKeys\":[\"$host_line\"]}"
has "… and gets just that" '.certificates | length == 1'
gets "… not one for a key it was not enrolled with" 403 not_permitted POST /api/v1/host/certificates "$host" \
    "{\"hostKeys\":[\"$stolen_line\"]}"
gets "an account gets no host certificate" 401 not_logged_in POST /api/v1/host/certificates "$admin" "{\"hostKeys\":[\"$host_line\"]}"
gets "a host is no account" 401 not_logged_in GET /api/v1/auth/whoami "$host"
gets "… and gets no user certificate" 401 not_logged_in POST /api/v1/ssh-keys/sign "$host" "{\"publicKey\":\"$stolen_line\"}"
gets "an account reads no feed" 401 not_logged_in GET /api/v1/feed "$admin"

# ---- the feed --------------------------------------------------------------------------------

gets "without a revision the feed gives a snapshot" 200 - GET /api/v1/feed "$host"
has "… that holds everything" '.snapshot and ([.changes[].kind] | unique) == ["account","ca","cluster","host","revocation"]'
has "… such as what carol reaches" \
    '.changes[] | select(.kind == "account" and .key == "carol") | .state == {"enabled":true,"clusters":["daint"]}'
revision=$(field .revision)
gets "a revision from the future gives one too" 200 - GET "/api/v1/feed?since=$((revision + 1000))" "$host"
has "… since the store must have been restored" '.snapshot'

# Calls the feed in the background; its answer is in $work/NAME.json, its end in $work/NAME.done.
poll() { # NAME SINCE TOKEN
    start "$1" sh -c "curl -sS --cacert '$authority/tls/ca.pem' --max-time 55 -o '$work/$1.json' \
        -H 'Authorization: Bearer $3' '$url/api/v1/feed?since=$2'; echo >'$work/$1.done'"
}
waiting() { curl -sS --cacert "$authority/tls/ca.pem" "$url/metrics" | grep -qE "^[a-z_]*feed[a-z_]*waiting[a-z_]* $1\$"; }
poll_says() { # DESCRIPTION NAME JQ-CONDITION
    wait_for 5 test -e "$work/$2.done" && cp "$work/$2.json" "$work/last"
    has "$1" "$3"
}

ssh-keygen -q -t ed25519 -N '' -f "$work/dave_key"
gets "dave joins p1" 200 - PUT /api/v1/projects/p1/members/dave "$bob" '{"role":"member"}'
gets "dave gets a certificate" 200 - POST /api/v1/ssh-keys/sign "$dave" \
    "$(jq -cn --rawfile key "$work/dave_key.pub" '{publicKey: $key}')"
serial=$(field .sshKey.serialNumber)
gets "the feed gives what was missed" 200 - GET "/api/v1/feed?since=$revision" "$host"
has "… as events" '(.snapshot | not) and ([.changes[] | [.kind, .key]] == [["account","dave"]])'
revision=$(field .revision)
for i in 1 2 3; do poll "revoke$i" "$revision" "$host"; done
check "polls wait while nothing happens" wait_for 10 waiting 3
gets "carol cannot revoke dave's certificate" 404 not_found PUT /api/v1/ssh-keys/revoke "$carol" "{\"serialNumber\":\"$serial\"}"
gets "the administrator can" 200 - PUT /api/v1/ssh-keys/revoke "$admin" "{\"serialNumber\":\"$serial\",\"reason\":\"lost laptop\"}"
for i in 1 2 3; do
    poll_says "poll $i is answered at once" "revoke$i" \
        ".changes | length == 1 and (.[0] | .kind == \"revocation\" and .key == \"$serial\" and .state.account == \"\"
            and .state.reason == \"\")" # whose and why is not a host's business
done
cmp -s "$work/revoke1.json" "$work/revoke3.json"
report $? "… all with the same bytes"
revision=$(jq -r .revision "$work/revoke1.json")

# A whole site waits at once.
{
    printf 'cacert = "%s"\nheader = "Authorization: Bearer %s"\n' "$authority/tls/ca.pem" "$host"
    for i in {1..200}; do printf 'url = "%s"\noutput = "%s"\n' "$url/api/v1/feed?since=$revision" "$work/many.$i"; done
} >"$work/many.conf"
start many sh -c "curl -sS --parallel --parallel-max 200 --parallel-immediate --max-time 55 -K '$work/many.conf'; echo >'$work/many.done'"
check "two hundred polls wait" wait_for 30 waiting 200
gets "a change that is not theirs" 200 - PUT /api/v1/clusters/santis "$admin" '{"port":2221}'
gets "and one that is" 200 - PUT /api/v1/clusters/daint "$admin" '{"nodeAccess":"open"}'
check "all are answered" wait_for 10 test -e "$work/many.done"
[ "$(sha256sum "$work"/many.{1..200} | cut -d' ' -f1 | uniq | wc -l)" = 1 ] && cp "$work/many.1" "$work/last" &&
    [ "$(jq -r '.changes[0] | .kind + .key' "$work/many.1")" = clusterdaint ]
report $? "… with the same change"
revision=$(jq -r .revision "$work/many.1")

# ---- removal and disabling -------------------------------------------------------------------

poll grant "$revision" "$host"
check "a poll waits" wait_for 10 waiting 1
gets "p1 loses daint" 200 - DELETE /api/v1/projects/p1/clusters/daint "$admin"
poll_says "everybody whom that concerns is told, service accounts too" grant \
    '[.changes[] | select(.kind == "account" and .state == null) | .key] | sort == ["bob","carol","dave","robot"]'
revision=$(jq -r .revision "$work/grant.json")
gets "p1 gets it back" 200 - PUT /api/v1/projects/p1/clusters/daint "$admin"
# Whoever is in no other project is signed out as well: projects.sh.
gets "a project that reaches nothing" 201 - POST /api/v1/projects "$admin" '{"name":"p0"}'
gets "… has carol, too" 200 - PUT /api/v1/projects/p0/members/carol "$admin" '{"role":"member"}'
gets "a manager removes a member" 200 - DELETE /api/v1/projects/p1/members/carol "$bob"
gets "… once" 404 not_found DELETE /api/v1/projects/p1/members/carol "$bob"
gets "… who then reaches nothing" 200 - GET /api/v1/auth/whoami "$carol"
has "… at all" '.clusters == [] and [.projects[].name] == ["p0"]'

gets "dave gets another certificate" 200 - POST /api/v1/ssh-keys/sign "$dave" \
    "$(jq -cn --rawfile key "$work/dave_key.pub" '{publicKey: $key}')"
serial=$(field .sshKey.serialNumber)
gets "what was missed again" 200 - GET "/api/v1/feed?since=$revision" "$host"
revision=$(field .revision)
poll disable "$revision" "$host"
check "a poll waits" wait_for 10 waiting 1
gets "dave is disabled" 200 - PUT /api/v1/accounts/dave "$admin" '{"disabled":true}'
poll_says "revocation and account come in one answer" disable \
    "(.changes | map({kind, key}) == [{kind: \"revocation\", key: \"$serial\"}, {kind: \"account\", key: \"dave\"}])
        and .changes[1].state == null"
gets "dave's session has ended" 401 not_logged_in GET /api/v1/auth/whoami "$dave"
login "dave cannot sign in, and is not told why" 401 invalid_credentials dave grey-night-lamp-93 "$(code "$dave_secret")"
audited "the audit log knows" '.actor == "dave" and .detail == "the account is disabled"'
gets "an invitation for dave" 200 - POST /api/v1/accounts/dave/invitation "$admin"
gets "… is of no use to a disabled account" 401 invalid_invitation POST /api/v1/auth/invitation '' \
    "{\"invitation\":\"$(field .invitation)\",\"password\":\"$good\"}"
gets "dave is enabled again" 200 - PUT /api/v1/accounts/dave "$admin" '{"disabled":false}'
gets "… but his session is not" 401 not_logged_in GET /api/v1/auth/whoami "$dave"
gets "the certificate stays revoked" 409 already_revoked PUT /api/v1/ssh-keys/revoke "$admin" "{\"serialNumber\":\"$serial\"}"

gets "a new invitation for bob" 200 - POST /api/v1/accounts/bob/invitation "$admin"
renewal=$(field .invitation)
gets "… changes nothing yet" 200 - GET /api/v1/auth/whoami "$bob"
enrol "$renewal" brown-table-window-8
report $? "bob accepts it"
gets "… which ends his older sessions" 401 not_logged_in GET /api/v1/auth/whoami "$bob"
login "… and his older password and secret" 401 invalid_credentials bob blue-river-stone-47 "$(code "$bob_secret")"
login "the new ones sign in" 200 - bob brown-table-window-8 "$(code "$secret")"

# ---- guessing --------------------------------------------------------------------------------

for name in carol stranger; do
    for i in 1 2 3 4 5; do
        login "guess $i for $name is refused" 401 invalid_credentials $name "wrong-wrong-$i" 123456
    done
    login "$name is locked then" 429 locked $name green-field-cloud-12 123456
done
curl -sS --cacert "$authority/tls/ca.pem" -o "$work/last" -D - -H 'Content-Type: application/json' "$url/api/v1/auth/login" \
    --data '{"username":"carol","password":"green-field-cloud-12","totp":"123456"}' >"$work/headers"
grep -qiE '^retry-after: ([1-9]|[12][0-9]|30)'$'\r''?$' "$work/headers"
report $? "… and told for how long"
gets "a session that is open stays open" 200 - GET /api/v1/auth/whoami "$carol"
audited "guesses are on record" '.action == "session.login" and .actor == "carol" and .code == "invalid_credentials" and (.allowed | not)'
for i in 1 2 3 4 5 6; do login "more guesses" 429 - carol wrong-wrong-wrong 123456; done
login "a flood of guesses for one name is throttled" 429 too_many_requests carol wrong-wrong-wrong 123456

# One address that tries many names; a fresh one of its own, so that the others stay as they are.
for i in {1..90}; do
    [ "$i" = 1 ] || echo next
    printf 'silent\ninterface = "127.0.0.3"\ncacert = "%s"\nheader = "Content-Type: application/json"\nurl = "%s"\n' \
        "$authority/tls/ca.pem" "$url/api/v1/auth/login"
    printf 'output = "%s"\nwrite-out = "%%{http_code}\\n"\n' "$work/spray"
    printf 'data = "{\\"username\\":\\"n%d\\",\\"password\\":\\"wrong-wrong\\",\\"totp\\":\\"123456\\"}"\n' "$i"
done >"$work/spray.conf"
curl -K "$work/spray.conf" >"$work/last"
head -n 60 "$work/last" | grep -qv 401
report $((1 - $?)) "an address may try sixty names"
[ "$(tail -n 1 "$work/last")" = 429 ]
report $? "… and is throttled then"
curl -sS --interface 127.0.0.4 --cacert "$authority/tls/ca.pem" -o "$work/spray" -w '%{http_code}\n' -X POST \
    -H 'X-API-Key: pgk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' "$url/api/v1/auth/token?[1-700]" | tail -n 1 >"$work/last"
says "a flood of API keys is throttled" '^429$'
api GET '/api/v1/audit?limit=1000&action=session.' "$admin"
has "what is throttled does not fill the audit log" 'all(.audit[]; .code != "too_many_requests")'

# ---- removing a host -------------------------------------------------------------------------

gets "the feed as it is" 200 - GET /api/v1/feed "$host"
revision=$(field .revision)
poll removed "$revision" "$host"
check "a poll waits" wait_for 10 waiting 1
gets "the host is removed" 200 - DELETE /api/v1/hosts/daint-ln1 "$admin"
has "… with its two certificates" '.certificatesRevoked == 2'
poll_says "its poll is refused and learns nothing" removed '.code == "not_logged_in"'
gets "its token has ended" 401 not_logged_in POST /api/v1/host/certificates "$host" "{\"hostKeys\":[\"$host_line\"]}"

# ---- a replica that was away for long ---------------------------------------------------------

gets "a jump host" 201 - POST /api/v1/hosts "$admin" '{"name":"ela","role":"jump","address":"ela.example"}'
gets "… enrols" 200 - POST /api/v1/host/enrol '' "{\"token\":\"$(field .enrolmentToken)\",\"hostKeys\":[\"$host_line\"]}"
gate=$(field .hostToken)
gets "the feed" 200 - GET /api/v1/feed "$gate"
ssh-keygen -Lf "$work/host_key-cert.pub" | awk '$1 == "Serial:" {print $2}' >"$work/host_serial"
has "… tells that the removed host's certificate is revoked" \
    '.changes[] | select(.kind == "revocation" and .key == "'"$(cat "$work/host_serial")"'") | .state.reason == "host removed"'
gets "a new token for it" 200 - POST /api/v1/hosts/ela/enrolment "$admin"
gets "… enrols it with four keys" 200 - POST /api/v1/host/enrol '' \
    "{\"token\":\"$(field .enrolmentToken)\",\"hostKeys\":$(jq -c '.[:4]' <<<"$lines")}"
has "… and gives it four certificates" '.certificates | length == 4'
old=$gate gate=$(field .hostToken)
gets "… and its older token has ended" 401 not_logged_in GET /api/v1/feed "$old"
gets "the site document names it" 200 - GET /.well-known/posterngate ''
has "… at once, and the clusters" \
    '(.jumpHosts == [{"name":"ela","address":"ela.example","port":22}]) and ([.clusters[].name] == ["daint","santis"])'
gets "a cluster moves" 200 - PUT /api/v1/clusters/santis "$admin" '{"port":2223}'
gets "the site document" 200 - GET /.well-known/posterngate ''
has "… follows" '.clusters[] | select(.name == "santis") | .port == 2223'
gets "the feed as it is" 200 - GET /api/v1/feed "$gate"
revision=$(field .revision)
# LIMIT_FEED_EVENTS_COUNT
check "two thousand changes" curl -sSf --cacert "$authority/tls/ca.pem" -X PUT -H "Authorization: Bearer $admin" \
    -H 'Content-Type: application/json' --data '{"port":2224}' "$url/api/v1/clusters/santis?[1-2001]"
gets "a revision too long ago" 200 - GET "/api/v1/feed?since=$revision" "$gate"
has "… gives a snapshot" '.snapshot'
gets "one a little younger" 200 - GET "/api/v1/feed?since=$((revision + 1))" "$gate"
has "… all its events" '(.snapshot | not) and (.changes | length == 2000)'

# ---- limits ----------------------------------------------------------------------------------

# LIMIT_API_KEYS_COUNT, LIMIT_FEED_CLUSTERS_COUNT
count_of() { api GET "$1" "$admin" && field "$2"; }
curl -sS --cacert "$authority/tls/ca.pem" -o "$work/keys.#1" -H "Authorization: Bearer $admin" -H 'Content-Type: application/json' \
    --data '{"name":"one of many"}' "$url/api/v1/service-accounts/other/api-keys?[1-64]"
[ "$(count_of /api/v1/service-accounts/other/api-keys '.apiKeys | length')" = 64 ]
report $? "a service account can have 64 API keys"
gets "… and no more" 409 too_many POST /api/v1/service-accounts/other/api-keys "$admin" '{"name":"one too many"}'
gets "… but for one that is revoked" 200 - DELETE "/api/v1/service-accounts/other/api-keys/$(jq -r .id "$work/keys.1")" "$admin"
gets "… another" 201 - POST /api/v1/service-accounts/other/api-keys "$admin" '{"name":"in its place"}'
for i in {3..256}; do
    [ "$i" = 3 ] || echo next
    printf 'silent\ncacert = "%s"\nheader = "Authorization: Bearer %s"\nheader = "Content-Type: application/json"\n' \
        "$authority/tls/ca.pem" "$admin"
    printf 'url = "%s"\noutput = "%s"\ndata = "{\\"name\\":\\"c%d\\"}"\n' "$url/api/v1/clusters" "$work/cluster" "$i"
done >"$work/clusters.conf"
check "many clusters" curl -K "$work/clusters.conf"
[ "$(count_of /api/v1/clusters '.clusters | length')" = 256 ]
report $? "there can be 256 clusters"
gets "… and no more" 409 too_many POST /api/v1/clusters "$admin" '{"name":"one-too-many"}'

# ---- a crash ----------------------------------------------------------------------------------

third=$(code "$alice_secret" 30)
login "alice signs in once more" 200 - alice "$good" "$third"
session=$(field .access_token)
kill -KILL "$authority_pid"
wait "$authority_pid" 2>"$work/last"
start posternd_again "$posternd" serve -c "$authority/posternd.yaml"
authority_pid=$last_pid
check "the authority starts again after a crash" wait_for 30 ready
login "a code that was accepted is not accepted again" 401 invalid_credentials alice "$good" "$third"
gets "a session that was given is still good" 200 - GET /api/v1/auth/whoami "$session"
gets "the feed goes on where it was" 200 - GET "/api/v1/feed?since=$revision" "$gate"
has "… without a gap" '.snapshot or (.changes | length > 0)'

# ---- what is on record -----------------------------------------------------------------------

audited "refusals are on record with their code" \
    '.action == "project.member.put" and .actor == "carol" and .target == "p1/carol" and (.allowed | not) and .code == "not_permitted"' \
    '&action=project.'
audited "… and what was allowed" '.action == "account.change" and .target == "dave" and .allowed and .detail == "disabled "' \
    '&action=account.'
gets "a filter by actor" 200 - GET '/api/v1/audit?actor=bob&since=1h' "$admin"
has "… filters" '(.audit | length > 0) and all(.audit[]; .actor == "bob")'
gets "a filter by time" 200 - GET '/api/v1/audit?since=2099-01-01T00:00:00Z' "$admin"
has "… filters" '.audit == []'
gets "a time that is none" 400 malformed GET '/api/v1/audit?since=yesterday' "$admin"

gets "the feed as it is" 200 - GET /api/v1/feed "$gate"
revision=$(field .revision)
poll last "$revision" "$gate"
check "a poll waits" wait_for 10 waiting 1
kill "$authority_pid"
wait "$authority_pid"
report $? "the authority ends well"
poll_says "… and lets those go who waited" last ".changes == [] and .revision == \"$revision\""
for token_text in "$admin" "$here_key" "$enrolment" "$invitation" "$host" "$good" "$bob_secret"; do
    ! grep -qF -- "$token_text" "$work/posternd.log" "$work/posternd_again.log" && ! grep -rqF -- "$token_text" "$authority/store"
    report $? "a secret is neither in the log nor in the store"
done
! grep -qE 'runtime error|ERROR: (Address|Leak)Sanitizer' "$work/posternd.log" "$work/posternd_again.log"
report $? "no sanitizer complained"

done_testing
