"""What the image without a shell makes of a health check that is a string: the binary by the name of a shell."""
import contextlib
import os
import pathlib
import socket
import subprocess
import tempfile

from missing import need_binary
from naru_cluster import wait_until
from support import equal, true

NEEDS = ("binary",)


@contextlib.contextmanager
def shell():
    """Gives `sh -c LINE` as the image has it."""
    with tempfile.TemporaryDirectory(prefix="naru-shell-") as place:
        link = pathlib.Path(place, "sh")
        link.symlink_to(need_binary("NARU", "naru"))

        def run(line, **environment):
            return subprocess.run([link, "-c", line], env=os.environ | environment, capture_output=True, text=True, check=False, timeout=60)
        run.link = link
        yield run


def test_lines_of_kafkas_names_are_run():
    with shell() as sh:
        said = sh("kafka-storage.sh random-uuid && echo an id, $WHO")
        equal((said.returncode, len(said.stdout.split("\n")[0]), said.stdout.split("\n")[1:]), (0, 22, ["an id,", ""]), f"what is said: {said}")
        equal(sh("echo an id, $WHO; naru version >/dev/null", WHO="nobody").stdout, "an id, nobody\n", "by a variable")
        nobody = "/opt/kafka/bin/kafka-topics.sh --bootstrap-server localhost:1 --list"
        loud, silent = sh("naru status -b localhost:1 --timeout 1s || exit 9"), sh("naru status -b localhost:1 --timeout 1s >/dev/null 2>&1 || exit 9")
        equal((loud.returncode, silent.returncode, silent.stderr), (9, 9, ""), "a health check that fails")
        true("localhost:1" in loud.stderr + loud.stdout, f"says why: {loud}")
        true(sh(f"{nobody} --no-such-flag").returncode not in (0, 127), "Kafka's tool by its path")
        equal(sh("NARU_BROKERS=localhost:1 naru status --timeout 1s").returncode, 3, "a variable of one command")


def test_what_a_line_ends_with_takes_the_shells_place():
    """A container's first process is told to end; it must be the broker, not a shell that waits for one."""
    with shell() as sh:
        for before in ("", "echo begins && ", "exec "):
            line = f"{before}naru health --wait -b localhost:1 --timeout 10m"
            started = subprocess.Popen([sh.link, "-c", line], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                wait_until(lambda: pathlib.Path(f"/proc/{started.pid}/cmdline").read_bytes().startswith(b"naru\0health\0"), f"`{line}` to be naru", 30)
            finally:
                started.kill()
                started.wait()


def test_a_port_is_looked_at():
    with shell() as sh, socket.create_server(("127.0.0.1", 0)) as listens:
        port = listens.getsockname()[1]
        equal(sh(f"nc -z 127.0.0.1 {port} || exit -1").returncode, 0, "somebody listens")
        listens.close()
        equal(sh(f"nc -zv -w 5 127.0.0.1 {port} || exit -1").returncode, 255, "nobody listens")
        equal(sh(f"nc -zvw5 127.0.0.1 {port} || nc -zw 5 127.0.0.1 {port}").returncode, 1, "nobody listens")


def test_who_says_nothing_is_waited_for_as_long_as_was_asked():
    with shell() as sh, socket.create_server(("127.0.0.1", 0), backlog=0) as silent, socket.create_connection(silent.getsockname()):
        # Its queue is full: the kernel lets who comes now try for two minutes.
        equal(sh(f"nc -z -w 1 127.0.0.1 {silent.getsockname()[1]}").returncode, 1, "nobody answers")


def test_what_it_cannot_do_is_said():
    with shell() as sh:
        for line in ("ls /", "kafka-topics.sh --list | grep t", "curl localhost", "for i in 1 2; do echo $i; done"):
            said = sh(line)
            equal(said.returncode, 127, f"`{line}`")
            true("this image has no shell" in said.stderr and "naru:debian has a shell" in said.stderr, f"`{line}`: {said.stderr}")
