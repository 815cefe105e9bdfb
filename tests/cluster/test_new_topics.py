"""A topic that has just been made takes what its first client sends, from a client that does not try again."""
import pathlib
import struct
import sys

from naru_cluster import Cluster
from support import equal

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "clients"))
import bad_input  # noqa: E402

TOPICS = 30
NO_ERROR = 0


class Client:
    """One connection to each broker."""

    def __init__(self, cluster):
        self.connections = {b.id: bad_input.Connection((b.host, b.port)) for b in cluster.brokers}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.connections.values():
            connection.socket.close()

    def ask(self, broker, key, version, body):
        self.connections[broker].send(bad_input.frame(bad_input.header(key, version) + body))
        return self.connections[broker].receive()[4:]

    def create(self, broker, topic):
        """CreateTopics v2: error code."""
        answer = self.ask(broker, 19, 2, struct.pack(">i", 1) + bad_input.string(topic) + struct.pack(">ihii", 1, -1, 0, 0) +
                          struct.pack(">i?", 30000, False))
        return struct.unpack_from(">h", answer, 4 + 4 + 2 + len(topic))[0]

    def leader(self, broker, topic):
        """Metadata v1 of one topic, which it may make: (error code, leader of partition 0)."""
        answer = self.ask(broker, 3, 1, struct.pack(">i", 1) + bad_input.string(topic))
        at = 4
        for _ in range(struct.unpack_from(">i", answer)[0]):
            (host,) = struct.unpack_from(">h", answer, at + 4)
            at += 4 + 2 + host + 4
            (rack,) = struct.unpack_from(">h", answer, at)
            at += 2 + max(0, rack)
        at += 4 + 4
        error, name = struct.unpack_from(">hh", answer, at)
        at += 4 + name + 1
        (partitions,) = struct.unpack_from(">i", answer, at)
        if error or not partitions:
            return error, -1
        error, _, leader = struct.unpack_from(">hii", answer, at + 4)
        return error, leader

    def produce(self, broker, topic):
        return bad_input.produce_error(self.connections[broker], topic, bad_input.batch())

    def end(self, broker, topic):
        """ListOffsets v1 of the end of partition 0: (error code, offset)."""
        answer = self.ask(broker, 2, 1, struct.pack(">ii", -1, 1) + bad_input.string(topic) + struct.pack(">iiq", 1, 0, -1))
        error, _, offset = struct.unpack_from(">hqq", answer, 4 + 2 + len(topic) + 4 + 4)
        return error, offset

    def fetch(self, broker, topic):
        """Fetch v4 of partition 0 from its begin: error code."""
        answer = self.ask(broker, 1, 4, struct.pack(">iiiibi", -1, 0, 0, 1 << 20, 0, 1) + bad_input.string(topic) +
                          struct.pack(">iiqi", 1, 0, 0, 1 << 20))
        return struct.unpack_from(">h", answer, 4 + 4 + 2 + len(topic) + 4 + 4)[0]


def first_uses(cluster, make):
    """Makes the topics one by one with make(client, broker, topic), and uses each at once. The answers that are not right."""
    wrong = []
    with Client(cluster) as client:
        for n in range(TOPICS):
            topic, asked = f"{make.__name__}-{n}", n % len(cluster.brokers) + 1
            error = make(client, asked, topic)
            error, leader = (error, -1) if error else client.leader(asked, topic)
            if error:
                wrong.append((topic, "made", error))
                continue
            # Each kind of request is the first one in its turn.
            uses = [("produced", lambda: client.produce(leader, topic)), ("end", lambda: client.end(leader, topic)[0]),
                    ("fetched", lambda: client.fetch(leader, topic))]
            for name, use in uses[n % 3:] + uses[:n % 3]:
                error = use()
                if error:
                    wrong.append((topic, name, error))
            equal(client.end(leader, topic), (NO_ERROR, 1), f"the end of {topic} after one record")
    return wrong


def by_create_topics(client, broker, topic):
    return client.create(broker, topic)


def by_metadata(client, broker, topic):
    return client.leader(broker, topic)[0]


def test_first_request_to_a_new_topic_is_served():
    for brokers in (1, 3):
        with Cluster(brokers) as cluster:
            cluster.start()
            equal(first_uses(cluster, by_create_topics), [], f"first uses after CreateTopics, {brokers} brokers")
            equal(first_uses(cluster, by_metadata), [], f"first uses after Metadata, {brokers} brokers")
