# shellcheck shell=bash
# Glewlwyd, an OpenID provider of another maker than npm's, for scenarios: with a database, keys and a port of its own, set up by
# its REST API as its administrator would. Its client "posterngate" takes redirects to $glewlwyd_redirects; its people sign in with
# password and one-time code.
# Used by the scenarios.
# shellcheck disable=SC2034,SC2154
glewlwyd_root=$TOOLS/glewlwyd
glewlwyd_port=$(free_port)
glewlwyd=https://127.0.0.1:$glewlwyd_port
glewlwyd_issuer=$glewlwyd/api/oidc
glewlwyd_ca=$work/glewlwyd/ca.pem

glewlwyd_is_here() { [ -x "$glewlwyd_root/usr/bin/glewlwyd" ]; }

# A certificate authority of the test, and the certificate of 127.0.0.1 by it.
glewlwyd_certificates() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=CA of a test" -keyout ca.key -out ca.pem &&
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=127.0.0.1 -keyout tls.key -out tls.csr &&
        echo subjectAltName=IP:127.0.0.1 >tls.extensions &&
        openssl x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile tls.extensions -out tls.pem
}

glewlwyd_configuration() {
    local modules=$glewlwyd_root/usr/lib/glewlwyd
    cat <<EOT
port=$glewlwyd_port
bind_address="127.0.0.1"
external_url="$glewlwyd"
login_url="login.html"
api_prefix="api"
static_files_path="$glewlwyd_root/usr/share/glewlwyd/webapp/"
static_files_mime_types=(
  { extension=".html"; mime_type="text/html"; compress=0; }, { extension=".css"; mime_type="text/css"; compress=0; },
  { extension=".js"; mime_type="application/javascript"; compress=0; }, { extension=".json"; mime_type="application/json"; compress=0; })
log_mode="console"
log_level="INFO"
cookie_domain="127.0.0.1"
cookie_secure=1
session_expiration=3600
session_key="GLEWLWYD2_SESSION_ID"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="$modules/user"
user_middleware_module_path="$work/glewlwyd/none"
client_module_path="$modules/client"
user_auth_scheme_module_path="$modules/scheme"
plugin_module_path="$modules/plugin"
use_secure_connection=true
secure_connection_key_file="$work/glewlwyd/tls.key"
secure_connection_pem_file="$work/glewlwyd/tls.pem"
secure_connection_ca_file="$glewlwyd_ca"
hash_algorithm="SHA512"
database={ type="sqlite3"; path="$work/glewlwyd/store.db"; };
EOT
}

glewlwyd_answers() { curl -fsS --cacert "$glewlwyd_ca" "$glewlwyd/config"; }

serve_glewlwyd() {
    start glewlwyd "$glewlwyd_root/usr/bin/glewlwyd" -c "$work/glewlwyd/glewlwyd.conf"
    glewlwyd_pid=$last_pid
    wait_for 30 glewlwyd_answers
}

# As the administrator, who signs in each time; fails unless the answer is 200.
glewlwyd_api() { # METHOD PATH [JSON]
    local jar=$work/glewlwyd/administrator body=()
    [ $# = 2 ] || body=(--json "$3")
    curl -fsS --cacert "$glewlwyd_ca" -c "$jar" --json '{"username":"admin","password":"password"}' "$glewlwyd/api/auth/" &&
        curl -fsS --cacert "$glewlwyd_ca" -b "$jar" -X "$1" "${body[@]}" "$glewlwyd/api$2"
}

# The OIDC plugin, signing with a key just made.
glewlwyd_plugin() {
    openssl genrsa -out "$work/glewlwyd/sign.key" 2048 2>/dev/null
    openssl rsa -in "$work/glewlwyd/sign.key" -pubout -out "$work/glewlwyd/sign.pub" 2>/dev/null
    jq -n --arg iss "$glewlwyd_issuer" --rawfile key "$work/glewlwyd/sign.key" --rawfile cert "$work/glewlwyd/sign.pub" '{
        module: "oidc", name: "oidc", display_name: "OpenID", enabled: true, parameters: {
            iss: $iss, key: $key, cert: $cert, "jwt-type": "rsa", "jwt-key-size": "256", "jwks-show": true, "oauth-as-iss-id": true,
            "allow-non-oidc": false, "subject-type": "public", "allowed-scope": ["openid"], "code-duration": 60,
            "access-token-duration": 3600, "refresh-token-duration": 3600, "refresh-token-rolling": true,
            "auth-type-code-enabled": true, "auth-type-code-revoke-replayed": true, "auth-type-id-token-enabled": true,
            "auth-type-refresh-enabled": true, "auth-type-device-enabled": true, "auth-type-token-enabled": false,
            "auth-type-none-enabled": false, "auth-type-password-enabled": false, "auth-type-client-enabled": false,
            "device-authorization-expiration": 600, "device-authorization-interval": 1,
            "pkce-allowed": true, "pkce-required": true, "pkce-method-plain-allowed": false,
            claims: [{name: "preferred_username", "user-property": "username", type: "string", mandatory: true}]}}'
}

glewlwyd_client() { # METHOD PATH ID ENABLED
    glewlwyd_api "$1" "$2" "$(jq -n --arg id "$3" --argjson enabled "$4" '{client_id: $id, name: $id, confidential: false, enabled: $enabled,
        redirect_uri: $ARGS.positional, authorization_type: ["code", "refresh_token", "device_authorization"]}' --args "${glewlwyd_redirects[@]}")"
}

glewlwyd_scope() { # SCHEMES: what "openid" takes besides the password
    glewlwyd_api PUT /scope/openid "{\"display_name\":\"OpenID\",\"description\":\"OpenID\",\"password_required\":true,\"password_max_age\":600,$1}"
}
glewlwyd_two_factors='"scheme":{"1":[{"scheme_type":"otp","scheme_name":"otp"}]},"scheme_required":{"1":1}'

glewlwyd_person() { # METHOD PATH NAME ENABLED
    glewlwyd_api "$1" "$2" "{\"username\":\"$3\",\"password\":\"long enough\",\"name\":\"$3\",\"enabled\":$4,\"scope\":[\"openid\",\"g_profile\"]}"
}

# The person has one-time codes, by the secret in $BROWSER_ROOM/NAME.secret.
glewlwyd_codes() { # NAME
    local secret
    secret=$(head -c 20 /dev/urandom | base32)
    echo "$secret" >"$BROWSER_ROOM/$1.secret"
    glewlwyd_api POST "/delegate/$1/profile/scheme/register/" \
        "{\"username\":\"$1\",\"scheme_type\":\"otp\",\"scheme_name\":\"otp\",\"value\":{\"type\":\"TOTP\",\"secret\":\"$secret\",\"time_step_size\":30}}"
}

start_glewlwyd() {
    mkdir -p "$work/glewlwyd/none"
    (cd "$work/glewlwyd" && glewlwyd_certificates 2>certificates.log && sqlite3 store.db <"$glewlwyd_root/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3" &&
        glewlwyd_configuration >glewlwyd.conf) || return 1
    serve_glewlwyd || return 1
    glewlwyd_api POST /mod/scheme/ '{"module":"otp","name":"otp","display_name":"Code","expiration":600,"max_use":0,"allow_user_register":true,"parameters":
        {"issuer":"glewlwyd","secret-minimum-size":16,"otp-length":6,"hotp-allow":false,"totp-allow":true,"totp-window":30,"totp-start-offset":0}}' &&
        glewlwyd_scope "$glewlwyd_two_factors" && glewlwyd_api POST /mod/plugin/ "$(glewlwyd_plugin)" &&
        glewlwyd_client POST /client/ posterngate true
}
