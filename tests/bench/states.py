"""Workloads without a load: what it takes to start, to hold partitions and connections, and to be idle."""
import contextlib
import json
import shutil
import socket
import subprocess
import time

from clients import DEBIAN_PYTHON, first_write, output_of
from kernel import cpu_of, memory_of
from measure import Figure, Invalid
from naru_cluster import TOP
from sides import settled_memory
from workloads import Workload


class Start(Workload):
    """From nothing to a client's first acknowledged write, and the memory of brokers that have seen little else."""

    def __init__(self, name, about, floor, scale=1.0):
        super().__init__(scale)
        self.name, self.about = name, about
        self.figures = (Figure(f"{name}/first-write", f"start to first acknowledged write, {about}", "s", floor=floor),
                        Figure(f"{name}/listens", f"start until a broker listens, {about}", "s"))

    def round(self, side):
        with side.make_cluster() as cluster:
            side.prepare(cluster)
            listening, acknowledged = first_write(cluster)
        return {f"{self.name}/first-write": acknowledged, f"{self.name}/listens": listening}


def make_partitions(cluster, topic, partitions):
    """Seconds until the topic was created, until every partition had a leader, until each had acknowledged a write."""
    command = [DEBIAN_PYTHON, TOP / "tests" / "bench" / "create_partitions.py", cluster.bootstrap, topic, partitions]
    seen = json.loads(output_of("create_partitions.py", command))
    if seen["acknowledged"] != partitions:
        raise Invalid(f"{seen['acknowledged']} of {partitions} partitions acknowledged a write")
    return seen


def idle_cores(cluster, seconds=5):
    """Processor time of all brokers when nobody asks for anything. A duration is what is measured here."""
    before, began = cpu_of(cluster), time.monotonic()
    time.sleep(seconds)
    return (cpu_of(cluster) - before) / (time.monotonic() - began)


class Partitions(Workload):
    """How long new partitions take, on brokers that have done so before."""

    def __init__(self, name, about, partitions, floor, scale=1.0):
        super().__init__(scale)
        self.name, self.about, self.partitions = name, about, partitions
        self.figures = (Figure(f"{name}/led", f"creation until all are led, {about}", "s", floor=floor),
                        Figure(f"{name}/written", f"creation until each acknowledged a write, {about}", "s"))
        self.warm_by = f"{name}/led"

    def round(self, side):
        cluster = side.up()
        topic = side.new_name()
        seen = make_partitions(cluster, topic, self.partitions)
        cluster.naru("topic", "delete", topic, "--keep", "0", "--yes")
        return {f"{self.name}/led": seen["led"], f"{self.name}/written": seen["written"]}


class Memory(Workload):
    """A cluster of its own each round: what was deleted before takes no part in the memory."""

    def __init__(self, name, about, partitions, rounds_max=2, scale=1.0):
        super().__init__(scale)
        self.name, self.about, self.partitions, self.rounds_max = name, f"idle brokers, {about}", partitions, rounds_max
        self.only_named = partitions > 1000
        count = f"{partitions:,} partitions"
        self.figures = (Figure(f"{name}/idle", "memory of the largest broker, idle", "MB"),
                        Figure(f"{name}/idle-anonymous", "of this, not backed by files", "MB"),
                        Figure(f"{name}/idle-cores", "broker CPU, idle", "cores"),
                        Figure(f"{name}/partitions", f"memory of the largest broker, {count}", "MB"),
                        Figure(f"{name}/partitions-anonymous", "of this, not backed by files", "MB"),
                        Figure(f"{name}/per-partition", f"memory of all brokers for each of {count}", "KB"),
                        Figure(f"{name}/partitions-cores", f"broker CPU, {count}, idle", "cores"))

    def round(self, side):
        with side.make_cluster() as cluster:
            cluster.start()
            idle = settled_memory(cluster)
            values = {"idle": max(idle), "idle-anonymous": max(memory_of(cluster, "RssAnon")), "idle-cores": idle_cores(cluster)}
            make_partitions(cluster, "many", self.partitions)
            full = settled_memory(cluster)
            values |= {"partitions": max(full), "partitions-anonymous": max(memory_of(cluster, "RssAnon")),
                       "per-partition": (sum(full) - sum(idle)) * 1000 / self.partitions, "partitions-cores": idle_cores(cluster)}
        return {f"{self.name}/{key}": value for key, value in values.items()}


# ApiVersions, version 0: correlation 1, client "idle".
API_VERSIONS = bytes.fromhex("0000000e 0012 0000 00000001 0004 69646c65".replace(" ", ""))


def connect(address):
    """A connection that has asked one question and had its answer, as a client that is idle now."""
    host, port = address.split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    connection.sendall(API_VERSIONS)
    if len(connection.recv(4, socket.MSG_WAITALL)) != 4:
        raise Invalid("a connection was closed instead of answered")
    return connection


class IdleConnections(Workload):
    only_named = True

    def __init__(self, name, about, connections, scale=1.0):
        super().__init__(scale)
        self.name, self.about, self.connections, self.rounds_max = name, about, connections, 1
        self.figures = (Figure(f"{name}/memory", f"memory of all brokers for each of {about}", "KB"),
                        Figure(f"{name}/cores", f"broker CPU, {about}", "cores"))

    def round(self, side):
        with side.make_cluster() as cluster, contextlib.ExitStack() as stack:
            cluster.start()
            before = settled_memory(cluster)
            for number in range(self.connections):
                stack.enter_context(connect(cluster.brokers[number % len(cluster.brokers)].address))
            after = settled_memory(cluster)
            return {f"{self.name}/memory": (sum(after) - sum(before)) * 1000 / self.connections, f"{self.name}/cores": idle_cores(cluster)}


def image_bytes(name):
    """None: there is no engine, or it does not have the image."""
    if shutil.which("docker") is None:
        return None
    told = subprocess.run(["docker", "image", "inspect", "--format", "{{.Size}}", name], capture_output=True, text=True, check=False)
    return int(told.stdout) if told.returncode == 0 else None


class Size(Workload):
    """The program as it is installed, against Kafka's jars; the JVM that they need comes on top. And the images of both, where
    an engine has them."""

    def __init__(self, name, about, scale=1.0):
        super().__init__(scale)
        self.name, self.about, self.rounds_max = name, about, 1
        self.figures = (Figure(f"{name}/program", "stripped binary; Kafka's jars without a JVM", "MB"),
                        Figure(f"{name}/image", "container image, unpacked", "MB"))

    def round(self, side):
        values = {f"{self.name}/program": side.program_bytes() / 1e6}
        image = image_bytes(side.image)
        return values if image is None else values | {f"{self.name}/image": image / 1e6}
