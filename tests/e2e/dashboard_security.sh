#!/usr/bin/env bash
# How one signs in, changed in the browser: another authenticator, a passkey's name, the password; and what happens when a step wants a
# sign-in of just now, or when the session has ended while the page was open: nothing that was typed is lost.
# shellcheck shell=bash disable=SC1091,SC2154,SC2317,SC2016
. "$(dirname "$0")/lib.sh"
. "$here/browser_world.sh"
need_browser "security in a browser"
site=alps authority_host=localhost # passkeys want a name
. "$here/authority_world.sh"
export HOME=$work/home LC_ALL=C.UTF-8
mkdir -p "$HOME"
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

start_authority
alice_signs_in
invite bob blue-river-stone-47
bob_secret=$secret bob_token=$token

drive_browser 200 dashboard_security.mjs "$(person bob blue-river-stone-47 "$bob_secret")" \
    "$(jq -n --arg folder "$work" --arg store "$authority/store/posternd.db" --arg admin "$admin" --arg bob "$bob_token" '{$folder, $store, $admin, $bob}')"

# ---- what came of it --------------------------------------------------------------------------

gets "bob's password is another: his token has ended" 401 not_logged_in GET /api/v1/auth/factors "$bob_token"
audited "renaming is on record" '.action == "factor.passkey-rename" and .actor == "bob" and .target == "blue laptop" and .detail == "was laptop"'
audited "a wrong present password as well" '.action == "factor.password" and .code == "invalid_credentials"'
done_testing
