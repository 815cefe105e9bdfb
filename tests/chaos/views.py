"""What a cluster says about itself while something is broken: asked of the brokers that can answer."""
import json

from naru_cluster import Failed


def others(cluster, *without):
    """The addresses of the brokers except these."""
    return ",".join(b.address for b in cluster.brokers if b.id not in without)


def described(cluster, topic, bootstrap=None):
    done = cluster.run("topic", "describe", topic, "-o", "json", "--timeout", "3s", bootstrap=bootstrap)
    if done.returncode != 0:
        raise Failed(f"topic describe {topic}: {done.stderr.strip()[:300]}")
    return {p["partition"]: p for p in json.loads(done.stdout)[0]["partition_list"]}


def living(cluster, without, topic):
    """The partitions of a topic as the brokers except `without` see them."""
    return described(cluster, topic, others(cluster, without))


def epochs(cluster, topic, bootstrap=None):
    return {n: p["leader_epoch"] for n, p in described(cluster, topic, bootstrap).items()}


def status_of(cluster, bootstrap=None):
    done = cluster.run("status", "-o", "json", "--timeout", "3s", bootstrap=bootstrap)
    if done.returncode not in (0, 10):
        raise Failed(f"naru status: {done.stderr.strip()[:300]}")
    return json.loads(done.stdout)


def terms(cluster, bootstrap=None):
    return status_of(cluster, bootstrap)["controller_epoch"]


def lines(broker, *words):
    """Lines of a broker's log that hold all the words."""
    return [line for line in broker.log().splitlines() if all(w in line for w in words)]


def is_kafka(cluster):
    return hasattr(cluster, "java")


def fenced_count(cluster):
    """How often a controller said that it fenced a broker."""
    words = ("Fencing broker",) if is_kafka(cluster) else ("controller]", "fenced")
    return sum(len(lines(b, *words)) for b in cluster.brokers)


def registrations(cluster, node_id):
    return len(lines(cluster[node_id], "session] registered"))


def takeover(cluster, victim):
    """Begin before the harm: a function that says whether a broker other than `victim` has become controller since."""
    survivors = [b for b in cluster.brokers if b.id != victim]
    # The status command waits for brokers that are silent; what the others write down does not.
    words = "ecoming the active controller" if is_kafka(cluster) else "active controller since"
    before = {b.id: len(lines(b, words)) for b in survivors}
    return lambda: any(len(lines(b, words)) > before[b.id] for b in survivors)
