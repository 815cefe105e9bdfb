"""The names of Kafka's scripts: the same words to Kafka's own tool and to the link give the same lines and exit code.

Both run against one cluster of ours. Standard error is Java's business (stack traces); what is compared is what scripts read,
and of refusals the line that says why.
"""
import pathlib
import re
import shutil
import subprocess
import tempfile

from apache_kafka import java_command
from apache_tools import KafkaTools
from naru_cluster import Cluster, Failed, Skipped, clean_environment, naru_binary, wait_until

TOOLS = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-configs": "org.apache.kafka.tools.ConfigCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
}
QUICK_JVM = ("-Xmx256M", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


class Tools:
    """A cluster, the links, and Kafka's tools beside them."""

    def __init__(self, cluster, folder, one_jvm):
        self.cluster = cluster
        self.one_jvm = one_jvm
        self.folder = pathlib.Path(folder)
        for name in TOOLS:
            (self.folder / f"{name}.sh").symlink_to(naru_binary())

    def _run(self, command, text_in, timeout):
        return subprocess.run(command, input=text_in, capture_output=True, text=True, timeout=timeout, check=False,
                              env=clean_environment())

    def words(self, words):
        return [str(w) for w in ("--bootstrap-server", self.cluster.bootstrap, *words)]

    def ours(self, tool, *words, text_in="", timeout=60):
        return self._run([str(self.folder / f"{tool}.sh"), *self.words(words)], text_in, timeout)

    def javas(self, tool, *words, text_in="", timeout=120):
        return self._run(java_command(TOOLS[tool], *self.words(words), jvm=QUICK_JVM), text_in, timeout)

    def ok(self, tool, *words, **options):
        done = self.ours(tool, *words, **options)
        assert done.returncode == 0, f"{tool} {words} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def same(self, tool, *words, form=lambda text: text):
        """Equal output and exit code, within some tries where the cluster itself is still moving."""
        seen = []

        def equal():
            java, own = self.javas(tool, *words), self.ours(tool, *words)
            seen[:] = [f"Kafka's {tool} {' '.join(map(str, words))}: {java.returncode}\n{java.stdout}{java.stderr[-500:]}",
                       f"ours: {own.returncode}\n{own.stdout}{own.stderr}"]
            return java.returncode == own.returncode and form(java.stdout) == form(own.stdout)
        try:
            return wait_until(equal, f"equal output of {tool}", 60)
        except Failed:
            raise Failed("\n".join(seen)) from None

    def refused_alike(self, tool, *words):
        """Equal exit code, standard output, and first line on standard error (Java's lists of options are in any order)."""
        java, own = self.one_jvm.run(tool.removeprefix("kafka-"), *words), self.ours(tool, *words)
        seen = f"{java}\nours ended with {own.returncode}: {own.stdout}{own.stderr}"
        assert (java.code, sorted_lines(java.out)) == (own.returncode, sorted_lines(own.stdout)), seen
        if java.code != 0:
            assert java.out == "" and words_of_line(java.err) == words_of_line(own.stderr), seen

    def group_is_empty(self, group):
        """A consumer that has ended leaves its group; until the coordinator has heard it, offsets cannot be set."""
        def empty():
            said = self.ok("kafka-consumer-groups", "--describe", "--group", group, "--state")
            rows = [line.split() for line in said.splitlines() if line.startswith(group)]
            return f"Group {group} not found" in said or any(row[-2:] == ["Empty", "0"] for row in rows)
        wait_until(empty, f"{group} without members", 60)

    def commit(self, group, topic, *where):
        self.group_is_empty(group)
        out = self.ok("kafka-consumer-groups", "--reset-offsets", "--group", group, "--topic", topic, *where, "--execute")
        assert "Error" not in out, out
        return [line.split()[1:] for line in out.splitlines() if line.startswith(group)]


def words_of_line(text):
    return sorted(re.findall(r"[^\s,\[\]]+", text.partition("\n")[0]))


def sorted_settings(text):
    """Java prints topics and their changed settings in the order of its hash table."""
    return sorted_lines(re.sub(r"Configs: (.*)", lambda m: "Configs: " + ",".join(sorted(re.split(r",(?=[a-z.]+=)", m[1]))), text))


def sorted_lines(text):
    return sorted(text.splitlines())


def without_times(text):
    return re.sub(r"\d{13}", "TIME", re.sub(r"(MaxFollowerLagTimeMs:\s+)\S+", r"\1TIME", text))


def blocks_by_broker(text):
    """{"host:port (id: ...)": lines} without the APIs that the broker does not offer: of those each client knows its own."""
    found = {}
    for head, body in re.findall(r"^(\S+ \(id: .*?\)) -> \(\n(.*?)\n\)$", text, re.M | re.S):
        found[head] = [line.rstrip(",") for line in body.split("\n") if "UNSUPPORTED" not in line]
    return found


def topics(tools):
    for words in (["--create", "--topic", "my.topic", "--partitions", 3, "--replication-factor", 3, "--config", "retention.ms=3600000",
                   "--config", "cleanup.policy=compact,delete"],
                  ["--create", "--topic", "plain"],
                  ["--create", "--topic", "placed", "--replica-assignment", "1:2,2:3"]):
        out = tools.ok("kafka-topics", *words)
        assert out.endswith(f"Created topic {words[2]}.\n"), out
    for words in (["--create", "--topic", "my.topic"], ["--create", "--topic", "my.topic", "--if-not-exists"], ["--list"],
                  ["--list", "--topic", "p.*"], ["--describe", "--topic", "nope"], ["--delete", "--topic", "nope", "--if-exists"],
                  ["--alter", "--topic", "placed", "--partitions", 1], ["--describe", "--under-replicated-partitions"], []):
        tools.same("kafka-topics", *words)
    tools.ok("kafka-topics", "--alter", "--topic", "plain", "--partitions", 2)
    for words in (["--describe"], ["--describe", "--topic", "p.*"], ["--describe", "--topics-with-overrides"]):
        tools.same("kafka-topics", *words, form=sorted_settings)
    tools.ok("kafka-topics", "--delete", "--topic", "placed")
    # "a.b" is a regular expression, which "a-b" matches, and the name of a topic: that one alone is meant.
    for name in ("a.b", "a-b"):
        tools.ok("kafka-topics", "--create", "--topic", name)
    tools.ok("kafka-topics", "--delete", "--topic", "a.b")
    assert {"a.b", "a-b"} & set(tools.ok("kafka-topics", "--list").split()) == {"a-b"}
    tools.ok("kafka-topics", "--delete", "--topic", "a.b")  # no topic is called so now
    assert "a-b" not in tools.ok("kafka-topics", "--list").split()
    tools.same("kafka-topics", "--list")


def console(tools):
    """What one side's producer writes, both sides' consumers print alike."""
    # Not a compacted topic: that takes no record without a key.
    tools.ok("kafka-topics", "--create", "--topic", "noted", "--partitions", 3)
    keyed = ["--topic", "noted", "--property", "parse.key=true", "--property", "key.separator=:", "--property", "parse.headers=true",
             "--property", "null.marker=NIL"]
    lines = "h1:a,h2:b\tk1:v1\n\tk2:v2\nh:x\tNIL:v3\nh:NIL\tk4:NIL\n"
    tools.ok("kafka-console-producer", *keyed[:2], *keyed[2:], text_in=lines.replace("\tk2", "h:y\tk2"))
    every = [w for name in ("key", "value", "timestamp", "partition", "offset", "headers") for w in ("--property", f"print.{name}=true")]
    # Three partitions: their records come in any order. Java's line about --property is about its own flags.
    def form(text):
        return sorted(line for line in text.splitlines() if "deprecated" not in line)
    words = ["--topic", "noted", "--from-beginning", "--max-messages", 4, "--timeout-ms", 50000]
    read = tools.ours("kafka-console-consumer", *words)
    assert sorted(read.stdout.splitlines()) == ["null", "v1", "v2", "v3"], read
    tools.same("kafka-console-consumer", *words, form=form)
    tools.same("kafka-console-consumer", *words, *every, "--property", "null.literal=nothing", "--property", "key.separator=|", form=form)
    bad = ["--topic", "plain", "--property", "parse.key=true"]
    java, own = tools.javas("kafka-console-producer", *bad, text_in="no separator\n"), tools.ours("kafka-console-producer", *bad, text_in="no separator\n")
    expected = "No key separator found on line number 1: 'no separator'"
    assert java.returncode == own.returncode == 1 and expected in java.stderr and expected in own.stderr, (java, own)
    tools.ok("kafka-console-producer", "--topic", "plain", text_in="a\nb\nc\n")
    read = tools.ours("kafka-console-consumer", "--topic", "plain", "--from-beginning", "--max-messages", 3)
    assert sorted(read.stdout.split()) == ["a", "b", "c"] and read.stderr.endswith("Processed a total of 3 messages\n"), read
    # A producer without keys sends to any partition: one that has records, and all that it has.
    _, partition, count = max((line.split(":") for line in tools.ok("kafka-get-offsets", "--topic", "plain").splitlines()),
                              key=lambda row: int(row[2]))
    one = ["--topic", "plain", "--partition", partition, "--offset", "earliest", "--max-messages", count, "--timeout-ms", 60000]
    tools.same("kafka-console-consumer", *one)


def offsets_and_groups(tools):
    for words in (["--topic", "plain"], ["--topic", "plain", "--time", "-2"], ["--topic-partitions", "my.topic:0-2,plain:1"],
                  ["--topic", "nope"], ["--exclude-internal-topics"]):
        tools.same("kafka-get-offsets", *words)
    groups = "kafka-consumer-groups"
    for group in ("readers", "others"):
        tools.ok("kafka-console-consumer", "--topic", "plain", "--group", group, "--from-beginning", "--max-messages", 3, "--timeout-ms", 60000, timeout=90)
        # It may have had its three records before it had a position in each partition, and commits what it has.
        tools.commit(group, "plain", "--to-latest")
    tools.same(groups, "--list", form=sorted_lines)
    for words in (["--describe", "--group", "readers"], ["--describe", "--group", "nope"],
                  ["--describe", "--group", "readers", "--state"], ["--describe", "--group", "readers", "--members"],
                  ["--delete", "--group", "nope"]):
        tools.same(groups, *words)
    tools.same(groups, "--list", "--state", form=sorted_lines)
    tools.same(groups, "--describe", "--all-groups", form=sorted_lines)
    for how in (["--to-latest"], ["--to-offset", 1], ["--shift-by", -1], ["--by-duration", "P1D"], ["--to-datetime", "2020-01-01T00:00:00.000"]):
        tools.same(groups, "--reset-offsets", "--group", "readers", "--topic", "plain", *how, "--dry-run", form=sorted_lines)
    tools.commit("readers", "plain", "--to-earliest")
    out = tools.ok(groups, "--describe", "--group", "readers")
    rows = [line.split() for line in out.splitlines() if line.startswith("readers")]
    assert [row[3] for row in rows] == ["0", "0"] and sum(int(row[5]) for row in rows) == 3, out
    tools.same(groups, "--describe", "--group", "readers")
    # An expression takes no internal topic with it.
    tools.ok("kafka-topics", "--create", "--topic", "zz")
    tools.ok("kafka-topics", "--delete", "--topic", "(__consumer_offsets|zz)")
    assert {"__consumer_offsets", "zz"} & set(tools.ok("kafka-topics", "--list").split()) == {"__consumer_offsets"}
    only = tools.ours("kafka-topics", "--delete", "--topic", "__consumer_.*")
    assert only.returncode == 1 and "Only internal topics match" in only.stdout, only
    deleted = tools.ok(groups, "--delete", "--group", "others")
    assert deleted == "Deletion of requested consumer groups ('others') was successful.\n", deleted
    tools.same(groups, "--list", form=sorted_lines)


def refusals_of_groups(tools):
    """Whether an error goes to standard output or, with the usage, to standard error, and whether it ends the tool with 1."""
    groups = "kafka-consumer-groups"
    assert tools.commit("halfway", "plain:0", "--to-earliest") == [["plain", "0", "0"]]
    reset = ["--reset-offsets", "--group", "halfway", "--dry-run"]
    # plain-1 has nothing committed.
    tools.refused_alike(groups, *reset, "--topic", "plain", "--shift-by", -1)
    tools.refused_alike(groups, *reset, "--topic", "plain:0", "--shift-by", -1)
    tools.refused_alike(groups, *reset, "--topic", "plain", "--to-current")
    # What is wrong with the words.
    for words in ([*reset, "--to-latest"], [*reset, "--topic", "plain"], [*reset, "--topic", "plain", "--to-latest", "--to-earliest"],
                  [*reset, "--topic", "plain", "--to-latest", "--execute"], [*reset, "--all-groups", "--topic", "plain", "--to-latest"],
                  [*reset, "--topic", "plain:x", "--to-latest"], [*reset, "--topic", "plain:", "--to-latest"],
                  ["--reset-offsets", "--topic", "plain", "--to-latest"],
                  ["--describe"], ["--describe", "--group", "halfway", "--members", "--state"], ["--delete"],
                  ["--delete", "--group", "halfway", "--topic", "plain"], ["--delete-offsets", "--group", "halfway"],
                  ["--delete-offsets", "--group", "halfway", "--topic", "plain:x"], ["--list", "--group", "halfway"],
                  ["--list", "--delete", "--all-groups"], []):
        tools.refused_alike(groups, *words)
    # What the cluster does not have.
    for words in ([*reset, "--topic", "nope", "--to-latest"], [*reset, "--topic", "nope:0", "--to-latest"],
                  [*reset, "--topic", "plain:7,0", "--shift-by", 1], [*reset, "--topic", "plain", "--to-datetime", "yesterday"],
                  [*reset, "--topic", "plain", "--to-datetime", "2020-13-01T00:00:00.000"],
                  [*reset, "--topic", "plain", "--to-datetime", "2100-01-01T00:00:00.000"],
                  [*reset, "--topic", "plain", "--by-duration", "1D"],
                  ["--delete-offsets", "--group", "nope", "--topic", "plain"], ["--delete-offsets", "--group", "halfway", "--topic", "nope"],
                  ["--delete-offsets", "--group", "halfway", "--topic", "plain:7"],
                  ["--describe", "--group", "halfway", "--group", "nope"]):
        tools.refused_alike(groups, *words)
    assert tools.ok(groups, "--describe", "--group", "halfway").count("\nhalfway") == 1
    assert "Successful" in tools.ok(groups, "--delete-offsets", "--group", "halfway", "--topic", "plain:0")


def a_group_at_work(tools):
    """With a member: its rows are those of Kafka's tool, and nothing can be reset or deleted."""
    reader = subprocess.Popen([str(tools.folder / "kafka-console-consumer.sh"), *tools.words(["--topic", "plain", "--group", "busy"])],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_environment())
    try:
        wait_until(lambda: "Stable" in tools.ok("kafka-consumer-groups", "--describe", "--group", "busy", "--state"), "a member")
        for words in (["--describe", "--group", "busy", "--members"], ["--describe", "--group", "busy", "--members", "--verbose"],
                      ["--describe", "--group", "busy", "--state"], ["--describe", "--group", "busy"], ["--delete", "--group", "busy"],
                      ["--reset-offsets", "--group", "busy", "--topic", "plain", "--to-earliest", "--execute"]):
            tools.same("kafka-consumer-groups", *words)
    finally:
        reader.terminate()
        reader.wait(60)


def settings_and_cluster(tools):
    configs = "kafka-configs"
    topic = ["--entity-type", "topics", "--entity-name", "my.topic"]
    for words in (["--add-config", "retention.ms=7200000,max.message.bytes=2000"], ["--delete-config", "retention.ms"],
                  ["--add-config", "cleanup.policy=[compact,delete]"]):
        assert tools.ok(configs, "--alter", *topic, *words) == "Completed updating config for topic my.topic.\n"
    assert tools.ok(configs, "--alter", "--entity-type", "brokers", "--entity-default", "--add-config", "log.retention.ms=3600000") == \
        "Completed updating default config for brokers in the cluster.\n"
    for words in (["--describe", *topic], ["--describe", *topic, "--all"],
                  ["--describe", "--entity-type", "brokers", "--entity-default"], ["--describe", "--entity-type", "brokers"],
                  ["--describe", "--entity-type", "topics", "--entity-name", "nope"], ["--alter", *topic, "--add-config", "nonsense=1"],
                  ["--alter", *topic, "--delete-config", "retention.mss"]):
        tools.same(configs, *words)
    tools.same(configs, "--describe", "--entity-type", "topics", form=sorted_lines)
    tools.same("kafka-broker-api-versions", form=blocks_by_broker)
    tools.same("kafka-metadata-quorum", "describe", "--status", form=without_times)
    tools.same("kafka-metadata-quorum", "describe", "--replication", form=without_times)
    quorum = "kafka-metadata-quorum"
    config = tools.folder / "controller.properties"
    config.write_text(tools.cluster[3].properties() + "process.roles=broker,controller\n")
    tools.same(quorum, "--command-config", config, "add-controller", "--dry-run")
    directory = tools.cluster.json("quorum", "status")["voters"][2]["directory_id"]
    tools.same(quorum, "remove-controller", "--controller-id", 3, "--controller-directory-id", directory, "--dry-run")
    # It votes already.
    tools.same(quorum, "--command-config", config, "add-controller")


def test_links_print_what_kafkas_tools_print(report):
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise Skipped(f"{program} is not installed; Kafka's own tools are what the links are compared with")
    with tempfile.TemporaryDirectory(prefix="naru-tools-") as folder, Cluster(3, settings={"group.initial.rebalance.delay.ms": 0}) as cluster:
        cluster.start()
        with KafkaTools(cluster.bootstrap) as one_jvm:
            tools = Tools(cluster, folder, one_jvm)
            for part in (topics, console, offsets_and_groups, refusals_of_groups, a_group_at_work, settings_and_cluster):
                part(tools)
                report(part.__name__, None)
