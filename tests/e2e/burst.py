"""Many requests at the same moment: burst.py PORT CA.pem PATH REQUESTS

REQUESTS has a line of JSON for each: {"source": ADDRESS, "token": TOKEN or null, "body": OBJECT}. All connections are made first;
then each sends its POST, and only then are the answers read. A line of JSON tells each: {"status", "retryAfter", "body"}, in order.
Anything but a whole answer ends it with status 1."""

import http.client
import json
import resource
import ssl
import sys

port, ca, path, requests = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
tls = ssl.create_default_context(cafile=ca)
with open(requests, encoding="ascii") as file:
    wanted = [json.loads(line) for line in file]
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
connections = []
for one in wanted:
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=tls, timeout=90, source_address=(one["source"], 0))
    connection.connect()
    connections.append(connection)
for connection, one in zip(connections, wanted):
    headers = {"Content-Type": "application/json"}
    if one["token"]:
        headers["Authorization"] = "Bearer " + one["token"]
    connection.request("POST", path, json.dumps(one["body"]), headers)
for connection in connections:
    answer = connection.getresponse()
    body = json.loads(answer.read())
    print(json.dumps({"status": answer.status, "retryAfter": answer.getheader("Retry-After"), "body": body}))
