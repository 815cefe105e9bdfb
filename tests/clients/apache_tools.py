"""Kafka's own tools, unchanged, in one JVM (java/tools/KafkaTools.java): one start of Java for all of them."""
import base64
import os
import pathlib
import select
import subprocess
import tempfile
import time

import apache_kafka
from naru_cluster import Failed, Skipped, die_with_parent

HERE = pathlib.Path(__file__).resolve().parent

MAIN = {
    "topics": "org.apache.kafka.tools.TopicCommand",
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "groups": "org.apache.kafka.tools.GroupsCommand",
    "configs": "org.apache.kafka.tools.ConfigCommand",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "e2e-latency": "org.apache.kafka.tools.EndToEndLatency",
    "verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
    "verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "cluster": "org.apache.kafka.tools.ClusterTool",
    "features": "org.apache.kafka.tools.FeatureCommand",
    "dump-log": "org.apache.kafka.tools.DumpLogSegments",
}


def _encoded(text):
    return base64.b64encode(str(text).encode()).decode()


class Outcome:
    def __init__(self, words, code, out, err):
        self.words, self.code, self.out, self.err = words, code, out, err

    def __str__(self):
        return f"kafka-{' '.join(map(str, self.words))} ended with {self.code}: {self.out[-2000:]}{self.err[-2000:]}"


class KafkaTools:
    """with KafkaTools(bootstrap) as tools: tools("topics", "--list") runs kafka-topics.sh --bootstrap-server ... --list."""

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        try:
            jars = apache_kafka.fetch()
        except Failed as missing:
            raise Skipped(str(missing)) from None
        self.errors = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(
            ["java", "-Xmx256M", "-XX:TieredStopAtLevel=1", f"-Dlog4j2.configurationFile={jars.parent}/tool.properties", "-cp", f"{jars}/*",
             str(HERE / "java" / "tools" / "KafkaTools.java")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, preexec_fn=die_with_parent)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.process.kill()
        self.process.wait()

    def run(self, tool, *words, text_in="", timeout=120.0, server="--bootstrap-server"):
        """Whatever becomes of it."""
        given = ([server, self.bootstrap] if server else []) + list(words)
        line = " ".join(map(_encoded, [MAIN[tool], *given, text_in]))
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        deadline = time.monotonic() + timeout
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not chunk:
                self.errors.seek(0)
                raise Failed(f"kafka-{tool} {' '.join(map(str, given))} did not end: {self.errors.read()[-2000:]}")
            self.buffer += chunk
        answer, self.buffer = self.buffer.split(b"\n", 1)
        code, out, err = (answer.decode().split(" ") + ["", ""])[:3]
        return Outcome([tool, *given], int(code), base64.b64decode(out).decode(), base64.b64decode(err).decode())

    def alone(self, tool, *words, timeout=120.0):
        """In a JVM of its own: the verifiable clients finish their work in hooks of the JVM's end. Standard output."""
        command = apache_kafka.java_command(MAIN[tool], "--bootstrap-server", self.bootstrap, *words)
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        if done.returncode != 0:
            raise Failed(str(Outcome([tool, *words], done.returncode, done.stdout, done.stderr)))
        return done.stdout

    def __call__(self, tool, *words, **options):
        """It must succeed; returns its standard output."""
        done = self.run(tool, *words, **options)
        if done.code != 0:
            raise Failed(str(done))
        return done.out
