"""The image by itself: what is in it, and that one container of it is a broker with nothing said."""
import json
import re

from containers import container, folder, free_port, image, inspect, naru, run, wait_container_healthy
from missing import TOP
from naru_cluster import Failed, wait_until

NEEDS = ("engine", "binary", "static")

WRONG_BY = "the image is {} MB; it was to be about 20"


def test_small_and_without_root():
    """Nothing but the binary: no shell but for lines of its own names, no root, 30 MB at most."""
    found = json.loads(run("docker", "image", "inspect", image()).stdout)[0]
    megabytes = found["Size"] / 1e6
    assert megabytes < 30, WRONG_BY.format(megabytes)
    said = re.search(r"links: (\d+) MB", (TOP / "docs/docker.md").read_text())
    assert said and abs(int(said[1]) - megabytes) <= 2, f"docs/docker.md says {said and said[0]}, and the image has {megabytes:.1f} MB"
    check_config(found["Config"])
    shell = run("docker", "run", "--rm", image(), "sh", "-c", "ls /", check=False)
    assert shell.returncode == 127 and "this image has no shell" in shell.stderr, f"there is a shell: {shell}"


def check_config(config):
    """What engines and people read of an image, the same of both."""
    assert config["Healthcheck"]["Test"][:4] == ["CMD", "/naru", "health", "--local"], config["Healthcheck"]
    assert (config["User"], config["StopSignal"]) == ("1000:1000", "SIGTERM"), config
    assert set(config["ExposedPorts"]) == {"9092/tcp", "9644/tcp"} and set(config["Volumes"]) == {"/var/lib/kafka/data"}, config
    assert config["Labels"]["org.opencontainers.image.title"] == "naru", config["Labels"]


def test_one_container_is_a_broker():
    """docker run -p, nothing said: healthy, and a client on the host writes and reads. SIGTERM ends it in order."""
    port = free_port()
    with container("-p", f"127.0.0.1:{port}:9092", image()) as broker:
        wait_container_healthy(broker)
        naru("produce", "first", brokers=f"127.0.0.1:{port}", text_in="hello\n")
        got = naru("consume", "first", "-e", brokers=f"127.0.0.1:{port}").stdout
        assert got == "hello\n", got
        run("docker", "stop", "-t", "30", broker)
        state = inspect(broker)["State"]
        assert state["ExitCode"] == 0, state
        log = run("docker", "logs", broker)
        assert "told to end" in log.stdout + log.stderr, log


def test_a_health_check_that_is_a_string():
    """As most compose files have it (CMD-SHELL), for both images: by Kafka's name, and by whether the port is open."""
    for target in ("naru", "debian"):
        for check in ("kafka-topics.sh --bootstrap-server localhost:9092 --list >/dev/null 2>&1 || exit 1",
                      *(["nc -z localhost 9092 || exit -1"] if target == "naru" else [])):
            with container("--health-cmd", check, "--health-interval", "1s", image(target)) as broker:
                wait_container_healthy(broker)
    with container("--health-cmd", "kafka-topics.sh --bootstrap-server localhost:1 --list || exit 1", "--health-interval", "1s", "--health-start-period",
                   "1ms", "--health-retries", "1", image()) as broker:
        wait_until(lambda: inspect(broker)["State"]["Health"]["Status"] == "unhealthy", "a check that fails to be seen", 60)


def test_a_broker_that_a_line_starts_ends_in_order():
    """The container's first process is the broker, then, and no shell that keeps SIGTERM to itself."""
    with container(image(), "sh", "-c", "echo begins && /etc/kafka/docker/run") as broker:
        wait_container_healthy(broker)
        run("docker", "stop", "-t", "30", broker)
        assert inspect(broker)["State"]["ExitCode"] == 0, inspect(broker)["State"]


def test_names_resolve_without_shared_libraries():
    """The static binary looks names up: in DNS (of the engine) and in /etc/hosts."""
    network = f"naru-names-{free_port()}"
    run("docker", "network", "create", network)
    try:
        with container("--network", network, "--network-alias", "broker-in-dns", image()) as broker:
            wait_container_healthy(broker)
            def asks(name, *options):
                return run("docker", "run", "--rm", "--network", network, *options, image(), "/naru", "health",
                           "-b", f"{name}:9092", "--timeout", "10s", check=False)
            assert asks("broker-in-dns").returncode == 0, asks("broker-in-dns")
            address = inspect(broker)["NetworkSettings"]["Networks"][network]["IPAddress"]
            done = asks("broker-in-hosts", "--add-host", f"broker-in-hosts:{address}")
            assert done.returncode == 0, done
            missing = asks("no-such-broker")
            assert missing.returncode == 3 and "no-such-broker:9092 name not found" in missing.stdout, missing
    finally:
        run("docker", "network", "rm", network, check=False)


def test_settings_by_variables_file_and_arguments():
    """KAFKA_* and KAFKA_CFG_* over a mounted server.properties; NAME=VALUE words of `run` over both. CLUSTER_ID is kept."""
    with folder() as config:
        config.chmod(0o755)
        (config / "server.properties").write_text("num.partitions=3\ndefault.replication.factor=1\nlisteners=PLAINTEXT://:7777\n"
                                                  "offsets.topic.num.partitions=5\nmessage.max.bytes=500000\n")
        port = free_port()
        with container("-p", f"127.0.0.1:{port}:7777", "-v", f"{config}:/mnt/shared/config:ro",
                       "-e", "CLUSTER_ID=4L6g3nShT-eMCtK--X86sw", "-e", "KAFKA_NUM_PARTITIONS=4",
                       "-e", "KAFKA_CFG_MESSAGE_MAX_BYTES=600000", "-e", "KAFKA_HEAP_OPTS=-Xmx1g", "-e", "KAFKA_LOG_RETENTION_HOURS=9",
                       image(), "/etc/kafka/docker/run", "KAFKA_LOG_RETENTION_HOURS=11") as broker:
            wait_container_healthy(broker)  # by `health --local`, which must find the port 7777 by itself
            brokers = f"127.0.0.1:{port}"
            assert json.loads(naru("status", "-o", "json", brokers=brokers).stdout)["cluster_id"] == "4L6g3nShT-eMCtK--X86sw"
            naru("topic", "create", "t", brokers=brokers)
            topic = json.loads(naru("topic", "describe", "t", "-o", "json", brokers=brokers).stdout)[0]
            configs = {c["name"]: c["value"] for c in topic["configs"]}
            assert topic["partitions"] == 4, topic["partitions"]
            assert configs["max.message.bytes"] == "600000", configs["max.message.bytes"]
            assert configs["retention.ms"] == str(11 * 3_600_000), configs["retention.ms"]


def test_a_client_that_never_arrives_is_named_once():
    """Told an address that it cannot reach, a client asks again and again; the broker's log says so, in words, and not again
    while it goes on for four times as long as it took."""
    network = f"naru-lost-{free_port()}"
    run("docker", "network", "create", network)
    try:
        with container("--network", network, "--network-alias", "broker", "-e", "KAFKA_LISTENERS=PLAINTEXT://:9092",
                       "-e", "KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://nowhere.invalid:9092", image()) as broker:
            wait_container_healthy(broker)
            run("docker", "exec", broker, "/naru", "topic", "create", "t")
            tries = "for i in 1 2 3 4; do echo lost | /naru produce t -b broker:9092 --timeout 12s; done"
            with container("--network", network, image("debian"), "sh", "-c", tries) as client:
                address = inspect(client)["NetworkSettings"]["Networks"][network]["IPAddress"]

                def named():
                    log = run("docker", "logs", broker)
                    return [line for line in (log.stdout + log.stderr).splitlines() if "and never came" in line]
                wait_until(named, "the broker to name the client", 90)
                wait_until(lambda: inspect(client)["State"]["Status"] == "exited", "the client to give up", 120)
                line, = named()
                assert f"client 'naru' at {address} asked" in line and "nowhere.invalid:9092" in line and "advertised.listeners" in line, line
    finally:
        run("docker", "network", "rm", network, check=False)


def test_a_client_that_asks_once_and_never_arrives_is_named():
    """As kafka-clients before 4.0 do: one question (Metadata, version 1, of all topics), and the connection stays open in silence."""
    network = f"naru-silent-{free_port()}"
    run("docker", "network", "create", network)
    try:
        with container("--network", network, "--network-alias", "broker", "-e", "KAFKA_LISTENERS=PLAINTEXT://:9092",
                       "-e", "KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://nowhere.invalid:9092", image()) as broker:
            wait_container_healthy(broker)
            question = r"\0\0\0\022\0\003\0\001\0\0\0\001\0\004once\377\377\377\377"
            ask = f"exec 3<>/dev/tcp/broker/9092 && printf '{question}' >&3 && cat <&3"
            with container("--network", network, image("debian"), "bash", "-c", ask) as client:
                address = inspect(client)["NetworkSettings"]["Networks"][network]["IPAddress"]

                def named():  # its health checks are what the broker looks at it by
                    log = run("docker", "logs", broker)
                    return [line for line in (log.stdout + log.stderr).splitlines() if "and never came" in line]
                wait_until(named, "the broker to name the client", 90)
                line, = named()
                assert f"client 'once' at {address} asked" in line and "nowhere.invalid:9092, as advertised.listeners says" in line, line
    finally:
        run("docker", "network", "rm", network, check=False)


def test_bitnamis_variables_and_volume():
    """As compose files for bitnami/kafka have it: KAFKA_CFG_*, its own few names, data in /bitnami/kafka."""
    volume, port = f"naru-bitnami-{free_port()}", free_port()
    run("docker", "volume", "create", volume)
    words = ["-p", f"127.0.0.1:{port}:9094", "--hostname", "kafka", "-v", f"{volume}:/bitnami/kafka"]
    for variable in ("KAFKA_ENABLE_KRAFT=yes", "KAFKA_CFG_NODE_ID=0", "KAFKA_CFG_PROCESS_ROLES=controller,broker", "ALLOW_PLAINTEXT_LISTENER=yes",
                     "KAFKA_CFG_LISTENERS=PLAINTEXT://:9092,CONTROLLER://:9093,EXTERNAL://:9094", "KAFKA_KRAFT_CLUSTER_ID=abcdefghijklmnopqrstug",
                     f"KAFKA_CFG_ADVERTISED_LISTENERS=PLAINTEXT://kafka:9092,EXTERNAL://127.0.0.1:{port}",
                     "KAFKA_CFG_LISTENER_SECURITY_PROTOCOL_MAP=CONTROLLER:PLAINTEXT,EXTERNAL:PLAINTEXT,PLAINTEXT:PLAINTEXT",
                     "KAFKA_CFG_CONTROLLER_QUORUM_VOTERS=0@kafka:9093", "KAFKA_CFG_CONTROLLER_LISTENER_NAMES=CONTROLLER"):
        words += ["-e", variable]
    try:
        for records in ("one\n", "two\n"):  # in two containers, one after the other
            with container(*words, image()) as broker:
                wait_container_healthy(broker)
                naru("produce", "t", brokers=f"127.0.0.1:{port}", text_in=records)
                got = naru("consume", "t", "-e", brokers=f"127.0.0.1:{port}").stdout
                named = json.loads(naru("status", "-o", "json", brokers=f"127.0.0.1:{port}").stdout)["cluster_id"]
                assert named == "abcdefghijklmnopqrstug", named
                run("docker", "stop", "-t", "30", broker)
        assert got == "one\ntwo\n", got
    finally:
        run("docker", "volume", "rm", "-f", volume, check=False)


def test_data_outlives_the_container():
    volume = f"naru-data-{free_port()}"
    run("docker", "volume", "create", volume)
    port = free_port()
    words = ["-p", f"127.0.0.1:{port}:9092", "-v", f"{volume}:/var/lib/kafka/data", image()]
    try:
        with container(*words) as broker:
            wait_container_healthy(broker)
            naru("produce", "kept", brokers=f"127.0.0.1:{port}", text_in="still here\n")
            run("docker", "kill", broker)
        with container(*words) as broker:
            wait_container_healthy(broker)
            assert naru("consume", "kept", "-e", brokers=f"127.0.0.1:{port}").stdout == "still here\n"
    finally:
        run("docker", "volume", "rm", "-f", volume, check=False)


def test_a_wrong_setting_is_said_and_ends_it():
    with container("-e", "KAFKA_NUM_PARTITIONS=many", image()) as broker:
        def ended():
            return inspect(broker)["State"]["Status"] == "exited"
        wait_until(ended, "the container to end", 30)
        log = run("docker", "logs", broker)
        if "num.partitions=many" not in log.stdout + log.stderr:
            raise Failed(f"it does not say what is wrong: {log.stdout}{log.stderr}")
        assert inspect(broker)["State"]["ExitCode"] == 2, inspect(broker)["State"]


def test_debian_target_has_a_shell():
    """And the binary with its symbols, which alone is larger than the other image; certificates are in both."""
    done = run("docker", "run", "--rm", image("debian"), "sh", "-c", "kafka-storage.sh random-uuid && id -u && naru version && "
               "stat -c %s /naru /etc/ssl/certs/ca-certificates.crt")
    uuid, uid, version, binary, certificates = done.stdout.split("\n")[:5]
    assert len(uuid) == 22 and uid == "1000" and version.startswith("naru "), done.stdout
    small = json.loads(run("docker", "image", "inspect", image()).stdout)[0]["Size"]
    assert int(binary) > small and int(certificates) > 100_000, done.stdout
    check_config(json.loads(run("docker", "image", "inspect", image("debian")).stdout)[0]["Config"])
