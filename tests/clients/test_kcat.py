"""kcat: what people type first."""
import json
import subprocess

from naru_cluster import Cluster, Failed
from programs import Program, no_warnings, run_program
from stored import codecs_of
from support import equal, true


def kcat(cluster, *words, text_in=None, timeout=60.0):
    return run_program(["kcat", "-b", cluster.bootstrap, *words], text_in=text_in, timeout=timeout)


def lines(first, last):
    return [f"line {i}" for i in range(first, last)]


def test_round_trip():
    with Cluster(3) as cluster:
        cluster.start()
        # The topic is made by being asked for; keys, headers, an empty value and a null one.
        kcat(cluster, "-P", "-t", "made", "-p", 0, "-K", ":", "-Z", "-H", "origin=kcat",
             text_in="".join(f"k{i}:line {i}\n" for i in range(100)) + "tombstone:\n")
        read = kcat(cluster, "-C", "-e", "-q", "-t", "made", "-p", 0, "-f", "%o|%k|%S|%s|%h\n").splitlines()
        equal(read[:100], [f"{i}|k{i}|{len(f'line {i}')}|line {i}|origin=kcat" for i in range(100)], "offset, key, size, value, headers")
        equal(read[100:], ["100|tombstone|-1||origin=kcat"], "a null value")
        # Offsets: from one, the last ones, by time, and by query.
        equal(kcat(cluster, "-C", "-e", "-q", "-t", "made", "-p", 0, "-o", 97, "-c", 3).splitlines(), lines(97, 100), "from offset 97")
        equal(kcat(cluster, "-C", "-e", "-q", "-t", "made", "-p", 0, "-o", -3).splitlines(), [*lines(98, 100), ""], "the last three")
        equal(kcat(cluster, "-C", "-e", "-q", "-t", "made", "-p", 0, "-o", "end"), "", "from the end")
        stamp = kcat(cluster, "-C", "-e", "-q", "-t", "made", "-p", 0, "-o", 50, "-c", 1, "-f", "%T").strip()
        true(int(stamp) > 0, "a record has a timestamp")
        equal(kcat(cluster, "-C", "-e", "-q", "-t", "made", "-p", 0, "-o", f"s@{int(stamp) + 3_600_000}"), "", "after the last record")
        equal(len(kcat(cluster, "-C", "-e", "-q", "-t", "made", "-p", 0, "-o", "s@1").splitlines()), 101, "since 1970")
        asked = [kcat(cluster, "-Q", "-t", f"made:0:{when}").strip() for when in (-2, -1, 1)]
        equal(asked, ["made [0] offset 0", "made [0] offset 101", "made [0] offset 0"], "offsets by time")
        no_warnings(cluster)


def test_json():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "made", "-p", 3)
        kcat(cluster, "-P", "-t", "made", "-p", 1, "-K", ":", text_in="key:value\n")
        record = json.loads(kcat(cluster, "-C", "-e", "-q", "-J", "-t", "made", "-p", 1))
        equal({name: record[name] for name in ("topic", "partition", "offset", "tstype", "broker", "key", "payload")},
              {"topic": "made", "partition": 1, "offset": 0, "tstype": "create", "broker": cluster.leader("made", 1),
               "key": "key", "payload": "value"}, "a record as JSON")
        seen = json.loads(kcat(cluster, "-L", "-J"))
        equal(sorted((b["id"], b["name"]) for b in seen["brokers"]), [(b.id, b.address) for b in cluster.brokers], "brokers")
        topic = next(t for t in seen["topics"] if t["topic"] == "made")
        for partition in topic["partitions"]:
            described = cluster.partition("made", partition["partition"])
            equal(partition["leader"], described["leader"], "leader")
            equal([r["id"] for r in partition["replicas"]], described["replicas"], "replicas")
            equal(sorted(r["id"] for r in partition["isrs"]), [1, 2, 3], "in-sync replicas")
        missing = json.loads(kcat(cluster, "-L", "-J", "-t", "no-such-topic", "-X", "allow.auto.create.topics=false"))["topics"]
        equal([t["topic"] for t in missing], ["no-such-topic"], "a topic that does not exist")
        true("Unknown topic" in missing[0].get("error", ""), f"the error says so: {missing}")
        true("no-such-topic" not in cluster.naru("topic", "list"), "asking without auto creation makes no topic")
        no_warnings(cluster)


def test_every_codec_stays_as_produced():
    with Cluster(3) as cluster:
        cluster.start()
        wanted = lines(0, 3000)
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            cluster.naru("topic", "create", codec, "-p", 1)
            # A batch of one line is not worth compressing, so all of them are to be collected.
            kcat(cluster, "-P", "-t", codec, "-z", codec, "-X", "linger.ms=500", text_in="".join(line + "\n" for line in wanted))
            equal(kcat(cluster, "-C", "-e", "-q", "-t", codec, "-X", "check.crcs=true").splitlines(), wanted, f"what was read of {codec}")
            equal(codecs_of(cluster[cluster.leader(codec)], codec), {codec}, f"codec of the batches stored for {codec}")
        no_warnings(cluster)


def test_group_goes_on_where_it_stopped():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "made", "-p", 3)
        for first in (0, 100):
            kcat(cluster, "-P", "-t", "made", text_in="".join(line + "\n" for line in lines(first, first + 100)))
            with Program(["kcat", "-b", cluster.bootstrap, "-G", "readers", "-u", "-X", "auto.offset.reset=earliest", "made"]) as reader:
                reader.wait_for(lambda seen: len(seen) >= 100, "a hundred lines")
                reader.process.terminate()
                read = reader.finish()
            equal(sorted(read), sorted(lines(first, first + 100)), "what the group read")
        no_warnings(cluster)


def test_a_partition_that_does_not_exist():
    with Cluster(1) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "made", "-p", 1)
        try:
            kcat(cluster, "-P", "-t", "made", "-p", 9, "-X", "topic.message.timeout.ms=60000", text_in="x\n")
        except (Failed, subprocess.SubprocessError) as refused:
            true("nknown partition" in str(refused), f"kcat names the partition: {refused}")
        else:
            raise Failed("a partition that does not exist took a record")
