"""The clients that do not come with the distribution: each is built or fetched once, into build/clients.

A function here returns what a test needs to run a client, or raises Skipped with what is missing on this machine.
"""
import functools
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

from naru_cluster import Failed, Skipped

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "clients"
DEBIAN_PYTHON = "/usr/bin/python3"  # the interpreter that python3-confluent-kafka and python3-kafka belong to


# Releases of kafka-clients: an old one that is still in use, the last before 4.0, and the newest on Maven Central.
JAVA_2_8 = "2.8.2"
JAVA_3_9 = "3.9.2"
JAVA_NEWEST = "4.4.0"


def need(program, called, what):
    found = shutil.which(program)
    if not found:
        raise Skipped(f"{what} need {called}, and there is no {program} here")
    return found


def build(what, command, cwd, environment=None, timeout=300):
    print(f"    building {what} (once)", file=sys.stderr, flush=True)
    done = subprocess.run([str(word) for word in command], cwd=cwd, env={**os.environ, **(environment or {})},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))} failed:\n{done.stdout[-3000:]}")


def once(directory, sources, make):
    """Calls make() unless `directory` was made from exactly these sources before."""
    digest = hashlib.sha256()
    for source in sorted(sources):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    stamp = directory / "made-from"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return directory
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    make()
    stamp.write_text(digest.hexdigest())
    return directory


def debian_python(module):
    """The distribution's interpreter, if it has the module; scripts/test installs it, so a missing one is no reason to skip."""
    done = subprocess.run([DEBIAN_PYTHON, "-c", f"import {module}"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{DEBIAN_PYTHON} cannot import {module}; scripts/test installs it: {done.stderr.strip()}")
    return DEBIAN_PYTHON


@functools.cache
def venv_python():
    """An interpreter with the newest Python clients (python/requirements.txt)."""
    requirements = HERE / "python" / "requirements.txt"
    venv = BUILD / "venv"

    def make():
        if subprocess.run([sys.executable, "-c", "import ensurepip"], capture_output=True, check=False).returncode != 0:
            raise Skipped("the newest Python clients need the package python3-venv")
        build("a Python environment", [sys.executable, "-m", "venv", venv], HERE)
        build("the newest Python clients", [venv / "bin" / "pip", "install", "-q", "-r", requirements], HERE)

    once(venv, [requirements], make)
    return str(venv / "bin" / "python3")


def version_of(text):
    return tuple(int(n) for n in re.findall(r"\d+", text)[:3])


@functools.cache
def go_clients():
    """The program with franz-go and sarama."""
    source = HERE / "go"
    wanted = re.search(r"^go (\S+)", (source / "go.mod").read_text(), re.M)[1]
    go = need("go", f"Go {wanted}", "the Go clients")
    have = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, cwd="/", check=True).stdout.strip()
    if version_of(have) < version_of(wanted):
        raise Skipped(f"the Go clients need Go {wanted}, here is {have or 'an older one'}")
    once(BUILD / "go", [*source.glob("*.go"), source / "go.mod", source / "go.sum"],
         lambda: build("the Go clients", [go, "build", "-o", BUILD / "go" / "clients", "."], source, {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}))
    return str(BUILD / "go" / "clients")


@functools.cache
def node_clients():
    """The folder with the Node programs and their packages; returns (node, folder)."""
    node = need("node", "Node 18.3", "the Node clients")
    npm = need("npm", "npm", "the Node clients")
    have = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if version_of(have) < (18, 3):
        raise Skipped(f"the Node clients need Node 18.3, here is {have}")
    source = HERE / "node"
    folder = BUILD / "node"

    def make():
        for file in [*source.glob("*.js"), source / "package.json"]:
            shutil.copy(file, folder)
        build("the Node clients", [npm, "install", "--no-audit", "--no-fund", "--no-package-lock"], folder)

    once(folder, [*source.glob("*.js"), source / "package.json"], make)
    return node, folder


@functools.cache
def java_classes(version):
    """The class path of java/ built against that release of kafka-clients."""
    need("javac", "a JDK", "the Java clients")
    maven = need("mvn", "Maven", "the Java clients")
    source = HERE / "java"
    folder = BUILD / f"java-{version}"
    poll = "poll-duration" if version_of(version) >= (4,) else "poll-long"

    def make():
        build(f"the Java programs for kafka-clients {version}",
              [maven, "-q", "-B", "package", f"-Dkafka.version={version}", f"-Dpoll={poll}", f"-DbuildDir={folder}"], source)

    once(folder, [*source.rglob("*.java"), source / "pom.xml"], make)
    return f"{folder}/classes:{folder}/lib/*"
