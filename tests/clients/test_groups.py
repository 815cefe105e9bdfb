"""Members of a consumer group share the partitions; when one dies the others go on from what it had committed."""
import subprocess
import time

from naru_cluster import Cluster, wait_until
from programs import Program, no_warnings
from support import equal, true
from toolchains import HERE, debian_python, venv_python


# Where nobody is to be missed: a member that gets no processor for a while is no dead one.
LONG_SESSION = ["session.timeout.ms=240000"]


def assigned(member):
    """What it was assigned last."""
    line = next((line for line in reversed(member.lines) if line.startswith("assigned ")), "assigned ")
    return [int(p) for p in line.split(" ", 1)[1].split(",") if p]


def values(member, word="value"):
    return [line.split()[1] for line in member.lines if line.startswith(word + " ")]


def produce(cluster, first, last):
    for partition in range(4):
        numbers = "".join(f"{i}\n" for i in range(first, last) if i % 4 == partition)
        subprocess.run(["kcat", "-b", cluster.bootstrap, "-P", "-t", "numbers", "-p", str(partition)], input=numbers, text=True,
                       check=True, timeout=60)


def shared(members):
    """All four partitions are assigned, each once, and nobody idles."""
    parts = [assigned(m) for m in members]
    return sorted(p for part in parts for p in part) == [0, 1, 2, 3] and all(parts)


def takeover(interpreter, *settings):
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "numbers", "-p", 4, "-r", 3)
        command = [interpreter, HERE / "python" / "group_member.py", cluster.bootstrap, "numbers", "readers", *settings]
        with Program(command) as one, Program(command) as two:
            wait_until(lambda: shared([one, two]), "two members that share four partitions")
            produce(cluster, 0, 400)
            wait_until(lambda: len(values(one, "committed")) + len(values(two, "committed")) >= 400, "400 numbers committed")
            true(values(one) and values(two), "both read something")
            one.kill()
            began = time.monotonic()
            produce(cluster, 400, 800)
            wait_until(lambda: shared([two]), "the other to take over")
            print(f"    taken over after {time.monotonic() - began:.1f} s with a session timeout of 6 s", flush=True)  # a figure to look at
            wait_until(lambda: len(set(values(one)) | set(values(two))) == 800, "all 800 numbers")
            two.process.terminate()
            two.finish()
        # What the dead one had committed is not read again; what it had read without committing is at most one message.
        again = set(values(one, "committed")) & set(values(two))
        equal(again, set(), "read again although committed")
        equal(len(values(two)), len(set(values(two))), "numbers that the survivor read, each once")
        no_warnings(cluster)


def test_takeover_newest():
    takeover(venv_python())


def test_takeover_cooperative():
    takeover(venv_python(), "partition.assignment.strategy=cooperative-sticky")


def test_takeover_of_debian():
    takeover(debian_python("confluent_kafka"))


def test_a_leaving_member_is_replaced_at_once():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "numbers", "-p", 4, "-r", 3)
        command = [venv_python(), HERE / "python" / "group_member.py", cluster.bootstrap, "numbers", "readers", *LONG_SESSION]
        with Program(command) as one, Program(command) as two:
            wait_until(lambda: shared([one, two]), "two members that share four partitions")
            one.process.terminate()
            one.finish()
            wait_until(lambda: shared([two]), "the other to take over, long before the session of the one that left would have ended")
        no_warnings(cluster)


def test_the_coordinator_is_killed():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "numbers", "-p", 4, "-r", 3)
        command = [venv_python(), HERE / "python" / "group_member.py", cluster.bootstrap, "numbers", "readers", *LONG_SESSION]
        with Program(command) as one, Program(command) as two:
            wait_until(lambda: shared([one, two]), "two members that share four partitions")
            produce(cluster, 0, 100)
            wait_until(lambda: len(values(one, "committed")) + len(values(two, "committed")) >= 100, "100 numbers committed")
            coordinator = cluster.json("group", "describe", "readers")[0]["coordinator"]
            cluster[coordinator].kill()
            produce(cluster, 100, 200)
            wait_until(lambda: len(set(values(one)) | set(values(two))) == 200, "all 200 numbers")
            cluster[coordinator].start()
            cluster.wait_healthy()
            produce(cluster, 200, 300)
            wait_until(lambda: len(set(values(one)) | set(values(two))) == 300, "all 300 numbers")
        equal(len(values(one)) + len(values(two)), 300, "each number was read once")
