# shellcheck shell=bash
# The person's browser in a story: real Chromium without a window, driven by playwright-core. Sourced by the stories that have one.
# shellcheck disable=SC2154

# Puts it on the laptop as $BROWSER: what opens there is a page, and the person does on it what person.mjs says.
world_browser() { # ACCOUNT
    local modules=$root/build/npm/node_modules node
    if ! command -v chromium >/dev/null || ! node=$(command -v node) || [ ! -d "$modules/playwright-core" ]; then
        echo "  the browser of this story is not here; it comes with: ./run setup"
        return 1
    fi
    mkdir -p "$world/browser/node_modules" "$root/build/demo" && chmod 755 "$world/browser"
    # The checkout may lie where the laptop's owner cannot look.
    install -m 644 "$root/tests/e2e/browser.mjs" "$root/demo/person.mjs" "$world/browser/" &&
        mount --bind "$modules" "$world/browser/node_modules" || return 1
    world_mounts+=("$world/browser/node_modules")
    jq -n --arg url "$authority_url" --arg modules "$world/browser/node_modules" --arg chromium "$(command -v chromium)" \
        --arg pictures "$world/laptop/pictures" --arg person "$1" --arg password "$demo_password" \
        '{$url, $modules, $chromium, $pictures, $person, people: {($person): {$password}}}' >"$world/browser/settings.json"
    as_you "mkdir -p pictures"
    # The authenticator is the person's phone; here the secret that it scanned is in a file.
    cat >"$world/bin/browser" <<SH
#!/bin/sh
exec >"\$HOME/browser.log" 2>&1
jq --rawfile secret "\$HOME/totp-secret" '.people[.person].secret = (\$secret | rtrimstr("\n"))' $world/browser/settings.json >"\$HOME/browser.json"
$node $world/browser/person.mjs "\$HOME/browser.json" "\$1"
echo "ended with \$?"
SH
    chmod 755 "$world/bin/browser"
    world_environment+=("BROWSER=$world/bin/browser")
}

# What the person did in the browser that the last step opened: each of it is a step of the story.
show_browser() {
    local line mark sign
    await_text "$world/laptop/browser.log" '^ended with' || failures=$((failures + 1))
    printf '  meanwhile in the browser:\n'
    while IFS= read -r line; do
        mark=$green sign=✓
        case $line in
        'ok - '*) ;;
        'not ok - '*) mark=$red sign=✗ failures=$((failures + 1)) ;;
        'ended with 0') continue ;;
        *)
            printf '      %s\n' "$line"
            continue
            ;;
        esac
        steps=$((steps + 1))
        printf '    %s%s%s %s\n' "$mark" "$sign" "$plain" "${line#*ok - }"
    done <"$world/laptop/browser.log"
    rm "$world/laptop/browser.log"
}
