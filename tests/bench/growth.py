"""How cost grows: with partitions, connections, brokers and the size of records. Each series keeps everything else the same,
so that what should stay flat shows whether it does."""
import contextlib
import pathlib
import resource
import statistics

from clients import run_load, say
from kernel import cpu_of, memory_of
from naru_cluster import Cluster, Failed
from sides import settled_memory
from states import connect, idle_cores, make_partitions

RECORD = 1024


def counted(number):
    return f"{number:,}"


def cluster_of(brokers):
    # As many shards as there are by default; the tests' own line is taken away.
    return Cluster(brokers, settings={"naru.shards": None})


def load(cluster, topic, megabytes, record_bytes=RECORD, rounds=3, least=1):
    """CPU seconds of all brokers for a GB and for a record, the median of some runs after one that warms up. `least`: so many
    records at least, however large."""
    megabytes = max(megabytes, least * record_bytes / 1e6)
    per_gb, per_record = [], []
    for number in range(rounds + 1):
        before = cpu_of(cluster)
        done = run_load("produce", "--bootstrap", cluster.bootstrap, "--topic", topic, "--megabytes", f"{megabytes:.6f}", "--record-bytes",
                        record_bytes, "--batch-bytes", 131072, "--linger-ms", 5)
        if done["failed"] or not done["acked"]:
            raise Failed(f"{done['failed']} records of {record_bytes} bytes failed, {done['acked']} were acknowledged")
        used = cpu_of(cluster) - before
        if number:
            per_gb.append(used / (done["acked"] * record_bytes / 1e9))
            per_record.append(used / done["acked"] * 1e6)
    return per_gb, per_record


def row(figure, unit, values, note=""):
    return {"figure": figure, "unit": unit, "values": values, "note": note, "better": "lower"}


def partitions(counts, megabytes):
    """A topic with so many partitions beside one of six that gets the load: what those that are idle cost."""
    rows = []
    for count in counts:
        say(f"growth: {counted(count)} idle partitions")
        with cluster_of(3) as cluster:
            cluster.start()
            cluster.naru("topic", "create", "load", "-p", 6)
            cluster.wait_isr("load")
            before = settled_memory(cluster)
            make_partitions(cluster, "many", count)
            after = settled_memory(cluster)
            idle = idle_cores(cluster)
            descriptors, threads = open_things(cluster)
            per_gb, _ = load(cluster, "load", megabytes)
        name = f"beside {counted(count)} idle partitions"
        rows.append(row(f"CPU a GB produced {name}", "s/GB", per_gb))
        rows.append(row(f"CPU of three brokers {name}, nothing to do", "cores", [idle]))
        rows.append(row(f"memory of a replica, {counted(count)} partitions", "KB", [(sum(after) - sum(before)) * 1000 / (3 * count)],
                        f"{descriptors} descriptors, {threads} threads in three brokers"))
    return rows


def spread(counts, megabytes):
    """The load itself over so many partitions."""
    rows = []
    for count in counts:
        say(f"growth: load over {counted(count)} partitions")
        with cluster_of(3) as cluster:
            cluster.start()
            make_partitions(cluster, "wide", count)
            per_gb, per_record = load(cluster, "wide", megabytes)
        rows.append(row(f"CPU a record over {counted(count)} partitions", "us", per_record, f"{statistics.median(per_gb):.1f} s/GB"))
    return rows


def connections(counts, megabytes):
    rows = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        for count in counts:
            say(f"growth: {counted(count)} idle connections")
            with cluster_of(3) as cluster, contextlib.ExitStack() as stack:
                cluster.start()
                cluster.naru("topic", "create", "load", "-p", 6)
                cluster.wait_isr("load")
                before = settled_memory(cluster)
                for number in range(count):
                    stack.enter_context(connect(cluster.brokers[number % len(cluster.brokers)].address))
                after = settled_memory(cluster)
                idle = idle_cores(cluster)
                per_gb, _ = load(cluster, "load", megabytes)
            name = f"beside {counted(count)} idle connections"
            rows.append(row(f"CPU a GB produced {name}", "s/GB", per_gb))
            rows.append(row(f"CPU of three brokers {name}, nothing to do", "cores", [idle]))
            rows.append(row(f"memory of a connection, {counted(count)} of them", "KB", [(sum(after) - sum(before)) * 1000 / count]))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return rows


def brokers(counts, megabytes):
    rows = []
    for count in counts:
        say(f"growth: {count} brokers")
        copies = min(3, count)
        with cluster_of(count) as cluster:
            cluster.start()
            cluster.naru("topic", "create", "load", "-p", 6, "-r", copies)
            cluster.wait_isr("load")
            per_gb, _ = load(cluster, "load", megabytes)
        rows.append(row(f"CPU a GB and copy, {count} broker{'s' if count > 1 else ''}", "s/GB", [value / copies for value in per_gb],
                        f"{copies} cop{'ies' if copies > 1 else 'y'}; {statistics.median(per_gb):.1f} s/GB in all"))
    return rows


def records(sizes, megabytes):
    """As many bytes of each size, but no more than a million records, and 20 at least."""
    rows = []
    with cluster_of(3) as cluster:
        cluster.start()
        for size in sizes:
            say(f"growth: records of {counted(size)} bytes")
            topic = f"size-{size}"
            cluster.naru("topic", "create", topic, "-p", 6, "-c", "max.message.bytes=16777216")
            cluster.wait_isr(topic)
            per_gb, per_record = load(cluster, topic, min(megabytes, size), size, least=20)
            cluster.naru("topic", "delete", topic, "--keep", "0", "--yes")
            rows.append(row(f"CPU a record of {counted(size)} bytes", "us", per_record, f"{statistics.median(per_gb):.1f} s/GB"))
        rows.append(row("memory of a broker after records of all sizes", "MB", memory_of(cluster)))
    return rows


def open_things(cluster):
    """Descriptors and threads of all brokers."""
    places = [pathlib.Path(f"/proc/{broker.pid}") for broker in cluster.brokers]
    return sum(len(list((p / "fd").iterdir())) for p in places), sum(len(list((p / "task").iterdir())) for p in places)


def grown(quick, megabytes):
    """Everything, or the ends of each series."""
    many = [1, 10, 100, 1000] + ([] if quick else [10_000])
    return [*partitions(many, megabytes), *spread(many, megabytes),
            *connections([1, 10, 100, 1000] + ([] if quick else [5000]), megabytes), *brokers([1, 3] if quick else [1, 2, 3, 4, 5], megabytes),
            *records([1, 100, 10_000, 1_000_000, 10_000_000] if quick else [10 ** n for n in range(8)], megabytes)]
