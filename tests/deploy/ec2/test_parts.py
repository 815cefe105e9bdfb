"""Parts of deploy/ec2 by themselves, for what the stand-in accepts and AWS does not."""
import importlib.machinery
import importlib.util
import ipaddress
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from unittest import mock

from missing import TOP, needs
from support import equal, true

sys.path.insert(0, str(TOP / "deploy/ec2/lib"))
import deployment  # noqa: E402  (needs the path above)
import plan  # noqa: E402
import provision  # noqa: E402
import session  # noqa: E402

NEEDS = ()

CLIENTS = "198.19.128.0/20"


def template():
    """The resources of the stack; a function such as !Ref X is read as {"Ref": "X"}."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def function(loader, suffix, node):
        if isinstance(node, yaml.ScalarNode):
            return {suffix: loader.construct_scalar(node)}
        if isinstance(node, yaml.SequenceNode):
            return {suffix: loader.construct_sequence(node, deep=True)}
        return {suffix: loader.construct_mapping(node, deep=True)}

    Loader.add_multi_constructor("!", function)
    return yaml.load((TOP / "deploy/ec2/cloudformation.yaml").read_text(), Loader)


@needs("yaml")
def test_a_stack_is_where_it_is_told():
    """Not in the first three zones of the region: one of them may not have the instance type, or there are only two."""
    resources = template()["Resources"]
    for number in (1, 2, 3):
        zone = {"Ref": f"Zone{number}"}
        equal([resources[f"{kind}{number}"]["Properties"]["AvailabilityZone"] for kind in ("Subnet", "Volume")], [zone, zone],
              f"the zone of broker {number}")


@needs("yaml")
def test_a_stack_has_all_names_before_any_host():
    """Resolvers remember that there is no such name: the cluster would form a quarter of an hour late."""
    resources = template()["Resources"]
    names = [f"Name{number}" for number in (1, 2, 3)]
    for number, name in enumerate(names, 1):
        equal(sorted(set(resources[f"Broker{number}"]["DependsOn"]) & set(names)), names, f"names that broker {number} waits for")
        equal(resources[name]["Properties"]["ResourceRecords"], [{"Select": [number - 1, {"Ref": "Addresses"}]}], "the address, known before")
        equal(resources[f"Broker{number}"]["Properties"]["PrivateIpAddress"], resources[name]["Properties"]["ResourceRecords"][0], "its address")


@needs("yaml")
def test_a_stack_detaches_no_mounted_volume():
    """It is deleted in the reverse order of its creation, so an attachment of its own would go before the host does; AWS
    says of that resource that the volume must be unmounted first."""
    resources = template()["Resources"]
    equal([name for name, r in resources.items() if r["Type"] == "AWS::EC2::VolumeAttachment"], [], "attachments of their own")
    for number in (1, 2, 3):
        equal(resources[f"Broker{number}"]["Properties"]["Volumes"], [{"Device": "/dev/sdf", "VolumeId": {"Ref": f"Volume{number}"}}],
              f"the data volume of broker {number}")


@needs("yaml")
def test_all_of_a_stack_carries_its_tag():
    """All that can carry any: the rest are rules, routes, records, which are parts of something."""
    bare = {"VPCGatewayAttachment", "Route", "SubnetRouteTableAssociation", "SecurityGroupIngress", "RecordSet"}
    tag, checked = {"Key": "naru:cluster", "Value": {"Ref": "ClusterName"}}, 0
    for name, resource in template()["Resources"].items():
        if resource["Type"].rsplit("::", 1)[1] in bare:
            continue
        properties = resource["Properties"]
        found = properties.get("HostedZoneTags") or properties.get("Tags") or properties["TagSpecifications"][0]["Tags"]
        equal([t for t in found if t["Key"] == "naru:cluster"], [tag], f"the tag of {name}")
        checked += 1
    equal(checked, 15, "resources that carry tags")  # VPC, gateway, routes, group, zone, template; a subnet, volume and host three times


def test_the_system_volume_of_a_host_is_not_its_data_volume():
    """A stack gives it the tags of the host, the broker's number too; AWS lists volumes in any order."""
    def volume(name, *devices):
        return {"VolumeId": name, "State": "in-use" if devices else "available", "Attachments": [{"Device": d} for d in devices],
                "Tags": [{"Key": deployment.BROKER_TAG, "Value": "1"}]}
    system, data = volume("vol-system", "/dev/xvda"), volume("vol-data", "/dev/sdf")
    for listed in ([system, data], [data, system]):
        there = deployment.Deployment(Answers(describe_volumes={"Volumes": listed}), "naru")
        equal({n: v["VolumeId"] for n, v in there.volumes().items()}, {1: "vol-data"}, "the data volume")
    for one in (volume("vol-free"), volume("vol-elsewhere", "/dev/sdg")):
        there = deployment.Deployment(Answers(describe_volumes={"Volumes": [one]}), "naru")
        equal({n: v["VolumeId"] for n, v in there.volumes().items()}, {1: one["VolumeId"]}, "the only volume")


def test_a_host_that_replaces_another_is_not_taken_for_it():
    """It has the same private address, another key and another id; ssh refuses a host whose key is not the one it knows."""
    with tempfile.TemporaryDirectory(prefix="naru-ec2-home-") as home, mock.patch.dict(os.environ, {"HOME": home}):
        ssh = session.Ssh("key", "private")
        known = pathlib.Path(home, ".cache/naru-ec2/known_hosts")
        names = []
        for instance in ("i-1", "i-2"):
            words = ssh.words({"InstanceId": instance, "PrivateIpAddress": "10.42.1.10"})
            equal(words[-1], "admin@10.42.1.10", "where to")
            # What ssh itself makes of the options: the name by which it looks for the key.
            said = dict(line.split(" ", 1) for line in subprocess.run([words[0], "-G", *words[1:]], check=True, capture_output=True,
                                                                      text=True).stdout.splitlines() if " " in line)
            equal(said["userknownhostsfile"], str(known), "the file of known hosts")
            names.append(said["hostkeyalias"])
        equal(names, ["i-1", "i-2"], "names of the keys")


def functions_of_first_boot(*names):
    """The text of shell functions of first-boot.sh."""
    text = (TOP / "deploy/ec2/first-boot.sh").read_text()
    return "".join(re.search(rf"(?ms)^{name}\(\) \{{(.*?^\}}|.*? \}})$", text)[0] + "\n" for name in names)


def shell(script, **environment):
    done = subprocess.run(["bash", "-c", f"set -euo pipefail\n{script}"], capture_output=True, text=True, check=False, timeout=60,
                          env=os.environ | environment)
    equal(done.returncode, 0, f"exit code of {script}\n{done.stderr}")
    return done.stdout.splitlines()


def test_a_first_boot_waits_for_as_long_as_it_takes():
    """`up` that is repeated hours later attaches the volume to a host that still waits for it. Time is made to pass here:
    each pause is an hour."""
    with tempfile.TemporaryDirectory(prefix="naru-first-boot-") as top:
        wait_for = functions_of_first_boot("wait_for").replace("/run/", f"{top}/")
        said = shell(f"{functions_of_first_boot('say')}{wait_for}" + """
unset SECONDS; SECONDS=0; tries=0; disk=none
sleep() { SECONDS=$((SECONDS + 3600)); }
find() { tries=$((tries + 1)); echo "no disk, try $tries" >&2; [ $tries -gt 48 ] && disk=/dev/xvdf; }
wait_for "the volume" find
echo "$tries $disk"
""")
        equal(said[-1], "49 /dev/xvdf", "the disk, after two days")
        equal(len(said), 48, "what it says meanwhile")
        equal(said[-2], "naru first boot: for 169200 s waiting for the volume no disk, try 48", "what it says")


class Answers:
    """In place of AWS: what it says to a command, whatever its options are."""

    region = "us-east-1"

    def __init__(self, **answers):
        self.answers = answers

    def read(self, _, command, *__):
        return self.answers[command.replace("-", "_")]


def refused(call, *arguments):
    """What it says as it gives up."""
    try:
        call(*arguments)
    except SystemExit as ended:
        return str(ended)
    return None


def test_brokers_are_only_where_their_machine_is_offered():
    """us-east-1 has a zone without any current type, and an account may have a zone of another kind, or one that failed."""
    def aws(*offered):
        return Answers(describe_availability_zones={"AvailabilityZones": [{"ZoneName": f"us-east-1{z}"} for z in "fbdca"]},
                       describe_instance_type_offerings={"InstanceTypeOfferings": [{"Location": z} for z in offered]})
    zones = plan.zones_for(aws("us-east-1f", "us-east-1-bos-1a", "us-east-1d", "us-east-1b", "us-east-1e"), "t3.medium")
    equal(zones, ["us-east-1b", "us-east-1d", "us-east-1f"], "zones that are available and have the type")
    equal(refused(plan.zones_for, aws("us-east-1e"), "t3.medium"), "no availability zone of us-east-1 has t3.medium now", "nowhere")
    network = ipaddress.ip_network("10.42.0.0/16")
    equal([(b.zone, b.address) for b in plan.place_in_own(["a", "b", "c", "d"], network, ["z1", "z2", "z3"], {})],
          [("z1", "10.42.1.10"), ("z2", "10.42.2.10"), ("z3", "10.42.3.10"), ("z1", "10.42.4.10")], "places")
    equal([b.zone for b in plan.place_in_own(["a", "b", "c"], network, ["z2", "z3"], {1: "z1", 2: "z2"})], ["z1", "z2", "z2"],
          "places while a zone of three has failed: what is there stays")


def test_a_new_host_gets_the_address_of_the_one_that_is_going():
    """`up` waits until that is gone before it makes another; its name leads to the same address then, as it did before."""
    def interface(address, instance=None):
        attached = {"Attachment": {"InstanceId": instance}} if instance else {}
        return {"PrivateIpAddresses": [{"PrivateIpAddress": address}], **attached}
    subnet = {"SubnetId": "subnet-1", "VpcId": "vpc-1", "AvailabilityZone": "z1", "CidrBlock": "10.0.0.0/24"}
    aws = Answers(describe_subnets={"Subnets": [subnet]}, describe_network_interfaces={"NetworkInterfaces": [
        interface("10.0.0.10", "i-1"), interface("10.0.0.11", "i-2"), interface("10.0.0.12", "i-mine"), interface("10.0.0.13")]})
    lives = {1: {"PrivateIpAddress": "10.0.0.10"}}

    def placed(going):
        return [b.address for b in plan.place_in_given(aws, ["a", "b", "c"], ["subnet-1"], [], lives, going)[0]]
    equal(placed(["i-2"]), ["10.0.0.10", "10.0.0.11", "10.0.0.14"], "addresses while the second host is going")
    equal(placed([]), ["10.0.0.10", "10.0.0.14", "10.0.0.15"], "addresses while nobody is")


def test_a_zone_that_cannot_have_the_names_is_refused_at_once():
    """Of another domain, or of another network: there the brokers would wait for each other's names for ever."""
    def said(domain, vpc, name="foo.bar.", private=True, own="vpc-1"):
        zone = {"HostedZone": {"Name": name, "Config": {"PrivateZone": private}}} | ({"VPCs": [{"VPCId": own}]} if private else {})
        return refused(plan.refuse_zone, Answers(get_hosted_zone=zone), "Z1", domain, vpc)
    for well in (("foo.bar", "vpc-1"), ("a.foo.bar", "vpc-1"), ("Foo.bar", "vpc-1"), ("foo.bar", None, "foo.bar.", False)):
        equal(said(*well), None, f"what is said of {well}")
    for domain in ("bar", "foo.bar.com", "xfoo.bar"):
        equal(said(domain, "vpc-1"), f"--zone-id Z1 is the zone foo.bar, where no host of --domain {domain} can be", "another domain")
    true("name --subnets" in (said("foo.bar", None) or ""), "a network that is only made now")
    other = said("foo.bar", "vpc-2") or ""
    true(other.endswith("associate-vpc-with-hosted-zone --hosted-zone-id Z1 --vpc VPCRegion=us-east-1,VPCId=vpc-2"), f"another network: {other}")


def test_names_of_somebody_else_are_left_alone():
    """In a zone of the user's: a second cluster with the names of the first would take its clients, and its brokers, away."""
    there = {"peter-kafka01.foo.bar": {"Name": "peter-kafka01.foo.bar."}}
    equal(refused(plan.refuse_names_of_others, "Z1", there, ["peter-kafka01.foo.bar"]), None, "names of its own")
    equal(refused(plan.refuse_names_of_others, "Z1", {}, []), None, "no names")
    equal(refused(plan.refuse_names_of_others, "Z1", there, []), "--zone-id Z1 has peter-kafka01.foo.bar already, and not of this cluster: "
          "--hosts or --domain, or delete them there", "a name of another")


def test_names_that_no_tag_holds_are_refused_at_once():
    names = [f"{'long' * 7}{n}.foo.bar" for n in range(7)]  # 37 characters each
    equal(refused(plan.refuse_long_names, names[:6]), None, "what is said of 227 characters")
    true("265 characters" in (refused(plan.refuse_long_names, names) or ""), "265 characters")
    equal(plan.all_names(["a", "x"], ["a", "b", "c"]), ["a", "x", "c", "b"], "those that are asked for, and those from before")


def found_disk(volume, serials, disks):
    """What find_disk says, with the serial number of each NVMe disk, and the lines that lsblk has of each disk in /dev:
    more than one are partitions, a word after the name is where it is mounted."""
    with tempfile.TemporaryDirectory(prefix="naru-disks-") as top:
        for name, serial in serials.items():
            pathlib.Path(top, "sys/block", name, "device").mkdir(parents=True)
            pathlib.Path(top, "sys/block", name, "device/serial").write_text(serial)
        pathlib.Path(top, "dev").mkdir()
        for name, lines in disks.items():
            pathlib.Path(top, "dev", name).write_text("".join(f"{line}\n" for line in lines))
        code = functions_of_first_boot("is_disk", "find_disk").replace("-b ", "-f ")
        said = shell(f"""{code}
lsblk() {{ if [ "$2" = NAME ]; then cat "$3"; else awk '{{print $2}}' "$3"; fi; }}
sys={top}/sys dev={top}/dev volume={volume}
if find_disk; then echo "$disk"; else echo none; fi""")
        equal(len(said), 1, f"lines of {said}")
        return said[0].replace(f"{top}/dev/", "")


def test_the_data_volume_is_found_among_all_disks():
    """By its id on NVMe, whatever order the disks come in; by the name that Xen gives it; without an id the only idle disk."""
    system = ["nvme0n1", "nvme0n1p1 /", "nvme0n1p15 /boot/efi"]
    serials = {"nvme0n1": "vol0aaa             \n", "nvme1n1": "vol0bbb\n", "nvme2n1": "vol0ccc\n"}
    idle = {"nvme0n1": system, "nvme1n1": ["nvme1n1"], "nvme2n1": ["nvme2n1"]}
    equal(found_disk("vol-0bbb", serials, idle), "nvme1n1", "by its id")
    equal(found_disk("vol-0ccc", serials, idle), "nvme2n1", "by its id, the last")
    equal(found_disk("vol-0ddd", serials, idle), "none", "a volume that is not attached yet: no other disk is taken for it")
    equal(found_disk("vol-0ddd", {}, {"xvda": ["xvda", "xvda1 /"], "xvdf": ["xvdf"]}), "xvdf", "by its name where there is no NVMe")
    equal(found_disk("vol-0ddd", {}, {"xvda": ["xvda", "xvda1 /"]}), "none", "not attached yet, where there is no NVMe")
    one = {"nvme0n1": system, "nvme1n1": ["nvme1n1"]}
    equal(found_disk("", serials, one), "nvme1n1", "without an id: the one that is idle")
    equal(found_disk("", serials, idle), "none", "without an id: two are idle, none is taken")
    equal(found_disk("", serials, {"nvme0n1": system, "nvme1n1": ["nvme1n1 /srv"]}), "none", "without an id: the other one is mounted")
    equal(found_disk("", serials, {"nvme0n1": ["nvme0n1"], "nvme1n1": system}), "nvme0n1", "without an id: the system is on the second")


def test_only_an_empty_disk_is_formatted():
    """By real blkid and mkfs, in files: nothing on it, a file system, and signatures of two kinds, of which blkid is not sure."""
    code = functions_of_first_boot("say", "make_file_system")
    with tempfile.TemporaryDirectory(prefix="naru-disks-") as top:
        def tried(name, first=""):
            disk = pathlib.Path(top, name)
            before = disk.read_bytes()
            said = shell(f"{code}\nPATH=$PATH:/sbin:/usr/sbin; {first} disk={disk}; if make_file_system; then echo well; else echo badly; fi")
            return said[-1], "".join(said[:-1]).removeprefix("naru first boot: ").replace(str(disk), "it"), disk.read_bytes() != before
        make = f"PATH=$PATH:/sbin:/usr/sbin; cd {top}; truncate -s 32M empty full both unread; mkfs.ext4 -q full; mkfs.ext4 -q both"
        # The signature of another kind before ext4's own.
        shell(f"{make}; printf -- -rom1fs- | dd of=both conv=notrunc status=none; blkid -p both || test $? = 8")
        equal(tried("empty"), ("well", "", True), "an empty disk")
        equal(tried("full"), ("well", "it has a file system: its data is kept", False), "a file system")
        equal(tried("empty"), ("well", "it has a file system: its data is kept", False), "the one that was made")
        equal(tried("both"), ("badly", "blkid says 8 of it, which may hold data: it is not formatted", False), "two signatures")
        equal(tried("unread", "dd() { return 1; };"), ("badly", "it cannot be read: it is not formatted", False),
              "of which blkid says the same as of an empty one")


def test_names_of_clusters():
    """What AWS takes for a pattern, or S3 refuses in the name of a bucket, is refused before anything is asked or made."""
    for name in ("naru", "n", "7", "a-1", "a" * 26):
        equal(refused(session.check_name, name), None, f"what is said of {name}")
    for name in ("", "naru*", "nar?", "naru,other", "Naru", "na_ru", "na ru", "-naru", "naru-", "a" * 27, "naru\n"):
        equal(refused(session.check_name, name), f"--name {name}: 1 to 26 small letters, digits and hyphens, no hyphen first or last",
              f"what is said of {name}")
    for command in (["up", "--package", "x", "--client-cidr", CLIENTS], ["down"], ["status"], ["failover-demo", "--identity", "x"]):
        done = subprocess.run([str(TOP / "deploy/ec2" / command[0]), *command[1:], "--name", "naru*"], capture_output=True, text=True,
                              check=False)
        equal((done.returncode, done.stderr[:13]), (1, "--name naru*:"), f"deploy/ec2/{command[0]}")


def test_options_that_cannot_be_are_refused_at_once():
    """Before AWS is asked for anything: there is none here."""
    for options, said in ((["--client-cidr", "::/0"], "::/0: IPv4 only"), (["--client-cidr", "10.0.0.1/8"], "has host bits set"),
                          (["--ssh-cidr", "anybody"], "anybody:"), (["--client-cidr", CLIENTS, "--set", "node.id=9"], "node.id is of each broker"),
                          (["--client-cidr", CLIENTS, "--set", "log.dirs =/tmp"], "log.dirs is of each broker"),
                          (["--client-cidr", CLIENTS, "--set", "log.dirs"], "must be NAME=VALUE")):
        more = [] if "--client-cidr" in options else ["--client-cidr", CLIENTS]
        done = subprocess.run([str(TOP / "deploy/ec2/up"), "--package", "x", *more, *options], capture_output=True, text=True, check=False)
        equal((done.returncode, said in done.stderr), (2, True), f"{options}: {done.stderr}")


def test_a_question_that_is_not_answered_is_a_no():
    for answer in (EOFError(), "", "n", "nay"):
        with mock.patch("sys.stdin.isatty", return_value=True), mock.patch("builtins.input", side_effect=[answer]):
            equal(refused(session.confirm, "Do it?", mock.Mock(yes=False)), "nothing was done", f"after {answer!r}")


def test_rules_for_other_ports_are_the_users():
    """Such as that of the page: `up` takes away only what it would have made."""
    def rule(protocol="tcp", **more):
        return {"IpProtocol": protocol, "IpRanges": [{"CidrIp": CLIENTS}], "UserIdGroupPairs": [], **more}
    permissions = [rule(FromPort=9092, ToPort=9092), rule(FromPort=9644, ToPort=9644), rule(FromPort=22, ToPort=22), rule(protocol="-1"),
                   rule(FromPort=9092, ToPort=9093), rule(protocol="udp", FromPort=9093, ToPort=9093)]
    equal(provision.Provision._present_rules(permissions), {(9092, CLIENTS), (22, CLIENTS)}, "rules that are those of `up`")


class Hosts:
    """In place of a deployment: one broker, and what is called of the rest of AWS."""

    def __init__(self, going, attached_to):
        self.leaving = going
        self.attached_to = attached_to
        self.called = []
        self.dry_run = False

    def change(self, *words, **_):
        self.called.append([w for w in words if w != "ec2"][:2])
        if "instance-terminated" in words:
            self.leaving, self.attached_to = [], None
        return {"Instances": [{"InstanceId": "i-new"}]}

    def going(self):
        return self.leaving

    def instances(self):
        return {}

    def marked(self, **more):
        return more

    def volumes(self):
        return {1: {"VolumeId": "vol-1", "Attachments": [{"InstanceId": self.attached_to, "State": "attached"}] if self.attached_to else []}}


def up_for_a_lost_host(hosts):
    broker = plan.Broker(1, "a.foo.bar", "z1", "10.42.1.10", None)
    wanted = mock.Mock(brokers=[broker], package=plan.Package(None, "https://example.com/x", "0" * 64, "x"), voters="", settings=[],
                       image="ami-1", instance_type="t3.medium", public_addresses=False)
    wanted.name = "naru"
    provision.Provision(hosts, hosts, wanted).instances({1: "subnet-1"}, "sg-1", None)


def test_a_host_that_is_going_has_its_volume_until_it_is_gone():
    """Taken for attached, the volume would not be attached to the new host, which has no broker then."""
    hosts = Hosts(["i-old"], "i-old")
    up_for_a_lost_host(hosts)
    equal(hosts.called, [["wait", "instance-terminated"], ["run-instances", "--count"], ["wait", "instance-running"],
                         ["wait", "volume-available"], ["attach-volume", "--volume-id"]], "calls, in this order")
    hosts = Hosts([], "i-mine")
    equal((refused(up_for_a_lost_host, hosts), hosts.called), ("the data volume of broker 1 is attached to i-mine, which is not its host: "
          "detach it there, then run this again", []), "a volume that another host has, before one is made")


def failover_demo():
    """deploy/ec2/failover-demo as a module, not run."""
    loader = importlib.machinery.SourceFileLoader("ec2_failover_demo", str(TOP / "deploy/ec2/failover-demo"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    with mock.patch("session.main"):
        loader.exec_module(module)
    return module


class Switched:
    """In place of a cluster: what EC2 says of a host's state each time it is asked."""

    def __init__(self, *states):
        self.states = list(states)
        self.called = []
        self.aws = self.there = self

    def state(self, _):
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def change(self, _, command, *__):
        self.called.append(command)
        if command == "start-instances":
            self.states = ["pending", "running"]

    def instances(self):
        return {1: {"InstanceId": "i-1"}}


def test_a_demo_that_is_interrupted_switches_the_host_on_again():
    """Ctrl-C while it is off, or on its way: it does not stay so, and nobody waits for what does not come."""
    demo = failover_demo()
    for states, called in ((["stopping", "stopping", "stopped"], ["stop-instances", "start-instances"]),
                           (["running"], ["stop-instances"]), (["pending", "running"], ["stop-instances"])):
        there = Switched(*states)
        broker = demo.HostBroker(there, 1, "a.foo.bar", {"InstanceId": "i-1"})
        broker.switch_off()
        tidied = mock.Mock(brokers=[broker])
        with mock.patch.object(demo.time, "sleep"):
            demo.HostCluster.tidy(tidied)
        equal((there.called, broker.running), (called, True), f"calls for a host that is {states}")
        equal(tidied.run.call_args.args, ("topic", "delete", demo.TOPIC, "--keep", "0", "--yes"), "the topic of the demo")
