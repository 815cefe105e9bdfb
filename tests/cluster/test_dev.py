"""naru dev: it says ready of its own brokers only, and refuses what its brokers would."""
import contextlib
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import tempfile
import urllib.request

from naru_cluster import Cluster, clean_environment, naru_binary, wait_until
from support import equal, true


def run(*words):
    return subprocess.run([naru_binary(), "dev", *map(str, words)], capture_output=True, text=True, timeout=60, env=clean_environment())


def free_port(brokers=1):
    """The first of so many that are free, each with the one 10000 further on, which is for the other brokers; all below those
    that connections get."""
    while True:
        port = random.randrange(12_000, 22_000)
        with contextlib.suppress(OSError), contextlib.ExitStack() as held:
            for i in range(brokers):
                held.enter_context(socket.create_server(("", port + i)))
                held.enter_context(socket.create_server(("", port + i + 10_000)))
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


def brokers_of(folder):
    """Process and parent of each broker whose data is there."""
    found = {}
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"start" in words and any(word.startswith(f"{folder}/".encode()) for word in words):
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def test_dev_keeps_and_ends_a_broker_that_a_drill_had_killed():
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        with running(folder, "--port", port) as (process, _):
            before = brokers_of(folder)
            equal(list(before.values()), [process.pid], "parents of its brokers")
            # Its only one: meanwhile none is left.
            drill = subprocess.run([naru_binary(), "drill", "kill-leader", "--yes", "--quiet-time", "1s", "--for", "1s", "--rate", "200", "-b", f"localhost:{port}"],
                                   capture_output=True, text=True, timeout=240, env=clean_environment())
            equal(drill.returncode, 0, f"exit code of the drill: {drill.stdout}{drill.stderr}")
            equal(process.poll(), None, "end of naru dev by the drill")
            after = brokers_of(folder)
            equal(list(after.values()), [process.pid], "parents of its brokers after the drill")
            true(set(after).isdisjoint(before), f"the broker was not killed: {before}, then {after}")
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
            equal(process.returncode, 0, f"exit code of naru dev: {output}")
            true("broker 1 is started again" in output, output)
            equal(brokers_of(folder), {}, "brokers after Ctrl-C")


def test_dev_keeps_a_request_for_a_broker_that_is_still_dying():
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        with running(folder, "--port", port) as (process, _):
            (broker,) = brokers_of(folder)
            process.send_signal(signal.SIGUSR1)

            def is_taken():
                status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
                pending = int(re.search(r"^ShdPnd:\s*(\w+)$", status, re.MULTILINE)[1], 16)
                return not pending >> (signal.SIGUSR1 - 1) & 1
            wait_until(is_taken, "naru dev to take the request")
            os.kill(broker, signal.SIGKILL)
            wait_until(lambda: process.poll() is not None or set(brokers_of(folder)) - {broker}, "another broker in its place")
            equal(process.poll(), None, "end of naru dev, which was asked to start its broker again")
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
            true("broker 1 is started again" in output, output)
            true("to bring it back" not in output, output)


def has_ended(pid):
    """Its last thread too, but its parent has not looked yet."""
    state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return state[0] == "Z" and state[17] == "1"


def test_dev_does_not_say_how_to_ask_it_for_brokers_when_none_is_left():
    port = free_port(3)
    with tempfile.TemporaryDirectory() as folder:
        with running(folder, "--port", port, "--brokers", 3) as (process, _):
            process.send_signal(signal.SIGSTOP)
            try:
                brokers = brokers_of(folder)
                equal(len(brokers), 3, "brokers")
                for broker in brokers:
                    os.kill(broker, signal.SIGKILL)
                wait_until(lambda: all(has_ended(b) for b in brokers), "the end of all brokers")
            finally:
                process.send_signal(signal.SIGCONT)
            output, _ = process.communicate(timeout=60)
            equal(process.returncode, 1, f"exit code of naru dev: {output}")
            equal([output.count(f"naru start -c {folder}/{i}/server.properties") for i in (1, 2, 3)], [1, 1, 1], output)
            true("kill -USR1" not in output, output)


def test_dev_ends_with_its_last_broker_when_no_drill_is_under_way():
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        with running(folder, "--port", port) as (process, _):
            (broker,) = brokers_of(folder)
            os.kill(broker, signal.SIGKILL)
            output, _ = process.communicate(timeout=60)
            equal(process.returncode, 1, f"exit code of naru dev: {output}")
            true("no broker is left" in output and f"naru start -c {folder}/1/server.properties" in output, output)


def test_dev_refuses_settings_before_it_starts_anything():
    with tempfile.TemporaryDirectory() as folder:
        for set_, said in (("foo", "--set foo: must be name=value"), ("node.id=7", "naru dev chooses node.id itself"),
                           ("num.partitions=none", "num.partitions=none: must be")):
            done = run("--dir", folder, "--set", set_)
            equal(done.returncode, 2, f"exit code of {set_}: {done.stderr}")
            true(said in done.stderr, f"{set_}: {done.stderr}")
