"""Kafka's own measuring tools as workloads: what its Java clients see. They need far more processor time than the brokers
on a small machine, so their rates are mostly the clients' own."""
import re

from apache_kafka import java_command
from clients import output_of
from measure import Figure, Invalid
from naru_cluster import last_lines
from workloads import Workload

PRODUCED = re.compile(r"(\d+) records sent, ([\d.]+) records/sec \(([\d.]+) MB/sec\), ([\d.]+) ms avg latency, ([\d.]+) ms max latency, "
                      r"(\d+) ms 50th, (\d+) ms 95th, (\d+) ms 99th, (\d+) ms 99.9th")


def run_tool(tool, *words):
    return output_of(tool, java_command(f"org.apache.kafka.tools.{tool}", *words))


def produced(said):
    """The summary of kafka-producer-perf-test."""
    found = PRODUCED.findall(said)
    if not found:
        raise Invalid(f"kafka-producer-perf-test did not say what it did: {last_lines(said)}")
    last = found[-1]  # of the lines of intervals none has percentiles
    return {"acked": int(last[0]), "records_per_s": float(last[1]), "p50_ms": float(last[5]), "p99_ms": float(last[7]), "p999_ms": float(last[8])}


def consumed(said):
    """kafka-consumer-perf-test: a line of names and one of values."""
    lines = [[word.strip() for word in line.split(",")] for line in said.splitlines() if "," in line]
    if len(lines) < 2 or "data.consumed.in.nMsg" not in lines[-2]:
        raise Invalid(f"kafka-consumer-perf-test did not say what it did: {last_lines(said)}")
    values = dict(zip(lines[-2], lines[-1]))
    return {"records": int(values["data.consumed.in.nMsg"]), "mb_per_s": float(values["fetch.MB.sec"]) * 1.048576}


def end_to_end(said):
    """kafka-e2e-latency: an average and three percentiles."""
    found = re.search(r"Percentiles: 50th = (\d+), 99th = (\d+), 99.9th = (\d+)", said)
    if not found:
        raise Invalid(f"kafka-e2e-latency did not say what it did: {last_lines(said)}")
    return {"p50_ms": float(found[1]), "p99_ms": float(found[2]), "p999_ms": float(found[3])}


class JavaWorkload(Workload):
    only_named = True
    record_bytes = 1024

    def __init__(self, name, about, records, scale=1.0):
        super().__init__(scale)
        self.name, self.about, self.records = name, f"{about}, {records:,} records", records
        self.figures = tuple(Figure(f"{name}/{key}", f"{title}, {about}", unit, higher) for key, title, unit, higher in self.measured)
        self.warm_by = f"{name}/{self.measured[-1][0]}"

    def produce(self, side, topic):
        done = produced(run_tool("ProducerPerformance", "--bootstrap-server", side.cluster.bootstrap, "--topic", topic, "--num-records",
                                 self.records, "--record-size", self.record_bytes, "--throughput", -1, "--command-property", "acks=all"))
        if done["acked"] != self.records:
            raise Invalid(f"{done['acked']} of {self.records} records sent")
        return done

    def values(self, done):
        return {f.key: done[f.key.split("/")[1]] for f in self.figures}

    def gigabytes(self):
        return self.records * self.record_bytes / 1e9


class JavaProducer(JavaWorkload):
    measured = (("mb_per_s", "produced", "MB/s", True), ("p99_ms", "write latency p99 at full rate", "ms", False),
                ("cpu", "broker CPU per GB produced", "s/GB", False))

    def round(self, side):
        with side.topic() as topic:
            before = side.cpu()
            done = self.produce(side, topic)
            done["cpu"] = (side.cpu() - before) / self.gigabytes()
        done["mb_per_s"] = done["records_per_s"] * self.record_bytes / 1e6
        return self.values(done)


class JavaConsumer(JavaWorkload):
    measured = (("mb_per_s", "consumed", "MB/s", True), ("cpu", "broker CPU per GB consumed", "s/GB", False))

    def round(self, side):
        with side.topic() as topic:
            self.produce(side, topic)
            before = side.cpu()
            done = consumed(run_tool("ConsumerPerformance", "--bootstrap-server", side.cluster.bootstrap, "--topic", topic,
                                     "--num-records", self.records))
            done["cpu"] = (side.cpu() - before) / self.gigabytes()
        if done["records"] < self.records:
            raise Invalid(f"{done['records']} of {self.records} records consumed")
        return self.values(done)


class JavaEndToEnd(JavaWorkload):
    """One record at a time, from a producer through the brokers to a consumer."""
    measured = (("p50_ms", "end-to-end latency p50", "ms", False), ("p99_ms", "end-to-end latency p99", "ms", False))

    def round(self, side):
        with side.topic(partitions=1) as topic:
            return self.values(end_to_end(run_tool("EndToEndLatency", "--bootstrap-server", side.cluster.bootstrap, "--topic", topic,
                                                   "--num-records", self.records, "--producer-acks", "all", "--record-size",
                                                   self.record_bytes)))
