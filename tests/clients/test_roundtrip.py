"""The round trip of README.md with every client, each through the death of a leader."""
from programs import round_trip
from support import equal
from toolchains import HERE, debian_python, go_clients, node_clients, venv_python

# For clients that are through with the usual number before anybody can kill a broker.
QUICK = 30000
# For those that are so on a machine where we are slow.
SOME = 9000


def python(name):
    return HERE / "python" / name


def no_duplicates(verdict):
    equal(verdict["duplicated"], 0, "duplicated by an idempotent producer")


def test_confluent_of_debian():
    no_duplicates(round_trip([debian_python("confluent_kafka"), python("confluent.py")], count=QUICK))


def test_confluent_newest():
    no_duplicates(round_trip([venv_python(), python("confluent.py")], count=QUICK))


def test_kafka_python_of_debian():
    round_trip([debian_python("kafka"), python("kafka_python.py")], count=SOME)  # it cannot be idempotent: it may repeat


def test_kafka_python_newest():
    round_trip([venv_python(), python("kafka_python.py")], count=SOME)


def test_aiokafka():
    no_duplicates(round_trip([venv_python(), python("aio.py")], count=SOME))


def test_franz_go():
    no_duplicates(round_trip([go_clients(), "-client", "franz"]))


def test_sarama():
    no_duplicates(round_trip([go_clients(), "-client", "sarama"]))


def test_sarama_speaking_kafka_1_0():
    round_trip([go_clients(), "-client", "sarama-1.0"])  # not idempotent: it may repeat


def test_kafka_go():
    round_trip([go_clients(), "-client", "kafka-go"])  # it cannot be idempotent: it may repeat


def test_kafkajs():
    node, folder = node_clients()
    no_duplicates(round_trip([node, folder / "roundtrip.js"], cwd=folder, count=SOME))
