# shellcheck shell=bash
# Two Kerberos realms, HPC.EXAMPLE and OTHER.EXAMPLE, which trust each other, by MIT's KDC on loopback: everything of them is in
# $work/krb5. What is started with $KRB5_CONFIG belongs to them. With $kdc_address they are there, for other machines.
# Used by the scenarios.
# shellcheck disable=SC2034,SC2154
export PATH=$PATH:/usr/sbin
realm=HPC.EXAMPLE other_realm=OTHER.EXAMPLE kerberos=$work/krb5
export KRB5_CONFIG=$kerberos/krb5.conf KRB5_KDC_PROFILE=$kerberos/kdc.conf KRB5CCNAME=FILE:$kerberos/tickets
unset KRB5_KTNAME KRB5RCACHENAME KRB5RCACHETYPE

make_realms() {
    local port each kdc=${kdc_address:-127.0.0.1}
    port=$(free_port)
    mkdir "$kerberos"
    cat >"$KRB5_CONFIG" <<END
[libdefaults]
    default_realm = $realm
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    clockskew = ${clockskew:-300}
[realms]
    $realm = {
        kdc = $kdc:$port
    }
    $other_realm = {
        kdc = $kdc:$port
    }
[domain_realm]
    localhost = $realm
    .example = $realm
END
    cat >"$KRB5_KDC_PROFILE" <<END
[kdcdefaults]
    kdc_listen = $kdc:$port
    kdc_tcp_listen = $kdc:$port
[realms]
    $realm = {
        database_name = $kerberos/$realm
        key_stash_file = $kerberos/$realm.stash
    }
    $other_realm = {
        database_name = $kerberos/$other_realm
        key_stash_file = $kerberos/$other_realm.stash
    }
END
    for each in $realm $other_realm; do
        kdb5_util -r "$each" create -s -P master >/dev/null || return 1
        principal "$each" -pw trust "krbtgt/$realm@$other_realm"
    done
    start kdc krb5kdc -n -r $realm -r $other_realm
}

principal() { kadmin.local -r "$1" addprinc "${@:2}" >/dev/null; } # REALM [OPTION…] PRINCIPAL
ticket() { kinit "${@:2}" "$1" <<<"$1-password" >/dev/null; }      # PRINCIPAL [OPTION…]
