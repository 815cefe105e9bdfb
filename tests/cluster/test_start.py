"""First start, restart, identity of data directories, wrong configuration."""
import pathlib
import shutil
import signal
import subprocess
import tempfile

from naru_cluster import Cluster, clean_environment, naru_binary, wait_until
from support import equal, smoke, true
from test_dev import free_port


@smoke
def test_three_empty_brokers_form_one_cluster():
    with Cluster(3) as cluster:
        cluster.start()
        status = cluster.status()
        equal(sorted(b["id"] for b in status["brokers"]), [1, 2, 3], "brokers")
        true(status["cluster_id"], "the cluster has an id")
        cluster.naru("topic", "create", "orders", "-p", 3)
        described = cluster.topic("orders")
        equal(described["replicas"], 3, "default replication with three voters")
        configs = {c["name"]: c["value"] for c in described["configs"]}
        equal(configs["min.insync.replicas"], "2", "default min.insync.replicas with three voters")
        cluster.naru("produce", "orders", text_in="".join(f"line {i}\n" for i in range(100)))
        lines = cluster.naru("consume", "orders", "-e").splitlines()
        equal(sorted(lines), sorted(f"line {i}" for i in range(100)), "what was consumed")


def test_one_broker_defaults_to_one_replica():
    with Cluster(1) as cluster:
        cluster.start()
        cluster.naru("produce", "made-by-producing", text_in="hello\n")
        described = cluster.topic("made-by-producing")
        equal(described["replicas"], 1, "replication on one node")
        equal(cluster.naru("consume", "made-by-producing", "-e"), "hello\n", "what was consumed")


def test_records_survive_restarts_of_one_broker():
    with Cluster(1) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 1)
        cluster.naru("produce", "t", text_in="first\n")
        equal(cluster[1].terminate(), 0, "exit code of SIGTERM")
        cluster[1].start()
        cluster.wait_healthy()
        cluster.naru("produce", "t", text_in="second\n")
        cluster[1].kill()
        cluster[1].start()
        cluster.wait_healthy()
        equal(cluster.naru("consume", "t", "-e"), "first\nsecond\n", "what was consumed")


def test_a_second_process_on_the_same_directory_is_refused():
    with Cluster(1) as cluster:
        cluster.start()
        properties = cluster[1].dir / "server.properties"
        text = properties.read_text().replace(f":{cluster[1].port}", f":{cluster[1].port + 5}").replace(
            f":{cluster[1].peer_port}", f":{cluster[1].peer_port + 5}")
        other = cluster.dir / "other.properties"
        other.write_text(text)
        done = subprocess.run([naru_binary(), "start", "-c", str(other)], capture_output=True, text=True, timeout=30, env=clean_environment())
        true(done.returncode != 0, "the second process must not succeed")
        true(str(cluster[1].data) in done.stderr, f"the message names the directory: {done.stderr}")
        cluster.wait_healthy()


def test_two_brokers_on_one_port_fail_with_one_message():
    with Cluster(1) as cluster:
        cluster.start()
        other = Cluster(1, host=cluster.host, port=cluster[1].port)
        try:
            other[1].start()
            code = other[1].wait_exit()
            true(code not in (0, -signal.SIGABRT), f"exit code {code}")
            address = f"{cluster.host}:{cluster[1].port}"
            true(f"listeners=PLAINTEXT://{address}" in other[1].log() and f"cannot listen on {address}" in other[1].log(),
                 f"the message names the setting and the port: {other[1].log()}")
        finally:
            other.close()


def test_the_directory_of_another_node_is_refused():
    with Cluster(3) as cluster:
        cluster.start()
        cluster[1].terminate()
        cluster[2].terminate()
        cluster[2].wipe()
        shutil.move(cluster[1].data, cluster[2].data)
        cluster[2].start()
        code = cluster[2].wait_exit()
        true(code != 0, f"exit code {code}")
        true("node" in cluster[2].log().splitlines()[-1] or "node.id" in cluster[2].log(), cluster[2].log())


def test_the_directory_of_another_cluster_is_refused():
    with Cluster(1) as one, Cluster(1, settings={"node.id": 1}) as two:
        one.start()
        two.start()
        one[1].terminate()
        two[1].terminate()
        one[1].settings["naru.cluster.id"] = "AAAAAAAAAAAAAAAAAAAAAA"
        one[1].start()
        code = one[1].wait_exit()
        true(code != 0, f"exit code {code}")
        true("naru.cluster.id=AAAAAAAAAAAAAAAAAAAAAA: " in one[1].log(), one[1].log())


def test_the_directory_of_an_apache_kafka_is_refused():
    """As `kafka-storage format` and a first start of Kafka leave it."""
    with tempfile.TemporaryDirectory(prefix="naru-kafka-") as folder:
        data = pathlib.Path(folder)
        meta = "#\n#Sat Nov 28 20:00:00 UTC 2026\ncluster.id=5L6g3nShT-eMCtK--X86sw\ndirectory.id=hVtc0gGcTmKy6TEuBqsPtA\nnode.id=1\nversion=1\n"
        (data / "meta.properties").write_text(meta)
        (data / "__cluster_metadata-0").mkdir()
        (data / "__cluster_metadata-0" / "quorum-state").write_text(
            '{"leaderId":1,"leaderEpoch":1,"votedId":1,"votedDirectoryId":"hVtc0gGcTmKy6TEuBqsPtA","data_version":1}')
        (data / "__cluster_metadata-0" / "00000000000000000000.log").write_bytes(b"")
        done = subprocess.run([naru_binary(), "start", "--set", f"log.dirs={data}", "--set", "node.id=1",
                               "--set", "listeners=PLAINTEXT://127.0.0.1:0"],
                              capture_output=True, text=True, timeout=60, env=clean_environment())
        true(done.returncode not in (0, -signal.SIGABRT), f"exit code {done.returncode}")
        true(f"log.dirs={data}: a data directory of Apache Kafka" in done.stderr, done.stderr)
        equal((data / "meta.properties").read_text(), meta, "what Kafka wrote")
        equal(sorted(p.name for p in data.iterdir()), ["__cluster_metadata-0", "meta.properties"], "what lies there")


def test_wrong_configuration_is_one_clear_message():
    for line, expected in [
        ("num.partitions=0", "num.partitions=0: must be a whole number from 1 to 2147483647"),
        ("process.roles=broker", "process.roles=broker: every Naru broker embeds a controller"),
        ("process.roles=controller", "process.roles=controller: every Naru broker embeds a controller"),
        ("listeners=SSL://:9092", "only PLAINTEXT is offered yet"),
        ("log.retention.ms=soon", "log.retention.ms=soon: must be a whole number"),
    ]:
        done = subprocess.run([naru_binary(), "start", "--set", "log.dirs=/nonexistent/naru", "--set", line], capture_output=True, text=True,
                              timeout=30, env=clean_environment())
        equal(done.returncode, 2, f"exit code for {line}")
        equal(len(done.stderr.strip().splitlines()), 1, f"lines for {line}: {done.stderr}")
        true(expected in done.stderr, f"for {line}: {done.stderr}")


def test_a_directory_that_cannot_be_made_is_one_clear_message():
    done = subprocess.run([naru_binary(), "start", "--set", "log.dirs=/proc/naru", "--set", "listeners=PLAINTEXT://127.0.0.1:0"],
                          capture_output=True, text=True, timeout=30, env=clean_environment())
    true(done.returncode not in (0, -signal.SIGABRT), f"exit code {done.returncode}")
    true("log.dirs=/proc/naru: " in done.stderr, done.stderr)
    with tempfile.TemporaryDirectory(prefix="naru-metadata-") as folder:
        done = subprocess.run([naru_binary(), "start", "--set", f"log.dirs={folder}", "--set", "metadata.log.dir=/proc/naru",
                               "--set", "listeners=PLAINTEXT://127.0.0.1:0", "--set", "naru.http.port=-1"],
                              capture_output=True, text=True, timeout=30, env=clean_environment())
    equal(done.returncode, 1, f"exit code: {done.stderr}")
    equal([line.split("] ", 1)[1] for line in done.stderr.splitlines() if " error " in line],
          ["metadata.log.dir=/proc/naru: create directory /proc/naru/__cluster_metadata-0: No such file or directory"], done.stderr)


def test_a_log_that_cannot_be_written_is_one_clear_message():
    done = subprocess.run([naru_binary(), "start", "--set", "log.dirs=/proc/naru", "--set", "naru.log.file=/proc/naru.log"], capture_output=True,
                          text=True, timeout=30, env=clean_environment())
    equal(done.returncode, 1, "exit code")
    true("naru.log.file=/proc/naru.log: " in done.stderr, done.stderr)
    equal(len(done.stderr.strip().splitlines()), 1, f"lines: {done.stderr}")


def test_a_log_that_is_off_says_nothing():
    with Cluster(1, settings={"naru.log.level": "off"}) as cluster:
        cluster.start()
        equal(cluster[1].terminate(), 0, "exit code")
        equal(cluster[1].log(), "", "log")


def test_a_second_sigterm_does_not_cut_the_end_short():
    with Cluster(1) as cluster:
        cluster.start()
        cluster[1].signal(signal.SIGTERM)
        cluster[1].signal(signal.SIGTERM)  # as timeout(1) does: to the process, then to its group
        wait_until(lambda: "told to end" in cluster[1].log(), "the broker to hear of it")
        if cluster[1].running:
            cluster[1].signal(signal.SIGTERM)
        equal(cluster[1].wait_exit(), 0, "exit code")
        true(cluster[1].log().splitlines()[-1].endswith("stopped"), cluster[1].log())


def test_listens_on_both_address_families():
    with Cluster(1) as cluster:
        broker = cluster[1]
        port = free_port()
        broker.settings["listeners"] = f"PLAINTEXT://:{port},CONTROLLER://{broker.host}:{broker.peer_port}"
        broker.start()
        for host in ("127.0.0.1", "[::1]"):
            wait_until(lambda h=host: cluster.run("health", "--local", bootstrap=f"{h}:{port}").returncode == 0, f"an answer on {host}")


def test_bootstrap_servers_instead_of_voters():
    with Cluster(3) as cluster:
        cluster.settings["controller.quorum.voters"] = None
        cluster.settings["controller.quorum.bootstrap.servers"] = ",".join(f"{b.host}:{b.peer_port}" for b in cluster.brokers)
        cluster.start()
        cluster.naru("topic", "create", "orders", "-p", 3)
        equal(cluster.topic("orders")["replicas"], 3, "default replication")
        # Roles are not known while no controller says so in time.
        wait_until(lambda: sorted(b["role"] or "" for b in cluster.status()["brokers"]) == ["controller", "voter", "voter"], "a controller and two voters")
        victim = cluster.wait_controller()
        cluster[victim].kill()
        cluster.wait_controller(other_than=victim)
        cluster[victim].start()
        cluster.wait_isr("orders")
        cluster.wait_healthy()
