"""Voters of the metadata quorum added, removed and replaced (R4, R12), and clusters that grow."""
import re
import shlex
import time

from naru_cluster import Cluster, Workload, wait_until
from pages import CLUSTER, blocks
from support import clean, equal, true


def voters_of(cluster):
    return sorted(v["id"] for v in cluster.json("quorum", "status")["voters"])


def silence_ms(cluster, voter):
    last = next(v["last_fetch_ms"] for v in cluster.json("quorum", "status")["voters"] if v["id"] == voter)
    return time.time() * 1000 - (last or 0)


def refused(cluster, words, *reasons):
    done = cluster.run(*words)
    equal(done.returncode, 1, f"exit code of naru {' '.join(map(str, words))}: {done.stdout}{done.stderr}")
    for reason in reasons:
        true(reason in done.stderr, f"{reason!r} in: {done.stderr}")


def test_a_removed_controller_hands_over_and_stays_outside_when_it_restarts():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "orders", "-p", 3)
        with Workload(cluster, "orders") as load:
            load.flow()
            former = cluster.wait_controller()
            cluster.naru("quorum", "remove", former, "--yes")
            cluster.wait_controller(other_than=former)
            equal(voters_of(cluster), [i for i in (1, 2, 3) if i != former], "voters after the removal")
            # Its file still names it among the voters; what the log says weighs more.
            equal(cluster[former].terminate(), 0, "exit code of the former controller")
            cluster[former].start()
            cluster.wait_healthy()
            quorum = cluster.json("quorum", "status")
            equal([o["id"] for o in quorum["observers"] if o["last_fetch_ms"]], [former], "observers")
            true(former not in [v["id"] for v in quorum["voters"]], f"who votes: {quorum}")
            load.flow()
            cluster.naru("quorum", "add", former)
            equal(voters_of(cluster), [1, 2, 3], "voters in the end")
            clean(load.stop())


def test_what_would_end_the_quorum_is_refused():
    with Cluster(3) as cluster:
        cluster.start()
        refused(cluster, ["quorum", "add", 1], "broker 1 votes already")
        refused(cluster, ["quorum", "add", 9], "no broker 9 follows the metadata log", "start it first")
        refused(cluster, ["quorum", "remove", 9, "--yes"], "broker 9 is no voter")
        equal(cluster.run("quorum", "remove", 3).returncode, 2, "a removal that nobody confirmed")
        controller = cluster.wait_controller()
        dead, alive = [b.id for b in cluster.brokers if b.id != controller]
        cluster[dead].kill()
        wait_until(lambda: silence_ms(cluster, dead) > 1000, f"broker {dead} to be missed")
        refused(cluster, ["quorum", "remove", alive, "--yes"], "only 1 of 2 voters answer")
        equal(voters_of(cluster), [1, 2, 3], "voters after what was refused")
        # The dead one may go; then the other; the last may not.
        cluster.naru("quorum", "remove", dead, "--yes")
        cluster.naru("quorum", "remove", alive, "--yes")
        refused(cluster, ["quorum", "remove", controller, "--yes"], "the last voter cannot be removed")
        equal(voters_of(cluster), [controller], "voters in the end")
        cluster[dead].start()
        cluster.wait_healthy()

        def both_vote():
            for broker in {dead, alive} - set(voters_of(cluster)):  # who votes already is refused
                cluster.run("quorum", "add", broker)
            return voters_of(cluster) == [1, 2, 3]
        wait_until(both_vote, "both to vote again")
        cluster[controller].kill()
        cluster.wait_controller(other_than=controller)


def test_a_voter_with_an_empty_disk_votes_again_by_itself():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "orders", "-p", 3)
        before = {v["id"]: v["directory_id"] for v in cluster.json("quorum", "status")["voters"]}
        with Workload(cluster, "orders") as load:
            load.flow()
            controller = cluster.wait_controller()
            for victim in (controller, next(b.id for b in cluster.brokers if b.id != controller)):
                cluster[victim].kill()
                cluster[victim].wipe()
                cluster.wait_controller(other_than=victim)
                cluster[victim].start()
                def votes():
                    now = {v["id"]: v["directory_id"] for v in cluster.json("quorum", "status")["voters"]}
                    return sorted(now) == [1, 2, 3] and now[victim] != before[victim]
                wait_until(votes, f"broker {victim} to vote from its new disk", 60)
                cluster.wait_healthy()
                cluster.wait_isr("orders")
                load.flow()
            clean(load.stop())


class Section:
    """The commands of a section of docs/operations.md, and the lines of files between them, which a test does one after
    the other and in full (tests/docs asks for that): with Section("Voters") as section: ..."""

    def __init__(self, title):
        self.title = title
        found = [b for b in blocks("docs/operations.md") if b.heading == title and (b.by == CLUSTER or b.text)]
        self.lines = [line.split("  #")[0].strip() for b in found for line in (b.lines if b.text else b.commands())]
        true(self.lines, f"docs/operations.md has no commands under {title!r}")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            equal(self.lines, [], f"lines of docs/operations.md, {self.title}, that nobody ran")

    def next(self, expected):
        true(self.lines, f"{expected}: docs/operations.md, {self.title}, ends before it")
        equal(self.lines.pop(0), expected, f"the next line of docs/operations.md, {self.title}")


class Growing:
    """What the section says, with processes instead of hosts: kafka01 is broker 1, and so on."""

    def __init__(self, cluster, section):
        self.cluster, self.section = cluster, section

    def configure(self, brokers):
        servers = ",".join(f"{self.cluster.host}:{self.cluster[i].peer_port}" for i in brokers)
        names = ",".join(f"kafka0{i}.example.com:9093" for i in brokers)
        self.section.next(f"controller.quorum.bootstrap.servers={names}")
        for i in brokers:
            self.cluster[i].settings["controller.quorum.bootstrap.servers"] = servers

    def start(self, brokers):
        self.section.next("sudo systemctl start naru")
        for i in brokers:
            self.cluster[i].start()

    def restart(self, brokers):
        """One after the other, waiting as the section says."""
        self.section.next("sudo systemctl restart naru")
        wait = f"naru health --wait --min-brokers {len(brokers)} --timeout 10m"
        self.section.next(wait)
        for i in brokers:
            equal(self.cluster[i].terminate(), 0, f"exit code of broker {i}")
            self.cluster[i].start()
            self.cluster.naru(*shlex.split(wait)[1:], timeout=90)

    def run(self, line):
        self.section.next(line)
        return self.cluster.naru(*shlex.split(line)[1:], timeout=120)


def test_a_cluster_grows_from_one_to_three_to_five_under_load():
    settings = {"controller.quorum.voters": None, "offsets.topic.num.partitions": 3}
    with Section("Grow from one broker to three, and to five") as section, Cluster(1, settings=settings, observers=4) as cluster:
        grow = Growing(cluster, section)
        grow.configure([1])
        grow.start([1])
        cluster.wait_healthy(brokers=1)
        cluster.naru("topic", "create", "orders", "-p", 3)
        equal(cluster.topic("orders")["replicas"], 1, "replicas on one broker")
        with Workload(cluster, "orders") as load:
            load.flow()
            grow.configure([1, 2, 3])
            grow.start([2, 3])
            grow.run("naru health --wait --min-brokers 3 --timeout 10m")
            grow.run("naru quorum add 2 3")
            equal(voters_of(cluster), [1, 2, 3], "voters of three")
            grow.run("naru partition move orders --replicas 3 --yes --wait")
            grow.run("naru config set topic orders min.insync.replicas=2")
            cluster.wait_isr("orders", 3)
            grow.restart([1, 2, 3])
            wait_until(lambda: cluster.topic("__consumer_offsets")["replicas"] == 3, "the groups' own topic to have three replicas")
            cluster.wait_isr("__consumer_offsets", 3)
            load.flow()
            grow.configure([1, 2, 3, 4, 5])
            grow.start([4, 5])
            grow.run("naru health --wait --min-brokers 5 --timeout 10m")
            grow.run("naru quorum add 4 5")
            equal(voters_of(cluster), [1, 2, 3, 4, 5], "voters of five")
            grow.run("naru partition balance --yes --wait")
            grow.run("naru quorum status")
            load.flow()
            # What it was for: any two may fail, the controller among them. Leaders move off them first, or not.
            first = cluster.wait_controller()
            cluster[first].kill()
            second = cluster.wait_controller(other_than=first)
            cluster[second].kill()
            wait_until(lambda: cluster.controller() not in (None, first, second), "a third controller", 60)
            for broker in (first, second):
                cluster[broker].start()
            cluster.wait_healthy()
            load.flow()
            clean(load.stop())
        equal(cluster.topic("orders")["replicas"], 3, "replicas in the end")
        cluster.naru("topic", "create", "later", "-p", 1)
        equal(cluster.topic("later")["replicas"], 3, "replicas of a topic that was made later")


def test_a_host_is_retired():
    with Section("Voters") as section, Cluster(3, observers=1) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "orders", "-p", 3)
        cluster.naru("produce", "orders", text_in="".join(f"line {n}\n" for n in range(100)))

        def run(line):
            section.next(line)
            return cluster.naru(*shlex.split(line)[1:], timeout=120)
        true("4 observer" in re.sub(" +", " ", run("naru quorum status")), "the fourth broker observes")
        run("naru broker drain 3 --yes")
        true(3 not in {r for p in cluster.topic("orders")["partition_list"] for r in p["replicas"]}, "broker 3 holds nothing")
        run("naru quorum remove 3 --yes")
        section.next("sudo systemctl stop naru")
        equal(cluster[3].terminate(), 0, "exit code of the host's broker")
        wait_until(lambda: {b["id"]: b["fenced"] for b in cluster.status()["brokers"]}.get(3) is True, "broker 3 to be down")
        run("naru broker remove 3 --yes")
        wait_until(lambda: sorted(b["id"] for b in cluster.status()["brokers"]) == [1, 2, 4], "broker 3 to be forgotten")
        cluster.naru("quorum", "add", 4)
        equal(voters_of(cluster), [1, 2, 4], "voters")
        equal(len(cluster.naru("consume", "orders", "-e").splitlines()), 100, "records consumed")
