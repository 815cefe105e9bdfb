"""Rows 1 to 12: processes are killed, paused and stopped."""
import signal
import time

from harness import scenario
from naru_cluster import wait_until
from views import epochs, fenced_count, living, others, registrations, takeover, terms

BOTH = ("naru", "kafka")


def layout(cluster):
    """Three partitions: one led by the controller, the two others by the other two brokers."""
    c = cluster.wait_controller()
    a, b = [n for n in (1, 2, 3) if n != c]
    return f"{c}:{a}:{b},{a}:{b}:{c},{b}:{c}:{a}"


def laid_out(run, rate=200):
    cluster = run.cluster()
    run.topic(assign=layout(cluster))
    run.clients(rate=rate)
    return cluster


def side_topic(run, leader):
    """A topic beside the checked one, led by the broker that is to be harmed, for clients that begin during the harm."""
    a, b = [n for n in (1, 2, 3) if n != leader]
    run.topic("side", assign=f"{leader}:{a}:{b}")


def fresh_write(cluster, bootstrap, partition=0, timeout="1s"):
    """Whether a client that begins now can write."""
    return cluster.run("produce", "side", "-p", partition, "--timeout", timeout, text_in="fresh\n", bootstrap=bootstrap).returncode == 0


@scenario(1, "kill-follower", "kill -9 of a follower", "writes go on, ISR of 2, back by catching up", smoke=False, targets=BOTH)
def kill_follower(run):
    cluster = run.cluster()
    c = cluster.wait_controller()
    a, b = [n for n in (1, 2, 3) if n != c]
    run.topic(partitions=1, assign=f"{c}:{a}:{b}")
    run.clients()
    victim = a
    cluster[victim].kill()
    run.fired(f"kill -9 of {victim}, follower of {c}")
    run.load.flow()
    cluster.wait_isr("load", size=2)
    run.must(cluster.leader("load") == c, "the leader stays where it is")
    run.gap()
    cluster[victim].start()
    cluster.wait_isr("load")
    run.load.flow()


@scenario(2, "kill-leader", "kill -9 of a leader that is not controller", "another leads", budget=300, smoke=True, targets=BOTH)
def kill_leader(run):
    cluster = laid_out(run)
    before = epochs(cluster, "load")
    victim = next(p["leader"] for p in cluster.topic("load")["partition_list"] if p["leader"] != cluster.wait_controller())
    led = [p["partition"] for p in cluster.topic("load")["partition_list"] if p["leader"] == victim]
    cluster[victim].kill()
    run.fired(f"kill -9 of {victim}, leader of {led}")
    run.load.flow()
    cluster.wait_leader("load", led[0], other_than=victim)
    run.gap()
    run.must(all(epochs(cluster, "load")[p] > before[p] for p in led), "the leader epochs of what it led have grown")
    cluster[victim].start()
    cluster.wait_isr("load")
    run.load.flow()


@scenario(3, "kill-controller-and-leader", "kill -9 of controller and leader in one process", "both roles move",
          budget=800, smoke=True, targets=BOTH)
def kill_both(run):
    cluster = laid_out(run)
    victim = cluster.wait_controller()
    cluster[victim].kill()
    run.fired(f"kill -9 of {victim}, controller and leader")
    run.load.flow()
    cluster.wait_controller(other_than=victim)
    cluster.wait_leader("load", 0, other_than=victim)
    run.gap()
    cluster[victim].start()
    cluster.wait_isr("load")
    run.load.flow()


@scenario(4, "kill-two-of-three", "kill -9 of two of three", "acks=all refused, reads go on, writes resume at the second's return", targets=BOTH)
def kill_two(run):
    cluster = laid_out(run)
    survivor = run.random.choice([1, 2, 3])
    gone = [n for n in (1, 2, 3) if n != survivor]
    cluster.naru("topic", "create", "quiet", "--assign", f"{survivor}:{gone[0]}:{gone[1]}")
    cluster.wait_isr("quiet")
    cluster.naru("produce", "quiet", text_in="".join(f"{i}\n" for i in range(50)))
    with run.no_writes_expected():
        for victim in gone:
            cluster[victim].kill()
        run.load.follow(lambda p: p["silent_ms"] > 3000, "acknowledgements to stop")
        run.fired(f"kill -9 of {gone}")
        log_before = fenced_count(cluster)
        # What was committed can still be read from the survivor, which led it.
        read = cluster.run("consume", "quiet", "-e", bootstrap=cluster[survivor].address)
        run.must(len(read.stdout.splitlines()) == 50, f"committed records are still readable: {read.stderr.strip()[:200]}")
        refused = cluster.run("produce", "quiet", "--timeout", "3s", text_in="x\n", bootstrap=cluster[survivor].address)
        run.must(refused.returncode != 0, "acks=all is refused with one of three")
        acknowledged = run.load.progress["acknowledged"]
        run.load.follow(lambda p: p["silent_ms"] > 5000, "silence to last")
        run.must(run.load.progress["acknowledged"] == acknowledged, "nothing is acknowledged without a majority")
        run.must(fenced_count(cluster) == log_before, "no fencing churn while there is no majority")
        run.gap()
        cluster[gone[0]].start()
        run.load.flow()
    cluster[gone[1]].start()
    cluster.wait_healthy()
    cluster.wait_isr("load")
    run.load.flow()


@scenario(5, "kill-all", "kill -9 of all at once, restarted in any order", "no loss, no unclean election", targets=BOTH)
def kill_all(run):
    cluster = laid_out(run)
    for round_ in range(2):
        order = run.random.sample(cluster.brokers, 3)
        run.load.mark()
        for broker in cluster.brokers:
            broker.signal(signal.SIGKILL)
        for broker in cluster.brokers:
            broker.process.wait()
        for broker in order:
            broker.start()
        started = time.monotonic()
        run.load.flow()
        run.note(f"first writes of all {1000 * (time.monotonic() - started):.0f} ms after the last start")
        run.fired(f"kill -9 of all, started again {[b.id for b in order]}")
        cluster.wait_healthy()
        cluster.wait_isr("load")
    run.must(not any("unclean" in b.log().lower() and "elect" in b.log().lower() for b in cluster.brokers), "no unclean election")


@scenario(6, "crash-loop", "kill -9 of one broker every 2 s", "no flapping storm, epochs grow, no loss", targets=BOTH)
def crash_loop(run):
    cluster = laid_out(run)
    victim = run.random.choice([1, 2, 3])
    before, registered = epochs(cluster, "load"), registrations(cluster, victim)
    rounds = 5
    for _ in range(rounds):
        cluster[victim].kill()
        cluster[victim].start()
        run.run_for(2.0)
        run.load.flow()
    run.fired(f"kill -9 of {victim}, {rounds} times")
    cluster.wait_healthy()
    cluster.wait_isr("load")
    after = epochs(cluster, "load")
    if run.target == "naru":
        run.must(registrations(cluster, victim) >= registered + rounds, "each life registers anew")
    # Each life costs at most: its leaderships move away, and back as preferred ones.
    run.must(all(after[p] - before[p] <= 3 * rounds + 2 for p in after), f"leader epochs do not run away: {before} -> {after}")
    run.load.flow()


@scenario(7, "crash-in-startup", "kill -9 at random moments of start, recovery and shutdown", "the next start recovers")
def crash_in_startup(run):
    cluster = laid_out(run)
    victim = cluster[run.random.choice([1, 2, 3])]
    moments = []
    for index in range(10):
        if index % 3 == 2:
            victim.signal(signal.SIGTERM)   # and killed somewhere in the controlled shutdown
            wait = run.random.uniform(0.0, 0.08)
        else:
            wait = run.random.uniform(0.0, 0.4)
        time.sleep(wait)  # the moment is the fault
        moments.append(f"{1000 * wait:.0f}")
        if victim.running:
            victim.kill()
        else:
            victim.process.wait()
        victim.start()
    run.fired(f"{len(moments)} kills of {victim.id}, ms after start or SIGTERM: {' '.join(moments)}")
    cluster.wait_healthy()
    cluster.wait_isr("load")
    run.load.flow()


def paused_leader(run, seconds):
    run.stale_reads_allowed = True  # of the resumed one, in the moment before it learns
    cluster = laid_out(run)
    controller = cluster.wait_controller()
    leader = next(p for p in cluster.topic("load")["partition_list"] if p["leader"] != controller)
    victim = leader["leader"]
    side_topic(run, victim)
    before = epochs(cluster, "load")
    began = time.monotonic()
    cluster[victim].pause()
    if seconds >= 3:
        wait_until(lambda: living(cluster, victim, "load")[leader["partition"]]["leader"] not in (None, victim),
                   "another leader while the old one is paused")
        run.note(f"moved after {1000 * (time.monotonic() - began):.0f} ms")
        wait_until(lambda: fresh_write(cluster, others(cluster, victim)), "a fresh client's write")
        run.note(f"fresh client wrote after {1000 * (time.monotonic() - began):.0f} ms")
    time.sleep(max(0.0, began + seconds - time.monotonic()))  # how long it is paused is the fault
    cluster[victim].resume()
    run.fired(f"SIGSTOP of {victim} for {seconds} s")
    cluster.wait_isr("load")
    run.load.flow()
    after = epochs(cluster, "load")
    if seconds >= 3:
        run.must(after[leader["partition"]] > before[leader["partition"]], "the leader epoch has grown")
    run.gap()


@scenario(8, "pause-leader-100ms", "SIGSTOP of a leader for 0.1 s", "nothing but a short wait", targets=BOTH)
def pause_leader_short(run):
    paused_leader(run, 0.1)


@scenario(8, "pause-leader-3s", "SIGSTOP of a leader for 3 s", "another leads; the resumed one acknowledges nothing of its old epoch",
          smoke=True, targets=BOTH)
def pause_leader(run):
    paused_leader(run, 3.0)


@scenario(8, "pause-leader-60s", "SIGSTOP of a leader for 60 s", "the same; clients caught in flight wait for their request timeout", targets=BOTH)
def pause_leader_long(run):
    paused_leader(run, 60.0)


@scenario(9, "pause-controller", "SIGSTOP of the active controller for 4 s", "another controller; the old one's writes never commit", targets=BOTH)
def pause_controller(run):
    cluster = laid_out(run)
    victim = cluster.wait_controller()
    term = terms(cluster)
    moved = takeover(cluster, victim)
    cluster[victim].pause()
    began = time.monotonic()
    wait_until(moved, "another controller while the old one is paused")
    run.note(f"another controller after {1000 * (time.monotonic() - began):.0f} ms")
    cluster.naru("topic", "create", "made-meanwhile", "-p", 1, "-r", 2, bootstrap=others(cluster, victim))
    cluster[victim].resume()
    run.fired(f"SIGSTOP of controller {victim}")
    cluster.wait_healthy()
    cluster.wait_isr("load")
    run.must(terms(cluster) > term, "the term has grown")
    run.must(cluster.topic("made-meanwhile")["partition_list"], "what the new controller did stays")
    run.load.flow()
    run.gap()


@scenario(10, "pause-all", "SIGSTOP of all brokers for 4 s, resumed together", "no fencing because of one's own gap", targets=BOTH)
def pause_all(run):
    cluster = laid_out(run)
    before, fenced = epochs(cluster, "load"), fenced_count(cluster)
    for broker in cluster.brokers:
        broker.pause()
    with run.no_writes_expected():
        run.load.follow(lambda p: p["silent_ms"] > 4000, "acknowledgements to stop")
    for broker in cluster.brokers:
        broker.resume()
    run.fired("SIGSTOP of all")
    run.load.flow()
    run.gap()
    cluster.wait_healthy()
    cluster.wait_isr("load")
    moved = [p for p, e in epochs(cluster, "load").items() if e != before[p]]
    run.note(f"leader epochs grown in {len(moved)} of 3 partitions, fenced {fenced_count(cluster) - fenced} times")
    if run.target == "naru":
        run.must(fenced_count(cluster) == fenced, "nobody is fenced for what was everybody's gap")
    run.load.flow()


@scenario(11, "sigterm", "SIGTERM of each broker under load", "leaders move first, clean marker", budget=50, smoke=True, targets=BOTH)
def sigterm(run):
    cluster = laid_out(run)
    gaps = []
    for broker in run.random.sample(cluster.brokers, 3):
        run.load.mark()
        code = broker.terminate()
        run.must(code == 0 or run.target == "kafka", f"exit code of broker {broker.id} is {code}")
        run.load.flow()
        gaps.append(run.gap())
        broker.start()
        cluster.wait_healthy()
        cluster.wait_isr("load")
        run.load.flow()
    run.fired("SIGTERM of each in turn")
    run.note("gaps " + " ".join(f"{g:.0f}" for g in gaps))


@scenario(12, "two-processes-one-directory", "a second process on the same data directory", "refused; the first goes on")
def second_process(run):
    cluster = laid_out(run)
    original = cluster[run.random.choice([1, 2, 3])]
    twin = type(original)(cluster, original.id, original.host, original.port + 50)
    twin.dir = run.dir / "twin"
    twin.data, twin.log_path = original.data, twin.dir / "naru.log"
    run.undo.callback(lambda: twin.running and twin.kill())
    code = twin.start().wait_exit()
    run.fired(f"a second process of broker {original.id}")
    run.must(code != 0, "the second process is refused")
    run.must("another process" in twin.log() or "held" in twin.log(), f"and says why: {twin.log()[-200:]}")
    run.must(original.running, "the first process lives")
    run.load.flow()


@scenario(12, "copied-directory", "a copy of a running broker's directory is started under the same id", "never both active")
def copied_directory(run):
    import shutil
    cluster = laid_out(run)
    original = cluster[run.random.choice([1, 2, 3])]
    twin = type(original)(cluster, original.id, original.host, original.port + 50)
    twin.dir = run.dir / "twin"
    twin.data, twin.log_path = twin.dir / "data", twin.dir / "naru.log"
    shutil.copytree(original.data, twin.data, ignore=shutil.ignore_patterns("*.tmp"))
    run.undo.callback(lambda: twin.running and twin.kill())
    twin.start()
    run.fired(f"a copy of broker {original.id}'s directory started beside it")
    run.run_for(10.0)
    run.load.flow()
    active = [name for name, one in (("copy", twin), ("original", original)) if one.running and last_service(one)]
    run.must(len(active) <= 1, "only one of the two is in service")
    run.note(f"in service: {' and '.join(active) or 'neither'}; copy {'runs' if twin.running else 'ended'}, "
             f"original {'runs' if original.running else 'ended'}")
    if twin.running:
        twin.kill()
    if not original.running:
        original.start()
    cluster.wait_healthy()
    cluster.wait_isr("load")
    run.load.flow()


def last_service(broker):
    """Whether the last word of a broker about its session is that it is in service."""
    words = [line for line in broker.log().splitlines() if "session]" in line]
    return bool(words) and "in service" in words[-1]
