"""Real brokers for tests and demonstrations: processes, signals, and waiting for conditions.

Each cluster lives on a loopback address of its own (127.x.y.z), so that clusters side by side and whatever else runs on
the machine never meet on a port. A broker that this module started does not outlive the Python process.
Nothing here sleeps for a time: it waits for a condition, and says which one when it does not come.
"""
import contextlib
import ctypes
import json
import os
import pathlib
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def naru_binary():
    """The naru to test: $NARU, else the release build."""
    path = pathlib.Path(os.environ.get("NARU", TOP / "build" / "release" / "naru"))
    if not path.exists():
        raise SystemExit(f"{path} is not built; scripts/run builds it")
    return str(path)


class Failed(Exception):
    """A condition that did not come, or a command that failed where it must not."""


class Skipped(Exception):
    """What a test needs is not to be had on this machine; said loudly, and counted as skipped."""


def wait_until(condition, what, timeout=60.0, pause=0.02):
    """Calls `condition` until it returns something true, and returns that. `what` says what was waited for."""
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last
        except Failed as failure:
            last = failure
        if time.monotonic() > deadline:
            raise Failed(f"waited {timeout} s for {what}; last seen: {last}")
        time.sleep(pause)  # between two looks at the condition


@contextlib.contextmanager
def said_while_it_lasts(what, every=10.0):
    """A line every so many seconds for whoever watches: what takes long says its own name only at its end."""
    began = time.monotonic()
    over = threading.Event()
    stream = sys.stderr  # of now: what is tried may put another one in its place

    def tell():
        while not over.wait(every):
            print(f"    {what}: {time.monotonic() - began:.0f} s so far", file=stream, flush=True)
    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def die_with_parent():
    """For Popen's preexec_fn: the kernel ends the process when whoever started it ends, however that was."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def clean_environment():
    """Without variables that a broker or the command would take for configuration."""
    return {k: v for k, v in os.environ.items() if not k.startswith("KAFKA_") and k not in ("CLUSTER_ID", "NARU_BROKERS")}


def free_ports(host, first, count):
    """The first of `count` ports in a row that nobody listens on, `first` if it can be, with those for peers. A broker that
    listens on every address of the machine has its port on `host` too."""
    def free(port):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind((host, port))
                s.listen()
                return True
            except OSError:
                return False
    for start in range(first, first + 10000, 100):
        if all(free(start + i) and free(start + i + 10000) for i in range(count)):
            return start
    raise Failed(f"no {count} free ports in a row on {host}")


class Broker:
    def __init__(self, cluster, node_id, host, port):
        self.cluster = cluster
        self.id = node_id
        self.host = host
        self.port = port
        self.peer_port = port + 10000
        self.dir = cluster.dir / str(node_id)
        self.data = self.dir / "data"
        self.log_path = self.dir / "naru.log"
        self.process = None
        self.settings = {}
        self.enter = None      # words before its command, instead of the cluster's
        self.environment = {}  # besides the inherited one: preloaded libraries

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        return self.process.pid

    @property
    def resident_kib(self):
        """What the process has in memory, files that it maps included."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))

    def properties(self):
        voters = ",".join(f"{b.id}@{b.host}:{b.peer_port}" for b in self.cluster.voters())
        lines = {
            "node.id": self.id,
            "listeners": f"PLAINTEXT://{self.host}:{self.port},CONTROLLER://{self.host}:{self.peer_port}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": voters,
            "log.dirs": self.data,
            "naru.shards": 1,
            "group.initial.rebalance.delay.ms": 0,
        }
        lines.update(self.cluster.settings)
        lines.update(self.settings)
        return "".join(f"{key}={value}\n" for key, value in lines.items() if value is not None)

    def start(self):
        if self.running:
            raise Failed(f"broker {self.id} runs already")
        self.dir.mkdir(parents=True, exist_ok=True)
        (self.dir / "server.properties").write_text(self.properties())
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*(self.cluster.enter if self.enter is None else self.enter), self.cluster.naru_path, "start", "-c", str(self.dir / "server.properties")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=die_with_parent, env=clean_environment() | self.environment)
        return self

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """kill -9, and wait until the process is gone."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self, timeout=60.0):
        """SIGTERM: a controlled shutdown. Returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait_exit(timeout)

    def wait_exit(self, timeout=60.0):
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"broker {self.id} did not end within {timeout} s") from None

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def complaint(self):
        """What a sanitizer found in it, in one line; a test that kills brokers anyway would not notice that one fell."""
        found = re.search(r"^.*(?:WARNING|ERROR): \w+Sanitizer.*$", self.log(), re.MULTILINE)
        return f"broker {self.id}: {found.group()}" if found else None

    def wipe(self):
        shutil.rmtree(self.data, ignore_errors=True)


class Cluster:
    """with Cluster(3) as cluster: cluster.start() ...

    Brokers share one host and have ports in a row, at or after `port` (with `host`: just there); with `hosts`, each has a host of its own and all have the same port.
    `enter` are the words before each command, where the brokers live in a place of their own (tests/clients/hosts.py).
    """

    def __init__(self, brokers=3, settings=None, directory=None, seed=None, observers=0, keep=False, port=9092, host=None,
                 hosts=None, enter=()):
        self.random = random.Random(seed)
        self.naru_path = naru_binary()
        self.keep = keep
        self.dir = pathlib.Path(directory or tempfile.mkdtemp(prefix="naru-cluster-"))
        self.dir.mkdir(parents=True, exist_ok=True)
        self.settings = dict(settings or {})
        # Not from the seed: two runs of one seed side by side must not meet.
        free = random.SystemRandom()
        self.host = host or f"127.{free.randrange(1, 255)}.{free.randrange(0, 255)}.{free.randrange(1, 255)}"
        self.voter_count = brokers
        self.enter = list(enter)
        if hosts:
            self.brokers = [Broker(self, i + 1, name, port) for i, name in enumerate(hosts)]
        else:
            first = port if enter or host else free_ports(self.host, port, brokers + observers)
            self.brokers = [Broker(self, i + 1, self.host, first + i) for i in range(brokers + observers)]

    def voters(self):
        return self.brokers[: self.voter_count]

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close(failed=kind is not None)

    def __getitem__(self, node_id):
        return self.brokers[node_id - 1]

    def close(self, failed=False):
        for broker in self.brokers:
            if broker.running:
                broker.resume()
                broker.kill()
        complaints = [c for c in (b.complaint() for b in self.brokers) if c]
        if failed or complaints or self.keep:
            print(f"    logs and data: {self.dir}", file=sys.stderr)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
        for complaint in complaints:
            print(f"    {complaint}", file=sys.stderr)
        if complaints and not failed:
            raise Failed(complaints[0])

    @property
    def bootstrap(self):
        return ",".join(b.address for b in self.brokers)

    def start(self, healthy=True, timeout=60.0):
        for broker in self.brokers:
            if not broker.running:
                broker.start()
        if healthy:
            self.wait_healthy(timeout)
        return self

    # The command ---------------------------------------------------------------------------------------------------

    def run(self, *words, bootstrap=None, text_in=None, timeout=60.0):
        """Runs naru with the cluster's addresses; returns the finished process."""
        environment = clean_environment()
        environment["NARU_BROKERS"] = bootstrap or self.bootstrap
        try:
            return subprocess.run([*self.enter, self.naru_path, *map(str, words)], input=text_in, capture_output=True, text=True,
                                  timeout=timeout, env=environment, check=False)
        except subprocess.TimeoutExpired as expired:
            raise Failed(f"naru {' '.join(map(str, words))} did not end within {timeout} s: {expired.stderr}") from None

    def naru(self, *words, **options):
        """As run(), and must succeed. Returns its standard output."""
        done = self.run(*words, **options)
        if done.returncode != 0:
            raise Failed(f"naru {' '.join(map(str, words))} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def json(self, *words, **options):
        return json.loads(self.naru(*words, "-o", "json", **options))

    # What is so ----------------------------------------------------------------------------------------------------

    def status(self):
        done = self.run("status", "-o", "json")
        if done.returncode not in (0, 10):
            raise Failed(f"naru status ended with {done.returncode}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def controller(self):
        return self.status()["controller"]

    def topic(self, name):
        return self.json("topic", "describe", name)[0]

    def partition(self, topic, index=0):
        return self.topic(topic)["partition_list"][index]

    def leader(self, topic, index=0):
        return self.partition(topic, index)["leader"]

    def wait_healthy(self, timeout=60.0, brokers=None):
        wanted = len(self.brokers) if brokers is None else brokers

        def none_ended():
            for broker in self.brokers:
                if broker.process is not None and broker.process.poll() is not None and brokers is None:
                    raise SystemExit(f"broker {broker.id} ended with {broker.process.poll()}: {last_lines(broker.log())}")

        def healthy():
            none_ended()
            done = self.run("health", "--min-brokers", wanted, "--timeout", "2s")
            if done.returncode != 0:
                raise Failed(done.stdout.strip() + done.stderr.strip())
            none_ended()  # else it was somebody else who answered at that address
            return True

        return wait_until(healthy, f"a healthy cluster of {wanted}", timeout)

    def wait_leader(self, topic, index=0, other_than=None, timeout=60.0):
        """Waits until a living broker leads; returns its id."""
        def led():
            leader = self.leader(topic, index)
            return leader if leader is not None and leader != other_than and self[leader].running else None
        return wait_until(led, f"a leader of {topic}-{index} other than {other_than}", timeout)

    def wait_controller(self, other_than=None, timeout=60.0):
        def found():
            controller = self.controller()
            return controller if controller is not None and controller != other_than and self[controller].running else None
        return wait_until(found, f"a controller other than {other_than}", timeout)

    def wait_isr(self, topic, size=None, timeout=60.0):
        def full():
            described = self.topic(topic)
            return all(len(p["isr"]) == (size or len(p["replicas"])) for p in described["partition_list"])
        return wait_until(full, f"ISR of {topic} of size {size or 'all'}", timeout)

    def wait_fenced(self, node_id, timeout=60.0):
        """Waits until the controller knows that a broker is down; returns the status that says so."""
        def known():
            status = self.status()
            return status if any(b["id"] == node_id and b["fenced"] for b in status["brokers"]) else None
        return wait_until(known, f"broker {node_id} to be known as down", timeout)


def last_lines(text, count=5):
    return "\n".join(text.strip().splitlines()[-count:])


class Workload:
    """`naru verify workload` on a topic: clients at work, and the verdict on what they saw."""

    def __init__(self, cluster, topic, rate=200, consumers=2, group=None, history=None, properties=(), size=100):
        words = [*cluster.enter, cluster.naru_path, "verify", "workload", topic, "-b", cluster.bootstrap, "--rate", str(rate),
                 "--consumers", str(consumers), "--group", group or f"{topic}-readers", "--size", str(size)]
        if history:
            words += ["--history", str(history)]
        for item in properties:
            words += ["-X", item]
        self.rate = rate
        self.errors = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, bufsize=0,
                                        preexec_fn=die_with_parent, env=clean_environment(), start_new_session=True)
        self.buffer = b""
        self.progress = {"sent": 0, "acknowledged": 0, "polled": 0, "silent_ms": 0.0, "least": 0}
        self._wait_for("ready", 60.0)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _take(self, timeout):
        """One event, or None if none came in time."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left < 0:
                return None
            ready, _, _ = select.select([self.process.stdout], [], [], left)
            if not ready:
                return None
            chunk = os.read(self.process.stdout.fileno(), 65536)
            if not chunk:
                self.errors.seek(0)
                raise Failed(f"the workload ended with {self.process.wait()}: {self.errors.read().strip()}")
            self.buffer += chunk
        line, self.buffer = self.buffer.split(b"\n", 1)
        event = json.loads(line)
        if event["event"] == "progress":
            self.progress = event
        return event

    def _wait_for(self, kind, timeout):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            event = self._take(max(0.0, deadline - time.monotonic()))
            if event is not None and event["event"] == kind:
                return event
        raise Failed(f"the workload did not say {kind} within {timeout} s")

    def _say(self, word):
        self.process.stdin.write(word.encode() + b"\n")

    def follow(self, condition, what, timeout=60.0, tell=None):
        """Reads progress until condition(progress) is true; tell(progress) is called for each."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            event = self._take(0.2)
            if event is not None and event["event"] == "progress":
                if tell:
                    tell(event)
                if condition(event):
                    return event
        raise Failed(f"waited {timeout} s for {what}; last progress: {self.progress}")

    def flow(self, records=None, timeout=60.0, tell=None):
        """Waits until from now on every partition has had so many records acknowledged (half a second's worth)."""
        self._say("point")
        self._wait_for("point", 30.0)
        least = records or max(20, self.rate // 2)
        return self.follow(lambda p: p["least"] >= least, f"{least} acknowledgements in every partition", timeout, tell)

    def mark(self):
        """The longest gap without an acknowledgement since the last mark."""
        self._say("mark")
        return self._wait_for("mark", 30.0)

    def fault(self, name):
        """What is done now: the verdict tells the gap that it cost and the rate before and after."""
        self._say(f"fault {name}")
        self._wait_for("fault", 30.0)

    def healed(self):
        self._say("healed")
        self._wait_for("healed", 30.0)

    def stop(self, timeout=180.0):
        """Ends it; returns the verdict."""
        self._say("stop")
        verdict = self._wait_for("verdict", timeout)
        self.process.wait(30)
        return verdict
