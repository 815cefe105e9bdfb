"""moto, and in one thing more like EC2: the private address of a terminated instance is free for the next one."""
import sys

from moto.ec2.exceptions import InvalidSubnetIdError
from moto.ec2.models.instances import Instance
from moto.server import main

terminate = Instance.terminate


def terminate_and_release(self, *arguments, **named):
    done = terminate(self, *arguments, **named)
    try:
        subnet = self.ec2_backend.get_subnet(self.subnet_id)
    except InvalidSubnetIdError:  # a stack is deleted in any order: no address to release
        return done
    for address in self._private_ips:
        subnet.del_subnet_ip(address)
    return done


Instance.terminate = terminate_and_release
main(sys.argv[1:])
