#!/usr/bin/env bash
# Administration in the browser: a centre is set up from nothing but an administrator, in Chromium, and what was made is judged by the API
# and by a host that enrols with what the page shows.
# shellcheck shell=bash disable=SC1091,SC2154,SC2317,SC2016
. "$(dirname "$0")/lib.sh"
. "$here/browser_world.sh"
need_browser "administration in a browser"
site=alps authority_host=localhost
. "$here/authority_world.sh"
export HOME=$work/home LC_ALL=C.UTF-8
mkdir -p "$HOME"
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

start_authority
alice_signs_in
alice_secret=$secret
invite bob blue-river-stone-47
bob_token=$token
gets "who is no administrator makes no account" 403 not_permitted POST /api/v1/accounts "$bob_token" '{"name":"mallory"}'

drive_browser 300 dashboard_admin.mjs "$(person alice correct-horse-battery "$alice_secret")" "$(jq -n --arg folder "$work" '{$folder}')"

# ---- what came of it --------------------------------------------------------------------------

gets "bob's account" 200 - GET /api/v1/accounts/bob "$admin"
has "is as it was changed" '.account | .displayName == "Bob of the Alps" and .quotaPerDay == 7 and .administrator and (.enrolled | not)'
gets "his session has ended" 401 not_logged_in GET /api/v1/auth/whoami "$bob_token"
gets "the project" 200 - GET /api/v1/projects/s1234 "$admin"
has "has its people and clusters" '.project | .clusters == ["daint"] and .members == [{"username":"bob","role":"manager"},{"username":"dora","role":"member"}]'
gets "the clusters" 200 - GET /api/v1/clusters "$admin"
has "have their settings" '[.clusters[] | {name, port, nodeAccess, credentials}] | index({"name":"daint","port":2222,"nodeAccess":"open","credentials":"certificates"}) != null'
gets "the hosts" 200 - GET /api/v1/hosts "$admin"
has "have theirs" '[.hosts[] | [.name, .role, .cluster, .scheduler]] == [["daint-ln001","login","daint",true],["ela","jump","",false]]'
read -ra words <"$work/enrol"
check "the command is one to paste" test "${words[*]:0:5}" = "postern-host enrol --url $url --token"
host_token=$(host_enrols ela "${words[5]}")
check "and its token enrols the host" test -n "$host_token"
done_testing
