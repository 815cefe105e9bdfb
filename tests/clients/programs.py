"""Running client programs against a cluster, and what their output and the brokers' logs must look like."""
import json
import re
import signal
import subprocess
import threading

from naru_cluster import Cluster, Failed, clean_environment, die_with_parent, last_lines
from support import equal, true


def run_program(command, timeout=120.0, text_in=None, cwd=None):
    """Runs it to its end; it must succeed. Returns standard output."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, input=text_in, capture_output=True, text=True, timeout=timeout, cwd=cwd,
                              env=clean_environment(), check=False)
    except subprocess.TimeoutExpired as expired:
        raise Failed(f"{' '.join(words)} did not end within {timeout} s: {expired.stderr}") from None
    if done.returncode != 0:
        raise Failed(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return done.stdout


class Program:
    """A client that runs in the background; its lines can be waited for. It does not outlive this process."""

    def __init__(self, command, cwd=None):
        self.words = [str(word) for word in command]
        self.lines = []
        self.errors = []
        self.changed = threading.Condition()
        self.ended = 0
        self.process = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        cwd=cwd, env=clean_environment(), preexec_fn=die_with_parent, start_new_session=True)
        for stream, into in ((self.process.stdout, self.lines), (self.process.stderr, self.errors)):
            threading.Thread(target=self._collect, args=(stream, into), daemon=True).start()

    def _collect(self, stream, into):
        for line in stream:
            with self.changed:
                into.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.ended += 1
            self.changed.notify_all()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.kill()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def wait_for(self, condition, what, timeout=60.0):
        """Waits until condition(lines) is true and returns that."""
        with self.changed:
            found = None

            def look():
                nonlocal found
                found = condition(self.lines)
                return found or self.ended == 2

            arrived = self.changed.wait_for(look, timeout)
            if found:
                return found
            why = f"it ended with {self.process.wait()}" if arrived else f"not within {timeout} s"
            raise Failed(f"{' '.join(self.words[:4])}...: waited for {what}: {why}; last lines: {self.lines[-5:]}; {self.errors[-20:]}")

    def wait_line(self, pattern, timeout=60.0):
        """Waits for a line that matches; returns the match."""
        return self.wait_for(lambda lines: next((m for m in (re.search(pattern, line) for line in lines) if m), None),
                             f"a line like {pattern!r}", timeout)

    def finish(self, timeout=120.0):
        """Waits for its end; it must succeed. Returns its lines."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"{' '.join(self.words[:4])}... did not end within {timeout} s; last lines: {self.lines[-5:]}; {self.errors[-20:]}") from None
        with self.changed:
            self.changed.wait_for(lambda: self.ended == 2, 10)
        if code != 0:
            raise Failed(f"{' '.join(self.words)} ended with {code}: {self.lines[-5:]}\n" + "\n".join(self.errors[-30:]))
        return self.lines


def no_warnings(cluster):
    """Clients that behave, and brokers that live, give a broker no reason to warn: from when it is there on, as what it waits for
    before is no matter of clients, nor is a machine that gave a broker no time."""
    for broker in cluster.brokers:
        _, ready, since = broker.log().partition("] ready\n")
        true(ready, f"broker {broker.id} does not say that it is ready")
        found = [line for line in since.splitlines()
                 if re.match(r"\S+ (warn|error|critical)", line) and "was not running for" not in line]
        true(not found, f"broker {broker.id} warned {len(found)} times: " + last_lines("\n".join(found[:3])))


def round_trip(command, topic="trip", count=3000, cwd=None):
    """The program's round trip, during which the leader of a partition is killed and comes back."""
    with Cluster(3) as cluster:
        cluster.start()
        words = [*command, "--bootstrap", cluster.bootstrap, "--topic", topic, "--group", f"{topic}-group", "--count", count]
        with Program(words, cwd=cwd) as program:
            program.wait_line("^acked 200$")
            program.process.send_signal(signal.SIGSTOP)  # some clients are done before we know who leads
            true(f"acked {count}" not in program.lines, "the kill came too late to say anything: raise the count")
            victim = cluster.leader(topic)
            cluster[victim].kill()
            program.process.send_signal(signal.SIGCONT)
            cluster.wait_leader(topic, other_than=victim)
            cluster[victim].start()
            verdict = json.loads(program.finish()[-1])
        equal(verdict["acked"], count, "acknowledged")
        equal(verdict["lost"], 0, "lost")
        equal(verdict["reread"], 0, "read again although committed")
        return verdict
