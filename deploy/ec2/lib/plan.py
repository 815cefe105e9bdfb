"""What `up` was asked for, worked out in full before anything is created: machines, names, addresses, cost. Pure, but for
the questions that it asks AWS."""
import dataclasses
import hashlib
import ipaddress
import pathlib
import re
import sys

DEBIAN = "136693071363"  # the account that publishes Debian's images
FIRST_HOST = 10          # the address of a broker in its subnet; the first four are AWS's

# On-demand list prices in us-east-1, USD an hour; other regions are up to about half as much again. Only for the estimate
# that is shown before anything is created.
HOURLY = {
    "t3.small": 0.0208, "t3.medium": 0.0416, "t3.large": 0.0832, "t4g.small": 0.0168, "t4g.medium": 0.0336,
    "t4g.large": 0.0672, "m6i.large": 0.096, "m6i.xlarge": 0.192, "m6g.large": 0.077, "m6g.xlarge": 0.154,
    "m7g.large": 0.0816, "m7g.xlarge": 0.1632, "m7i.large": 0.1008, "m7i.xlarge": 0.2016, "r6i.large": 0.126,
    "r6g.large": 0.1008,
}
GP3_GB_MONTH = 0.08
ADDRESS_HOUR = 0.005
ZONE_MONTH = 0.50
HOURS = 730
ROOT_GB = 8


@dataclasses.dataclass
class Broker:
    number: int
    host: str            # peter-kafka01.foo.bar
    zone: str            # availability zone, which is its rack
    address: str         # private
    subnet: str | None   # None: one of `up`'s own

    @property
    def label(self):
        return self.host.split(".")[0]


@dataclasses.dataclass
class Package:
    """A file to upload, or an address from which the hosts fetch it."""
    path: pathlib.Path | None
    url: str | None
    sha256: str
    name: str

    @property
    def architecture(self):
        """amd64 or arm64, as the file's name says."""
        found = re.search(r"_(amd64|arm64)\.deb$", self.name)
        return found.group(1) if found else None


@dataclasses.dataclass
class Plan:
    name: str
    region: str
    account: str
    instance_type: str
    image: str
    volume_gb: int
    brokers: list
    package: Package
    client_cidrs: list
    ssh_cidrs: list
    key_name: str | None
    public_key: pathlib.Path | None
    domain: str
    zone_id: str | None
    vpc: str | None       # given, with subnets; None: its own
    network: ipaddress.IPv4Network  # of its own VPC
    public_addresses: bool
    settings: list

    @property
    def voters(self):
        return ",".join(f"{b.number}@{b.host}:9093" for b in self.brokers)

    @property
    def bootstrap(self):
        return ",".join(f"{b.host}:9092" for b in self.brokers)

    def monthly(self):
        """Lines of (what, USD a month), None where the price is not known here."""
        count = len(self.brokers)
        hourly = HOURLY.get(self.instance_type)
        lines = [(f"{count} x {self.instance_type}", None if hourly is None else count * hourly * HOURS),
                 (f"{count} x gp3 of {self.volume_gb} GB for data, {ROOT_GB} GB for the system",
                  count * (self.volume_gb + ROOT_GB) * GP3_GB_MONTH)]
        if self.public_addresses:
            lines.append((f"{count} x public IPv4 address", count * ADDRESS_HOUR * HOURS))
        if self.zone_id is None:
            lines.append((f"private hosted zone {self.domain}", ZONE_MONTH))
        return lines


def read_package(where, sha256):
    if re.match(r"https?://", where):
        if not sha256:
            sys.exit("--package with an address needs --package-sha256: the hosts install what they fetch as root")
        return Package(None, where, sha256.lower(), where.split("?")[0].rsplit("/", 1)[-1])
    path = pathlib.Path(where)
    if not path.is_file():
        sys.exit(f"there is no package {where}; deploy/deb/build makes one")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if sha256 and sha256.lower() != digest:
        sys.exit(f"{where} has the SHA-256 {digest}, not {sha256}")
    return Package(path, None, digest, path.name)


def refuse_old_signatures(aws, bucket):
    """Version 1 of the AWS CLI signs addresses with Signature Version 2 in the older regions, which S3 takes for no bucket
    made after June 2020: no host could fetch the package."""
    if "X-Amz-Signature=" not in aws.presign(bucket, "naru.deb", 60):
        sys.exit(f"this AWS CLI signs addresses of S3 in {aws.region} with Signature Version 2, which new buckets do not take.\n"
                 "Use version 2 of the AWS CLI, or run:  aws configure set s3.signature_version s3v4")


def architecture_of(aws, instance_type):
    """amd64 or arm64."""
    listed = aws.read("ec2", "describe-instance-types", "--instance-types", instance_type)["InstanceTypes"]
    known = listed[0]["ProcessorInfo"]["SupportedArchitectures"]
    return "arm64" if "arm64" in known else "amd64"


def newest_debian(aws, architecture):
    images = aws.read("ec2", "describe-images", "--owners", DEBIAN, "--filters", f"Name=name,Values=debian-12-{architecture}-*",
                      "Name=state,Values=available")["Images"]
    if not images:
        sys.exit(f"this region has no Debian 12 image for {architecture}; name one with --ami")
    return max(images, key=lambda i: i["CreationDate"])["ImageId"]


def given_subnets(aws, ids):
    listed = {s["SubnetId"]: s for s in aws.read("ec2", "describe-subnets", "--subnet-ids", *ids)["Subnets"]}
    subnets = [listed[i] for i in ids]
    if len({s["VpcId"] for s in subnets}) != 1:
        sys.exit("the subnets are not of one VPC: " + ", ".join(f"{s['SubnetId']} {s['VpcId']}" for s in subnets))
    return subnets


def refuse_without_names(aws, vpc, zone_id):
    """A private zone resolves only in a VPC that has both attributes; whether it may have them is its owner's to say."""
    if zone_id and not aws.read("route53", "get-hosted-zone", "--id", zone_id)["HostedZone"]["Config"]["PrivateZone"]:
        return
    lacking = [name for name in ("enableDnsSupport", "enableDnsHostnames")
               if not aws.read("ec2", "describe-vpc-attribute", "--vpc-id", vpc, "--attribute", name)[name[0].upper() + name[1:]]["Value"]]
    options = {"enableDnsSupport": "--enable-dns-support", "enableDnsHostnames": "--enable-dns-hostnames"}
    if lacking:
        sys.exit(f"{vpc} lacks {' and '.join(lacking)}, without which a private hosted zone does not resolve there:\n"
                 + "\n".join(f"  aws ec2 modify-vpc-attribute --vpc-id {vpc} {options[name]}" for name in lacking))


def refuse_zone(aws, zone_id, domain, vpc):
    """Where the zone has no such names Route 53 would say so when all the rest is there; where it is not of this VPC nobody would,
    and the brokers would wait for each other's names for ever. `vpc` is None for one that is still to be made."""
    answer = aws.read("route53", "get-hosted-zone", "--id", zone_id)
    name = answer["HostedZone"]["Name"].rstrip(".")
    if not f".{domain.lower()}".endswith(f".{name}"):
        sys.exit(f"--zone-id {zone_id} is the zone {name}, where no host of --domain {domain} can be")
    if not answer["HostedZone"]["Config"]["PrivateZone"] or vpc in [v["VPCId"] for v in answer.get("VPCs", [])]:
        return
    if vpc is None:
        sys.exit(f"--zone-id {zone_id} is a private zone, which does not resolve in a VPC that is only made now: name --subnets of one of its own")
    sys.exit(f"--zone-id {zone_id} does not resolve in {vpc}:\n"
             f"  aws route53 associate-vpc-with-hosted-zone --hosted-zone-id {zone_id} --vpc VPCRegion={aws.region},VPCId={vpc}")


def refuse_names_of_others(zone_id, there, own):
    """`there`: the records that the zone has of the hosts' names; `own`: names that are noted as this cluster's. What somebody
    else entered is not to be led here, nor deleted by `down`."""
    taken = sorted(there.keys() - set(own))
    if taken:
        sys.exit(f"--zone-id {zone_id} has {', '.join(taken)} already, and not of this cluster: --hosts or --domain, or delete them there")


def all_names(asked, before):
    """Those that are asked for, by number, then those that there are names of from before: `down` deletes them all."""
    return asked + [h for h in before[len(asked):] + before[:len(asked)] if h not in asked]


def refuse_long_names(hosts):
    """They are noted in a tag, of which AWS takes 256 characters; that is how `down` knows them."""
    length = len(" ".join(hosts))
    if length > 256:
        sys.exit(f"--hosts: the names of all brokers, those from before included, are {length} characters together; 256 are possible")


def free_address(aws, subnet, taken, going=()):
    """The first address from .10 on that nobody has. Those of hosts that are `going` are free when the next one is made: it
    takes the place of one of them, and clients and brokers that know its address need not ask for another."""
    listed = aws.read("ec2", "describe-network-interfaces", "--filters", f"Name=subnet-id,Values={subnet['SubnetId']}")["NetworkInterfaces"]
    used = {a["PrivateIpAddress"] for n in listed if n.get("Attachment", {}).get("InstanceId") not in going
            for a in n.get("PrivateIpAddresses", [])} | set(taken)
    network = ipaddress.ip_network(subnet["CidrBlock"])
    for number in range(FIRST_HOST, network.num_addresses - 1):
        if str(network[number]) not in used:
            return str(network[number])
    sys.exit(f"subnet {subnet['SubnetId']} ({network}) has no free address from .{FIRST_HOST} on")


def place_in_given(aws, hosts, subnet_ids, addresses, instances, going=()):
    """Brokers over the given subnets in turn. One that runs already keeps its address."""
    subnets = given_subnets(aws, subnet_ids)
    brokers = []
    for number, host in enumerate(hosts, 1):
        subnet = subnets[(number - 1) % len(subnets)]
        taken = [b.address for b in brokers] + addresses
        if number in instances:
            address = instances[number]["PrivateIpAddress"]
        elif addresses:
            address = addresses[number - 1]
        else:
            address = free_address(aws, subnet, taken, going)
        brokers.append(Broker(number, host, subnet["AvailabilityZone"], address, subnet["SubnetId"]))
    return brokers, subnets[0]["VpcId"]


def zones_for(aws, instance_type):
    """The zones that work and have the instance type: in many regions one has none of the current types."""
    listed = aws.read("ec2", "describe-availability-zones", "--filters", "Name=state,Values=available",
                      "Name=zone-type,Values=availability-zone")["AvailabilityZones"]
    offered = aws.read("ec2", "describe-instance-type-offerings", "--location-type", "availability-zone", "--filters",
                       f"Name=instance-type,Values={instance_type}")["InstanceTypeOfferings"]
    zones = sorted({z["ZoneName"] for z in listed} & {o["Location"] for o in offered})
    if not zones:
        sys.exit(f"no availability zone of {aws.region} has {instance_type} now")
    return zones


def place_in_own(hosts, network, zones, kept):
    """Each broker in a subnet of its own, over the zones in turn; the first subnet stays free. `kept` are zones by broker: a
    subnet or a volume that is there stays where it is, also while another zone has failed."""
    subnets = list(network.subnets(new_prefix=24))
    if len(subnets) <= len(hosts):
        sys.exit(f"--network {network} has no room for {len(hosts)} subnets of 256 addresses: it must be a /20 or larger")
    return [Broker(n, host, kept.get(n) or zones[(n - 1) % len(zones)], str(subnets[n][FIRST_HOST]), None)
            for n, host in enumerate(hosts, 1)]
