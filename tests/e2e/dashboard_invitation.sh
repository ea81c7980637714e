#!/usr/bin/env bash
# An invitation accepted in the browser: what its calls refuse, then the whole way from the link to the dashboard in Chromium.
# shellcheck shell=bash disable=SC1091,SC2154,SC2317,SC2016
. "$(dirname "$0")/lib.sh"
. "$here/browser_world.sh"
need_browser "an invitation in a browser" jsqr
site=alps authority_host=localhost
. "$here/authority_world.sh"
. "$here/oidc_world.sh"
export HOME=$work/home LC_ALL=C.UTF-8
mkdir -p "$HOME"
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

make_authority
sed -i '/^  title:/d; /^site:/a\  title: Alpine Computing Centre' "$authority/posternd.yaml"
serve
alice_signs_in
alice_secret=$secret
page=(-H 'Sec-Fetch-Site: same-origin' -H "Origin: $url")
posts() { # DESCRIPTION STATUS PATTERN PATH JSON [CURL-OPTION…]
    visit POST "$4" -H 'Content-Type: application/json' --data-binary "$5" "${@:6}"
    shows "$1" "$2" "$3"
}
sets_cookie() { grep -qi '^set-cookie: __Host-posterngate-session=pgb_' "$work/headers"; }

# ---- what is refused --------------------------------------------------------------------------

about=/api/v1/auth/invitation/about confirm=/api/v1/auth/invitation/confirm login=/api/v1/auth/login
posts "who has no invitation learns nothing" 401 invalid_invitation $about '{"invitation":"pgi_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}'
posts "nor by what is none" 401 invalid_invitation $about '{"invitation":"nonsense"}'
gets "an account for carol" 201 - POST /api/v1/accounts "$admin" '{"name":"carol","displayName":"Carol Example"}'
invitation=$(field .invitation)
has "its page's address holds it where it is never sent" ".invitationUrl == \"$url/invitation#$invitation\""
posts "the one who has it learns for whom it is" 200 '"displayName":"Carol Example"' $about "{\"invitation\":\"$invitation\"}"
posts "once more, for nothing was used up" 200 '"username":"carol"' $about "{\"invitation\":\"$invitation\"}"
check "it is on no record" bash -c "! grep -rqF '${invitation#pgi_}' '$authority' '$work/posternd.log'"

judges() { # DESCRIPTION PATTERN PASSWORD [USERNAME]
    posts "$1" 200 "$2" /api/v1/auth/password/judgement "$(jq -cn --arg password "$3" --arg username "${4:-}" '{$password, $username}')"
}
judges "a password is judged: too short" '"acceptable":false,"reason":"the password has 5 characters' abcde
judges "a run" '"reason":"the password is a run' abcdefghijklmn
judges "little but the name" "account's name" carolcarol12 carol
judges "which is good for another" '"acceptable":true' xarolcadol12 carol
judges "a good one" '^\{"acceptable":true\}$' correct-horse-battery
posts "nothing else is asked" 400 unknown_field /api/v1/auth/password/judgement '{"password":"x","invitation":"y"}'

api POST /api/v1/auth/invitation '' "{\"invitation\":\"$invitation\",\"password\":\"green-hill-cloud-12\"}"
carol_secret=$(field .totpSecret)
has "the QR code comes along" '(.totpQr | length) == (.totpQr[0] | length) and (.totpQr | all(test("^[01]+$"))) and (.totpQr[0][0:7] == "1111111")'
confirmation() { jq -cn --arg invitation "$invitation" --arg totp "$(code "$carol_secret" "${1:-0}")" '{$invitation, $totp, session: "browser"}'; }
for headers in '' 'Sec-Fetch-Site: cross-site' 'Sec-Fetch-Site: same-site' 'Sec-Fetch-Site: none'; do
    posts "no cookie for ${headers:-who is no browser}" 403 cross_site $confirm "$(confirmation)" ${headers:+-H "$headers"} -H "Origin: $url"
done
posts "nor for another site's page" 403 cross_site $confirm "$(confirmation)" -H 'Sec-Fetch-Site: same-origin' -H 'Origin: https://evil.example'
posts "a wrong code" 401 invalid_credentials $confirm "{\"invitation\":\"$invitation\",\"totp\":\"000000\",\"session\":\"browser\"}" "${page[@]}"
refused "gives none either" any '' sets_cookie
posts "a session of another kind" 422 'bearer, browser|bearer or browser' $confirm "{\"invitation\":\"$invitation\",\"totp\":\"000000\",\"session\":\"tea\"}" "${page[@]}"
posts "a page of ours confirms" 200 '"username":"carol"' $confirm "$(confirmation -30)" "${page[@]}"
has "without a token for scripts" 'has("access_token") | not'
check "and gets the cookie" sets_cookie
posts "it works once" 401 invalid_invitation $about "{\"invitation\":\"$invitation\"}"

# The same where somebody signs in.
credentials() { jq -cn --arg totp "$(code "$carol_secret")" '{username: "carol", password: "green-hill-cloud-12", $totp, session: "browser"}'; }
posts "nobody signs a browser in from elsewhere" 403 cross_site $login "$(credentials)" -H 'Sec-Fetch-Site: cross-site' -H 'Origin: https://evil.example'
sessions() { sqlite3 "$authority/store/posternd.db" "SELECT count(*) FROM session JOIN account ON account.id = account_id WHERE name = 'carol'"; }
check "carol has one session" test "$(sessions)" = 1
before=$(awk '/posterngate-session/ {print $7}' "$jar")
posts "a page of ours signs in again" 200 '"username":"carol"' $login "$(credentials)" "${page[@]}"
check "by another cookie" test "$before" != "$(awk '/posterngate-session/ {print $7}' "$jar")"
check "in place of the one before" test "$(sessions)" = 1

# ---- in Chromium ------------------------------------------------------------------------------

gets "an account for bob" 201 - POST /api/v1/accounts "$admin" '{"name":"bob","displayName":"Bob Example"}'
link=$(field .invitationUrl)
drive_browser 200 dashboard_invitation.mjs "$(person alice correct-horse-battery "$alice_secret")" \
    "$(jq -n --arg link "$link" --arg folder "$work" '{$link, $folder}')"
check "the recovery codes that were downloaded are ten" grep -cE '^([0-9A-Z]{5}-){3}[0-9A-Z]{5}$' "$work/recovery-codes-bob.txt"
says "of them" '^10$'
check "no record has the invitation" bash -c "! grep -rqF '${link##*#pgi_}' '$authority' '$work/posternd.log'"
done_testing
