"""scripts/chaos gaps: how long writes stop for each kind of death, on one cluster, N times each.

Each round has topics and clients of its own, so that no client profits from what it learnt in an earlier round. What is
measured is the longest time without an acknowledgement that an idempotent acks=all producer (librdkafka at its
defaults) saw. Where the harmed broker is silent, the client in flight waits for its own timeout; then what counts is
when a client that begins after the harm has its first write acknowledged.

Two targets are up at the same time and take turns, a round each, and a round begins when both are whole again: what else
the machine does meets both alike. Kinds that one and the same death shows (who loses a leader and who loses a follower by it)
share a round, each with a topic and clients of its own.
"""
import collections
import contextlib
import dataclasses
import json
import random
import signal
import statistics
import subprocess
import time

import harness
from hosts import Hosts
from means import missing
from naru_cluster import Failed, Workload, clean_environment, die_with_parent, wait_until

KINDS = {  # kind: (what, target median / worst in ms)
    "follower": ("kill -9 of a follower", (None, None)),
    "leader": ("kill -9 of a leader that is not controller", (200, 300)),
    "controller": ("kill -9 of the controller, which leads nothing", (500, 800)),
    "both": ("kill -9 of controller and leader in one", (500, 800)),
    "sigterm": ("SIGTERM of a leader", (20, 50)),
    "all": ("kill -9 of all three; first write after the last start", (None, 3000)),
    "pause": ("SIGSTOP of a leader; first write of a fresh client", (None, 2500)),
    "partition": ("a leader's host is cut off; first write of a fresh client", (None, 2500)),
}


TOGETHER = [("follower", "leader"), ("controller", "both"), ("sigterm",), ("all",), ("pause",), ("partition",)]
SILENT = ("pause", "partition")  # nothing tells that the broker is gone


@dataclasses.dataclass
class Round:
    kind: str
    ms: float
    in_flight_ms: float | None  # of clients that were writing when it happened, where that is another figure
    acks: int
    anomalies: dict
    broken: str                 # which promise, in words; empty when none


def plan(kinds, controller, others):
    """Who is harmed, and who leads the topic of each kind."""
    victim = controller if kinds[0] in ("controller", "both") else others[0]
    return victim, {kind: others[1] if kind in ("follower", "controller") else victim for kind in kinds}


class Series:
    def __init__(self, run, target, hosts=None):
        self.run = run
        self.target = target
        self.hosts = hosts
        self.cluster = run.cluster(start=False)
        if hosts:
            hosts.place(self.cluster)
        self.cluster.start()
        self.count = 0

    def settled(self):
        self.cluster.wait_healthy(120)
        return wait_until(self.cluster.controller, "a controller")

    def whole(self):
        """After a round that broke off: everybody runs, and hears everybody."""
        if self.hosts:
            self.hosts.heal()
        for broker in self.cluster.brokers:
            if broker.running:
                broker.resume()
            else:
                broker.start()

    def round(self, kinds):
        """One death, and what it cost the clients of each kind."""
        controller = self.settled()
        victim, leaders = plan(kinds, controller, random.sample([n for n in (1, 2, 3) if n != controller], 2))
        self.count += 1
        topics = {kind: f"{kind}-{self.count}" for kind in kinds}
        for kind, topic in topics.items():
            self._topics(topic, leaders[kind], with_fresh=kind in SILENT)
        with contextlib.ExitStack() as clients:
            loads = {kind: clients.enter_context(Workload(self.cluster, topics[kind], rate=200, consumers=1)) for kind in kinds}
            for load in loads.values():
                load.flow()
            for load in loads.values():
                load.mark()
            harm = self._silent if kinds[0] in SILENT else self._all if kinds[0] == "all" else self._dead
            figures = harm(kinds[0], victim, loads, topics)
            rounds = [self._judged(kind, *figures[kind], loads[kind].stop()) for kind in kinds]
        for topic in (name + end for kind, name in topics.items() for end in (("", "-fresh") if kind in SILENT else ("",))):
            self.cluster.run("topic", "delete", topic, "--keep", "0", "--yes")
        return rounds

    def _topics(self, topic, leader, with_fresh):
        rest = [n for n in (1, 2, 3) if n != leader]
        for name in (topic, topic + "-fresh") if with_fresh else (topic,):
            self.cluster.naru("topic", "create", name, "--assign", f"{leader}:{rest[0]}:{rest[1]}")
            self.cluster.wait_isr(name)

    @staticmethod
    def _judged(kind, ms, in_flight, verdict):
        anomalies = {name: count for name, count in verdict["anomalies"].items() if count}
        # As in the scenarios: a leader that is back and has not heard of its successor serves what it knew committed.
        serious = {name: count for name, count in anomalies.items() if name != "stale" or kind not in SILENT}
        broken = []
        if serious or not (verdict["clean"] or anomalies):
            broken.append(f"{serious}; {verdict['examples'][:5]}")
        if not verdict["complete"]:
            broken.append(f"the history does not end: {verdict['incomplete']}")
        if verdict["failed"]:
            broken.append(f"the producer gave up {verdict['failed']} records")
        return Round(kind, ms, in_flight, verdict["acknowledged"], anomalies, "; ".join(broken))

    def _dead(self, kind, victim, loads, _topics):
        broker = self.cluster[victim]
        if kind == "sigterm":
            broker.signal(signal.SIGTERM)
        else:
            broker.kill()
        for load in loads.values():
            load.flow(timeout=120)
        figures = {each: (load.mark()["gap_ms"], None) for each, load in loads.items()}
        if kind == "sigterm":
            broker.wait_exit(60)
        broker.start()
        return figures

    def _all(self, kind, _victim, loads, _topics):
        load = loads[kind]
        for broker in self.cluster.brokers:
            broker.signal(signal.SIGKILL)
        for broker in self.cluster.brokers:
            broker.process.wait()
        # Nobody is left to acknowledge; once it is silent, what was acknowledged before has been told.
        load.follow(lambda p: p["silent_ms"] > 200, "silence")
        before = load.progress["acknowledged"]
        for broker in random.sample(self.cluster.brokers, 3):
            broker.start()
        started = time.monotonic()
        load.follow(lambda p: p["acknowledged"] > before, "the first write", 120)
        ms = 1000 * (time.monotonic() - started)
        load.flow(timeout=120)
        return {kind: (ms, load.mark()["gap_ms"])}

    def _silent(self, kind, victim, loads, topics):
        survivors = ",".join(b.address for b in self.cluster.brokers if b.id != victim)
        began = time.monotonic()
        if kind == "pause":
            self.cluster[victim].pause()
        else:
            self.hosts.isolate(victim)
        try:
            ms = self._fresh(topics[kind] + "-fresh", survivors, began)
        finally:
            if kind == "pause":
                self.cluster[victim].resume()
            else:
                self.hosts.heal()
        loads[kind].flow(timeout=120)
        return {kind: (ms, loads[kind].mark()["gap_ms"])}

    def _fresh(self, topic, survivors, began):
        """Clients that begin one after the other, 200 ms apart, until one has written."""
        clients = []
        try:
            while time.monotonic() < began + 60:
                clients.append(subprocess.Popen(
                    [*self.cluster.enter, self.cluster.naru_path, "produce", topic, "-q", "--timeout", "20s", "-b", survivors],
                    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent, env=clean_environment()))
                clients[-1].stdin.write(b"fresh\n")
                clients[-1].stdin.close()
                until = time.monotonic() + 0.2
                while time.monotonic() < until:
                    if any(c.poll() == 0 for c in clients):
                        return 1000 * (time.monotonic() - began)
                    time.sleep(0.005)
            raise Failed("no fresh client could write within 60 s")
        finally:
            for client in clients:
                if client.poll() is None:
                    client.kill()
                client.wait()


def table(rounds):
    """Rows by kind, columns by target."""
    targets = sorted({target for target, _ in rounds}, key=("naru", "kafka").index)
    head = ["EVENT", "TARGET"]
    for target in targets:
        head += [f"{target.upper()} RUNS", "MEDIAN", "WORST"]
    rows = [head]
    for kind, (what, (median, worst)) in KINDS.items():
        some = {t: [r for tt, r in rounds if tt == t and r.kind == kind] for t in targets}
        if not any(some.values()):
            continue
        wanted = " / ".join(str(n) for n in (median, worst) if n) + " ms" if worst else "-"
        row = [what, wanted]
        for target in targets:
            ms = [r.ms for r in some[target]]
            row += [str(len(ms)), f"{statistics.median(ms):.0f} ms", f"{max(ms):.0f} ms"] if ms else ["0", "-", "-"]
        rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    text = "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
    for target in targets:
        flight = [r.in_flight_ms for t, r in rounds if t == target and r.kind in ("pause", "partition") and r.in_flight_ms]
        if flight:
            text += (f"\n{target}: clients in flight when their leader fell silent waited {statistics.median(flight):.0f} ms (median), "
                     f"{max(flight):.0f} ms (worst)")
        acks = sum(r.acks for t, r in rounds if t == target)
        anomalies = collections.Counter()
        for t, r in rounds:
            anomalies.update(r.anomalies if t == target else {})
        text += f"\n{target}: {acks:,} records acknowledged, anomalies: {dict(anomalies) or 'none'}"
    return text


class Measurement:
    """The rounds of all targets, in turns; keeps what there is when it is called off."""

    def __init__(self, targets, out, until):
        self.targets = targets
        self.out = out
        self.until = until
        self.series = []
        self.rounds = []
        self.bad = 0

    def tell(self, target, one):
        self.rounds.append((target, one))
        flight = f"  in flight {one.in_flight_ms:.0f} ms" if one.in_flight_ms else ""
        print(f"{target:5}  {one.kind:10} {one.ms:7.0f} ms{flight}", flush=True)
        if one.broken:
            self.bad += 1
            print(f"FAIL    {target} {one.kind}: promises were broken: {one.broken}", flush=True)
        if self.out:
            print(json.dumps({"target": target, **dataclasses.asdict(one)}), file=self.out, flush=True)

    def turn(self, series, kinds):
        whose = series.target
        try:
            for other in self.series:
                whose = other.target
                other.settled()
            whose = series.target
            for one in series.round(kinds):
                self.tell(series.target, one)
        except (Failed, SystemExit) as failure:  # SystemExit: a broker ended by itself
            self.bad += 1
            print(f"FAIL    {whose} at {series.target}'s turn of {' '.join(kinds)}: {failure}", flush=True)
            for each in self.series:
                each.whole()

    def take(self, groups, runs, seed):
        on_hosts = ("partition",) in groups  # then all of them, so that each target has one cluster
        made = []
        try:
            self.series = []
            for target in self.targets:
                made.append(harness.Run(harness.Scenario("gaps", 0, "", "", None, None, False, (), ()), seed, target))
                self.series.append(Series(made[-1], target, Hosts(made[-1]) if on_hosts else None))
            for _ in range(runs):
                for kinds in groups:
                    for series in self.series:
                        if time.monotonic() < self.until:
                            self.turn(series, kinds)
        finally:
            for run in made:
                where = run.close(failed=self.bad > 0)
                if where:
                    print(where, flush=True)


def main(given):
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    harness.sweep()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1 << 32)
    random.seed(seed)
    runs = given.runs or 20
    targets = ("naru", "kafka") if given.target == "both" else (given.target,)
    kinds = [k for k in KINDS if not given.names[1:] or k in given.names[1:]]
    if "partition" in kinds and missing("namespaces"):
        print(f"SKIPPED partition: {missing('namespaces')}", flush=True)
        kinds.remove("partition")
    groups = [group for group in (tuple(k for k in together if k in kinds) for together in TOGETHER) if group]
    print(f"chaos gaps: seed {seed}, {runs} runs of {', '.join(kinds)}", flush=True)
    with contextlib.ExitStack() as files:
        out = files.enter_context(open(given.json, "w", encoding="utf-8")) if given.json else None
        until = time.monotonic() + 60 * given.minutes if given.minutes else float("inf")
        measurement = Measurement(targets, out, until)
        try:
            measurement.take(groups, runs, seed)
        except KeyboardInterrupt:
            print("called off: what there is so far", flush=True)
            measurement.bad += 1
        except Failed as failure:
            print(f"FAIL    {failure}", flush=True)
            measurement.bad += 1
    if measurement.rounds:
        print("\n" + table(measurement.rounds))
    return 1 if measurement.bad or not measurement.rounds else 0
