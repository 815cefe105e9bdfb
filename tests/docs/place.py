"""Where the commands of a page are run: a network of its own, in which localhost:9092 is free whatever the machine does,
and a copy of the tree that is thrown away (an overlay on it), in which build/release/naru is the binary under test.
What is left running at the end is ended, as it lives in that network.
"""
import os
import pathlib
import select
import shlex
import signal
import subprocess
import tempfile
import time

from hosts import Hosts, Unavailable
from naru_cluster import TOP, Cluster, Failed, Skipped, clean_environment, naru_binary

OVERLAY = """set -e
mount -t tmpfs naru-docs {scratch}
mkdir {scratch}/upper {scratch}/work
mount -t overlay -o lowerdir={top},upperdir={scratch}/upper,workdir={scratch}/work overlay {top}
mkdir -p {top}/build/release
"""


class Place:
    """with Place() as place: place.run("scripts/run --detach")"""

    def __init__(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="naru-docs-"))
        self.cluster = None
        binary = pathlib.Path(naru_binary()).resolve()
        try:
            self.hosts = Hosts(["naru-docs"])
        except Unavailable as why:
            self.scratch.rmdir()
            raise Skipped(str(why)) from None
        set_up = OVERLAY.format(top=shlex.quote(str(TOP)), scratch=self.scratch)
        if binary != (TOP / "build/release/naru").resolve():
            set_up += f"cp --remove-destination {shlex.quote(str(binary))} {shlex.quote(str(TOP))}/build/release/naru\n"
        done = subprocess.run([*self.hosts.enter, "bash", "-c", set_up], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.__exit__(None, None, None)
            raise Skipped(f"no overlay on the tree can be mounted here: {done.stderr.strip()}")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.brokers(0)
        self.hosts.close()
        self.scratch.rmdir()

    def brokers(self, count):
        """From now on so many brokers run, fresh ones, in the place of those before."""
        if self.cluster is not None:
            self.cluster.close()
            self.cluster = None
        if count > 0:
            self.cluster = Cluster(count, host="127.0.0.1", enter=self.hosts.enter)
            self.cluster.start()

    def start(self, command, **options):
        environment = clean_environment() | {"PATH": f"{TOP}/build/release:{os.environ['PATH']}", "SHELL": "/bin/bash", "NO_COLOR": "1"}
        environment.pop("NARU", None)  # a page's reader has none
        return subprocess.Popen([*self.hosts.enter, "bash", "-o", "pipefail", "-c", f"cd {shlex.quote(str(TOP))} && {command}"], text=True,
                                stdout=subprocess.PIPE, env=environment, start_new_session=True, **options)

    def run(self, command, typed=None, timeout=180):
        """It must succeed. Returns its standard output."""
        with tempfile.TemporaryFile("w+") as errors:
            process = self.start(command, stdin=subprocess.DEVNULL if typed is None else subprocess.PIPE, stderr=errors)
            try:
                out, _ = process.communicate(typed, timeout=timeout)
            except subprocess.TimeoutExpired:
                self.hosts.end_inhabitants()  # whoever holds its output too
                out, _ = process.communicate()
                raise Failed(f"did not end within {timeout} s; it printed:\n{out[-2000:]}{tail(errors)}") from None
            if process.returncode != 0:
                raise Failed(f"ended with {process.returncode}:\n{out[-2000:]}{tail(errors)}")
            return out

    def run_until(self, command, words, timeout=180):
        """It must print the words and stay; then Ctrl-C must end it."""
        process = self.start(command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        said, deadline = b"", time.monotonic() + timeout
        while words.encode() not in said:
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(process.stdout.fileno(), 65536) if ready else b""
            if not chunk:
                self.hosts.end_inhabitants()
                raise Failed(f"ended, or took more than {timeout} s, before it said {words!r}:\n{said[-2000:].decode()}")
            said += chunk
        if process.poll() is not None:
            raise Failed(f"was to stay, and ended with {process.returncode}")
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)


def tail(errors):
    errors.seek(0)
    return errors.read()[-3000:]
