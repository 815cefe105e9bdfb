"""What a test of deployments needs from its machine: asked for in words, never taken for granted."""
import os
import pathlib
import shutil
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]


class Missing(Exception):
    """Something that this machine lacks; the test is skipped and the sentence is shown."""


def need_program(name, what_for):
    path = shutil.which(name)
    if path is None:
        raise Missing(f"{name} is not installed; it is needed {what_for}")
    return path


def need_docker():
    """The `docker` command with an engine behind it."""
    docker = need_program("docker", "to build images and run containers")
    answer = subprocess.run([docker, "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        where = os.environ.get("DOCKER_HOST", "its default socket")
        raise Missing(f"no container engine answers at {where}; start one, or name it by DOCKER_HOST ({answer.stderr.strip()})")
    return docker


def need_binary(variable, name):
    """A program that was built before: $VARIABLE or build/release/NAME."""
    path = pathlib.Path(os.environ.get(variable, TOP / "build" / "release" / name))
    if not path.exists():
        raise Missing(f"there is no {path}: cmake --preset release && cmake --build build/release --target {name.replace('-', '_')}")
    return path.resolve()
