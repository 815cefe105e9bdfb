"""Partitions move to other brokers under load, while brokers die; nothing may be lost, and what moved must be gone."""
import time

from naru_cluster import Cluster, Workload, wait_until
from support import clean, equal, smoke, true


def moved(cluster, topic, timeout=90.0):
    """Waits until nothing is moved any more; returns where the replicas are."""
    wait_until(lambda: cluster.json("partition", "moves") == [], f"the end of all moves of {topic}", timeout)
    return [sorted(p["replicas"]) for p in cluster.topic(topic)["partition_list"]]


def folders(cluster, topic):
    """The brokers that have a folder of the topic."""
    return sorted(b.id for b in cluster.brokers if list(b.data.glob(f"{topic}-[0-9]*")) and
                  any(f.name.startswith(topic + "-") and not f.name.endswith("-delete") for f in b.data.glob(f"{topic}-*")))


@smoke
def test_move_under_load_with_a_kill_in_the_middle():
    with Cluster(3, observers=2) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "load", "--assign", "1:2:3,2:3:1,3:1:2")
        cluster.wait_isr("load")
        with Workload(cluster, "load", group="readers") as load:
            load.flow()
            plan = cluster.json("partition", "move", "load", "--to", "3,4,5", "--dry-run")
            equal(len(plan["moves"]), 3, "partitions that would move")
            true(plan["bytes"] > 0, f"bytes of the plan: {plan}")
            cluster.naru("partition", "move", "load", "--to", "3,4,5", "--yes")
            victim = cluster.leader("load")
            cluster[victim].kill()
            cluster.wait_leader("load", other_than=victim)
            load.flow()
            cluster[victim].start()
            equal(moved(cluster, "load"), [[3, 4, 5]] * 3, "replicas after the move")
            cluster.wait_isr("load")
            load.flow()
            # And back, while a broker that shall receive is away for a while.
            cluster[1].kill()
            cluster.naru("partition", "move", "load", "--to", "1,2,3", "--yes")
            load.flow()
            true(cluster.json("partition", "moves") != [], "a move to a dead broker is not done")
            cluster[1].start()
            equal(moved(cluster, "load"), [[1, 2, 3]] * 3, "replicas after the way back")
            load.flow()
            clean(load.stop())
        wait_until(lambda: folders(cluster, "load") == [1, 2, 3], "the copies of brokers 4 and 5 to be deleted")


def test_a_plan_counts_from_where_partitions_are_going():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "--assign", "1:2")
        cluster.wait_isr("t")
        cluster[3].kill()
        cluster.wait_fenced(3)
        cluster.naru("partition", "move", "t", "--to", "1,3", "--yes")
        going = cluster.json("partition", "moves")[0]
        equal((going["adding"], going["removing"]), ([3], [2]), "under way, until the broker is there")
        plan = cluster.json("partition", "move", "t", "--off", 3, "--dry-run")
        equal([(sorted(m["from"]), sorted(m["to"])) for m in plan["moves"]], [([1, 3], [1, 2])], "a plan meanwhile: two copies, not three")
        same = cluster.json("partition", "move", "t", "--to", "1,3", "--dry-run")
        equal(same["moves"], [], "what is under way is not planned again")
        true("under way" in cluster.naru("partition", "move", "t", "--to", "1,3", "--yes"), "nor is it said to be done")
        cluster.naru("broker", "drain", 2, "--leaders", "--yes")  # does not wait for what broker 3 is to get
        true(cluster.json("partition", "moves") != [], "still under way")


def test_turn_back_and_more_and_fewer_replicas():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "--assign", "1,2")
        for i in range(3):
            cluster.naru("produce", "t", text_in=f"{i}\n" * 10)
        before = cluster.naru("consume", "t", "-e", "--from", "start").split()
        cluster.naru("partition", "move", "t", "--replicas", 3, "--yes", "--wait")
        equal([sorted(p["replicas"]) for p in cluster.topic("t")["partition_list"]], [[1, 2, 3]] * 2, "three replicas each")
        cluster.wait_isr("t")
        cluster[3].kill()
        cluster.wait_fenced(3)  # until then it is in sync for all that is known, and what moves to it is there already
        cluster.naru("partition", "move", "t", "--replicas", 1, "--to", 3, "--yes")
        ongoing = cluster.json("partition", "moves")
        equal([sorted(o["removing"]) for o in ongoing], [[1, 2]] * 2, "what is to go, while broker 3 is down")
        cluster.naru("partition", "moves", "--cancel")
        equal(cluster.json("partition", "moves"), [], "moves after turning back")
        cluster.naru("partition", "move", "t", "--replicas", 1, "--off", 3, "--yes", "--wait")
        equal([len(p["replicas"]) for p in cluster.topic("t")["partition_list"]], [1, 1], "one replica each")
        equal(sorted(cluster.naru("consume", "t", "-e", "--from", "start").split()), sorted(before), "records")
        unasked = cluster.run("partition", "move", "t", "--replicas", 2)
        equal(unasked.returncode, 2, "exit code without --yes")
        impossible = cluster.run("partition", "move", "t", "--replicas", 4, "--yes")
        equal(impossible.returncode, 2, "exit code of four replicas on two brokers")


def test_internal_topics_grow_with_the_cluster():
    """One voter and two brokers that come later: committed offsets get three copies by themselves."""
    with Cluster(1, observers=2, settings={"offsets.topic.num.partitions": 3}) as cluster:
        cluster[1].start()
        cluster.wait_healthy(brokers=1)
        cluster.naru("topic", "create", "t", "-p", 1)
        cluster.naru("produce", "t", text_in="a\nb\nc\n", bootstrap=cluster[1].address)
        cluster.naru("consume", "t", "-g", "g", "-n", 2, bootstrap=cluster[1].address)
        equal(len(cluster.topic("__consumer_offsets")["partition_list"][0]["replicas"]), 1, "replicas with one broker")
        cluster[2].start()
        cluster[3].start()

        def grown():
            partitions = cluster.topic("__consumer_offsets")["partition_list"]
            return all(len(p["replicas"]) == 3 and len(p["isr"]) == 3 for p in partitions)
        wait_until(grown, "three copies of __consumer_offsets", 60.0)

        def min_isr():
            return {c["name"]: c["value"] for c in cluster.topic("__consumer_offsets")["configs"]}["min.insync.replicas"]
        wait_until(lambda: min_isr() == "2", "two of the three copies to be demanded")
        group = cluster.json("group", "describe", "g")[0]
        equal([o["committed"] for o in group["offsets"]], [2], "what was committed before")
        # The clients' topics stay as they were.
        equal(len(cluster.topic("t")["partition_list"][0]["replicas"]), 1, "replicas of t")


def test_a_followers_throttle_bounds_what_all_leaders_send_it():
    """As above: however fast the machine, the rate is for both leaders together, and what each sends before it has to wait is known."""
    line, size, rate = "x" * 1023 + "\n", 4 << 20, 1 << 20
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("config", "set", "broker", 3, f"follower.replication.throttled.rate={rate}")
        for leader, topic in ((1, "t"), (2, "u")):
            cluster.naru("topic", "create", topic, "--assign", leader)
            cluster.naru("produce", topic, text_in=line * (size // len(line)))
            cluster.naru("config", "set", "topic", topic, "follower.replication.throttled.replicas=0:3")
        begun = time.monotonic()
        for topic in ("t", "u"):
            cluster.naru("partition", "move", topic, "--to", 3, "--yes")
        for topic in ("t", "u"):
            wait_until(lambda name=topic: cluster.topic(name)["partition_list"][0]["replicas"] == [3], f"{topic} to be on broker 3", timeout=120)
        took = time.monotonic() - begun
        # Each leader's first MiB is paid for after it was sent, and once more where the other begins or ends.
        true(took >= 0.75 * (2 * size - (4 << 20)) / rate, f"{2 * size} bytes of two leaders at {rate} a second took only {took:.2f} s")


def test_a_throttle_bounds_what_is_moved_and_goes_when_all_is_done():
    """The time has a lower bound only: however fast the machine, bytes over rate is the least that a move may take."""
    line, size = "x" * 1023 + "\n", 6 << 20
    rate = 2 << 20

    def settings(kind, name):
        return {c["name"]: c["value"] for c in cluster.json("config", "get", kind, name) if "throttled" in c["name"]}

    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "--assign", "1")
        cluster.naru("produce", "t", text_in=line * (size // len(line)))
        true(cluster.json("partition", "move", "t", "--to", 2, "--dry-run")["bytes"] >= size, "bytes of the plan")
        begun = time.monotonic()
        cluster.naru("partition", "move", "t", "--to", 2, "--throttle", "2MiB", "--yes", "--wait", timeout=120)
        took = time.monotonic() - begun
        true(took >= 0.75 * size / rate, f"{size} bytes at {rate} a second took only {took:.2f} s")
        equal(cluster.topic("t")["partition_list"][0]["replicas"], [2], "replicas after the move")
        for kind, name in [("topic", "t"), ("broker", 1), ("broker", 2)]:
            equal(settings(kind, name), {}, f"throttle of {kind} {name} after the move")

        # One that would take hours goes on at another rate, and is taken away by whoever sees the end of it.
        cluster.naru("partition", "move", "t", "--to", 3, "--throttle", 100, "--yes")
        equal(settings("topic", "t"), {"leader.replication.throttled.replicas": "0:2,0:3"}, "whom the throttle is for")
        equal(settings("broker", 2), {"leader.replication.throttled.rate": "100"}, "the rate of the leader")
        true(cluster.json("partition", "moves") != [], "a move at a hundred bytes a second is not done")
        cluster.naru("partition", "moves", "--throttle", "1GiB", "--wait", timeout=120)
        equal(cluster.topic("t")["partition_list"][0]["replicas"], [3], "replicas after the second move")
        for kind, name in [("topic", "t"), ("broker", 2), ("broker", 3)]:
            equal(settings(kind, name), {}, f"throttle of {kind} {name} after the second move")

        # What is left of moves that were refused, or ended with nobody there, goes with them, too.
        cluster.naru("config", "set", "broker", 3, "leader.replication.throttled.rate=100")
        cluster.naru("partition", "moves", "--cancel", "--keep-throttle")
        equal(settings("broker", 3), {"leader.replication.throttled.rate": "100"}, "what was to be kept")
        # Kafka's own tool throttles followers, too.
        cluster.naru("config", "set", "broker", 3, "follower.replication.throttled.rate=100")
        cluster.naru("config", "set", "topic", "t", "leader.replication.throttled.replicas=0:3", "follower.replication.throttled.replicas=0:3")
        cluster.naru("partition", "moves", "--cancel")
        equal(settings("broker", 3), {}, "throttle of broker 3 when there was nothing to turn back")
        equal(settings("topic", "t"), {}, "throttle of t when there was nothing to turn back")

        # What an operator throttles as a whole stays so, with the rates that it is throttled by.
        for_good, rate_of_3 = {"leader.replication.throttled.replicas": "*"}, {"leader.replication.throttled.rate": "1048576"}
        cluster.naru("config", "set", "topic", "t", "leader.replication.throttled.replicas=*")
        cluster.naru("config", "set", "broker", 3, "leader.replication.throttled.rate=1048576")
        tried = cluster.run("partition", "move", "t", "--to", 2, "--throttle", "2MiB", "--yes")
        equal(tried.returncode, 1, "exit code of a move that would set rates which are an operator's")
        true("throttled as a whole" in tried.stderr and "naru config unset topic t" in tried.stderr, tried.stderr)
        equal(cluster.topic("t")["partition_list"][0]["replicas"], [3], "replicas after a move that was refused")
        for how in ("--cancel", "--wait"):
            cluster.naru("partition", "moves", how, timeout=120)
            equal(settings("topic", "t"), for_good, f"what is throttled for good, after {how}")
            equal(settings("broker", 3), rate_of_3, f"the rate that it is throttled by, after {how}")
