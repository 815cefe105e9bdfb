"""Rows 24 to 37: disks are full, slow, failing, read-only, wiped, rolled back, and files on them are damaged."""
import errno
import shutil
import subprocess

import disks
from harness import Invalid, scenario
from naru_cluster import last_lines, wait_until
from rows_signals import laid_out, layout
from shim import ALLOCATE, READ, SYNC, WRITE, Shim
from views import described, lines, others

SMALL = {"log.flush.scheduler.interval.ms": 200, "naru.disk.reserve.percent": 5}


def leads(cluster, node_id, topic="load", bootstrap=None):
    return [n for n, p in described(cluster, topic, bootstrap).items() if p["leader"] == node_id]


def victim_of(run, cluster):
    controller = cluster.wait_controller()
    return next(n for n in run.random.sample((1, 2, 3), 3) if n != controller)


def shimmed(run, config=(), settings=None, rate=200, size=100):
    """A cluster with the shim under every broker."""
    cluster = run.cluster(start=False, settings=settings)
    shims = {b.id: Shim(b, run.dir) for b in cluster.brokers}
    cluster.start()
    run.topic(assign=layout(cluster), config=config)
    run.clients(rate=rate, size=size)
    return cluster, shims


def must_have_hit(run, shim, what, slot=0):
    hits = shim.hits(slot)
    if not hits:
        raise Invalid(f"{what}: no call was struck")
    run.fired(f"{what}, {hits} calls")


def return_of(run, cluster, node_id, timeout=90):
    """The broker's process is ended, if it still runs, and started again without faults; all must be well then."""
    broker = cluster[node_id]
    if broker.running:
        broker.kill()
    broker.start()
    cluster.wait_healthy(timeout)
    cluster.wait_isr("load", timeout=timeout)
    run.load.flow(timeout=90)


# ---- 24, 25, 26: no room -----------------------------------------------------------------------------------------------

def on_small_disk(run, megabytes=48, part="data"):
    """One broker that is not controller has its data, or its metadata, on a small disk of its own."""
    cluster = run.cluster(start=False, settings={"offsets.topic.num.partitions": 3})
    place = disks.mount_small(run, run.dir / "small", megabytes)
    victim = cluster[run.random.choice((1, 2, 3))]
    if part == "data":
        victim.data = place / "data"
        victim.settings["metadata.log.dir"] = victim.dir / "metadata"
    else:
        victim.settings["metadata.log.dir"] = place / "metadata"
    cluster.start()
    others_ = [b.id for b in cluster.brokers if b.id != victim.id]
    run.topic(assign=f"{victim.id}:{others_[0]}:{others_[1]},{others_[0]}:{others_[1]}:{victim.id},{others_[1]}:{victim.id}:{others_[0]}")
    run.clients()
    return cluster, victim, place


@scenario(24, "disk-nearly-full", "less space than the reserve in the data directory of a leader", "produce refused there, leaders move, recovers when freed",
          needs=("small_disk",))
def disk_nearly_full(run):
    cluster, victim, place = on_small_disk(run)
    led = leads(cluster, victim.id)
    disks.fill(place, leave=1 << 20)
    wait_until(lambda: lines(victim, "space") or lines(victim, "full"), "the broker to notice")
    run.fired(f"1 MiB left on the disk of {victim.id}, leader of {led}")
    run.must(victim.running, "the broker lives on")
    read = cluster.run("consume", "load", "-e", "-p", led[0], timeout=60)
    run.must(read.returncode == 0 and read.stdout, f"reads go on: {read.stderr[:200]}")
    run.load.flow(timeout=60)
    run.gap()
    cluster.naru("topic", "create", "made-meanwhile", "-p", 1, "-r", 2)
    disks.release(place)
    cluster.wait_healthy()
    cluster.wait_isr("load")
    run.load.flow(timeout=60)


@scenario(24, "disk-full", "the data directory of a leader is full", "no partial batch, leaders move, recovers when freed", smoke=True, needs=("small_disk",))
def disk_full(run):
    cluster, victim, place = on_small_disk(run)
    led = leads(cluster, victim.id)
    disks.fill(place)
    run.fired(f"no byte left on the disk of {victim.id}, leader of {led}")
    run.run_for(3.0)
    run.load.flow(timeout=90)
    run.gap()
    run.must(victim.running, f"the broker lives on: {last_lines(victim.log())}")
    cluster.naru("topic", "create", "made-meanwhile", "-p", 1, "-r", 2)
    disks.release(place)
    cluster.wait_healthy(90)
    cluster.wait_isr("load", timeout=90)
    run.load.flow(timeout=60)


@scenario(25, "metadata-disk-full", "the metadata directory of the controller is full", "the reserve keeps Raft alive, or another controls", needs=("small_disk",))
def metadata_disk_full(run):
    cluster, victim, place = on_small_disk(run, megabytes=24, part="metadata")
    # Make it controller: the others go and come back.
    for _ in range(6):
        controller = cluster.wait_controller()
        if controller == victim.id:
            break
        cluster[controller].terminate()
        cluster.wait_controller(other_than=controller)
        cluster[controller].start()
        cluster.wait_healthy()
    was = cluster.wait_controller()
    disks.fill(place)
    run.fired(f"no byte left on the metadata disk of {victim.id} ({'controller' if was == victim.id else 'follower'})")
    for i in range(6):
        wait_until(lambda: cluster.run("topic", "create", f"made-{i}", "-p", 3, "-r", 3, "--if-absent", "--timeout", "10s").returncode == 0, "topics to be created", 60)
    run.load.flow(timeout=60)
    run.gap()
    run.note(f"controller {was} -> {cluster.controller()}, victim {'runs' if victim.running else 'ended'}")
    disks.release(place)
    if not victim.running:
        victim.start()
    cluster.wait_healthy(90)
    cluster.wait_isr("load", timeout=90)
    run.load.flow()


@scenario(26, "file-size-limit", "RLIMIT_FSIZE of a leader is reached", "as a full disk: no partial batch, leaders move", needs=("prlimit",))
def file_size_limit(run):
    cluster = laid_out(run)
    victim = cluster[victim_of(run, cluster)]
    led = leads(cluster, victim.id)
    size = max(p.stat().st_size for p in victim.data.glob("load-*/*.log"))
    subprocess.run(["prlimit", f"--pid={victim.pid}", f"--fsize={size + 20000}:"], check=True)
    run.run_for(4.0)
    grown = max(p.stat().st_size for p in victim.data.glob("load-*/*.log"))
    run.must(grown <= size + 20000, "no file is longer than the limit")
    if grown < size:
        raise Invalid("the files did not grow to the limit")
    run.fired(f"files of {victim.id}, leader of {led}, limited to {size + 20000} bytes, largest {grown}")
    run.load.flow(timeout=90)
    run.gap()
    run.must(victim.running, f"the broker lives on: {last_lines(victim.log())}")
    subprocess.run(["prlimit", f"--pid={victim.pid}", "--fsize=unlimited:"], check=True)
    cluster.wait_healthy(90)
    cluster.wait_isr("load", timeout=90)
    run.load.flow()


# ---- 27, 28, 30, 37: the shim ------------------------------------------------------------------------------------------

@scenario(27, "eio-on-read", "EIO on reads of one segment of a leader", "clients are served by others", needs=("shim",))
def eio_on_read(run):
    cluster, shims = shimmed(run, settings={"naru.tail.cache.bytes": 0}, rate=100)
    cluster.naru("topic", "create", "old", "-p", 1, "-r", 3)
    cluster.wait_isr("old")
    cluster.naru("produce", "old", text_in="".join(f"{i}\n" for i in range(500)))
    victim = cluster.leader("old")
    shims[victim].arm(0, READ, "*/old-0/*.log", error=errno.EIO)
    read = wait_until(lambda: (lambda d: d if d.returncode == 0 and len(d.stdout.splitlines()) == 500 else None)(
        cluster.run("consume", "old", "-e", "--timeout", "20s", timeout=60)), "every record to be readable", 120)
    must_have_hit(run, shims[victim], f"EIO on reads of old-0 on {victim}")
    run.must(read.stdout.splitlines() == [str(i) for i in range(500)], "all records in order")
    run.note(f"leader {victim} -> {cluster.leader('old')}")
    run.load.flow(timeout=60)
    run.gap()
    shims[victim].disarm(0)
    return_of(run, cluster, victim)
    cluster.wait_isr("old")


@scenario(28, "eio-on-write", "EIO on writes of a leader's segments", "the directory goes offline, no ack, others lead", smoke=True, needs=("shim",))
def eio_on_write(run):
    cluster, shims = shimmed(run)
    victim = victim_of(run, cluster)
    led = leads(cluster, victim)
    shims[victim].arm(0, WRITE, "*/load-*/*.log", error=errno.EIO)
    run.load.flow(timeout=90)
    run.gap()
    must_have_hit(run, shims[victim], f"EIO on writes of {victim}, leader of {led}")
    wait_until(lambda: not leads(cluster, victim, bootstrap=others(cluster, victim)), f"{victim} to lead nothing any more")
    shims[victim].disarm(0)
    return_of(run, cluster, victim)


@scenario(28, "eio-on-fsync", "EIO once on an fsync of a leader (flush.messages=1)", "final: no ack and no second try, others lead", needs=("shim",))
def eio_on_fsync(run):
    cluster, shims = shimmed(run, config=("flush.messages=1",), rate=50)
    victim = victim_of(run, cluster)
    led = leads(cluster, victim)
    shims[victim].arm(0, SYNC, f"*/load-{led[0]}/*.log", error=errno.EIO, times=1)
    run.load.flow(timeout=90)
    run.gap()
    must_have_hit(run, shims[victim], f"EIO on one fsync of {victim}, leader of {led}")
    run.must(not leads(cluster, victim, bootstrap=others(cluster, victim)), f"{victim} leads nothing any more, though the next fsync would succeed")
    return_of(run, cluster, victim)


@scenario(28, "eio-on-metadata", "EIO on writes and syncs of the controller's metadata log", "another controls, the broker ends or resigns", needs=("shim",))
def eio_on_metadata(run):
    cluster, shims = shimmed(run)
    victim = cluster.wait_controller()
    shims[victim].arm(0, WRITE | SYNC | ALLOCATE, "*/__cluster_metadata-0/*", error=errno.EIO)
    cluster.run("topic", "create", "push", "-p", 1, "-r", 2, "--timeout", "5s", "--if-absent")
    wait_until(lambda: cluster.run("topic", "create", "push", "-p", 1, "-r", 2, "--timeout", "5s", "--if-absent",
                                   bootstrap=others(cluster, victim)).returncode == 0, "metadata to be written", 60)
    must_have_hit(run, shims[victim], f"EIO on the metadata log of controller {victim}")
    run.load.flow(timeout=90)
    run.gap()
    run.note(f"broker {victim} {'runs' if cluster[victim].running else 'ended'}")
    shims[victim].disarm(0)
    return_of(run, cluster, victim)


@scenario(30, "torn-write", "writes torn at 512 and 4096 bytes, then kill -9", "the tail is cut at a whole batch", needs=("shim",))
def torn_write(run):
    cluster, shims = shimmed(run, size=2000)
    struck = 0
    for torn in (512, 4096, 100):
        victim = victim_of(run, cluster)
        before = shims[victim].hits(0)
        # The write waits so that the kill finds the torn bytes in the file.
        shims[victim].arm(0, WRITE, "*/load-*/*.log", error=errno.EIO, torn_bytes=torn, times=1)
        wait_until(lambda: shims[victim].hits(0) > 0, "a torn write")
        cluster[victim].kill()
        struck += 1
        shims[victim].disarm(0)
        cluster[victim].start()
        cluster.wait_healthy()
        cluster.wait_isr("load")
        run.load.flow()
        del before
    run.fired(f"{struck} writes torn, each followed by kill -9")
    run.gap()


def slow(run, milliseconds, config=(), rate=50):
    cluster, shims = shimmed(run, config=config, rate=rate)
    victim = victim_of(run, cluster)
    led = leads(cluster, victim)
    shims[victim].arm(0, SYNC, "*", wait_ms=milliseconds)
    run.run_for(12.0)
    run.load.flow(timeout=90)
    run.gap()
    must_have_hit(run, shims[victim], f"each sync of {victim} (leader of {led}) takes {milliseconds} ms")
    run.must(cluster[victim].running, "the slow broker lives")
    answered = cluster.run("topic", "describe", "load", "--timeout", "5s", bootstrap=cluster[victim].address)
    run.must(answered.returncode == 0, f"the slow broker still answers: {answered.stderr[:200]}")
    run.note(f"leads {leads(cluster, victim)} afterwards")
    shims[victim].disarm(0)
    cluster.wait_healthy(90)
    cluster.wait_isr("load", timeout=90)
    run.load.flow(timeout=60)


@scenario(37, "slow-disk-100ms", "each sync of one broker takes 100 ms (flush.messages=1)", "slower, nobody starves", needs=("shim",))
def slow_disk_100(run):
    slow(run, 100, config=("flush.messages=1",))


@scenario(37, "slow-disk-3s", "each sync of one broker takes 3 s", "no thread starves, writes of others go on", needs=("shim",))
def slow_disk_3s(run):
    slow(run, 3000)


@scenario(37, "slow-disk-moves", "each sync of one broker takes 1 s (flush.messages=1)", "it leads no more, and stays in sync", needs=("shim",))
def slow_disk_moves(run):
    cluster, shims = shimmed(run, config=("flush.messages=1",), rate=50)
    victim = victim_of(run, cluster)
    led = leads(cluster, victim)
    shims[victim].arm(0, SYNC, "*/load-*/*.log", wait_ms=1000)
    wait_until(lambda: not leads(cluster, victim), f"the leaderships of {victim} to move away")
    must_have_hit(run, shims[victim], f"each sync of {victim} (leader of {led}) takes 1 s")
    run.must(all(victim in p["isr"] for p in described(cluster, "load").values()), "the slow broker stays in sync")
    run.load.flow(timeout=90)
    run.gap()
    shims[victim].disarm(0)
    cluster.wait_healthy(90)
    cluster.wait_isr("load", timeout=90)
    run.load.flow(timeout=60)


# ---- 31, 32: damage on a stopped broker ---------------------------------------------------------------------------------

# What: (pattern below the data directory, smallest size, where bits flip)
FILES = {
    "log-tail": ("load-*/*.log", 200, "tail"),
    "log-middle": ("load-*/*.log", 5000, "middle"),
    "index": ("load-*/*.index", 8, "anywhere"),
    "timeindex": ("load-*/*.timeindex", 12, "anywhere"),
    "producer-snapshot": ("load-*/*.snapshot", 10, "anywhere"),
    "epoch-file": ("load-*/leader-epoch-checkpoint", 3, "anywhere"),
    "partition-metadata": ("load-*/partition.metadata", 3, "anywhere"),
    "quorum-state": ("__cluster_metadata-0/quorum-state", 8, "anywhere"),
    "raft-log": ("__cluster_metadata-0/*.log", 100, "middle"),
    "raft-snapshot": ("__cluster_metadata-0/*.checkpoint", 20, "anywhere"),
    "offsets-log": ("__consumer_offsets-*/*.log", 200, "middle"),
    "raft-properties": ("__cluster_metadata-0/quorum.properties", 3, "anywhere"),
    "marker": (".naru_running", 3, "anywhere"),
    "clean-marker": (".kafka_cleanshutdown", 3, "anywhere"),
    "meta-properties": ("meta.properties", 3, "anywhere"),
    "checkpoint": ("*-checkpoint", 3, "anywhere"),
}


def about_to_be_damaged(run, kind):
    """A cluster whose brokers have a file of that kind, and the one that is to be harmed."""
    settings = {"log.flush.offset.checkpoint.interval.ms": 500, "replica.high.watermark.checkpoint.interval.ms": 500}
    if kind == "raft-snapshot":
        settings["metadata.log.max.record.bytes.between.snapshots"] = 2000
    cluster = run.cluster(settings=settings)
    run.topic(assign=layout(cluster), config=("segment.bytes=1048576", "index.interval.bytes=1024"))
    if kind == "raft-snapshot":
        for i in range(8):
            cluster.naru("topic", "create", f"made-{i}", "-p", 6, "-r", 3)
        wait_until(lambda: all(list(b.data.glob(FILES[kind][0])) for b in cluster.brokers), "snapshots of the metadata")
    run.clients(size=2000, flow=False)
    run.load.flow(records=700)  # more than one segment
    run.load.mark()
    return cluster, cluster[victim_of(run, cluster)]


def damage(run, kind, harm, clean_stop):
    pattern, at_least, where = FILES[kind]
    cluster, victim = about_to_be_damaged(run, kind)
    if clean_stop:
        victim.terminate()
    else:
        victim.kill()
    if where == "tail" and clean_stop is False:
        victim.wait_exit()
    path = disks.newest(victim.data, pattern, at_least)
    run.fired(disks.flip(path, run.random, where) if harm is disks.flip else harm(path, run.random))
    returns_or_refuses(run, cluster, victim)


def older(run, kind):
    """What a rename leaves that was lost with its directory's entry: the file as it was before."""
    cluster, victim = about_to_be_damaged(run, kind)
    path = disks.newest(victim.data, *FILES[kind][:2])
    if kind == "epoch-file":  # of a partition whose leader is about to change
        path = victim.data / f"load-{leads(cluster, victim.id)[0]}" / path.name
    before = path.read_bytes()
    # It changes: another leader epoch, and more records behind what was flushed.
    victim.kill()
    run.load.flow(timeout=60)
    victim.start()
    cluster.wait_healthy()
    cluster.wait_isr("load")
    cluster.run("partition", "elect", "load")
    run.load.flow(records=300, timeout=90)
    wait_until(lambda: path.exists() and path.read_bytes() != before, f"{path.name} to be written anew")
    victim.kill()
    path.write_bytes(before)
    run.fired(f"{path.parent.name}/{path.name} is {len(before)} bytes of a former life")
    returns_or_refuses(run, cluster, victim)


def returns_or_refuses(run, cluster, victim):
    victim.start()
    run.load.flow(timeout=60)

    def settled():
        if not victim.running:
            return "refused to start"
        return "runs" if cluster.run("health", "--min-brokers", 3, "--timeout", "2s").returncode == 0 else None
    how = wait_until(settled, "the damaged broker to serve, or to refuse with a message", 60)
    if how == "refused to start":
        run.must(any(word in victim.log()[-3000:] for word in ("error", "refus", "cannot")), f"it says why: {last_lines(victim.log())}")
        how += f" ({last_lines(victim.log(), 1)[-110:]})"
    else:
        cluster.wait_isr("load", timeout=90)
    aside = sorted(path.name for path in victim.data.glob("*-damaged"))
    run.note(how + (f"; set aside: {', '.join(aside)}" if aside else ""))
    run.load.flow(timeout=60)
    run.gap()
    # Make it lead again, so that what it holds is what clients read at the end.
    if victim.running:
        cluster.run("partition", "elect", "load")


def register_damage():
    def make(kind, harm, clean_stop):
        return lambda run: damage(run, kind, harm, clean_stop)
    for kind in FILES:
        scenario(31, f"flip-{kind}", f"a bit flips in {kind} of a stopped broker", "detected, repaired or refused; never served, never spread",
                 smoke=kind == "log-middle")(make(kind, disks.flip, kind in ("clean-marker", "checkpoint", "producer-snapshot")))
    for kind in ("log-tail", "index", "producer-snapshot", "epoch-file", "quorum-state", "raft-log", "raft-snapshot", "checkpoint"):
        scenario(32, f"truncate-{kind}", f"{kind} of a killed broker is shorter", "detected, repaired or refused")(make(kind, disks.cut, False))
    for kind in ("log-tail", "index", "quorum-state", "raft-log"):
        scenario(32, f"zero-{kind}", f"the end of {kind} of a killed broker is zero", "detected, repaired or refused")(make(kind, disks.zero, False))
    for kind in ("log-tail", "index", "epoch-file"):
        scenario(32, f"swap-{kind}", f"{kind} of a killed broker is another partition's", "detected, repaired or refused")(make(kind, disks.swap, False))
    for kind in ("index", "producer-snapshot", "epoch-file", "quorum-state", "raft-snapshot", "marker"):
        scenario(32, f"lose-{kind}", f"{kind} of a killed broker is gone", "rebuilt, or refused")(make(kind, disks.lose, False))
    for kind in ("checkpoint", "epoch-file"):
        scenario(32, f"older-{kind}", f"{kind} of a killed broker is an earlier one: a rename was lost", "a hint that is believed no further than the log goes")(
            lambda run, kind=kind: older(run, kind))


register_damage()


# ---- 34, 35, 36: whole disks ---------------------------------------------------------------------------------------------

@scenario(34, "wiped-disk", "a broker returns with an empty disk under its id", "another replica that copies everything; no vote until its former self is removed")
def wiped_disk(run):
    cluster = laid_out(run)
    victim = cluster[run.random.choice((1, 2, 3))]
    victim.kill()
    run.load.flow(timeout=60)
    victim.wipe()
    victim.start()
    run.fired(f"disk of {victim.id} wiped")
    cluster.wait_healthy()
    cluster.wait_isr("load")
    run.load.flow(timeout=60)
    run.gap()
    # One more death must not cost anything that was acknowledged.
    other = next(b for b in cluster.brokers if b.id != victim.id)
    other.kill()
    run.run_for(1.0)
    other.start()
    run.load.flow(timeout=60)


@scenario(35, "rolled-back-disk", "an old image of a broker's disk is put back", "unclean: out of the ISR until caught up; its vote is not counted")
def rolled_back(run):
    cluster = laid_out(run)
    victim = cluster[victim_of(run, cluster)]
    victim.terminate()
    old = disks.copy_of(victim.data, run.dir / "old")
    victim.start()
    cluster.wait_healthy()
    cluster.wait_isr("load")
    cluster.naru("topic", "create", "made-later", "-p", 1, "-r", 3)
    run.load.flow(records=400)
    victim.kill()
    run.load.flow(timeout=60)
    shutil.rmtree(victim.data)
    shutil.copytree(old, victim.data)
    victim.start()
    run.fired(f"disk of {victim.id} rolled back")
    run.run_for(3.0)
    # With it, the two others die one after the other: what only they hold must not be lost.
    wait_until(lambda: not victim.running or cluster.run("health", "--min-brokers", 3, "--timeout", "2s").returncode == 0,
               "the rolled back broker to serve or to refuse", 60)
    run.note(f"{'runs' if victim.running else 'refused'}: {last_lines(victim.log(), 1)[-120:]}")
    if victim.running:
        cluster.wait_isr("load", timeout=60)
        for other in (b for b in cluster.brokers if b.id != victim.id):
            other.kill()
            other.start()
            cluster.wait_healthy()
            cluster.wait_isr("load")
    run.load.flow(timeout=60)
    run.gap()


@scenario(35, "rolled-back-last-replica", "the only member of an ISR (min ISR 1) comes back with an older image of its disk",
          "it may lose, and says so aloud; what is left is the beginning of what was written, the same on every replica")
def rolled_back_last(run):
    cluster = run.cluster(observers=2)  # the quorum has its own three
    run.topic(assign=layout(cluster))
    run.clients()
    last, other = cluster[4], cluster[5]
    cluster.naru("topic", "create", "tail", "--assign", "4:5", "-c", "min.insync.replicas=1")
    cluster.wait_isr("tail")

    def write(first):
        cluster.naru("produce", "tail", text_in="".join(f"{i}\n" for i in range(first, first + 100)))
    write(0)
    last.terminate()
    image = disks.copy_of(last.data, run.dir / "old")
    last.start()
    cluster.wait_isr("tail")
    write(100)
    other.kill()
    cluster.wait_isr("tail", size=1)
    write(200)
    last.kill()
    shutil.rmtree(last.data)
    shutil.copytree(image, last.data)
    before = sum(len(lines(b, "records may be lost")) for b in cluster.brokers)
    for broker in run.random.sample((last, other), 2):
        broker.start()
    run.fired("the last replica of two came back with 100 of 300 records")

    def all_serve():
        # Told that its metadata log is an older image (R21), it ends, and what restarts it (systemd, docker) finds it with a new log.
        if not last.running and lines(last, "older image"):
            last.start()
        return cluster.run("health", "--min-brokers", len(cluster.brokers), "--timeout", "2s").returncode == 0
    wait_until(all_serve, "every broker to serve, the rolled back one too", 90)
    cluster.wait_isr("tail", timeout=90)
    said = sum(len(lines(b, "records may be lost")) for b in cluster.brokers) - before
    kept = cluster.naru("consume", "tail", "-e").splitlines()
    run.must(kept == [str(i) for i in range(len(kept))] and len(kept) >= 100, f"the beginning of what was written: {len(kept)} records, {kept[-1:]}")
    run.must(len(kept) == 300 or said > 0, f"{300 - len(kept)} records are gone, and a controller says so")
    # Whoever leads after the other has the same.
    cluster[cluster.leader("tail")].kill()
    same = wait_until(lambda: (lambda d: d.stdout.splitlines() if d.returncode == 0 and d.stdout else None)(
        cluster.run("consume", "tail", "-e", "--timeout", "10s")), "the other replica to be read")
    run.must(same == kept, f"both replicas hold the same: {len(kept)} and {len(same)} records")
    for broker in (last, other):
        if not broker.running:
            broker.start()
    cluster.wait_healthy()
    run.note(f"{len(kept)} of 300 records left, said {said} times")
    run.load.flow(timeout=60)
    run.gap()


@scenario(36, "read-only-remount", "the file system of a leader becomes read-only", "as EIO: no ack, others lead", needs=("small_disk",))
def read_only(run):
    cluster = run.cluster(start=False, settings={"offsets.topic.num.partitions": 3})
    place = disks.mount_small(run, run.dir / "small", 64, kind="ext4")
    victim = cluster[run.random.choice((1, 2, 3))]
    victim.data = place / "data"
    victim.settings["metadata.log.dir"] = victim.dir / "metadata"
    cluster.start()
    a, b = [x.id for x in cluster.brokers if x.id != victim.id]
    run.topic(assign=f"{victim.id}:{a}:{b},{a}:{b}:{victim.id}")
    run.clients()
    done = subprocess.run(["mount", "-o", "remount,abort", str(place)], capture_output=True, text=True, check=False)
    try:
        (place / "try").write_text("x")
    except OSError:
        run.fired(f"file system of {victim.id} read-only")
    else:
        raise Invalid(f"the file system is still writable: {done.stderr.strip()}")
    run.load.flow(timeout=90)
    run.gap()
    run.must(not leads(cluster, victim.id, bootstrap=others(cluster, victim.id)), f"{victim.id} leads nothing any more")
    run.note(f"broker {'runs' if victim.running else 'ended'}")
