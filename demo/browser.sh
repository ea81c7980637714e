# shellcheck shell=bash
# The person's browser in a story: real Chromium without a window, driven by playwright-core. Sourced by the stories that have one.
# shellcheck disable=SC2154

# Puts it on the laptop, for `browse`, and as the $BROWSER that postern opens.
world_browser() { # ACCOUNT
    local modules=$root/build/npm/node_modules node
    if ! command -v chromium >/dev/null || ! node=$(command -v node) || [ ! -d "$modules/playwright-core" ]; then
        echo "  the browser of this story is not here; it comes with: ./run setup"
        return 1
    fi
    mkdir -p "$world/browser/node_modules"
    # The checkout may lie where the laptop's owner cannot look.
    install -m 644 "$root/tests/e2e/browser.mjs" "$root"/demo/*.mjs "$world/browser/" &&
        mount --bind "$modules" "$world/browser/node_modules" || return 1
    world_mounts+=("$world/browser/node_modules")
    jq -n --arg url "$authority_url" --arg modules "$world/browser/node_modules" --arg chromium "$(command -v chromium)" \
        --arg pictures "$world/laptop/pictures" --arg person "$1" --arg password "$demo_password" \
        '{$url, $modules, $chromium, $pictures, $person, people: {($person): {$password}}}' >"$world/browser/settings.json"
    cat >"$world/bin/browse" <<SH
#!/bin/sh
exec >"\$HOME/browser.log" 2>&1
$node "$world/browser/\$1.mjs" $world/browser/settings.json "\$2"
echo "ended with \$?"
SH
    printf '#!/bin/sh\nexec %s sign_in "$1"\n' "$world/bin/browse" >"$world/bin/browser"
    chmod 755 "$world/bin"/brows*
    world_environment+=("BROWSER=$world/bin/browser")
}

# What the person does there, step by step, as the module tells.
browse() { # WHAT MODULE ARGUMENT
    printf '%sIn the browser: %s%s\n' "$bold" "$1" "$plain"
    as_you "browse $2 '$3'"
    show_browser
}

# What the person did in the browser that was opened; each of it is a step of the story.
show_browser() {
    local line mark sign
    await_text "$world/laptop/browser.log" '^ended with' || failures=$((failures + 1))
    while IFS= read -r line; do
        mark=$green sign=✓
        case $line in
        'ok - '*) ;;
        'not ok - '*) mark=$red sign=✗ ;;
        'ended with 0') continue ;;
        'ended with '*)
            failures=$((failures + 1))
            continue
            ;;
        *)
            printf '      %s\n' "$line"
            continue
            ;;
        esac
        steps=$((steps + 1))
        printf '  %s%s%s %s\n' "$mark" "$sign" "$plain" "${line#*ok - }"
    done <"$world/laptop/browser.log"
    rm -f "$world/laptop/browser.log"
}
