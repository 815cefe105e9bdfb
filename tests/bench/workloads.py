"""What scripts/bench measures. A workload has figures, and does one round on one side: {key of the figure: value}.

The sizes are for a machine of two processors; `scale` makes them smaller for a quick look.
"""
import statistics
import time

from clients import run_load
from kernel import TICKS, memory_of
from measure import Figure, Invalid, all_acknowledged, enough_cpu, rate_was_kept


class Workload:
    """One name of `scripts/bench --only`."""
    name = ""
    about = ""
    figures = ()
    warm_by = None    # the key of the figure that must no longer fall before rounds count; None: no warm-up
    rounds_max = None
    fresh = False     # needs clusters that nothing was done to
    only_named = False  # takes so long that it is done only when it is asked for

    def __init__(self, scale=1.0):
        self.scale = scale

    def begin(self, sides):
        """Once, before everything else."""

    def round(self, side):
        raise NotImplementedError


class Throughput(Workload):
    """One produce run as fast as it goes and one reading of all of it; rates, and CPU of all brokers for a GB of payload."""

    def __init__(self, name, about, options, megabytes, record_bytes=1024, floors=None, consume=True, producers=1, memory=None, scale=1.0):
        super().__init__(scale)
        self.name, self.about, self.options, self.record_bytes = name, about, options, record_bytes
        self.megabytes, self.consume, self.producers = megabytes, consume, producers
        floors = floors or {}
        figures = [Figure(f"{name}/produce-cpu", f"broker CPU per GB produced, {about}", "s/GB", floor=floors.get("produce-cpu")),
                   Figure(f"{name}/produce-rate", f"produced, {about}", "MB/s", True, floor=floors.get("produce-rate")),
                   Figure(f"{name}/produce-records", f"produced, {about}", "records/s", True)]
        if consume:
            figures += [Figure(f"{name}/consume-cpu", f"broker CPU per GB consumed, {about}", "s/GB", floor=floors.get("consume-cpu")),
                        Figure(f"{name}/consume-rate", f"consumed, {about}", "MB/s", True)]
        self.memory = memory
        if memory:
            figures += [Figure(f"{name}/memory", f"memory of the largest broker after this, {about}", "MB", floor=memory),
                        Figure(f"{name}/memory-anonymous", "of this, not backed by files", "MB")]
        self.figures = tuple(figures)
        self.warm_by = f"{name}/produce-cpu"

    def expected(self):
        return int(self.megabytes * self.scale * 1e6 / self.record_bytes) // self.producers * self.producers

    def round(self, side):
        with side.topic() as topic:
            where = ["--bootstrap", side.cluster.bootstrap, "--topic", topic]
            before = side.cpu()
            done = run_load("produce", *where, "--megabytes", self.megabytes * self.scale, "--record-bytes", self.record_bytes,
                            "--producers", self.producers, *self.options)
            used = side.cpu() - before
            all_acknowledged(done, self.expected())
            enough_cpu(used, TICKS)
            gigabytes = done["acked"] * self.record_bytes / 1e9
            values = {"produce-cpu": used / gigabytes, "produce-rate": done["mb_per_s"], "produce-records": done["records_per_s"]}
            if self.consume:
                values.update(self.read(side, where, done["acked"], gigabytes))
            if self.memory:
                values |= {"memory": max(side.settled_memory()), "memory-anonymous": max(memory_of(side.cluster, "RssAnon"))}
        return {f.key: values[f.key.split("/")[1]] for f in self.figures}

    @staticmethod
    def read(side, where, records, gigabytes):
        """As often as the clock needs to tell the CPU used by its ticks."""
        before, times, rates = side.cpu(), 0, []
        while times < 8 and (side.cpu() - before) * TICKS < 30:
            done = run_load("consume", *where)
            if done["records"] != records:
                raise Invalid(f"{records} records were acknowledged and {done['records']} consumed")
            times += 1
            rates.append(done["mb_per_s"])
        return {"consume-cpu": (side.cpu() - before) / (gigabytes * times), "consume-rate": statistics.median(rates)}


class SteadyRate(Workload):
    """Latency at a fixed rate, acks=all; with linger.ms=0 what a write takes when nothing queues."""

    def __init__(self, name, about, rate, seconds, options=("--linger-ms", 0), floors=None, scale=1.0):
        super().__init__(scale)
        floors = floors or {}
        self.name, self.about, self.rate, self.seconds, self.options = name, about, rate, seconds, options
        self.figures = (Figure(f"{name}/p50_ms", f"write latency p50, {about}", "ms", floor=floors.get("p50")),
                        Figure(f"{name}/p99_ms", f"write latency p99, {about}", "ms", floor=floors.get("p99")),
                        Figure(f"{name}/p999_ms", f"write latency p99.9, {about}", "ms"),
                        Figure(f"{name}/cores", f"broker CPU, {about}", "cores", floor=floors.get("cores")))
        self.warm_by = f"{name}/cores"

    def round(self, side):
        with side.topic() as topic:
            before, began = side.cpu(), time.monotonic()
            done = run_load("produce", "--bootstrap", side.cluster.bootstrap, "--topic", topic, "--rate", self.rate,
                            "--seconds", self.seconds, "--skip", int(self.rate), *self.options)
            used, took = side.cpu() - before, time.monotonic() - began
        all_acknowledged(done, int(self.rate * self.seconds))
        rate_was_kept(done, self.rate)
        return {f"{self.name}/{key}": done[key] for key in ("p50_ms", "p99_ms", "p999_ms")} | {f"{self.name}/cores": used / took}


class LoadedRate(SteadyRate):
    """At a share of the highest rate of the slower side, which is found out first: both get the same load."""

    def __init__(self, name, about, share, seconds, options, megabytes, scale=1.0):
        super().__init__(name, about, 1, seconds, options, scale=scale)
        self.share, self.probe = share, Throughput(name, about, options, megabytes, consume=False, scale=scale)

    def begin(self, sides):
        slowest = "kafka" if "kafka" in sides else "naru"
        key = f"{self.name}/produce-rate"
        best = max(self.probe.round(sides[slowest])[key] for _ in range(3))
        self.rate = int(self.share * best * 1e6 / self.probe.record_bytes)
