#!/usr/bin/env bash
# The dashboard's files, and a browser's session as the credential of the API: from this site's own pages and from nowhere else.
# shellcheck shell=bash disable=SC1091,SC2154,SC2317,SC2016
. "$(dirname "$0")/lib.sh"
. "$here/authority_world.sh"
. "$here/oidc_world.sh"

start_authority
alice_signs_in
alice_secret=$secret

# ---- the files --------------------------------------------------------------------------------

header() { grep -qiE -- "^$1: $2"$'\r'"?$" "$work/headers"; } # NAME PATTERN
visit GET /
shows "the page" 200 '<script type="module" src="/web/[0-9a-f]{16}/app.js">'
cp "$work/last" "$work/index.html"
check "no code of its own" bash -c "! grep -qE '<script>|<style|style=| on[a-z]+=' '$work/index.html'"
check "a policy that lets nothing else in" header content-security-policy \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
check "its type is not guessed at" header x-content-type-options nosniff
check "it tells nobody where one comes from" header referrer-policy no-referrer
check "by HTTPS alone from now on" header strict-transport-security max-age=31536000
check "it is asked for anew each time" header cache-control no-cache
etag=$(sed -n 's/^ETag: //Ip' "$work/headers" | tr -d '\r')
visit GET / -H "If-None-Match: $etag"
shows "unchanged, it is not sent again" 304 ''
check "with the policy that a browser keeps with it from now on" header content-security-policy "default-src 'none'; script-src 'self'; .*"
check "and on what it depends" header vary Accept-Encoding
visit GET / -H 'Accept-Encoding: gzip'
cp "$work/last" "$work/index.html.gz"
check "compressed for who takes that" header content-encoding gzip
check "it is the same page" bash -c "gzip -dc '$work/index.html.gz' | cmp - '$work/index.html'"
check "and says on what that depends" header vary Accept-Encoding
refused "with a tag of its own" any '' test "$etag" = "$(sed -n 's/^ETag: //Ip' "$work/headers" | tr -d '\r')"
while read -r file; do
    visit GET "$file" -H 'Accept-Encoding: gzip'
    [ "$status" = 200 ] && gzip -dc "$work/last" | cmp -s - "$root/web/${file##*/}" && header cache-control 'public, max-age=31536000, immutable'
    report $? "$file is there, for good"
done < <(grep -oE '/web/[0-9a-f]{16}/[a-z_.]+' "$work/index.html" | sort -u)
check "modules have their type" header content-type 'text/(javascript|css); charset=utf-8'
visit GET /web/0000000000000000/app.js
shows "another version has none" 404 not_found
visit GET "$(grep -oE '/web/[0-9a-f]{16}/' "$work/index.html" | head -n 1)none.js"
shows "nor is there any other file" 404 not_found

# ---- signing in -------------------------------------------------------------------------------

sign_in() { # USER PASSWORD CODE [FIELD…]
    rm -f "$jar"
    visit GET /sign-in?place=keys
    cp "$work/last" "$work/page"
    submit /sign-in action=sign-in username="$1" password="$2" totp="$3" "${@:4}"
}
sign_in alice wrong-password-entirely "$(code "$alice_secret")"
shows "a wrong password" 401 'role="alert".*is wrong'
check "gives no session" bash -c "! grep -q posterngate-session '$jar'"
submit /sign-in action=sign-in username=alice password=correct-horse-battery totp="$(code "$alice_secret")" form_token=forged
shows "a form that is not ours" 403 'page has been open for too long'
visit GET '/sign-in?place=//evil.example'
shows "leads nowhere else" 400 'place must be'
sign_in alice correct-horse-battery "$(code "$alice_secret" 30)"
shows "signing in" 303 ''
check "leads to the page that was asked for" test "$(location)" = "/#/keys"
check "the cookie is the host's, secure, kept from scripts and from other sites" header set-cookie \
    '__Host-posterngate-session=pgb_[^;]*; Path=/; Max-Age=[0-9]+; HttpOnly; SameSite=Strict; Secure'
visit GET /sign-in
shows "who is signed in goes on" 303 ''

next_code() { # of a step that was not used yet
    wait_for 70 step_is_over
    code "$alice_secret"
}
used_until=$(($(date +%s) / 30 + 1)) # signing in took the code of the step after this
step_is_over() { [ $(($(date +%s) / 30)) -gt "$used_until" ]; }

# ---- the session as a credential --------------------------------------------------------------

same=(-H 'Sec-Fetch-Site: same-origin')
visit GET /api/v1/auth/csrf-token
shows "the session's own token is for our pages" 401 not_logged_in
visit GET /api/v1/auth/csrf-token -H 'Sec-Fetch-Site: cross-site'
shows "not for those of others" 401 not_logged_in
visit GET /api/v1/auth/csrf-token "${same[@]}" -H 'Origin: https://evil.example'
shows "whatever they say" 401 not_logged_in
visit GET /api/v1/auth/csrf-token "${same[@]}"
shows "our pages get it" 200 csrfToken
csrf=$(field .csrfToken)
token_header=(-H "X-CSRF-Token: $csrf")
key=$(ssh-keygen -q -t ed25519 -N '' -f "$work/key" && cat "$work/key.pub")
body=(-H 'Content-Type: application/json' --data-binary "{\"publicKey\":\"$key\"}")

whoami=/api/v1/auth/whoami
visit GET $whoami
shows "the cookie alone opens nothing" 403 cross_site
visit GET $whoami "${same[@]}"
shows "nor with the browser's word for it" 403 cross_site
visit GET $whoami "${token_header[@]}"
shows "nor with the token, but not from a page" 403 cross_site
for from_where in cross-site same-site none; do
    visit GET $whoami "${token_header[@]}" -H "Sec-Fetch-Site: $from_where"
    shows "nor $from_where" 403 cross_site
done
visit GET $whoami "${same[@]}" -H "X-CSRF-Token: ${csrf%?}$([ "${csrf: -1}" = 0 ] && echo 1 || echo 0)"
shows "nor with nearly the token" 403 cross_site
visit GET $whoami "${same[@]}" -H 'X-CSRF-Token;'
shows "nor with an empty one" 403 cross_site
visit GET $whoami "${same[@]}" "${token_header[@]}" -H 'Origin: null'
shows "nor from a sandboxed frame" 403 cross_site
visit GET $whoami "${same[@]}" "${token_header[@]}"
shows "a page of ours reads" 200 '"username":"alice"'
has "and learns its address" '.address == "127.0.0.1" and .credential == "session"'
visit POST /api/v1/ssh-keys/sign "${same[@]}" "${token_header[@]}" "${body[@]}"
shows "nothing is written without an Origin" 403 cross_site
visit POST /api/v1/ssh-keys/sign "${same[@]}" "${token_header[@]}" -H "Origin: https://evil.example" "${body[@]}"
shows "nor from another" 403 cross_site
visit POST /api/v1/ssh-keys/sign "${same[@]}" "${token_header[@]}" -H "Origin: $url.evil.example" "${body[@]}"
shows "nor one that begins alike" 403 cross_site
visit POST /api/v1/projects "${same[@]}" "${token_header[@]}" -H "Origin: $url" -H 'Content-Type: application/json' --data-binary '{"name":"s1"}'
shows "a page of ours writes" 201 '"name":"s1"'
visit PUT /api/v1/projects/s1/members/alice "${same[@]}" "${token_header[@]}" -H "Origin: $url" -H 'Content-Type: application/json' --data-binary '{"role":"member"}'
visit POST /api/v1/ssh-keys/sign "${same[@]}" "${token_header[@]}" -H "Origin: $url" "${body[@]}"
shows "and signs" 200 serialNumber
visit GET $whoami "${same[@]}" "${token_header[@]}" -H 'Authorization: Bearer pgs_nothing'
shows "another credential goes before, good or not" 401 not_logged_in
cookie=$(awk '/posterngate-session/ {print $7}' "$jar")
gets "the cookie's value is no bearer" 401 not_logged_in GET $whoami "$cookie"
audited "refusals are on record" '.code == "cross_site" and .actor == "anonymous"'

visit GET /api/v1/sessions "${same[@]}" "${token_header[@]}"
shows "her sessions" 200 ''
has "the browser's, which asks, and the command line's" '[.sessions[] | [.use, .current]] | sort == [["browser",true],["program",false]]'
has "both by a second factor" '[.sessions[] | select((.methods | test("mfa")) and has("signInTime"))] | length == 2'
visit GET '/api/v1/audit/mine?limit=2' "${same[@]}" "${token_header[@]}"
has "what was done in her name, in pages" '(.audit | length) == 2 and .audit[0].actor == "alice" and .next == .audit[1].sequence'
visit GET "/api/v1/audit/mine?action=session." "${same[@]}" "${token_header[@]}"
has "with what was only tried" '[.audit[] | select(.action == "session.sign-in" and (.allowed | not) and .source == "127.0.0.1")] | length >= 1'
has "to its end" 'has("next") | not'

# Another session, another token: what one page learnt is nothing to another's.
cp "$jar" "$work/alice-jar"
gets "bob" 201 - POST /api/v1/accounts "$admin" '{"name":"bob","displayName":"Bob"}'
enrol "$(field .invitation)" blue-river-stone-47
sign_in bob blue-river-stone-47 "$(code "$secret")"
shows "bob signs in" 303 ''
visit GET $whoami "${same[@]}" "${token_header[@]}"
shows "alice's token is not bob's" 403 cross_site
visit GET /api/v1/auth/csrf-token "${same[@]}"
bob_token=(-H "X-CSRF-Token: $(field .csrfToken)")
gets "alice's command line" 200 - GET /api/v1/sessions "$admin"
alices=$(field '.sessions[] | select(.current) | .id')
visit DELETE "/api/v1/sessions/$alices" "${same[@]}" "${bob_token[@]}" -H "Origin: $url"
shows "her session is not his to end" 404 not_found
visit GET /api/v1/audit/mine "${same[@]}" "${bob_token[@]}"
has "he sees what is his" '[.audit[] | select(.actor != "bob")] == []'
visit GET /api/v1/accounts "${same[@]}" "${bob_token[@]}"
shows "his session has his rights" 403 not_permitted
gets "bob is disabled" 200 - PUT /api/v1/accounts/bob "$admin" '{"disabled":true}'
visit GET $whoami "${same[@]}" "${bob_token[@]}"
shows "which ends his session" 401 not_logged_in

cp "$work/alice-jar" "$jar"
api POST /api/v1/auth/login '' "{\"username\":\"alice\",\"password\":\"correct-horse-battery\",\"totp\":\"$(next_code)\"}"
other=$(field .access_token)
gets "alice signs in elsewhere" 200 - GET /api/v1/sessions "$other"
elsewhere=$(field '.sessions[] | select(.current) | .id')
visit DELETE "/api/v1/sessions/$elsewhere" "${same[@]}" "${token_header[@]}" -H "Origin: $url"
shows "and ends that here" 200 ''
gets "it has ended" 401 not_logged_in GET $whoami "$other"
visit POST /api/v1/auth/logout "${same[@]}" "${token_header[@]}"
shows "nobody else signs alice out" 403 cross_site
visit POST /api/v1/auth/logout "${same[@]}" "${token_header[@]}" -H "Origin: $url"
shows "she does" 200 ''
check "the cookie is taken away" header set-cookie '__Host-posterngate-session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure'
cp "$work/alice-jar" "$jar"
visit GET $whoami "${same[@]}" "${token_header[@]}"
shows "and would be good for nothing" 401 not_logged_in
gets "her command line is signed in still" 200 - GET $whoami "$admin"

done_testing
