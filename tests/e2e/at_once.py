#!/usr/bin/env python3
"""at_once.py CA.pem BODY-FILE PATH SOURCE URL URL [HEADER...]: the same POST to both, at the same moment, from this address.

Connects first, so that only the requests race. Prints both statuses, the smaller one first; the body that came with it is left in
BODY-FILE.answer."""
import http.client
import ssl
import sys
import threading
import urllib.parse

ca, body_file, path, source, *rest = sys.argv[1:]
urls, headers = rest[:2], dict(header.split(": ", 1) for header in rest[2:])
with open(body_file, "rb") as file:
    body = file.read()
start = threading.Barrier(len(urls))
answers = []


def ask(url):
    place = urllib.parse.urlsplit(url)
    connection = http.client.HTTPSConnection(
        place.hostname, place.port, context=ssl.create_default_context(cafile=ca), timeout=60, source_address=(source, 0)
    )
    connection.connect()
    start.wait()
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    answers.append((answer.status, answer.read()))


threads = [threading.Thread(target=ask, args=(url,)) for url in urls]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
answers.sort()
with open(body_file + ".answer", "wb") as file:
    file.write(answers[0][1])
print(*(status for status, _ in answers))
