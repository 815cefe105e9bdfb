"""A topic that was deleted comes back as it was, or not at all: never in the place of another one of its name (R42)."""
import json

from naru_cluster import Cluster, wait_until
from support import equal, smoke, true


def records(cluster, topic):
    return cluster.naru("consume", topic, "-e", "--from", "start").split()


def deleted(cluster):
    return [t["name"] for t in cluster.json("topic", "list", "--deleted")]


def committed(cluster, group):
    """Of a group that is gone with its last offset: nothing."""
    shown = cluster.run("group", "describe", group, "-o", "json")
    return [(o["topic"], o["committed"]) for o in json.loads(shown.stdout)[0]["offsets"]] if shown.returncode == 0 else []


def folders(cluster, topic):
    """The brokers that have a folder of the topic under its own name."""
    return sorted(b.id for b in cluster.brokers if list(b.data.glob(f"{topic}-[0-9]")))


@smoke
def test_a_deleted_topic_is_restored_with_records_settings_and_offsets():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 1, "-c", "retention.ms=86400000")
        cluster.wait_isr("t")
        before = cluster.topic("t")
        cluster.naru("produce", "t", text_in="a\nb\nc\n")
        cluster.naru("consume", "t", "-g", "g", "--from", "start", "-n", 2)
        wait_until(lambda: committed(cluster, "g") == [("t", 2)], "what the group read to be committed")

        said = cluster.run("topic", "delete", "t", "--yes")
        equal((said.returncode, said.stdout), (0, "deleted t\n"), "deletion")
        true("naru topic restore t" in said.stderr, f"the way back is said: {said.stderr}")
        equal([t["name"] for t in cluster.json("topic", "list")], [], "topics after the deletion")
        equal(deleted(cluster), ["t"], "what can be restored")
        equal(cluster.run("topic", "describe", "t").returncode, 1, "exit code of describing it")
        gone = cluster.run("produce", "t", "--timeout", "2s", text_in="late\n")
        true(gone.returncode != 0, "a producer does not make another one of its name")
        equal(deleted(cluster), ["t"], "what can be restored after that")
        # Its replicas go on meanwhile: a leader dies, and a broker that starts anew takes it up again.
        victim = before["partition_list"][0]["leader"]
        cluster[victim].kill()
        cluster.wait_fenced(victim)
        cluster[victim].start()
        cluster.wait_healthy()
        equal(deleted(cluster), ["t"], "what can be restored after a death")

        equal(cluster.naru("topic", "restore", "t", "--dry-run"), "would restore t\n", "what would be done")
        equal(deleted(cluster), ["t"], "nothing was done yet")
        equal(cluster.naru("topic", "restore", "t"), "restored t\n", "restoring")
        after = cluster.topic("t")
        equal(after["id"], before["id"], "the topic's id")
        equal({c["name"]: c["value"] for c in after["configs"]}["retention.ms"], "86400000", "its setting")
        cluster.wait_isr("t")
        equal(records(cluster, "t"), ["a", "b", "c"], "its records")
        equal(committed(cluster, "g"), [("t", 2)], "what the group had committed")
        cluster.naru("produce", "t", text_in="d\n")
        equal(records(cluster, "t"), ["a", "b", "c", "d"], "records after a further one")
        equal(deleted(cluster), [], "what can be restored now")


def test_another_topic_of_its_name_ends_a_deleted_one_for_good():
    with Cluster(1) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 1)
        old = cluster.topic("t")["id"]
        cluster.naru("produce", "t", text_in="old 1\nold 2\n")
        cluster.naru("consume", "t", "-g", "g", "--from", "start", "-n", 2)
        wait_until(lambda: committed(cluster, "g") == [("t", 2)], "what the group read to be committed")
        cluster.naru("topic", "delete", "t", "--yes")
        cluster.naru("topic", "create", "t", "-p", 1)
        true(cluster.topic("t")["id"] != old, "it is another one")
        equal(deleted(cluster), [], "what can be restored")
        equal(records(cluster, "t"), [], "records of the new one")
        wait_until(lambda: ("t", 2) not in committed(cluster, "g"), "what was committed of the old one to be forgotten")
        cluster.naru("produce", "t", text_in="new\n")
        refused = cluster.run("topic", "restore", "t")
        equal(refused.returncode, 1, "exit code of restoring what is gone")
        true("naru topic list --deleted" in refused.stderr, refused.stderr)
        cluster[1].kill()
        cluster[1].start()
        cluster.wait_healthy()
        equal(records(cluster, "t"), ["new"], "records after a restart")


def test_a_deletion_for_good_frees_what_it_takes_and_a_kept_one_ends():
    with Cluster(1) as cluster:
        cluster.start()
        for topic in ("a", "b", "c"):
            cluster.naru("topic", "create", topic, "-p", 1)
            cluster.naru("produce", topic, text_in="x\n")
        cluster.naru("topic", "delete", "a", "--keep", "0", "--yes")
        equal(deleted(cluster), [], "what can be restored of a deletion for good")
        wait_until(lambda: folders(cluster, "a") == [], "its folder to go")
        cluster.naru("topic", "delete", "b", "--keep", "1s", "--yes")
        cluster.naru("topic", "delete", "c", "--yes")
        wait_until(lambda: folders(cluster, "b") == [], "the folder of one that was kept for a second to go")
        equal((deleted(cluster), folders(cluster, "c")), (["c"], [1]), "one that is kept for an hour")
        some = cluster.run("topic", "restore", "c", "b")
        equal((some.returncode, some.stdout), (4, "restored c\n"), "restoring two of which one is gone")
        # And what is kept goes at once when that is wanted.
        cluster.naru("topic", "delete", "c", "--yes")
        cluster.naru("topic", "delete", "c", "--keep", "0", "--yes")
        equal(deleted(cluster), [], "what can be restored at the end")
        wait_until(lambda: folders(cluster, "c") == [], "its folder to go")


def test_a_drain_says_what_it_leaves():
    with Cluster(1, observers=1) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "--assign", "2")
        said = cluster.run("broker", "drain", 2, "--dry-run")
        true("--keep 0" not in said.stderr, f"nothing is deleted yet: {said.stderr}")
        cluster.naru("topic", "delete", "t", "--yes")
        said = cluster.run("broker", "drain", 2, "--yes")
        equal(said.returncode, 0, f"exit code: {said.stderr}")
        true("`naru topic delete NAME --keep 0`" in said.stderr, f"what stays is said: {said.stderr}")
