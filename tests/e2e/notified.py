"""What a service tells its manager (sd_notify(3)): notified.py SOCKET OUT

Binds the datagram socket and appends each message to OUT, a line of a message that has several after the other."""

import socket
import sys

manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
path = sys.argv[1]
manager.bind("\0" + path[1:] if path.startswith("@") else path)
with open(sys.argv[2], "w", buffering=1, encoding="ascii") as out:
    print("listening", flush=True)
    while True:
        out.write(manager.recv(4096).decode() + "\n")
