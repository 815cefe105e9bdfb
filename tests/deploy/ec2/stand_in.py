"""An EC2 API to test against: what AWS_ENDPOINT_URL names, else moto, started here on a free port.

The scripts under test see nothing but the environment: AWS_ENDPOINT_URL, a region, and an `aws` in PATH.
"""
import ctypes
import functools
import json
import os
import pathlib
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import urllib.request

from missing import TOP, Missing
from naru_cluster import Failed, wait_until

HERE = pathlib.Path(__file__).resolve().parent
VENV = TOP / "build" / "deploy-venv"
WANTED = ("moto[server,ec2,route53,s3,iam,ssm,cloudformation]>=5.1,<6", "awscli>=1.40,<2", "boto3")
REGION = "ap-northeast-2"
DEBIAN_IMAGES = [
    {"ami_id": f"ami-debian12{arch}{age}", "name": f"debian-12-{name}-2026{age}01", "owner_id": "136693071363", "public": True,
     "description": "stands for Debian's", "architecture": arch, "image_location": "debian", "state": "available",
     "root_device_name": "/dev/xvda", "root_device_type": "ebs", "virtualization_type": "hvm", "hypervisor": "xen", "image_type": "machine",
     "creation_date": f"2026-{age}-01T00:00:00.000Z", "sriov": "simple"}
    for arch, name in (("x86_64", "amd64"), ("arm64", "arm64")) for age in ("03", "07")]


@functools.cache
def programs():
    """Where moto and the AWS CLI are: installed from PyPI once, beside the build."""
    python = VENV / "bin" / "python3"
    if not (VENV / "complete").exists():
        print("installing moto and the AWS CLI into build/deploy-venv", file=sys.stderr, flush=True)
        for words in ([sys.executable, "-m", "venv", "--clear", str(VENV)], [str(python), "-m", "pip", "install", "-q", *WANTED]):
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Missing(f"moto and the AWS CLI could not be installed from PyPI: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
        (VENV / "complete").touch()
    sys.path.append(str(next(VENV.glob("lib/python3*/site-packages"))))
    return VENV / "bin"


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Forwarder(socketserver.ThreadingTCPServer):
    """Makes an address on loopback reachable from containers: a port on their gateway, passed on."""
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, listen_host, target):
        self.target = target
        super().__init__((listen_host, 0), ForwardOne)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class ForwardOne(socketserver.BaseRequestHandler):
    def handle(self):
        with socket.create_connection(self.server.target) as other:
            back = threading.Thread(target=copy, args=(other, self.request), daemon=True)
            back.start()
            copy(self.request, other)
            back.join()


def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class StandIn:
    """with StandIn() as ec2: ec2.run("deploy/ec2/up", ...)"""

    def __init__(self, reachable_at=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="naru-ec2-"))
        self.processes = []
        self.reachable_at = reachable_at

    def __enter__(self):
        try:
            self.programs = programs()
            self.endpoint = os.environ.get("AWS_ENDPOINT_URL") or self._start_moto()
            if self.reachable_at:
                host, port = self.endpoint.split("//")[1].rstrip("/").rsplit(":", 1)
                self.forwarder = Forwarder(self.reachable_at, (host, int(port)))
                self.endpoint = "http://%s:%d" % self.forwarder.server_address
            self.environment = self._environment()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def _spawn(self, words, **more):
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent, start_new_session=True, **more)
        self.processes.append(process)
        return process

    def _start_moto(self):
        images = self.dir / "images.json"
        images.write_text(json.dumps(DEBIAN_IMAGES))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = open(self.dir / "moto.log", "wb")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")} | {"MOTO_AMIS_PATH": str(images)}
        moto = self._spawn([str(self.programs / "python3"), str(HERE / "moto_as_ec2.py"), "-H", "127.0.0.1", "-p", str(port)], stdout=log,
                           stderr=log, env=environment)
        url = f"http://127.0.0.1:{port}"

        def answers():
            if moto.poll() is not None:
                raise SystemExit(f"moto ended: {(self.dir / 'moto.log').read_text()[-2000:]}")
            try:
                with urllib.request.urlopen(url + "/moto-api/", timeout=5):
                    return True
            except OSError as failure:
                raise Failed(str(failure)) from None
        wait_until(answers, "moto to answer", 60)
        return url

    def _environment(self):
        tools = self.dir / "bin"
        tools.mkdir()
        # By this very Python: a version manager's wrapper costs more than the rest.
        (tools / "aws").write_text(f"#!{self.programs / 'python3'} -SE\n" + (HERE / "aws_client.py").read_text())
        (tools / "aws").chmod(0o755)
        server = self._spawn([str(self.programs / "python3"), str(HERE / "aws_server.py"), str(self.dir / "aws.socket")], stdout=subprocess.PIPE)
        if server.stdout.readline() != b"ready\n":
            raise Failed("the AWS CLI did not load")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "KAFKA_"))}
        return kept | {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
                       "AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "",
                       "AWS_CONFIG_FILE": str(self.dir / "none"), "AWS_SHARED_CREDENTIALS_FILE": str(self.dir / "none"),
                       "EC2_TEST_AWS": str(self.dir / "aws.socket"), "PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(self.dir)}

    def run(self, *words, expect=0, timeout=600, **environment):
        """A script of the project; must end with `expect` (None: any). Returns the finished process."""
        words = [str(w) for w in words]
        done = subprocess.run([str(TOP / words[0]), *words[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, cwd=TOP, env=self.environment | environment, check=False)
        if expect is not None and done.returncode != expect:
            raise Failed(f"{' '.join(words)} ended with {done.returncode}, not {expect}:\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}")
        return done

    def aws(self, *words):
        done = subprocess.run(["aws", *map(str, words), "--output", "json"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env=self.environment, check=False)
        if done.returncode != 0:
            raise Failed(f"aws {' '.join(map(str, words))}: {done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def client(self, service):
        import boto3
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, aws_access_key_id="testing",
                            aws_secret_access_key="testing")

    def everything(self):
        """Every resource that the API has: what `down` must bring back to what it was. Network interfaces are left out:
        EC2 deletes that of an instance with it, moto keeps it."""
        ec2, found = self.client("ec2"), set()
        for reservation in ec2.describe_instances()["Reservations"]:
            found |= {("instance", i["InstanceId"]) for i in reservation["Instances"] if i["State"]["Name"] != "terminated"}
        for kind, call, field, name in (("volume", ec2.describe_volumes, "Volumes", "VolumeId"),
                                        ("vpc", ec2.describe_vpcs, "Vpcs", "VpcId"),
                                        ("subnet", ec2.describe_subnets, "Subnets", "SubnetId"),
                                        ("gateway", ec2.describe_internet_gateways, "InternetGateways", "InternetGatewayId"),
                                        ("routes", ec2.describe_route_tables, "RouteTables", "RouteTableId"),
                                        ("group", ec2.describe_security_groups, "SecurityGroups", "GroupId"),
                                        ("key", ec2.describe_key_pairs, "KeyPairs", "KeyName")):
            found |= {(kind, item[name]) for item in call()[field]}
        route53 = self.client("route53")
        for zone in route53.list_hosted_zones()["HostedZones"]:
            found.add(("zone", zone["Id"]))
            for record in route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]:
                found.add(("record", zone["Id"], record["Name"], record["Type"]))
        found |= {("bucket", b["Name"]) for b in self.client("s3").list_buckets()["Buckets"]}
        found |= {("stack", s["StackName"]) for s in self.client("cloudformation").list_stacks()["StackSummaries"]
                  if s["StackStatus"] != "DELETE_COMPLETE"}
        return found
