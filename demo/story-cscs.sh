# shellcheck shell=bash
# The story of the CSCS document: signing in by the browser, or by an API key; keys signed for a day or a minute, Ela as the jump
# host, the clusters Daint, Santis and Clariden, at most five keys a day, listing, revoking one key and all of them.
# shellcheck source=demo/browser.sh
. "$root/demo/browser.sh"

chapter "The centre: Ela, and the clusters Daint, Santis and Clariden"
world_unix_account cscsusername 20001
world_unix_account s1234-ci 20002
# The tilde is for postern to expand.
# shellcheck disable=SC2088
must "the authority, and its first administrator signed in" world_authority cscs '~/.ssh/cscs-key'
must "project s1234" as_admin "postern admin project create s1234 >/dev/null"
for cluster in daint santis clariden; do
    port=$(free_port)
    printf -v "${cluster}_port" %s "$port"
    must "cluster $cluster, reached by s1234" as_admin "
        postern admin cluster create $cluster >/dev/null &&
        postern admin project add-cluster s1234 $cluster >/dev/null"
    must "host $cluster-ln001" world_host "$cluster-ln001" login "$cluster" "$port"
    must "sshd of $cluster-ln001" world_sshd "$cluster-ln001" login "$port"
done
ela_port=$(free_port)
must "host ela" world_host ela jump '' "$ela_port"
must "the jump host" world_jump ela "$ela_port"
invitation=$(as_admin "postern --json admin account create cscsusername" | jq -r .invitationUrl)
must "account cscsusername, who manages s1234" as_admin \
    "postern admin project add-member s1234 cscsusername --role manager >/dev/null"
must "Chromium, in the place of the person's browser" world_browser cscsusername
# CertificateFile is the site's own advice: without it ssh offers the bare key first, and hears each time that it is not enough.
as_you "cat >.ssh/config" <<CONFIG
Host ela
    HostName $jump_address
    Port $ela_port
    HostKeyAlias ela
    RequestTTY no
    User cscsusername
    IdentityFile $world/laptop/.ssh/cscs-key
    CertificateFile $world/laptop/.ssh/cscs-key-cert.pub
    IdentitiesOnly yes
$(for cluster in daint santis clariden; do
    port=${cluster}_port
    printf 'Host %s\n    HostName %s-ln001\n    Port %s\n    ProxyJump ela\n    User cscsusername\n' \
        "$cluster" "$cluster" "${!port}"
    printf '    IdentityFile %s\n    CertificateFile %s-cert.pub\n    IdentitiesOnly yes\n' "$world/laptop/.ssh/cscs-key"{,}
done)
Host *
    UserKnownHostsFile $world/laptop/.config/posterngate/cscs/known_hosts
    BatchMode yes
CONFIG

chapter "The account, with multi factor authentication configured"
browse "the link of the invitation" accept_invitation "$invitation"

chapter "OpenID Connect: a web browser window opens where one authenticates with the CSCS credentials"
step works "" "postern init $authority_url --fingerprint $tls_fingerprint"
step works "Signed in at cscs as cscsusername" "postern login" "python3 $world/bin/tty.py -- postern login"
printf '  meanwhile in the browser:\n'
show_browser

chapter "Setup ssh keys"
step works "" "ssh-keygen -t ed25519 -f ~/.ssh/cscs-key" "ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/cscs-key"
step refused "[Pp]ermission denied" "ssh ela"

chapter "A key for one minute, which will expire while the story goes on"
step works "" "ssh-keygen -t ed25519 -f ~/.ssh/short" "ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/short"
step works "" "postern sign -f ~/.ssh/short -d 1min"
expires=$(date -d "$(as_you "postern --json list" | jq -r '.sshKeys[0].expireTime')" +%s)
step works "^daint-ln001$" "sed s/cscs-key/short/ ~/.ssh/config >~/.ssh/config-short; ssh -F ~/.ssh/config-short daint hostname"

chapter "A key for one day: sign it, check it against Ela, log in"
step works "" "postern sign"
step works "cscsusername" "ssh ela"
step works "^daint-ln001$" "ssh daint hostname"
step works "^santis-ln001$" "ssh santis hostname"
step works "^clariden-ln001$" "ssh clariden hostname"
step works "" "postern list"
step works "" "postern sign -d 1d   # again: the key has a valid certificate, so this is free" "postern sign -d 1d"

chapter "The agent"
step works "" "eval \$(ssh-agent); postern sign --agent; ssh -A ela; ssh-add -l" \
    "eval \$(ssh-agent) >/dev/null; trap 'kill \$SSH_AGENT_PID' EXIT; postern sign --agent && ssh -A ela && ssh-add -l"

chapter "A service on a compute node, through a tunnel that jumps through Ela"
service_port=$(free_port) local_port=$(free_port)
mkdir -p "$world/service" && echo "six by six" >"$world/service/index.html"
start service python3 -m http.server "$service_port" --bind 127.0.0.1 --directory "$world/service"
await_port "$service_port"
step works "^six by six$" "ssh -N -L $local_port:localhost:$service_port daint & curl -s localhost:$local_port" "
    ssh -N -o ExitOnForwardFailure=yes -L $local_port:localhost:$service_port daint & tunnel=\$!
    trap 'kill \$tunnel' EXIT
    curl -s --retry 50 --retry-connrefused --retry-delay 0 --retry-max-time 20 localhost:$local_port"

chapter "The web dashboard: sign your existing SSH key"
step works "" "ssh-keygen -t rsa -b 3072 -f ~/.ssh/fourth" "ssh-keygen -q -t rsa -b 3072 -N '' -f ~/.ssh/fourth"
browse "the dashboard" sign_key "$world/laptop/.ssh/fourth"
step works "^santis-ln001$" "sed s/cscs-key/fourth/ ~/.ssh/config >~/.ssh/config-fourth; ssh -F ~/.ssh/config-fourth santis hostname"

chapter "API keys: for automation with service accounts"
step works "" "postern admin service-account create s1234-ci --project s1234"
step works "shown this once" "postern admin service-account key create s1234-ci --cluster daint --max-duration 1min --expires 90d >~/api-key" \
    "umask 077; postern admin service-account key create s1234-ci --cluster daint --max-duration 1min --expires 90d >~/api-key"
step works "" "ssh-keygen -t ed25519 -f ~/.ssh/ci" "ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/ci"
step works "" "POSTERN_API_KEY=\$(cat ~/api-key) postern sign -f ~/.ssh/ci -d 1min"
step works "^s1234-ci$" "sed 's/cscs-key/ci/; s/cscsusername/s1234-ci/' ~/.ssh/config >~/.ssh/config-ci; ssh -F ~/.ssh/config-ci daint whoami"
step refused "clusters you reach|prohibited|[Pp]ermission denied" "ssh -F ~/.ssh/config-ci santis whoami   # the API key is for daint" "ssh -F ~/.ssh/config-ci santis whoami"
step refused "1min" "POSTERN_API_KEY=\$(cat ~/api-key) postern sign -f ~/.ssh/ci -d 1d"
step works "s1234-ci" "postern admin service-account key list s1234-ci"
key_id=$(as_you "postern --json admin service-account key list s1234-ci" | jq -r '.apiKeys[0].id')
step works "revoked with it: 1" "postern admin service-account key revoke s1234-ci $key_id"
must "every host has the revocation" await_revocation "$world/laptop/.ssh/ci-cert.pub"
step refused "[Pp]ermission denied" "ssh -F ~/.ssh/config-ci daint whoami"
step refused "" "POSTERN_API_KEY=\$(cat ~/api-key) postern sign -f ~/.ssh/ci -d 1min"

chapter "At most five keys a day"
step works "deprecated" "postern gen -f ~/.ssh/generated" "python3 $world/bin/tty.py --send '[Pp]assphrase.*: ' '' -- postern gen -f ~/.ssh/generated"
step works "" "ssh-keygen -t ecdsa -f ~/.ssh/fifth && postern sign -f ~/.ssh/fifth" \
    "ssh-keygen -q -t ecdsa -N '' -f ~/.ssh/fifth && postern sign -f ~/.ssh/fifth"
step refused "5" "ssh-keygen -t ed25519 -f ~/.ssh/sixth && postern sign -f ~/.ssh/sixth" \
    "ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/sixth && postern sign -f ~/.ssh/sixth"

chapter "The minute is over"
printf '  waiting until %s\n' "$(date -d "@$expires" +%T)"
while [ "$(date +%s)" -le "$expires" ]; do sleep 0.2; done
step refused "[Pp]ermission denied" "ssh -F ~/.ssh/config-short daint hostname"
step works "" "postern list"
step works "EXPIRED|expired" "postern list -a"

chapter "Revoke one key, then all of them"
serial=$(ssh-keygen -L -f "$world/laptop/.ssh/cscs-key-cert.pub" | awk '$1 == "Serial:" {print $2}')
step works "" "postern revoke $serial"
must "every host has the revocation" await_revocation "$world/laptop/.ssh/cscs-key-cert.pub"
step refused "[Pp]ermission denied" "ssh ela"
step refused "[Pp]ermission denied" "ssh daint hostname"
step works "^santis-ln001$" "sed s/cscs-key/fifth/ ~/.ssh/config >~/.ssh/config-fifth; ssh -F ~/.ssh/config-fifth santis hostname"
step works "" "postern revoke-all" "postern revoke-all --yes"
must "every host has that revocation too" await_revocation "$world/laptop/.ssh/fifth-cert.pub"
step refused "[Pp]ermission denied" "ssh -F ~/.ssh/config-fifth santis hostname"
step works "REVOKED|revoked" "postern list --all"
