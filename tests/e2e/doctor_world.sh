# shellcheck shell=bash disable=SC2034
# The world of cli_world.sh with ssh configured, and what the doctor's two scenarios share. Sourced instead of lib.sh.
# shellcheck source=tests/e2e/cli_world.sh
. "$(dirname "${BASH_SOURCE[0]}")/cli_world.sh"
cli_world_begin "${doctor_settings[@]}"
ssh=home/alice/.ssh state=home/alice/.local/state/posterngate/cscs
# All of this comes from one address, and most of it fails.
gate_limits() { # LIMIT…
    sed -i '/^limits:/d' hosts/ela/gate.yaml
    echo "limits: {$1}" >>hosts/ela/gate.yaml
    kill -HUP "$gate_pid"
}
gate_limits 'login_failures: 100000'
check "postern config" laptop postern config
check "ssh works" laptop ssh -o BatchMode=yes daint true

# What there was at first, to come back to.
keep() {
    rm -rf good && cp -a $ssh good
    cp good/config config.good && cp good/cscs-key key.good && cp good/cscs-key.pub pub.good
}
restore() { find $ssh -mindepth 1 -delete && cp -a good/. $ssh/; }
keep
unchanged() { diff -r good $ssh; }

# The doctor finds that, first of all.
finds() { # DESCRIPTION CHECK WORDS [HOST…]
    local description=$1 name=$2 words=$3 status=0
    shift 3
    laptop postern --json doctor "$@" >last 2>&1 || status=$?
    [ $status = 4 ] && jq -e --arg name "$name" --arg words "$words" \
        '.first == $name and (.checks[] | select(.check == $name) | .state == "broken" and (.message | test($words)))' last >condition
    report $? "$description: found"
}
# --fix mends it, whatever else it hides, and ssh gets in.
mends() { # DESCRIPTION [HOST]
    check "$1: --fix" laptop postern doctor --fix --yes "${@:2}"
    check "$1: ssh works" laptop ssh -o BatchMode=yes "${2:-daint}" true
}
