#!/usr/bin/env python3
"""Stands in for an authority that answers a host's polls from files: plain HTTP on loopback, one answer after the other.

usage: feed_pages.py PORT FILE[*COUNT][>QUERY]…

The first request gets the first file and so on, COUNT of one file after the other, each as the body of a 200; "hang" never answers, "410" refuses as an authority
does that knows nothing of a cursor any more, and "cut" closes in the middle of an answer. The head of a FILE with a QUERY says
that this brings the next page. Each request's path is printed.
"""
import json
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler

files = []
for word in sys.argv[2:]:
    name, _, count = word.partition("*")
    files += [name] * int(count or 1)
turn = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        with turn:
            print(self.path, flush=True)
            what, _, query = (files.pop(0) if files else "hang").partition(">")
        if what == "hang":
            threading.Event().wait()
        body = json.dumps({"code": "snapshot_gone", "message": "begin anew"}).encode() if what in ("410", "cut") else open(what, "rb").read()
        self.send_response(410 if what == "410" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) + (1000 if what == "cut" else 0)))
        if query:
            self.send_header("Link", f'<{query}>; rel="next"')
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = what == "cut"

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
