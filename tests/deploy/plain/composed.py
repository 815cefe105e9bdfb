"""The brokers of a compose file as processes of this machine: each service's environment as it stands in the file, given to
the binary under the name that the image starts it by. Instead of a network with names each has a loopback address of its own.
"""
import pathlib
import random
import re
import shutil
import subprocess
import tempfile

from missing import need_binary
from naru_cluster import Failed, clean_environment, die_with_parent, wait_until

FREE = random.SystemRandom()


def composed(file):
    """What a compose file says; ${NAME:-default} has its default."""
    import yaml
    return yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", pathlib.Path(file).read_text()))


def services(file):
    """Name and environment of each service."""
    return {name: {k: str(v) for k, v in service["environment"].items()} for name, service in composed(file)["services"].items()}


class Composed:
    """with Composed(environments) as brokers: brokers.naru("status")"""

    def __init__(self, environments):
        net = f"127.{FREE.randrange(1, 255)}.{FREE.randrange(255)}"
        self.hosts = {name: f"{net}.{i}" for i, name in enumerate(environments, 1)}
        self.environments = environments
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="naru-composed-"))
        self.processes = {}

    def _variables(self, name):
        """What refers to other containers refers to their addresses here, and what listens everywhere listens at its own."""
        own = {}
        for variable, value in self.environments[name].items():
            for other, host in self.hosts.items():
                value = re.sub(rf"\b{re.escape(other)}(\.brokers)?:", f"{host}:", value)
            value = re.sub(r"localhost:\d+", f"{self.hosts[name]}:9092", value)
            own[variable] = value.replace("://:", f"://{self.hosts[name]}:")
        return own

    def __enter__(self):
        run = self.dir / "run"
        run.symlink_to(need_binary("NARU", "naru"))
        for name in self.environments:
            place = self.dir / name
            place.mkdir()
            # As words of `run`, which weigh more: what the image has of its own, or the network.
            words = [f"KAFKA_LOG_DIRS={place}/data", "KAFKA_NARU_HTTP_PORT=-1"]
            with open(place / "log", "wb") as log:
                self.processes[name] = subprocess.Popen([str(run), *words], env=clean_environment() | self._variables(name), cwd=place,
                                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)
        return self

    def __exit__(self, kind, *_):
        for name, process in self.processes.items():
            process.kill()
            process.wait()
            if kind is not None:
                print(f"--- {name}\n{self.log(name)[-3000:]}")
        shutil.rmtree(self.dir, ignore_errors=True)

    def log(self, name):
        return (self.dir / name / "log").read_text()

    def naru(self, *words, text_in=None):
        brokers = ",".join(f"{host}:9092" for host in self.hosts.values())
        done = subprocess.run([str(need_binary("NARU", "naru")), *words], env=clean_environment() | {"NARU_BROKERS": brokers}, input=text_in,
                              capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise Failed(f"naru {' '.join(words)} ended with {done.returncode}: {done.stderr or done.stdout}")
        return done.stdout

    def wait_healthy(self):
        def healthy():
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise SystemExit(f"{name} ended with {process.returncode}: {self.log(name)[-2000:]}")
            return self.naru("health", "--min-brokers", str(len(self.hosts)))
        wait_until(healthy, "the brokers to be healthy", 60)

    def stop(self):
        """SIGTERM to all, as `compose stop` does; returns the exit codes."""
        for process in self.processes.values():
            process.terminate()
        return [process.wait(60) for process in self.processes.values()]
