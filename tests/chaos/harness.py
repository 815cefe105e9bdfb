"""What every chaos scenario stands on: the register of scenarios, one run of one of them, and what is left behind.

A scenario is a function that is given a Run: it makes a cluster, starts real clients on it, does harm, says that the
harm was done (`run.fired`), and says what must be so (`run.must`). The verdict on the records comes from the clients'
history, at the end of every run, whatever the scenario looks at.

Outcomes: OK; FAIL (a promise was broken, or what must be so was not); INVALID (the fault did not fire, or too little was
acknowledged for the run to mean something); SKIPPED (this machine lacks the means).
"""
import contextlib
import dataclasses
import io
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import time
import traceback

from naru_cluster import Cluster, Failed, Workload

ACKS_PER_SECOND_MIN = 100  # below that, while writes ought to be possible, a run says nothing
ACKS_MIN = 200


class Broken(Exception):
    """Something that must be so was not."""


class Invalid(Exception):
    """The run says nothing: the fault did not fire, or its means failed."""


class Skip(Exception):
    """This machine cannot do it."""


@dataclasses.dataclass
class Scenario:
    name: str
    row: int
    fault: str
    expected: str
    function: object
    budget_ms: int | None
    smoke: bool
    needs: tuple
    targets: tuple


SCENARIOS = {}
# Rows of the catalogue without a scenario, and why.
SIMULATOR_ONLY = {29, 33}
NOT_HERE = {
    29: "power cut: only a simulated disk loses what was not synced",
    33: "misdirected and stale blocks: needs a block device of our own",
    54: "mixed versions, rolling restart: there is one version yet",
    59: "producer in an open transaction: no transactions yet",
    60: "delayed EndTxn: no transactions yet",
    61: "coordinator killed in a transaction: no transactions yet",
}


def scenario(row, name, fault, expected, budget=None, smoke=False, needs=(), targets=("naru",)):
    """Registers a scenario. `needs`: names of functions of means.py. `budget`: the catalogue's gap in ms, reported only."""
    def register(function):
        if name in SCENARIOS:
            raise ValueError(f"two scenarios are called {name}")
        SCENARIOS[name] = Scenario(name, row, fault, expected, function, budget, smoke, tuple(needs), tuple(targets))
        return function
    return register


class Run:
    """One run of one scenario. Everything that it makes is undone by close(), in reverse order."""

    def __init__(self, chosen, seed, target="naru", keep=False):
        self.scenario = chosen
        self.seed = seed
        self.target = target
        self.keep = keep
        self.random = random.Random(f"{seed}:{chosen.name}")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"naru-chaos-{os.getpid()}-"))
        self.undo = contextlib.ExitStack()
        self.shots = []       # what fired
        self.gap_ms = None
        self.verdict = None
        self.notes = []       # figures worth a word in the line
        self.load = None
        self.main = None      # the cluster
        self.acks_min = ACKS_MIN
        self.quiet_s = 0.0    # time in which no writes were to be expected
        # A leader that does not know yet that it leads no more serves what it knew committed: reads are not leased (R17),
        # and a minority goes on reading. Only scenarios in which clients still reach such a leader set this.
        self.stale_reads_allowed = False
        self.refusals_expected = False  # the producer may be told definitely no; the checker knows that nobody may see those
        self.load_began = None

    # Making things ------------------------------------------------------------------------------------------------

    def cluster(self, brokers=3, start=True, settings=None, **more):
        """A cluster of the target's kind, destroyed at the end."""
        kind = Cluster
        if self.target == "kafka":
            from apache_kafka import KafkaCluster
            kind = KafkaCluster
        made = kind(brokers, settings=settings, directory=self.dir / "cluster", keep=True, **more)
        self.undo.callback(self._end, made)
        self.main = made
        if start:
            made.start()
        return made

    @staticmethod
    def _end(cluster):
        with contextlib.redirect_stderr(io.StringIO()):  # where the logs are is said once, by close()
            cluster.close()

    def topic(self, name="load", partitions=3, replicas=3, assign=None, config=()):
        words = ["topic", "create", name]
        words += ["--assign", assign] if assign else ["-p", partitions, "-r", replicas]
        for item in config:
            words += ["-c", item]
        self.main.naru(*words)
        self.main.wait_isr(name)
        return name

    def clients(self, topic="load", rate=200, flow=True, **more):
        """The clients at work; their verdict is taken at the end of the run."""
        self.load = self.undo.enter_context(Workload(self.main, topic, rate=rate, history=self.dir / "history", **more))
        self.load_began = time.monotonic()
        if flow:
            self.load.flow()
            self.load.mark()
        return self.load

    def prepared(self, partitions=3, brokers=3, settings=None, rate=200, config=(), assign=None, **more):
        """A healthy cluster with clients at work on topic `load`."""
        cluster = self.cluster(brokers, settings=settings, **more)
        self.topic(partitions=partitions, config=config, assign=assign, replicas=min(3, brokers))
        self.clients(rate=rate)
        return cluster

    # Saying things -------------------------------------------------------------------------------------------------

    def fired(self, what):
        self.shots.append(what)

    def must(self, condition, what):
        if not condition:
            raise Broken(what)

    def note(self, text):
        self.notes.append(text)

    def run_for(self, seconds):
        """Lets the clients work; the traffic is what passes, so nothing is asserted about the time itself."""
        until = time.monotonic() + seconds
        self.load.follow(lambda _: time.monotonic() >= until, "time to pass", seconds + 30)

    def gap(self):
        """Ends the window of the fault: the longest time without an acknowledgement in any partition."""
        ms = self.load.mark()["gap_ms"]
        self.gap_ms = ms if self.gap_ms is None else max(self.gap_ms, ms)
        return ms

    @contextlib.contextmanager
    def no_writes_expected(self):
        began = time.monotonic()
        yield
        self.quiet_s += time.monotonic() - began

    # The end --------------------------------------------------------------------------------------------------------

    def finish(self):
        """The clients' verdict. Raises Broken or Invalid."""
        if self.load is None:
            return
        if self.gap_ms is None:
            self.gap()
        lasted = time.monotonic() - self.load_began - self.quiet_s
        self.verdict = verdict = self.load.stop()
        broken = {name: count for name, count in verdict["anomalies"].items() if count}
        if self.stale_reads_allowed and broken.pop("stale", 0):
            verdict["clean"] = not broken
            self.note(f"{verdict['anomalies'].pop('stale')} stale reads from whoever was cut off")
        if broken or not verdict["clean"]:
            raise Broken(f"promises were broken: {broken}; {verdict['examples'][:5]}")
        if not verdict["complete"]:
            raise Broken(f"the history does not end: {verdict['incomplete']}")
        if verdict["failed"] and not self.refusals_expected:
            raise Broken(f"the producer gave up {verdict['failed']} records")
        if verdict["acknowledged"] < self.acks_min:
            raise Invalid(f"only {verdict['acknowledged']} records were acknowledged")
        if lasted > 0 and verdict["acknowledged"] / lasted < ACKS_PER_SECOND_MIN:
            raise Invalid(f"only {verdict['acknowledged'] / lasted:.0f} acknowledgements a second")

    def close(self, failed):
        self.undo.close()
        if failed or self.keep:
            return f"logs and history: {self.dir}"
        shutil.rmtree(self.dir, ignore_errors=True)
        return None


@dataclasses.dataclass
class Result:
    name: str
    row: int
    outcome: str            # OK, FAIL, INVALID, SKIPPED
    why: str
    fired: list
    acks: int
    gap_ms: float | None
    anomalies: int
    budget_ms: int | None
    seconds: float
    notes: list
    seed: int
    target: str

    def line(self):
        gap = "-" if self.gap_ms is None else f"{self.gap_ms:.0f} ms"
        budget = f" (budget {self.budget_ms})" if self.budget_ms else ""
        fired = "; ".join(self.fired) if self.fired else "no"
        whose = "" if self.target == "naru" else f" ({self.target})"
        text = (f"{self.outcome:7} {self.name}{whose}  row {self.row}  fired: {fired}  acks {self.acks:,}  gap {gap}{budget}  "
                f"anomalies {self.anomalies}  {self.seconds:.1f} s")
        if self.notes:
            text += "  " + ", ".join(self.notes)
        return text + (f"\n        {self.why}" if self.why else "")


def execute(chosen, seed, target="naru", keep=False):
    """Runs a scenario once. Returns its Result; what it made is gone when this returns, also on Ctrl-C."""
    from means import missing
    began = time.monotonic()
    lacking = [why for why in (missing(need) for need in chosen.needs) if why]
    if target not in chosen.targets:
        lacking.append(f"the scenario is not for {target}")
    if lacking:
        return Result(chosen.name, chosen.row, "SKIPPED", "; ".join(lacking), [], 0, None, 0, chosen.budget_ms, 0.0, [], seed, target)
    run = Run(chosen, seed, target, keep)
    outcome, why = "FAIL", ""
    try:
        try:
            chosen.function(run)
            run.finish()
            if run.shots:
                outcome = "OK"
            else:
                outcome, why = "INVALID", "the fault did not fire"
        except (Broken, Failed) as failure:
            why = f"{type(failure).__name__}: {failure}"
        except Invalid as failure:
            outcome, why = "INVALID", str(failure)
        except Skip as failure:
            outcome, why = "SKIPPED", str(failure)
        except SystemExit as failure:
            why = f"a broker ended: {failure}"
        except Exception:  # of the scenario itself: a bug there is no green run either
            why = "the scenario broke: " + traceback.format_exc(limit=-3).strip().replace("\n", "\n        ")
    finally:
        where = run.close(failed=outcome in ("FAIL", "INVALID"))
    left = left_behind(run)
    if left:
        outcome, why = "FAIL", f"{why}; left behind: {left}"
    verdict = run.verdict or {}
    if where:
        why = f"{why}\n        {where}"
    return Result(chosen.name, chosen.row, outcome, why, run.shots,
                  verdict.get("acknowledged", run.load.progress["acknowledged"] if run.load else 0), run.gap_ms,
                  sum(verdict.get("anomalies", {}).values()), chosen.budget_ms, time.monotonic() - began, run.notes, seed, target)


def left_behind(run):
    """Processes, mounts and namespaces of this run that are still there."""
    left = []
    mark = str(run.dir)
    with open("/proc/mounts", encoding="utf-8") as mounts:
        left += [f"mount {line.split()[1]}" for line in mounts if mark in line]
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
                if mark in words and state != "Z":
                    left.append(f"process {entry.name}: {words[:120]}")
    names = pathlib.Path("/run/netns")
    if names.exists():
        left += [f"namespace {n.name}" for n in names.iterdir() if n.name.startswith(f"nc{os.getpid()}-")]
    return left


def sweep():
    """Removes what a runner that was killed -9 left: its processes died with it, namespaces and mounts did not."""
    def dead(pid):
        return pid.isdigit() and not pathlib.Path(f"/proc/{pid}").exists()
    names = pathlib.Path("/run/netns")
    for entry in list(names.iterdir()) if names.exists() else []:
        if entry.name.startswith("nc") and dead(entry.name[2:].split("-")[0]):
            subprocess.run(["ip", "netns", "del", entry.name], check=False)
    with open("/proc/mounts", encoding="utf-8") as mounts:
        places = [line.split()[1] for line in mounts]
    for place in reversed(places):
        if "/naru-chaos-" in place and dead(place.split("/naru-chaos-")[1].split("-")[0]):
            subprocess.run(["umount", "-l", place], check=False)
    groups = pathlib.Path("/sys/fs/cgroup")
    for entry in groups.glob("*/nc*-*"):
        if dead(entry.name[2:].split("-")[0]):
            with contextlib.suppress(OSError):
                entry.rmdir()
