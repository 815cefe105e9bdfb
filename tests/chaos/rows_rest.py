"""Rows 55 to 65: addresses that change, topics that come and go, coordinators that die, crowds of clients, odd sizes."""
import contextlib
import json
import struct
import threading
import time

from harness import Invalid, scenario
from hosts import Hosts
from naru_cluster import Failed, wait_until
from rows_edge import unharmed, watched
from rows_signals import laid_out, layout
from views import described, epochs, others, registrations, takeover
from wire import (connect, exchange, find_coordinator, frame, header, join_request, leave_request, parse_join, read_frame,
                  sync_request)


@scenario(55, "new-address", "a broker comes back with another address", "R112: found at the new one, clients too", needs=("namespaces",))
def new_address(run):
    hosts = Hosts(run)
    cluster = run.cluster(start=False)
    hosts.place(cluster)
    names = run.dir / "hosts"
    table = {b.id: hosts.address(b.id) for b in cluster.brokers}

    def write():
        with open(names, "r+" if names.exists() else "w", encoding="utf-8") as file:  # in place: it is mounted over /etc/hosts
            file.truncate()
            file.write("127.0.0.1 localhost\n" + "".join(f"{ip} broker{i}.test\n" for i, ip in table.items()))
    write()
    named = ["unshare", "--mount", "sh", "-c", f'mount --bind {names} /etc/hosts && exec "$@"', "sh"]
    for broker in cluster.brokers:
        broker.host = f"broker{broker.id}.test"
        broker.enter = hosts.inside(broker.id) + named
    cluster.enter = hosts.inside(0) + named
    cluster.start()
    run.topic(assign=layout(cluster))
    run.clients()
    victim = cluster[run.random.choice((1, 2, 3))]
    victim.kill()
    old, new = table[victim.id], f"198.18.0.{30 + victim.id}"
    from hosts import sh
    sh(*hosts.inside(victim.id), "ip", "addr", "del", f"{old}/24", "dev", "eth0")
    sh(*hosts.inside(victim.id), "ip", "addr", "add", f"{new}/24", "dev", "eth0")
    table[victim.id] = new
    write()
    victim.start()
    run.fired(f"broker {victim.id} came back at {new}, was {old}")
    cluster.wait_healthy()
    cluster.wait_isr("load")
    cluster.run("partition", "elect", "load")
    run.load.flow(timeout=90)
    run.gap()


@scenario(56, "voter-replaced", "a dead voter is replaced by a fourth broker, and another one dies meanwhile", "one change at a time; the new majority goes on")
def voter_replaced(run):
    cluster = run.cluster(observers=1)
    run.topic(assign=layout(cluster))
    run.clients()
    controller = cluster.wait_controller()
    dead, other = [n for n in (1, 2, 3) if n != controller]
    cluster[dead].kill()
    run.load.flow(timeout=60)
    # Four voters need three: those that live. The dead one goes in a change of its own.
    wait_until(lambda: cluster.run("quorum", "add", 4).returncode == 0, "the fourth broker to vote", 60)
    cluster[other].kill()
    cluster.run("quorum", "remove", dead, "--yes", "--timeout", "3s")  # it may be done before the other one is missed
    cluster[other].start()
    cluster.wait_controller()
    wait_until(lambda: cluster.run("quorum", "remove", dead, "--yes").returncode in (0, 1) and
               [v["id"] for v in cluster.json("quorum", "status")["voters"]] == sorted({1, 2, 3, 4} - {dead}), "the dead voter to be gone", 60)
    run.fired(f"voter {dead} replaced by 4, broker {other} killed meanwhile")
    cluster.wait_isr("load", size=2)
    run.load.flow(timeout=60)
    # Two of the three that vote now.
    cluster[controller].kill()
    cluster.wait_controller(other_than=controller)
    cluster[controller].start()
    cluster[dead].start()
    cluster.wait_healthy()
    run.load.flow(timeout=60)
    run.gap()


@scenario(57, "delete-and-recreate", "a topic is deleted and made again while a broker is cut off", "the topic id protects: no record of the old one", needs=("namespaces",))
def recreate(run):
    from rows_network import on_hosts
    cluster, hosts = on_hosts(run)
    a, b, c = 1, 2, 3
    victim = next(n for n in (a, b, c) if n != cluster.wait_controller())
    first, second = [n for n in (a, b, c) if n != victim]
    cluster.naru("topic", "create", "again", "--assign", f"{victim}:{first}:{second}")
    cluster.wait_isr("again")
    cluster.naru("produce", "again", text_in="".join(f"old {i}\n" for i in range(300)))
    hosts.isolate(victim)
    rest = ",".join(cluster[n].address for n in (first, second))
    cluster.naru("topic", "delete", "again", "--keep", "0", "--yes", bootstrap=rest)
    wait_until(lambda: cluster.run("topic", "create", "again", "--assign", f"{first}:{second}:{victim}", bootstrap=rest).returncode == 0, "the topic to be made again")
    wait_until(lambda: cluster.run("produce", "again", "--timeout", "10s", text_in="".join(f"new {i}\n" for i in range(100)), bootstrap=rest).returncode == 0,
               "the new topic to be writable", 60)
    if hosts.hits() == 0:
        raise Invalid("no packet was hit")
    run.fired(f"topic deleted and made again while {victim}, its old leader, was cut off")
    hosts.heal()
    cluster.wait_healthy()
    cluster.wait_isr("again")
    cluster.naru("partition", "elect", "again")
    cluster[first].kill()
    read = wait_until(lambda: (lambda d: d.stdout.splitlines() if d.returncode == 0 else None)(cluster.run("consume", "again", "-e", "--timeout", "10s")), "the topic to be readable")
    run.must(len(read) >= 100 and all(line.startswith("new ") for line in read), f"only records of the new topic: {len(read)}, {read[:2]}")
    cluster[first].start()
    cluster.wait_healthy()
    cluster.wait_isr("load")
    run.load.flow(timeout=60)
    run.gap()


@scenario(58, "move-under-faults", "partitions move while a target is away, a leader killed, the controller paused; a move back is called off",
          "nothing lost, the last wish holds, what moved away is deleted")
def move_under_faults(run):
    run.stale_reads_allowed = True  # of the paused broker, in the moment before it learns
    cluster = run.cluster(observers=2)
    run.topic(assign=layout(cluster))
    run.clients()

    def moving():
        return cluster.json("partition", "moves")

    def replicas():
        return [sorted(p["replicas"]) for p in cluster.topic("load")["partition_list"]]

    def copies(*ids):
        return [f.name for n in ids for f in cluster[n].data.glob("load-*") if not f.name.endswith("-delete")]
    # A target that is away holds the move up, so that all the harm falls into it.
    cluster[5].kill()
    cluster.naru("partition", "move", "load", "--to", "3,4,5", "--yes")
    victim = cluster.leader("load")
    lives = registrations(cluster, victim)
    cluster[victim].kill()
    cluster.wait_leader("load", other_than=victim)
    run.load.flow(timeout=60)
    cluster[victim].start()
    wait_until(lambda: registrations(cluster, victim) > lives, f"broker {victim} to be registered again")
    run.must(moving() != [], "a move to a broker that is away is not done")
    controller = cluster.wait_controller()
    taken = takeover(cluster, controller)
    cluster[controller].pause()
    wait_until(taken, "another controller while the old one is paused")
    cluster[5].start()
    cluster[controller].resume()
    run.fired(f"a move to 3, 4, 5 with 5 away, leader {victim} killed, controller {controller} paused")
    wait_until(lambda: moving() == [], "the end of the move", 90)
    run.must(replicas() == [[3, 4, 5]] * 3, f"the replicas are where they were to be: {replicas()}")
    cluster.wait_isr("load")
    run.load.flow(timeout=90)
    wait_until(lambda: not copies(1, 2), "the copies of brokers 1 and 2 to be deleted")
    # Back, and called off before it can end.
    cluster[1].kill()
    cluster.naru("partition", "move", "load", "--to", "1,2,3", "--yes", bootstrap=others(cluster, 1))
    run.load.flow(timeout=60)
    cluster.naru("partition", "moves", "--cancel", bootstrap=others(cluster, 1))
    wait_until(lambda: moving() == [] and replicas() == [[3, 4, 5]] * 3, "the move back to be called off")
    cluster[1].start()
    cluster.wait_healthy()
    cluster.wait_isr("load")
    wait_until(lambda: not copies(1, 2), "what broker 2 had begun to copy to be deleted")
    run.load.flow(timeout=60)
    run.gap()


# ---- 62: coordinators ------------------------------------------------------------------------------------------------------

def committed(cluster, group):
    """Committed offsets by partition, or Failed."""
    done = cluster.run("group", "describe", group, "-o", "json", "--timeout", "5s")
    if done.returncode != 0:
        raise Failed(done.stderr.strip()[:200])
    found = json.loads(done.stdout)
    found = found[0] if isinstance(found, list) else found
    rows = found.get("partition_list") or found.get("partitions") or found.get("offsets") or []
    return {(p["topic"], p["partition"]): p.get("offset", p.get("committed")) for p in rows if p.get("offset", p.get("committed")) is not None}


def coordinator(cluster, group):
    for broker in cluster.brokers:
        if broker.running:
            with contextlib.suppress(OSError), connect(broker) as c:
                error, node = find_coordinator(c, group)
                if error == 0:
                    return node
    raise Failed("no coordinator")


def group_state(connection, group):
    """As its coordinator says it: Stable, PreparingRebalance, ... (DescribeGroups v0)."""
    answer = exchange(connection, header(15, 0) + struct.pack(">ih", 1, len(group)) + group.encode())
    at = 4 + 2 + 2 + len(group)  # after the number of groups, the error and the group's name
    (size,) = struct.unpack_from(">h", answer, at)
    return answer[at + 2:at + 2 + size].decode()


def kill_within_a_rebalance(cluster, group):
    """A member joins and never syncs: the group is in the middle of a rebalance when its coordinator dies. Returns that one;
    Failed where the group does not rebalance there, as when another broker leads it by now."""
    victim = coordinator(cluster, group)
    try:
        with connect(cluster[victim]) as joining, connect(cluster[victim]) as asking:
            joining.sendall(frame(join_request(group, "")))
            wait_until(lambda: group_state(asking, group).endswith("Rebalance"), "the group to rebalance", timeout=5, pause=0.001)
            cluster[victim].kill()
    except OSError as error:
        raise Failed(f"broker {victim}: {error}") from None
    return victim


@scenario(62, "kill-coordinator", "kill -9 of the group's coordinator, four times: while it serves, rebalances and loads", "R104: no committed offset goes back")
def kill_coordinator(run):
    cluster = laid_out(run)
    group = "load-readers"
    run.load.follow(lambda p: p["polled"] > 300, "consumption")
    highest = {}
    kills = 0

    def look():
        for key, offset in committed(cluster, group).items():
            run.must(offset >= highest.get(key, 0), f"the committed offset of {key} went back: {highest.get(key)} -> {offset}")
            highest[key] = offset
    wait_until(lambda: look() or highest, "commits")
    for kind in ("serving", "rebalancing", "loading", "serving"):
        if kind == "rebalancing":
            victim = wait_until(lambda: kill_within_a_rebalance(cluster, group), "a coordinator that rebalances")
        else:
            victim = wait_until(lambda: coordinator(cluster, group), "a coordinator")
            cluster[victim].kill()
        kills += 1
        if kind == "loading":
            after = wait_until(lambda: (lambda n: n if n != victim else None)(coordinator(cluster, group)), "another coordinator")
            cluster[victim].start()
            cluster.wait_isr("load")
            cluster[after].kill()   # as soon as it has begun to load
            kills += 1
            cluster[after].start()
        else:
            cluster[victim].start()
        cluster.wait_healthy()
        cluster.wait_isr("load")
        polled = run.load.progress["polled"]
        run.load.follow(lambda p: p["polled"] > polled + 200, "consumption to go on", 90)
        wait_until(lambda: look() or True, "committed offsets")
    run.fired(f"{kills} kills of coordinators")
    run.load.flow()
    wait_until(lambda: look() or True, "committed offsets")
    run.gap()


# ---- 63, 64: crowds ----------------------------------------------------------------------------------------------------------

class Member:
    """One member of a group, on a connection of its own; the answers come when they come."""

    def __init__(self, broker, group):
        self.group = group
        self.socket = connect(broker, timeout=30)
        self.id, self.generation = "", -1

    def join(self):
        self.socket.sendall(frame(join_request(self.group, self.id)))

    def joined(self):
        error, self.generation, member, self.leader, self.members = parse_join(read_frame(self.socket))
        self.id = member or self.id
        return error

    def sync(self):
        what = [(self.id, b"x")] if self.id == self.leader else []
        self.socket.sendall(frame(sync_request(self.group, self.generation, self.id, what)))

    def synced(self):
        return struct.unpack_from(">h", read_frame(self.socket), 8)[0]

    def leave(self):
        with contextlib.suppress(OSError):
            exchange(self.socket, leave_request(self.group, self.id))
        self.socket.close()


@scenario(63, "consumer-storm", "300 members join and leave one group", "one stable generation within 10 s, memory bounded")
def consumer_storm(run):
    cluster, state = watched(run)
    group = "storm"
    node = wait_until(lambda: coordinator(cluster, group), "a coordinator")
    size = 300
    members = []
    try:
        for wave in range(3):
            members += [Member(cluster[node], group) for _ in range(size - len(members))]
            began = time.monotonic()
            rounds = 0
            while True:
                rounds += 1
                for m in members:
                    m.join()
                errors = [m.joined() for m in members]
                run.must(set(errors) <= {0, 27, 25}, f"joining is answered with {sorted(set(errors))}")
                for m in members:
                    if m.generation < 0:
                        m.id = ""
                generations = {m.generation for m in members}
                if errors.count(0) == size and len(generations) == 1:
                    for m in members:
                        m.sync()
                    if all(m.synced() == 0 for m in members):
                        break
                run.must(rounds < 20, f"a stable generation within 20 rounds: {sorted(set(errors))}, generations {sorted(generations)}")
            run.note(f"wave {wave + 1}: stable after {time.monotonic() - began:.1f} s, {rounds} rounds")
            for m in members[: size // 2]:
                m.leave()
            members = members[size // 2:]
            run.run_for(0.5)
    finally:
        for m in members:
            m.socket.close()
    run.fired(f"{size} members joined, half left and others joined, 3 times")
    unharmed(run, cluster, state)


@scenario(64, "thundering-reconnect", "all brokers die and return while 1,500 connections wait to reconnect", "no collapse: traffic is back, answers come")
def thundering(run):
    cluster = laid_out(run)
    held = []
    for broker in cluster.brokers:
        for _ in range(500):
            with contextlib.suppress(OSError):
                held.append(connect(broker))
    for broker in cluster.brokers:
        broker.kill()
    for c in held:
        c.close()
    for broker in cluster.brokers:
        broker.start()
    answered, failed = [], []
    deadline = time.monotonic() + 40

    def client(broker):
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                with connect(broker, timeout=10) as c:
                    exchange(c, header(18, 0))
                    exchange(c, header(3, 1) + struct.pack(">i", -1))
                    answered.append(1)
                    return
            time.sleep(0.05)
        failed.append(1)
    crowd = [threading.Thread(target=client, args=(broker,)) for broker in cluster.brokers for _ in range(500)]
    began = time.monotonic()
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    run.fired(f"{len(held)} connections lost; {len(answered)} clients came at once, answered within {time.monotonic() - began:.1f} s")
    run.must(not failed, f"every client is answered: {len(failed)} were not")
    cluster.wait_healthy()
    cluster.wait_isr("load")
    run.load.flow(timeout=60)
    run.gap()


# ---- 65: sizes -----------------------------------------------------------------------------------------------------------------

@scenario(65, "tiny-segments", "segments of the smallest size, an index entry for every record, a kill", "as with any other size")
def tiny_segments(run):
    cluster = run.cluster()
    run.topic(assign=layout(cluster), config=("segment.bytes=1048576", "index.interval.bytes=1", "segment.index.bytes=1024"))
    run.clients(size=3000, rate=250)
    run.run_for(5.0)
    victim = next(n for n in (1, 2, 3) if n != cluster.wait_controller())
    cluster[victim].kill()
    run.load.flow()
    cluster[victim].start()
    cluster.wait_isr("load")
    segments = len(list(cluster[victim].data.glob("load-*/*.log")))
    if segments < 6:
        raise Invalid(f"only {segments} segments")
    run.fired(f"{segments} segments on broker {victim}, killed")
    run.load.flow()
    run.gap()


@scenario(65, "many-partitions", "1,000 partitions, and a broker is killed", "every partition has a leader again; the checked topic goes on")
def many_partitions(run):
    cluster = laid_out(run)
    cluster.naru("topic", "create", "many", "-p", 1000, "-r", 3, timeout=120)
    cluster.wait_isr("many", timeout=120)
    run.load.flow(timeout=90)
    run.load.mark()
    victim = next(n for n in (1, 2, 3) if n != cluster.wait_controller())
    cluster[victim].kill()
    run.fired(f"kill -9 of {victim} with 1,000 partitions")
    run.load.flow()
    wait_until(lambda: all(p["leader"] not in (None, victim) for p in described(cluster, "many").values()), "leaders of all 1,000")
    run.gap()
    run.must(all(e >= 0 for e in epochs(cluster, "load").values()), "the checked topic is led")
    cluster[victim].start()
    cluster.wait_isr("many", timeout=120)
    cluster.wait_isr("load")
    run.load.flow()
