"""Workloads in which clients are in each other's way: many readers, cold data, a sync for every acknowledgement."""
import contextlib
import json
import os
import subprocess
import threading

from clients import Load, load_program, run_load
from kernel import TICKS
from measure import Figure, Invalid, all_acknowledged, enough_cpu, rate_was_kept
from naru_cluster import Failed
from workloads import Workload


class FanOut(Workload):
    """Several consumers that each read all of it, at once."""

    def __init__(self, name, about, readers, megabytes, scale=1.0):
        super().__init__(scale)
        self.name, self.about, self.readers, self.megabytes = name, about, readers, megabytes
        self.figures = (Figure(f"{name}/cpu", f"broker CPU per GB delivered, {about}", "s/GB"),
                        Figure(f"{name}/rate", f"delivered, {about}", "MB/s", True))
        self.warm_by = f"{name}/cpu"

    def round(self, side):
        with side.topic() as topic:
            where = ["--bootstrap", side.cluster.bootstrap, "--topic", topic]
            done = run_load("produce", *where, "--megabytes", self.megabytes * self.scale, "--batch-bytes", 131072, "--linger-ms", 5)
            all_acknowledged(done, int(self.megabytes * self.scale * 1e6 / 1024))
            before = side.cpu()
            readers = [subprocess.Popen([load_program(), "consume", *where], stdout=subprocess.PIPE, text=True)
                       for _ in range(self.readers)]
            seen = []
            for reader in readers:
                out, _ = reader.communicate(timeout=300)
                if reader.returncode != 0:
                    raise Failed(f"naru-load consume ended with {reader.returncode}")
                seen.append(json.loads(out))
            used = side.cpu() - before
        if any(one["records"] != done["acked"] for one in seen):
            raise Invalid(f"{done['acked']} records were acknowledged and {[one['records'] for one in seen]} consumed")
        enough_cpu(used, TICKS)
        delivered = self.readers * done["acked"] * 1024
        return {f"{self.name}/cpu": used / (delivered / 1e9),
                f"{self.name}/rate": delivered / 1e6 / max(one["seconds"] for one in seen)}


class SyncedWrites(Workload):
    """flush.messages=1: every acknowledgement is synced on all in-sync replicas; beside the same load without."""

    def __init__(self, name, about, megabytes, producers, floor, scale=1.0):
        super().__init__(scale)
        self.name, self.about, self.megabytes, self.producers = name, about, megabytes, producers
        self.figures = (Figure(f"{name}/share", f"share of the unsynced rate, {about}", "of 1", True, floor=floor),
                        Figure(f"{name}/rate", f"produced, {about}", "MB/s", True),
                        Figure(f"{name}/cpu", f"broker CPU per GB produced, {about}", "s/GB"))
        self.warm_by = f"{name}/cpu"

    def one(self, side, settings):
        expected = int(self.megabytes * self.scale * 1e6 / 1024) // self.producers * self.producers
        with side.topic(settings=settings) as topic:
            before = side.cpu()
            done = run_load("produce", "--bootstrap", side.cluster.bootstrap, "--topic", topic, "--megabytes",
                            self.megabytes * self.scale, "--batch-bytes", 16384, "--linger-ms", 5, "--producers", self.producers)
            used = side.cpu() - before
        all_acknowledged(done, expected)
        return done, used / (done["acked"] * 1024 / 1e9)

    def round(self, side):
        unsynced, _ = self.one(side, [])
        synced, cpu = self.one(side, ["flush.messages=1"])
        return {f"{self.name}/share": synced["mb_per_s"] / unsynced["mb_per_s"], f"{self.name}/rate": synced["mb_per_s"],
                f"{self.name}/cpu": cpu}


def drop_from_page_cache(cluster, topic):
    """What the logs of a topic hold goes to the disk and out of memory. Answers with the share that is still in memory."""
    paths = [path for broker in cluster.brokers for path in broker.data.rglob(f"{topic}-*/*.log")]
    for path in paths:
        with open(path, "rb") as log:
            os.fsync(log.fileno())
            os.posix_fadvise(log.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    said = subprocess.run(["fincore", "-b", "-n", "-r", "-o", "RES,SIZE", *map(str, paths)], capture_output=True, text=True, check=False)
    return resident_share(said.stdout)


def resident_share(said):
    """Of fincore's lines of resident and whole bytes."""
    lines = [line.split() for line in said.splitlines()]
    size = sum(int(line[1]) for line in lines)
    return sum(int(line[0]) for line in lines) / size if size else 1.0


class ColdReads(Workload):
    """Producers at a fixed rate, alone and while another client reads data that is only on the disk, from its beginning."""

    def __init__(self, name, about, megabytes, rate, seconds, floor, scale=1.0):
        super().__init__(scale)
        self.name, self.about, self.megabytes, self.rate, self.seconds = name, about, megabytes, rate, seconds
        self.cold = {}
        self.figures = (Figure(f"{name}/slowdown", f"p99 of writes beside without, {about}", "x", floor=floor),
                        Figure(f"{name}/p99", f"write latency p99, {about}", "ms"),
                        Figure(f"{name}/alone", f"write latency p99 at {rate:,} records/s, nobody reading", "ms"),
                        Figure(f"{name}/rate", f"cold data read, {about}", "MB/s", True))

    def cold_topic(self, side):
        """Written once."""
        if side.name not in self.cold:
            side.up()
            topic = side.new_name()
            side.cluster.naru("topic", "create", topic, "-p", 6)
            side.cluster.wait_isr(topic)
            done = run_load("produce", "--bootstrap", side.cluster.bootstrap, "--topic", topic, "--megabytes",
                            self.megabytes * self.scale, "--batch-bytes", 131072, "--linger-ms", 5)
            all_acknowledged(done, int(self.megabytes * self.scale * 1e6 / 1024))
            self.cold[side.name] = topic
        return self.cold[side.name]

    def produce(self, side, topic, reader=contextlib.nullcontext()):
        """The p99 of writes, beside a reader that begins once the writer has connected."""
        with Load("produce", "--bootstrap", side.cluster.bootstrap, "--topic", topic, "--rate", self.rate, "--seconds",
                  self.seconds, "--skip", int(self.rate * self.seconds / 6), "--linger-ms", 0) as load:
            load.wait_until_connected()
            with reader:
                done = load.result()
        all_acknowledged(done, int(self.rate * self.seconds))
        rate_was_kept(done, self.rate)
        return done["p99_ms"]

    def round(self, side):
        cold = self.cold_topic(side)
        with side.topic() as topic:
            alone = self.produce(side, topic)
            reader = Reader(side.cluster, cold)
            beside = self.produce(side, topic, reader)
        return {f"{self.name}/slowdown": beside / alone, f"{self.name}/p99": beside, f"{self.name}/alone": alone,
                f"{self.name}/rate": reader.rate()}


class Reader:
    """Reads a topic that is out of the page cache from the beginning of a with block, and must not be done before its end."""

    def __init__(self, cluster, topic):
        self.cluster, self.topic = cluster, topic
        self.thread = threading.Thread(target=self.work)
        self.done, self.failure = None, None
        share = drop_from_page_cache(cluster, topic)
        if share > 0.05:
            raise Invalid(f"{share:.0%} of the data stayed in memory, so it is not cold")

    def work(self):
        try:
            self.done = run_load("consume", "--bootstrap", self.cluster.bootstrap, "--topic", self.topic)
        except Failed as failure:
            self.failure = failure

    def rate(self):
        return self.done["mb_per_s"]

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, value, trace):
        was_reading = self.thread.is_alive()
        self.thread.join()
        if self.failure:
            raise Invalid(str(self.failure))
        if not was_reading:
            raise Invalid("all of the cold data was read before the writes were over")
