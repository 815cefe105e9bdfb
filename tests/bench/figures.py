"""The figures that scripts/figures prints. Nothing here passes or fails on a time: it measures and reports.

Each part returns rows {"figure", "unit", "values", "note"}; the table shows the median and the worst of the values.
"""
import contextlib
import json
import os
import pathlib
import select
import shutil
import statistics
import subprocess
import sys
import time

from naru_cluster import TOP, Cluster, Failed, clean_environment, wait_until

TICKS = os.sysconf("SC_CLK_TCK")
JAVA_PROJECT = TOP / "tests" / "bench" / "java"
JAVA_BUILD = TOP / "build" / "bench" / "java"
GAP_TOPIC = "gap"


def load_program():
    path = pathlib.Path(os.environ.get("NARU_LOAD", TOP / "build" / "release" / "naru-load"))
    if not path.exists():
        raise SystemExit(f"{path} is not built: cmake --build build/release --target naru naru-load")
    return str(path)


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def row(figure, unit, values, note="", better="lower"):
    return {"figure": figure, "unit": unit, "values": values, "note": note, "better": better}


# What the kernel knows of a process ----------------------------------------------------------------------------------

def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS  # utime, stime


def memory_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise Failed(f"process {pid} has no VmRSS")


def cpu_of(cluster):
    return sum(cpu_seconds(b.pid) for b in cluster.brokers)


def memory_of(cluster):
    return [memory_mb(b.pid) for b in cluster.brokers]


# Clients -------------------------------------------------------------------------------------------------------------

def run_load(*words, timeout=590):
    done = subprocess.run([load_program(), *map(str, words)], capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise Failed(f"naru-load {' '.join(map(str, words))} ended with {done.returncode}: {done.stdout} {done.stderr}")
    return json.loads(done.stdout)


class Steady:
    """A steady producer (bench/steady.h, bench/java): says when writes flow, and the longest gap between two marks."""

    def __init__(self, command):
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, bufsize=0, env=clean_environment())
        self.buffer = b""
        self.wait_for("ready")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.process.kill()
        self.process.wait()

    def wait_for(self, kind, timeout=60.0):
        deadline = time.monotonic() + timeout
        while True:
            while b"\n" in self.buffer:
                line, self.buffer = self.buffer.split(b"\n", 1)
                event = json.loads(line)
                if event["event"] == kind:
                    return event
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not chunk:
                raise Failed(f"the steady producer did not say {kind} within {timeout} s")
            self.buffer += chunk

    def flow(self, records=200):
        """Waits until each partition has had so many more acknowledgements."""
        self.process.stdin.write(f"flow {records}\n".encode())
        self.wait_for("flow")

    def mark(self):
        self.process.stdin.write(b"mark\n")
        return self.wait_for("mark")


def librdkafka_producer(cluster):
    return Steady([load_program(), "steady", "--bootstrap", cluster.bootstrap, "--topic", GAP_TOPIC, "--partitions", 2,
                   "--rate", 1000])


def java_producer(cluster):
    classes = f"{JAVA_BUILD}/classes:{JAVA_BUILD}/lib/*"
    return Steady(["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", classes,
                   "naru.bench.SteadyProducer", cluster.bootstrap, GAP_TOPIC, 2, 1000])


def build_java():
    """None, or what is missing."""
    for program in ("java", "mvn"):
        if not shutil.which(program):
            return f"{program} is not installed"
    if (JAVA_BUILD / "lib").exists():
        return None
    say("building the Java producer")
    done = subprocess.run(["mvn", "-q", "-f", str(JAVA_PROJECT / "pom.xml"), "package", f"-DbuildDir={JAVA_BUILD}"],
                          capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"mvn package failed: {done.stdout[-500:]}"


# The figures ---------------------------------------------------------------------------------------------------------

def starts(runs):
    """From nothing to a client's first acknowledged write."""
    rows = []
    for brokers in (1, 3):
        name = "one broker" if brokers == 1 else "three brokers, empty directories"
        values, listening = [], []
        for run in range(runs):
            say(f"start, {name}: run {run + 1} of {runs}")
            with Cluster(brokers) as cluster:
                client = subprocess.Popen([load_program(), "first", "--bootstrap", cluster.bootstrap, "--topic", "first"],
                                          stdout=subprocess.PIPE, text=True)
                began = time.monotonic()
                for broker in cluster.brokers:
                    broker.start()
                out, _ = client.communicate(timeout=60)
                if client.returncode != 0:
                    raise Failed(f"no first write: naru-load ended with {client.returncode}")
                seen = json.loads(out)
                values.append(seen["acknowledged"] - began)
                listening.append(seen["listening"] - began)
        note = f"a broker listens after {statistics.median(listening):.2f} s"
        rows.append(row(f"start to first acknowledged write, {name}", "s", values, note))
    return rows


def settled_memory(cluster):
    """Looks until the sum no longer falls: what was needed to start is given back by and by."""
    seen = [memory_of(cluster)]

    def settled():
        seen.append(memory_of(cluster))
        return abs(sum(seen[-1]) - sum(seen[-2])) < 0.2
    wait_until(settled, "memory that no longer changes", timeout=60, pause=3)
    return seen[-1]


def memory(partitions):
    rows = []
    with Cluster(3) as cluster:
        cluster.start()
        say("memory of idle brokers")
        rows.append(row("memory of a broker, idle", "MB", settled_memory(cluster)))
        say(f"memory with {partitions} partitions")
        cluster.naru("topic", "create", "many", "-p", partitions, timeout=120)
        cluster.wait_isr("many")
        rows.append(row(f"memory of a broker, {partitions} partitions", "MB", settled_memory(cluster)))
    return rows


def rates(megabytes, runs):
    """acks=all, RF 3, 1 KiB records: rates, CPU of the three brokers, memory afterwards."""
    rows = []
    for batch in (16384, 131072):
        produced, produce_cpu, consumed, consume_cpu, after = [], [], [], [], []
        for run in range(runs):
            say(f"{megabytes} MB in batches of {batch} bytes: run {run + 1} of {runs}")
            with Cluster(3) as cluster:
                cluster.start()
                cluster.naru("topic", "create", "load", "-p", 6)
                cluster.wait_isr("load")
                words = ["--bootstrap", cluster.bootstrap, "--topic", "load"]
                before = cpu_of(cluster)
                done = run_load("produce", *words, "--megabytes", megabytes, "--batch-bytes", batch, "--linger-ms", 5)
                middle = cpu_of(cluster)
                gigabytes = done["acked"] * 1024 / 1e9
                produced.append(done["mb_per_s"])
                produce_cpu.append((middle - before) / gigabytes)
                sent = done["acked"]
                done = run_load("consume", *words)
                if done["records"] != sent:
                    raise Failed(f"{sent} records were acknowledged and {done['records']} consumed")
                consumed.append(done["mb_per_s"])
                consume_cpu.append((cpu_of(cluster) - middle) / gigabytes)
                after += settled_memory(cluster)
        size = f"{batch // 1024} KiB batches"
        rows.append(row(f"produce, {size}", "MB/s", produced, "acks=all, RF 3, 1 KiB records, librdkafka", "higher"))
        rows.append(row(f"CPU of three brokers a GB produced, {size}", "s/GB", produce_cpu))
        rows.append(row(f"consume, {size}", "MB/s", consumed, "all of it, from the start", "higher"))
        rows.append(row(f"CPU of three brokers a GB consumed, {size}", "s/GB", consume_cpu))
        rows.append(row(f"memory of a broker after this, {size}", "MB", after))
    return rows


KILLS = {"leader": "a leader", "controller": "the controller", "both": "controller and leader in one"}


class Kills:
    """A cluster and a steady producer; between two kills everybody is back and in sync.

    Each kind of kill is done once, and then the cluster is done with: a controller that has fenced a broker because its
    address refused connections is slower to believe that of the same broker again for a while, so the second kill of
    one broker is another figure than the first."""

    def __init__(self, cluster, producer):
        self.cluster = cluster
        self.producer = producer

    def leaders(self):
        return [p["leader"] for p in self.cluster.topic(GAP_TOPIC)["partition_list"]]

    def restore(self):
        self.cluster.wait_healthy()
        self.cluster.wait_isr(GAP_TOPIC)
        wait_until(lambda: self.cluster.run("partition", "elect", GAP_TOPIC).returncode == 0, "preferred leaders")

    def arrange(self, kind):
        """Who is to be killed. The topic's two partitions prefer brokers 1 and 2, so that the active controller decides
        what a kill hits: it is handed over (SIGTERM) until it lies where this kill wants it."""
        for _ in range(20):
            controller = self.cluster.controller()
            leaders = self.leaders()
            others = [leader for leader in leaders if leader != controller]
            if kind == "leader" and others:
                return others[0]
            if kind == "controller" and controller not in leaders:
                return controller
            if kind == "both" and controller in leaders:
                return controller
            self.cluster[controller].terminate()
            self.cluster.wait_controller(other_than=controller)
            self.cluster[controller].start()
            self.restore()
        raise Failed(f"no controller where a kill of kind '{kind}' needs it, after 20 tries")

    def kill(self, kind):
        """The gap in ms, and how long the broker needs from its start to every ISR in s."""
        victim = self.arrange(kind)
        self.producer.flow()
        self.producer.mark()
        self.cluster[victim].kill()
        self.producer.flow()
        gap = self.producer.mark()["gap_ms"]
        began = time.monotonic()
        self.cluster[victim].start()
        self.cluster.wait_isr(GAP_TOPIC)
        back = time.monotonic() - began
        self.restore()
        return gap, back


def gaps(runs, clients):
    """kill -9 under a steady producer: the longest time that a partition goes without an acknowledgement."""
    rows = []
    returns = []
    for client, make in clients:
        seen = {kind: [] for kind in KILLS}
        for run in range(runs):
            with Cluster(3) as cluster, contextlib.ExitStack() as stack:
                cluster.start()
                cluster.naru("topic", "create", GAP_TOPIC, "--assign", "1:2:3,2:1:3")
                cluster.wait_isr(GAP_TOPIC)
                kills = Kills(cluster, stack.enter_context(make(cluster)))
                for kind in KILLS:
                    gap, back = kills.kill(kind)
                    seen[kind].append(gap)
                    returns.append(back)
            say(f"{client}, run {run + 1} of {runs}: " + ", ".join(f"{KILLS[k]} {v[-1]:.0f} ms" for k, v in seen.items()))
        rows += [row(f"longest gap at kill -9 of {KILLS[kind]}, {client}", "ms", values) for kind, values in seen.items()]
    if returns:
        rows.append(row("restarted broker back in every ISR", "s", returns, "from its start, after kill -9"))
    return rows


def table(rows):
    shown = [("FIGURE", "MEDIAN", "WORST", "UNIT", "RUNS", "")]
    for r in rows:
        worst = min(r["values"]) if r["better"] == "higher" else max(r["values"])
        digits = 0 if r["unit"] in ("ms", "MB/s") else 1 if r["unit"] in ("MB", "s/GB") else 2
        shown.append((r["figure"], f"{statistics.median(r['values']):.{digits}f}", f"{worst:.{digits}f}", r["unit"],
                      str(len(r["values"])), r["note"]))
    widths = [max(len(line[i]) for line in shown) for i in range(6)]
    text = []
    for line in shown:
        cells = [line[0].ljust(widths[0]), line[1].rjust(widths[1]), line[2].rjust(widths[2]), line[3].ljust(widths[3]),
                 line[4].rjust(widths[4]), line[5]]
        text.append("  ".join(cells).rstrip())
    return "\n".join(text)


def merged(several):
    """Rows of several reports under one name become one."""
    by_name = {}
    for rows in several:
        for r in rows:
            known = by_name.setdefault(r["figure"], {**r, "values": []})
            known["values"] = known["values"] + r["values"]
    return list(by_name.values())
