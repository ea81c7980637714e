#!/usr/bin/env python3
"""Runs a command on a terminal of its own and types at its prompts; what the terminal shows goes to standard output.

usage: tty.py [--send PATTERN ANSWER]… [--signal PATTERN NAME] [--pipe-out FILE] [--timeout SECONDS] -- COMMAND…

Each PATTERN is a regular expression, waited for in turn. An ANSWER "totp:FILE:STEPS" is the one-time code for the base32
secret in FILE, STEPS periods of 30 s from now; "save:FILE" types nothing and writes the pattern's first group to FILE;
"echo?" types nothing and prints ECHO ON or ECHO OFF, as the terminal is set when the prompt stands. --signal sends SIGINT and
the like to the command's foreground process group. --pipe-out makes the command's standard output a file.
Exits as the command did, 128 + N after signal N, and 99 when a pattern did not come.
"""
import sys

sys.path.pop(0)  # pty imports the standard module that is called like this file
# pylint: disable=wrong-import-position
import base64
import hashlib
import hmac
import os
import pty
import re
import select
import signal
import struct
import termios
import time


def totp(path, steps):
    with open(path, encoding="ascii") as file:
        secret = file.read().strip()
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30 + steps), hashlib.sha1).digest()
    at = digest[-1] & 15
    return "%06d" % ((struct.unpack(">I", digest[at:at + 4])[0] & 0x7FFFFFFF) % 1000000)


def act(kind, answer, match, terminal):
    """Does what belongs to a prompt that has come."""
    if kind == "signal":
        os.killpg(os.tcgetpgrp(terminal), getattr(signal, answer))
    elif answer.startswith("save:"):
        with open(answer[5:], "w", encoding="ascii") as file:
            file.write(match.group(1).decode())
    elif answer == "echo?":
        shown = termios.tcgetattr(terminal)[3] & termios.ECHO
        print("\nECHO ON" if shown else "\nECHO OFF", flush=True)
    else:
        if answer.startswith("totp:"):
            _, path, steps = answer.split(":")
            answer = totp(path, int(steps))
        os.write(terminal, answer.encode() + b"\n")


def parse(words):
    steps, timeout, pipe_out = [], 30.0, None
    while words and words[0] != "--":
        if words[0] in ("--send", "--signal"):
            steps.append((words[0][2:], re.compile(words[1].encode()), words[2]))
            words = words[3:]
        elif words[0] == "--pipe-out":
            pipe_out, words = words[1], words[2:]
        elif words[0] == "--timeout":
            timeout, words = float(words[1]), words[2:]
        else:
            sys.exit(__doc__)
    return steps, timeout, pipe_out, words[1:]


def main():
    steps, timeout, pipe_out, command = parse(sys.argv[1:])
    child, terminal = pty.fork()
    if child == 0:
        if pipe_out is not None:
            file = os.open(pipe_out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(file, 1)
        # A terminal's programs start with signals that work, whatever the caller of this script ignores.
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], command)
    seen = b""
    deadline = time.monotonic() + timeout
    while True:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            print("\ntty.py: waited in vain for", steps[0][1].pattern if steps else "the end")
            return 99
        try:
            data = os.read(terminal, 65536)
        except OSError:  # EIO: nobody has the terminal open any more
            data = b""
        if not data:
            break
        sys.stdout.buffer.write(data.replace(b"\r\n", b"\n"))
        sys.stdout.buffer.flush()
        seen += data
        while steps and (match := steps[0][1].search(seen)):
            kind, _, answer = steps.pop(0)
            seen = seen[match.end():]
            act(kind, answer, match, terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if steps:
        print("\ntty.py: this never came:", steps[0][1].pattern)
        return 99
    return status if status >= 0 else 128 - status


sys.exit(main())
