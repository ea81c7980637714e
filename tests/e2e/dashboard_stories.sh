#!/usr/bin/env bash
# The dashboard where things are not as usual: an upgrade while the page is open, refusals, a keyboard and nothing else, a screen reader.
# shellcheck shell=bash disable=SC1091,SC2154,SC2317,SC2016
. "$(dirname "$0")/lib.sh"
. "$here/browser_world.sh"
need_browser "unusual stories in a browser"
site=alps authority_host=localhost
. "$here/authority_world.sh"
export HOME=$work/home LC_ALL=C.UTF-8
mkdir -p "$HOME"
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

start_authority
alice_signs_in
alice_secret=$secret
invite bob blue-river-stone-47
bob_secret=$secret
gets "a project" 201 - POST /api/v1/projects "$admin" '{"name":"s1234"}'
gets "its manager" 200 - PUT /api/v1/projects/s1234/members/bob "$admin" '{"role":"manager"}'
gets "alice in it" 200 - PUT /api/v1/projects/s1234/members/alice "$admin" '{"role":"member"}'
gets "a cluster" 201 - POST /api/v1/clusters "$admin" '{"name":"daint","address":"daint.alps.example"}'
gets "that it reaches" 200 - PUT /api/v1/projects/s1234/clusters/daint "$admin"
enrol_host ela '"role":"jump","address":"ela.alps.example"'
job_key=$(key job)
gets "a job" 200 - PUT /api/v1/clusters/daint/jobs/4711 "$admin" \
    "{\"username\":\"alice\",\"type\":\"cluster\",\"user\":\"runner\",\"address\":\"198.51.100.7\",\"port\":32100,\"hostKeys\":[\"$job_key\"],\"duration\":\"6h\"}"
gets "two certificates a day for bob" 200 - PUT /api/v1/accounts/bob "$admin" '{"quotaPerDay":2}'
key laptop >/dev/null
key robot >/dev/null

drive_browser 300 dashboard_stories.mjs "$(person alice correct-horse-battery "$alice_secret")" "$(person bob blue-river-stone-47 "$bob_secret")" \
    "$(jq -n --arg folder "$work" --arg admin "$admin" '{$folder, $admin}')"

check "the pair that was made is one, under its passphrase" ssh-keygen -y -P 'a passphrase of mine' -f "$work/made"
cut -d' ' -f1,2 "$work/last" >"$work/made.pub"
check "and its certificate is for it" ssh-keygen -Lf "$work/made-cert.pub"
says "for bob" '^ +bob$'
check "the key" grep -qF "$(ssh-keygen -lf "$work/made.pub" | cut -d' ' -f2)" "$work/last"
refused "without the passphrase it opens for nobody" any '' ssh-keygen -y -P '' -f "$work/made"
check "what the keyboard signed is a certificate" ssh-keygen -Lf "$work/keyboard-cert.pub"
done_testing
