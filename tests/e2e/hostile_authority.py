#!/usr/bin/env python3
"""An authority that answers everyone who completes words with what a shell would run, or not at all.

usage: hostile_authority.py PORT CERTIFICATE KEY ANSWER

Every GET gets the bytes of the file ANSWER, read anew each time; while it is empty, nobody gets an answer. A POST never gets
one, and is told of on standard output.
"""
import http.server
import os
import ssl
import sys
import threading


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # pylint: disable=invalid-name
        with open(sys.argv[4], "rb") as file:
            body = file.read()
        if not body:
            threading.Event().wait()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):  # pylint: disable=invalid-name
        os.write(1, f"POST {self.path}\n".encode())
        threading.Event().wait()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answer)
server.daemon_threads = True
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
os.write(1, b"ready\n")
server.serve_forever()
