#!/usr/bin/env python3
"""What stands behind the gate of gate_stress.sh.

usage: stress_target.py GOOD MAD SILENT     (addresses; the port is 7000)

GOOD does what it is asked, one request after the other: a letter, a seed (4 bytes), a count (8 bytes).
  E  that many bytes follow and are sent back
  S  that many bytes follow; answered by one byte
  D  that many bytes are sent
  H  says EOF at once; that many bytes follow
The bytes are of a pattern that gate_lane.c has as well, and every one is compared; a difference is printed.
MAD does whatever comes to its mind. SILENT listens with a backlog that is full: a SYN gets no answer.
"""
import asyncio
import random
import socket
import struct
import sys

PORT, PERIOD, BLOCK = 7000, 65521, 32768
MADNESS_S = 8  # then whoever came is reset, whatever was going on


def pattern():
    x, table = 1, bytearray()
    for _ in range(PERIOD):
        x = (x * 1103515245 + 12345) & 0xffffffff
        table.append(x >> 16 & 0xff)
    return bytes(table * 2)


PATTERN = pattern()


def bytes_at(seed, offset, length):
    start = (seed + offset) % PERIOD
    return PATTERN[start:start + length]


async def take(reader, seed, count):
    """The bytes of a request, compared, in pieces as they come."""
    offset = 0
    while offset < count:
        piece = await reader.read(min(BLOCK, count - offset))
        if not piece:
            raise EOFError
        if piece != bytes_at(seed, offset, len(piece)):
            print(f"corrupt: seed {seed}, count {count}, at {offset}", flush=True)
        offset += len(piece)
        yield piece


async def serve(reader, writer):
    what, seed, count = struct.unpack(">cIQ", await reader.readexactly(13))
    if what == b"D":
        for offset in range(0, count, BLOCK):
            writer.write(bytes_at(seed, offset, min(BLOCK, count - offset)))
            await writer.drain()
        return
    if what == b"H":
        writer.write_eof()
    async for piece in take(reader, seed, count):
        if what == b"E":
            writer.write(piece)
            await writer.drain()
    if what == b"S":
        writer.write(b"\1")
        await writer.drain()


async def good(reader, writer):
    while True:
        await serve(reader, writer)


def reset(writer):
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def mad(reader, writer):
    mood = random.choice(["close", "reset", "never read", "slow", "flood", "half", "reset later", "close later"])
    if mood == "reset":
        reset(writer)
    elif mood == "never read":
        await asyncio.sleep(random.uniform(0, 5))
        random.choice([reset, lambda _: None])(writer)
    elif mood == "slow":
        for _ in range(random.randrange(200)):
            if not await reader.read(random.choice([1, 100, 5000])):
                break
            await asyncio.sleep(0.02)
    elif mood == "flood":
        for _ in range(random.randrange(100)):
            writer.write(random.randbytes(20000))
            await writer.drain()
    elif mood == "half":
        writer.write_eof()
        while await reader.read(BLOCK):
            pass
    elif mood.endswith("later"):
        try:
            await asyncio.wait_for(good(reader, writer), random.expovariate(4))
        except asyncio.TimeoutError:
            reset(writer) if mood == "reset later" else writer.close()


async def mad_for_a_while(reader, writer):
    try:
        await asyncio.wait_for(mad(reader, writer), MADNESS_S)
    except asyncio.TimeoutError:
        reset(writer)


def serving(manner):
    async def serve_one(reader, writer):
        try:
            await manner(reader, writer)
        except (EOFError, OSError):
            pass
        writer.close()
    return serve_one


def silence(address):
    listener = socket.socket()
    listener.bind((address, PORT))
    listener.listen(0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex((address, PORT))
        fillers.append(filler)
    return listener, fillers


async def main():
    held = silence(sys.argv[3])
    servers = [await asyncio.start_server(serving(manner), address, PORT, backlog=1000)
               for manner, address in [(good, sys.argv[1]), (mad_for_a_while, sys.argv[2])]]
    print("ready", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))
    del held


asyncio.run(main())
