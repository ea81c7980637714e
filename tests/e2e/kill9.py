"""Signs from many threads and keeps what was answered: kill9.py PORT CA.pem TOKENS OUT SECONDS

Every serial number that an answer carried is appended to OUT. Connection errors are expected (the authority is being killed);
any answer but 200 or a 503 is not, and ends the run with status 1."""

import http.client
import json
import ssl
import subprocess
import sys
import tempfile
import threading
import time

port, ca, tokens, out, seconds = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], float(sys.argv[5])
THREADS = 12
context = ssl.create_default_context(cafile=ca)
end = time.monotonic() + seconds
lock = threading.Lock()
answered = open(out, "a", buffering=1, encoding="ascii")
bad = []


def make_key():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/k"], check=True)
        with open(f"{folder}/k.pub", encoding="ascii") as file:
            return file.read()


def work(mine):
    body = json.dumps({"publicKey": make_key()})
    turn = 0
    connection = None
    while time.monotonic() < end and not bad:
        turn += 1  # the authority bounds what one account may ask for
        headers = {"Authorization": "Bearer " + mine[turn % len(mine)], "Content-Type": "application/json"}
        try:
            if connection is None:
                connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
            connection.request("POST", "/api/v1/ssh-keys/sign", body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            connection = None
            time.sleep(0.005)
            continue
        if answer.status == 200:
            with lock:
                answered.write(json.loads(text)["sshKey"]["serialNumber"] + "\n")
        elif answer.status != 503:
            bad.append((answer.status, text))


with open(tokens, encoding="ascii") as file:
    all_tokens = file.read().split()
threads = [threading.Thread(target=work, args=(all_tokens[i::THREADS],)) for i in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
answered.close()
if bad:
    sys.exit(f"unexpected answer: {bad[0]}")
