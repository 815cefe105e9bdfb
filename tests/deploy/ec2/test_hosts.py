"""deploy/ec2/up to a working cluster: the instances boot as hosts, run their user data, lose power under load, are replaced."""
import json
import os
import subprocess
import sys
from unittest import mock

from hosts import Machines, gateway, inside, require_docker
from missing import TOP
from naru_cluster import Failed, wait_until
from package import package
from stand_in import StandIn
from support import equal, true

sys.path.insert(0, str(TOP / "deploy/ec2/lib"))
import session  # noqa: E402  (needs the path above)

NEEDS = ("engine", "root", "moto", "package")

NETWORK = "198.19.128.0/20"
HOSTS = [f"peter-kafka0{n}.foo.bar" for n in (1, 2, 3)]


class Given:
    """What a user has: a key, and the words that repeat."""

    def __init__(self, ec2):
        self.ec2 = ec2
        self.key = ec2.dir / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(self.key)], check=True)
        self.inside = ["--identity", str(self.key), "--via", "private"]

    def up(self):
        return self.ec2.run("deploy/ec2/up", "--package", package(), "--client-cidr", NETWORK, "--ssh-cidr", NETWORK, "--network", NETWORK,
                            "--public-key", f"{self.key}.pub", "--volume-size", "4", "--set", "naru.disk.reserve.bytes=104857600", "--yes",
                            *self.inside)


def naru(machines, broker, *words, check=True):
    """Without -b: the command asks localhost."""
    return inside(machines.of_broker(broker), "naru", *words, check=check)


def test_a_cluster_from_first_boot_to_the_end():
    require_docker()
    with StandIn(reachable_at=gateway()) as ec2:
        before = ec2.everything()
        given = Given(ec2)
        with Machines(ec2) as machines:
            given.up()
            for number in (1, 2, 3):
                machines.wait_booted(number)
            check_cluster(machines)
            check_hosts(machines)
            check_status(ec2, given)
            check_demo(ec2, given)
            check_power_cut(machines)
            check_a_lost_host(ec2, machines, given)
            ec2.run("deploy/ec2/down", "--yes")
            wait_until(lambda: not machines.known, "the hosts to be gone", 60)
        equal(ec2.everything(), before, "what is left is what was there")


def check_cluster(machines):
    naru(machines, 1, "topic", "create", "orders", "-p", "6")
    status = json.loads(naru(machines, 2, "status", "-o", "json"))
    equal(sorted(b["id"] for b in status["brokers"]), [1, 2, 3], "brokers")
    described = json.loads(naru(machines, 3, "topic", "describe", "orders", "-o", "json"))[0]
    equal(described["replicas"], 3, "copies of each partition")
    subprocess.run(["docker", "exec", "-i", machines.of_broker(1), "naru", "produce", "orders", "-b", f"{HOSTS[1]}:9092"], check=True,
                   input="".join(f"line {n}\n" for n in range(1000)), text=True, timeout=60)
    equal(len(naru(machines, 3, "consume", "orders", "-e").splitlines()), 1000, "records consumed")


def check_hosts(machines):
    zones = set()
    for number, host in enumerate(HOSTS, 1):
        machine = machines.of_broker(number)
        equal(inside(machine, "hostname"), host, "the host's name")
        equal(inside(machine, "findmnt", "-no", "SOURCE,FSTYPE", "/data").split(), ["/dev/xvdf", "ext4"], "what is mounted at /data")
        fstab = [line.split() for line in inside(machine, "cat", "/etc/fstab").splitlines() if " /data " in line]
        true(len(fstab) == 1 and "nofail" in fstab[0][3].split(","), f"fstab: {fstab}")
        directories = inside(machine, "ls", "/data/kafka-logs").split()
        true({f"orders-{n}" for n in range(6)} <= set(directories), f"partitions in /data/kafka-logs: {directories}")
        equal(inside(machine, "systemctl", "is-enabled", "naru"), "enabled", "the unit")
        properties = dict(line.split("=", 1) for line in inside(machine, "cat", "/etc/naru/server.properties").splitlines()
                          if "=" in line and not line.startswith("#"))
        equal((properties["node.id"], properties["advertised.listeners"]), (str(number), f"PLAINTEXT://{host}:9092"), "configuration")
        zones.add(properties["broker.rack"])
    equal(len(zones), 3, "racks")


def check_status(ec2, given):
    said = ec2.run("deploy/ec2/status", *given.inside).stdout
    for word in (*HOSTS, "running", "in-use", "healthy"):
        true(word in said, f"{word} is in the status:\n{said}")
    done = given.up()
    equal([line for line in done.stderr.splitlines() if line.startswith("+ ") and " wait " not in line], [], "what a second run changes")


def check_demo(ec2, given):
    """A leader's process killed, then the controller's host switched off and on, under load; nothing lost."""
    done = ec2.run("deploy/ec2/failover-demo", *given.inside, "--json", "--html", ec2.dir / "page.html", "--yes", "--rate", "50",
                   "--seconds", "1", timeout=900)
    report = json.loads(done.stdout.splitlines()[-1])
    true(report["passed"], f"{report['reasons']}\n{done.stderr[-2000:]}")
    equal(report["verdict"]["anomalies"]["lost"], 0, "records lost")
    equal([k["kill"] for k in report["kills"]], ["the process of a leader", "the controller's whole host"], "crashes")
    true("PASS" in (ec2.dir / "page.html").read_text(), "the page says so")
    power = report["kills"][1]
    true(power["after"]["controller"] != power["broker"], f"another controller took over: {power}")


def check_power_cut(machines):
    """A host that loses power comes back by itself: its volume mounted, its broker in the cluster, its records there."""
    machine = machines.cut_power(3)
    naru(machines, 1, "produce", "orders", check=False)  # nothing to send; the two others answer
    machines.power_on(machine)

    def whole():
        return "orders" not in naru(machines, 1, "topic", "list", "--problems", "-o", "name") and \
            inside(machine, "systemctl", "is-active", "naru", check=False) == "active"
    wait_until(whole, "the host to be back in the cluster", 120, pause=0.5)
    equal(inside(machine, "findmnt", "-no", "FSTYPE", "/data"), "ext4", "what is mounted at /data after the power cut")
    equal(len(naru(machines, 3, "consume", "orders", "-e").splitlines()), 1000, "records consumed")


def check_a_lost_host(ec2, machines, given):
    """An instance that is gone for good: `up` makes another, which finds the data volume with all records."""
    lost = machines.of_broker(2)
    identity = inside(lost, "cat", "/data/kafka-logs/meta.properties")
    gone = next(i for i in machines.known if machines.container(i) == lost)
    # As if the broker's user had another number there: another image may have one system user more.
    inside(lost, "systemctl", "stop", "naru")
    inside(lost, "chown", "-R", "4711:4711", "/data/kafka-logs")
    ec2.client("ec2").terminate_instances(InstanceIds=[gone])
    wait_until(lambda: gone not in machines.known, "the host to be gone", 60)
    given.up()
    machines.wait_booted(2)
    if machines.of_broker(2) == lost:
        raise Failed("it is the same host")
    equal(inside(machines.of_broker(2), "cat", "/data/kafka-logs/meta.properties"), identity, "the directory of the lost host")
    said = inside(machines.of_broker(2), "cat", "/var/log/cloud-init-output.log")
    true("its data is kept" in said, f"the volume was not formatted:\n{said[-1500:]}")
    wait_until(lambda: "orders" not in naru(machines, 1, "topic", "list", "--problems", "-o", "name"), "all replicas in sync", 120, pause=0.5)
    check_log_in(ec2, given)


def check_log_in(ec2, given):
    """As the scripts do, to the new host at the old one's address."""
    for reservation in ec2.client("ec2").describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            if instance["State"]["Name"] == "running":
                with mock.patch.dict(os.environ, {"HOME": ec2.environment["HOME"]}):
                    done = session.Ssh(given.key, "private").run(instance, "hostname")
                equal((done.returncode, done.stderr), (0, ""), f"ssh to {instance['InstanceId']}")
