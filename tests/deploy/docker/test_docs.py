"""The commands of docs/docker.md, as they stand there, but for image, project and ports of the host: those are the user's."""
import contextlib
import os
import re
import shlex
import subprocess

from containers import FREE, compose_commands, free_port, image, run, wait_container_healthy
from missing import TOP, need_binary, need_program
from naru_cluster import Failed
from pages import Reading

NEEDS = ("engine", "binary", "static")

class Reader:
    """Who types what the page shows."""

    def __init__(self):
        self.environment = {"NARU_IMAGE": image(), "COMPOSE_PROJECT_NAME": f"narudocs{FREE.randrange(16**8):08x}",
                            **{f"NARU_{kind}_{n}": str(free_port()) for kind in ("PORT", "HTTP_PORT") for n in (1, 2, 3)}}
        self.containers = []

    def type(self, command):
        port = self.environment["NARU_PORT_1"]
        tried = re.sub(r"(docker run .*) naru$", rf"\1 {image()}", command.replace(" --build", ""))
        tried = tried.replace("-p 9092:", f"-p {port}:").replace("kcat -b localhost:9092", f"kcat -b localhost:{port}")
        if tried.startswith("deploy/docker/build"):  # the page's other way: the binary that there is
            tried = f"deploy/docker/build --binary {shlex.quote(str(need_binary('NARU_STATIC', 'naru-static')))} --tag {image()}"
        done = subprocess.run(["bash", "-c", tried], cwd=TOP, env=self._all(), capture_output=True, text=True, check=False, timeout=300)
        if done.returncode != 0:
            raise Failed(f"docs/docker.md shows `{command}`, which ended with {done.returncode}: {done.stderr[-2000:]}")
        if tried.startswith("docker run -d"):
            self.containers.append(done.stdout.strip())
            wait_container_healthy(self.containers[-1])
        return done.stdout

    def _all(self):
        return os.environ | self.environment

    def close(self):
        self.clear()

    def clear(self):
        if self.containers:
            run("docker", "rm", "-f", "-v", *self.containers, check=False)
            self.containers.clear()
        run(*compose_commands()[0], "-f", str(TOP / "deploy/docker/compose.yaml"), "down", "-v", "-t", "5", environment=self.environment, check=False)


def test_docker_page():
    need_program("kcat", "as docs/docker.md uses it")
    composes = compose_commands()
    reader, shown = Reader(), []
    elsewhere = {"deploy/docker/failover-demo": "tests/deploy/docker/test_failover.py"}
    with contextlib.closing(reader), Reading("docs/docker.md", elsewhere=elsewhere) as reading:
        for command in reading.commands():
            shown.append(command)
            if command.startswith("docker-compose") and ["docker-compose"] not in composes:
                print(f"    not tried, for there is no docker-compose here: {command}", flush=True)
                continue
            if command.startswith(("docker run", "docker compose", "docker-compose")):
                reader.clear()  # the ports are those of the example before
            if " exec " in command:
                reader.type(shown[0])
            printed = reader.type(command)
            if command.startswith("kcat"):
                assert all(f"broker {n} at " in printed for n in (1, 2, 3)), printed
    assert len(shown) >= 6, shown
