"""Every workload of scripts/bench, with the sizes and floors that it has here."""
from contention import ColdReads, FanOut, SyncedWrites
from deaths import Deaths
from java_clients import JavaConsumer, JavaEndToEnd, JavaProducer
from limit import Limit
from measure import Floor
from states import IdleConnections, Memory, Partitions, Size, Start
from workloads import LoadedRate, SteadyRate, Throughput

SMALL, LARGE = ["--batch-bytes", 16384, "--linger-ms", 5], ["--batch-bytes", 131072, "--linger-ms", 5]


def throughput(scale):
    six = {"produce-cpu": Floor(ratio=6)}
    both = {**six, "consume-cpu": Floor(ratio=2), "produce-rate": Floor(ratio=4)}
    return [
        Throughput("16k", "1 KiB records, 16 KiB batches", SMALL, 200, floors=both, memory=Floor(at_most=60), scale=scale),
        Throughput("128k", "1 KiB records, 128 KiB batches", LARGE, 400, floors=both, scale=scale),
        Throughput("lz4", "1 KiB records, 16 KiB batches, lz4", [*SMALL, "--codec", "lz4"], 200, floors=six, scale=scale),
        Throughput("100b", "100 B records, 16 KiB batches", SMALL, 100, record_bytes=100, floors=six, scale=scale),
        # Of these no floor is asked.
        Throughput("zstd", "1 KiB records, 16 KiB batches, zstd", [*SMALL, "--codec", "zstd"], 200, consume=False, scale=scale),
        Throughput("acks1", "1 KiB records, 16 KiB batches, acks=1", [*SMALL, "--acks", "1"], 200, consume=False, scale=scale),
        Throughput("20-producers", "1 KiB records, 16 KiB batches, 20 producers", SMALL, 200, consume=False, producers=20, scale=scale),
    ]


def latency(scale):
    floors = {"p50": Floor(ratio=2), "p99": Floor(ratio=5), "cores": Floor(ratio=5)}
    return [SteadyRate("latency", "1,000 records/s", 1000, max(4, round(10 * scale)), floors=floors, scale=scale)]


def states(scale):
    many = max(100, round(1000 * scale))
    return [
        Start("start", "three brokers, empty directories", Floor(ratio=20), scale=scale),
        Memory("memory", f"and with {many:,} partitions", many, scale=scale),
        Partitions("partitions", f"{many:,} partitions with three replicas", many, Floor(ratio=5), scale=scale),
    ]


def contention(scale):
    return [
        ColdReads("cold-reads", "beside a reader of cold data", 4000, 1000, 3 * scale, Floor(at_most=1.3), scale=scale),
        SyncedWrites("synced", "flush.messages=1, 20 producers", 100, 20, Floor(at_least=0.5), scale=scale),
        FanOut("fan-out", "5 readers of everything", 5, 200, scale=scale),
    ]


def others(scale):
    many = max(500, round(10_000 * scale))
    connections = max(500, round(5000 * scale))
    small = max(2000, round(100_000 * scale))
    return [
        Limit("limit", "1 KiB records, 128 KiB batches", LARGE, 400, scale=scale),
        Size("size", "what has to be installed"),
        LoadedRate("latency-70", "70 % of Kafka's highest rate", 0.7, max(4, round(10 * scale)), SMALL, 200, scale=scale),
        IdleConnections("connections", f"{connections:,} idle connections", connections, scale=scale),
        Memory("10k-partitions", f"and with {many:,} partitions", many, rounds_max=1, scale=scale),
        Deaths("gaps", "kill -9 under a steady producer", scale=scale),
        JavaProducer("java-produce", "kafka-producer-perf-test", small, scale=scale),
        JavaConsumer("java-consume", "kafka-consumer-perf-test", small, scale=scale),
        JavaEndToEnd("java-e2e", "kafka-e2e-latency", max(500, round(2000 * scale)), scale=scale),
    ]


def every(scale=1.0):
    return throughput(scale) + latency(scale) + states(scale) + contention(scale) + others(scale)
