"""What of the deployments can be tried where no container engine is: compose files as processes, the image's conventions,
and the script that boots hosts."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from composed import Composed, composed, services
from missing import TOP, needs
from support import equal, true

NEEDS = ("binary", "yaml")


def form_a_cluster(environments, cluster_id):
    """The environments make one cluster of three, whose clients find every broker where the file says."""
    with Composed(environments) as brokers:
        brokers.wait_healthy()
        status = json.loads(brokers.naru("status", "-o", "json"))
        equal(status["cluster_id"], cluster_id, "cluster id")
        equal({b["id"]: (b["host"], b["port"]) for b in status["brokers"]},
              {i: (host, 9092) for i, host in enumerate(brokers.hosts.values(), 1)}, "where clients are sent")
        brokers.naru("topic", "create", "t", "-p", "3")
        equal(json.loads(brokers.naru("topic", "describe", "t", "-o", "json"))[0]["replicas"], 3, "copies that a topic has")
        brokers.naru("produce", "t", text_in="one\ntwo\nthree\n")
        equal(sorted(brokers.naru("consume", "t", "-e").split()), ["one", "three", "two"], "records")
        for name in brokers.hosts:
            true("unknown propert" not in brokers.log(name), f"{name} understands all that it is given: {brokers.log(name)[:2000]}")
        equal(brokers.stop(), [0, 0, 0], "exit codes after SIGTERM")


def test_our_compose_file():
    form_a_cluster(services(TOP / "deploy/docker/compose.yaml"), "bmFydS1jb21wb3NlLTAwMQ")


@needs("yaml")
def test_what_our_compose_file_gives_each_broker():
    """The ports of the host that the page names, a volume of its own, and a health check that asks this broker alone."""
    file = composed(TOP / "deploy/docker/compose.yaml")
    page = (TOP / "docs/docker.md").read_text()
    volumes = set()
    for number, name in enumerate(("kafka-1", "kafka-2", "kafka-3"), 1):
        service = file["services"][name]
        client, http = 9092 + 100 * (number - 1), 9644 + 100 * (number - 1)
        equal(service["ports"], [f"{client}:9092", f"{http}:9644"], f"ports of {name}")
        equal(service["environment"]["KAFKA_NARU_HTTP_ADVERTISED"], f":{http}", f"where browsers find {name}")
        true(f":{client}`" in page and (f":{http}`" in page or f":{http}/" in page), f"docs/docker.md names {client} and {http}")
        volume, place = service["volumes"][0].split(":")
        equal((place, volume in file["volumes"], volume in volumes), ("/var/lib/kafka/data", True, False), f"the volume of {name}")
        volumes.add(volume)
        equal(service["healthcheck"]["test"][:4], ["CMD", "/naru", "health", "--local"], f"the health check of {name}")
        equal(set(service["networks"]), {"clients", "brokers"}, f"networks of {name}")


def test_a_compose_file_of_apache_kafka():
    """That of the tests in containers; its services write and read through the listener for the host."""
    sys.path.insert(0, str(TOP / "tests/deploy/docker"))
    import apache_compose
    given = apache_compose.services("naru", [9092, 9092, 9092])
    form_a_cluster({name: {k: str(v) for k, v in s["environment"].items()} for name, s in given.items()}, "4L6g3nShT-eMCtK--X86sw")


def effective(environment, *keys):
    """What a broker with this environment says of its own settings."""
    with Composed({"kafka": environment | {"KAFKA_LISTENERS": "PLAINTEXT://:9092"}}) as broker:
        broker.wait_healthy()
        got = json.loads(broker.naru("config", "get", "broker", environment.get("KAFKA_NODE_ID", "1"), *keys, "-o", "json"))
        return {item["name"]: item["value"] for item in got}, broker.log("kafka")


def test_variables_become_properties():
    """Dots, underscores and dashes; bitnami's prefix; the JVM's variables are not needed; what is unknown is named once."""
    wanted = {"num.partitions": "4", "log.retention.hours": "11", "message.max.bytes": "600000"}
    got, log = effective({"KAFKA_NODE_ID": "7", "KAFKA_NUM_PARTITIONS": "4", "KAFKA_CFG_LOG_RETENTION_HOURS": "11", "KAFKA_MESSAGE_MAX_BYTES": "600000",
                          "KAFKA_HEAP_OPTS": "-Xmx1g", "KAFKA_NO_SUCH__THING___AT_ALL": "1"}, *wanted)
    equal(got, wanted, "settings")
    named = re.findall(r"unknown propert\w+ ignored: (.*)", log)
    equal(len(named), 1, f"warnings about what is unknown: {named}")
    equal(re.findall(r"not needed here, where there is no JVM: (\S+)", log), ["KAFKA_HEAP_OPTS"], "what is said of the JVM's variables")
    true("no.such_thing-at.all" in named[0] and "heap" not in named[0].lower(), f"what is unknown: {named[0]}")


@needs()
def test_the_script_that_boots_hosts_parses():
    """bash reads it with values of every kind; shellcheck is scripts/check's. How it finds the volume is in ec2/test_parts.py."""
    script = (TOP / "deploy/ec2/first-boot.sh").read_text()
    values = "node_id=1\nrack=zone-a\nhost=h.example.com\nvolume=vol-1\nvoters='1@h:9093'\npackage_url='https://example.com/?a=b&c=d'\n"
    subprocess.run(["bash", "-n"], input=values + script, text=True, check=True)
    true("nofail" in script, "the data volume is mounted with nofail")


@needs()
def test_an_upgrade_waits_for_no_cluster():
    """What the package's script asks of systemd: dpkg is locked until it answers, and a broker is active only once its cluster
    has a majority. `install` and the look for systemd are other ones here."""
    script = (TOP / "deploy/deb/postinst").read_text().replace("/run/systemd/system", "/")
    for before, state, asked in (("0.0.9", "active", ["daemon-reload", "stop naru.service", "--no-block start naru.service"]),
                                 ("0.0.9", "activating", ["daemon-reload", "stop naru.service", "--no-block start naru.service"]),
                                 ("0.0.9", "inactive", ["daemon-reload"]), ("0.0.9", "failed", ["daemon-reload"]), ("", "inactive", ["daemon-reload"])):
        stubs = f'systemctl() {{ if [ "$1" = show ]; then echo {state}; else echo "$@"; fi; }}; getent() {{ :; }}; install() {{ :; }}'
        done = subprocess.run(["sh", "-s", "configure", before], input=f"{stubs}\n{script}", capture_output=True, text=True, check=True)
        equal(done.stdout.splitlines(), asked, f"what systemd is asked for after {before or 'nothing'}, {state}")


@needs()
def test_a_purge_speaks_of_records_only_where_there_are_some():
    """A package that never ran leaves an empty directory, or one that has an empty one: they go, and nothing is said."""
    script = (TOP / "deploy/deb/postrm").read_text()
    for made, stays in (([], False), (["data"], False), (["data/orders-0"], True)):
        with tempfile.TemporaryDirectory(prefix="naru-purge-") as top:
            home = pathlib.Path(top, "naru")
            home.mkdir()
            for folder in made:
                (home / folder).mkdir(parents=True)
            told = script.replace("/var/lib/naru", str(home)).replace("/run/systemd/system", f"{top}/no-systemd")
            done = subprocess.run(["sh", "-s", "purge"], input=told, capture_output=True, text=True, check=True)
            equal((home.exists(), f"the records in {home} stay" in done.stderr), (stays, stays), f"what is left of {made}: {done.stderr}")


@needs()
def test_an_image_is_not_built_with_half_of_its_tools():
    """Where packages cannot be installed the step fails, or its layer would be used again and again. Programs of the system
    are other ones here: nothing is installed, and apt-get says so."""
    step = re.search(r'^RUN (\["bash", .*install_packages.*\])$', (TOP / "deploy/docker/Dockerfile").read_text(), re.M)[1]
    words = json.loads(step.replace("/var/lib/apt/lists", "lists"))
    with tempfile.TemporaryDirectory(prefix="naru-tools-") as top:
        shutil.copytree(TOP / "scripts/lib", pathlib.Path(top, "scripts/lib"))
        # A Boost that is there already: it must not be what notices that all the rest is missing.
        header = pathlib.Path(top, "build/boost/usr/include/boost/version.hpp")
        header.parent.mkdir(parents=True)
        header.write_text("#define BOOST_VERSION 108100\n")
        for name, code in (("apt-get", 100), ("dpkg-query", 1), ("sudo", 1)):
            stub = pathlib.Path(top, "bin", name)
            stub.parent.mkdir(exist_ok=True)
            stub.write_text(f"#!/bin/sh\nexit {code}\n")
            stub.chmod(0o755)
        done = subprocess.run(words, cwd=top, env=os.environ | {"PATH": f"{top}/bin:{os.environ['PATH']}"}, capture_output=True, text=True, check=False)
        true(done.returncode != 0, f"a step whose packages cannot be installed succeeds: {done.stderr[-1000:]}")


@needs()
def test_the_image_has_the_names_that_compose_files_call():
    """make-files makes them: links to the binary, under the paths of both images that this one stands in for."""
    with tempfile.TemporaryDirectory(prefix="naru-image-") as top:
        made = subprocess.run(["bash", "-c", f"chown() {{ :; }}; set -- {top} {top}/small; source {TOP}/deploy/docker/make-files"], capture_output=True,
                              text=True, check=False)
        equal(made.returncode, 0, f"make-files: {made.stderr}")
        links = subprocess.run(["find", top, "-lname", "/naru", "-printf", "%P\n"], capture_output=True, text=True, check=True).stdout.split()
    for tool in ("topics", "console-producer", "console-consumer", "consumer-groups", "configs", "broker-api-versions", "get-offsets", "metadata-quorum",
                 # Those that only say what does the job.
                 "reassign-partitions", "leader-election", "log-dirs", "run-class", "verifiable-producer"):
        for place in ("opt/kafka/bin", "usr/local/bin"):
            for name in (f"{place}/kafka-{tool}", f"{place}/kafka-{tool}.sh"):
                true(name in links, f"{name} is among {links}")
    for name in ("etc/kafka/docker/run", "etc/confluent/docker/run"):
        true(name in links, f"{name}, which starts a broker, is among {links}")
    true({"small/bin/sh", "small/bin/bash"} <= set(links) and "bin/sh" not in links, f"a shell's names, where there is no shell: {links}")
    paths = re.findall(r"^ENV PATH=(\S+)$", (TOP / "deploy/docker/Dockerfile").read_text(), re.M)
    true(len(paths) == 2 and all({"/opt/kafka/bin", "/usr/local/bin"} <= set(path.split(":")) for path in paths), f"where both images look for them: {paths}")


@needs()
def test_the_last_part_of_a_run_ends_before_the_run_has_to():
    function = re.search(r"^deploy_seconds\(\) \{.*?^\}", (TOP / "scripts/test").read_text(), re.S | re.M)[0]
    for minutes, elapsed, seconds in (("", 4000, 2400), ("85", 600, 2400), ("85", 4000, 1100), ("85", 6000, 60)):
        script = f"set -eu\nminutes={minutes}\nbegan=0\nSECONDS={elapsed}\n{function}\ndeploy_seconds"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        true(seconds - 5 <= int(done.stdout) <= seconds, f"seconds that are left of {minutes or 'any'} minutes after {elapsed} s: {done.stdout}{done.stderr}")


@needs()
def test_what_needs_no_engine_and_the_rest_are_all_tests():
    def listed(*words):
        done = subprocess.run([TOP / "tests/deploy/run", "--list", *words], capture_output=True, text=True, check=True)
        return [line.split()[0] for line in done.stdout.splitlines()]
    quick, rest = listed("--only", "quick"), listed("--only", "rest")
    equal(sorted(quick + rest), sorted(listed()), "both parts")
    true("docker.source.image_from_source" in rest and "plain.files.our_compose_file" in quick, f"{quick}, {rest}")
