"""naru dev: it says ready of its own brokers only, and refuses what its brokers would."""
import contextlib
import random
import re
import signal
import socket
import subprocess
import tempfile
import urllib.request

from naru_cluster import Cluster, clean_environment, naru_binary
from support import equal, true


def run(*words):
    return subprocess.run([naru_binary(), "dev", *map(str, words)], capture_output=True, text=True, timeout=60, env=clean_environment())


def free_port():
    """One that is free with the one 10000 further on, which is for the other brokers; both below those that connections get."""
    while True:
        port = random.randrange(12_000, 22_000)
        with contextlib.suppress(OSError), socket.create_server(("", port)), socket.create_server(("", port + 10_000)):
            return port


@contextlib.contextmanager
def running(folder, *words):
    """Its process and what it said once it was ready."""
    process = subprocess.Popen([naru_binary(), "dev", "--dir", folder, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               env=clean_environment())
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("Ctrl-C stops"):
                break
        yield process, "".join(said)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def test_dev_tells_each_page_and_keeps_its_number_of_brokers():
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        with running(folder, "--port", port) as (process, said):
            pages = re.findall(r"http://localhost:(\d+)/", said)
            equal(len(pages), 1, f"pages told: {said}")
            with urllib.request.urlopen(f"http://localhost:{pages[0]}/livez", timeout=30) as answer:
                equal(answer.status, 200, "the page's server")
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGTERM)
            equal(process.wait(60), 0, "exit code of an end that was asked for twice at once")
        more = run("--dir", folder, "--port", port, "--brokers", 3)
        equal(more.returncode, 2, "exit code for another number of brokers")
        true("holds a cluster of 1 broker" in more.stderr and "--brokers 1" in more.stderr, more.stderr)


def test_dev_is_not_ready_because_somebody_elses_broker_answers():
    port = free_port()
    with Cluster(1, port=port, host="127.0.0.1") as cluster, tempfile.TemporaryDirectory() as folder:
        cluster.start()
        done = run("--dir", folder, "--port", port)
        equal(done.returncode, 1, f"exit code: {done.stdout}{done.stderr}")
        equal(done.stdout, "", "what is said to be ready")
        true(f":{port}: Address already in use" in done.stderr, done.stderr)


def test_dev_refuses_settings_before_it_starts_anything():
    with tempfile.TemporaryDirectory() as folder:
        for set_, said in (("foo", "--set foo: must be name=value"), ("node.id=7", "naru dev chooses node.id itself"),
                           ("num.partitions=none", "num.partitions=none: must be")):
            done = run("--dir", folder, "--set", set_)
            equal(done.returncode, 2, f"exit code of {set_}: {done.stderr}")
            true(said in done.stderr, f"{set_}: {done.stderr}")
