"""Hosts that do what the API says: for each running instance a container with systemd, sshd and cloud-init that has the
instance's private address, key pair, user data, data volumes and the names of its private zone.

`Machines` follows the API in a thread of its own, so that a script that starts, stops or terminates instances finds them
so. A forced stop is a power cut (SIGKILL to everything); volumes outlive their hosts. Needs root (loop devices) and a
Docker engine on this machine. Not emulated: security groups, the metadata service, the time an instance takes.
"""
import base64
import json
import os
import pathlib
import subprocess
import threading
import traceback

from missing import Missing, need_docker
from naru_cluster import Failed, wait_until

HERE = pathlib.Path(__file__).resolve().parent
IMAGE = "naru-ec2-host"
LABEL = "naru.ec2.test"


def docker(*words, check=True, timeout=600, text_in=None):
    done = subprocess.run(["docker", *map(str, words)], capture_output=True, text=True, check=False, timeout=timeout, input=text_in)
    if check and done.returncode != 0:
        raise Failed(f"docker {' '.join(map(str, words[:3]))}: {(done.stderr or done.stdout).strip()[-1500:]}")
    return done.stdout.strip()


def require_docker():
    """Skips the test, saying what is missing, unless hosts can be booted here."""
    need_docker()
    if os.geteuid() != 0:
        raise Missing("booting hosts needs root (loop devices, privileged containers)")
    docker("build", "-q", "-t", IMAGE, HERE / "host")


def gateway():
    """An address of this machine that containers reach."""
    return docker("network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}")


def tags(item):
    return {t["Key"]: t["Value"] for t in item.get("Tags", [])}


def inside(container, *words, check=True, timeout=120):
    return docker("exec", container, *words, check=check, timeout=timeout)


class Machines:
    def __init__(self, ec2):
        self.ec2 = ec2
        self.dir = ec2.dir / "machines"
        self.api = ec2.client("ec2")
        self.loops = {}
        self.networks = set()
        self.known = {}     # instance id to the devices that its host has
        self.dark = set()   # containers whose power was cut by hand
        self.trouble = None
        self.end = threading.Event()
        self.thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self):
        self.dir.mkdir()
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.end.set()
        self.thread.join()
        for instance in list(self.known):
            if kind is not None and os.environ.get("NARU_EC2_SHOW"):
                print(inside(self.container(instance), "tail", "-40", "/var/log/cloud-init-output.log", check=False))
            docker("rm", "-fv", self.container(instance), check=False)
        for network in self.networks:
            docker("network", "rm", network, check=False)
        for loop in self.loops.values():
            subprocess.run(["losetup", "-d", loop], check=False)

    @staticmethod
    def container(instance):
        return f"{LABEL}-{instance}"

    # Following the API -----------------------------------------------------------------------------------------------

    def _follow(self):
        while not self.end.wait(0.5):
            try:
                for reservation in self.api.describe_instances()["Reservations"]:
                    for instance in reservation["Instances"]:
                        self._make_so(instance)
            except Exception as failure:
                self.trouble = failure
                traceback.print_exc()
                return

    def _make_so(self, instance):
        name, wanted = instance["InstanceId"], instance["State"]["Name"]
        if wanted in ("running", "pending"):
            if name not in self.known:
                self._boot(instance)
            elif self.container(name) not in self.dark and self._state(name) != "running":
                docker("start", self.container(name))
            self._attach(instance)
        elif name in self.known and wanted in ("stopped", "stopping") and self._state(name) == "running":
            docker("kill", self.container(name))
        elif name in self.known and wanted in ("terminated", "shutting-down"):
            docker("rm", "-fv", self.container(name))
            del self.known[name]

    def _state(self, instance):
        return docker("inspect", "-f", "{{.State.Status}}", self.container(instance))

    def _network(self, instance):
        vpc = self.api.describe_vpcs(VpcIds=[instance["VpcId"]])["Vpcs"][0]
        network = f"{LABEL}-{vpc['VpcId']}"
        if network not in self.networks:
            docker("network", "create", "--label", LABEL, "--subnet", vpc["CidrBlock"], network)
            self.networks.add(network)
        return network

    def _names(self):
        route53 = self.ec2.client("route53")
        for zone in route53.list_hosted_zones()["HostedZones"]:
            for record in route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]:
                if record["Type"] == "A":
                    yield f"{record['Name'].rstrip('.')}:{record['ResourceRecords'][0]['Value']}"

    def _seed(self, instance):
        seed = self.dir / instance["InstanceId"]
        seed.mkdir(exist_ok=True)
        given = self.api.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")["UserData"].get("Value", "")
        (seed / "user-data").write_bytes(base64.b64decode(given) or b"#cloud-config\n{}\n")
        meta = {"instance-id": instance["InstanceId"], "local-hostname": "ip-" + instance["PrivateIpAddress"].replace(".", "-")}
        if instance.get("KeyName"):
            pair = self.api.describe_key_pairs(KeyNames=[instance["KeyName"]], IncludePublicKey=True)["KeyPairs"][0]
            meta["public-keys"] = [pair["PublicKey"]]
        (seed / "meta-data").write_text(json.dumps(meta))
        (seed / "devices").touch()
        return seed

    def _boot(self, instance):
        seed = self._seed(instance)
        words = ["run", "-d", "--name", self.container(instance["InstanceId"]), "--label", LABEL, "--privileged", "--cgroupns=private",
                 "--hostname", "ip-" + instance["PrivateIpAddress"].replace(".", "-"), "--tmpfs", "/run", "--tmpfs", "/tmp:exec",
                 "--network", self._network(instance), "--ip", instance["PrivateIpAddress"], "-v", f"{seed}:/var/lib/cloud/seed/nocloud:ro"]
        for name in self._names():
            words += ["--add-host", name]
        docker(*words, IMAGE)
        self.known[instance["InstanceId"]] = set()

    def _loop(self, volume):
        """A sparse file behind a loop device, which outlives any host."""
        if volume["VolumeId"] not in self.loops:
            image = self.dir / f"{volume['VolumeId']}.img"
            with open(image, "wb") as made:
                made.truncate(volume["Size"] << 30)
            self.loops[volume["VolumeId"]] = subprocess.run(["losetup", "--find", "--show", str(image)], check=True, capture_output=True,
                                                            text=True).stdout.strip()
        return self.loops[volume["VolumeId"]]

    def _attach(self, instance):
        """A volume appears while the host runs; at a later boot it is there from the start (attach-devices.service)."""
        name = instance["InstanceId"]
        for mapping in instance.get("BlockDeviceMappings", []):
            if mapping["DeviceName"] == instance.get("RootDeviceName") or mapping["DeviceName"] in self.known[name]:
                continue
            volume = self.api.describe_volumes(VolumeIds=[mapping["Ebs"]["VolumeId"]])["Volumes"][0]
            number = os.stat(self._loop(volume)).st_rdev
            device = mapping["DeviceName"].replace("/dev/sd", "/dev/xvd")
            with open(self.dir / name / "devices", "a", encoding="utf-8") as devices:
                devices.write(f"{device} {os.major(number)} {os.minor(number)}\n")
            inside(self.container(name), "sh", "/usr/local/sbin/attach-devices")
            self.known[name].add(mapping["DeviceName"])

    # By hand ---------------------------------------------------------------------------------------------------------

    def of_broker(self, number):
        for reservation in self.api.describe_instances()["Reservations"]:
            for instance in reservation["Instances"]:
                if instance["State"]["Name"] == "running" and tags(instance).get("naru:broker") == str(number):
                    return self.container(instance["InstanceId"])
        raise Failed(f"broker {number} has no running instance")

    def cut_power(self, number):
        container = self.of_broker(number)
        self.dark.add(container)
        docker("kill", container)
        return container

    def power_on(self, container):
        docker("start", container)
        self.dark.discard(container)

    def wait_booted(self, number, timeout=600):
        """Until cloud-init is done with the user data; fails with its output if that failed."""
        def booted():
            if self.trouble:
                raise SystemExit(f"the stand-in for machines failed: {self.trouble}")
            said = inside(self.of_broker(number), "cloud-init", "status", check=False)
            if "error" in said:
                log = inside(self.of_broker(number), "tail", "-30", "/var/log/cloud-init-output.log", check=False)
                raise SystemExit(f"the first boot of broker {number} failed:\n{log}")
            if "done" not in said:
                raise Failed(f"cloud-init says: {said}")
            return True
        wait_until(booted, f"the first boot of broker {number}", timeout, pause=1)
