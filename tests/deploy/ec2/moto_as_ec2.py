"""moto, and in some things more like AWS: the private address of a terminated instance is free for the next one, and a
stack attaches the volumes that are a property of an instance."""
import sys

from moto.ec2.exceptions import InvalidSubnetIdError
from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import Instance
from moto.server import main

terminate = Instance.terminate
create_of_stack = Instance.create_from_cloudformation_json.__func__


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


Instance.terminate = terminate_and_release
Instance.create_from_cloudformation_json = classmethod(create_and_attach)
main(sys.argv[1:])
