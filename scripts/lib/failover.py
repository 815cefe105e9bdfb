"""What every failover demonstration does, whatever its brokers are: traffic, harm done to one broker at a time, waiting for the
writes to go on and for the broker to be whole again, and a verdict on every record.

scripts/failover-demo does it to processes; the forms under deploy/ to containers and machines. Each brings a cluster with
the methods of naru_cluster.Cluster, whose brokers can be harmed and brought back.
"""
import json
import sys
import time

from failover_report import judge, print_report
from naru_cluster import Failed, Workload, wait_until

TOPIC = "failover-demo"


class Screen:
    """One live line at the bottom on a terminal, one line every few seconds in a pipe; statements stay."""

    def __init__(self, stream):
        self.stream = stream
        self.live = stream.isatty()
        self.began = time.monotonic()
        self.told = 0.0

    def clock(self):
        return f"{time.monotonic() - self.began:6.1f} s"

    def say(self, text):
        self.stream.write(("\r\x1b[K" if self.live else "") + f"{self.clock()}  {text}\n")
        self.stream.flush()

    def progress(self, p, note=""):
        waiting = p["sent"] - p["acknowledged"]
        silent = f"  no acknowledgement for {p['silent_ms'] / 1000:.1f} s" if p["silent_ms"] > 150 else ""
        line = f"{self.clock()}  sent {p['sent']:,}  acknowledged {p['acknowledged']:,}  waiting {waiting:,}  consumed {p['polled']:,}{silent}{note}"
        if self.live:
            self.stream.write("\r\x1b[K" + line)
            self.stream.flush()
        elif time.monotonic() - self.told > 5:
            self.told = time.monotonic()
            self.stream.write(line + "\n")
            self.stream.flush()


class Demo:
    """Runs scenario(demo) under traffic on `cluster`, whose brokers have the ids 1 to 3, and judges what clients saw."""

    def __init__(self, cluster, screen, rate=200, seconds=3.0, history=None):
        self.cluster = cluster
        self.screen = screen
        self.rate = rate
        self.seconds = seconds
        self.history = history
        self.kills = []
        self.load = None
        self.stale_reads_allowed = False  # a scenario that cuts a broker off sets it

    def leaders(self):
        return [p["leader"] for p in self.cluster.topic(TOPIC)["partition_list"]]

    def run_for(self, seconds):
        until = time.monotonic() + seconds
        self.load.follow(lambda _: time.monotonic() >= until, "time to pass", seconds + 30, self.screen.progress)

    def flow(self):
        self.load.flow(tell=self.screen.progress)

    def create_topic(self):
        """Two partitions led by the two brokers that are not the controller, so that each kill hits one thing."""
        controller = self.cluster.controller()
        a, b = [n for n in (1, 2, 3) if n != controller]
        self.cluster.naru("topic", "create", TOPIC, "--assign", f"{a}:{b}:{controller},{b}:{a}:{controller}")
        self.cluster.wait_isr(TOPIC)
        self.cluster.naru("partition", "elect", TOPIC)
        self.screen.say(f"topic {TOPIC}: 2 partitions, led by {self.leaders()}; controller {controller}")

    def restore(self):
        """Everyone back, all replicas in sync, leaders where they are preferred."""
        self.cluster.wait_healthy()
        self.cluster.wait_isr(TOPIC)
        wait_until(lambda: self.cluster.run("partition", "elect", TOPIC).returncode == 0, "preferred leaders")

    def harm(self, what, victim, do, undo, said="kill -9"):
        """do() to broker `victim`; writes must go on without it; undo() brings it back, and it must be whole again."""
        before = {"leaders": self.leaders(), "controller": self.cluster.controller()}
        self.run_for(self.seconds)
        self.flow()  # clients may still be looking for the leaders that went back: that pause is not the kill's
        self.load.mark()
        self.screen.say(f"{said} of broker {victim}: {what}; leaders {before['leaders']}, controller {before['controller']}")
        sent_before = self.load.progress["sent"]
        do()
        self.flow()
        wait_until(lambda: all(leader not in (None, victim) for leader in self.leaders()), "leaders that live")
        controller_after = self.cluster.wait_controller(other_than=victim)
        after = {"leaders": self.leaders(), "controller": controller_after}
        self.run_for(self.seconds)
        gap = self.load.mark()
        self.kills.append({"kill": what, "broker": victim, "before": before, "after": after, "gap_ms": round(gap["gap_ms"], 1),
                           "partition": gap["partition"], "sent": gap["sent"] - sent_before})
        self.screen.say(f"writes went on after {gap['gap_ms']:.0f} ms; leaders {after['leaders']}, controller {after['controller']}")
        undo()
        self.restore()
        self.screen.say(f"broker {victim} is back and in sync; leaders {self.leaders()}")

    def run(self, scenario, changes_min):
        """The report. At least so many changes of leaders or controller, or the harm did not do what it should."""
        self.create_topic()
        with Workload(self.cluster, TOPIC, rate=self.rate, history=self.history) as load:
            self.load = load
            self.flow()
            scenario(self)
            self.screen.say("stopping the producer; reading everything once more")
            verdict = load.stop()
        if self.stale_reads_allowed:
            self.pass_over_stale_reads(verdict)
        return judge(self.kills, verdict, changes_min)

    def pass_over_stale_reads(self, verdict):
        """A leader that was cut off tells readers an older end until it learns that it leads no longer. That costs nobody a
        record: it is said, and it is no failure."""
        count = verdict["anomalies"].pop("stale", 0)
        if count:
            self.screen.say(f"{count} answers of the broker that was cut off told an older end of a partition")
        verdict["clean"] = not any(verdict["anomalies"].values())
        verdict["examples"] = [example for example in verdict["examples"] if not example.startswith("stale")]


def conclude(make_report, as_json):
    """Runs make_report(screen), prints what it returns, and ends the program: exit code 0 only for PASS."""
    screen = Screen(sys.stderr if as_json else sys.stdout)
    try:
        report = make_report(screen)
    except Failed as failure:
        screen.say(str(failure))
        print("FAIL")
        sys.exit(1)
    if as_json:
        print(json.dumps(report))
    else:
        print_report(report, sys.stdout)
    sys.exit(0 if report["passed"] else 1)
