"""Every command that docs/install.md and docs/ec2.md show is run as it stands there, but for names of files and keys."""
import re
import subprocess

from missing import TOP
from naru_cluster import Failed
from package import package
from stand_in import StandIn
from support import equal, true
from test_api import ADDRESSES, drop_route_table, public_key, some_package
from test_package import host, shell

SHOWN_PACKAGE = re.compile(r"(\./)?build/release/naru_(0\.1\.0_amd64|\*)\.deb")


def commands(page):
    """The indented lines of a page that are commands: what is shown of files is not."""
    lines = [line[4:] for line in (TOP / "docs" / page).read_text().splitlines() if line.startswith("    ")]
    return [line for line in lines if not re.match(r"[a-z.]+=\S+$", line)]


def test_install_page():
    with host() as machine:
        shell(machine, "apt-get update -qq && mkdir /data && mount -t tmpfs tmpfs /data")
        ran = 0
        for command in commands("install.md"):
            if command.startswith("deploy/deb/build"):
                continue  # package() has run it
            command = SHOWN_PACKAGE.sub(f"/packages/{package().name}", command)
            try:
                shell(machine, f"export DEBIAN_FRONTEND=noninteractive PAGER=cat; {command}")
            except Failed as failure:
                raise Failed(f"docs/install.md shows `{command}`: {failure}") from None
            ran += 1
            if "systemctl restart naru" in command:
                true(shell(machine, "naru health --timeout 10s"), "health with the drop-in")
        true(ran >= 14, f"only {ran} commands were found")


def test_ec2_page():
    with StandIn() as ec2:
        home = ec2.dir / ".ssh"
        home.mkdir()
        (home / "id_ed25519.pub").write_bytes(public_key(ec2).read_bytes())
        ec2.client("s3").create_bucket(Bucket="my-bucket", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-2"})
        before = ec2.everything()
        script, shown = [], commands("ec2.md")
        for command in shown:
            if command.startswith(("deploy/deb/build", "deploy/ec2/failover-demo")):
                continue  # package() and test_hosts.py run them
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
        true(len(script) >= 12, f"only {len(script)} commands were found: {shown}")
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


def test_pages_name_what_is_there():
    """Files that the pages and the README name exist, and every option of `up` is explained by its help."""
    for page in ("docs/install.md", "docs/ec2.md", "README.md"):
        text = (TOP / page).read_text()
        for path in set(re.findall(r"(?:deploy|docs|tests|scripts)/[\w./-]*\w", text)):
            true((TOP / path).exists() or path.startswith("docs/performance"), f"{page} names {path}, which is not there")
    help_text = subprocess.run([str(TOP / "deploy/ec2/up"), "--help"], capture_output=True, text=True, check=True).stdout
    for option in re.findall(r'add_argument\("(--[\w-]+)"', (TOP / "deploy/ec2/up").read_text()):
        true(option in help_text, f"{option} is in the help")
    for command in ("up", "status", "down", "failover-demo"):
        for option in re.findall(r"--[\w-]+", " ".join(c for c in commands("ec2.md") if c.startswith(f"deploy/ec2/{command}"))):
            said = subprocess.run([str(TOP / "deploy/ec2" / command), "--help"], capture_output=True, text=True, check=True).stdout
            true(option in said, f"docs/ec2.md uses {option} of deploy/ec2/{command}, whose help does not know it")
