"""Signs on 64 connections until the authority closes them: drain.py PORT CA.pem TOKENS OUT

Every serial number that an answer carried is a line of OUT, at once. A connection ends with an answer that says it is shutting down,
or cleanly between two answers; anything else, half an answer above all, is told and ends the run with status 1."""

import http.client
import json
import ssl
import subprocess
import sys
import tempfile
import threading

port, ca, tokens, out = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
CONNECTIONS = 64
tls = ssl.create_default_context(cafile=ca)
lock = threading.Lock()
bad = []
ends = {"told": 0, "closed": 0}


def note(end):
    with lock:
        ends[end] += 1


def work(mine, body, file):
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=tls, timeout=60)
    connection.connect()
    turn = 0
    while True:
        turn += 1  # the authority bounds what one account may ask for
        headers = {"Authorization": "Bearer " + mine[turn % len(mine)], "Content-Type": "application/json"}
        try:
            connection.sock.getpeername()
            connection.request("POST", "/api/v1/ssh-keys/sign", body, headers)
            answer = connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError, OSError) as error:
            if isinstance(error, TimeoutError):
                bad.append("no answer in a minute")
            note("closed")
            return
        try:
            document = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            bad.append(f"half an answer: {error!r}")
            return
        if answer.status == 200:
            with lock:
                file.write(document["sshKey"]["serialNumber"] + "\n")
        elif answer.status == 503 and document["code"] == "shutting_down":
            note("told")
            return
        else:
            bad.append((answer.status, document))
            return


with tempfile.TemporaryDirectory() as folder:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/k"], check=True)
    with open(f"{folder}/k.pub", encoding="ascii") as key:
        text = json.dumps({"publicKey": key.read()})
with open(tokens, encoding="ascii") as lines:
    all_tokens = lines.read().split()
with open(out, "w", buffering=1, encoding="ascii") as answered:
    threads = [threading.Thread(target=work, args=(all_tokens[i::CONNECTIONS], text, answered)) for i in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print(ends)
if bad:
    sys.exit(f"{len(bad)} went wrong: {bad[0]}")
