"""Rows 38 to 43: too little CPU, memory, descriptors and threads; wall clocks that are wrong."""
import contextlib
import os
import pathlib
import resource
import socket
import subprocess
import time

from harness import Invalid, Skip, scenario
from naru_cluster import Failed, last_lines, wait_until
from rows_disk import leads, shimmed, victim_of
from rows_signals import laid_out, layout
from views import described, epochs, fenced_count, terms


@contextlib.contextmanager
def control_group(kind, pid=None, **settings):
    """A cgroup (version 1) with these settings, and the process in it; without one, for whoever enters it."""
    group = pathlib.Path("/sys/fs/cgroup") / kind / f"nc{os.getpid()}-{pid or kind}"
    group.mkdir()
    try:
        for name, value in settings.items():
            (group / f"{kind}.{name}").write_text(str(value))
        if pid is not None:
            (group / "cgroup.procs").write_text(str(pid))
        yield group
    finally:
        root = group.parent / "cgroup.procs"
        for left in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                root.write_text(left)
        deadline = time.monotonic() + 10
        while group.exists():
            with contextlib.suppress(OSError):
                group.rmdir()
            if time.monotonic() > deadline:
                raise Invalid(f"{group} cannot be removed")


def within(group):
    """The words before the command of who is to start in this cgroup."""
    return ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]


def idle_connections(broker, count):
    """So many connections that say nothing; those that are refused are left out."""
    made = []
    for _ in range(count):
        with contextlib.suppress(OSError):
            made.append(socket.create_connection((broker.host, broker.port), timeout=0.5))
    return made


@scenario(38, "slow-cpu", "a leader has 5% of a CPU for 10 s", "leaders move or it is slow; no false majority", needs=("cgroup_cpu",))
def slow_cpu(run):
    cluster = laid_out(run)
    victim = cluster[victim_of(run, cluster)]
    led = leads(cluster, victim.id)
    with control_group("cpu", victim.pid, cfs_period_us=100000, cfs_quota_us=5000) as group:
        run.run_for(10.0)
        stat = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
    if int(stat["nr_throttled"]) == 0:
        raise Invalid("the broker was never throttled")
    run.fired(f"{victim.id}, leader of {led}, throttled {stat['nr_throttled']} times")
    run.load.flow(timeout=60)
    run.gap()
    cluster.wait_healthy()
    cluster.wait_isr("load")
    run.load.flow()


@scenario(39, "memory-limit", "a broker gets RLIMIT_AS just above what it has, and 300 clients", "refusals or a clean end, no harm to others", needs=("prlimit",))
def memory_limit(run):
    cluster = laid_out(run)
    victim = cluster[victim_of(run, cluster)]
    size = int(pathlib.Path(f"/proc/{victim.pid}/statm").read_text().split()[0]) * resource.getpagesize()
    subprocess.run(["prlimit", f"--pid={victim.pid}", f"--as={size + (6 << 20)}:"], check=True)
    connections = idle_connections(victim, 300)
    for one in connections:
        with contextlib.suppress(OSError):
            one.sendall(b"\x00\x0f\x00\x00" + b"\0" * 60000)  # the beginning of a large request
    run.run_for(4.0)
    run.fired(f"{victim.id} may have 6 MiB more address space; {len(connections)} clients each sent 60 kB of a request")
    for one in connections:
        one.close()
    run.load.flow(timeout=90)
    run.gap()
    if victim.running:
        subprocess.run(["prlimit", f"--pid={victim.pid}", "--as=unlimited:"], check=True)
        run.note("it lives")
    else:
        code, said = victim.process.poll(), last_lines(victim.log(), 1)[-120:]
        run.note(f"it ended with {code}: {said}")
        run.must(code > 0, f"an end for want of memory is clean, not an abort: {code}, {said}")
        victim.start()
    cluster.wait_healthy()
    cluster.wait_isr("load")
    run.load.flow()


@scenario(39, "memory-claims", "a broker gets RLIMIT_AS 1 GiB above what it has, and 300 clients each claim 100 MiB and send two bytes",
          "what is claimed costs nothing: it lives", needs=("prlimit",))
def memory_claims(run):
    cluster = laid_out(run)
    victim = cluster[victim_of(run, cluster)]
    before, fenced = epochs(cluster, "load"), fenced_count(cluster)
    size = int(pathlib.Path(f"/proc/{victim.pid}/statm").read_text().split()[0]) * resource.getpagesize()
    subprocess.run(["prlimit", f"--pid={victim.pid}", f"--as={size + (1 << 30)}:"], check=True)
    connections = idle_connections(victim, 300)
    if len(connections) < 200:
        raise Invalid(f"only {len(connections)} connections stood")
    for one in connections:
        with contextlib.suppress(OSError):  # a broker that died of it is looked for below
            one.sendall((100 << 20).to_bytes(4, "big") + b"\0\0")
    run.run_for(3.0)
    run.fired(f"{victim.id} may have 1 GiB more address space; {len(connections)} clients claimed {len(connections) / 10:.0f} GiB")
    run.must(victim.running, f"it lives: {victim.process.poll()}, {last_lines(victim.log(), 1)[-120:]}")
    run.load.flow(timeout=60)
    run.gap()
    run.must(fenced_count(cluster) == fenced and epochs(cluster, "load") == before, "nobody is fenced, no leader changes")
    for one in connections:
        one.close()


@scenario(39, "memory-cgroup", "a broker and its page cache may have 96 MiB (memory.limit_in_bytes); 200 MB are written and read",
          "the kernel takes pages back, nobody is killed for want of memory", needs=("cgroup_memory",))
def memory_cgroup(run):
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(run.dir)], capture_output=True, text=True, check=True).stdout.strip()
    if kind == "tmpfs":
        raise Skip(f"{run.dir} is in memory itself: the kernel cannot take its pages back (TMPDIR says where else)")
    cluster = run.cluster(start=False)
    victim = cluster[run.random.choice((1, 2, 3))]
    with control_group("memory", limit_in_bytes=96 << 20) as group:
        victim.enter = within(group)
        cluster.start()
        run.topic(assign=layout(cluster))
        run.clients()
        rest = [b.id for b in cluster.brokers if b.id != victim.id]
        cluster.naru("topic", "create", "bulk", "--assign", f"{victim.id}:{rest[0]}:{rest[1]}")
        cluster.wait_isr("bulk")
        some = "".join(f"{'x' * 1000}\n" for _ in range(20_000))
        for _ in range(10):
            cluster.naru("produce", "bulk", text_in=some, timeout=180)
        read = cluster.run("consume", "bulk", "-e", timeout=180)
        run.must(len(read.stdout.splitlines()) == 200_000, f"all of it can be read: {read.stderr.strip()[:200]}")
        hits = int((group / "memory.failcnt").read_text())
        killed = [line for line in (group / "memory.oom_control").read_text().splitlines() if line.startswith("oom_kill ")]
        peak = int((group / "memory.max_usage_in_bytes").read_text()) >> 20
        if hits == 0:
            raise Invalid(f"the limit was never reached: {peak} MiB at most")
        run.must(victim.running and killed in ([], ["oom_kill 0"]), f"nobody is killed: {killed}, {peak} MiB at most")
        run.fired(f"broker {victim.id} met its limit of 96 MiB {hits} times, {victim.resident_kib / 1024:.0f} MiB resident")
        run.load.flow(timeout=60)
        run.gap()
        victim.terminate()
    victim.enter = None
    victim.start()
    cluster.wait_healthy()
    cluster.wait_isr("load")
    run.load.flow()


@scenario(39, "memory-budget", "500 clients each claim 50 MB and send a part of it", "reads are delayed, memory stays bounded")
def memory_budget(run):
    cluster = laid_out(run)
    victim = cluster[run.random.choice((1, 2, 3))]
    before = victim.resident_kib
    connections = idle_connections(victim, 500)
    chunk = (50_000_000).to_bytes(4, "big") + b"\x00\x00\x00\x07" + b"x" * 200_000
    sent = 0
    for one in connections:
        one.settimeout(0.01)
        with contextlib.suppress(OSError):
            sent += one.send(chunk)
    run.run_for(3.0)
    grown = (victim.resident_kib - before) / 1024
    run.fired(f"{len(connections)} clients claimed 50 MB each and sent {sent:,} bytes; memory grew by {grown:.0f} MiB")
    run.must(grown < 200, f"memory is bounded: grew by {grown:.0f} MiB")
    for one in connections:
        one.close()
    run.load.flow(timeout=60)
    run.gap()
    cluster.wait_healthy()
    cluster.wait_isr("load")


@scenario(40, "descriptor-limit", "RLIMIT_NOFILE is reached by idle clients", "accepting pauses, brokers still reach each other, clients come back",
          smoke=True, needs=("prlimit",))
def descriptors(run):
    limit = 256
    cluster = run.cluster(start=False)
    victim = cluster[run.random.choice((1, 2, 3))]
    victim.enter = ["prlimit", f"--nofile={limit}"]
    cluster.start()
    run.topic(assign=layout(cluster))
    run.clients()
    before, fenced = epochs(cluster, "load"), fenced_count(cluster)
    used = len(list(pathlib.Path(f"/proc/{victim.pid}/fd").iterdir()))
    connections = idle_connections(victim, 2 * limit)
    in_use = lambda: len(list(pathlib.Path(f"/proc/{victim.pid}/fd").iterdir()))  # noqa: E731
    run.load.follow(lambda _: in_use() >= used + 50, "the connections to be taken")
    run.run_for(4.0)
    now = in_use()
    if now < used + 50 or len(connections) < limit:
        raise Invalid(f"the limit was not reached: {now} of {limit} descriptors, {len(connections)} connections")
    run.fired(f"{len(connections)} idle clients, {now} of {limit} descriptors in use")
    run.must(victim.running, "the broker lives")
    run.must(fenced_count(cluster) == fenced, "it is not fenced: brokers still reach each other")
    for one in connections:
        one.close()
    run.load.flow(timeout=60)
    run.gap()
    wait_until(lambda: cluster.run("topic", "list", "--timeout", "3s", bootstrap=victim.address).returncode == 0, "new clients to be served")
    cluster.wait_healthy()
    cluster.wait_isr("load")
    run.note(f"leader epochs +{max(e - before[p] for p, e in epochs(cluster, 'load').items())}")


@scenario(40, "descriptor-limit-64", "a broker starts with RLIMIT_NOFILE 64, and 200 idle clients come", "it works with few, or says why it does not start",
          needs=("prlimit",))
def descriptors_64(run):
    cluster = laid_out(run)
    victim = cluster[victim_of(run, cluster)]
    victim.terminate()
    victim.enter = ["prlimit", "--nofile=64"]
    began = len(victim.log())
    victim.start()
    wait_until(lambda: not victim.running or "in service" in victim.log()[began:], "the broker to refuse or to serve")
    if victim.running:
        fenced = fenced_count(cluster)
        connections = idle_connections(victim, 200)
        run.run_for(6.0)
        used = len(list(pathlib.Path(f"/proc/{victim.pid}/fd").iterdir())) if victim.running else 0
        run.must(victim.running, f"it lives: {last_lines(victim.log(), 1)[-160:]}")
        run.must(fenced_count(cluster) == fenced, "the other brokers still reach it")
        run.note(f"it serves with {used} of 64 descriptors in use")
        for one in connections:
            one.close()
        victim.kill()
    else:
        code, said = victim.process.poll(), victim.log()[began:]
        run.must(code > 0 and any(word in said for word in ("error", "refus", "cannot", "descriptor")), f"it says why: {code}, {said[-300:]}")
        run.note(f"refused: {last_lines(said, 1)[-160:]}")
    run.fired(f"broker {victim.id} started with 64 descriptors")
    victim.enter = None
    victim.start()
    cluster.wait_healthy()
    cluster.wait_isr("load")
    run.load.flow()
    run.gap()


@scenario(41, "thread-limit", "no more threads may be made, at start and later", "refuses to start or degrades, no deadlock", needs=("cgroup_pids",))
def threads(run):
    cluster = laid_out(run)
    victim = cluster[victim_of(run, cluster)]
    count = len(list(pathlib.Path(f"/proc/{victim.pid}/task").iterdir()))
    with control_group("pids", victim.pid, max=count) as group:
        connections = idle_connections(victim, 100)
        run.run_for(3.0)
        for one in connections:
            one.close()
        run.must(victim.running, "a running broker needs no new threads to live")
        run.load.flow(timeout=60)
        # And now a start with too few.
        victim.kill()
        (group / "pids.max").write_text(str(max(3, count // 3)))
        victim.enter = within(group)
        victim.start()
        wait_until(lambda: not victim.running or "in service" in victim.log().split("first start")[-1][-2000:], "the broker to refuse or to serve", 40)
        run.note(f"with {max(3, count // 3)} of {count} threads: {'serves' if victim.running else 'refused: ' + last_lines(victim.log(), 1)[-100:]}")
        run.fired(f"threads of {victim.id} limited to {count}, then to {max(3, count // 3)}")
        if victim.running:
            victim.kill()
        victim.enter = None
    victim.start()
    cluster.wait_healthy()
    cluster.wait_isr("load")
    run.load.flow()
    run.gap()


# ---- clocks ------------------------------------------------------------------------------------------------------------

def quiet_clocks(run, cluster, fenced, term, before):
    run.load.flow(timeout=60)
    run.gap()
    run.must(fenced_count(cluster) == fenced, "nobody is fenced")
    run.must(terms(cluster) == term, "no election")
    run.must(epochs(cluster, "load") == before, "no leader change")
    run.must(all(len(p["isr"]) == 3 for p in described(cluster, "load").values()), "the ISR is full")


def stepped(run, steps, which=(1, 2, 3)):
    cluster, shims = shimmed(run, config=("retention.ms=600000", "segment.bytes=1048576", "file.delete.delay.ms=100"),
                             settings={"log.retention.check.interval.ms": 500}, size=2000)
    fenced, term, before = fenced_count(cluster), terms(cluster), epochs(cluster, "load")
    for seconds in steps:
        for i in which:
            shims[i].clock(offset_s=seconds)
        run.run_for(3.0)
    reads = sum(s.clock_reads() for s in shims.values())
    if not reads:
        raise Invalid("no broker read the wall clock")
    run.fired(f"clocks of {list(which)} stepped to {steps} s; read {reads} times")
    quiet_clocks(run, cluster, fenced, term, before)


@scenario(42, "clock-step-1h", "the wall clocks of all brokers step by +1 h, -1 h and back", "no fencing, no election, nothing deleted", needs=("shim",))
def clock_hour(run):
    stepped(run, (3600, -3600, 0))


@scenario(42, "clock-step-1day", "the wall clock of one broker steps by +1 day, -1 day and back", "the same", needs=("shim",))
def clock_day(run):
    stepped(run, (86400, -86400, 0), which=(run.random.choice((1, 2, 3)),))


@scenario(42, "clock-strobe", "the wall clocks jump by up to 10 minutes, ten times a second", "the same", needs=("shim",))
def clock_strobe(run):
    cluster, shims = shimmed(run)
    fenced, term, before = fenced_count(cluster), terms(cluster), epochs(cluster, "load")
    jumps = 0
    until = time.monotonic() + 8
    while time.monotonic() < until:
        for shim in shims.values():
            shim.clock(offset_s=run.random.uniform(-600, 600), drift_ppm=run.random.choice((0, 100000, -100000)))
        jumps += 1
        run.run_for(0.1)
    run.fired(f"{jumps} jumps of every clock; read {sum(s.clock_reads() for s in shims.values())} times")
    quiet_clocks(run, cluster, fenced, term, before)


@scenario(43, "clock-skew", "the brokers' wall clocks differ by hours and drift", "no harm, also over a failover", needs=("shim",))
def clock_skew(run):
    cluster, shims = shimmed(run)
    shims[1].clock(offset_s=7200, drift_ppm=50000)
    shims[2].clock(offset_s=-86400, drift_ppm=-50000)
    run.run_for(4.0)
    said = cluster.run("doctor").stdout
    off = [line for line in said.splitlines() if "clock: that of broker" in line]
    if [("broker 1" in line and "ahead of" in line, "broker 2" in line and "behind" in line) for line in off] != [(True, False), (False, True)]:
        raise Failed(f"naru doctor names no clock, or the wrong ones: {said}")
    fenced, term, before = fenced_count(cluster), terms(cluster), epochs(cluster, "load")
    quiet_clocks(run, cluster, fenced, term, before)
    victim = victim_of(run, cluster)
    run.load.mark()
    cluster[victim].kill()
    run.load.flow()
    run.note(f"gap of a kill -9 with skewed clocks {run.gap():.0f} ms")
    cluster[victim].start()
    cluster.wait_healthy()
    cluster.wait_isr("load")
    run.load.flow()
    run.fired("clocks at +2 h and -1 day, drifting by 5%")
