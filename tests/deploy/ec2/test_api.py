"""deploy/ec2/up, status and down against the API: what they create, repeat, go on with after a failure, and delete."""
import base64
import json
import pathlib
import subprocess
import urllib.request

from missing import TOP, slow
from naru_cluster import Failed
from stand_in import REGION, StandIn
from support import equal, true

NEEDS = ("moto",)

CLIENTS = "198.19.128.0/20"
HOSTS = ["peter-kafka01.foo.bar", "peter-kafka02.foo.bar", "peter-kafka03.foo.bar"]
ADDRESSES = ["198.19.129.10", "198.19.130.10", "198.19.131.10"]


def some_package(ec2, name="naru_0.1.0_amd64.deb"):
    """Bytes: nobody installs them here."""
    path = ec2.dir / name
    path.write_bytes(b"a package for the tests of the API\n")
    return path


def public_key(ec2):
    key = ec2.dir / "key"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(key)], check=True)
    return ec2.dir / "key.pub"


def up_words(ec2, *more):
    return ["deploy/ec2/up", "--package", some_package(ec2), "--client-cidr", CLIENTS, "--network", "198.19.128.0/20", "--public-key",
            public_key(ec2), "--ssh-cidr", CLIENTS, "--yes", *more]


def instances(ec2, name="naru"):
    listed = ec2.client("ec2").describe_instances(Filters=[{"Name": "tag:naru:cluster", "Values": [name]},
                                                           {"Name": "instance-state-name", "Values": ["pending", "running", "stopped"]}])
    found = [i for r in listed["Reservations"] for i in r["Instances"]]
    return sorted(found, key=lambda i: tags(i)["naru:broker"])


def tags(item):
    return {t["Key"]: t["Value"] for t in item.get("Tags", [])}


def user_data(ec2, instance):
    value = ec2.client("ec2").describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")["UserData"]["Value"]
    return base64.b64decode(value).decode()


def test_what_up_creates():
    with StandIn() as ec2:
        done = ec2.run(*up_words(ec2, "--set", "num.partitions=6", "--set", "log.retention.hours=24"))
        true("ABOUT, A MONTH" in done.stdout and "3 x t3.medium" in done.stdout, f"costs are shown:\n{done.stdout}")
        api, found = ec2.client("ec2"), instances(ec2)
        equal([i["PrivateIpAddress"] for i in found], ADDRESSES, "private addresses")
        zones = [i["Placement"]["AvailabilityZone"] for i in found]
        equal(len(set(zones)), 3, "availability zones")
        equal({i["ImageId"] for i in found}, {"ami-debian12x86_6407"}, "the newest Debian image of the architecture")
        equal({i["MetadataOptions"]["HttpTokens"] for i in found}, {"required"}, "IMDSv2")
        for number, instance in enumerate(found, 1):
            check_host(ec2, api, instance, number, zones[number - 1])
        check_group(api)
        check_names(ec2)
        check_package(ec2, user_data(ec2, found[0]))
        check_tags(ec2)
        equal(ec2.run("deploy/ec2/status").returncode, 0, "status of a complete cluster")
        check_repeat(ec2)


def check_host(ec2, api, instance, number, zone):
    equal(tags(instance)["Name"], f"peter-kafka0{number}", "name tag")
    volumes = [v for v in api.describe_volumes()["Volumes"] if tags(v).get("naru:broker") == str(number)]
    equal(len(volumes), 1, "data volumes of a broker")
    equal([(v["VolumeType"], v["Size"], v["Encrypted"], v["AvailabilityZone"]) for v in volumes], [("gp3", 50, True, zone)], "data volume")
    equal([(a["InstanceId"], a["Device"]) for a in volumes[0]["Attachments"]], [(instance["InstanceId"], "/dev/sdf")], "attachment")
    script = user_data(ec2, instance)
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    true(len(script) < 16384, "user data fits EC2's limit")
    for line in (f"node_id={number}", f"rack={zone}", f"volume={volumes[0]['VolumeId']}", f"host={HOSTS[number - 1]}",
                 "voters=" + ",".join(f"{n}@{h}:9093" for n, h in enumerate(HOSTS, 1)), "log.retention.hours=24'"):
        true(line in script.splitlines(), f"{line} is in the user data:\n{script[:1200]}")


def check_group(api):
    group = api.describe_security_groups(Filters=[{"Name": "tag:naru:cluster", "Values": ["naru"]}])["SecurityGroups"][0]
    rules = {(p["FromPort"], p["ToPort"], source) for p in group["IpPermissions"]
             for source in [r["CidrIp"] for r in p["IpRanges"]] + [g["GroupId"] for g in p["UserIdGroupPairs"]]}
    own = group["GroupId"]
    equal(rules, {(9092, 9092, CLIENTS), (22, 22, CLIENTS), (9092, 9092, own), (9093, 9093, own)}, "who may reach what")


def check_names(ec2):
    route53 = ec2.client("route53")
    zone = next(z for z in route53.list_hosted_zones()["HostedZones"] if z["Name"] == "foo.bar.")
    true(zone["Config"]["PrivateZone"], "the zone is private")
    records = {r["Name"].rstrip("."): r["ResourceRecords"][0]["Value"]
               for r in route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"] if r["Type"] == "A"}
    equal(records, dict(zip(HOSTS, ADDRESSES)), "names")


def check_package(ec2, script):
    """The address in the user data leads to the very package, and to nobody who has no signature."""
    url = next(line for line in script.splitlines() if line.startswith("package_url=")).split("=", 1)[1].strip("'")
    with urllib.request.urlopen(url, timeout=30) as answer:
        equal(answer.read(), some_package(ec2).read_bytes(), "what the signed address serves")
    true("X-Amz-Signature=" in url or "Signature=" in url, "the address is signed")
    blocked = ec2.client("s3").get_public_access_block(Bucket=f"naru-naru-123456789012-{REGION}")["PublicAccessBlockConfiguration"]
    true(all(blocked.values()), f"the bucket is private: {blocked}")


def check_tags(ec2):
    api = ec2.client("ec2")
    groups = [g for g in api.describe_security_groups()["SecurityGroups"] if g["GroupName"] != "default"]  # that comes with a VPC
    listed = [*groups, *instances(ec2), *api.describe_vpcs()["Vpcs"], *api.describe_subnets()["Subnets"], *api.describe_route_tables()["RouteTables"],
              *api.describe_internet_gateways()["InternetGateways"], *api.describe_volumes()["Volumes"], *api.describe_key_pairs()["KeyPairs"]]
    default = {v["VpcId"] for v in api.describe_vpcs()["Vpcs"] if v["IsDefault"]}
    bare = [i for i in listed if i.get("VpcId") not in default and tags(i).get("naru:cluster") != "naru"]
    equal(bare, [], "resources without the cluster's tag")
    zone = ec2.client("route53").list_hosted_zones()["HostedZones"][0]["Id"].rsplit("/", 1)[-1]
    marked = ec2.client("route53").list_tags_for_resource(ResourceType="hostedzone", ResourceId=zone)["ResourceTagSet"]["Tags"]
    true({"Key": "naru:cluster", "Value": "naru"} in marked, f"tags of the zone: {marked}")
    bucket = ec2.client("s3").get_bucket_tagging(Bucket=f"naru-naru-123456789012-{REGION}")["TagSet"]
    true({"Key": "naru:cluster", "Value": "naru"} in bucket, f"tags of the bucket: {bucket}")


def changes(done):
    """The changing commands of a run, without waiting."""
    return [line for line in done.stderr.splitlines() if line.startswith("+ ") and " wait " not in line]


def check_repeat(ec2):
    before = ec2.everything()
    more = ["--set", "num.partitions=6", "--set", "log.retention.hours=24"]
    equal(changes(ec2.run(*up_words(ec2, *more))), [], "what a second run changes")
    equal(ec2.everything(), before, "resources after a second run")
    other = up_words(ec2, *more)
    for option in ("--client-cidr", "--ssh-cidr"):
        other[other.index(option) + 1] = "198.19.0.0/24"
    equal(len(changes(ec2.run(*other))), 4, "another client network: two rules come, two go")
    stopped = instances(ec2)[1]["InstanceId"]
    ec2.client("ec2").stop_instances(InstanceIds=[stopped])
    equal(ec2.run("deploy/ec2/status", expect=10).returncode, 10, "status with a stopped host")
    ec2.run(*up_words(ec2, *more))
    equal(instances(ec2)[1]["State"]["Name"], "running", "a stopped host after `up`")


def test_nothing_is_done_unasked():
    with StandIn() as ec2:
        before = ec2.everything()
        done = ec2.run(*up_words(ec2, "--dry-run"))
        true("would run: aws ec2 run-instances" in done.stderr and "ABOUT, A MONTH" in done.stdout, "a dry run shows commands and costs")
        words = [w for w in up_words(ec2) if w != "--yes"]
        true("--yes" in ec2.run(*words, expect=1).stderr, "without a terminal it asks for --yes")
        true("is arm64" in ec2.run(*up_words(ec2, "--instance-type", "m6g.large"), expect=1).stderr, "the package is of another machine")
        equal(ec2.run("deploy/ec2/status", expect=3).returncode, 3, "status of no cluster")
        true("there is no cluster" in ec2.run("deploy/ec2/down", "--yes").stdout, "down of no cluster")
        equal(ec2.everything(), before, "resources")
        ec2.run(*up_words(ec2))
        there = ec2.everything()
        true("would run: aws ec2 terminate-instances" in ec2.run("deploy/ec2/down", "--dry-run").stderr, "a dry run of down")
        true("--yes" in ec2.run("deploy/ec2/down", expect=1).stderr, "down asks as well")
        equal(ec2.everything(), there, "resources after a refused down")


def test_arm64_gets_arm64s_image():
    with StandIn() as ec2:
        words = up_words(ec2, "--instance-type", "m6g.large")
        words[2] = some_package(ec2, "naru_0.1.0_arm64.deb")
        ec2.run(*words)
        equal({i["ImageId"] for i in instances(ec2)}, {"ami-debian12arm6407"}, "image")


def test_given_network_names_and_package():
    """Subnets, addresses, hosted zone, key pair and package that are the user's: used, and left alone by down."""
    with StandIn() as ec2:
        api, route53 = ec2.client("ec2"), ec2.client("route53")
        vpc = api.create_vpc(CidrBlock="198.19.192.0/20")["Vpc"]["VpcId"]
        api.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
        subnets = [api.create_subnet(VpcId=vpc, CidrBlock=f"198.19.{192 + n}.0/24", AvailabilityZone=f"{REGION}{'abc'[n]}")["Subnet"]["SubnetId"]
                   for n in range(2)]
        zone = route53.create_hosted_zone(Name="foo.bar", CallerReference="x", VPC={"VPCRegion": REGION, "VPCId": vpc},
                                          HostedZoneConfig={"Comment": "mine", "PrivateZone": True})["HostedZone"]["Id"].rsplit("/", 1)[-1]
        api.create_key_pair(KeyName="mine")
        before = ec2.everything()
        words = ["deploy/ec2/up", "--name", "other", "--package", "https://packages.example.com/naru_0.1.0_amd64.deb", "--client-cidr", CLIENTS,
                 "--subnets", ",".join(subnets), "--zone-id", zone, "--key-name", "mine", "--no-public-ip", "--yes"]
        true("--package-sha256" in ec2.run(*words, expect=1).stderr, "an address needs a checksum")
        words += ["--package-sha256", "0" * 64]
        ec2.run(*words)
        equal([i["PrivateIpAddress"] for i in instances(ec2, "other")], ["198.19.192.10", "198.19.193.10", "198.19.192.11"], "free addresses")
        equal({i.get("KeyName") for i in instances(ec2, "other")}, {"mine"}, "key pair")
        equal(changes(ec2.run(*words)), [], "what a second run changes")
        ec2.run("deploy/ec2/down", "--name", "other", "--yes")
        equal(ec2.everything(), before, "what is left is what was there")


def zones_of(ec2):
    """The private zones by their comment, with the names in them."""
    route53 = ec2.client("route53")
    return {z["Config"]["Comment"]: {r["Name"].rstrip(".") for r in route53.list_resource_record_sets(HostedZoneId=z["Id"])["ResourceRecordSets"]
                                     if r["Type"] == "A"} for z in route53.list_hosted_zones()["HostedZones"]}


def test_two_regions_have_two_zones():
    """Hosted zones are of no region: a cluster of the same name elsewhere keeps its own."""
    with StandIn() as ec2:
        elsewhere = "eu-north-1"  # as the first, it takes no old signatures, which version 1 of the AWS CLI makes elsewhere
        ec2.run(*up_words(ec2, "--hosts", "peter-kafka01"))
        ec2.run(*up_words(ec2, "--hosts", "peter-kafka01", "--region", elsewhere))
        here, there = (f"cluster naru of Naru in {region}" for region in (REGION, elsewhere))
        equal(zones_of(ec2), {here: {HOSTS[0]}, there: {HOSTS[0]}}, "zones of two clusters")
        ec2.run("deploy/ec2/down", "--region", elsewhere, "--yes")
        equal(zones_of(ec2), {here: {HOSTS[0]}}, "zones after one is gone")
        ec2.run("deploy/ec2/down", "--yes")
        equal(zones_of(ec2), {}, "zones after both are gone")


def test_hosts_that_got_other_names_are_shown_once():
    with StandIn() as ec2:
        before = ec2.everything()
        ec2.run(*up_words(ec2, "--hosts", "peter-kafka01"))
        ec2.run(*up_words(ec2, "--hosts", "anna-kafka01"))
        shown = ec2.run("deploy/ec2/status").stdout
        equal([line.split()[:2] for line in shown.splitlines()[1:]], [["1", "anna-kafka01.foo.bar"]], f"brokers of\n{shown}")
        volume = next(i["Ebs"]["VolumeId"] for n in instances(ec2) for i in n["BlockDeviceMappings"] if i["DeviceName"] == "/dev/sdf")
        ec2.client("ec2").terminate_instances(InstanceIds=[i["InstanceId"] for i in instances(ec2)])
        lost = ec2.run("deploy/ec2/status", expect=10).stdout
        true("absent" in lost and volume in lost, f"status without the host: {lost}")
        ec2.run("deploy/ec2/down", "--yes")
        equal(ec2.everything(), before, "what is left is what was there")


def test_down_keeps_data_where_told():
    with StandIn() as ec2:
        before = ec2.everything()
        ec2.run(*up_words(ec2))
        volumes = {i["Ebs"]["VolumeId"] for n in instances(ec2) for i in n["BlockDeviceMappings"] if i["DeviceName"] == "/dev/sdf"}
        equal(len(volumes), 3, "data volumes")
        ec2.run("deploy/ec2/down", "--keep-data", "--yes")
        equal({i for kind, i in (ec2.everything() - before) if kind == "volume"}, volumes, "volumes left")
        ec2.run(*up_words(ec2))
        again = {i["Ebs"]["VolumeId"] for n in instances(ec2) for i in n["BlockDeviceMappings"] if i["DeviceName"] == "/dev/sdf"}
        equal(again, volumes, "the new hosts have the old data volumes")
        ec2.run("deploy/ec2/down", "--yes")
        equal(ec2.everything(), before, "what is left is what was there")


def description(ec2):
    """The cluster without the ids, which differ from run to run."""
    found = [(tags(i)["Name"], i["PrivateIpAddress"], i["Placement"]["AvailabilityZone"], i["State"]["Name"],
              sorted(m["DeviceName"] for m in i["BlockDeviceMappings"])) for i in instances(ec2)]
    counts = {}
    for kind, *_ in ec2.everything():
        counts[kind] = counts.get(kind, 0) + 1
    return found, counts


def failing(ec2, words, number, when):
    """A run whose Nth changing call fails; whether there was an Nth."""
    fault = ec2.dir / "fault"
    fault.write_text(f"{number} {when}")
    count = pathlib.Path(f"{fault}.count")
    count.unlink(missing_ok=True)
    done = ec2.run(*words, expect=None, EC2_TEST_FAIL=str(fault))
    happened = count.exists() and int(count.read_text()) >= number
    if happened and done.returncode != 1:
        raise Failed(f"call {number} failed {when} it was done, and the exit code is {done.returncode}: {done.stderr[-1500:]}")
    if happened and "the same command goes on from there" not in done.stderr:
        raise Failed(f"a failure is not explained: {done.stderr[-1500:]}")
    return happened


def fail_everywhere(when):
    """Each changing call of `up` fails once, then each of `down`: a run after it always completes the work. One broker:
    the steps of a second are the same."""
    with StandIn() as ec2:
        before = ec2.everything()
        words = up_words(ec2, "--hosts", "peter-kafka01")
        ec2.run(*words)
        whole = description(ec2)
        ec2.run("deploy/ec2/down", "--yes")
        equal(ec2.everything(), before, "resources after the first down")
        steps = 0
        # One `up` that fails at its first call, then at the next one of what is left, and so on to the end; then down.
        while failing(ec2, words, 1 if when == "after" else 2, when):
            steps += 1
            true(steps < 100, "it ends")
        ec2.run(*words)
        equal(description(ec2), whole, f"the cluster after {steps} failures")
        true(steps >= 12, f"only {steps} failures happened")
        downs = 0
        while failing(ec2, ["deploy/ec2/down", "--yes"], 1 if when == "after" else 2, when):
            downs += 1
            true(downs < 100, "it ends")
        ec2.run("deploy/ec2/down", "--yes")
        equal(ec2.everything(), before, f"resources after {downs} failures of down")
        true(downs >= 5, f"only {downs} failures of down happened")


@slow
def test_up_and_down_go_on_after_a_refused_call():
    fail_everywhere("before")


@slow
def test_up_and_down_go_on_after_a_lost_answer():
    fail_everywhere("after")


def parameters(url, key="mine"):
    subnets = [a.rsplit(".", 1)[0] + ".0/24" for a in ADDRESSES]
    values = {"ClusterName": "stack", "ClientCidr": CLIENTS, "SshCidr": CLIENTS, "KeyName": key, "Network": "198.19.128.0/20",
              "Subnets": "\\,".join(subnets), "Addresses": "\\,".join(ADDRESSES), "PackageUrl": url, "PackageSha256": "0" * 64,
              "ImageId": "ami-debian12x86_6407"} | {f"Zone{n}": f"{REGION}{letter}" for n, letter in ((1, "a"), (2, "b"), (3, "d"))}
    return [f"ParameterKey={k},ParameterValue={v}" for k, v in values.items()]


def prepare_stack(ec2):
    ec2.client("ec2").create_key_pair(KeyName="mine")
    template = f"file://{TOP}/deploy/ec2/cloudformation.yaml"
    ec2.aws("cloudformation", "validate-template", "--template-body", template)
    return template


def test_the_template_is_deployed_and_deleted():
    with StandIn() as ec2:
        template = prepare_stack(ec2)
        before = ec2.everything()
        ec2.aws("cloudformation", "create-stack", "--stack-name", "stack", "--template-body", template,
                "--parameters", *parameters("https://packages.example.com/naru_0.1.0_amd64.deb"))
        ec2.aws("cloudformation", "wait", "stack-create-complete", "--stack-name", "stack")
        stack = ec2.client("cloudformation").describe_stacks(StackName="stack")["Stacks"][0]
        outputs = {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}
        equal(outputs["Bootstrap"], ",".join(f"{h}:9092" for h in HOSTS), "the stack says where clients connect")
        found = instances(ec2, "stack")
        equal([i["PrivateIpAddress"] for i in found], ADDRESSES, "private addresses")
        equal([i["Placement"]["AvailabilityZone"] for i in found], [f"{REGION}{letter}" for letter in "abd"], "availability zones")
        for number, instance in enumerate(found, 1):
            script = user_data(ec2, instance)
            subprocess.run(["bash", "-n"], input=script, text=True, check=True)
            for line in (f"node_id={number}", f"rack={instance['Placement']['AvailabilityZone']}", f"host={HOSTS[number - 1]}"):
                true(line in script.splitlines(), f"{line} is in the user data:\n{script[:900]}")
            true((TOP / "deploy/ec2/first-boot.sh").read_text().strip() in script, "the template boots hosts as `up` does")
            volume = next(line.split("=")[1] for line in script.splitlines() if line.startswith("volume="))
            attached = ec2.client("ec2").describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"]
            equal([(a["InstanceId"], a["Device"]) for a in attached], [(instance["InstanceId"], "/dev/sdf")], "the data volume")
        check_group_of_stack(ec2)
        shown = ec2.run("deploy/ec2/status", "--name", "stack", expect=None).stdout  # moto gives a stack's volumes no tags
        for instance in found:
            true(tags(instance)["Name"] in shown and instance["InstanceId"] in shown, f"status of a stack:\n{shown}")
        for command in ("up --package x --client-cidr 10.0.0.0/8", "down", "failover-demo --identity x"):
            done = ec2.run(*f"deploy/ec2/{command} --name stack --yes".split(), expect=None)
            true(done.returncode in (1, 3) and "was made by" in done.stderr, f"{command} leaves a stack alone: {done.stderr}")
        equal(len(instances(ec2, "stack")), 3, "hosts of the stack after that")
        drop_route_table(ec2)
        ec2.aws("cloudformation", "delete-stack", "--stack-name", "stack")
        ec2.aws("cloudformation", "wait", "stack-delete-complete", "--stack-name", "stack")
        # moto does not delete the rest of a stack. CloudFormation does, unless a resource says otherwise.
        deleted = ("instance", "vpc", "subnet", "group", "stack")
        equal({r for r in ec2.everything() if r[0] in deleted}, {r for r in before if r[0] in deleted}, "what is left")
        true("DeletionPolicy" not in pathlib.Path(TOP / "deploy/ec2/cloudformation.yaml").read_text(), "nothing is kept on purpose")


def drop_route_table(ec2):
    """moto does not delete the route tables of a stack, and then refuses to delete the network: done for it."""
    api = ec2.client("ec2")
    vpc = api.describe_vpcs(Filters=[{"Name": "tag:naru:cluster", "Values": ["stack"]}])["Vpcs"][0]["VpcId"]
    tables = api.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    for table in (t for t in tables if not any(a.get("Main") for a in t["Associations"])):
        for association in table["Associations"]:
            api.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
        api.delete_route_table(RouteTableId=table["RouteTableId"])


def check_group_of_stack(ec2):
    api = ec2.client("ec2")
    group = api.describe_security_groups(Filters=[{"Name": "tag:naru:cluster", "Values": ["stack"]}])["SecurityGroups"][0]
    rules = {(p["FromPort"], source) for p in group["IpPermissions"]
             for source in [r["CidrIp"] for r in p["IpRanges"]] + ["own" for g in p["UserIdGroupPairs"] if g["GroupId"] == group["GroupId"]]}
    equal(rules, {(9092, CLIENTS), (22, CLIENTS), (9092, "own"), (9093, "own")}, "who may reach what")


def test_a_call_can_be_made_to_fail():
    """A fault of this file would make the others pass: the counting of calls and the failing of one are themselves checked."""
    with StandIn() as ec2:
        fault = ec2.dir / "fault"
        fault.write_text("2 before")
        environment = ec2.environment | {"EC2_TEST_FAIL": str(fault)}
        codes = [subprocess.run(["aws", "ec2", "create-vpc", "--cidr-block", f"198.19.{n}.0/24"], env=environment, capture_output=True,
                                check=False).returncode for n in (1, 2, 3)]
        equal(codes, [0, 254, 0], "exit codes of three calls of which the second fails")
        equal(len(ec2.client("ec2").describe_vpcs()["Vpcs"]), 3, "networks: the default and two")
        true(json.loads((ec2.dir / "images.json").read_text()), "images")
