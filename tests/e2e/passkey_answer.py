#!/usr/bin/env python3
"""passkey_answer.py create|get KEY.pem ORIGIN CHALLENGE: a passkey without a browser (ES256, attestation "none", no counter).

Prints {"id", "clientData", "attestation"} or {"id", "clientData", "authenticatorData", "signature"}, all in base64url."""
import base64
import hashlib
import json
import subprocess
import sys
import urllib.parse

action, key, origin, challenge = sys.argv[1:]
IDENTITY = hashlib.sha256(key.encode()).digest()
UP, UV, AT = 1, 4, 64


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


def text(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def cbor_bytes(data):
    return b"\x58" + bytes([len(data)]) + data if len(data) < 256 else b"\x59" + len(data).to_bytes(2, "big") + data


rp_hash = hashlib.sha256(urllib.parse.urlsplit(origin).hostname.encode()).digest()
client = json.dumps({"type": f"webauthn.{action}", "challenge": challenge, "origin": origin, "crossOrigin": False}).encode()
if action == "create":
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    point = openssl("pkey", "-in", key, "-pubout", "-outform", "DER")[-64:]
    cose = b"\xa5\x01\x02\x03\x26\x20\x01\x21" + cbor_bytes(point[:32]) + b"\x22" + cbor_bytes(point[32:])
    data = rp_hash + bytes([UP | UV | AT]) + bytes(4) + bytes(16) + len(IDENTITY).to_bytes(2, "big") + IDENTITY + cose
    attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData" + cbor_bytes(data)
    answer = {"attestation": text(attestation)}
else:
    data = rp_hash + bytes([UP | UV]) + bytes(4)
    signature = openssl("dgst", "-sha256", "-sign", key, data=data + hashlib.sha256(client).digest())
    answer = {"authenticatorData": text(data), "signature": text(signature)}
print(json.dumps({"id": text(IDENTITY), "clientData": text(client), **answer}))
