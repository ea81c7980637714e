#!/usr/bin/env python3
"""Types lines into an interactive shell on a terminal of its own, where TAB completes, and ends it.

usage: complete.py LINE… -- SHELL…

Each LINE is typed when the shell's prompt "READY> " stands; \\t in it is the TAB key, after which nothing more is typed until the
terminal has been quiet for a while. Enter follows each. What the terminal showed goes to standard output.
"""
import sys

sys.path.pop(0)  # pty imports the standard module tty, whose name a program here has too
# pylint: disable=wrong-import-position
import os
import pty
import select
import signal
import time

QUIET_S, WAIT_S = 0.3, 20


def read_until(terminal, seen, done):
    """Reads until done() of what came since; False when it did not come."""
    start, deadline = len(seen), time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], QUIET_S)
        if ready:
            try:
                data = os.read(terminal, 4096)
            except OSError:
                return False
            if not data:
                return False
            # A shell asks the terminal what it is; no answer would make it wait.
            if b"\x1b[c" in data or b"\x1b[0c" in data:
                os.write(terminal, b"\x1b[?1;2c")
            seen += data
        if done(bytes(seen[start:]), not ready):
            return True
    return False


split = sys.argv.index("--")
lines, command = sys.argv[1:split], sys.argv[split + 1:]
child, terminal_fd = pty.fork()
if child == 0:
    os.execvp(command[0], command)
shown = bytearray()
complete = True
for line in lines:
    complete = complete and read_until(terminal_fd, shown, lambda new, quiet: quiet and b"READY> " in shown)
    parts = line.replace("\\t", "\t").split("\t")
    for i, part in enumerate(parts):
        os.write(terminal_fd, part.encode())
        if i + 1 < len(parts):
            read_until(terminal_fd, shown, lambda new, quiet: quiet)
            os.write(terminal_fd, b"\t")
            read_until(terminal_fd, shown, lambda new, quiet: quiet and new)
    os.write(terminal_fd, b"\r")
    read_until(terminal_fd, shown, lambda new, quiet: quiet and new)
os.kill(child, signal.SIGHUP)
os.close(terminal_fd)
os.waitpid(child, 0)
sys.stdout.buffer.write(shown)
sys.exit(0 if complete else 99)
