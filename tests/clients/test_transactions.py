"""Transactions are not there yet: a client that asks for them is told so at once and in words."""
from naru_cluster import Cluster
from programs import run_program
from support import true
from toolchains import HERE, JAVA_NEWEST, debian_python, java_classes, venv_python


def refused_clearly(*command):
    with Cluster(3) as cluster:
        cluster.start()
        said = run_program([*command, cluster.bootstrap])
        true(said.startswith("refused after "), f"it is refused: {said}")
        true("no transactions" in said, f"the message says why: {said}")
        true(int(said.split()[2]) < 10_000, f"it does not wait for long: {said}")


def test_confluent_of_debian():
    refused_clearly(debian_python("confluent_kafka"), HERE / "python" / "transactional.py")


def test_confluent_newest():
    refused_clearly(venv_python(), HERE / "python" / "transactional.py")


def test_java():
    refused_clearly("java", "-cp", java_classes(JAVA_NEWEST), "naru.clients.Transactional")
