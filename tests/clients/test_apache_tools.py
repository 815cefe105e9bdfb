"""Kafka's own command-line tools, unchanged, against Naru: each of those that runbooks call, and what it prints."""
import json
import pathlib
import struct
import tempfile

from apache_tools import KafkaTools
from naru_cluster import Cluster, Failed, wait_until
from support import equal, true


def table(text):
    """Rows of a tool's table by its heads; lines that are no row of it are left out."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    heads = next(line for line in lines if "TOPIC" in line)
    return [dict(zip(heads, line)) for line in lines[lines.index(heads) + 1:] if len(line) == len(heads)]


class Work:
    """One cluster and one JVM for all tools; each method is what one of them is used for."""

    def __init__(self, cluster, tools, folder):
        self.cluster, self.tools, self.folder = cluster, tools, folder

    def file(self, name, value):
        path = self.folder / name
        path.write_text(json.dumps(value))
        return path

    def seen(self, condition, *words):
        """Waits until a tool prints what it must: it asks whichever broker it likes, and each answers from the metadata that it has."""
        def now():
            said = self.tools(*words)
            if not condition(said):
                raise Failed(said)
            return True
        wait_until(now, f"kafka-{' '.join(map(str, words))} to say what is so")

    def topics(self):
        t = self.tools
        true("Created topic made." in t("topics", "--create", "--topic", "made", "--partitions", 2, "--replication-factor", 3,
                                        "--config", "retention.ms=3600000"), "kafka-topics --create")
        self.seen(lambda said: said.split() == ["made"], "topics", "--list")
        self.seen(lambda said: all(word in said for word in ("PartitionCount: 2", "ReplicationFactor: 3", "retention.ms=3600000")),
                  "topics", "--describe", "--topic", "made")
        t("topics", "--alter", "--topic", "made", "--partitions", 3)
        self.seen(lambda said: said.count("Partition: ") == 3, "topics", "--describe", "--topic", "made")
        self.seen(lambda said: said.strip() == "", "topics", "--describe", "--under-replicated-partitions")
        self.seen(lambda said: said.strip() == "", "topics", "--describe", "--unavailable-partitions")
        t("topics", "--create", "--topic", "gone", "--if-not-exists")
        # The tool looks for it at whichever broker it likes before it has it deleted.
        wait_until(lambda: all("gone" in self.cluster.naru("topic", "list", bootstrap=b.address).split() for b in self.cluster.brokers), "every broker to know it")
        t("topics", "--delete", "--topic", "gone")
        again = t.run("topics", "--create", "--topic", "made")
        equal(again.code, 1, "exit code of creating a topic twice")
        true("already exists" in again.out + again.err, str(again))

    def console(self):
        t = self.tools
        t("console-producer", "--topic", "made", "--reader-property", "parse.key=true", "--reader-property", "key.separator=:", "--sync",
          text_in="".join(f"k{i}:v{i}\n" for i in range(30)))
        t("console-producer", "--topic", "made", "--compression-codec", "zstd", text_in="packed\n")
        read = t("console-consumer", "--topic", "made", "--from-beginning", "--group", "readers", "--max-messages", 31,
                 "--formatter-property", "print.key=true", "--timeout-ms", 60000)
        equal(sorted(read.splitlines()), sorted([f"k{i}\tv{i}" for i in range(30)] + ["null\tpacked"]), "what the console reads")

    def groups(self):
        t = self.tools
        true("readers" in t("consumer-groups", "--list").split(), "kafka-consumer-groups --list")
        rows = table(t("consumer-groups", "--describe", "--group", "readers"))
        equal((len(rows), sum(int(r["LAG"]) for r in rows)), (3, 0), "rows and lag of --describe")
        self.seen(lambda said: "Empty" in said, "consumer-groups", "--describe", "--group", "readers", "--state")
        t("consumer-groups", "--reset-offsets", "--group", "readers", "--topic", "made", "--to-earliest", "--dry-run")
        equal(sum(int(r["LAG"]) for r in table(t("consumer-groups", "--describe", "--group", "readers"))), 0, "lag after --dry-run")
        t("consumer-groups", "--reset-offsets", "--group", "readers", "--topic", "made", "--to-earliest", "--execute")
        equal(sum(int(r["LAG"]) for r in table(t("consumer-groups", "--describe", "--group", "readers"))), 31, "lag after --to-earliest")
        for how in (["--shift-by", 1], ["--by-duration", "PT1H"], ["--to-datetime", "2020-01-01T00:00:00.000"], ["--to-latest"]):
            t("consumer-groups", "--reset-offsets", "--group", "readers", "--topic", "made", *how, "--execute")
        equal(sum(int(r["LAG"]) for r in table(t("consumer-groups", "--describe", "--group", "readers"))), 0, "lag after --to-latest")
        t("consumer-groups", "--delete-offsets", "--group", "readers", "--topic", "made")
        t("consumer-groups", "--reset-offsets", "--group", "other", "--topic", "made", "--to-earliest", "--execute")
        true("successful" in t("consumer-groups", "--delete", "--group", "other"), "--delete")
        true("readers" in t("groups", "--list"), "kafka-groups --list")

    def configs(self):
        t = self.tools
        t("configs", "--alter", "--entity-type", "topics", "--entity-name", "made", "--add-config", "segment.bytes=1048576,retention.ms=7200000")
        describe = ["configs", "--describe", "--entity-type", "topics", "--entity-name", "made"]
        self.seen(lambda said: "segment.bytes=1048576" in said and "retention.ms=7200000" in said, *describe)
        t("configs", "--alter", "--entity-type", "topics", "--entity-name", "made", "--delete-config", "retention.ms")
        self.seen(lambda said: "segment.bytes=1048576" in said and "retention.ms=" not in said, *describe)
        true("node.id=1" in t("configs", "--describe", "--entity-type", "brokers", "--entity-name", 1, "--all"), "--describe --all of a broker")
        t("configs", "--alter", "--entity-type", "brokers", "--entity-default", "--add-config", "log.cleaner.threads=1")
        self.seen(lambda said: "log.cleaner.threads=1" in said, "configs", "--describe", "--entity-type", "brokers", "--entity-default")

    def offsets(self):
        t = self.tools
        ends = dict(line.rsplit(":", 1) for line in t("get-offsets", "--topic", "made").split())
        equal((len(ends), sum(map(int, ends.values()))), (3, 31), "kafka-get-offsets")
        starts = [line.rsplit(":", 1)[1] for line in t("get-offsets", "--topic", "made", "--time", -2).split()]
        equal(starts, ["0"] * 3, "kafka-get-offsets --time -2")
        place, end = next((p, int(e)) for p, e in ends.items() if int(e) > 2)
        partition = int(place.split(":")[1])
        t("delete-records", "--offset-json-file",
          self.file("delete.json", {"partitions": [{"topic": "made", "partition": partition, "offset": 2}], "version": 1}))
        equal(t("get-offsets", "--topic-partitions", place, "--time", -2).strip(), f"{place}:2", "start after kafka-delete-records")
        true(end > 2, "there are records left")

    def performance(self):
        t = self.tools
        t("topics", "--create", "--topic", "perf", "--partitions", 2, "--config", "segment.bytes=1048576")
        done = t("producer-perf-test", "--topic", "perf", "--num-records", 30000, "--record-size", 100, "--throughput", -1)
        true("30000 records sent" in done, done)
        read = t("consumer-perf-test", "--topic", "perf", "--num-records", 30000, "--timeout", 60000)
        true(read.strip().splitlines()[-1].split(", ")[4] == "30000", read)

    def verifiable(self):
        t = self.tools
        t("topics", "--create", "--topic", "verify", "--partitions", 1)
        sent = [json.loads(line) for line in t.alone("verifiable-producer", "--topic", "verify", "--max-messages", 100, "--acks", -1).splitlines()]
        equal(sum(1 for e in sent if e["name"] == "producer_send_success"), 100, "kafka-verifiable-producer")
        read = [json.loads(line) for line in t.alone("verifiable-consumer", "--topic", "verify", "--group-id", "verifiers", "--max-messages", 100,
                                               "--reset-policy", "earliest").splitlines()]
        equal(sum(e["count"] for e in read if e["name"] == "records_consumed"), 100, "kafka-verifiable-consumer")

    def elections(self):
        t = self.tools
        preferred = self.cluster.partition("made", 0)["replicas"][0]
        self.cluster[preferred].kill()
        self.cluster.wait_leader("made", 0, other_than=preferred)
        self.cluster[preferred].start()
        self.cluster.wait_healthy()
        self.cluster.wait_isr("made")
        moved = t.run("leader-election", "--election-type", "preferred", "--all-topic-partitions")
        equal(moved.code, 0, str(moved))
        wait_until(lambda: self.cluster.leader("made", 0) == preferred, "the preferred leader to lead")
        needless = t("leader-election", "--election-type", "unclean", "--topic", "made", "--partition", 0)
        true("Valid replica already elected" in needless, needless)

    def reassignment(self):
        t = self.tools
        asked = t("reassign-partitions", "--generate", "--broker-list", "1,2,3,4",
                  "--topics-to-move-json-file", self.file("topics.json", {"topics": [{"topic": "made"}], "version": 1}))
        proposed = json.loads(asked.split("Proposed partition reassignment configuration")[1])
        equal(len(proposed["partitions"]), 3, "partitions of the proposal")
        target = {"version": 1, "partitions": [{"topic": "made", "partition": p, "replicas": [4, 2, 1]} for p in range(3)]}
        plan = self.file("plan.json", target)
        started = t("reassign-partitions", "--execute", "--reassignment-json-file", plan, "--throttle", 50_000_000)
        true("Successfully started partition reassignments" in started, started)

        def complete():
            verified = t("reassign-partitions", "--verify", "--reassignment-json-file", plan)
            return verified.count("is completed") == 3 and verified
        wait_until(complete, "kafka-reassign-partitions --verify to say that all is completed")
        wait_until(lambda: [p["replicas"] for p in self.cluster.topic("made")["partition_list"]] == [[4, 2, 1]] * 3, "the replicas to be known")
        true("No partition reassignments found" in t("reassign-partitions", "--list"), "--list when nothing is moved")
        # Something that stays under way: a target that is down. Kafka's tool starts nothing towards a broker that is fenced, and
        # whether it is by then is for the clock to say; so it is fenced first, and our own command, which may name it, begins.
        self.cluster[3].kill()
        self.cluster.wait_fenced(3)
        self.cluster.naru("partition", "move", "made", "--to", "1,2,3", "--yes")
        # Kafka's tool asks whichever broker it likes, and each answers from the metadata that it has.
        def known(count):
            return lambda: all(len(self.cluster.json("partition", "moves", bootstrap=self.cluster[i].address)) == count for i in (1, 2, 4))
        wait_until(known(3), "all brokers to know of the move")
        under_way = t("reassign-partitions", "--list")
        equal([f"made-{p}:" in under_way for p in range(3)], [True] * 3, f"partitions under way in {under_way!r}")
        back = self.file("back.json", {"version": 1, "partitions": [{"topic": "made", "partition": p, "replicas": [3, 2, 1]} for p in range(3)]})
        # The tool would take the throttle off every broker too, and wait for the one that is down.
        cancelled = t("reassign-partitions", "--cancel", "--preserve-throttles", "--reassignment-json-file", back)
        true("Successfully cancelled" in cancelled, cancelled)
        wait_until(known(0), "all brokers to know that there is none")
        true("No partition reassignments found" in t("reassign-partitions", "--list"), "--list when all is cancelled")
        self.cluster[3].start()
        self.cluster.wait_healthy()

    def cluster_tools(self):
        t = self.tools
        versions = t("broker-api-versions")
        equal(versions.count("Produce(0):"), 4, "brokers that kafka-broker-api-versions shows")
        status = t("metadata-quorum", "describe", "--status")
        true("LeaderId:" in status and "CurrentVoters:" in status, status)
        equal(t("metadata-quorum", "describe", "--replication").count("Follower"), 2, "followers in --replication")
        self.voters()
        true("Cluster ID: " in t("cluster", "cluster-id", "--bootstrap-server", t.bootstrap, server=None), "kafka-cluster cluster-id")
        true(str(self.cluster[1].port) in t("cluster", "list-endpoints", "--bootstrap-server", t.bootstrap, server=None), "kafka-cluster list-endpoints")
        # Kafka's feature levels are not ours: there are none to show.
        equal(t("features", "describe").strip(), "", "kafka-features describe")
        dirs = json.loads([line for line in t("log-dirs", "--describe", "--topic-list", "made").splitlines() if line.startswith("{")][0])
        equal(sorted(b["broker"] for b in dirs["brokers"]), [1, 2, 3, 4], "brokers that kafka-log-dirs shows")

    def voters(self):
        t = self.tools
        config = self.folder / "controller.properties"  # Kafka's tool wants the roles named
        config.write_text(self.cluster[4].properties() + "process.roles=broker,controller\n")
        endpoint = f"CONTROLLER://{self.cluster[4].host}:{self.cluster[4].peer_port}"
        dry = t("metadata-quorum", "--command-config", config, "add-controller", "--dry-run")
        true("DRY RUN of adding controller 4 with directory id" in dry and endpoint in dry, dry)
        added = t("metadata-quorum", "--command-config", config, "add-controller")
        true("Added controller 4 with directory id" in added and endpoint in added, added)
        voters = {v["id"]: v["directory_id"] for v in self.cluster.json("quorum", "status")["voters"]}
        equal(sorted(voters), [1, 2, 3, 4], "voters after add-controller")
        removed = t("metadata-quorum", "remove-controller", "--controller-id", 4, "--controller-directory-id", voters[4])
        true(f"KRaft controller 4 with directory id {voters[4]}" in removed, removed)
        equal([v["id"] for v in self.cluster.json("quorum", "status")["voters"]], [1, 2, 3], "voters after remove-controller")

    def dump_log(self):
        t = self.tools
        folder = next(p for b in self.cluster.brokers for p in sorted(b.data.glob("perf-0")))
        segment = sorted(folder.glob("*.index"))[0].with_suffix(".log")
        dumped = t("dump-log", "--files", segment, "--print-data-log", server=None)
        true("baseOffset: " in dumped and "isvalid: true" in dumped, dumped[:500])
        # The sanity check looks at no entry; this compares each with the log, and then names the file and nothing else.
        for kind in ("index", "timeindex"):
            index = segment.with_suffix("." + kind)
            true(index.stat().st_size > 0, f"{index.name} has no entry: nothing is checked")
            passed = t("dump-log", "--files", index, "--index-sanity-check", server=None)
            true("passed sanity check" in passed, passed[:500])
            checked = t("dump-log", "--files", index, "--verify-index-only", server=None)
            equal([line for line in checked.splitlines() if line.strip() and not line.startswith("Dumping ")], [], f"complaints about {index.name}")
            true("Dumping " in checked, f"nothing was dumped: {checked[:500]}")
        # And that it would say so: the same index with every position off by one.
        wrong = self.folder / segment.with_suffix(".index").name
        (self.folder / segment.name).write_bytes(segment.read_bytes())
        entries = segment.with_suffix(".index").read_bytes()
        wrong.write_bytes(b"".join(struct.pack(">ii", offset, position + 1) for offset, position in struct.iter_unpack(">ii", entries)))
        refused = t.run("dump-log", "--files", wrong, "--verify-index-only", server=None)
        true(refused.code != 0 or "Mismatches in" in refused.out, f"a wrong index passes: {refused}")
        offsets = next(p for b in self.cluster.brokers for p in sorted(b.data.glob("__consumer_offsets-*/*.log")) if p.stat().st_size > 0)
        true("isvalid: true" in t("dump-log", "--files", offsets, "--offsets-decoder", "--print-data-log", server=None), "--offsets-decoder")


def test_each_tool(report):
    with Cluster(3, observers=1, settings={"offsets.topic.num.partitions": 3}) as cluster, tempfile.TemporaryDirectory() as folder:
        cluster.start()
        with KafkaTools(cluster.bootstrap) as tools:
            work = Work(cluster, tools, pathlib.Path(folder))
            problems = []
            for name in ("topics", "console", "groups", "configs", "offsets", "performance", "verifiable", "cluster_tools", "elections",
                         "reassignment", "dump_log"):
                try:
                    getattr(work, name)()
                    report(name, None)
                except Failed as problem:
                    problems.append(f"{name}: {problem}")
                    report(name, problem)
            true(not problems, "; ".join(problems))
