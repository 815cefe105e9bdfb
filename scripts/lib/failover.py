"""What every failover demonstration does, whatever its brokers are: traffic, harm done to one broker at a time, waiting for the
writes to go on and for the broker to be whole again, and a verdict on every record.

scripts/failover-demo does it to processes; the forms under deploy/ to containers and machines. Each brings a cluster with
the methods of naru_cluster.Cluster, whose brokers can be harmed and brought back.
"""
import argparse
import json
import pathlib
import sys
import threading
import time

import timeline
from failover_report import KILL_HEADS, judge, kill_rows, print_report, summary
from naru_cluster import Failed, Workload, wait_until

TOPIC = "failover-demo"


class Screen:
    """A few live lines at the bottom on a terminal (brokers, leaders, rate, gap), one line every few seconds in a pipe;
    statements stay. Everything is noted in a timeline."""

    def __init__(self, stream):
        self.stream = stream
        self.live = stream.isatty()
        self.began = time.monotonic()
        self.watched = self.live  # whether brokers and leaders are looked at all the time
        self.told = 0.0
        self.drawn = 0
        self.view = None       # what the watcher saw last
        self.timeline = timeline.Timeline()
        self.load_began = 0.0
        self.recent = []       # (time, acknowledged) of the last second

    def clock(self):
        return f"{time.monotonic() - self.began:6.1f} s"

    def now(self):
        return time.monotonic() - self.began

    def erase(self):
        if self.live and self.drawn:
            self.stream.write(f"\x1b[{self.drawn}A\r\x1b[J")
            self.drawn = 0

    def say(self, text):
        self.erase()
        self.stream.write(f"{self.clock()}  {text}\n")
        self.stream.flush()

    def see(self, brokers, leaders, controller):
        """What is so now: {broker: up}, [leader or None], controller or None."""
        self.view = (brokers, leaders, controller)
        for broker, up in brokers.items():
            self.timeline.see(self.now(), f"broker {broker}", up)
        for partition, leader in enumerate(leaders):
            self.timeline.see(self.now(), f"leader of {partition}", leader)
        self.timeline.see(self.now(), "controller", controller)

    def picture(self):
        if self.view is None:
            return []
        brokers, leaders, controller = self.view
        state = "  ".join(f"{b} \x1b[32m●\x1b[0m" if up else f"{b} \x1b[31m✗ down\x1b[0m" for b, up in sorted(brokers.items()))
        led = "  ".join(f"{i} → {'—' if leader is None else leader}" for i, leader in enumerate(leaders))
        return [f"          brokers     {state}", f"          leaders     {led}    controller {'—' if controller is None else controller}"]

    def progress(self, p, note=""):
        waiting = p["sent"] - p["acknowledged"]
        at = self.load_began + p.get("at_ms", (self.now() - self.load_began) * 1000) / 1000  # it may have waited for us to read it
        self.timeline.progress(at, p["acknowledged"])
        self.recent = [r for r in self.recent if at - r[0] < 1.0] + [(at, p["acknowledged"])]
        passed = self.recent[-1][0] - self.recent[0][0]
        rate = (self.recent[-1][1] - self.recent[0][1]) / passed if passed > 0 else 0.0
        silent = f"  no acknowledgement for {p['silent_ms'] / 1000:.1f} s" if p["silent_ms"] > 150 else ""
        line = f"{self.clock()}  sent {p['sent']:,}  acknowledged {p['acknowledged']:,}  waiting {waiting:,}  consumed {p['polled']:,}{silent}{note}"
        if self.live:
            bar = "█" * min(40, round(rate / 20))
            rows = [*self.picture(), f"          writes      {rate:6.0f}/s {bar}", line]
            self.erase()
            self.stream.write("".join(row + "\n" for row in rows))
            self.drawn = len(rows)
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

    def watch(self, stop):
        """Looks at brokers, leaders and the controller until told to stop, for the picture."""
        while not stop.wait(0.3):
            try:
                status, leaders = self.cluster.status(), self.leaders()
            except Failed:
                continue  # nobody answered; what was so stays in the picture
            up = {b["id"]: not b["fenced"] for b in status["brokers"]}
            self.screen.see(up, [n if up.get(n) else None for n in leaders], status["controller"])

    def leaders(self):
        return [p["leader"] for p in self.cluster.topic(TOPIC)["partition_list"]]

    def led(self):
        """The leaders, once there is one of every partition: nobody can be told to harm the leader of one that has none."""
        def settled():
            leaders = self.leaders()
            return None not in leaders and leaders
        return wait_until(settled, "a leader of every partition")

    def run_for(self, seconds):
        until = time.monotonic() + seconds
        self.load.follow(lambda _: time.monotonic() >= until, "time to pass", seconds + 30, self.screen.progress)

    def flow(self):
        self.load.flow(tell=self.screen.progress)

    def create_topic(self):
        """Two partitions led by the two brokers that are not the controller, so that each kill hits one thing."""
        controller = self.cluster.wait_controller()
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
        before = {"leaders": self.led(), "controller": self.cluster.wait_controller()}
        self.run_for(self.seconds)
        self.flow()  # clients may still be looking for the leaders that went back: that pause is not the kill's
        start = self.load.mark()
        self.screen.say(f"{said} of broker {victim}: {what}; leaders {before['leaders']}, controller {before['controller']}")
        harmed_at = self.screen.now()
        self.screen.timeline.event(harmed_at, f"{said} of broker {victim}", is_harm=True)
        do()
        self.flow()
        wait_until(lambda: all(leader not in (None, victim) for leader in self.leaders()), "leaders that live")
        controller_after = self.cluster.wait_controller(other_than=victim)
        after = {"leaders": self.leaders(), "controller": controller_after}
        self.run_for(self.seconds)
        gap = self.load.mark()
        self.kills.append({"kill": what, "broker": victim, "before": before, "after": after, "gap_ms": round(gap["gap_ms"], 1),
                           "partition": gap["partition"], "sent": gap["sent"] - start["sent"],
                           "acknowledged": gap["acknowledged"] - start["acknowledged"]})
        self.screen.timeline.gap(harmed_at, harmed_at + gap["gap_ms"] / 1000)
        self.screen.say(f"writes went on after {gap['gap_ms']:.0f} ms; leaders {after['leaders']}, controller {after['controller']}")
        undo()
        self.restore()
        self.screen.timeline.event(self.screen.now(), f"broker {victim} is back")
        self.screen.say(f"broker {victim} is back and in sync; leaders {self.leaders()}")

    def run(self, scenario, changes_min):
        """The report. At least so many changes of leaders or controller, or the harm did not do what it should."""
        self.create_topic()
        with Workload(self.cluster, TOPIC, rate=self.rate, history=self.history) as load:
            self.load = load
            self.screen.load_began = self.screen.now()
            stop = threading.Event()
            watcher = threading.Thread(target=self.watch, args=(stop,), daemon=True)
            if self.screen.watched:
                watcher.start()
            try:
                self.flow()
                scenario(self)
            finally:
                stop.set()
                if watcher.is_alive():
                    watcher.join()
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


def page(report, lines):
    title = "Naru: brokers fail, nothing is lost" if report["passed"] else "Naru: brokers fail"
    return timeline.html(lines, title, ("PASS: " if report["passed"] else "FAIL: ") + summary(report), report["passed"], (KILL_HEADS, kill_rows(report)))


def parse_options(arguments, doc, add):
    """What every demonstration may be told, and what `add` gives its parser; --help prints doc and ends the program."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--html")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--help", "-h", action="store_true")
    add(parser)
    given = parser.parse_args(arguments)
    if given.help:
        print(doc.strip())
        sys.exit(0)
    return given


def conclude(make_report, as_json, html=None):
    """Runs make_report(screen), prints what it returns, writes the page to the file `html`, and ends the program: exit code
    0 only for PASS."""
    screen = Screen(sys.stderr if as_json else sys.stdout)
    screen.watched = screen.live or bool(html)
    try:
        report = make_report(screen)
    except Failed as failure:
        screen.say(str(failure))
        screen.say("FAIL")  # standard output is for a report, where programs read it
        sys.exit(1)
    if html:
        pathlib.Path(html).write_text(page(report, screen.timeline), encoding="utf-8")
        screen.say(f"timeline: {html}")
    if as_json:
        print(json.dumps(report))
    else:
        print_report(report, sys.stdout)
    sys.exit(0 if report["passed"] else 1)
