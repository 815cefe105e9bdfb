#!/usr/bin/python3
"""Captures record batches that librdkafka writes, by standing in as a one-broker cluster.

Prints lines "NAME HEX" for golden_batches.txt. Needs python3-confluent-kafka. Answers ApiVersions v0, Metadata v1 and
Produce v7 by hand: nothing of Naru takes part.
"""
import socket
import struct
import threading

from confluent_kafka import Producer

APIS = {0: (0, 7), 1: (0, 10), 3: (0, 1), 10: (0, 0), 11: (0, 0), 12: (0, 0), 13: (0, 0), 14: (0, 0), 18: (0, 0)}


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


class Broker(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.batches = []

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        stream = connection.makefile("rb")
        while True:
            head = stream.read(4)
            if len(head) < 4:
                return
            frame = stream.read(struct.unpack(">i", head)[0])
            key, version, correlation, client = struct.unpack_from(">hhih", frame)
            body = frame[10 + max(client, 0):]
            answer = self.answer(key, version, body)
            connection.sendall(struct.pack(">ii", len(answer) + 4, correlation) + answer)

    def answer(self, key, version, body):
        if key == 18:
            apis = b"".join(struct.pack(">hhh", k, *v) for k, v in APIS.items())
            return struct.pack(">hi", 35 if version else 0, len(APIS)) + apis
        if key == 3:
            return (struct.pack(">i", 1) + struct.pack(">i", 1) + string("127.0.0.1") + struct.pack(">ih", self.port, -1) +
                    struct.pack(">i", 1) + struct.pack(">i", 1) + struct.pack(">h", 0) + string("t") + b"\0" +
                    struct.pack(">i", 1) + struct.pack(">hii", 0, 0, 1) + struct.pack(">ii", 1, 1) * 2)
        at = 2 + 2 + 4 + 4 + 2 + 1 + 4 + 4  # null transactional id, acks, timeout, one topic "t", one partition
        size, = struct.unpack_from(">i", body, at)
        self.batches.append(body[at + 4:at + 4 + size])
        return (struct.pack(">i", 1) + string("t") + struct.pack(">i", 1) + struct.pack(">ihqqq", 0, 0, 0, -1, 0) +
                struct.pack(">i", 0))


def capture(codec):
    """The forty records of GoldenBatches.java as one batch; None if librdkafka chose to send two."""
    broker = Broker()
    broker.start()
    producer = Producer({"bootstrap.servers": f"127.0.0.1:{broker.port}", "compression.codec": codec,
                         "linger.ms": 2000, "batch.num.messages": 40, "enable.idempotence": False})
    for i in range(40):
        producer.produce("t", key=None if i == 3 else f"key-{i}".encode(), value=None if i == 5 else b"value " * (i + 1),
                         timestamp=1700000000000 + i * 10 if i else 1700000000500, partition=0,
                         headers=[("name", b"header"), ("null", None)] if i == 7 else None)
    producer.flush(10)
    return broker.batches[0] if len(broker.batches) == 1 else None


for name in ("none", "gzip", "snappy", "lz4", "zstd"):
    batch = next(filter(None, (capture(name) for _ in range(20))))
    print(f"librdkafka-{name} {batch.hex()}")
