# shellcheck shell=bash
# Debian's headless Chromium, driven by npm's playwright-core: the stories are ES modules on browser.mjs, whose steps become TAP here.
# shellcheck disable=SC2154
modules=$root/build/npm/node_modules pictures=$root/build/dashboard

# Ends the scenario when there is no browser to drive. Before anything is started.
need_browser() { # DESCRIPTION [NPM-PACKAGE…]
    local missing=() package
    command -v chromium >/dev/null || missing+=(chromium)
    command -v node >/dev/null || missing+=(node)
    for package in playwright-core axe-core "${@:2}"; do
        [ -d "$modules/$package" ] || missing+=("npm's $package")
    done
    [ ${#missing[@]} = 0 ] && return
    skip "$1" "not here: ${missing[*]}; ./run setup"
    done_testing
}

# Somebody who signs in, as SETTINGS of drive_browser has them.
person() { jq -n --arg name "$1" --arg password "$2" --arg secret "$3" '{people: {($name): {$password, $secret}}}'; } # NAME PASSWORD SECRET

# Plays the stories of a module beside this file, against the authority at $url. SETTINGS are JSON objects for it: they are merged.
# Pictures are kept in build/dashboard.
drive_browser() { # SECONDS MODULE SETTINGS…
    local seconds=$1 module=$2 status=0 line
    shift 2
    mkdir -p "$pictures"
    jq -n --arg url "$url" --arg modules "$modules" --arg chromium "$(command -v chromium)" --arg pictures "$pictures" \
        '{$url, $modules, $chromium, $pictures}' | cat - <(printf '%s\n' "$@") | jq -s 'reduce .[] as $one ({}; . * $one)' >"$work/$module.json"
    timeout "$seconds" node "$here/$module" "$work/$module.json" >"$work/$module.log" 2>&1 || status=$?
    : >"$work/last"
    while IFS= read -r line; do
        case $line in
        'ok - '*) report 0 "${line#ok - }" ;;
        'not ok - '*) report 1 "${line#not ok - }" ;;
        *)
            printf '%s\n' "$line" >>"$work/last"
            continue
            ;;
        esac
        : >"$work/last"
    done <"$work/$module.log"
    tail -n 20 "$work/$module.log" >"$work/last"
    report $status "the stories of $module came to their end"
}
