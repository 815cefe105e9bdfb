"""Rows 55 to 65: addresses that change, topics that come and go, coordinators that die, crowds of clients, odd sizes."""
import asyncio
import contextlib
import json
import struct
import time

from harness import Invalid, scenario
from hosts import Hosts, sh
from naru_cluster import Failed, wait_until
from rows_edge import unharmed, watched
from rows_signals import laid_out, layout
from views import described, epochs, others, registrations, takeover
from wire import (connect, exchange, find_coordinator, frame, header, join_request, leave_request, parse_join, read_frame,
                  sync_request)


class Names:
    """Brokers known by names, and who takes which address for them: /etc/hosts of each host, the clients' is 0."""

    def __init__(self, run, hosts, cluster):
        self.run, self.hosts = run, hosts
        self.table = {b.id: hosts.address(b.id) for b in cluster.brokers}
        for i in (0, *self.table):
            self.tell(i)
        for broker in cluster.brokers:
            broker.host = f"broker{broker.id}.test"
            broker.enter = hosts.inside(broker.id) + self._words(broker.id)
        cluster.enter = hosts.inside(0) + self._words(0)

    def _file(self, i):
        return self.run.dir / f"hosts-{i}"

    def _words(self, i):
        return ["unshare", "--mount", "sh", "-c", f'mount --bind {self._file(i)} /etc/hosts && exec "$@"', "sh"]

    def tell(self, *who):
        """These hosts learn the addresses as they are now."""
        for i in who:
            path = self._file(i)
            with open(path, "r+" if path.exists() else "w", encoding="utf-8") as file:  # in place: it is mounted over /etc/hosts
                file.truncate()
                file.write("127.0.0.1 localhost\n" + "".join(f"{ip} broker{n}.test\n" for n, ip in self.table.items()))

    def move(self, addresses):
        """Hosts get other addresses: id -> address. Nobody has been told yet."""
        for i in addresses:
            sh(*self.hosts.inside(i), "ip", "addr", "del", f"{self.table[i]}/24", "dev", "eth0")
        for i, new in addresses.items():
            sh(*self.hosts.inside(i), "ip", "addr", "add", f"{new}/24", "dev", "eth0")
            self.table[i] = new
        for i in self.hosts.all:  # as the announcement of an address does: which card had it is forgotten
            sh(*self.hosts.inside(i), "ip", "neigh", "flush", "all")


def known_by_names(run):
    hosts = Hosts(run)
    cluster = run.cluster(start=False)
    hosts.place(cluster)
    names = Names(run, hosts, cluster)
    cluster.start()
    run.topic(assign=layout(cluster))
    run.clients()
    return cluster, names


@scenario(55, "new-address", "a broker comes back with another address", "R112: found at the new one, clients too", needs=("namespaces",))
def new_address(run):
    cluster, names = known_by_names(run)
    victim = cluster[run.random.choice((1, 2, 3))]
    victim.kill()
    old, new = names.table[victim.id], f"198.18.0.{30 + victim.id}"
    names.move({victim.id: new})
    names.tell(0, 1, 2, 3)
    victim.start()
    run.fired(f"broker {victim.id} came back at {new}, was {old}")
    cluster.wait_healthy()
    cluster.wait_isr("load")
    cluster.run("partition", "elect", "load")
    run.load.flow(timeout=90)
    run.gap()


@scenario(55, "swapped-addresses", "two brokers come back with each other's address, and the third one learns of it late",
          "R112: who answers at an old address is not taken for who lived there", needs=("namespaces",))
def swapped_addresses(run):
    cluster, names = known_by_names(run)
    third = run.random.choice((1, 2, 3))
    a, b = [n for n in (1, 2, 3) if n != third]
    with run.no_writes_expected():
        cluster[a].kill()
        cluster[b].kill()
        names.move({a: names.table[b], b: names.table[a]})
        names.tell(0, a, b)
        cluster[a].start()
        cluster[b].start()
        run.fired(f"brokers {a} and {b} swapped addresses, {third} believed the old ones for 6 s")
        run.run_for(6.0)
        run.must(all(broker.running for broker in cluster.brokers), "nobody ends of it")
        names.tell(third)
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
    storm_of_members(run, 300)


@scenario(63, "consumer-storm-1000", "1,000 members join and leave one group", "the same", needs=("descriptors",))
def consumer_storm_1000(run):
    storm_of_members(run, 1000)


def storm_of_members(run, size):
    cluster, state = watched(run)
    group = "storm"
    node = wait_until(lambda: coordinator(cluster, group), "a coordinator")
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


async def come_at_once(cluster, count, seconds):
    """So many clients connect, ask for versions and metadata, and go; who fails tries again. Returns how many were answered."""
    until = time.monotonic() + seconds

    async def ask(reader, writer, request):
        writer.write(frame(request))
        (size,) = struct.unpack(">i", await reader.readexactly(4))
        await reader.readexactly(size)

    async def visit(broker):
        reader, writer = await asyncio.open_connection(broker.host, broker.port)
        try:
            await ask(reader, writer, header(18, 0))
            await ask(reader, writer, header(3, 1) + struct.pack(">i", -1))
        finally:
            writer.close()

    async def client(broker):
        while time.monotonic() < until:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
                await asyncio.wait_for(visit(broker), 10)
                return 1
            await asyncio.sleep(0.05)
        return 0
    brokers = cluster.brokers
    return sum(await asyncio.gather(*(client(brokers[i % len(brokers)]) for i in range(count))))


def goodput(run, seconds=3.0):
    """Acknowledgements a second from now on."""
    began, before = time.monotonic(), run.load.progress["acknowledged"]
    run.run_for(seconds)
    return (run.load.progress["acknowledged"] - before) / (time.monotonic() - began)


def stampede(run, count):
    cluster = laid_out(run)
    usual = goodput(run)
    held = []
    for i in range(count):
        with contextlib.suppress(OSError):
            held.append(connect(cluster.brokers[i % 3]))
    if len(held) < count // 2:
        raise Invalid(f"only {len(held)} connections stood")
    with run.no_writes_expected():
        for broker in cluster.brokers:
            broker.kill()
        for c in held:
            c.close()
        for broker in cluster.brokers:
            broker.start()
        began = time.monotonic()
        answered = asyncio.run(come_at_once(cluster, count, 60))
        run.fired(f"{len(held)} connections lost; {count} clients came at once, {answered} answered within {time.monotonic() - began:.1f} s")
        run.must(answered == count, f"every client is answered: {count - answered} were not")
        cluster.wait_healthy()
        cluster.wait_isr("load")
        run.load.flow(timeout=60)
    run.gap()
    # A collapse would stay: what comes in then is less than what went out before, for good.
    rates = []
    while not rates or (rates[-1] < 0.9 * usual and len(rates) < 20):
        rates.append(goodput(run))
    run.note(f"{usual:.0f} acknowledgements a second before, {rates[-1]:.0f} again in look {len(rates)}")
    run.must(rates[-1] >= 0.9 * usual, f"goodput returns: {usual:.0f} a second before, then {' '.join(f'{r:.0f}' for r in rates)}")


@scenario(64, "thundering-reconnect", "all brokers die and return while 1,500 connections wait to reconnect", "no collapse: goodput returns, every client is answered",
          needs=("some_descriptors",))
def thundering(run):
    stampede(run, 1500)


@scenario(64, "thundering-reconnect-5000", "the same with 5,000 connections", "the same", needs=("descriptors",))
def thundering_5000(run):
    stampede(run, 5000)


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
    partitions_and_a_kill(run, 1000)


@scenario(65, "many-partitions-10000", "10,000 partitions, and a broker is killed", "the same")
def many_partitions_10000(run):
    partitions_and_a_kill(run, 10_000)


def partitions_and_a_kill(run, count):
    cluster = laid_out(run)
    patience = 120 + count // 20
    for part in range(count // 1000):  # a request each, as people make them
        cluster.naru("topic", "create", f"many-{part}", "-p", 1000, "-r", 3, timeout=patience)
    topics = [f"many-{part}" for part in range(count // 1000)]
    for topic in topics:
        cluster.wait_isr(topic, timeout=patience)
    run.load.flow(timeout=90)
    run.load.mark()
    victim = next(n for n in (1, 2, 3) if n != cluster.wait_controller())
    cluster[victim].kill()
    run.fired(f"kill -9 of {victim} with {count:,} partitions")
    run.load.flow(timeout=90)
    for topic in topics:
        wait_until(lambda topic=topic: all(p["leader"] not in (None, victim) for p in described(cluster, topic, others(cluster, victim)).values()),
                   f"leaders of all of {topic}", patience)
    run.gap()
    run.must(all(e >= 0 for e in epochs(cluster, "load").values()), "the checked topic is led")
    cluster[victim].start()
    for topic in topics:
        cluster.wait_isr(topic, timeout=patience)
    cluster.wait_isr("load")
    run.load.flow()
