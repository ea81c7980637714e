#!/usr/bin/env python3
"""Stands in for `postern-host sync`: serves a feed to gates by its socket (src/feed/publish.h).

usage: feed_sock.py SOCKET CHANGES

CHANGES is a JSON file, a list of [kind, key, state]. On SIGHUP it is read again and told as a new snapshot. Every second all
are told that the authority is alive; SIGUSR1 ends that, as if the authority were away, until the next SIGHUP.
"""
import json
import os
import selectors
import signal
import socket
import struct
import sys
import time

path, changes = sys.argv[1:]
revision, alive, synced = 0, True, int(time.time())
subscribers, wake = [], socket.socketpair()


def frame(snapshot):
    entries = []
    if snapshot:
        entries = [{"revision": str(revision), "kind": kind, "key": key, "state": state}
                   for kind, key, state in json.load(open(changes))]
    answer = json.dumps({"revision": str(revision), "snapshot": snapshot, "changes": entries}).encode()
    return struct.pack(">IQ", 8 + len(answer), synced) + answer


def tell(bytes_):
    for subscriber in list(subscribers):
        try:
            subscriber.sendall(bytes_)
        except OSError:
            subscribers.remove(subscriber)


wake[0].setblocking(False)
wake[1].setblocking(False)
signal.set_wakeup_fd(wake[1].fileno())
for number in (signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, lambda *_: None)
if os.path.exists(path):
    os.unlink(path)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
os.chmod(path, 0o666)
listener.listen()
selector = selectors.DefaultSelector()
selector.register(listener, selectors.EVENT_READ)
selector.register(wake[0], selectors.EVENT_READ)
while True:
    ready = [key.fileobj for key, _ in selector.select(1)]
    if alive:
        synced = int(time.time())
    if wake[0] in ready:
        for number in wake[0].recv(64):
            alive = number == signal.SIGHUP
            if alive:
                revision, synced = revision + 1, int(time.time())
                tell(frame(True))
    if listener in ready:
        subscriber = listener.accept()[0]
        try:
            subscriber.sendall(frame(True))
            subscribers.append(subscriber)
        except OSError:
            pass  # it did not wait
    if not ready and alive:
        tell(frame(False))
