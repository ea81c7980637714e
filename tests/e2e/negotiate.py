"""Prints a Negotiate token (RFC 4559) by python3-gssapi.

usage: negotiate.py SERVICE@HOST [CERTIFICATE.pem|-] [spnego|krb5]

With a certificate the token is bound to it (tls-server-end-point, RFC 5929).
"""
import base64
import hashlib
import ssl
import sys

import gssapi
from gssapi.raw import ChannelBindings

OIDS = {"spnego": "1.3.6.1.5.5.2", "krb5": "1.2.840.113554.1.2.2"}


def binding_of(path):
    with open(path, encoding="ascii") as file:
        text = file.read()
    end = "-----END CERTIFICATE-----"
    der = ssl.PEM_cert_to_DER_cert(text[: text.index(end) + len(end)] + "\n")
    return ChannelBindings(application_data=b"tls-server-end-point:" + hashlib.sha256(der).digest())


def main():
    name, certificate, mechanism = (sys.argv[1:] + ["-", "spnego"][len(sys.argv) - 2 :])[:3]
    context = gssapi.SecurityContext(
        name=gssapi.Name(name, gssapi.NameType.hostbased_service),
        mech=gssapi.OID.from_int_seq(OIDS[mechanism]),
        flags=gssapi.RequirementFlag.mutual_authentication,
        channel_bindings=None if certificate == "-" else binding_of(certificate),
        usage="initiate",
    )
    print(base64.b64encode(context.step()).decode())


main()
