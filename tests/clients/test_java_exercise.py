"""The first exercise: the six programs of java/ against three brokers on three addresses, found by their names.

Three brokers that are called peter-kafka01.foo.bar to peter-kafka03.foo.bar, port 9092 each; kafka-clients as old as 2.8
and the newest. What the programs print is what they acknowledged and read, so it is compared line by line.
"""
import collections
import contextlib
import re
import signal

from hosts import EXERCISE, Hosts, Unavailable
from naru_cluster import Cluster, Failed, Skipped, wait_until
from programs import Program, no_warnings, run_program
from support import equal, true
from toolchains import JAVA_2_8, JAVA_3_9, JAVA_NEWEST, java_classes

BOOTSTRAP = ",".join(f"{name}:9092" for name in EXERCISE)  # what the programs use if they are not told otherwise
MESSAGE = "Apache Kafka is a distributed streaming platform - "
PARTITIONS = 4  # of peter-basic01; peter-basic02 has one

Line = collections.namedtuple("Line", "topic partition offset key value")


class Exercise:
    """Three brokers under their names, and the programs, all in one namespace."""

    def __init__(self, cluster, hosts, version):
        self.cluster = cluster
        self.enter = hosts.enter
        self.version = version
        self.classes = java_classes(version)

    def words(self, name, **settings):
        java = ["java", "-XX:TieredStopAtLevel=1", "-Xmx96m", "-cp", self.classes]
        return [*self.enter, *java, *[f"-D{key}={value}" for key, value in settings.items()], f"naru.exercise.{name}"]

    def consumer(self, name, session=45000, **settings):
        return Program(self.words(name, session=session, **settings))

    def produce(self, name, count):
        return run_program(self.words(name, count=count)).splitlines()

    def fill(self, first, last):
        """The numbers from first to last in each partition of peter-basic01, whatever a client's partitioner likes."""
        for partition in range(PARTITIONS):
            text = "".join(f"{partition}-{i}\n" for i in range(first, last))
            run_program([*self.enter, "kcat", "-b", BOOTSTRAP, "-P", "-t", "peter-basic01", "-p", partition], text_in=text)

    def wait_committed(self, *groups):
        """Each group has committed all there is."""
        def done(group):
            offsets = self.cluster.json("group", "describe", group)[0]["offsets"]
            return offsets and all(o["end"] is not None and (o["committed"] == o["end"] or o["end"] == 0) for o in offsets)
        wait_until(lambda: all(done(group) for group in groups), f"{' and '.join(groups)} to commit everything", timeout=60)


@contextlib.contextmanager
def exercise(version):
    java_classes(version)  # skipped, if it is, before brokers start
    with contextlib.ExitStack() as stack:
        try:
            hosts = stack.enter_context(Hosts(EXERCISE))
        except Unavailable as why:
            raise Skipped(str(why)) from None
        cluster = stack.enter_context(Cluster(3, hosts=EXERCISE, enter=hosts.enter))
        cluster.start()
        cluster.naru("topic", "create", "peter-basic01", "-p", PARTITIONS, "-r", 3)
        cluster.naru("topic", "create", "peter-basic02", "-p", 1, "-r", 3)
        yield Exercise(cluster, hosts, version)


def parse(lines, word):
    """The lines that say a record: `Topic: t, Partition: 0, Offset: 10, Key: null, Received Message: text`."""
    pattern = re.compile(rf"Topic: ([\w-]+), Partition: (\d+), Offset: (\d+), Key: (\w+), {word}: (.*)")
    found = [pattern.fullmatch(line) for line in lines]
    return [Line(m[1], int(m[2]), int(m[3]), m[4], m[5]) for m in found if m]


def sent(lines):
    read = parse(lines, "Received Message")
    equal(len(read), len(lines), f"lines of the producer's form among {lines[:3]}...")
    return read


def consumed(*consumers):
    return [line for consumer in consumers for line in parse(list(consumer.lines), "Value")]


def assigned(consumer):
    """Partition -> the offset from which it is read, of peter-basic01, as the consumer said last."""
    line = next((line for line in reversed(consumer.lines) if line.startswith("Assigned: ")), "")
    return {int(partition): int(offset) for partition, offset in re.findall(r"peter-basic01-(\d+) from (\d+)", line)}


def shared(*members):
    """Every partition is assigned, each once, and nobody idles."""
    parts = [assigned(member) for member in members]
    return sorted(p for part in parts for p in part) == list(range(PARTITIONS)) and all(parts)


def wait_shared(*members):
    wait_until(lambda: shared(*members), f"{len(members)} member(s) that have all partitions", timeout=60)


def wait_values(wanted, *consumers):
    """Until the consumers have printed all these values."""
    def missing():
        return sorted(set(wanted) - {line.value for line in consumed(*consumers)})
    try:
        wait_until(lambda: not missing(), "all values", timeout=60)
    except Failed:
        raise Failed(f"of {len(wanted)} values {len(missing())} were not consumed: {missing()[:5]}") from None


def numbers(first, last):
    """What fill() sends."""
    return [f"{partition}-{i}" for partition in range(PARTITIONS) for i in range(first, last)]


def end(consumer):
    """SIGTERM: it commits, leaves its group and says so."""
    consumer.process.terminate()
    consumer.wait_line("^Told to end$")
    consumer.process.wait(60)


def lines_as_printed(version):
    """Three producers and three consumers, as they come."""
    with exercise(version) as it, it.consumer("ConsumerAutoCommit") as auto, it.consumer("ConsumerCommitSync") as sync, \
            it.consumer("ConsumerCommitAsync") as asynchronous:
        wait_shared(auto, sync)
        asynchronous.wait_line("^Assigned: peter-basic02-0 from 0$")
        equal(it.produce("ProducerFireAndForget", 20), [f"Sent Message: {MESSAGE}{i}" for i in range(20)], "what is sent and forgotten")
        wait_values([f"{MESSAGE}{i}" for i in range(20)], auto, sync)
        from_sync = sent(it.produce("ProducerSync", 20))
        equal([line.value for line in from_sync], [f"{MESSAGE}{i}" for i in range(20)], "messages of the synchronous producer")
        equal(it.produce("ProducerAsync", 20),
              [f"Topic: peter-basic02, Partition: 0, Offset: {i}, Key: null, Received Message: {MESSAGE}{i}" for i in range(20)],
              "what the callback prints")
        asynchronous.wait_for(lambda seen: len(seen) >= 21, "20 lines and the assignment")
        equal(asynchronous.lines[1:], [f"Topic: peter-basic02, Partition: 0, Offset: {i}, Key: null, Value: {MESSAGE}{i}" for i in range(20)],
              "what the consumer of peter-basic02 prints")
        wait_until(lambda: len(consumed(auto, sync)) >= 40, "40 lines of peter-basic01")
        read = consumed(auto, sync)
        equal({line.key for line in read}, {"null"}, "keys")
        equal([line for line in from_sync if line not in read], [], "acknowledged and not read as acknowledged")
        equal(collections.Counter(line.value for line in read), {f"{MESSAGE}{i}": 2 for i in range(20)}, "both producers' messages, each once")
        for consumer in (auto, sync):
            equal({line.partition for line in consumed(consumer)} - set(assigned(consumer)), set(), "partitions read and not assigned")
        it.wait_committed("peter-consumer01", "peter-consumer02")
        for consumer in (auto, sync, asynchronous):
            end(consumer)
        no_warnings(it.cluster)


def one_consumer_is_killed(version):
    """Its partitions go to the other of its group, from what was committed; no record is lost, none committed comes again."""
    with exercise(version) as it, contextlib.ExitStack() as running:
        pairs = {"peter-consumer01": ["ConsumerAutoCommit", "ConsumerCommitSync"], "peter-consumer02": ["ConsumerCommitAsync"] * 2}
        mortal = {"topic": "peter-basic01", "session": 6000}
        groups = {group: [running.enter_context(it.consumer(name, group=group, **mortal)) for name in names] for group, names in pairs.items()}
        for pair in groups.values():
            wait_shared(*pair)
        it.fill(0, 100)
        it.wait_committed(*groups)
        for pair in groups.values():
            wait_values(numbers(0, 100), *pair)
            true(all(consumed(one) for one in pair), "both of a group have read something")
            pair[0].kill()
        it.fill(100, 200)
        for group, (dead, survivor) in groups.items():
            wait_shared(survivor)
            equal({p: assigned(survivor)[p] for p in assigned(dead)}, dict.fromkeys(assigned(dead), 100),
                  f"the committed offsets, from which the survivor of {group} goes on")
        for pair in groups.values():
            wait_values(numbers(0, 200), *pair)
            equal(len(consumed(*pair)), 200 * PARTITIONS, "records read: each once")
        # The same without waiting for commits: what was not committed may come again, and nothing is lost.
        for group, pair in groups.items():
            pair.append(running.enter_context(it.consumer(pairs[group][0], group=group, **mortal)))
            wait_shared(*pair[1:])
        it.fill(200, 300)
        for _, survivor, newcomer in groups.values():
            wait_until(lambda one=survivor: len(consumed(one)) > 0, "the survivor reads")
            survivor.kill()
            wait_shared(newcomer)
        it.fill(300, 400)
        for pair in groups.values():
            wait_values(numbers(0, 400), *pair)
        no_warnings(it.cluster)


def a_broker_is_killed(version):
    """In the middle of a synchronous producer's run: the one that leads the partition which it writes to."""
    count = 600
    with exercise(version) as it, it.consumer("ConsumerCommitSync") as one, it.consumer("ConsumerCommitSync") as two:
        wait_shared(one, two)
        with Program(it.words("ProducerSync", count=count)) as producer:
            producer.wait_for(lambda seen: len(seen) >= 100, "a hundred acknowledgements")
            producer.process.send_signal(signal.SIGSTOP)  # it may be done before we know who leads
            lines = list(producer.lines)
            true(len(lines) < count, "the kill came too late to say anything: raise the count")
            victim = it.cluster.leader("peter-basic01", sent(lines)[-1].partition)
            it.cluster[victim].kill()
            producer.process.send_signal(signal.SIGCONT)
            acknowledged = sent(producer.finish())
        equal([line.value for line in acknowledged], [f"{MESSAGE}{i}" for i in range(count)], "every message is acknowledged, in order")
        wait_values([line.value for line in acknowledged], one, two)
        lost = {line[:3] for line in acknowledged} - {line[:3] for line in consumed(one, two)}
        equal(lost, set(), "acknowledged and not consumed")
        it.cluster[victim].start()
        it.cluster.wait_healthy()
        it.cluster.wait_isr("peter-basic01")
        equal(len(sent(it.produce("ProducerSync", 20))), 20, "acknowledged after the broker came back")


def test_lines_2_8():
    lines_as_printed(JAVA_2_8)


def test_lines_3_9():
    lines_as_printed(JAVA_3_9)


def test_lines_newest():
    lines_as_printed(JAVA_NEWEST)


def test_a_consumer_is_killed_2_8():
    one_consumer_is_killed(JAVA_2_8)


def test_a_consumer_is_killed_3_9():
    one_consumer_is_killed(JAVA_3_9)


def test_a_consumer_is_killed_newest():
    one_consumer_is_killed(JAVA_NEWEST)


def test_a_broker_is_killed_2_8():
    a_broker_is_killed(JAVA_2_8)


def test_a_broker_is_killed_3_9():
    a_broker_is_killed(JAVA_3_9)


def test_a_broker_is_killed_newest():
    a_broker_is_killed(JAVA_NEWEST)
