# shellcheck shell=bash
# The story of the ML Cloud document: no passwords, keys with a passphrase, and a short way in for a new account: for two days its
# password takes ssh-copy-id's key at the access machine, and nothing else.

chapter "The cloud: an access machine, login nodes in two regions, and a compute node"
world_unix_account carol 20001
# The tilde is for postern to expand.
# shellcheck disable=SC2088
must "the authority, and its first administrator signed in" world_authority mlcloud '~/.ssh/id_ed25519' \
    'encrypted_keys_required: true' 'key_types: [ed25519, rsa]' 'rsa_bits_min: 4096' 'enrolment_window: 2d' 'further_keys: true'
access_port=$(free_port)
must "host access" world_host access jump '' "$access_port"
must "the access machine, which lets a new account register its key" world_jump access "$access_port" 'enrolment: true'
must "project vision" as_admin "postern admin project create vision >/dev/null"
for region in r1 r2; do
    printf -v "${region}_port" %s "$(free_port)"
    port=${region}_port
    must "region $region, reached by vision" as_admin "
        postern admin cluster create $region >/dev/null && postern admin project add-cluster vision $region >/dev/null"
    must "host slurm-$region" world_host "slurm-$region" login "$region" "${!port}"
    must "the login node slurm-$region" world_sshd "slurm-$region" login "${!port}"
done
node_port=$(free_port)
must "host galvani-cn001" world_host galvani-cn001 compute r1 "$node_port"
must "the node galvani-cn001" world_sshd galvani-cn001 compute "$node_port"

chapter "The group manager requests an account: carol may use her password for two days, to deploy her key"
created=$(as_admin "postern --json admin account create carol --password-window")
password=$(jq -r .windowPassword <<<"$created")
must "account carol, a member of vision" as_admin "postern admin project add-member vision carol >/dev/null"
as_you "cat >.ssh/config" <<CONFIG
Host access
    HostName $jump_address
    Port $access_port
    HostKeyAlias access
    RequestTTY no
Host slurm
    HostName slurm-r1
    Port $r1_port
    ProxyJump access
Host slurm-r2
    HostName slurm-r2
    Port $r2_port
    ProxyJump access
Host galvani-cn001
    Port $node_port
    ProxyJump access
Host *
    User carol
    IdentityFile $world/laptop/.ssh/id_ed25519
    UserKnownHostsFile $world/laptop/.config/posterngate/mlcloud/known_hosts
CONFIG
# ssh asks for the password, or a key's passphrase: as a person would, they type it.
typed() { # ANSWER COMMAND
    printf '%s' "printf '#!/bin/sh\necho \"%s\"\n' '$1' >.askpass && chmod 700 .askpass &&
        SSH_ASKPASS=\$PWD/.askpass SSH_ASKPASS_REQUIRE=force PATH=$world/laptop/bin:\$PATH $2"
}

chapter "Generating your key: Ed25519 with 100 rounds, and a passphrase"
step works "" "postern init $authority_url --fingerprint $tls_fingerprint"
step works "" "ssh-keygen -a 100 -t ed25519 -f ~/.ssh/id_ed25519" "ssh-keygen -q -a 100 -t ed25519 -N '$demo_password' -f ~/.ssh/id_ed25519"
step works "100 rounds" "postern key inspect ~/.ssh/id_ed25519"
step refused "[Pp]ermission denied" "ssh access" "ssh -o BatchMode=yes access"

chapter "Deploying it: ssh-copy-id, with the password that is good for this alone"
step refused "ssh-copy-id" "ssh access   # with the password: no shell, but what to type" "$(typed "$password" "ssh -o PubkeyAuthentication=no access")"
step refused "[Pp]ermission denied|prohibited" "ssh slurm   # the password opens no node" "$(typed "$password" "ssh -o PubkeyAuthentication=no slurm hostname")"
step refused "RSA|rsa|bits" "ssh-keygen -t rsa -b 2048 -f weak; ssh-copy-id -i weak access   # too small a key" \
    "ssh-keygen -q -t rsa -b 2048 -N '$demo_password' -f weak; $(typed "$password" "ssh-copy-id -i weak access")"
step works "[Rr]egistered|[Nn]umber of key" "ssh-copy-id -i ~/.ssh/id_ed25519 access" "$(typed "$password" "ssh-copy-id -i ~/.ssh/id_ed25519 access")"
step refused "[Pp]ermission denied" "ssh access   # with the password again: the window has closed" \
    "$(typed "$password" "ssh -o PubkeyAuthentication=no access")"

chapter "Login without a password"
agent=$world/laptop/agent
start agent setpriv --reuid="$you_uid" --regid="$you_gid" --clear-groups ssh-agent -D -a "$agent"
# shellcheck disable=SC2034 # of world.sh
world_environment=(SSH_AUTH_SOCK="$agent")
step works "Identity added" "ssh-add" "$(typed "$demo_password" "ssh-add ~/.ssh/id_ed25519")"
step works "carol" "ssh access" "ssh -o BatchMode=yes access"
step works "^slurm-r1$" "ssh slurm hostname" "ssh -o BatchMode=yes slurm hostname"
step works "^slurm-r2$" "ssh slurm-r2 hostname" "ssh -o BatchMode=yes slurm-r2 hostname"
step works "" "echo 'training data' >data; scp data slurm:; ssh slurm-r2 cat data" "echo 'training data' >data; scp -q data slurm: && ssh -o BatchMode=yes slurm-r2 cat data"

chapter "A further key, for another machine of hers"
step works "" "ssh-keygen -a 100 -t ed25519 -f second" "ssh-keygen -q -a 100 -t ed25519 -N '$demo_password' -f second"
step works "" "ssh-copy-id -f -i second access" "PATH=$world/laptop/bin:\$PATH ssh-copy-id -f -i second access"
step works "^slurm-r1$" "ssh-add second; ssh -i second slurm hostname" "$(typed "$demo_password" "ssh-add -q second"); ssh -o BatchMode=yes -i second slurm hostname"

chapter "Compute nodes open with a job"
step refused "[Pp]ermission denied|prohibited" "ssh galvani-cn001 hostname" "ssh -o BatchMode=yes galvani-cn001 hostname"
must "the scheduler starts job 88 on galvani-cn001" as_admin \
    "postern admin job start r1 88 --account carol --type shared --node galvani-cn001 >/dev/null"
must "the node knows" await_job galvani-cn001 carol
step works "^galvani-cn001$" "ssh galvani-cn001 hostname" "ssh -o BatchMode=yes galvani-cn001 hostname"

chapter "She leaves the group"
must "the manager removes carol from vision" as_admin "postern admin project remove-member vision carol >/dev/null"
must "the access machine knows" await_no_login "ssh -o BatchMode=yes access"
step refused "[Pp]ermission denied" "ssh slurm hostname" "ssh -o BatchMode=yes slurm hostname"
