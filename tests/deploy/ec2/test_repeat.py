"""deploy/ec2/up once more: after `down`, in a network of the user's, after others changed something by hand."""
import subprocess

from stand_in import REGION, StandIn
from support import equal, true
from test_api import CLIENTS, changes, instances, some_package, zones_of

NEEDS = ("moto",)


def own_network(ec2, block="198.19.192.0/20", names=True):
    """A VPC of the user's with one subnet: their ids."""
    api = ec2.client("ec2")
    vpc = api.create_vpc(CidrBlock=block)["Vpc"]["VpcId"]
    api.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": names})
    subnet = api.create_subnet(VpcId=vpc, CidrBlock=block.replace("/20", "/24"), AvailabilityZone=f"{REGION}a")["Subnet"]["SubnetId"]
    return vpc, subnet


def one_broker(ec2, subnet, *more):
    return ["deploy/ec2/up", "--package", some_package(ec2), "--client-cidr", CLIENTS, "--subnets", subnet, "--hosts", "peter-kafka01",
            "--no-public-ip", "--yes", *more]


def test_up_after_down_in_the_same_network():
    """Route 53 does not forget the reference by which the first zone was made."""
    with StandIn() as ec2:
        _, subnet = own_network(ec2)
        before = ec2.everything()
        for _ in range(2):
            ec2.run(*one_broker(ec2, subnet))
            equal(zones_of(ec2), {f"cluster naru of Naru in {REGION}": {"peter-kafka01.foo.bar"}}, "zones")
            ec2.run("deploy/ec2/down", "--yes")
            equal(ec2.everything(), before, "what is left is what was there")


def test_a_network_that_resolves_no_names_is_refused():
    """A VPC made by hand has no hostnames; a private zone does not resolve there, and no cluster would form."""
    with StandIn() as ec2:
        vpc, subnet = own_network(ec2, names=False)
        before = ec2.everything()
        said = ec2.run(*one_broker(ec2, subnet), expect=1).stderr
        command = f"aws ec2 modify-vpc-attribute --vpc-id {vpc} --enable-dns-hostnames"
        true(f"{vpc} lacks enableDnsHostnames" in said and command in said, f"what is said:\n{said}")
        equal(ec2.everything(), before, "nothing was made")
        subprocess.run(command.split(), env=ec2.environment, check=True, timeout=60)
        ec2.run(*one_broker(ec2, subnet, "--dry-run"))


def test_an_address_is_signed_as_s3_takes_it():
    """Version 1 of the AWS CLI signs in the older regions as S3 does for no new bucket; it can be told not to."""
    with StandIn() as ec2:
        words = ["deploy/ec2/up", "--package", some_package(ec2), "--client-cidr", CLIENTS, "--region", "us-east-1", "--dry-run"]
        said = ec2.run(*words, expect=1).stderr
        command = said.strip().splitlines()[-1].split("or run:")[1].split()
        true("Signature Version 2" in said and command[:3] == ["aws", "configure", "set"], f"what is said:\n{said}")
        # By the CLI itself: the one that is loaded once keeps the settings that it was loaded with.
        fresh = {"PATH": f"{ec2.programs}:{ec2.environment['PATH']}"}
        subprocess.run(command, env=ec2.environment | fresh, check=True, timeout=60)
        ec2.run(*words, **fresh)


def test_down_knows_the_names_that_came_later():
    """In a zone of the user's it deletes those that the security group's tag says are the cluster's."""
    with StandIn() as ec2:
        vpc, subnet = own_network(ec2)
        zone = ec2.client("route53").create_hosted_zone(
            Name="foo.bar", CallerReference="x", VPC={"VPCRegion": REGION, "VPCId": vpc},
            HostedZoneConfig={"Comment": "mine", "PrivateZone": True})["HostedZone"]["Id"].rsplit("/", 1)[-1]
        _, elsewhere = own_network(ec2, "198.19.208.0/20")
        before = ec2.everything()
        ec2.run(*one_broker(ec2, subnet, "--zone-id", zone))
        words = one_broker(ec2, subnet, "--zone-id", zone)
        words[words.index("--hosts") + 1] = "peter-kafka01,peter-kafka02"
        ec2.run(*words)
        equal(zones_of(ec2), {"mine": {"peter-kafka01.foo.bar", "peter-kafka02.foo.bar"}}, "names")
        true("peter-kafka02.foo.bar" in ec2.run("deploy/ec2/status").stdout, "status has the second host's name")
        equal(changes(ec2.run(*words)), [], "what a third run changes")
        equal(changes(ec2.run(*one_broker(ec2, subnet, "--zone-id", zone))), [], "what a run for fewer hosts changes")
        for other, said in ((one_broker(ec2, subnet, "--name", "second"), "peter-kafka01.foo.bar already, and not of this cluster"),
                            (one_broker(ec2, elsewhere, "--name", "second"), "associate-vpc-with-hosted-zone")):
            true(said in ec2.run(*other, "--zone-id", zone, expect=1).stderr, f"a second cluster hears `{said}`")
        true(f"names are in --zone-id {zone}" in ec2.run(*one_broker(ec2, subnet), expect=1).stderr, "names do not move to another zone")
        ec2.run("deploy/ec2/down", "--yes")
        equal(ec2.everything(), before, "what is left is what was there")


def address_of(ec2, name):
    """Of a host's name, in the zone that `up` made."""
    route53 = ec2.client("route53")
    zone = next(z["Id"] for z in route53.list_hosted_zones()["HostedZones"] if z["Config"]["Comment"].startswith("cluster naru of Naru"))
    listed = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return [r["ResourceRecords"][0]["Value"] for r in listed if r["Type"] == "A" and r["Name"].rstrip(".") == name]


def test_a_name_follows_its_host_to_another_address():
    """A host is lost, and somebody else has its address by the time another one takes its place."""
    with StandIn() as ec2:
        _, subnet = own_network(ec2)
        ec2.run(*one_broker(ec2, subnet))
        lost, = instances(ec2)
        equal(address_of(ec2, "peter-kafka01.foo.bar"), [lost["PrivateIpAddress"]], "the address of the name")
        api = ec2.client("ec2")
        api.terminate_instances(InstanceIds=[lost["InstanceId"]])
        api.create_network_interface(SubnetId=subnet, PrivateIpAddress=lost["PrivateIpAddress"])
        ec2.run(*one_broker(ec2, subnet))
        new, = instances(ec2)
        true(new["PrivateIpAddress"] != lost["PrivateIpAddress"], f"another address than {lost['PrivateIpAddress']}")
        equal(address_of(ec2, "peter-kafka01.foo.bar"), [new["PrivateIpAddress"]], "the address of the name, with the new host")
        equal(changes(ec2.run(*one_broker(ec2, subnet))), [], "what another run changes")


def test_rules_that_the_user_added_stay():
    """Of another protocol, of a range of ports, of the page's port, of IPv6: neither read as rules of `up`, nor taken away."""
    with StandIn() as ec2:
        _, subnet = own_network(ec2)
        ec2.run(*one_broker(ec2, subnet))
        api = ec2.client("ec2")
        group = api.describe_security_groups(Filters=[{"Name": "tag:naru:cluster", "Values": ["naru"]}])["SecurityGroups"][0]["GroupId"]
        everybody = {"IpRanges": [{"CidrIp": "198.19.0.0/24"}]}
        api.authorize_security_group_ingress(GroupId=group, IpPermissions=[
            {"IpProtocol": "-1", **everybody}, {"IpProtocol": "udp", "FromPort": 9092, "ToPort": 9092, **everybody},
            {"IpProtocol": "tcp", "FromPort": 9092, "ToPort": 9999, **everybody}, {"IpProtocol": "tcp", "FromPort": 9644, "ToPort": 9644, **everybody},
            {"IpProtocol": "tcp", "FromPort": 9644, "ToPort": 9644, "Ipv6Ranges": [{"CidrIpv6": "2001:db8::/32"}]}])
        equal(changes(ec2.run(*one_broker(ec2, subnet))), [], "what another run changes")
        words = one_broker(ec2, subnet)
        words[words.index("--client-cidr") + 1] = "198.19.0.7"  # one address, which EC2 wants as a /32
        done = [line.split(" --")[0].removeprefix("+ aws ec2 ") for line in changes(ec2.run(*words))]
        equal(done, ["authorize-security-group-ingress", "revoke-security-group-ingress"], "another client: one rule comes, one goes")
