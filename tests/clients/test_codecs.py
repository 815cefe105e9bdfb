"""Each codec from one client's producer to the other client's consumer: the bytes must be those of the format, not of a library."""
from naru_cluster import Cluster
from programs import no_warnings, run_program
from stored import CODECS, codecs_of
from support import equal
from toolchains import HERE, JAVA_2_8, JAVA_NEWEST, debian_python, java_classes, venv_python

COUNT = 500


def python(interpreter):
    return [interpreter, HERE / "python" / "codecs_trip.py"]


def java(version):
    return ["java", "-XX:TieredStopAtLevel=1", "-cp", java_classes(version), "naru.clients.Codecs"]


def exchange(clients):
    """Everybody produces with each codec, then everybody reads all of it."""
    with Cluster(3) as cluster:
        cluster.start()
        for name, command in clients.items():
            for codec in CODECS:
                cluster.naru("topic", "create", f"{name}-{codec}", "-p", 1, "-r", 3)
            run_program([*command, "produce", cluster.bootstrap, name, COUNT])
            for codec in CODECS:
                leader = cluster[cluster.leader(f"{name}-{codec}")]
                equal(codecs_of(leader, f"{name}-{codec}"), {codec}, f"what {name} had stored with {codec}")
        for command in clients.values():
            for name in clients:
                run_program([*command, "consume", cluster.bootstrap, name, COUNT])
        no_warnings(cluster)


def test_librdkafka_and_java():
    exchange({"java": java(JAVA_NEWEST), "librdkafka": python(venv_python())})


def test_librdkafka_of_debian_and_old_java():
    exchange({"java": java(JAVA_2_8), "librdkafka": python(debian_python("confluent_kafka"))})
