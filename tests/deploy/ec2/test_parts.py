"""Parts of deploy/ec2 by themselves, for what the stand-in accepts and AWS does not."""
import os
import pathlib
import subprocess
import sys
import tempfile
from unittest import mock

from missing import TOP, needs
from support import equal

sys.path.insert(0, str(TOP / "deploy/ec2/lib"))
import session  # noqa: E402  (needs the path above)

NEEDS = ()


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
def test_a_stack_detaches_no_mounted_volume():
    """It is deleted in the reverse order of its creation, so an attachment of its own would go before the host does; AWS
    says of that resource that the volume must be unmounted first."""
    resources = template()["Resources"]
    equal([name for name, r in resources.items() if r["Type"] == "AWS::EC2::VolumeAttachment"], [], "attachments of their own")
    for number in (1, 2, 3):
        equal(resources[f"Broker{number}"]["Properties"]["Volumes"], [{"Device": "/dev/sdf", "VolumeId": {"Ref": f"Volume{number}"}}],
              f"the data volume of broker {number}")


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
