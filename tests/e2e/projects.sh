#!/usr/bin/env bash
# Managers invite and remove, see who has which certificates, and what a membership gave ends with it in one transaction.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/authority_world.sh
. "$(dirname "$0")/authority_world.sh"
start_authority
alice_signs_in
alice_secret=$secret
invite bob blue-river-stone-47
bob=$token
for cluster in daint eiger; do gets "a cluster $cluster" 201 - POST /api/v1/clusters "$admin" "{\"name\":\"$cluster\"}"; done
for project in p1 p2; do gets "a project $project" 201 - POST /api/v1/projects "$admin" "{\"name\":\"$project\"}"; done
gets "p1 reaches daint" 200 - PUT /api/v1/projects/p1/clusters/daint "$admin"
gets "p2 reaches eiger" 200 - PUT /api/v1/projects/p2/clusters/eiger "$admin"
gets "bob manages p1" 200 - PUT /api/v1/projects/p1/members/bob "$admin" '{"role":"manager"}'
enrol_host gate1 '"role":"jump","address":"198.51.100.1"'

# ---- inviting --------------------------------------------------------------------------------

invites() { # DESCRIPTION STATUS CODE TOKEN PROJECT NAME
    gets "$1" "$2" "$3" POST "/api/v1/projects/$5/invitations" "$4" "{\"name\":\"$6\",\"displayName\":\"The one named $6\"}"
}
invites "a manager invites nobody to another project" 403 not_permitted "$bob" p2 carol
invites "… nor under a name of the system" 422 name_refused "$bob" p1 slurm
invites "… or of a cloud image, who may do everything" 422 name_refused "$bob" p1 ubuntu
invites "… or as whom the audit log calls strangers" 422 name_refused "$bob" p1 anonymous
invites "… or root's" 422 name_refused "$bob" p1 root
invites "… or one that is taken" 409 exists "$bob" p1 alice
invites "a manager invites carol" 201 - "$bob" p1 carol
has "… who is a member, and no administrator" '.account | .projects == [{"name":"p1","role":"member"}] and (.administrator | not)'
enrol "$(field .invitation)" green-field-cloud-12
report $? "carol accepts"
carol=$token
gets "she reaches the cluster" 200 - GET /api/v1/auth/whoami "$carol"
has "… daint" '.clusters == ["daint"]'
invites "a member invites nobody" 403 not_permitted "$carol" p1 dave
invites "and dave is invited" 201 - "$bob" p1 dave
enrol "$(field .invitation)" quiet-lake-forest-9
report $? "dave accepts"
dave=$token
gets "dave is in p2 as well" 200 - PUT /api/v1/projects/p2/members/dave "$admin" '{"role":"member"}'

# ---- invited again ---------------------------------------------------------------------------

invite gina white-harbour-song-8
gina=$token
gets "gina manages p2" 200 - PUT /api/v1/projects/p2/members/gina "$admin" '{"role":"manager"}'
invites "henry is invited" 201 - "$bob" p1 henry
first=$(field .invitation)
invites "not again while that is good" 409 invitation_open "$bob" p1 henry
db() { sqlite3 "$authority/store/posternd.db" "$1"; }
runs_out() { db "UPDATE login SET invitation_expires_at = 1 WHERE account_id = (SELECT id FROM account WHERE name = '$1')"; }
check "it runs out" runs_out henry
gets "and lets nobody in" 401 - POST /api/v1/auth/invitation '' "{\"invitation\":\"$first\",\"password\":\"blue-forest-lamp-12\"}"
invites "no manager of another project invites him" 409 exists "$gina" p2 henry
invites "the same call invites him again" 200 - "$bob" p1 henry
has "… who he is did not change" '.account | .name == "henry" and .projects == [{"name":"p1","role":"member"}]'
second=$(field .invitation)
audited "… which is on record" '.action == "project.invite" and .actor == "bob" and .target == "henry" and .allowed'
check "it runs out as well" runs_out henry
gets "henry is in p2, too" 200 - PUT /api/v1/projects/p2/members/henry "$admin" '{"role":"member"}'
invites "whose people are not bob's alone to invite" 409 exists "$bob" p1 henry
gets "… and leaves it" 200 - DELETE /api/v1/projects/p2/members/henry "$admin"
gets "one who is disabled" 200 - PUT /api/v1/accounts/henry "$admin" '{"disabled":true}'
invites "… is not invited back" 409 exists "$bob" p1 henry
gets "… comes back" 200 - PUT /api/v1/accounts/henry "$admin" '{"disabled":false}'
gets "one who becomes an administrator" 200 - PUT /api/v1/accounts/henry "$admin" '{"administrator":true}'
invites "… is nobody's to invite" 409 exists "$bob" p1 henry
gets "… and is none again" 200 - PUT /api/v1/accounts/henry "$admin" '{"administrator":false}'
check "as is one who came by another issuer" db "INSERT INTO session (hash, account_id, subnets, created_at, expires_at)
    SELECT 'x', id, '', 1, 4000000000 FROM account WHERE name = 'henry'"
invites "… who has no password, but a session" 409 exists "$bob" p1 henry
check "that ends" db "DELETE FROM session WHERE hash = 'x'"
gets "ivan is of an administrator's making" 201 - POST /api/v1/accounts "$admin" '{"name":"ivan"}'
gets "… and invited" 200 - POST /api/v1/accounts/ivan/invitation "$admin"
check "… in vain" runs_out ivan
check "a second goes by" sleep 1
gets "bob takes him into his project" 200 - PUT /api/v1/projects/p1/members/ivan "$bob" '{"role":"member"}'
invites "… which does not make him bob's to invite" 409 exists "$bob" p1 ivan
invites "an administrator may by this call as well" 200 - "$admin" p1 henry
enrol "$(field .invitation)" blue-forest-lamp-12
report $? "henry comes in the end"
check "the second invitation is no better than the first" test "$second" != "$first"
invites "who has come is not invited again" 409 exists "$bob" p1 henry

# ---- what they have --------------------------------------------------------------------------

ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/key"
ssh-keygen -q -t ed25519 -N '' -C machine -f "$work/machine"
ssh-keygen -q -t ed25519 -N '' -C machine -f "$work/machine2"
body=$(jq -cn --arg key "$(cat "$work/key.pub")" '{publicKey: $key}')
gets "carol has a certificate" 200 - POST /api/v1/ssh-keys/sign "$carol" "$body"
serial=$(field .sshKey.serialNumber)
gets "and a registered key" 201 - POST /api/v1/keys "$carol" "$body"
grant_body() { jq -cn --arg key "$(cat "$work/$1.pub")" "{publicKey: \$key, from: \"everywhere\"} + {${2:-}}"; }
gets "and a grant" 201 - POST /api/v1/grants "$carol" "$(grant_body machine)"
gets "dave has a certificate" 200 - POST /api/v1/ssh-keys/sign "$dave" "$body"
gets "a grant for daint" 201 - POST /api/v1/grants "$dave" "$(grant_body machine 'clusters: ["daint"]')"
gets "and one for eiger" 201 - POST /api/v1/grants "$dave" "$(grant_body machine2 'clusters: ["eiger"]')"
gets "a portal of p1" 201 - POST /api/v1/service-accounts "$bob" '{"name":"portal","project":"p1"}'
gets "… that may impersonate" 200 - PUT /api/v1/accounts/portal "$admin" '{"impersonates":true}'
gets "… whose keys are not the managers' to make" 403 not_permitted POST /api/v1/service-accounts/portal/api-keys "$bob" '{"name":"one"}'
gets "… has an API key" 201 - POST /api/v1/service-accounts/portal/api-keys "$admin" '{"name":"one"}'
curl -sS --cacert "$authority/tls/ca.pem" -o "$work/last" -X POST -H "X-API-Key: $(field .apiKey)" "$url/api/v1/auth/token"
portal=$(field .access_token)
gets "… and a certificate of dave" 201 - POST /api/v1/ssh-keys "$portal" '{"username":"dave"}'
portals=$(field .sshKey.serialNumber)
gets "a manager sees who has which certificates" 200 - GET /api/v1/projects/p1/certificates "$bob"
has "… all of them" '.complete and ([.certificates[] | .username + ":" + .obtainedBy] | sort == ["carol:session", "dave:portal", "dave:session"])'
rows=$(jq -c '[.certificates[].serialNumber]' "$work/last")
gets "a page of one" 200 - GET '/api/v1/projects/p1/certificates?limit=1' "$bob"
cp "$work/last" "$work/page"
for _ in 1 2; do
    gets "… and the next" 200 - GET "/api/v1/projects/p1/certificates?limit=1&before=$(jq -r '.certificates[-1].serialNumber' "$work/page")" "$bob"
    has "… which is one, and not the end" '(.certificates | length == 1) and (.complete | not)'
    jq -s '{certificates: (.[0].certificates + .[1].certificates)}' "$work/page" "$work/last" >"$work/pages" && mv "$work/pages" "$work/page"
done
check "together they are what one page has" test "$(jq -c '[.certificates[].serialNumber]' "$work/page")" = "$rows"
gets "after the last there is none" 200 - GET "/api/v1/projects/p1/certificates?limit=1&before=$(jq -r '.[-1]' <<<"$rows")" "$bob"
has "… which is the end" '.certificates == [] and .complete'
gets "a serial that is none" 404 - GET '/api/v1/projects/p1/certificates?before=1' "$bob"
gets "nor is that one" 400 - GET '/api/v1/projects/p1/certificates?before=x' "$bob"
gets "a member does not" 403 not_permitted GET /api/v1/projects/p1/certificates "$carol"
gets "nor the manager of another project" 403 not_permitted GET /api/v1/projects/p2/certificates "$bob"

# ---- removing --------------------------------------------------------------------------------

since=0
told() { # DESCRIPTION JQ-CONDITION: of what a gate hears since the last time
    api GET "/api/v1/feed?since=$since" "$host_token"
    jq -e "$2" "$work/last" >"$work/condition" 2>&1
    report $? "$1"
    since=$(field .revision)
}
told "a gate follows" '.changes | length > 0'
gets "the manager removes carol, who is in no other project" 200 - DELETE /api/v1/projects/p1/members/carol "$bob"
told "her certificate is revoked, her key is gone, and so are her clusters" "[.changes[] | select(.kind == \"revocation\" and .key == \"$serial\")] != []
    and [.changes[] | select(.kind == \"key\" and .state == null)] != []
    and ([.changes[] | select(.kind == \"account\" and .key == \"carol\")] | last.state.clusters) == []"
gets "her session as well" 401 not_logged_in GET /api/v1/auth/whoami "$carol"
gets "and her grant" 200 - GET '/api/v1/grants?account=carol&include_ended=true' "$admin"
has "… is revoked" '[.grants[].state] == ["revoked"]'
audited "the removal left a row" '.action == "project.member.remove" and .actor == "bob" and .target == "p1/carol"'
gets "dave is removed, and stays in p2" 200 - DELETE /api/v1/projects/p1/members/dave "$bob"
told "what the portal had of him ends, and his own certificate does not" "[.changes[] | select(.kind == \"revocation\") | .key] == [\"$portals\"]"
gets "his session goes on" 200 - GET /api/v1/auth/whoami "$dave"
has "… on eiger" '.clusters == ["eiger"]'
gets "and his grants" 200 - GET '/api/v1/grants?include_ended=true' "$dave"
has "… but that for daint" '[.grants[] | .clusters[0] + " " + .state] == ["daint revoked", "eiger valid"]'
gets "the portal gets no other of him" 403 impersonation_refused POST /api/v1/ssh-keys "$portal" '{"username":"dave"}'

# ---- administrators --------------------------------------------------------------------------

member=/api/v1/projects/p1/members/alice
gets "a manager takes no administrator in" 403 not_permitted PUT $member "$bob" '{"role":"member"}'
gets "one that administrators took in" 200 - PUT $member "$admin" '{"role":"member"}'
gets "is nobody the portal acts for" 403 impersonation_refused POST /api/v1/ssh-keys "$portal" '{"username":"alice"}'
gets "nor does a manager put her out" 403 not_permitted DELETE $member "$bob"
gets "which would have ended her session" 200 - GET /api/v1/auth/whoami "$admin"
gets "an administrator does" 200 - DELETE $member "$admin"
gets "alice signs in again" 200 - POST /api/v1/auth/login '' "{\"username\":\"alice\",\"password\":\"correct-horse-battery\",\"totp\":\"$(code "$alice_secret" 30)\"}"
admin=$(field .access_token)

# ---- the same by hand ------------------------------------------------------------------------

export HOME=$work/home LC_ALL=C.UTF-8 NO_COLOR=1
unset XDG_CONFIG_HOME XDG_STATE_HOME XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS POSTERN_API_KEY SSH_AUTH_SOCK
mkdir "$HOME"
fingerprint=$(openssl x509 -in "$authority/tls/ca.pem" -outform DER | sha256sum | cut -d' ' -f1)
check "postern init" "$postern" init "$url" --fingerprint "$fingerprint"
state=$HOME/.local/state/posterngate/test
mkdir -p "$state" && chmod 700 "$state"
jq -n --arg token "$bob" '{accessToken: $token, expireTime: "2099-01-01T00:00:00Z", username: "bob"}' >"$state/token"
chmod 600 "$state/token"
if "$postern" whoami >"$work/last" 2>&1; then
    "$postern" project invite p1 erin >"$work/invitation" 2>"$work/said"
    check "postern project invite prints the invitation" grep -qE '^pgi_[A-Za-z0-9_-]{43}$' "$work/invitation"
    check "postern project certificates" "$postern" project certificates p1
    gets "more of them than a page has" 200 - PUT /api/v1/accounts/bob "$admin" '{"quotaPerDay":5000}'
    most=$(limit LIST_ROWS_COUNT)
    check "are signed" curl -sSf --cacert "$authority/tls/ca.pem" -o "$work/signed" -H "Authorization: Bearer $bob" -H 'Content-Type: application/json' \
        --data "$body" "$url/api/v1/ssh-keys/sign?[1-$((most + 1))]"
    "$postern" project certificates p1 --json >"$work/last" 2>&1
    has "all of them are shown" ".complete and ([.certificates[] | select(.username == \"bob\") | .serialNumber] | unique | length == $((most + 1)))"
    check "postern project remove-member" "$postern" project remove-member p1 erin
    refused "postern project show of another project" 4 'members of this project' "$postern" project show p2
else
    report 1 "a session of bob's is at hand"
fi

# ---- where hosts have users without an account here --------------------------------------------

sed -i '/^policy:/,$d' "$authority/posternd.yaml"
printf 'policy:\n  managers_name_accounts: false\n' >>"$authority/posternd.yaml"
kill -HUP "$authority_pid"
reloaded() { grep -q reloaded "$work/posternd.log"; }
check "a site lets managers make no accounts" wait_for 10 reloaded
invites "a manager invites nobody" 403 not_permitted "$bob" p1 frank
gets "… and makes no service account" 403 not_permitted POST /api/v1/service-accounts "$bob" '{"name":"frank","project":"p1"}'
invites "an administrator does" 201 - "$admin" p1 frank
gets "… whom a manager puts out of the project, and in again" 200 - DELETE /api/v1/projects/p1/members/frank "$bob"
gets "… indeed" 200 - PUT /api/v1/projects/p1/members/frank "$bob" '{"role":"member"}'
done_testing
