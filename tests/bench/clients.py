"""The clients that measure: naru-load (librdkafka) and the Java producer of tests/bench/java. They know nothing of Naru and
run against any cluster with the methods of naru_cluster.Cluster."""
import json
import os
import pathlib
import select
import shlex
import shutil
import subprocess
import sys
import time

from naru_cluster import TOP, Failed, clean_environment

DEBIAN_PYTHON = "/usr/bin/python3"  # the interpreter that the packages of the set `bench` belong to
JAVA_PROJECT = TOP / "tests" / "bench" / "java"
JAVA_BUILD = TOP / "build" / "bench" / "java"


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def load_program():
    path = pathlib.Path(os.environ.get("NARU_LOAD", TOP / "build" / "release" / "naru-load"))
    if not path.exists():
        raise SystemExit(f"{path} is not built: cmake --build build/release --target naru naru-load")
    return str(path)


def build_if_missing():
    """The release, where neither it nor other binaries are there."""
    release = TOP / "build" / "release"
    if "NARU" not in os.environ and not all((release / name).exists() for name in ("naru", "naru-load", "naru-limit")):
        for command in ([str(TOP / "scripts" / "run"), "--build-only"],
                        ["cmake", "--build", str(release), "--target", "naru-load", "naru-limit"]):
            print("+", " ".join(command), file=sys.stderr, flush=True)
            subprocess.run(command, check=True, stdout=sys.stderr)


def install(package_set):
    """Packages of scripts/lib/packages that are not there yet."""
    lib = TOP / "scripts" / "lib"
    script = f"source {shlex.quote(str(lib / 'common.sh'))}; source {shlex.quote(str(lib / 'packages.sh'))}; install_packages {package_set}"
    if subprocess.run(["bash", "-c", script], stdout=sys.stderr, check=False).returncode != 0:
        raise Failed(f"the packages of the set '{package_set}' (scripts/lib/packages) could not be installed")


def output_of(name, command, timeout=590):
    """What a program printed, which must end well and in time."""
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"{name} did not end within {timeout} s") from None
    if done.returncode != 0:
        raise Failed(f"{name} ended with {done.returncode}: {done.stdout[-500:]} {done.stderr[-500:]}")
    return done.stdout


def run_load(*words, timeout=590):
    return json.loads(output_of(f"naru-load {' '.join(map(str, words))}", [load_program(), *words], timeout))


class Load:
    """naru-load produce in the background."""

    def __init__(self, *words):
        self.name = f"naru-load {' '.join(map(str, words))}"
        self.process = subprocess.Popen([str(word) for word in (load_program(), *words)], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)

    def wait_until_connected(self):
        """From here on it writes."""
        for line in self.process.stderr:
            if line.strip() == "naru-load: connected":
                return
        raise Failed(f"{self.name} did not connect")

    def result(self, timeout=590):
        out, errors = self.process.communicate(timeout=timeout)
        if self.process.returncode != 0:
            raise Failed(f"{self.name} ended with {self.process.returncode}: {errors[-500:]}")
        return json.loads(out)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.process.kill()
        self.process.communicate()


def first_write(cluster):
    """Starts brokers that have not run yet; seconds until all listen and until a client's first write is acknowledged."""
    client = subprocess.Popen([load_program(), "first", "--bootstrap", cluster.bootstrap, "--topic", "first"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        began = time.monotonic()
        for broker in cluster.brokers:
            broker.start()
        out, errors = client.communicate(timeout=120)
    finally:
        client.kill()
        client.wait()
    if client.returncode != 0:
        raise Failed(f"no first write: naru-load ended with {client.returncode}: {errors[-500:]}")
    seen = json.loads(out)
    return seen["listening"] - began, seen["acknowledged"] - began


class Steady:
    """A steady producer (bench/steady.h, bench/java): says when writes flow, and the longest gap between two marks."""

    def __init__(self, command):
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, bufsize=0, env=clean_environment())
        self.buffer = b""
        self.wait_for("ready")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.process.kill()
        self.process.wait()

    def wait_for(self, kind, timeout=60.0):
        deadline = time.monotonic() + timeout
        while True:
            while b"\n" in self.buffer:
                line, self.buffer = self.buffer.split(b"\n", 1)
                event = json.loads(line)
                if event["event"] == kind:
                    return event
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not chunk:
                raise Failed(f"the steady producer did not say {kind} within {timeout} s")
            self.buffer += chunk

    def flow(self, records=200):
        """Waits until each partition has had so many more acknowledgements."""
        self.process.stdin.write(f"flow {records}\n".encode())
        self.wait_for("flow")

    def mark(self):
        self.process.stdin.write(b"mark\n")
        return self.wait_for("mark")


def librdkafka_producer(cluster, topic, bootstrap=None):
    """Two partitions, 1000 records a second; everything else as librdkafka has it by default."""
    return Steady([load_program(), "steady", "--bootstrap", bootstrap or cluster.bootstrap, "--topic", topic, "--partitions", 2, "--rate", 1000])


def java_producer(cluster, topic, bootstrap=None):
    classes = f"{JAVA_BUILD}/classes:{JAVA_BUILD}/lib/*"
    return Steady(["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", classes,
                   "naru.bench.SteadyProducer", bootstrap or cluster.bootstrap, topic, 2, 1000])


def build_java():
    """None, or what is missing."""
    for program in ("java", "mvn"):
        if not shutil.which(program):
            return f"{program} is not installed"
    if (JAVA_BUILD / "lib").exists():
        return None
    say("building the Java producer")
    done = subprocess.run(["mvn", "-q", "-f", str(JAVA_PROJECT / "pom.xml"), "package", f"-DbuildDir={JAVA_BUILD}"],
                          capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"mvn package failed: {done.stdout[-500:]}"
