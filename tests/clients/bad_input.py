#!/usr/bin/env python3
"""Bytes that no Kafka client sends, against a running broker (faults 44 to 53).

Each case opens a connection, sends something wrong, and expects Kafka's error code or a closed connection within a few
seconds. After each case a well-behaved request on another connection must still be answered. The memory of the broker
processes given with --pid must not have grown by more than 64 MiB over all cases. What is random comes from one seed, which
a failure names: --seed, or $BAD_INPUT_SEED for who calls run(), sends the same again.

    bad_input.py --bootstrap 127.0.0.1:9092 [--pid N ...] [--results FILE] [--seed N] [--case NAME ...]
"""
import argparse
import os
import random
import socket
import struct
import sys
import zlib

SEED = int(os.environ.get("BAD_INPUT_SEED") or random.SystemRandom().randrange(1 << 32))
ANSWER_WITHIN = 10  # seconds; a broker that neither answers nor closes has failed the case


class Closed(Exception):
    pass


class Connection:
    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=ANSWER_WITHIN)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed() from error

    def read(self, size):
        data = b""
        while len(data) < size:
            try:
                part = self.socket.recv(size - len(data))
            except ConnectionResetError as error:
                raise Closed() from error
            if not part:
                raise Closed()
            data += part
        return data

    def receive(self):
        (size,) = struct.unpack(">i", self.read(4))
        return self.read(size)

    def expect_closed(self):
        try:
            while True:
                self.read(1)
        except Closed:
            return
        except socket.timeout as error:
            raise AssertionError("the broker neither answered nor closed the connection") from error


def randomness(name):
    """A case's own, so that it sends the same bytes whichever others run."""
    return random.Random(f"{SEED}:{name}")


def frame(payload):
    return struct.pack(">i", len(payload)) + payload


def header(api_key, version, correlation=7, client=b"bad-input"):
    return struct.pack(">hhih", api_key, version, correlation, len(client)) + client


def api_versions(connection):
    connection.send(frame(header(18, 0)))
    answer = connection.receive()
    assert answer[:4] == struct.pack(">i", 7), answer[:4]
    assert answer[4:6] == b"\0\0", f"ApiVersions failed with {answer[4:6]!r}"


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


CRC32C = []
for n in range(256):
    for _ in range(8):
        n = (n >> 1) ^ 0x82F63B78 if n & 1 else n >> 1
    CRC32C.append(n)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC32C[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def varint(value):
    value = (value << 1) ^ (value >> 63)
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def record(value):
    body = b"\0" + varint(0) + varint(0) + varint(-1) + varint(len(value)) + value + varint(0)
    return varint(len(body)) + body


def batch(records=None, count=1, attributes=0, magic=2, crc=None, last_delta=0, length=None, base_offset=0, epoch=-1):
    records = record(b"x" * 10) if records is None else records
    after_crc = struct.pack(">hiqqqhii", attributes, last_delta, 1000, 1000, -1, -1, -1, count) + records
    crc = crc32c(after_crc) if crc is None else crc
    inner = struct.pack(">ibI", epoch, magic, crc) + after_crc
    return struct.pack(">qi", base_offset, len(inner) if length is None else length) + inner


def produce(topic, records, acks=-1, partition=0):
    body = struct.pack(">hhi", -1, acks, 5000) + struct.pack(">i", 1) + string(topic) + struct.pack(">ii", 1, partition)
    return frame(header(0, 7) + body + struct.pack(">i", len(records)) + records)


def produce_error(connection, topic, records, **more):
    """The error code that one partition of a Produce v7 is answered with."""
    connection.send(produce(topic, records, **more))
    answer = connection.receive()
    at = 4 + 4 + 2 + len(topic) + 4 + 4
    return struct.unpack(">h", answer[at:at + 2])[0]


def raw(data):
    def case(address, _topic):
        with Connection(address) as c:
            try:
                c.send(data)
                c.socket.shutdown(socket.SHUT_WR)
            except (Closed, OSError):
                return
            c.expect_closed()
    return case


def closes(data):
    """The broker itself must close; the client keeps its side open."""
    def case(address, _topic):
        with Connection(address) as c:
            try:
                c.send(data)
            except Closed:
                return
            c.expect_closed()
    return case


def refused(records, *codes):
    def case(address, topic):
        with Connection(address) as c:
            got = produce_error(c, topic, records)
            assert got in codes, f"answered {got}, expected one of {codes}"
            # The connection lives on, and a good batch is still taken.
            good = produce_error(c, topic, batch())
            assert good == 0, f"a good batch was then answered with {good}"
    return case


def unknown_api_versions(address, _topic):
    with Connection(address) as c:
        c.send(frame(header(18, 99)))
        answer = c.receive()
        assert struct.unpack(">ih", answer[:6]) == (7, 35), answer[:6]
        (entries,) = struct.unpack(">i", answer[6:10])
        keys = [struct.unpack(">hhh", answer[10 + 6 * i:16 + 6 * i]) for i in range(entries)]
        assert any(k[0] == 18 for k in keys), keys
        api_versions(c)


def old_produce(address, topic):
    with Connection(address) as c:
        body = struct.pack(">hi", 1, 1000) + struct.pack(">i", 1) + string(topic) + struct.pack(">iii", 1, 0, 0)
        c.send(frame(header(0, 2) + body))
        try:
            answer = c.receive()
        except Closed:
            return
        at = 4 + 4 + 2 + len(topic) + 4 + 4
        assert struct.unpack(">h", answer[at:at + 2])[0] in (35, 43), answer


def bad_acks(address, topic):
    with Connection(address) as c:
        assert produce_error(c, topic, batch(), acks=5) == 21


def acks_zero_error_closes(address, topic):
    with Connection(address) as c:
        c.send(produce(topic, batch(crc=1), acks=0))
        c.expect_closed()


def half_closed_frames(address, _topic):
    connections = [Connection(address) for _ in range(200)]
    for c in connections:
        c.send(struct.pack(">i", 50_000_000) + b"\0\0")  # claims much, sends nothing
    try:
        with Connection(address) as c:
            api_versions(c)
    finally:
        for c in connections:
            c.socket.close()


def never_reads(address, _topic):
    with Connection(address) as c:
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.socket.settimeout(0.5)
        try:
            for _ in range(20_000):
                c.socket.sendall(frame(header(18, 0)))
        except (socket.timeout, OSError):
            pass  # back-pressure: the broker stopped reading
        with Connection(address) as other:
            api_versions(other)


def random_frames(address, _topic):
    rng = randomness("random frames")
    for _ in range(300):
        with Connection(address) as c:
            key = rng.randrange(0, 76)
            payload = header(key, rng.randrange(0, 14)) + rng.randbytes(rng.randrange(0, 120))
            try:
                c.send(frame(payload))
                c.socket.shutdown(socket.SHUT_WR)
                c.socket.settimeout(ANSWER_WITHIN)
                while c.socket.recv(65536):
                    pass
            except (Closed, OSError) as error:
                if isinstance(error, socket.timeout):
                    raise AssertionError(f"no answer and no close for API {key}") from error


def truncated_requests(address, topic):
    whole = produce(topic, batch())[4:]
    for cut in range(8, len(whole), 7):
        with Connection(address) as c:
            c.send(frame(whole[:cut]))
            c.socket.shutdown(socket.SHUT_WR)
            try:
                while c.socket.recv(65536):
                    pass
            except ConnectionResetError:
                pass


def named(software):
    """ApiVersions of a client that says which one it is (KIP-511)."""
    words = b"".join(bytes([len(word) + 1]) + word for word in (software, b"4.0.0"))
    return frame(header(18, 3) + b"\0" + words + b"\0")


def answered_once(key, version, body, most=60_000, software=None):
    """A request that names one thing often is answered once: the answer is small."""
    def case(address, topic):
        with Connection(address) as c:
            if software:
                c.send(named(software))
                c.receive()
            c.send(frame(header(key, version) + body(topic)))
            answer = c.receive()
            assert len(answer) <= most, f"the answer has {len(answer)} bytes"
            api_versions(c)
    return case


def often(element, times=50_000):
    return struct.pack(">i", times) + times * element


def compact_often(element, times):
    length, out = times + 1, b""
    while length > 0x7F:
        out += bytes([length & 0x7F | 0x80])
        length >>= 7
    return out + bytes([length]) + times * element


def one_long_topic(partitions=50_000):
    """A name longer than any topic's: a copy of it for each of the partitions would be 1.6 GB."""
    return struct.pack(">i", 1) + string(32_000 * "n") + struct.pack(f">{partitions + 1}i", partitions, *range(partitions))


def gzip_bomb():
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = b"\0" * (1 << 20)
    size = 512 << 20
    body = b"\0" + varint(0) + varint(0) + varint(-1) + varint(size)
    packed = packer.compress(varint(len(body) + size + 1) + body)
    for _ in range(512):
        packed += packer.compress(zeros)
    packed += packer.compress(varint(0)) + packer.flush()
    return batch(records=packed, attributes=1)


CASES = {
    "garbage": lambda address, topic: raw(randomness("garbage").randbytes(65536))(address, topic),
    "http request": closes(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "tls hello": lambda address, topic: closes(
        bytes.fromhex("16030100c8010000c40303") + randomness("tls hello").randbytes(200))(address, topic),
    "length 0x7fffffff": closes(struct.pack(">i", 0x7FFFFFFF)),
    "negative length": closes(struct.pack(">i", -5)),
    "length zero": closes(struct.pack(">i", 0)),
    "frame shorter than a header": closes(frame(b"\0\x12")),
    "unknown API": closes(frame(header(999, 0))),
    "internal API": closes(frame(header(4, 0) + b"\0" * 40)),
    "unknown version of Metadata": closes(frame(header(3, 99))),
    "unknown version of ApiVersions": unknown_api_versions,
    "client id longer than the frame": closes(frame(struct.pack(">hhih", 3, 1, 7, 30000) + b"abc")),
    "array of 2^31-1 topics": closes(frame(header(3, 1) + struct.pack(">i", 0x7FFFFFFF))),
    "array length -2": closes(frame(header(3, 1) + struct.pack(">i", -2))),
    "varint without end": closes(frame(header(3, 9) + b"\0" + b"\xff" * 20)),
    "string that is no UTF-8": closes(frame(header(3, 1) + struct.pack(">ih", 1, 4) + b"\xff\xfe\xfd\xfc")),
    "Metadata that names a topic 50,000 times": answered_once(3, 1, lambda topic: often(string(topic))),
    "DescribeConfigs that names a topic 50,000 times": answered_once(
        32, 1, lambda topic: often(b"\2" + string(topic) + b"\xff\xff\xff\xff") + b"\1"),
    "DescribeGroups that names a group 50,000 times": answered_once(15, 0, lambda _: often(string("none"))),
    "OffsetFetch that names a group 50,000 times": answered_once(
        9, 8, lambda _: b"\0" + compact_often(b"\5none\0\0", 50_000) + b"\0\0"),
    "DescribeQuorum that names a partition 50,000 times": answered_once(
        55, 0, lambda _: b"\0\2\x13__cluster_metadata" + compact_often(b"\0\0\0\0\0", 50_000) + b"\0\0"),
    "Fetch that names a partition 50,000 times": answered_once(
        1, 4, lambda topic: struct.pack(">iiiibi", -1, 0, 1, 1, 0, 1) + string(topic) + often(struct.pack(">iqi", 0, 0, 1))),
    "Fetch that forgets 50,000 partitions of a long name": answered_once(
        1, 7, lambda _: struct.pack(">iiiibiii", -1, 0, 1, 1 << 20, 0, 1, 5, 0) + one_long_topic()),
    "OffsetFetch of 50,000 partitions of a long name": answered_once(
        9, 1, lambda _: string("none") + one_long_topic(), most=2_000_000,
        software=b"apache-kafka-java"),  # of most others the connection ends where their coordinator is not
    "OffsetFetch of who knows no coordinator": closes(frame(header(9, 1) + string("none") + struct.pack(">i", 1) + string("t") + struct.pack(">ii", 1, 0))),
    "DescribeLogDirs of 50,000 partitions of a long name": answered_once(35, 1, lambda _: one_long_topic()),
    "ElectLeaders of 50,000 partitions of a long name": answered_once(
        43, 1, lambda _: b"\0" + one_long_topic() + struct.pack(">i", 10_000), most=4_000_000),
    "AlterPartitionReassignments of 50,000 partitions of a long name": answered_once(
        45, 0, lambda _: b"\0" + struct.pack(">i", 10_000) + b"\2" + compact_often(b"n", 32_000)
        + compact_often(b"\0\0\0\0\0\0", 50_000) + b"\0\0", most=4_000_000),
    "FindCoordinator of 3,000,000 groups": closes(
        frame(header(10, 4) + b"\0\0" + compact_often(b"\1", 3_000_000) + b"\0")),
    "produce v2": old_produce,
    "produce cut at many places": truncated_requests,
    "bad acks": bad_acks,
    "acks=0 with a bad batch closes": acks_zero_error_closes,
    "wrong CRC": refused(batch(crc=12345), 2, 87),
    "wrong record count": refused(batch(count=5), 2, 87),
    "negative record count": refused(batch(count=-5), 2, 87),
    "wrong last offset delta": refused(batch(last_delta=9), 2, 87),
    "batch length beyond the set": refused(batch(length=100000), 2, 87),
    "batch length zero": refused(batch(length=0), 2, 87),
    "magic 9": refused(batch(magic=9), 2, 87, 43, 76),
    "magic 1": refused(batch(magic=1), 2, 87, 43),
    "codec 7": refused(batch(attributes=7), 2, 87, 76),
    "control batch from a client": refused(batch(attributes=0x20), 2, 87),
    "two batches": refused(batch() + batch(), 2, 87),
    "no batch": refused(b"", 2, 87, 42),
    "gzip bomb of 512 MiB": refused(gzip_bomb(), 2, 87, 10),
    "not gzip": refused(batch(attributes=1, records=b"not gzip at all"), 2, 87),
    "200 connections that claim 50 MB each": half_closed_frames,
    "a client that never reads": never_reads,
    "random frames": random_frames,
}


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def create_topic(address, topic):
    """Metadata v4 with auto creation, until the partition has a leader here or anywhere."""
    import time
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with Connection(address) as c:
            c.send(frame(header(3, 4) + struct.pack(">i", 1) + string(topic) + b"\x01"))
            c.receive()
            if produce_error(c, topic, batch()) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"topic {topic} was not usable on this broker within 30 s")


def run(address, topic, pids, report, names=()):
    before = {pid: resident_kib(pid) for pid in pids}
    create_topic(address, topic)
    for name in names or CASES:
        try:
            CASES[name](address, topic)
            with Connection(address) as c:
                api_versions(c)
            report(name, None)
        except (AssertionError, Closed, OSError) as error:
            again = f"again: tests/clients/bad_input.py --bootstrap HOST:PORT --seed {SEED} --case '{name}'"
            report(name, f"{type(error).__name__}: {error} ({again})")
    for pid in pids:
        grown = resident_kib(pid) - before[pid]
        report(f"memory of broker process {pid} is bounded", None if grown < 64 * 1024 else f"grew by {grown} KiB")


def main():
    global SEED
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", default="127.0.0.1:9092", help="a broker that leads the topic (RF 1 or the leader)")
    parser.add_argument("--topic", default="bad-input")
    parser.add_argument("--pid", type=int, action="append", default=[])
    parser.add_argument("--results")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--case", action="append", choices=CASES, metavar="NAME", default=[], help="only this one; may be repeated")
    args = parser.parse_args()
    SEED = args.seed
    print(f"bad input: seed {SEED} (again with --seed {SEED})", flush=True)
    host, port = args.bootstrap.rsplit(":", 1)
    failed = []
    lines = []

    def report(name, problem):
        lines.append(f"{'ok' if problem is None else 'not ok'} bad input: {name}")
        print(lines[-1] + (f": {problem}" if problem else ""), flush=True)
        if problem:
            failed.append(name)

    run((host, int(port)), args.topic, args.pid, report, args.case)
    if args.results:
        with open(args.results, "a", encoding="utf-8") as out:
            out.write("".join(line + "\n" for line in lines))
    print(f"{len(lines) - len(failed)} passed, {len(failed)} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
