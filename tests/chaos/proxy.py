#!/usr/bin/env python3
"""proxy.py LISTEN-PORT: a TCP proxy on the way to a broker, which delays, throttles, corrupts, replays or goes silent.

Why it exists: this kernel need not have netem, and none can flip a bit behind TCP's checksum or replay a request.
Connections come by an iptables REDIRECT; where they were going is asked of the kernel (SO_ORIGINAL_DST).

Driven over standard input, one JSON object a line, each of which replaces what was in force:
  delay_ms, jitter_ms   each chunk waits so long (order is kept)
  rate_kbit             a connection carries at most so much each way
  corrupt               probability that one bit of a record's padding (a run of 24 blanks) is flipped in a chunk
  requests_only         true: of what goes to the broker only, which checks checksums; a client need not
  silent                true: nothing is forwarded any more, nothing is closed (half-open)
  replay                probability that a Produce request (API 0) is sent once more, later, on a connection of its own
  reset                 true: all connections are reset once
Answers each line with its counters as JSON: connections, bytes, corrupted, replayed, resets.
"""
import asyncio
import collections
import json
import random
import socket
import struct
import sys
import threading

SO_ORIGINAL_DST = 80
CHUNK = 16384
BLANKS = b" " * 24

orders = {}
counters = collections.Counter()
writers = set()
links = set()


def original_destination(writer):
    raw = writer.get_extra_info("socket").getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
    port, a, b, c, d = struct.unpack_from("!2xHBBBB", raw)
    return f"{a}.{b}.{c}.{d}", port


def corrupted(data, is_request):
    if random.random() >= orders.get("corrupt", 0) or (orders.get("requests_only") and not is_request):
        return data
    at = data.find(BLANKS)
    if at < 0:
        return data
    counters["corrupted"] += 1
    broken = bytearray(data)
    broken[at + random.randrange(len(BLANKS))] ^= 1 << random.randrange(3)
    return bytes(broken)


async def forward(reader, writer, frames=None):
    """One direction. A queue keeps the order while chunks wait."""
    queue = asyncio.Queue(maxsize=256)

    async def send():
        while True:
            due, data = await queue.get()
            if data is None:
                break
            wait = due - asyncio.get_running_loop().time()
            if wait > 0:
                await asyncio.sleep(wait)
            while orders.get("silent"):
                await asyncio.sleep(0.05)
            writer.write(data)
            await writer.drain()
            if orders.get("rate_kbit"):
                await asyncio.sleep(len(data) * 8 / (orders["rate_kbit"] * 1000))
        if writer.can_write_eof():
            writer.write_eof()

    sending = asyncio.ensure_future(send())
    try:
        while True:
            data = await reader.read(CHUNK)
            if not data:
                break
            counters["bytes"] += len(data)
            if frames is not None:
                frames.feed(data)
            delay, jitter = orders.get("delay_ms", 0), orders.get("jitter_ms", 0)
            due = asyncio.get_running_loop().time() + max(0.0, delay + random.uniform(-jitter, jitter)) / 1000
            await queue.put((due, corrupted(data, frames is not None)))
        await queue.put((0, None))
        await sending
    except (ConnectionError, OSError):
        pass
    finally:
        sending.cancel()


class Frames:
    """Cuts a client's bytes into requests, and sends some Produce requests a second time, later and out of order."""

    def __init__(self, target):
        self.target = target
        self.buffer = b""

    def feed(self, data):
        if not orders.get("replay"):
            self.buffer = None  # a stream that was not followed from its beginning cannot be cut
        if self.buffer is None:
            return
        self.buffer += data
        while len(self.buffer) >= 4:
            (size,) = struct.unpack_from(">i", self.buffer)
            if size < 0 or len(self.buffer) < 4 + size:
                return
            frame, self.buffer = self.buffer[:4 + size], self.buffer[4 + size:]
            if struct.unpack_from(">h", frame, 4)[0] == 0 and random.random() < orders["replay"]:
                task = asyncio.ensure_future(replay(self.target, frame))
                links.add(task)
                task.add_done_callback(links.discard)


async def replay(target, frame):
    await asyncio.sleep(random.choice((0.0, 0.001, 0.02, 0.3, 2.0)))
    try:
        reader, writer = await asyncio.open_connection(*target)
        for _ in range(random.choice((1, 1, 3))):
            writer.write(frame)
        (size,) = struct.unpack(">i", await asyncio.wait_for(reader.readexactly(4), 15))
        await reader.readexactly(size)
        counters["replayed"] += 1
        writer.close()
    except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
        counters["replay_unanswered"] += 1


async def serve(reader, writer):
    counters["connections"] += 1
    writers.add(writer)
    try:
        target = original_destination(writer)
        back_reader, back_writer = await asyncio.open_connection(*target)
    except OSError:
        writer.transport.abort()
        writers.discard(writer)
        return
    writers.add(back_writer)
    try:
        await asyncio.gather(forward(reader, back_writer, Frames(target)), forward(back_reader, writer))
    finally:
        for end in (writer, back_writer):
            writers.discard(end)
            end.close()


def obey(line):
    orders.clear()
    orders.update(json.loads(line))
    if orders.pop("reset", False):
        for writer in list(writers):
            if writer.transport.is_closing():
                continue
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            counters["resets"] += 1
    print(json.dumps(dict(counters)), flush=True)


async def main():
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(serve, "0.0.0.0", int(sys.argv[1]), backlog=1024)
    ended = asyncio.Event()

    def listen():
        for line in sys.stdin:
            loop.call_soon_threadsafe(obey, line)
        loop.call_soon_threadsafe(ended.set)
    threading.Thread(target=listen, daemon=True).start()
    print(json.dumps({"ready": True}), flush=True)
    async with server:
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(main())
