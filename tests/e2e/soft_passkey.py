#!/usr/bin/env python3
"""Answers a challenge as a new authenticator would: the body of the call that registers a passkey, without attestation.

usage: soft_passkey.py NAME ORIGIN <WHAT-THE-AUTHORITY-ASKS

Its key is made by openssl and thrown away: it can be registered, and signs nobody in.
"""
import base64
import hashlib
import json
import os
import subprocess
import sys
from urllib.parse import urlsplit


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def head(major, value):
    """CBOR's first bytes of an item (RFC 8949 section 3)."""
    if value < 24:
        return bytes([major << 5 | value])
    return bytes([major << 5 | 24, value]) if value < 256 else bytes([major << 5 | 25, value >> 8, value & 255])


def blob(data):
    return head(2, len(data)) + data


def text(word):
    return head(3, len(word)) + word.encode()


def public_key():
    """A new one of P-256 as COSE_Key."""
    made = subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-outform", "DER"],
                          check=True, capture_output=True).stdout
    point = subprocess.run(["openssl", "ec", "-inform", "DER", "-pubout", "-outform", "DER"], input=made, check=True,
                           capture_output=True).stdout[-64:]
    es256 = head(0, 1) + head(0, 2) + head(0, 3) + head(1, 6) + head(1, 0) + head(0, 1)
    return head(5, 5) + es256 + head(1, 1) + blob(point[:32]) + head(1, 2) + blob(point[32:])


def main():
    name, origin = sys.argv[1:]
    client = json.dumps({"type": "webauthn.create", "challenge": json.load(sys.stdin)["challenge"], "origin": origin})
    flags, counter, model = bytes([0x45]), bytes(4), bytes(16)  # present, verified, a credential follows
    credential = os.urandom(32)
    data = (hashlib.sha256(urlsplit(origin).hostname.encode()).digest() + flags + counter + model
            + len(credential).to_bytes(2, "big") + credential + public_key())
    attestation = head(5, 3) + text("fmt") + text("none") + text("attStmt") + head(5, 0) + text("authData") + blob(data)
    print(json.dumps({"name": name, "clientData": encode(client.encode()), "attestation": encode(attestation)}))


main()
