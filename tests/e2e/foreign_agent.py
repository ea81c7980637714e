"""An SSH agent of another user, who collects what is added to it: foreign_agent.py SOCKET UID LOG"""

import os
import socket
import struct
import sys

REQUEST_IDENTITIES, IDENTITIES_ANSWER, SUCCESS = 11, 12, 6

path, uid, log = sys.argv[1], int(sys.argv[2]), sys.argv[3]
collected = open(log, "w", encoding="ascii")
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
os.chmod(path, 0o777)
os.setuid(uid)
listener.listen()
while True:
    client, _ = listener.accept()
    with client, client.makefile("rwb") as stream:
        while len(head := stream.read(4)) == 4:
            message = stream.read(struct.unpack(">I", head)[0])
            answer = struct.pack(">BI", IDENTITIES_ANSWER, 0) if message[0] == REQUEST_IDENTITIES else bytes([SUCCESS])
            print(message[0], file=collected, flush=True)
            stream.write(struct.pack(">I", len(answer)) + answer)
            stream.flush()
