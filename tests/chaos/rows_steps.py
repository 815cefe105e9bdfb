"""Row 7: a broker dies at a chosen step of its start, its recovery, its shutdown: at the n-th change that it makes to its
disk, before it or in the middle of a write."""
from harness import Invalid, scenario
from naru_cluster import wait_until
from rows_disk import shimmed, victim_of
from shim import ALLOCATE, KILLED, RENAME, SYNC, WRITE

SIGKILLED = -9
CHANGES = WRITE | SYNC | RENAME | ALLOCATE
# What a shutdown writes last; records are written all the time.
SHUTDOWN_FILES = ("*-checkpoint*", "*.kafka_cleanshutdown*", "*.naru_running*", "*.snapshot*", "*.timeindex", "*/__cluster_metadata-0/*",
                  "*/load-*/*.log")


def ends_at(broker, timeout=60.0):
    """Waits until the process has ended by itself, and says whether it was the shim's kill."""
    return broker.wait_exit(timeout) == SIGKILLED


@scenario(7, "crash-at-each-step", "killed at the 1st, 2nd, ... n-th change that its start makes to its disk, in the middle of writes too",
          "the next start recovers", needs=("shim",))
def crash_at_each_step(run):
    cluster, shims = shimmed(run, size=1000)
    victim = cluster[victim_of(run, cluster)]
    shim = shims[victim.id]
    # Each of the first, and some of those behind them: there a recovered log is being written again.
    steps = [*range(12), *sorted(run.random.sample(range(12, 150), 8))]
    victim.kill()
    died = []
    for step in steps:
        torn = run.random.choice((-1, -1, 1, 100, 512))
        shim.arm(0, CHANGES, f"*/{victim.id}/data/*", error=KILLED, torn_bytes=torn, times=1, skip=step)
        victim.start()
        if not ends_at(victim):
            raise Invalid(f"it ended by itself at step {step}, not by the kill")
        died.append(step)
        shim.disarm(0)
    run.fired(f"broker {victim.id} died at changes {' '.join(map(str, died))} of its starts")
    victim.start()
    cluster.wait_healthy()
    cluster.wait_isr("load")
    run.load.flow()
    run.gap()


@scenario(7, "crash-at-each-step-of-the-end", "killed at a change that its controlled shutdown makes to its disk", "the next start recovers; no clean marker is believed",
          needs=("shim",))
def crash_at_each_step_of_the_end(run):
    cluster, shims = shimmed(run, size=1000)
    victim = cluster[victim_of(run, cluster)]
    shim = shims[victim.id]
    died = []
    for pattern in SHUTDOWN_FILES:
        for skip in (0, run.random.randrange(1, 4)):
            # Not those that every second's upkeep makes: it must be on its way out.
            victim.signal(15)
            shim.arm(0, CHANGES, pattern, error=KILLED, times=1, skip=skip)
            killed = ends_at(victim)
            shim.disarm(0)
            if killed:
                died.append(f"{pattern}+{skip}")
            victim.start()
            cluster.wait_healthy()
            cluster.wait_isr("load")
            run.load.flow()
    if len(died) < 3:
        raise Invalid(f"it was killed in {len(died)} shutdowns only")
    wait_until(lambda: victim.running, "the broker to run")
    run.fired(f"broker {victim.id} died in {len(died)} of {2 * len(SHUTDOWN_FILES)} shutdowns, at {', '.join(died)}")
    run.gap()
