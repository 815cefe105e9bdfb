"""The steps of `up`. Each looks for what it is about and creates what is missing, so that a run after a failure goes on
where the last one stopped, and a run after a success changes nothing."""
import ipaddress
import json
import pathlib
import shlex
import sys
import tempfile
import uuid

from aws import tags
from deployment import BROKER_TAG, CLIENT_PORT, DATA_DEVICE, HOSTS_TAG, PEER_PORT, SSH_PORT, ZONE_TAG, specification
from plan import all_names

HERE = pathlib.Path(__file__).resolve().parent
PRESIGNED_SECONDS = 12 * 3600  # a first boot takes minutes; a host that comes later gets a fresh one from `up`
RECORD_TTL = 60


class Provision:
    def __init__(self, aws, deployment, plan):
        self.aws = aws
        self.there = deployment
        self.plan = plan

    def _spec(self, kind, label, **more):
        return ["--tag-specifications", specification(kind, label, **self.there.marked(**more))]

    def _create(self, field, placeholder, *words):
        """Runs a creating command and picks the id; a dry run goes on with a placeholder."""
        made = self.aws.change("ec2", *words)
        if made is None:
            return placeholder
        for part in field.split("."):
            made = made[part]
        return made

    # Network ---------------------------------------------------------------------------------------------------------

    def network(self):
        """The VPC's id, and the subnet of each broker."""
        if self.plan.vpc:
            return self.plan.vpc, {b.number: b.subnet for b in self.plan.brokers}
        vpc = self.there.vpc()
        vpc_id = vpc["VpcId"] if vpc else self._create("Vpc.VpcId", "(vpc)", "create-vpc", "--cidr-block", str(self.plan.network),
                                                       *self._spec("vpc", f"naru-{self.plan.name}"))
        if not vpc:  # EC2 may not know it yet for the very next calls
            self._wait("vpc-available", "--vpc-ids", vpc_id)
        for attribute, field in (("enableDnsSupport", "EnableDnsSupport"), ("enableDnsHostnames", "EnableDnsHostnames")):
            if not vpc_id.startswith("(") and self.aws.read("ec2", "describe-vpc-attribute", "--vpc-id", vpc_id, "--attribute",
                                                            attribute)[field]["Value"]:
                continue
            option = "--enable-dns-support" if attribute == "enableDnsSupport" else "--enable-dns-hostnames"
            self.aws.change("ec2", "modify-vpc-attribute", "--vpc-id", vpc_id, option, '{"Value": true}')
        subnets = self.there.subnets()
        ids = {}
        for broker in self.plan.brokers:
            if broker.number in subnets:
                ids[broker.number] = subnets[broker.number]["SubnetId"]
                continue
            block = str(ipaddress.ip_network(f"{broker.address}/24", strict=False))
            ids[broker.number] = self._create(
                "Subnet.SubnetId", f"(subnet {broker.number})", "create-subnet", "--vpc-id", vpc_id, "--cidr-block", block,
                "--availability-zone", broker.zone, *self._spec("subnet", f"naru-{self.plan.name}-{broker.number}",
                                                                **{BROKER_TAG: broker.number}))
        self._way_out(vpc_id)
        return vpc_id, ids

    def _way_out(self, vpc_id):
        """To fetch the package and what it depends on."""
        gateway = self.there.gateway()
        gateway_id = gateway["InternetGatewayId"] if gateway else self._create(
            "InternetGateway.InternetGatewayId", "(gateway)", "create-internet-gateway",
            *self._spec("internet-gateway", f"naru-{self.plan.name}"))
        if not (gateway and gateway.get("Attachments")):
            self.aws.change("ec2", "attach-internet-gateway", "--internet-gateway-id", gateway_id, "--vpc-id", vpc_id)
        table, table_id = None, "(route table)"
        if not vpc_id.startswith("("):
            table = self.aws.read("ec2", "describe-route-tables", "--filters", f"Name=vpc-id,Values={vpc_id}",
                                  "Name=association.main,Values=true")["RouteTables"][0]
            table_id = table["RouteTableId"]
        if table is None or not tags(table):
            marked = [f"Key={k},Value={v}" for k, v in self.there.marked(Name=f"naru-{self.plan.name}").items()]
            self.aws.change("ec2", "create-tags", "--resources", table_id, "--tags", *marked)
        if table is None or not any(r.get("DestinationCidrBlock") == "0.0.0.0/0" for r in table["Routes"]):
            self.aws.change("ec2", "create-route", "--route-table-id", table_id, "--destination-cidr-block", "0.0.0.0/0",
                            "--gateway-id", gateway_id)

    # Who may reach what ----------------------------------------------------------------------------------------------

    def _wanted_rules(self, group_id):
        """(port, source) pairs: clients from where the user says, brokers only among themselves."""
        rules = {(CLIENT_PORT, cidr) for cidr in self.plan.client_cidrs}
        rules |= {(SSH_PORT, cidr) for cidr in self.plan.ssh_cidrs}
        return rules | {(CLIENT_PORT, group_id), (PEER_PORT, group_id)}

    def security_group(self, vpc_id):
        group = self.there.security_group()
        noted = {ZONE_TAG: self.plan.zone_id or "own", HOSTS_TAG: " ".join(all_names([b.host for b in self.plan.brokers], self.there.hosts()))}
        group_id = group["GroupId"] if group else self._create(
            "GroupId", "(security group)", "create-security-group", "--group-name", f"naru-{self.plan.name}", "--description",
            f"Brokers of {self.plan.name}", "--vpc-id", vpc_id, *self._spec("security-group", f"naru-{self.plan.name}", **noted))
        if group and tags(group).get(ZONE_TAG, noted[ZONE_TAG]) != noted[ZONE_TAG]:
            zone = tags(group)[ZONE_TAG]
            sys.exit(f"this cluster's names are in {'a zone of its own: leave out --zone-id' if zone == 'own' else f'--zone-id {zone}'}; "
                     "to move them, deploy/ec2/down --keep-data first")
        if group and not noted.items() <= tags(group).items():
            self.aws.change("ec2", "create-tags", "--resources", group_id, "--tags",
                            json.dumps([{"Key": k, "Value": v} for k, v in noted.items()]))
        present = self._present_rules((group or {}).get("IpPermissions", []))
        wanted = self._wanted_rules(group_id)
        for port, source in sorted(wanted - present):
            self.aws.change("ec2", "authorize-security-group-ingress", "--group-id", group_id, *self._rule(port, source))
        for port, source in sorted(present - wanted):
            self.aws.change("ec2", "revoke-security-group-ingress", "--group-id", group_id, *self._rule(port, source))
        return group_id

    @staticmethod
    def _present_rules(permissions):
        """Those of the kind that `up` makes: one of its TCP ports from one IPv4 network or group. Others are the user's own."""
        own = (SSH_PORT, CLIENT_PORT, PEER_PORT)
        return {(p["FromPort"], source) for p in permissions if p["IpProtocol"] == "tcp" and p["FromPort"] == p["ToPort"] and p["FromPort"] in own
                for source in [r["CidrIp"] for r in p["IpRanges"]] + [g["GroupId"] for g in p["UserIdGroupPairs"]]}

    @staticmethod
    def _rule(port, source):
        return ["--protocol", "tcp", "--port", str(port), *(["--cidr", source] if "/" in source else ["--source-group", source])]

    def key_pair(self):
        if self.plan.key_name or not self.plan.public_key:
            return self.plan.key_name
        name = f"naru-{self.plan.name}"
        if self.there.key_pair() is None:
            self.aws.change("ec2", "import-key-pair", "--key-name", name, "--public-key-material",
                            f"fileb://{self.plan.public_key}", *self._spec("key-pair", name))
        return name

    # Names -----------------------------------------------------------------------------------------------------------

    def names(self, vpc_id):
        zone_id = self.plan.zone_id
        if zone_id is None:
            zone = self.there.own_zone()
            zone_id = zone["Id"].rsplit("/", 1)[-1] if zone else self._create_zone(vpc_id)
            if not zone_id.startswith("("):
                listed = self.aws.read("route53", "list-tags-for-resource", "--resource-type", "hostedzone", "--resource-id", zone_id)
                if self.there.marked().items() <= {t["Key"]: t["Value"] for t in listed["ResourceTagSet"]["Tags"]}.items():
                    return self._records(zone_id)
            marked = [f"Key={k},Value={v}" for k, v in self.there.marked(Name=f"naru-{self.plan.name}").items()]
            self.aws.change("route53", "change-tags-for-resource", "--resource-type", "hostedzone", "--resource-id", zone_id,
                            "--add-tags", *marked)
        return self._records(zone_id)

    def _create_zone(self, vpc_id):
        # The reference only has to be new: Route 53 takes none twice, not even after the zone was deleted, and the zone is
        # found by its comment. The CLI repeats a request that went unanswered with the same one.
        made = self.aws.change("route53", "create-hosted-zone", "--name", self.plan.domain, "--vpc",
                               f"VPCRegion={self.plan.region},VPCId={vpc_id}", "--caller-reference",
                               f"naru-{self.plan.name}-{uuid.uuid4()}", "--hosted-zone-config",
                               json.dumps({"Comment": self.there.zone_comment(), "PrivateZone": True}))
        return made["HostedZone"]["Id"].rsplit("/", 1)[-1] if made else "(zone)"

    def _records(self, zone_id):
        hosts = {b.host: b.address for b in self.plan.brokers}
        present = {} if zone_id.startswith("(") else self.there.records(zone_id, hosts)
        changes = [{"Action": "UPSERT", "ResourceRecordSet": {"Name": host, "Type": "A", "TTL": RECORD_TTL,
                                                              "ResourceRecords": [{"Value": address}]}}
                   for host, address in hosts.items()
                   if host not in present or present[host].get("ResourceRecords") != [{"Value": address}]]
        if changes:
            self.aws.change("route53", "change-resource-record-sets", "--hosted-zone-id", zone_id, "--change-batch",
                            json.dumps({"Changes": changes}))

    # The package -----------------------------------------------------------------------------------------------------

    def package_url(self):
        """Where a new host fetches the package: the given address, or one that S3 signed for a few hours."""
        package = self.plan.package
        if package.url:
            return package.url
        bucket = self.there.bucket(self.plan.account, self.plan.region)
        there = self.there.bucket_exists(bucket)
        if not there:
            where = [] if self.plan.region == "us-east-1" else ["--create-bucket-configuration", f"LocationConstraint={self.plan.region}"]
            self.aws.change("s3api", "create-bucket", "--bucket", bucket, *where)
        marked = [{"Key": k, "Value": v} for k, v in self.there.marked().items()]
        if not there or self.aws.exists(("NoSuchTagSet",), "s3api", "get-bucket-tagging", "--bucket", bucket) is None:
            self.aws.change("s3api", "put-bucket-tagging", "--bucket", bucket, "--tagging", json.dumps({"TagSet": marked}))
        if not there or self.aws.exists(("NoSuchPublicAccessBlockConfiguration",), "s3api", "get-public-access-block", "--bucket",
                                        bucket) is None:
            self.aws.change("s3api", "put-public-access-block", "--bucket", bucket, "--public-access-block-configuration",
                            "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true")
        key = f"{package.sha256}/{package.name}"
        if not there or key not in self.there.objects(bucket):
            self.aws.change("s3api", "put-object", "--bucket", bucket, "--key", key, "--body", str(package.path), "--tagging",
                            "&".join(f"{k}={v}" for k, v in self.there.marked().items()))
        return "(presigned)" if self.aws.dry_run else self.aws.presign(bucket, key, PRESIGNED_SECONDS)

    # Brokers ---------------------------------------------------------------------------------------------------------

    def user_data(self, broker, volume_id, url):
        plan = self.plan
        values = {"cluster": plan.name, "node_id": broker.number, "host": broker.host, "rack": broker.zone, "voters": plan.voters,
                  "volume": volume_id, "package_url": url, "package_sha256": plan.package.sha256,
                  "settings": "\n".join(plan.settings)}
        head = "".join(f"{k}={shlex.quote(str(v))}\n" for k, v in values.items())
        return f"#!/bin/bash\n# Broker {broker.number} of cluster {plan.name}.\n{head}" + (HERE.parent / "first-boot.sh").read_text()

    def volumes(self):
        """A data volume for each broker that lacks one; their ids."""
        present = self.there.volumes()
        ids = {}
        for broker in self.plan.brokers:
            if broker.number in present:
                ids[broker.number] = present[broker.number]["VolumeId"]
                continue
            ids[broker.number] = self._create(
                "VolumeId", f"(volume {broker.number})", "create-volume", "--availability-zone", broker.zone, "--volume-type", "gp3",
                "--size", str(self.plan.volume_gb), "--encrypted",
                *self._spec("volume", f"{broker.label}-data", **{BROKER_TAG: broker.number}))
        return ids

    def _run_instance(self, broker, subnet, group, key_name, volume_id, url):
        with tempfile.NamedTemporaryFile("w", suffix=".sh") as user_data:
            user_data.write(self.user_data(broker, volume_id, url))
            user_data.flush()
            made = self.aws.change(
                "ec2", "run-instances", "--count", "1", "--image-id", self.plan.image, "--instance-type", self.plan.instance_type,
                "--subnet-id", subnet, "--private-ip-address", broker.address, "--security-group-ids", group,
                "--associate-public-ip-address" if self.plan.public_addresses else "--no-associate-public-ip-address",
                "--metadata-options", "HttpTokens=required,HttpEndpoint=enabled", "--user-data", f"file://{user_data.name}",
                *(["--key-name", key_name] if key_name else []), "--tag-specifications",
                specification("instance", broker.label, **self.there.marked(**{BROKER_TAG: broker.number})),
                specification("volume", f"{broker.label}-system", **self.there.marked()),
                specification("network-interface", broker.label, **self.there.marked()))
        return made["Instances"][0]["InstanceId"] if made else f"(instance {broker.number})"

    def instances(self, subnets, group, key_name):
        # A host that is being terminated still has its volume, and its address.
        if (going := self.there.going()):
            self._wait("instance-terminated", "--instance-ids", *going)
        present = self.there.instances()
        self._refuse_strangers(present, going)
        volumes = self.volumes()
        missing = [b for b in self.plan.brokers if b.number not in present]
        url = self.package_url() if missing else None
        ids = {}
        for broker in self.plan.brokers:
            if broker.number in present:
                ids[broker.number] = present[broker.number]["InstanceId"]
                if present[broker.number]["State"]["Name"] in ("stopped", "stopping"):
                    self._start_stopped(present[broker.number])
                continue
            ids[broker.number] = self._run_instance(broker, subnets[broker.number], group, key_name, volumes[broker.number], url)
        self._wait("instance-running", "--instance-ids", *ids.values())
        self._attach(ids, volumes)
        return ids

    def _held(self):
        """By broker: the instance that has its data volume."""
        return {n: a["InstanceId"] for n, v in self.there.volumes().items() for a in v.get("Attachments", [])
                if a["State"] not in ("detaching", "detached")}

    def _refuse_strangers(self, present, going):
        held = self._held()
        for broker in self.plan.brokers:
            own = present[broker.number]["InstanceId"] if broker.number in present else None
            if held.get(broker.number, own) not in (own, *going):
                sys.exit(f"the data volume of broker {broker.number} is attached to {held[broker.number]}, which is not its host: "
                         "detach it there, then run this again")

    def _attach(self, ids, volumes):
        held = self._held()
        for broker in self.plan.brokers:
            if held.get(broker.number) != ids[broker.number]:
                self._wait("volume-available", "--volume-ids", volumes[broker.number])
                self.aws.change("ec2", "attach-volume", "--volume-id", volumes[broker.number], "--instance-id", ids[broker.number],
                                "--device", DATA_DEVICE)

    def _start_stopped(self, instance):
        if instance["State"]["Name"] == "stopping":
            self._wait("instance-stopped", "--instance-ids", instance["InstanceId"])
        self.aws.change("ec2", "start-instances", "--instance-ids", instance["InstanceId"])

    def _wait(self, what, *words):
        if not self.aws.dry_run:
            self.aws.change("ec2", "wait", what, *words, text=True)

    def all(self):
        vpc_id, subnets = self.network()
        group = self.security_group(vpc_id)
        key_name = self.key_pair()
        self.names(vpc_id)
        return self.instances(subnets, group, key_name)
