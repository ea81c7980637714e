#!/usr/bin/env python3
"""Subscribes to the feed socket of `postern-host sync` (src/feed/publish.h).

usage: feed_reader.py SOCKET            a line for each frame, until the end of the stream
       feed_reader.py SOCKET --idle N   N subscribers who read nothing; a line for each that is cut

A line of a frame: its arrival in milliseconds since 1970, the time it carries, "snapshot" or "changes", its revision, and its
changes as kind/key, or "-". At the end of the stream: "end". Prints "connected" first.
"""
import json
import select
import socket
import struct
import sys
import time


def subscribe(path):
    subscriber = socket.socket(socket.AF_UNIX)
    subscriber.connect(path)
    return subscriber


def exactly(stream, count):
    got = b""
    while len(got) < count:
        piece = stream.recv(count - len(got))
        if not piece:
            return None
        got += piece
    return got


def say(*words):
    print(*words, flush=True)


def read_frames(path):
    stream = subscribe(path)
    say("connected")
    while head := exactly(stream, 4):
        body = exactly(stream, struct.unpack(">I", head)[0])
        if body is None:
            break
        arrived = int(time.time() * 1000)
        answer = json.loads(body[8:])
        things = [change["kind"] + "/" + change["key"] for change in answer["changes"]]
        for change in answer["changes"]:
            if change["kind"] == "revocation" and change["state"] is not None:
                assert change["state"]["account"] == "" and change["state"]["reason"] == "", change
        say(arrived, struct.unpack(">Q", body[:8])[0], "snapshot" if answer["snapshot"] else "changes", answer["revision"],
            " ".join(things) or "-")
    say("end")


def read_nothing(path, count):
    idle = [subscribe(path) for _ in range(count)]
    say("connected")
    poll = select.poll()
    for subscriber in idle:
        poll.register(subscriber, select.POLLRDHUP)
    while idle:
        for descriptor, _ in poll.poll():
            poll.unregister(descriptor)
            idle.pop()
            say("end")


if sys.argv[2:3] == ["--idle"]:
    read_nothing(sys.argv[1], int(sys.argv[3]))
else:
    read_frames(sys.argv[1])
