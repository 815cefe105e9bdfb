"""What a test of deployments needs from its machine: asked for in words, never taken for granted."""
import importlib
import os
import pathlib
import shutil
import subprocess
import sys

from naru_cluster import Skipped

TOP = pathlib.Path(__file__).resolve().parents[2]


class Missing(Skipped):
    """Something that this machine lacks; the test is skipped and the sentence is shown."""


def needs(*names):
    """What a test needs besides the release build, by the names in ALL; a file says it for all its tests by NEEDS."""
    def mark(test):
        test.needs = names
        return test
    return mark


def slow(test):
    """Minutes: left to scripts/test --deploy."""
    test.slow = True
    return test


def beside(test):
    """Work for all processors, while most other tests wait for something: started first, and the others run beside it."""
    test.beside = True
    return test


def need_program(name, what_for):
    path = shutil.which(name)
    if path is None:
        raise Missing(f"{name} is not installed; it is needed {what_for}")
    return path


def need_docker():
    """The `docker` command with an engine behind it."""
    docker = need_program("docker", "to build images and run containers")
    where = os.environ.get("DOCKER_HOST", "its default socket")
    try:
        answer = subprocess.run([docker, "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, check=False, timeout=60)
    except subprocess.TimeoutExpired:
        raise Missing(f"the container engine at {where} does not answer within a minute") from None
    if answer.returncode != 0:
        raise Missing(f"no container engine answers at {where}; start one, or name it by DOCKER_HOST ({answer.stderr.strip()})")
    return docker


def need_engine():
    """One that answers, or what it takes to start one (engine.py)."""
    try:
        need_docker()
    except Missing:
        if os.environ.get("DOCKER_HOST"):
            raise
        from engine import need_means
        need_means()


def need_binary(variable, name):
    """A program that was built before: $VARIABLE or build/release/NAME."""
    path = pathlib.Path(os.environ.get(variable, TOP / "build" / "release" / name))
    if not path.exists():
        raise Missing(f"there is no {path}: cmake --preset release && cmake --build build/release --target {name.replace('-', '_')}")
    return path.resolve()


def need_root():
    """Loop devices and privileged containers."""
    if os.geteuid() != 0:
        raise Missing("booting hosts needs root (loop devices, privileged containers)")


def need_namespaces():
    """A network, mounts and processes of one's own."""
    done = subprocess.run([need_program("unshare", "for a network of its own"), "--net", "--mount", "--pid", "--fork", "true"], capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"no network of one's own can be had here: {done.stderr.strip()}")


def need_moto():
    """The stand-in for EC2's API, and the AWS CLI; fetched where they are not there yet."""
    sys.path.insert(0, str(TOP / "tests" / "deploy" / "ec2"))
    from stand_in import programs
    programs()


def need_yaml():
    try:
        importlib.import_module("yaml")
    except ImportError:
        raise Missing("python3-yaml is not installed; it is needed to read compose files") from None


def need_package():
    """$NARU_DEB, or the means to make it of the release build."""
    if os.environ.get("NARU_DEB"):
        return
    need_binary("NARU", "naru")
    need_program("dpkg-shlibdeps", "to make the Debian package (apt-get install dpkg-dev)")


# Looked at once and before anything runs, so that nobody waits half an hour to hear what is not there.
ALL = {
    "engine": need_engine,
    "root": need_root,
    "namespaces": need_namespaces,
    "moto": need_moto,
    "yaml": need_yaml,
    "binary": lambda: need_binary("NARU", "naru"),
    "static": lambda: need_binary("NARU_STATIC", "naru-static"),
    "package": need_package,
}
BUILT = {"binary", "static", "package"}  # scripts/test --deploy makes them
