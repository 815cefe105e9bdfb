"""__consumer_offsets is compacted: it stays small whatever is committed, and a coordinator's failover finds the newest."""
import contextlib
import re
import socket
import struct

from naru_cluster import Cluster, Failed, wait_until
from support import equal, smoke, true

OFFSETS = "__consumer_offsets"
SETTINGS = {
    "offsets.topic.num.partitions": 1,
    "offsets.topic.segment.bytes": 1 << 20,
    "log.cleaner.backoff.ms": 100,
    "log.segment.delete.delay.ms": 0,
    # A coordinator that is handed back in the middle of a round would refuse commits.
    "auto.leader.rebalance.enable": "false",
}


class Client:
    """OffsetCommit and OffsetFetch of groups without members, on one connection."""

    def __init__(self, broker):
        self.socket = socket.create_connection((broker.host, broker.port), timeout=30)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.socket.close()

    def _receive(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise Failed("the broker closed the connection")
            data += more
        return data

    def ask(self, key, version, body):
        request = struct.pack(">hhih", key, version, 1, 4) + b"test" + body
        self.socket.sendall(struct.pack(">i", len(request)) + request)
        size, _ = struct.unpack(">ii", self._receive(8))
        return self._receive(size - 4)

    def commit(self, group, topic, offsets, metadata):
        """Returns the error codes of the partitions."""
        body = string(group) + struct.pack(">i", -1) + string("") + struct.pack(">qi", -1, 1) + string(topic)
        body += struct.pack(">i", len(offsets))
        for partition, offset in offsets.items():
            body += struct.pack(">iq", partition, offset) + string(metadata)
        answer = self.ask(8, 2, body)
        at = 4 + 2 + len(topic) + 4
        return {struct.unpack(">ih", answer[i:i + 6])[1] for i in range(at, len(answer), 6)}

    def committed(self, group, topic, partitions):
        body = string(group) + struct.pack(">i", 1) + string(topic) + struct.pack(">i", len(partitions))
        body += b"".join(struct.pack(">i", p) for p in partitions)
        answer = self.ask(9, 1, body)
        at = 4 + 2 + len(topic) + 4
        found = {}
        while at < len(answer):
            partition, offset, length = struct.unpack(">iqh", answer[at:at + 14])
            at += 14 + max(length, 0)
            error, = struct.unpack(">h", answer[at:at + 2])
            at += 2
            if error:
                return error
            found[partition] = offset
        return found


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def stored_bytes(broker):
    total = 0
    for segment in (broker.data / f"{OFFSETS}-0").glob("*.log"):
        with contextlib.suppress(FileNotFoundError):  # replaced meanwhile
            total += segment.stat().st_size
    return total


def served(cluster):
    """The leader of the offsets topic, once it answers."""
    def answers():
        leader = cluster.wait_leader(OFFSETS)
        with Client(cluster[leader]) as client:
            return leader if isinstance(client.committed("billing", "orders", [0]), dict) else None
    return wait_until(answers, "the coordinator to serve")


def loading_ms(broker):
    """How long each load of a coordinator took."""
    return [int(ms) for ms in re.findall(r"serving in epoch \d+ after (\d+) ms", broker.log())]


@smoke
def test_committed_offsets_stay_small_and_survive_failovers():
    partitions = 20
    with Cluster(3, settings=SETTINGS) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "orders", "-p", partitions, "-r", 3)
        cluster.wait_isr("orders")
        with Client(cluster[1]) as client:
            client.ask(10, 0, string("billing"))  # FindCoordinator makes the topic
        wait_until(lambda: OFFSETS in cluster.run("topic", "list", "--internal").stdout, "the offsets topic")
        cluster.wait_isr(OFFSETS)
        expected = {}
        written = 0
        for failover in range(3):
            leader = served(cluster)
            if failover:
                with Client(cluster[leader]) as client:
                    equal(client.committed("billing", "orders", range(partitions)), expected, "offsets after a failover")
            with Client(cluster[leader]) as client:
                for round_ in range(1200):
                    offsets = {p: 100_000 * failover + 10 * round_ + p for p in range(partitions)}
                    equal(client.commit("billing", "orders", offsets, "m" * 100), {0}, "answers to a commit")
                    written += partitions * 150
            expected = offsets
            # What is sealed goes; the active segment of at most 1 MiB stays.
            for broker in cluster.brokers:
                wait_until(lambda b=broker: stored_bytes(b) < (1 << 20) + (300 << 10),
                           f"the offsets of broker {broker.id} to be small", timeout=60)
            cluster[leader].kill()
            cluster.wait_leader(OFFSETS, other_than=leader)
            cluster[leader].start()
            cluster.wait_healthy()
            cluster.wait_isr(OFFSETS)
        true(written > 8 << 20, f"only {written} bytes were committed")
        leader = served(cluster)
        with Client(cluster[leader]) as client:
            equal(client.committed("billing", "orders", range(partitions)), expected, "offsets at the end")
        slowest = max(ms for broker in cluster.brokers for ms in loading_ms(broker))
        print(f"    {written >> 20} MiB of commits, {max(stored_bytes(b) for b in cluster.brokers) >> 10} KiB stored, "
              f"slowest load {slowest} ms")
