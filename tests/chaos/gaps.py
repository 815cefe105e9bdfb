"""scripts/chaos gaps: how long writes stop for each kind of death, on one cluster, N times each.

Each round has a topic and clients of its own, so that no client profits from what it learnt in an earlier round. What is
measured is the longest time without an acknowledgement that an idempotent acks=all producer (librdkafka at its
defaults) saw. Where the harmed broker is silent, the client in flight waits for its own timeout; then what counts is
when a client that begins after the harm has its first write acknowledged.
"""
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
from naru_cluster import Failed, Workload, _die_with_parent, clean_environment, wait_until

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


@dataclasses.dataclass
class Round:
    kind: str
    ms: float
    in_flight_ms: float | None  # of clients that were writing when it happened, where that is another figure
    acks: int
    anomalies: int


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

    def round(self, kind):
        controller = self.settled()
        a, b = random.sample([n for n in (1, 2, 3) if n != controller], 2)
        self.count += 1
        topic = f"{kind}-{self.count}"
        leader = controller if kind == "both" else a
        rest = [n for n in (1, 2, 3) if n != leader]
        victim = {"follower": b, "controller": controller}.get(kind, leader)
        for name in (topic, topic + "-fresh"):
            self.cluster.naru("topic", "create", name, "--assign", f"{leader}:{rest[0]}:{rest[1]}")
            self.cluster.wait_isr(name)
        with Workload(self.cluster, topic, rate=200, consumers=1) as load:
            load.flow()
            load.mark()
            harm = getattr(self, "_silent" if kind in ("pause", "partition") else "_all" if kind == "all" else "_dead")
            ms, in_flight = harm(kind, victim, load, topic)
            verdict = load.stop()
        if not verdict["clean"] or not verdict["complete"] or verdict["failed"]:
            raise Failed(f"{kind}: promises were broken: {verdict}")
        for name in (topic, topic + "-fresh"):
            self.cluster.run("topic", "delete", name, "--yes")
        return Round(kind, ms, in_flight, verdict["acknowledged"], sum(verdict["anomalies"].values()))

    def _dead(self, kind, victim, load, _topic):
        broker = self.cluster[victim]
        if kind == "sigterm":
            broker.signal(signal.SIGTERM)
        else:
            broker.kill()
        load.flow(timeout=120)
        ms = load.mark()["gap_ms"]
        if kind == "sigterm":
            broker.wait_exit(60)
        broker.start()
        return ms, None

    def _all(self, _kind, _victim, load, _topic):
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
        return ms, load.mark()["gap_ms"]

    def _silent(self, kind, victim, load, topic):
        survivors = ",".join(b.address for b in self.cluster.brokers if b.id != victim)
        began = time.monotonic()
        if kind == "pause":
            self.cluster[victim].pause()
        else:
            self.hosts.isolate(victim)
        try:
            ms = self._fresh(topic + "-fresh", survivors, began)
        finally:
            if kind == "pause":
                self.cluster[victim].resume()
            else:
                self.hosts.heal()
        load.flow(timeout=120)
        return ms, load.mark()["gap_ms"]

    def _fresh(self, topic, survivors, began):
        """Clients that begin one after the other, 200 ms apart, until one has written."""
        clients = []
        try:
            while time.monotonic() < began + 60:
                clients.append(subprocess.Popen(
                    [*self.cluster.enter, self.cluster.naru_path, "produce", topic, "-q", "--timeout", "20s", "-b", survivors],
                    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=_die_with_parent, env=clean_environment()))
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
        text += f"\n{target}: {acks:,} records acknowledged, {sum(r.anomalies for t, r in rounds if t == target)} anomalies"
    return text


def main(given):
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    harness.sweep()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1 << 32)
    random.seed(seed)
    runs = given.runs or 20
    targets = ("naru", "kafka") if given.target == "both" else (given.target,)
    kinds = [k for k in KINDS if not given.names[1:] or k in given.names[1:]]
    print(f"chaos gaps: seed {seed}, {runs} runs of {', '.join(kinds)}", flush=True)
    rounds, bad = [], 0
    with contextlib.ExitStack() as files:
        out = files.enter_context(open(given.json, "w", encoding="utf-8")) if given.json else None
        for target in targets:
            for on_hosts in (False, True):
                wanted = [k for k in kinds if (k == "partition") == on_hosts]
                if not wanted:
                    continue
                if on_hosts and missing("namespaces"):
                    print(f"SKIPPED partition: {missing('namespaces')}", flush=True)
                    continue
                run = harness.Run(harness.Scenario("gaps", 0, "", "", None, None, False, (), ()), seed, target)
                try:
                    series = Series(run, target, Hosts(run) if on_hosts else None)
                    for kind in wanted:
                        for _ in range(runs):
                            try:
                                one = series.round(kind)
                            except Failed as failure:
                                bad += 1
                                print(f"FAIL    {target} {kind}: {failure}", flush=True)
                                continue
                            rounds.append((target, one))
                            flight = f"  in flight {one.in_flight_ms:.0f} ms" if one.in_flight_ms else ""
                            print(f"{target:5}  {kind:10} {one.ms:7.0f} ms{flight}", flush=True)
                            if out:
                                print(json.dumps({"target": target, **dataclasses.asdict(one)}), file=out, flush=True)
                finally:
                    run.close(failed=bad > 0)
    if rounds:
        print("\n" + table(rounds))
    return 1 if bad or not rounds else 0
