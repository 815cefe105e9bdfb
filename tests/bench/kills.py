"""Brokers that end under a steady producer: how long a partition goes without an acknowledgement.

Each kill has a cluster of its own, and the partitions are laid around the controller wherever it happens to be, so a kill
hits what it is meant to hit without moving the controller first. scripts/chaos gaps measures the same on one cluster, also
of Apache Kafka: a broker that registers anew is believed dead as quickly as the first time.
"""
import time

from clients import say
from naru_cluster import Failed, wait_until

KILLS = {"leader": "kill -9 of a leader", "controller": "kill -9 of the controller",
         "both": "kill -9 of controller and leader in one"}
# What else ends a broker, or looks as if it did.
FAULTS = {"follower": "kill -9 of a follower that leads nothing", "term": "SIGTERM of a leader",
          "term-both": "SIGTERM of controller and leader in one", "all": "kill -9 of all three, started again at once",
          "pause": "SIGSTOP of a leader, until a new client's first acknowledgement"}


def plan(kind, controller, brokers):
    """Whom it hits, and which replicas the two partitions have: the first of each leads. Three brokers."""
    first, second = [b for b in brokers if b != controller]
    if kind in ("leader", "term", "pause", "all"):
        return first, [[first, second, controller], [second, first, controller]]
    if kind == "controller":
        return controller, [[first, second, controller], [second, first, controller]]
    if kind == "follower":
        return second, [[first, second, controller], [controller, second, first]]
    if kind in ("both", "term-both"):
        return controller, [[controller, first, second], [first, controller, second]]
    raise ValueError(kind)


def kill(cluster, victim):
    cluster[victim].kill()


def terminate(cluster, victim):
    cluster[victim].terminate()


def kill_all(cluster, _):
    for broker in cluster.brokers:
        broker.kill()
    for broker in cluster.brokers:
        broker.start()


STRIKES = {"term": terminate, "term-both": terminate, "all": kill_all}  # else kill


class Kill:
    """One of them on a cluster that is up. Done over, on a new topic, when the controller moves by itself meanwhile."""

    def __init__(self, cluster, kind, make_producer, tries=5):
        self.cluster = cluster
        self.kind = kind
        self.make_producer = make_producer
        self.tries = tries
        self.topic = None

    def layout(self, bootstrap=None):
        partitions = self.cluster.json("topic", "describe", self.topic, bootstrap=bootstrap)[0]["partition_list"]
        return [p["leader"] for p in sorted(partitions, key=lambda p: p["partition"])]

    def run(self):
        """The gap in ms, and how long the broker needs from its start to every ISR in s."""
        for attempt in range(self.tries):
            controller = self.cluster.wait_controller()
            victim, replicas = plan(self.kind, controller, [b.id for b in self.cluster.brokers])
            self.topic = f"gap-{attempt}"
            self.cluster.naru("topic", "create", self.topic, "--assign", ",".join(":".join(map(str, r)) for r in replicas))
            self.cluster.wait_isr(self.topic)
            wanted = [r[0] for r in replicas]
            wait_until(lambda wanted=wanted: self.layout() == wanted, f"leaders {wanted} of {self.topic}")
            with self.make_producer(self.cluster, self.topic) as producer:
                producer.flow()
                producer.mark()
                if self.cluster.controller() == controller and self.layout() == wanted:
                    return self.strike(producer, victim)
            say(f"the controller or a leader moved before the kill (it was {controller}, leaders {wanted}): once more")
        raise Failed(f"controller or leaders moved by themselves before the kill of kind '{self.kind}', {self.tries} times")

    def strike(self, producer, victim):
        if self.kind == "pause":
            return self.pause(victim)
        STRIKES.get(self.kind, kill)(self.cluster, victim)
        producer.flow()
        gap = producer.mark()["gap_ms"]
        began = time.monotonic()
        if not self.cluster[victim].running:
            self.cluster[victim].start()
        self.cluster.wait_isr(self.topic)
        return gap, time.monotonic() - began

    def pause(self, victim):
        """Nothing says that it is gone: a client with requests there waits for its own timeout, so this is one that comes
        when there is a new leader, and knows the addresses of the others."""
        others = ",".join(b.address for b in self.cluster.brokers if b.id != victim)
        began = time.monotonic()
        self.cluster[victim].pause()
        try:
            wait_until(lambda: victim not in self.layout(others), "a leader instead of the paused one")
            with self.make_producer(self.cluster, self.topic, others):  # is ready with an acknowledgement of each partition
                gap = time.monotonic() - began
        finally:
            self.cluster[victim].resume()
        resumed = time.monotonic()
        self.cluster.wait_isr(self.topic)
        return gap * 1000, time.monotonic() - resumed


def kill_once(make_cluster, kind, make_producer, others=0):
    """OTHERS: how many partitions there are besides, whose leaders move in the same moment."""
    with make_cluster() as cluster:
        cluster.start()
        if others:
            cluster.naru("topic", "create", "others", "-p", others, timeout=120)
            cluster.wait_isr("others")
        return Kill(cluster, kind, make_producer).run()
