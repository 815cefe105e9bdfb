"""A cluster in EC2, found again by its tags: what `up` creates, what `status` shows, what `down` deletes.

Nothing is remembered outside AWS. Every resource carries naru:cluster=NAME, those of one broker naru:broker=N too, from
the moment it exists (tags are given with the creating call), so that whatever a run that failed half way has left is
found by the next one. The hosted zone is known by its comment, because it is tagged by a call of its own.
"""
import json

from aws import tags

CLUSTER_TAG = "naru:cluster"
BROKER_TAG = "naru:broker"
ZONE_TAG = "naru:zone"        # on the security group: the hosted zone that holds the names
HOSTS_TAG = "naru:hosts"      # on the security group: the names in it
STACK_TAG = "aws:cloudformation:stack-name"  # given by CloudFormation
CLIENT_PORT = 9092
PEER_PORT = 9093
SSH_PORT = 22
DATA_DEVICE = "/dev/sdf"      # what the host calls /dev/xvdf or /dev/nvme1n1
GONE = ("terminated", "shutting-down")


def specification(kind, name, **more):
    """--tag-specifications for one kind of resource."""
    listed = {"Name": name, **more}
    return json.dumps({"ResourceType": kind, "Tags": [{"Key": k, "Value": str(v)} for k, v in listed.items()]})


class Deployment:
    """What AWS has of one cluster. Every property asks AWS; nothing is cached, so that it is true after a change."""

    def __init__(self, aws, name):
        self.aws = aws
        self.name = name

    def marked(self, **more):
        return {CLUSTER_TAG: self.name, **more}

    def _filters(self, *more):
        return ["--filters", f"Name=tag:{CLUSTER_TAG},Values={self.name}", *more]

    def _list(self, command, field, *more):
        return self.aws.read("ec2", command, *self._filters(*more))[field]

    def one(self, command, field, *more):
        found = self._list(command, field, *more)
        return found[0] if found else None

    def vpc(self):
        return self.one("describe-vpcs", "Vpcs")

    def gateway(self):
        return self.one("describe-internet-gateways", "InternetGateways")

    def subnets(self):
        """By broker."""
        return {int(tags(s)[BROKER_TAG]): s for s in self._list("describe-subnets", "Subnets")}

    def security_group(self):
        return self.one("describe-security-groups", "SecurityGroups")

    def key_pair(self):
        return self.one("describe-key-pairs", "KeyPairs")

    def volumes(self):
        """Data volumes by broker. A stack marks the system volume with the tags of its host as well."""
        found = {}
        for volume in self._list("describe-volumes", "Volumes"):
            if volume["State"] not in ("deleting", "deleted") and BROKER_TAG in tags(volume):
                number = int(tags(volume)[BROKER_TAG])
                if number not in found or any(a["Device"] == DATA_DEVICE for a in volume.get("Attachments", [])):
                    found[number] = volume
        return found

    def zones(self):
        """The availability zone of each broker that has a subnet or a data volume: neither can move to another one."""
        return {n: thing["AvailabilityZone"] for things in (self.volumes(), self.subnets()) for n, thing in things.items()}

    def instances(self):
        """Those that live, by broker."""
        found = {}
        for reservation in self.aws.read("ec2", "describe-instances", *self._filters())["Reservations"]:
            for instance in reservation["Instances"]:
                if instance["State"]["Name"] not in GONE:
                    found[int(tags(instance)[BROKER_TAG])] = instance
        return found

    def stack(self):
        """The name of the stack that made the hosts, if one did: they are its own."""
        return next((tags(i)[STACK_TAG] for i in self.instances().values() if STACK_TAG in tags(i)), None)

    def going(self):
        """Instances that are being terminated: their volumes and group are still in use."""
        listed = self.aws.read("ec2", "describe-instances", *self._filters("Name=instance-state-name,Values=shutting-down"))
        return [i["InstanceId"] for r in listed["Reservations"] for i in r["Instances"]]

    def hosts(self):
        """The brokers' names, the first broker's first."""
        return tags(self.security_group() or {}).get(HOSTS_TAG, "").split()

    # Names -----------------------------------------------------------------------------------------------------------

    def zone_comment(self):
        """With the region: zones are the account's, of all regions, and a cluster of this name may be in another one."""
        return f"cluster {self.name} of Naru in {self.aws.region}"

    def own_zone(self):
        """The private hosted zone that `up` made, by its comment."""
        for zone in self.aws.read("route53", "list-hosted-zones")["HostedZones"]:
            if zone.get("Config", {}).get("Comment") == self.zone_comment():
                return zone
        return None

    def records(self, zone_id, hosts):
        """Name to (address, ttl) of those of `hosts` that the zone has."""
        listed = self.aws.read("route53", "list-resource-record-sets", "--hosted-zone-id", zone_id)["ResourceRecordSets"]
        return {r["Name"].rstrip("."): r for r in listed if r["Type"] == "A" and r["Name"].rstrip(".") in hosts}

    # The package's bucket --------------------------------------------------------------------------------------------

    def bucket(self, account, region):
        return f"naru-{self.name}-{account}-{region}"

    def bucket_exists(self, bucket):
        return self.aws.exists(("404", "NoSuchBucket"), "s3api", "head-bucket", "--bucket", bucket) is not None

    def objects(self, bucket):
        listed = self.aws.read("s3api", "list-objects-v2", "--bucket", bucket)
        return [o["Key"] for o in listed.get("Contents", [])]
