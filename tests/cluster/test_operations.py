"""What docs/operations.md tells people to do, done under load where it says that clients do not notice."""
import fcntl
import os
import struct
import termios

from naru_cluster import Cluster, Workload, wait_until
from support import clean, equal, true


def test_a_rolling_restart_is_not_noticed():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "orders", "-p", 3)
        with Workload(cluster, "orders") as load:
            load.flow()
            for broker in cluster.brokers:
                equal(broker.terminate(), 0, "exit code of a broker that was told to end")
                broker.start()
                cluster.naru("health", "--wait", "--min-brokers", 3, "--timeout", "60s", timeout=90)
                load.flow()
            clean(load.stop())


def test_a_broker_with_an_empty_disk_copies_everything_and_votes_again():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "orders", "-p", 3)
        cluster.naru("produce", "orders", text_in="".join(f"line {n}\n" for n in range(1000)))
        cluster[2].terminate()
        cluster[2].wipe()
        equal(cluster.run("health", "--min-brokers", 3).returncode, 10, "health with a broker less")
        cluster[2].start()
        cluster.wait_healthy()
        cluster.wait_isr("orders")
        wait_until(lambda: "observer" not in [b["role"] for b in cluster.status()["brokers"]], "all three to vote")
        cluster.naru("partition", "elect", "orders")  # some are led by the one that had to copy them
        equal(len(cluster.naru("consume", "orders", "-e").splitlines()), 1000, "records consumed")


def test_one_of_two_lost_brokers_brings_the_majority_back():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "orders", "-p", 3)
        cluster.naru("produce", "orders", text_in="before\n")
        cluster[2].kill()
        cluster[3].kill()
        one = cluster[1].address
        wait_until(lambda: "no controller" in cluster.run("health", "--timeout", "1s", bootstrap=one).stdout, "health to say no controller")
        refused = cluster.run("produce", "orders", "--timeout", "3s", text_in="during\n", bootstrap=one)
        true(refused.returncode != 0, "a record was acknowledged without a majority")
        cluster[2].start()
        wait_until(lambda: cluster.run("produce", "orders", "--timeout", "5s", text_in="after\n").returncode == 0, "writes to go on", 60)
        consumed = cluster.naru("consume", "orders", "-e").splitlines()
        true("before" in consumed and "after" in consumed, f"what was consumed: {consumed}")


def test_a_broker_does_not_wait_for_who_takes_its_log():
    with Cluster(3) as cluster:
        one, log = cluster[1], cluster[1].log_path
        one.settings["naru.log.level"] = "debug"
        one.dir.mkdir(parents=True, exist_ok=True)
        one.log_path = one.dir / "nobody-reads-it"
        os.mkfifo(one.log_path)
        pipe = os.open(one.log_path, os.O_RDWR)
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
        cluster.start(healthy=False)
        one.log_path = log  # what reads logs must not read that one
        cluster.wait_healthy()
        cluster.naru("topic", "create", "orders", "--assign", "1:2:3,1:2:3")
        with Workload(cluster, "orders") as load:
            load.flow()
            wait_until(lambda: struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0] > 3500, "a log that nobody takes")
            for _ in range(3):
                load.flow()
                equal([cluster.leader("orders", i) for i in (0, 1)], [1, 1], "leaders")
            clean(load.stop())
        equal(one.terminate(), 0, "exit code of a broker whose log nobody takes")
        said = os.read(pipe, 65536).decode(errors="replace")
        os.close(pipe)
        true("[b1" in said, f"what went into the pipe: {said[:300]}")
        true(not said.rstrip().endswith("stopped"), "the log was taken to its end, so that nothing was tried here")
