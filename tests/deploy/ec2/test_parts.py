"""Parts of deploy/ec2 by themselves, for what the stand-in accepts and AWS does not."""
from missing import TOP, needs
from support import equal

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
