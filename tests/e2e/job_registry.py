"""Stands in for the authority's list of jobs: holds what it is told, and writes down each request.

job_registry.py PORT LOG.  GET /jobs is the list, as {"1234": {…}}; PUT /trouble STATUS makes it answer so
until told otherwise (0). Jobs of mallory are refused, as of nobody's account.
"""
import http.server
import json
import re
import socketserver
import sys
import urllib.parse

PATH = re.compile(r"/api/v1/clusters/daint/jobs(?:/([^/?]+))?(?:\?after=([0-9]+))?$")
PAGE = 50
jobs = {}
last_id = 0
trouble = 0
log = open(sys.argv[2], "a", buffering=1)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=None):
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def refuse(self, status, message):
        self.answer(status, {"code": "refused", "message": message})

    def call(self):
        global last_id, trouble
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/jobs":
            return self.answer(200, jobs)
        if self.path == "/trouble":
            trouble = int(body)
            return self.answer(200, {})
        match = PATH.match(self.path)
        log.write(f"{self.command} {self.path} {body.decode()}\n")
        if trouble:
            return self.refuse(trouble, "in trouble")
        if self.headers.get("Authorization") != "Bearer token-of-ctl" or not match:
            return self.refuse(401, "who are you?")
        name = urllib.parse.unquote(match[1] or "")
        if self.command == "GET":
            after = int(match[2] or 0)
            listed = sorted(jobs.values(), key=lambda job: int(job["id"]))
            return self.answer(200, {"jobs": [job for job in listed if int(job["id"]) > after][:PAGE]})
        if self.command == "DELETE":
            return self.answer(204) if jobs.pop(name, None) else self.refuse(404, "no such job")
        job = json.loads(body)
        if job["username"] == "mallory":
            return self.refuse(404, "there is no account mallory")
        last_id += 1
        jobs[name] = dict({"type": "shared"}, **job, job=name, id=str(last_id))
        return self.answer(200, {"job": jobs[name]})

    do_GET = do_PUT = do_DELETE = call


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
