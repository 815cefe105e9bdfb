"""moto, and in some things more like AWS: the private address of a terminated instance is free for the next one, a stack
attaches the volumes that are a property of an instance, and Route 53 takes a caller reference once."""
import sys

from moto.ec2.exceptions import InvalidSubnetIdError
from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import Instance
from moto.route53.exceptions import Route53ClientError
from moto.route53.models import Route53Backend
from moto.server import main

terminate = Instance.terminate
create_of_stack = Instance.create_from_cloudformation_json.__func__
create_zone = Route53Backend.create_hosted_zone
references = set()  # of zones, those that were deleted included


def terminate_and_release(self, *arguments, **named):
    done = terminate(self, *arguments, **named)
    try:
        subnet = self.ec2_backend.get_subnet(self.subnet_id)
    except InvalidSubnetIdError:  # a stack is deleted in any order: no address to release
        return done
    for address in self._private_ips:
        subnet.del_subnet_ip(address)
    return done


def create_and_attach(cls, resource_name, cloudformation_json, account_id, region_name, **named):
    made = create_of_stack(cls, resource_name, cloudformation_json, account_id, region_name, **named)
    for volume in cloudformation_json["Properties"].get("Volumes", []):
        ec2_backends[account_id][region_name].attach_volume(volume["VolumeId"], made.id, volume["Device"])
    return made


def create_zone_once(self, *arguments, caller_reference=None, **named):
    if caller_reference in references:
        raise Route53ClientError("HostedZoneAlreadyExists", f"A hosted zone has already been created with the specified caller reference {caller_reference}")
    if caller_reference:  # a stack gives none
        references.add(caller_reference)
    return create_zone(self, *arguments, caller_reference=caller_reference, **named)


Instance.terminate = terminate_and_release
Instance.create_from_cloudformation_json = classmethod(create_and_attach)
Route53Backend.create_hosted_zone = create_zone_once
main(sys.argv[1:])
