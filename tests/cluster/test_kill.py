"""Brokers are killed, paused and stopped under load; clients must not lose, repeat or reorder anything."""
import contextlib
import json
import random
import shutil
import signal

from naru_cluster import Cluster, Workload, wait_until
from support import clean, equal, smoke, true


def prepared(cluster, partitions=3):
    cluster.start()
    cluster.naru("topic", "create", "load", "-p", partitions, "-r", 3)
    cluster.wait_isr("load")


@contextlib.contextmanager
def under_load(partitions=3):
    """Three brokers with the topic, and clients at work on it, whose first records are acknowledged."""
    with Cluster(3) as cluster:
        prepared(cluster, partitions)
        with Workload(cluster, "load") as load:
            load.flow()
            yield cluster, load


def voting_directories(cluster):
    return {v["id"]: v["directory_id"] for v in cluster.json("quorum", "status")["voters"]}


@smoke
def test_kill_the_leader():
    with under_load() as (cluster, load):
        victim = cluster.leader("load")
        cluster[victim].kill()
        cluster.wait_leader("load", other_than=victim)
        load.flow()
        cluster[victim].start()
        cluster.wait_isr("load")
        load.flow()
        clean(load.stop())


def test_leaders_come_home_by_themselves():
    """A broker that was killed leads again what it is preferred for, once it has caught up; nobody asks for that."""
    with Cluster(3) as cluster:
        prepared(cluster)
        def preferred():
            return all(p["leader"] == p["replicas"][0] for p in cluster.topic("load")["partition_list"])
        wait_until(preferred, "leaders to be the preferred ones")
        with Workload(cluster, "load") as load:
            load.flow()
            victim = cluster.leader("load")
            cluster[victim].kill()
            cluster.wait_leader("load", other_than=victim)
            load.flow()
            away = cluster.partition("load")["leader_epoch"]
            cluster[victim].start()
            # The restarted broker may tell for a moment what it knew when it died: it led then, in an older epoch.
            wait_until(lambda: preferred() and cluster.partition("load")["leader_epoch"] > away, "leaders to come home")
            cluster.wait_isr("load")
            load.flow()
            equal(cluster.leader("load"), victim, "the leader of partition 0")
            # What was acknowledged before, during and after the hand-over is there, once and in order; nobody gave up on a record.
            clean(load.stop())


def test_kill_a_follower():
    with under_load(partitions=1) as (cluster, load):
        partition = cluster.partition("load")
        follower = next(r for r in partition["replicas"] if r != partition["leader"])
        cluster[follower].kill()
        load.flow()
        cluster.wait_isr("load", size=2)
        equal(cluster.leader("load"), partition["leader"], "the leader stays")
        cluster[follower].start()
        cluster.wait_isr("load")
        clean(load.stop())


def test_kill_the_controller():
    with under_load() as (cluster, load):
        victim = cluster.wait_controller()
        cluster[victim].kill()
        cluster.wait_controller(other_than=victim)
        load.flow()
        cluster.naru("topic", "create", "made-after-failover", "-p", 1, "-r", 2)
        cluster[victim].start()
        cluster.wait_healthy()
        load.flow()
        clean(load.stop())


def test_kill_two_of_three_then_return():
    with under_load() as (cluster, load):
        victims = random.sample([1, 2, 3], 2)
        for victim in victims:
            cluster[victim].kill()
        # Nothing may be acknowledged now; the producer waits and tries again.
        load.follow(lambda p: p["silent_ms"] > 500, "acknowledgements to stop")
        for victim in victims:
            cluster[victim].start()
        cluster.wait_healthy()
        load.flow()
        clean(load.stop())


def test_kill_all_at_once_and_restart_in_any_order():
    with under_load() as (cluster, load):
        load.flow(records=500)
        for broker in cluster.brokers:
            broker.kill()
        order = random.sample(cluster.brokers, 3)
        for broker in order:
            broker.start()
        cluster.wait_healthy()
        cluster.wait_isr("load")
        load.flow()
        clean(load.stop())


def test_controlled_shutdown_of_each_in_turn():
    with under_load() as (cluster, load):
        for broker in cluster.brokers:
            equal(broker.terminate(), 0, f"exit code of broker {broker.id}")
            load.flow()
            broker.start()
            cluster.wait_healthy()
            cluster.wait_isr("load")
            load.flow()
        clean(load.stop())


def test_pause_the_leader_past_its_session():
    with under_load() as (cluster, load):
        leader = cluster.leader("load")
        cluster[leader].pause()
        survivors = ",".join(b.address for b in cluster.brokers if b.id != leader)

        def moved():
            done = cluster.run("topic", "describe", "load", "-o", "json", bootstrap=survivors)
            if done.returncode != 0:
                return None
            now = json.loads(done.stdout)[0]["partition_list"][0]["leader"]
            return now if now not in (None, leader) else None

        wait_until(moved, "another leader while the old one is paused")
        cluster[leader].resume()
        cluster.wait_isr("load")
        load.flow()
        clean(load.stop())


def test_crash_loop_of_one_broker():
    with under_load() as (cluster, load):
        for _ in range(5):
            cluster[2].kill()
            cluster[2].start()
            load.flow()
        cluster.wait_healthy()
        cluster.wait_isr("load")
        load.flow()
        clean(load.stop())


def test_acks_all_is_refused_below_min_insync_replicas():
    with Cluster(3) as cluster:
        prepared(cluster, partitions=1)
        cluster.naru("produce", "load", text_in="before\n")
        leader = cluster.leader("load")
        # One broker does not have its own idea of it: the controller would take others to hold what they do not.
        own = cluster.run("config", "set", "broker", leader, "min.insync.replicas=1")
        true(own.returncode == 1 and "INVALID_REQUEST" in own.stderr, f"exit code {own.returncode}: {own.stderr}")
        for broker in cluster.brokers:
            if broker.id != leader:
                broker.kill()
        done = cluster.run("produce", "load", "--timeout", "3s", text_in="refused\n", bootstrap=cluster[leader].address)
        true(done.returncode in (1, 3), f"exit code {done.returncode}: {done.stderr}")
        # What was committed can still be read, once it is certain that the others are dead and have not replaced it (R33).
        def readable():
            read = cluster.run("consume", "load", "-e", bootstrap=cluster[leader].address)
            true("refused" not in read.stdout, "what was not committed is read")
            return read.returncode == 0 and read.stdout == "before\n"
        wait_until(readable, "what was committed to be read")


def test_a_wiped_disk_returns_as_a_new_replica():
    with Cluster(3) as cluster:
        prepared(cluster, partitions=1)
        cluster.naru("produce", "load", text_in="".join(f"{i}\n" for i in range(200)))
        victim = cluster.leader("load")
        was = voting_directories(cluster)[victim]
        cluster[victim].kill()
        cluster.wait_leader("load", other_than=victim)
        cluster[victim].wipe()
        cluster[victim].start()
        # Its directory is another one: it does not vote as its former self (test_quorum), comes back empty and copies everything.
        cluster.wait_healthy()
        cluster.wait_isr("load")
        wait_until(lambda: voting_directories(cluster).get(victim, was) != was, f"broker {victim} to vote from its new disk")
        # Of the copies that were there before, the one that leads goes; what is left holds the new one.
        leader = cluster.leader("load")
        cluster[leader].kill()
        cluster.wait_leader("load", other_than=leader)
        left = ",".join(b.address for b in cluster.brokers if b.running)
        equal(sorted(map(int, cluster.naru("consume", "load", "-e", bootstrap=left).split())), list(range(200)), "records after a disk was wiped")


def test_a_partition_whose_directory_is_gone_is_missed():
    """R44: the others must not take the empty copy that its broker makes for the one that it had."""
    with Cluster(3) as cluster:
        cluster.settings["replica.high.watermark.checkpoint.interval.ms"] = 200
        prepared(cluster, partitions=1)
        cluster.naru("produce", "load", text_in="".join(f"{i}\n" for i in range(200)))
        victim = cluster.leader("load")
        checkpoint = cluster[victim].data / "replication-offset-checkpoint"
        wait_until(lambda: checkpoint.exists() and "load 0 200" in checkpoint.read_text(), "the records to be checkpointed")
        cluster[victim].kill()
        cluster.wait_leader("load", other_than=victim)
        shutil.rmtree(cluster[victim].data / "load-0")
        cluster[victim].start()
        cluster.wait_isr("load")
        # A log is written by a thread of its own, somewhat later.
        wait_until(lambda: "load-0 had records here" in cluster[victim].log(), "its own log to say so")

        def said():
            return [line for b in cluster.brokers for line in b.log().splitlines() if f"broker {victim} registered" in line]
        wait_until(lambda: any("after an unclean stop" in line for line in said()), "the controller to say so")
        equal(len(cluster.naru("consume", "load", "-e").splitlines()), 200, "records")


def test_brokers_that_are_told_to_end_together_end_in_order():
    with Cluster(3) as cluster:
        prepared(cluster)
        for _ in range(3):
            cluster.naru("produce", "load", text_in="something\n")
            for broker in cluster.brokers:
                broker.signal(signal.SIGTERM)
            equal([broker.wait_exit() for broker in cluster.brokers], [0, 0, 0], "exit codes")
            equal([(broker.data / ".kafka_cleanshutdown").exists() for broker in cluster.brokers], [True] * 3, "clean ends")
            cluster.start()
        equal(len(cluster.naru("consume", "load", "-e").splitlines()), 3, "records")


def test_a_broker_without_its_quorum_does_not_say_healthy():
    """It goes on telling what it last knew; a monitor that asks it must not believe that."""
    with Cluster(3) as cluster:
        cluster.start()
        equal(cluster.run("health", bootstrap=cluster[1].address).returncode, 0, "health of the whole cluster")
        cluster[2].kill()
        cluster[3].kill()

        def said():
            done = cluster.run("health", "--timeout", "1s", bootstrap=cluster[1].address)
            return done if done.returncode == 10 and "no controller" in done.stdout else None
        wait_until(said, "health to say that there is no controller")
        wait_until(lambda: cluster.run("status", "--timeout", "1s", bootstrap=cluster[1].address).returncode == 10, "status to say so, too")
        cluster[2].start()
        cluster[3].start()
        cluster.wait_healthy()
