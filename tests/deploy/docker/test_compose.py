"""The three-broker compose file, and one that was written for apache/kafka, by every compose there is here."""
import json
import urllib.request

import apache_compose
from containers import Project, compose_commands, folder, free_port, image, naru, run
from missing import TOP
from naru_cluster import Failed, wait_until

NEEDS = ("engine", "binary", "static")

SERVICES = ["kafka-1", "kafka-2", "kafka-3"]


def own_project(compose):
    ports = [free_port() for _ in SERVICES]
    pages = [free_port() for _ in SERVICES]
    environment = {"NARU_IMAGE": image(), **{f"NARU_PORT_{i + 1}": str(p) for i, p in enumerate(ports)},
                   **{f"NARU_HTTP_PORT_{i + 1}": str(p) for i, p in enumerate(pages)}}
    return Project(compose, TOP / "deploy/docker/compose.yaml", environment), ports


def in_network(project, network, *words, **options):
    """A command of the image in a container of its own on a network of the project."""
    return run("docker", "run", "--rm", "-i", "--network", f"{project.name}_{network}", image(), *words, **options)


def check_three(project, ports, inner):
    """Three healthy brokers, and clients on the host and in a container write and read through any of them."""
    host = ",".join(f"127.0.0.1:{p}" for p in ports)
    done = naru("health", "--wait", "--min-brokers", "3", "--timeout", "60s", brokers=host)
    assert done.stdout.startswith("healthy"), done.stdout
    naru("topic", "create", "t", "-p", "6", "-r", "3", brokers=host)
    naru("produce", "t", brokers=f"127.0.0.1:{ports[1]}", text_in="".join(f"host {i}\n" for i in range(300)))
    in_network(project, inner["network"], "/naru", "produce", "t", "-b", inner["brokers"],
               text_in="".join(f"container {i}\n" for i in range(300)))
    expected = sorted([f"host {i}" for i in range(300)] + [f"container {i}" for i in range(300)])
    for port in ports:
        got = naru("consume", "t", "-e", brokers=f"127.0.0.1:{port}").stdout.split("\n")[:-1]
        assert sorted(got) == expected, f"port {port}: {len(got)} records"
    got = in_network(project, inner["network"], "/naru", "consume", "t", "-e", "-b", inner["brokers"]).stdout.split("\n")[:-1]
    assert sorted(got) == expected, f"in a container: {len(got)} records"


def test_our_compose_file():
    """up, clients on both sides, other containers with the same data, down."""
    for compose in compose_commands():
        project, ports = own_project(compose)
        with project:
            project("up", "-d", "--no-build")
            project.wait_healthy(SERVICES)
            check_three(project, ports, {"network": "clients", "brokers": "kafka-1:9092,kafka-2:9092,kafka-3:9092"})
            check_addresses(project, ports)
            check_pages([int(project.environment[f"NARU_HTTP_PORT_{i + 1}"]) for i in range(3)])
            project("stop", "-t", "60")
            codes = [project.inspect(s)["State"]["ExitCode"] for s in SERVICES]
            assert codes == [0, 0, 0], codes
            project("down")  # containers and networks; records are in the named volumes
            project("up", "-d", "--no-build")
            project.wait_healthy(SERVICES)
            got = naru("consume", "t", "-e", brokers=f"127.0.0.1:{ports[0]}").stdout.count("\n")
            assert got == 600, got


def check_addresses(project, ports):
    """No address is set: each side is told addresses of the network that it came by, never those among brokers."""
    networks = {s: project.inspect(s)["NetworkSettings"]["Networks"] for s in SERVICES}
    clients = {networks[s][f"{project.name}_clients"]["IPAddress"] for s in SERVICES}
    brokers = {networks[s][f"{project.name}_brokers"]["IPAddress"] for s in SERVICES}
    told = json.loads(naru("status", "-o", "json", brokers=f"127.0.0.1:{ports[0]}").stdout)["brokers"]
    assert {b["host"] for b in told} == clients, (told, clients)
    inside = in_network(project, "brokers", "/naru", "status", "-o", "json", "-b", "kafka-2.brokers:9092").stdout
    assert {b["host"] for b in json.loads(inside)["brokers"]} == brokers, (inside, brokers)


def fetch(url, **headers):
    """Body and headers of what a program on the host gets there."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
        return answer.read().decode(), answer.headers


def check_pages(ports):
    """Each broker's page is on the host, and the page of one may go to the others, by whatever name it came here."""
    expected = {i + 1: f":{port}" for i, port in enumerate(ports)}
    for i, port in enumerate(ports, 1):
        assert "/start.js" in fetch(f"http://localhost:{port}/")[0]
        seen = json.loads(fetch(f"http://localhost:{port}/api/v1/cluster")[0])
        assert seen["self"] == i and {b["id"]: b["http"] for b in seen["brokers"]} == expected, seen["brokers"]
        for host in ("localhost", "127.0.0.1"):
            origin = f"http://{host}{expected[i % 3 + 1]}"
            _, headers = fetch(f"http://{host}:{port}/api/v1/cluster", Origin=origin)
            assert headers["Access-Control-Allow-Origin"] == origin, dict(headers)


def test_compose_file_of_apache_kafka():
    """An existing file for apache/kafka works when only the image's name is changed; what it advertises is what is told."""
    for compose in compose_commands():
        ports = [free_port() for _ in SERVICES]
        with folder() as place:
            (place / "docker-compose.yml").write_text(json.dumps({"version": "2", "services": apache_compose.services(image(), ports)}))
            with Project(compose, place / "docker-compose.yml", {}) as project:
                project("up", "-d")
                project.wait_healthy(SERVICES)
                check_three(project, ports, {"network": "default", "brokers": "kafka-1:19092,kafka-2:19092,kafka-3:19092"})
                told = json.loads(naru("status", "-o", "json", brokers=f"127.0.0.1:{ports[0]}").stdout)
                assert told["cluster_id"] == "4L6g3nShT-eMCtK--X86sw", told
                assert {(b["host"], b["port"]) for b in told["brokers"]} == {("localhost", p) for p in ports}, told


def test_kafkas_script_names():
    """What health checks and jobs of compose files call, by its path in the image: create, write, read, list."""
    project, ports = own_project(compose_commands()[0])
    with project:
        project("up", "-d", "--no-build")
        project.wait_healthy(SERVICES)

        def tool(name, *words, **options):
            return in_network(project, "clients", f"/opt/kafka/bin/kafka-{name}.sh", "--bootstrap-server", "kafka-1:9092", *words, **options)
        made = tool("topics", "--create", "--topic", "jobs", "--partitions", "3", "--replication-factor", "3", "--if-not-exists")
        assert made.stdout == "Created topic jobs.\n", made
        tool("console-producer", "--topic", "jobs", text_in="one\ntwo\n")
        read = tool("console-consumer", "--topic", "jobs", "--from-beginning", "--max-messages", "2", "--timeout-ms", "30000")
        assert sorted(read.stdout.split()) == ["one", "two"], read
        inside = run("docker", "exec", project.container("kafka-2"), "/opt/kafka/bin/kafka-topics.sh", "--bootstrap-server", "localhost:9092", "--list")
        assert "jobs" in inside.stdout.split(), inside
        # By name only, as in Kafka's and in Confluent's images.
        for name in ("kafka-topics.sh", "kafka-topics"):
            listed = in_network(project, "clients", name, "--bootstrap-server", "kafka-1:9092", "--list")
            assert "jobs" in listed.stdout.split(), listed
        status = tool("metadata-quorum", "describe", "--status").stdout
        assert "CurrentObservers:       []" in status, status


def test_the_network_among_brokers_can_be_cut():
    """A broker without its second network loses its place, and no client its connection to the others; then it returns."""
    compose = compose_commands()[0]
    project, ports = own_project(compose)
    with project:
        project("up", "-d", "--no-build")
        project.wait_healthy(SERVICES)
        host = ",".join(f"127.0.0.1:{p}" for p in ports)
        naru("topic", "create", "t", "-p", "3", "-r", "3", brokers=host)
        network, victim = f"{project.name}_brokers", "kafka-2"
        run("docker", "network", "disconnect", network, project.container(victim))
        others = f"127.0.0.1:{ports[0]},127.0.0.1:{ports[2]}"

        def gone():
            partitions = json.loads(naru("topic", "describe", "t", "-o", "json", brokers=others).stdout)[0]["partition_list"]
            return all(p["leader"] in (1, 3) and 2 not in p["isr"] for p in partitions)
        wait_until(gone, "leaders and ISRs without broker 2", 60)
        # Whoever comes to the one that is cut off is sent on, for leaders as for the producer id without which nothing is written.
        for brokers in (host, f"127.0.0.1:{ports[1]}"):
            done = naru("produce", "t", brokers=brokers, text_in="".join(f"{i}\n" for i in range(100)))
            assert "100 records acknowledged" in done.stderr, done.stderr
        run("docker", "network", "connect", "--alias", f"{victim}.brokers", "--alias", victim, network, project.container(victim))

        def back():
            answer = naru("health", "--min-brokers", "3", brokers=host, check=False)
            if answer.returncode != 0:
                raise Failed(answer.stdout)
            return True
        wait_until(back, "broker 2 to be back in sync", 60)


def test_a_drill_cuts_a_broker_off():
    """`naru drill partition` with the commands that cut here and mend; nothing lost, and all as before."""
    project, ports = own_project(compose_commands()[0])
    with project:
        project("up", "-d", "--no-build")
        project.wait_healthy(SERVICES)
        network, container = f"{project.name}_brokers", project.container("kafka-2")
        done = naru("drill", "partition", "--broker", "2", "--yes", "--for", "3s", "--quiet-time", "1s", "-o", "json",
                    "--harm-with", f"docker network disconnect {network} {container}",
                    "--heal-with", f"docker network connect --alias kafka-2.brokers --alias kafka-2 {network} {container}",
                    brokers=",".join(f"127.0.0.1:{p}" for p in ports), check=False)
        assert done.returncode in (0, 10), (done.stdout, done.stderr)
        verdict = json.loads(done.stdout)
        # Clients still reach it: it tells an older end until it learns that it leads no longer (scripts/lib/failover.py).
        stale = verdict["anomalies"].pop("stale", 0)
        assert done.returncode == (10 if stale else 0), (done.stdout, done.stderr)
        assert not any(verdict["anomalies"].values()) and verdict["valid"] and verdict["complete"], verdict
        assert len(verdict["faults"]) == 1, verdict["faults"]
        assert network in project.inspect("kafka-2")["NetworkSettings"]["Networks"], "it is left cut off"
