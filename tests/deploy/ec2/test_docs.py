"""Every command of the pages about hosts is run as it stands there, but for names of files and keys."""
import concurrent.futures
import contextlib
import re
import secrets
import subprocess

from hosts import LABEL, docker, require_docker
from missing import TOP, needs
from naru_cluster import Failed, wait_until
from package import package
from pages import Reading, blocks
from stand_in import StandIn
from support import equal, true
from test_api import ADDRESSES, drop_route_table, public_key, some_package
from test_package import host, install, shell

NEEDS = ("engine", "root", "package")

SHOWN_PACKAGE = re.compile(r"(\./)?build/release/naru_(0\.1\.0_amd64|\*)\.deb")


def test_install_page():
    with host() as machine, Reading("docs/install.md", elsewhere={"deploy/deb/build": "tests/deploy/ec2/package.py"}) as reading:
        shell(machine, "apt-get update -qq && mkdir /data && mount -t tmpfs tmpfs /data")
        ran = 0
        for command in reading.commands():
            command = SHOWN_PACKAGE.sub(f"/packages/{package().name}", command)
            try:
                shell(machine, f"export DEBIAN_FRONTEND=noninteractive PAGER=cat; {command}")
            except Failed as failure:
                raise Failed(f"docs/install.md shows `{command}`: {failure}") from None
            ran += 1
            if "systemctl restart naru" in command:
                true(shell(machine, "naru health --timeout 10s"), "health with the drop-in")
        true(ran >= 14, f"only {ran} commands were found")


@needs("moto")
def test_ec2_page():
    elsewhere = {"deploy/deb/build": "tests/deploy/ec2/package.py", "deploy/ec2/failover-demo": "tests/deploy/ec2/test_hosts.py"}
    with StandIn() as ec2, Reading("docs/ec2.md", elsewhere=elsewhere) as reading:
        home = ec2.dir / ".ssh"
        home.mkdir()
        (home / "id_ed25519.pub").write_bytes(public_key(ec2).read_bytes())
        ec2.client("s3").create_bucket(Bucket="my-bucket", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-2"})
        before = ec2.everything()
        script = []
        for command in reading.commands():
            command = SHOWN_PACKAGE.sub(str(some_package(ec2)), command)
            # Hosts to log in to are in test_hosts.py, with this option.
            command = re.sub(r" --identity \S+", "", command)
            if re.match(r"deploy/ec2/(up|down)", command):
                command += " --yes"
            if "packages.example.com" in command:
                command += " --name elsewhere && deploy/ec2/down --name elsewhere --yes"
            if "create-stack --" in command:  # moto does not read the defaults of lists
                subnets = r"\\,".join(a.rsplit(".", 1)[0] + ".0/24" for a in ADDRESSES)
                addresses = r"\\,".join(ADDRESSES)
                command += f" ParameterKey=Network,ParameterValue=198.19.128.0/20 ParameterKey=Subnets,ParameterValue={subnets}"
                command += f" ParameterKey=Addresses,ParameterValue={addresses} ParameterKey=ClusterName,ParameterValue=stack"
            script.append(command)
        true(len(script) >= 12, f"only {len(script)} commands were found: {script}")
        split = next(n for n, c in enumerate(script) if "delete-stack" in c)
        run_all(ec2, script[:split])
        drop_route_table(ec2)
        run_all(ec2, script[split:])
        kinds = ("instance", "vpc", "subnet", "group", "stack", "key")  # what moto deletes of a stack
        equal({r for r in ec2.everything() if r[0] in kinds}, {r for r in before if r[0] in kinds}, "what is left")


def run_all(ec2, script):
    """In one shell: some lines set variables for later ones."""
    done = subprocess.run(["bash", "-euxc", "\n".join(script)], cwd=TOP, env=ec2.environment, capture_output=True, text=True, check=False,
                          timeout=600)
    if done.returncode != 0:
        raise Failed(f"a command of docs/ec2.md ended with {done.returncode}:\n{done.stderr[-3000:]}")


HOSTS = ["kafka01.example.com", "kafka02.example.com", "kafka03.example.com"]


@contextlib.contextmanager
def three_hosts():
    """A cluster with the very file that docs/install.md shows, each host with its own number and names."""
    require_docker()
    shown = next("\n".join(b.lines) for b in blocks("docs/install.md") if b.text == "a configuration file")
    network = f"{LABEL}-{secrets.token_hex(4)}"
    docker("network", "create", "--label", LABEL, network)
    try:
        with contextlib.ExitStack() as stack:
            machines = [stack.enter_context(host("--network", network, "--hostname", name, "--network-alias", name)) for name in HOSTS]

            def prepare(number):
                own = re.sub(r"(?m)^node.id=1$", f"node.id={number}", shown).replace(f"PLAINTEXT://{HOSTS[0]}", f"PLAINTEXT://{HOSTS[number - 1]}")
                install(machines[number - 1])
                shell(machines[number - 1], f"cat >/etc/naru/server.properties <<'END'\n{own}\nEND\nsystemctl enable --now naru")
            with concurrent.futures.ThreadPoolExecutor() as pool:
                list(pool.map(prepare, (1, 2, 3)))
            yield machines
    finally:
        docker("network", "rm", network, check=False)


def follow(machine, reading, heading):
    """Does on a host what stands under a heading."""
    for command in reading.commands(heading):
        try:
            if expected := re.search(r"# ends with (\d+)", command):
                command = f'set +e; {command.split("#")[0]}; test $? = {expected[1]}'
            shell(machine, command)
        except Failed as failure:
            raise Failed(f"{reading.page}, {heading}, shows `{command}`: {failure}") from None


def test_operations_page():
    with three_hosts() as machines, Reading("docs/operations.md") as reading:
        healthy = "naru health --wait --min-brokers 3 --timeout 60s"
        shell(machines[0], f"{healthy} && naru topic create orders -p 6 && seq 1000 | naru produce orders")
        for machine in machines:
            follow(machine, reading, "Rolling restart")
        follow(machines[2], reading, "Replace a disk")
        wait_until(lambda: "observer" not in shell(machines[0], "naru status"), "the broker with an empty disk to vote again, as the page says")
        shell(machines[0], healthy)
        for machine in machines[1:]:
            shell(machine, "systemctl kill -s KILL naru && systemctl stop naru")
        wait_until(lambda: "no controller" in shell(machines[0], "naru health", check=False), "health to say `no controller`")
        follow(machines[1], reading, "A majority is lost")
        shell(machines[2], "systemctl start naru")
        shell(machines[0], healthy)
        equal(len(shell(machines[0], "naru consume orders -e").splitlines()), 1001, "records that are left")
        with Reading("docs/failures.md") as questions:
            for command in questions.commands():
                shell(machines[1], f"export PAGER=cat; {command}")


@needs()
def test_options_of_the_scripts():
    """Every option of `up` is explained by its help, and the page uses none that there is not."""
    help_text = subprocess.run([str(TOP / "deploy/ec2/up"), "--help"], capture_output=True, text=True, check=True).stdout
    for option in re.findall(r'add_argument\("(--[\w-]+)"', (TOP / "deploy/ec2/up").read_text()):
        true(option in help_text, f"{option} is in the help")
    shown = [c for b in blocks("docs/ec2.md") for c in b.commands()]
    for command in ("up", "status", "down", "failover-demo"):
        for option in re.findall(r"--[\w-]+", " ".join(c for c in shown if c.startswith(f"deploy/ec2/{command}"))):
            said = subprocess.run([str(TOP / "deploy/ec2" / command), "--help"], capture_output=True, text=True, check=True).stdout
            true(option in said, f"docs/ec2.md uses {option} of deploy/ec2/{command}, whose help does not know it")
