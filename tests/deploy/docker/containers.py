"""Containers for the tests: the image under test, compose projects with names and ports of their own, and waiting."""
import contextlib
import functools
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile

from missing import TOP, Missing, need_binary, need_docker
from naru_cluster import Failed, wait_until

FREE = random.SystemRandom()
GIVEN = set()  # ports, which are free until the container that they are for is made


def run(*words, text_in=None, check=True, environment=None, timeout=300):
    """A finished process with its output as text; fails with what it printed."""
    done = subprocess.run([str(w) for w in words], input=text_in, capture_output=True, text=True, timeout=timeout, check=False,
                          env=None if environment is None else os.environ | environment)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, words))} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done


@functools.cache
def image(target="naru"):
    """The image of the binary that was built once."""
    need_docker()
    binary = need_binary("NARU_STATIC", "naru-static")
    name = f"naru-test-{target}:{FREE.randrange(16**8):08x}"
    run(TOP / "deploy/docker/build", "--binary", binary, "--target", target, "--tag", name, timeout=900)
    import atexit
    # An engine of our own (engine.py) is gone by then, with all its images.
    atexit.register(lambda: shutil.which("docker") and run("docker", "image", "rm", "-f", name, check=False))
    return name


def free_port():
    """For a container to publish: below those that connections get, and given to no one else of this run."""
    while True:
        port = FREE.randrange(12_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("", port)):
            if port not in GIVEN:
                GIVEN.add(port)
                return port


def compose_commands():
    """Every compose there is here: the plugin of docker, and docker-compose of old."""
    need_docker()
    found = []
    if run("docker", "compose", "version", check=False).returncode == 0:
        found.append(["docker", "compose"])
    if shutil.which("docker-compose"):
        found.append(["docker-compose"])
    if not found:
        raise Missing("neither `docker compose` nor docker-compose is installed")
    return found


class Project:
    """A compose project under a name of its own, gone with all its volumes at the end."""

    def __init__(self, compose, file, environment):
        self.name = f"naru{FREE.randrange(16**8):08x}"
        self.words = [*compose, "-p", self.name, "-f", str(file)]
        self.environment = environment

    def __call__(self, *words, **options):
        return run(*self.words, *words, environment=self.environment, **options)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print(self("logs", "--no-color", check=False).stdout[-6000:])
        self("down", "-v", "--remove-orphans", "-t", "5", check=False)

    def container(self, service):
        return self("ps", "-a", "-q", service).stdout.strip()

    def inspect(self, service):
        return json.loads(run("docker", "inspect", self.container(service)).stdout)[0]

    def wait_healthy(self, services, timeout=120.0):
        def healthy():
            states = {s: self.inspect(s)["State"] for s in services}
            dead = [s for s, state in states.items() if state["Status"] == "exited"]
            if dead:
                raise SystemExit(f"{dead} ended: {self('logs', '--no-color', *dead, check=False).stdout[-3000:]}")
            return all(state.get("Health", {}).get("Status") == "healthy" for state in states.values())
        wait_until(healthy, f"{services} to be healthy", timeout)


@contextlib.contextmanager
def container(*words, name=None):
    """docker run -d WORDS..., removed at the end. Gives its id."""
    started = run("docker", "run", "-d", *words).stdout.strip()
    try:
        yield started
    except BaseException:
        logs = run("docker", "logs", started, check=False)
        print((logs.stdout + logs.stderr)[-4000:])
        raise
    finally:
        run("docker", "rm", "-f", "-v", started, check=False)


def inspect(container_id):
    return json.loads(run("docker", "inspect", container_id).stdout)[0]


def wait_container_healthy(container_id, timeout=90.0):
    def healthy():
        state = inspect(container_id)["State"]
        if state["Status"] == "exited":
            raise SystemExit(f"the container ended with {state['ExitCode']}")
        return state.get("Health", {}).get("Status") == "healthy"
    wait_until(healthy, "the container to be healthy", timeout)


@contextlib.contextmanager
def folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="naru-deploy-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def naru(*words, brokers, **options):
    return run(need_binary("NARU", "naru"), *words, environment={"NARU_BROKERS": brokers}, **options)
