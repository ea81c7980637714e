"""job_socket.py SOCKET WHAT…: speaks to the socket on which postern-host serves users, as the user who runs it.

ask JSON          prints the answer
raw TEXT          sends the text as it is, and prints what comes
half              sends half a question, and prints "cut" when the connection is ended for it
hold COUNT        opens that many connections without a question, prints how many were let in, and holds them until it is killed
flood SECONDS     connects, asks and leaves without reading, as fast as it goes
"""
import json
import select
import socket
import sys
import time


def connect(path):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(path)
    return connection


def read_all(connection):
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts).decode()


def hold(path, count):
    held = [connect(path) for _ in range(count)]
    time.sleep(0.5)
    refused = len(select.select(held, [], [], 0)[0])
    print(len(held) - refused, flush=True)
    time.sleep(60)


def flood(path, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            connection = connect(path)
            connection.send(b'{"call":"jobs"}\n')
            connection.close()
        except OSError:
            pass


def main():
    path, what, *rest = sys.argv[1:]
    if what == "hold":
        hold(path, int(rest[0]))
        return
    if what == "flood":
        flood(path, float(rest[0]))
        return
    connection = connect(path)
    if what == "ask":
        connection.sendall(json.dumps(json.loads(rest[0])).encode() + b"\n")
    elif what == "raw":
        connection.sendall(rest[0].encode())
    else:
        connection.sendall(b'{"call":')
    answer = read_all(connection)
    print("cut" if what == "half" and answer == "" else answer, end="")


main()
