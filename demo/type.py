#!/usr/bin/env python3
"""Types what a person would type at a program's prompts, on a terminal of its own, and shows what the terminal shows.

usage: type.py [PATTERN ANSWER]… -- COMMAND…

Each PATTERN (a regular expression) is waited for in turn, and its ANSWER typed. "@totp FILE STEPS" is the one-time code of
the secret in FILE, STEPS steps of 30 s from now; "@save FILE" types nothing but writes the pattern's first group to FILE.
"""
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

TIMEOUT_S = 60


def answer_for(answer, match):
    """What to type, or None for nothing."""
    words = answer.split()
    if words[:1] == ["@save"]:
        with open(words[1], "w", encoding="utf-8") as file:
            file.write(match.group(1).decode())
        os.chmod(words[1], 0o600)
        return None
    if words[:1] == ["@totp"]:
        with open(words[1], encoding="utf-8") as file:
            secret = file.read().strip()
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(time.time() + 30 * int(words[2])))
        return subprocess.run(["oathtool", "--totp", "-b", "--now", when, secret], check=True,
                              capture_output=True, text=True).stdout.strip()
    return answer


def main():
    cut = sys.argv.index("--")
    pairs = [(re.compile(p.encode()), a) for p, a in zip(sys.argv[1:cut:2], sys.argv[2:cut:2])]
    child, terminal = pty.fork()
    if child == 0:
        # A terminal's programs start with signals that work, whatever the caller of this script ignores.
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.execvp(sys.argv[cut + 1], sys.argv[cut + 1:])
    seen = b""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            os.kill(child, signal.SIGTERM)
            sys.exit("type.py: waited in vain for " + (repr(pairs[0][0].pattern) if pairs else "the end"))
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux says EIO when the program has closed its terminal
            data = b""
        if not data:
            break
        sys.stdout.buffer.write(data.replace(b"\r\n", b"\n"))
        sys.stdout.buffer.flush()
        seen += data
        while pairs and (match := pairs[0][0].search(seen)):
            answer = answer_for(pairs.pop(0)[1], match)
            seen = seen[match.end():]
            if answer is not None:
                os.write(terminal, answer.encode() + b"\n")
    _, status = os.waitpid(child, 0)
    if pairs:
        print(f"type.py: {pairs[0][0].pattern!r} never came", file=sys.stderr)
        sys.exit(1)
    sys.exit(os.waitstatus_to_exitcode(status))


main()
