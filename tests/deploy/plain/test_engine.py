"""The engine that the tests bring (engine.py): where it is started, and what is left when it ends or does not start. Programs of
Docker's are other ones here, and slirp4netns passes nothing on; networks, mounts and processes are real."""
import contextlib
import fcntl
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from missing import TOP
from naru_cluster import wait_until
from support import equal, true

NEEDS = ("root", "namespaces")

# A run of tests: says how it finds things, while the engine is there and after it, and waits to be told to go on.
SCRIPT = f"""
import json, os, pathlib, sys
sys.path[:0] = ["{TOP}/tests/deploy", "{TOP}/scripts/lib"]
import engine
engine.PLACE = pathlib.Path(sys.argv[1])
engine.PROGRAMS = engine.PLACE / "programs"
def look(why=None):
    print(json.dumps({{"network": os.readlink("/proc/self/ns/net"), "names": pathlib.Path("/etc/resolv.conf").read_text(),
                      "docker": os.environ.get("DOCKER_HOST"), "why": why}}), flush=True)
look()
with engine.engine() as why:
    look(why)
    sys.stdin.read()
look()
"""
SLIRP = """#!/bin/bash
readlink /proc/self/ns/mnt >"${0%/*}/../mounts-of-slirp"
for word; do case $word in --ready-fd=*) printf 1 >&"${word#*=}" ;; esac; done
exec sleep 1000
"""


class Run:
    """SCRIPT with stand-ins: `docker` reaches an engine if `there`, or if one was named by DOCKER_HOST. dockerd holds a lock while
    it lives, or says `dies` and ends. On a `bare` machine there is nothing else."""

    def __init__(self, place, there=False, dies=None, bare=False, **environment):
        self.place = pathlib.Path(place)
        answers = f"exit {0 if there else 1}"
        for name, text in {"bin/docker": answers, "bin/debootstrap": "exit 1", "bin/runc": "exit 1", "bin/slirp4netns": SLIRP,
                           "own/programs/usr/bin/docker": f"! flock -n {place}/alive true",
                           "own/programs/usr/sbin/dockerd": f"echo {dies}; exit 1" if dies else f"exec flock {place}/alive sleep 1000",
                           "own/programs/usr/libexec/docker/cli-plugins/docker-compose": "exit 1"}.items():
            path = self.place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)
        (self.place / "own/debian.tar").touch()
        kept = {k: v for k, v in os.environ.items() if k not in ("DOCKER_HOST", "AWS_ENDPOINT_URL")}
        path = f"{place}/bin" if bare else f"{place}/bin:{os.environ['PATH']}"
        self.process = subprocess.Popen([sys.executable, "-c", SCRIPT, f"{place}/own"], env=kept | {"PATH": path, "TMPDIR": str(place)} | environment,
                                        text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def look(self):
        return json.loads(self.process.stdout.readline())

    def dockerd_lives(self):
        with open(self.place / "alive", "wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return False
            except BlockingIOError:
                return True


@contextlib.contextmanager
def run(**options):
    with tempfile.TemporaryDirectory(prefix="naru-engine-test-") as place:
        made = Run(place, **options)
        try:
            yield made
        finally:
            made.process.kill()
            made.process.wait()
            made.process.stdin.close()
            made.process.stdout.close()


def test_it_has_a_network_of_its_own_and_ends_with_the_tests():
    for how in ("at their end", "killed"):
        with run() as tests:
            before, during = tests.look(), tests.look()
            equal(during["why"], None, "a reason why there is none")
            true(during["network"] != before["network"] and during["docker"].startswith("unix://"), f"{before}, then {during}")
            equal(during["names"], "nameserver 10.0.2.3\n", "who is asked for names, in there")
            equal((tests.place / "mounts-of-slirp").read_text().strip(), os.readlink("/proc/self/ns/mnt"), "where slirp4netns reads whom to ask")
            wait_until(tests.dockerd_lives, "dockerd to live", 30)
            if how == "killed":
                tests.process.kill()
            else:
                tests.process.stdin.close()
                equal(tests.look(), before, "what is left")
                equal(tests.process.wait(30), 0, "how the run ends")
                true(not tests.dockerd_lives() and not (tests.place / "own/data").exists(), "nothing is left of it")
            wait_until(lambda: not tests.dockerd_lives(), f"the end of dockerd, the tests being over ({how})", 30)


def test_two_runs_do_not_share_one():
    with run() as tests:
        tests.look()
        equal(tests.look()["why"], None, "a reason why there is none")
        second = Run(tests.place)
        second.look()
        why = second.look()["why"]
        second.process.communicate()
        true("another run in this tree has one" in why, f"what the second one is told: {why}")
        wait_until(tests.dockerd_lives, "the first one's to live on", 30)


def test_none_is_started_beside_one_that_is_there_or_is_named():
    for options, why in (({"there": True}, None), ({"DOCKER_HOST": "unix:///nowhere"}, "no container engine answers at unix:///nowhere")):
        with run(**options) as tests:
            before, during = tests.look(), tests.look()
            true(during["why"] is None if why is None else during["why"].startswith(why), f"why there is none, with {options}: {during['why']}")
            equal(during, before | {"why": during["why"]}, "what is changed")
            equal((tests.place / "own/dockerd.log").exists(), False, "that dockerd was started")


def test_where_it_does_not_start_the_reason_is_given_and_all_is_as_before():
    for options, why in (({"dies": "no cgroups here"}, "no cgroups here"), ({"bare": True}, "apt-get is not installed"),
                         ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "AWS_ENDPOINT_URL")):
        with run(**options) as tests:
            before, during = tests.look(), tests.look()
            true("none of the tests' own" in during["why"] and why in during["why"], f"the reason, with {options}: {during['why']}")
            equal(during, before | {"why": during["why"]}, "what is changed")
