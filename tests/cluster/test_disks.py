"""Several data directories, directories that vanish, disks that are full, limits of the process (R76, R81, R83, R111)."""
import contextlib
import errno
import os
import pathlib
import resource
import shutil
import socket
import subprocess

from naru_cluster import Cluster, Skipped, Workload, wait_until
from support import clean, equal, true


def two_directories(cluster, node_id):
    """Gives a broker a second data directory; the metadata log stays in the first."""
    first, second = cluster[node_id].dir / "data", cluster[node_id].dir / "data2"
    cluster[node_id].settings["log.dirs"] = f"{first},{second}"
    return first, second


def start_with_eight(cluster):
    """Eight partitions, each on all three brokers, and led by the one with two directories."""
    cluster.start()
    cluster.naru("topic", "create", "load", "--assign", ",".join(["1:2:3"] * 8))
    cluster.wait_isr("load")


def is_told_as_failed(cluster, directory):
    wait_until(lambda: f"{directory} has failed" in cluster[1].log(), "the log to name the directory")
    equal(next(b for b in cluster.status()["brokers"] if b["id"] == 1)["offline_dirs"], [str(directory)], "what status says")


def replicas_in(directory, topic="load"):
    return sorted(int(p.name.rsplit("-", 1)[1]) for p in directory.glob(f"{topic}-*") if p.name[len(topic) + 1:].isdigit())


def test_partitions_are_spread_over_several_directories():
    with Cluster(1) as cluster:
        first, second = two_directories(cluster, 1)
        cluster.start()
        cluster.naru("topic", "create", "load", "-p", 8)
        cluster.naru("produce", "load", text_in="".join(f"{i}\n" for i in range(200)))
        # What is sent waits for the directory of its partition, and not for those of the others.
        wait_until(lambda: sorted(replicas_in(first) + replicas_in(second)) == list(range(8)), "all partitions on disk")
        there = [replicas_in(first), replicas_in(second)]
        true(there[0] and there[1], f"both directories are used: {there}")
        identities = [(d / "meta.properties").read_text() for d in (first, second)]
        true(identities[0] != identities[1], "each directory has an identity of its own")
        equal(cluster[1].terminate(), 0, "exit code")
        cluster[1].start()
        cluster.wait_healthy()
        equal(len(cluster.naru("consume", "load", "-e").splitlines()), 200, "records after a restart")
        equal([replicas_in(first), replicas_in(second)], there, "nothing has moved")


def test_a_directory_that_vanishes_takes_only_its_own_replicas_along():
    with Cluster(3) as cluster:
        first, second = two_directories(cluster, 1)
        cluster.settings["replica.high.watermark.checkpoint.interval.ms"] = 200
        start_with_eight(cluster)
        with Workload(cluster, "load") as load:
            load.flow()
            lost, kept = replicas_in(second), replicas_in(first)
            true(lost and kept, f"both directories are used: {lost} {kept}")
            second.rename(second.with_name("gone"))

            def handed_over():
                partitions = {p["partition"]: p for p in cluster.topic("load")["partition_list"]}
                return all(partitions[i]["leader"] != 1 and 1 not in partitions[i]["isr"] for i in lost) and \
                    all(partitions[i]["leader"] == 1 and 1 in partitions[i]["isr"] for i in kept)
            wait_until(handed_over, f"others lead {lost}, broker 1 still leads {kept}")
            load.flow()
            is_told_as_failed(cluster, second)
            # An empty directory in its place: what it held comes from the others, and nobody takes it for what it was.
            cluster[1].terminate()
            cluster[1].start()
            cluster.wait_isr("load")
            load.flow()
            clean(load.stop())
        equal(sorted(replicas_in(first) + replicas_in(second)), list(range(8)), "partitions on disk")


def test_a_directory_that_cannot_be_read_at_start_takes_only_its_own_replicas_along():
    with Cluster(3) as cluster:
        first, second = two_directories(cluster, 1)
        start_with_eight(cluster)
        with Workload(cluster, "load") as load:
            load.flow()
            lost, kept = replicas_in(second), replicas_in(first)
            true(lost and kept, f"both directories are used: {lost} {kept}")
            cluster[1].kill()
            segment = next((second / f"load-{lost[0]}").glob("*.log"))
            saved = segment.rename(second / "saved")
            segment.symlink_to(segment.name)  # whoever opens it goes round in circles
            cluster[1].start()

            def back_with_the_rest():
                partitions = {p["partition"]: p for p in cluster.topic("load")["partition_list"]}
                return all(1 in partitions[i]["isr"] for i in kept) and not any(1 in partitions[i]["isr"] for i in lost)
            wait_until(back_with_the_rest, f"broker 1 in the ISRs of {kept}, and not of {lost}")
            load.flow()
            is_told_as_failed(cluster, second)
            cluster[1].terminate()
            segment.unlink()
            saved.rename(segment)
            cluster[1].start()
            cluster.wait_isr("load")
            load.flow()
            clean(load.stop())


def test_a_directory_taken_out_of_log_dirs_is_missed():
    with Cluster(3) as cluster:
        first, second = two_directories(cluster, 1)
        start_with_eight(cluster)
        with Workload(cluster, "load") as load:
            load.flow()
            true(replicas_in(second), "something lies in the second directory")
            # In good order, so that only the missing directory can tell.
            equal(cluster[1].terminate(), 0, "exit code")
            cluster[1].settings["log.dirs"] = str(first)
            cluster[1].start()
            cluster.wait_isr("load")
            load.flow()
            clean(load.stop())
        equal(replicas_in(first), list(range(8)), "all partitions are in the directory that is left")
        # There again: what it had is older than what was copied meanwhile, and nobody has to move it away.
        cluster[1].terminate()
        cluster[1].settings["log.dirs"] = f"{first},{second}"
        cluster[1].start()
        cluster.wait_isr("load")
        true("lies in two of log.dirs" in cluster[1].log(), cluster[1].log())
        wait_until(lambda: not replicas_in(second), "the older copies to be set aside")
        equal(sorted(replicas_in(first)), list(range(8)), "partitions in the first directory")


def test_what_only_an_unmounted_disk_holds_is_waited_for():
    """R46: copies are begun in its place, but not taken for it, though the broker was restarted before it had made them."""
    with Cluster(3) as cluster:
        first, second = two_directories(cluster, 1)
        cluster.start()
        cluster.naru("topic", "create", "load", "--assign", ",".join(["1"] * 8))
        cluster.naru("produce", "load", text_in="".join(f"{i}\n" for i in range(200)))
        wait_until(lambda: sorted(replicas_in(first) + replicas_in(second)) == list(range(8)), "all partitions on disk")
        away = replicas_in(second)
        true(away and replicas_in(first), f"both directories are used: {away} {replicas_in(first)}")
        cluster[1].kill()
        unmounted = second.with_name("unmounted")
        second.rename(unmounted)
        cluster[1].start()
        wait_until(lambda: (second / "meta.properties").exists(), "an identity of the directory that is new")
        cluster[1].kill()
        cluster[1].start()

        def stand_ins():
            return [i for i in away for d in (first, second) if (d / f"load-{i}" / "never-in-sync").exists()]
        wait_until(lambda: stand_ins() == away, "copies that say that they are not what was there")
        wait_until(lambda: "what broker 1 held was not there" in cluster.run("why", "produce", "load").stdout, "why to say so")
        cluster[1].terminate()
        shutil.rmtree(second)
        unmounted.rename(second)
        cluster[1].start()
        wait_until(lambda: cluster.run("why", "produce", "load").returncode == 0, "all partitions to be led")
        equal(sorted(map(int, cluster.naru("consume", "load", "-e").split())), list(range(200)), "records")


@contextlib.contextmanager
def small_disk(path, mebibytes):
    """A file system of that size."""
    path.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "naru-test", str(path)], capture_output=True,
                             text=True, check=False)
    if mounted.returncode != 0:
        raise Skipped(f"no small file system to be had here: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(path, leave_mebibytes):
    """Takes the room of the file system of `path`; returns the file that does."""
    room = max(1, shutil.disk_usage(path).free - (leave_mebibytes << 20))
    filler = path / "filler"
    with open(filler, "wb") as file:
        while room > 0:
            try:
                os.posix_fallocate(file.fileno(), 0, room)
                break
            except OSError as failure:  # somebody else took a part of it meanwhile
                if failure.errno != errno.ENOSPC:
                    raise
                room -= 64 << 10
    return filler


def test_a_disk_low_on_space_hands_its_leaders_over_and_takes_them_back():
    with Cluster(3) as cluster, small_disk(cluster[2].data, 96):
        cluster[2].settings["naru.disk.reserve.percent"] = 20
        cluster.start()
        cluster.naru("topic", "create", "load", "--assign", "2:1:3,2:3:1,1:2:3")
        cluster.naru("topic", "create", "alone", "--assign", "2")
        cluster.wait_isr("load")
        with Workload(cluster, "load") as load:
            load.flow()
            filler = fill(cluster[2].data, leave_mebibytes=12)
            led_by = lambda: [p["leader"] for p in cluster.topic("load")["partition_list"]]  # noqa: E731
            wait_until(lambda: 2 not in led_by(), "broker 2 leads nothing")
            load.flow()
            equal(cluster.run("health", "--local", bootstrap=cluster[2].address).returncode, 0, "broker 2 serves")
            equal(len(cluster.partition("load")["isr"]), 3, "replicas in sync: there is room for a follower yet")
            why = cluster.run("why", "produce", "alone")
            true(why.returncode == 10 and "broker 2, which leads partition 0 of alone, is low on space" in why.stdout, f"why nobody can write there: {why.stdout}")
            equal(cluster.run("why", "produce", "load").returncode, 0, "exit code of why for what has moved away")
            filler.unlink()
            wait_until(lambda: led_by() == [2, 2, 1], "broker 2 leads again what it prefers")
            load.flow()
            clean(load.stop())
        equal(cluster[2].terminate(), 0, "exit code")


ONE_TRY = ("-X", "enable.idempotence=false", "-X", "message.send.max.retries=0")


def test_a_full_disk_refuses_produces_serves_reads_and_recovers():
    with Cluster(1) as cluster, small_disk(cluster[1].data, 64):
        cluster[1].settings["naru.disk.reserve.bytes"] = 0  # down to the last byte
        cluster.start()
        cluster.naru("topic", "create", "load", "-p", 1)
        cluster.naru("produce", "load", text_in="before\n")
        filler = fill(cluster[1].data, leave_mebibytes=0)
        record = "x" * 900_000 + "\n"
        refused = cluster.run("produce", "load", *ONE_TRY, text_in=record)
        true(refused.returncode != 0, "a produce into a full disk")
        true("Disk error" in refused.stderr, refused.stderr)  # KAFKA_STORAGE_ERROR in librdkafka's words
        equal(cluster.naru("consume", "load", "-e"), "before\n", "reads go on, and see nothing of it")
        filler.unlink()
        wait_until(lambda: cluster.run("produce", "load", "--timeout", "5s", text_in="after\n").returncode == 0, "room again")
        equal(cluster.naru("consume", "load", "-e").splitlines()[0], "before", "the first record")
        true("after" in cluster.naru("consume", "load", "-e"), "what came after")
        cluster[1].kill()
        cluster[1].start()
        cluster.wait_healthy()
        true("after" in cluster.naru("consume", "load", "-e"), "records after a kill")


def test_a_full_disk_ends_no_broker_and_holds_no_quorum_up():
    with Cluster(3) as cluster, small_disk(cluster[2].data, 64):
        cluster.settings["replica.lag.time.max.ms"] = 2000
        cluster.start()
        cluster.naru("topic", "create", "load", "--assign", "2:1:3,1:3:2")
        cluster.wait_isr("load")
        with Workload(cluster, "load") as load:
            load.flow()
            filler = fill(cluster[2].data, leave_mebibytes=0)
            for _ in range(4):  # terms pass, and each wants to be written down
                victim = cluster.wait_controller()
                if victim == 2:
                    victim = next(b.id for b in cluster.brokers if b.id != 2)
                cluster[victim].kill()
                cluster.wait_controller(other_than=victim)
                cluster[victim].start()
                wait_until(lambda: all({1, 3} <= set(p["isr"]) for p in cluster.topic("load")["partition_list"]), "1 and 3 in sync")
                load.flow()
            true(cluster[2].running, "the broker with the full disk lives")
            filler.unlink()
            cluster.wait_healthy()  # three replicas need three brokers in service, and a full one may be out of it
            cluster.naru("topic", "create", "made-when-there-was-room-again", "-p", 3, "-r", 3)
            cluster.wait_isr("load")
            cluster.wait_isr("made-when-there-was-room-again")
            load.flow()
            verdict = load.stop()
            # A broker that cannot write its metadata log does not learn that it leads no longer, and may tell an old end of
            # a partition (docs/architecture.md). Nothing acknowledged is lost or changed by it.
            broken = {name: count for name, count in verdict["anomalies"].items() if count and name != "stale"}
            equal(broken, {}, f"broken promises; {verdict['examples'][:5]}")
            true(verdict["complete"] and verdict["failed"] == 0, "everything sent was acknowledged and read")


def test_a_file_size_limit_is_like_a_full_disk():
    with Cluster(1) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "load", "-p", 1)
        cluster.naru("produce", "load", text_in="before\n")
        resource.prlimit(cluster[1].pid, resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        refused = cluster.run("produce", "load", *ONE_TRY, text_in="x" * 900_000 + "\n")
        true("Disk error" in refused.stderr, refused.stderr)  # KAFKA_STORAGE_ERROR in librdkafka's words
        equal(cluster.naru("consume", "load", "-e"), "before\n", "no part of it is seen")
        resource.prlimit(cluster[1].pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        cluster.naru("produce", "load", text_in="after\n")
        equal(cluster.naru("consume", "load", "-e"), "before\nafter\n", "records")


def test_idle_clients_do_not_take_the_descriptors_of_the_others():
    with Cluster(3) as cluster, contextlib.ExitStack() as clients:
        few = cluster.dir / "naru-with-few-descriptors"  # a hard limit: a broker raises a soft one
        few.write_text(f'#!/bin/sh\nulimit -n 256\nexec {cluster.naru_path} "$@"\n')
        few.chmod(0o755)
        cluster.naru_path = str(few)
        cluster.start()
        cluster.naru("topic", "create", "load", "-p", 6, "-r", 3)
        cluster.wait_isr("load")
        with Workload(cluster, "load") as load:
            load.flow()
            for _ in range(400):
                clients.enter_context(socket.create_connection((cluster[1].host, cluster[1].port)))
            wait_until(lambda: "no more are taken" in cluster[1].log(), "broker 1 refuses more connections")
            load.flow()
            equal(len(cluster.json("topic", "describe", "load", bootstrap=cluster[2].address)[0]["partition_list"][0]["isr"]), 3, "ISR")
            clients.close()
            clean(load.stop())
        true("descriptors" not in cluster[1].log().replace("descriptor limit", ""), "broker 1 never ran out of descriptors")


def test_a_wrong_data_directory_is_one_clear_message():
    with Cluster(1) as cluster:
        file = pathlib.Path(cluster.dir) / "a-file"
        file.write_text("")
        two_directories(cluster, 1)
        cluster[1].settings["log.dirs"] = f"{cluster[1].data},{file}"
        cluster[1].start()
        true(cluster[1].wait_exit() not in (0, -6), "exit code")
        true(str(file) in cluster[1].log(), cluster[1].log())
