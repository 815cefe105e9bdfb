#!/usr/bin/env python3
"""scripts/lib/apache_kafka.py up [--dir DIR] [--brokers N] [--version V] [--set NAME=VALUE] [--port P]
scripts/lib/apache_kafka.py fetch [--version V]

Apache Kafka to compare with: brokers of a released version from Maven Central, as processes of this machine.

  up      starts a cluster of N (3) KRaft nodes, each broker and controller in one process, on a loopback address of its
          own; prints the addresses once it is usable, and stops and removes everything at Ctrl-C or SIGTERM.
          --dir DIR keeps data and logs there. One word a line on standard input does harm: `kill 2`, `start 2`,
          `stop 2` (SIGTERM), `pause 2`, `resume 2`, `controller`.
  fetch   only downloads (by Maven coordinates, into build/apache-kafka/VERSION, never into the repository)

As a module: KafkaCluster has the methods of naru_cluster.Cluster, so a scenario that is written for one runs against
the other. Nothing here sleeps for a time: it waits for a condition, and says which one when it does not come.
"""
import base64
import fcntl
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from naru_cluster import TOP, Broker, Cluster, Failed, clean_environment, die_with_parent, last_lines  # noqa: E402

VERSION = os.environ.get("APACHE_KAFKA_VERSION", "4.4.0")

# The tools come along for those who compare with Kafka's own. log4j-slf4j-impl is what Kafka's tarball adds so that its
# log goes anywhere.
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>naru</groupId><artifactId>apache-kafka-jars</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{version}</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>{version}</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.2</version></dependency>
  </dependencies>
</project>
"""
LOG4J = """
status = error
appender.out.type = Console
appender.out.name = out
appender.out.target = SYSTEM_ERR
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = {level}
rootLogger.appenderRef.out.ref = out
"""
# As bin/kafka-run-class.sh and bin/kafka-server-start.sh of the tarball start it.
JVM = ["-server", "-Xmx1G", "-Xms1G", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
       "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true"]


def fetch(version=VERSION):
    """The folder of jars; downloads them once. Safe to call from several processes."""
    home = TOP / "build" / "apache-kafka" / version
    home.mkdir(parents=True, exist_ok=True)
    done = home / "complete"
    with open(home / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            return home / "lib"
        for program in ("java", "mvn"):
            if shutil.which(program) is None:
                raise Failed(f"{program} is not installed: Apache Kafka needs Java 17 or newer and Maven")
        (home / "pom.xml").write_text(POM.format(version=version))
        for name, level in (("broker", "info"), ("tool", "warn")):
            (home / f"{name}.properties").write_text(LOG4J.format(level=level))
        shutil.rmtree(home / "lib", ignore_errors=True)
        command = ["mvn", "-q", "-B", "-f", str(home / "pom.xml"), "dependency:copy-dependencies", "-DincludeScope=runtime",
                   f"-DoutputDirectory={home / 'lib'}"]
        print("+", " ".join(command), file=sys.stderr, flush=True)
        if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
            raise Failed(f"Apache Kafka {version} could not be had from the Maven repository")
        done.write_text(version + "\n")
    return home / "lib"


def java_command(main, *words, version=VERSION, jvm=("-Xmx256M",), log="tool"):
    """The command line of one of Kafka's main classes, as kafka.tools.StorageTool or org.apache.kafka.tools.TopicCommand."""
    jars = fetch(version)
    return ["java", *jvm, f"-Dlog4j2.configurationFile={jars.parent / log}.properties", "-cp", f"{jars}/*", main, *map(str, words)]


class KafkaBroker(Broker):
    """One KRaft node that is broker and controller."""

    def __init__(self, cluster, node_id, host, port):
        super().__init__(cluster, node_id, host, port)
        self.log_path = self.dir / "kafka.log"

    def properties(self):
        lines = {
            "process.roles": "broker,controller",
            "node.id": self.id,
            "listeners": f"PLAINTEXT://{self.host}:{self.port},CONTROLLER://{self.host}:{self.peer_port}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": ",".join(f"{b.id}@{b.host}:{b.peer_port}" for b in self.cluster.brokers),
            "log.dirs": self.data,
            # The shape of the cluster, as Naru has it by default: three copies, of which two must be in sync.
            "default.replication.factor": len(self.cluster.brokers),
            "min.insync.replicas": min(2, len(self.cluster.brokers)),
            "offsets.topic.replication.factor": len(self.cluster.brokers),
            "transaction.state.log.replication.factor": len(self.cluster.brokers),
            "transaction.state.log.min.isr": min(2, len(self.cluster.brokers)),
            "group.initial.rebalance.delay.ms": 0,
        }
        lines.update(self.cluster.settings)
        lines.update(self.settings)
        return "".join(f"{key}={value}\n" for key, value in lines.items() if value is not None)

    def format(self):
        """As `kafka-storage format` does; the started process is returned. A directory that has been formatted stays."""
        if (self.data / "meta.properties").exists():
            return None
        self.dir.mkdir(parents=True, exist_ok=True)
        (self.dir / "server.properties").write_text(self.properties())
        return subprocess.Popen(
            java_command("kafka.tools.StorageTool", "format", "-t", self.cluster.cluster_id, "-c", self.dir / "server.properties",
                         version=self.cluster.version),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=die_with_parent)

    def start(self):
        if self.running:
            raise Failed(f"broker {self.id} runs already")
        finish_format(self, self.format())
        (self.dir / "server.properties").write_text(self.properties())
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*(self.cluster.enter if self.enter is None else self.enter),
                 *java_command("kafka.Kafka", self.dir / "server.properties", version=self.cluster.version, jvm=self.cluster.jvm, log="broker")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.dir,
                preexec_fn=die_with_parent, env=clean_environment() | self.environment)
        return self


def finish_format(broker, process):
    if process is None:
        return
    said, _ = process.communicate()
    if process.returncode != 0:
        raise Failed(f"format of broker {broker.id}: {last_lines(said)}")


class KafkaCluster(Cluster):
    """with KafkaCluster(3) as cluster: cluster.start() ..."""

    def __init__(self, brokers=3, settings=None, directory=None, seed=None, keep=False, port=9092, host=None, version=VERSION, jvm=JVM):
        super().__init__(brokers=brokers, settings=settings, directory=directory, seed=seed, keep=keep, port=port, host=host)
        self.version = version
        self.jvm = list(jvm)
        known = self.dir / "cluster-id"
        if not known.exists():
            made = "-"
            while made.startswith("-"):  # which Kafka's tools would take for an option
                made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            known.write_text(made)
        self.cluster_id = known.read_text()
        self.brokers = [KafkaBroker(self, i + 1, self.host, port + i) for i in range(brokers)]

    def format(self):
        """Formats the directories of all that do not run: at once, for most of it is the start of a JVM each."""
        for broker, process in [(b, b.format()) for b in self.brokers if not b.running]:
            finish_format(broker, process)

    def start(self, healthy=True, timeout=120.0):
        self.format()
        return super().start(healthy, timeout)

    def java(self, main, *words, timeout=120.0):
        """One of Kafka's own tools, with this cluster's addresses; returns what it printed."""
        done = subprocess.run([*self.enter, *java_command(main, "--bootstrap-server", self.bootstrap, *words, version=self.version)],
                              capture_output=True, text=True, timeout=timeout, check=False)
        if done.returncode != 0:
            raise Failed(f"{main} ended with {done.returncode}: {last_lines(done.stdout + done.stderr)}")
        return done.stdout

    def controller(self):
        """The active controller, as the quorum tells. A broker's metadata alone names any broker (KIP-590)."""
        status = self.status()
        if status["controller_epoch"] is None:
            raise Failed("the quorum does not answer")
        return status["controller"]


def commands(cluster, line):
    """One command of the person at the keyboard, or of a script."""
    words = line.split()
    if words == ["controller"]:
        return str(cluster.controller())
    actions = {"kill": "kill", "start": "start", "stop": "terminate", "pause": "pause", "resume": "resume"}
    if len(words) != 2 or words[0] not in actions or words[1] not in [str(b.id) for b in cluster.brokers]:
        return f"not understood: {line.strip()}"
    getattr(cluster[int(words[1])], actions[words[0]])()
    return f"{line.strip()}: done"


def up(given):
    settings = dict(item.split("=", 1) for item in given.set)
    directory = pathlib.Path(given.dir) if given.dir else None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with KafkaCluster(given.brokers, settings=settings, directory=directory, keep=directory is not None, port=given.port,
                      version=given.version) as cluster:
        cluster.start()
        print(cluster.bootstrap, flush=True)
        print(f"Apache Kafka {given.version}; logs and data in {cluster.dir}; Ctrl-C stops it", file=sys.stderr, flush=True)
        inputs = [sys.stdin]
        while True:
            readable, _, _ = select.select(inputs, [], [])
            line = sys.stdin.readline() if readable else ""
            if not line:
                inputs = []  # nobody types any more; go on until told to end
                signal.pause()
            try:
                print(commands(cluster, line), flush=True)
            except Failed as failure:
                print(failure, flush=True)


def main():
    import argparse
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("what", nargs="?", choices=["up", "fetch"])
    parser.add_argument("--dir")
    parser.add_argument("--brokers", type=int, default=3)
    parser.add_argument("--version", default=VERSION)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--help", "-h", action="store_true")
    given = parser.parse_args()
    if given.help or given.what is None:
        print(__doc__.strip())
        sys.exit(0 if given.help else 2)
    try:
        print(fetch(given.version)) if given.what == "fetch" else up(given)
    except KeyboardInterrupt:
        sys.exit(130)
    except Failed as failure:
        print(f"apache_kafka: {failure}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
