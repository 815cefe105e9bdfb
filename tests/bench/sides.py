"""The two sides of a comparison: the same shape of cluster, the same clients, each with its own defaults besides."""
import contextlib
import itertools

from apache_kafka import KafkaCluster, VERSION
from kernel import cpu_of, memory_of
from naru_cluster import Cluster, wait_until

PARTITIONS = 6


class Side:
    """A cluster of three that stays up from one workload to the next, so that what warms up is warm."""
    name = ""

    def __init__(self):
        self.cluster = None
        self.numbers = itertools.count(1)

    def make_cluster(self, brokers=3):
        """One that is not started yet."""
        raise NotImplementedError

    def up(self):
        if self.cluster is None:
            self.cluster = self.make_cluster()
            self.cluster.start()
        return self.cluster

    def down(self):
        if self.cluster is not None:
            self.cluster.close()
            self.cluster = None

    def cpu(self):
        return cpu_of(self.cluster)

    def memory(self, line="VmRSS"):
        return memory_of(self.cluster, line)

    @contextlib.contextmanager
    def topic(self, partitions=PARTITIONS, settings=()):
        """A new topic whose replicas are in sync, for as long as it is used."""
        cluster = self.up()
        name = f"bench-{next(self.numbers)}"
        words = [word for setting in settings for word in ("-c", setting)]
        cluster.naru("topic", "create", name, "-p", partitions, *words)
        cluster.wait_isr(name)
        try:
            yield name
        finally:
            cluster.naru("topic", "delete", name, "--yes")

    def settled_memory(self, line="VmRSS"):
        """What was needed for a moment is given back by and by: looks until the sum no longer falls."""
        seen = [self.memory(line)]

        def settled():
            seen.append(self.memory(line))
            return abs(sum(seen[-1]) - sum(seen[-2])) < 0.01 * sum(seen[-1])
        wait_until(settled, "memory that no longer changes", timeout=60, pause=1)
        return seen[-1]


class Naru(Side):
    name = "naru"

    def make_cluster(self, brokers=3):
        # None takes the tests' own line away: the default is one shard for each processor.
        return Cluster(brokers, settings={"naru.shards": None})

    def version(self):
        return self.up().naru("version").strip()


class Kafka(Side):
    name = "kafka"

    def make_cluster(self, brokers=3):
        return KafkaCluster(brokers)

    def version(self):
        return f"Apache Kafka {VERSION}"


SIDES = {"naru": Naru, "kafka": Kafka}
