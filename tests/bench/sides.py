"""The two sides of a comparison: the same shape of cluster, the same clients, each with its own defaults besides."""
import contextlib
import itertools
import pathlib
import subprocess
import tempfile

from apache_kafka import VERSION, KafkaCluster, fetch
from kernel import cpu_of, memory_of
from naru_cluster import Cluster, naru_binary, wait_until

PARTITIONS = 6


def settled_memory(cluster):
    """What was needed for a moment is given back by and by: looks until the sum no longer changes by a hundredth."""
    seen = [memory_of(cluster)]

    def settled():
        seen.append(memory_of(cluster))
        return abs(sum(seen[-1]) - sum(seen[-2])) < 0.01 * sum(seen[-1])
    wait_until(settled, "memory that no longer changes", timeout=60, pause=1)
    return seen[-1]


class Side:
    """A cluster of three that stays up from one workload to the next, so that what warms up is warm."""
    name = ""

    def __init__(self):
        self.cluster = None
        self.numbers = itertools.count(1)

    def make_cluster(self, brokers=3):
        """One that is not started yet."""
        raise NotImplementedError

    def prepare(self, cluster):
        """What is done once before the first start, and is not part of it."""

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

    def new_name(self):
        return f"bench-{next(self.numbers)}"

    @contextlib.contextmanager
    def topic(self, partitions=PARTITIONS, settings=()):
        """A new topic whose replicas are in sync, for as long as it is used."""
        cluster = self.up()
        name = self.new_name()
        words = [word for setting in settings for word in ("-c", setting)]
        cluster.naru("topic", "create", name, "-p", partitions, *words)
        cluster.wait_isr(name)
        try:
            yield name
        finally:
            cluster.naru("topic", "delete", name, "--keep", "0", "--yes")

    def settled_memory(self):
        return settled_memory(self.cluster)


class Naru(Side):
    name = "naru"
    image = "naru"  # as deploy/docker/build calls it

    def make_cluster(self, brokers=3):
        # None takes the tests' own line away: the default goes by the number of processors.
        return Cluster(brokers, settings={"naru.shards": None})

    def program_bytes(self):
        with tempfile.TemporaryDirectory() as folder:
            stripped = pathlib.Path(folder) / "naru"
            subprocess.run(["strip", "-o", str(stripped), naru_binary()], check=True)
            return stripped.stat().st_size

    def version(self):
        return subprocess.run([naru_binary(), "version"], check=True, capture_output=True, text=True).stdout.strip()


class Kafka(Side):
    name = "kafka"
    image = f"apache/kafka:{VERSION}"

    def prepare(self, cluster):
        cluster.format()

    def make_cluster(self, brokers=3):
        return KafkaCluster(brokers)

    def program_bytes(self):
        return sum(path.stat().st_size for path in fetch().glob("*.jar"))

    def version(self):
        return f"Apache Kafka {VERSION}"


SIDES = {"naru": Naru, "kafka": Kafka}
