"""Rows 13 to 23: cables are cut, one way or both, and connections lose, corrupt, wait and break.

Every broker has a network namespace of its own; the proxy stands in for what kernels without netem cannot do.
"""
import signal
import time

from harness import Invalid, scenario
from hosts import CLIENT, Hosts
from naru_cluster import wait_until
from proxies import Proxy
from rows_signals import fresh_write, layout, side_topic
from views import described, epochs, fenced_count, others, registrations, status_of, takeover, terms

NEEDS = ("namespaces",)
BOTH = ("naru", "kafka")


def on_hosts(run, partitions_by_layout=True, rate=200, settings=None, clients=True, config=(), size=None):
    """Three brokers on hosts of their own, topic `load`: one partition led by the controller, two by the others."""
    hosts = Hosts(run)
    cluster = run.cluster(start=False, settings=settings)
    hosts.place(cluster)
    cluster.start()
    run.topic(assign=layout(cluster) if partitions_by_layout else None, config=config)
    if clients:
        run.clients(rate=rate)
    return cluster, hosts


def must_have_hit(run, hosts, what):
    hit = hosts.hits()
    if hit == 0:
        raise Invalid(f"{what}: no packet was hit")
    run.fired(f"{what}, {hit} packets")


def wait_moved(cluster, victim, topic="load", timeout=60.0):
    """Until the others lead everything, as they see it. Returns how many ms that took."""
    began = time.monotonic()
    wait_until(lambda: all(p["leader"] not in (None, victim) for p in described(cluster, topic, others(cluster, victim)).values()),
               f"leaders other than {victim}", timeout)
    return 1000 * (time.monotonic() - began)


def heal(run, cluster, hosts, flow=True):
    hosts.heal()
    cluster.wait_healthy()
    cluster.wait_isr("load")
    if flow:
        run.load.flow(timeout=90)


@scenario(13, "isolate-broker", "a broker loses its network", "the majority goes on; the isolated leader acknowledges nothing",
          smoke=True, needs=NEEDS, targets=BOTH)
def isolate(run):
    cluster, hosts = on_hosts(run)
    controller = cluster.wait_controller()
    victim = next(n for n in (1, 2, 3) if n != controller)
    side_topic(run, victim)
    before = epochs(cluster, "load")
    began = time.monotonic()
    hosts.isolate(victim)
    wait_until(lambda: fresh_write(cluster, others(cluster, victim)), "a fresh client's write")
    run.note(f"fresh client wrote after {1000 * (time.monotonic() - began):.0f} ms")
    wait_moved(cluster, victim)
    must_have_hit(run, hosts, f"isolation of {victim}")
    heal(run, cluster, hosts)
    run.gap()
    run.must(any(e > before[p] for p, e in epochs(cluster, "load").items()), "leader epochs have grown")


@scenario(13, "isolate-controller", "the active controller loses its network", "another controller; one term each", needs=NEEDS, targets=BOTH)
def isolate_controller(run):
    cluster, hosts = on_hosts(run)
    victim = cluster.wait_controller()
    side_topic(run, victim)
    term = terms(cluster)
    moved = takeover(cluster, victim)
    began = time.monotonic()
    hosts.isolate(victim)
    wait_until(moved, "another controller")
    run.note(f"another controller after {1000 * (time.monotonic() - began):.0f} ms")
    wait_until(lambda: fresh_write(cluster, others(cluster, victim)), "a fresh client's write")
    run.note(f"fresh client wrote after {1000 * (time.monotonic() - began):.0f} ms")
    wait_moved(cluster, victim)
    must_have_hit(run, hosts, f"isolation of controller {victim}")
    heal(run, cluster, hosts)
    run.gap()
    run.note(f"terms {term} -> {terms(cluster)}")


@scenario(14, "cut-from-controllers", "a broker reaches clients, and no peer's controller port", "fenced after its session; its clients are sent elsewhere",
          needs=NEEDS)
def cut_from_controllers(run):
    run.stale_reads_allowed = True
    cluster, hosts = on_hosts(run)
    controller = cluster.wait_controller()
    victim = next(n for n in (1, 2, 3) if n != controller)
    led = [p for p, d in described(cluster, "load").items() if d["leader"] == victim]
    # Replication uses the same port, so its followers leave it too: what stays is its clients.
    hosts.cut(victim, [n for n in (1, 2, 3) if n != victim])
    run.note(f"moved after {wait_moved(cluster, victim):.0f} ms")
    # Its clients are sent to the new leaders without being healed: it is the broker that must send them away.
    run.load.flow(timeout=60)
    run.gap()
    must_have_hit(run, hosts, f"{victim} (leader of {led}) cut from its peers")
    heal(run, cluster, hosts)


@scenario(14, "clients-of-a-cut-off-broker", "clients know one broker only, and it loses its peers", "it sends them to its successors",
          needs=NEEDS)
def clients_of_a_cut_off_broker(run):
    run.stale_reads_allowed = True
    cluster, hosts = on_hosts(run)
    victim = next(n for n in (1, 2, 3) if n != cluster.wait_controller())
    side_topic(run, victim)
    cluster.wait_isr("side")
    here = cluster[victim].address
    run.must(fresh_write(cluster, here, timeout="10s"), "a client that knows one broker can write")
    hosts.cut(victim, [n for n in (1, 2, 3) if n != victim])
    wait_moved(cluster, victim)
    wait_moved(cluster, victim, "side")
    began = time.monotonic()
    run.must(fresh_write(cluster, here, timeout="20s"), "a client that begins at the cut-off broker finds the successor")
    run.note(f"a client that knew the cut-off broker only wrote after {1000 * (time.monotonic() - began):.0f} ms")
    told = described(cluster, "side", here)[0]["leader"]
    run.must(told != victim, f"the cut-off broker does not call itself leader: it says {told}")
    must_have_hit(run, hosts, f"{victim} cut from its peers")
    heal(run, cluster, hosts)
    run.gap()


@scenario(15, "cut-from-clients", "a broker is cut from clients only", "stays in the ISR; nobody is fenced", needs=NEEDS, targets=BOTH)
def cut_from_clients(run):
    cluster, hosts = on_hosts(run)
    victim = next(n for n in (1, 2, 3) if n != cluster.wait_controller())
    before, fenced = epochs(cluster, "load", others(cluster, victim)), fenced_count(cluster)
    hosts.cut(victim, CLIENT)
    with run.no_writes_expected():
        run.load.follow(lambda p: p["silent_ms"] > 4000, "the clients to notice")
    run.must(len(described(cluster, "load", others(cluster, victim))[0]["isr"]) == 3, "it stays in the ISR")
    run.must(epochs(cluster, "load", others(cluster, victim)) == before, "no leader changes")
    run.must(fenced_count(cluster) == fenced, "nobody is fenced")
    must_have_hit(run, hosts, f"{victim} cut from clients")
    heal(run, cluster, hosts)
    run.gap()


@scenario(16, "leader-cut-from-follower", "leader and one follower do not hear each other", "ISR of 2, then 3 again", needs=NEEDS, targets=BOTH)
def leader_cut_from_follower(run):
    run.stale_reads_allowed = True
    cluster, hosts = on_hosts(run, settings={"replica.lag.time.max.ms": 3000})
    controller = cluster.wait_controller()
    a, b = [n for n in (1, 2, 3) if n != controller]
    partition = next(p for p, d in described(cluster, "load").items() if d["leader"] == a)
    hosts.cut(a, b)
    wait_until(lambda: described(cluster, "load")[partition]["isr"].count(b) == 0, f"{b} to leave the ISR of {partition}", 40)
    run.load.flow(timeout=60)
    run.gap()
    run.must(described(cluster, "load")[partition]["leader"] == a, "the leader stays: it has a majority")
    must_have_hit(run, hosts, f"{a} and {b} cut")
    heal(run, cluster, hosts)


@scenario(17, "one-way-loss", "nothing arrives from A at B", "settles with at most 2 more terms", needs=NEEDS, targets=BOTH)
def one_way(run):
    run.stale_reads_allowed = True
    cluster, hosts = on_hosts(run)
    controller = cluster.wait_controller()
    follower = next(n for n in (1, 2, 3) if n != controller)
    a, b = run.random.choice([(controller, follower), (follower, controller)])
    term = terms(cluster)
    hosts.cut(a, b, one_way=True)
    run.run_for(6.0)
    third = next(n for n in (1, 2, 3) if n not in (a, b))
    wait_until(lambda: status_of(cluster, cluster[third].address)["controller"] is not None, "a controller")
    settled = terms(cluster, cluster[third].address)
    run.run_for(6.0)
    later = terms(cluster, cluster[third].address)
    must_have_hit(run, hosts, f"nothing from {a} to {b} (controller {controller}) for 12 s")
    run.note(f"terms {term} -> {settled} -> {later}")
    run.must(later - term <= 2, f"at most 2 elections: term {term} -> {later}")
    run.load.flow(timeout=60)
    run.gap()
    heal(run, cluster, hosts)


@scenario(18, "ring", "A and C do not hear each other, B hears both", "one stable controller, no election storm", needs=NEEDS, targets=BOTH)
def ring(run):
    run.stale_reads_allowed = True
    cluster, hosts = on_hosts(run)
    controller = cluster.wait_controller()
    b, c = [n for n in (1, 2, 3) if n != controller]
    term = terms(cluster)
    hosts.cut(controller, c)
    run.run_for(6.0)
    settled = terms(cluster, cluster[b].address)
    run.run_for(8.0)
    later = terms(cluster, cluster[b].address)
    must_have_hit(run, hosts, f"controller {controller} and {c} cut, {b} between them, for 14 s")
    run.note(f"terms {term} -> {settled} -> {later}")
    run.must(later == settled and later - term <= 2, f"no election storm: term {term} -> {settled} -> {later}")
    run.load.flow(timeout=60)
    run.gap()
    heal(run, cluster, hosts)


@scenario(19, "flapping-link", "a link is cut and healed every 200 ms", "bounded elections, no loss", needs=NEEDS, targets=BOTH)
def flapping(run):
    run.stale_reads_allowed = True
    cluster, hosts = on_hosts(run)
    controller = cluster.wait_controller()
    follower = next(n for n in (1, 2, 3) if n != controller)
    term, before = terms(cluster), epochs(cluster, "load")
    cuts = 0
    until = time.monotonic() + 12
    while time.monotonic() < until:
        hosts.cut(controller, follower)
        run.run_for(0.2)
        hosts.heal()
        run.run_for(0.2)
        cuts += 1
    must_have_hit(run, hosts, f"link of {controller} and {follower} cut {cuts} times")
    heal(run, cluster, hosts)
    run.gap()
    grown = max(e - before[p] for p, e in epochs(cluster, "load").items())
    run.note(f"terms +{terms(cluster) - term}, leader epochs +{grown}")
    run.must(terms(cluster) - term <= 6, f"elections are bounded: {terms(cluster) - term} in 12 s")


def lossy(run, percent):
    cluster, hosts = on_hosts(run, rate=100)
    for i in (1, 2, 3):
        hosts.lose(i, percent)
    run.run_for(15.0)
    must_have_hit(run, hosts, f"{percent}% of packets lost at each broker")
    run.gap()
    heal(run, cluster, hosts)


@scenario(20, "loss-2-percent", "2% of packets are lost", "slower, nothing else", needs=NEEDS, targets=BOTH)
def loss_2(run):
    lossy(run, 2)


@scenario(20, "loss-15-percent", "15% of packets are lost", "no loss of records; leaders may move", needs=NEEDS, targets=BOTH)
def loss_15(run):
    with run.no_writes_expected():
        lossy(run, 15)


@scenario(20, "loss-30-percent", "30% of packets are lost", "no loss of records; leaders move, writes may stand", needs=NEEDS, targets=BOTH)
def loss_30(run):
    run.stale_reads_allowed = True
    with run.no_writes_expected():
        lossy(run, 30)


def corrupting(run, port_of, what, **which):
    cluster, hosts = on_hosts(run, config=("max.message.bytes=1048588",))
    # Connections made from now on go through a proxy; those that stand are reset, so that they are made anew.
    proxies = []
    for broker in cluster.brokers:
        proxy = Proxy(run, hosts, broker.id)
        hosts.redirect(broker.id, port_of(broker), proxy.port)
        proxies.append(proxy)
    broken = 0
    for round_ in range(4):
        for broker, proxy in zip(cluster.brokers, proxies):
            proxy.order()
        kick(run, cluster, hosts, port_of)
        for proxy in proxies:
            proxy.order(corrupt=0.02, **which)
        run.run_for(2.5)
        broken = sum(proxy.order()["corrupted"] for proxy in proxies)
    if broken == 0:
        raise Invalid("no chunk was corrupted")
    run.fired(f"{broken} records corrupted {what}")
    run.load.flow(timeout=60)
    run.gap()
    cluster.wait_isr("load")


def kick(run, cluster, hosts, port_of):
    """Existing connections of these ports are reset, so that new ones pass the proxy."""
    for broker in cluster.brokers:
        hosts.reset(broker.id, [port_of(broker)])
    run.run_for(0.3)
    hosts.heal()


@scenario(20, "corrupt-between-clients-and-brokers", "bits of records flip on the way from clients to brokers", "refused by CRC, sent again, never stored",
          needs=("redirect",))
def corrupt_clients(run):
    # CORRUPT_MESSAGE is final for librdkafka: it gives the record up.
    run.refusals_expected = True
    # librdkafka's consumers check no checksums, and 2.0.2 that is told to (check.crcs) goes back to offset 0 where one is wrong.
    corrupting(run, lambda b: b.port, "between clients and brokers", requests_only=True)


@scenario(20, "corrupt-between-brokers", "bits of records flip on the way between brokers", "refused by CRC, fetched again, never stored",
          needs=("redirect",))
def corrupt_peers(run):
    corrupting(run, lambda b: b.peer_port, "between brokers")


@scenario(21, "delay-100ms", "every chunk between brokers waits 100 ms +- 50", "slower, ISR stable", needs=("redirect",))
def delay(run):
    cluster, hosts = on_hosts(run, rate=50)
    proxies = [Proxy(run, hosts, b.id) for b in cluster.brokers]
    for broker, proxy in zip(cluster.brokers, proxies):
        hosts.redirect(broker.id, broker.peer_port, proxy.port)
        proxy.order(delay_ms=100, jitter_ms=50)
    kick(run, cluster, hosts, lambda b: b.peer_port)
    cluster.wait_healthy()
    cluster.wait_isr("load")
    term, before, fenced = terms(cluster), epochs(cluster, "load"), fenced_count(cluster)
    run.load.flow()
    run.load.mark()
    run.run_for(12.0)
    carried = sum(p.order(delay_ms=100, jitter_ms=50).get("bytes", 0) for p in proxies)
    if carried < 100_000:
        raise Invalid(f"only {carried} bytes passed the proxies")
    run.fired(f"{carried:,} bytes between brokers delayed by 50 to 150 ms")
    run.gap()
    run.must(terms(cluster) == term, f"no election because of delay: term {term} -> {terms(cluster)}")
    run.must(epochs(cluster, "load") == before, "no leader change because of delay")
    run.must(all(len(p["isr"]) == 3 for p in described(cluster, "load").values()), "the ISR is stable")
    run.must(fenced_count(cluster) == fenced, "nobody is fenced")


@scenario(21, "rate-3-mbit", "each broker sends at most 3 Mbit/s", "slower, no harm", needs=NEEDS, targets=BOTH)
def rate(run):
    cluster, hosts = on_hosts(run)
    for i in (1, 2, 3):
        hosts.rate(i, 3)
    # More than fits, from a producer beside the checked one.
    flood = "".join(f"{'x' * 1000}\n" for _ in range(3000))
    done = cluster.run("produce", "load-flood", "--timeout", "60s", text_in=flood, timeout=90)
    run.must(done.returncode == 0, f"3 MB get through a narrow link: {done.stderr[:200]}")
    run.run_for(5.0)
    run.fired("3 Mbit/s for each broker, 3 MB x 3 replicas sent")
    run.gap()
    cluster.wait_isr("load")


@scenario(22, "half-open", "a leader's host vanishes without a FIN", "seen by heartbeats, another leads", budget=2500, needs=NEEDS, targets=BOTH)
def half_open(run):
    cluster, hosts = on_hosts(run)
    victim = next(n for n in (1, 2, 3) if n != cluster.wait_controller())
    side_topic(run, victim)
    began = time.monotonic()
    hosts.isolate(victim)
    cluster[victim].signal(signal.SIGKILL)  # its RST and FIN are dropped
    cluster[victim].process.wait()
    moved = wait_moved(cluster, victim)
    wait_until(lambda: fresh_write(cluster, others(cluster, victim)), "a fresh client's write")
    run.note(f"moved after {moved:.0f} ms, fresh client wrote after {1000 * (time.monotonic() - began):.0f} ms")
    must_have_hit(run, hosts, f"host of {victim} vanished")
    hosts.heal()
    cluster[victim].start()
    heal(run, cluster, hosts)
    run.gap()


@scenario(22, "silent-proxy", "connections between brokers stand and carry nothing", "seen by heartbeats, settled after", needs=("redirect",))
def silent_proxy(run):
    run.stale_reads_allowed = True
    cluster, hosts = on_hosts(run)
    controller = cluster.wait_controller()
    victim = next(n for n in (1, 2, 3) if n != controller)
    proxy = Proxy(run, hosts, victim)
    hosts.redirect(victim, cluster[victim].peer_port, proxy.port)
    kick(run, cluster, hosts, lambda b: b.peer_port)
    cluster.wait_healthy()
    cluster.wait_isr("load")
    run.load.mark()
    proxy.order(silent=True)
    run.run_for(5.0)
    proxy.order()
    run.fired(f"connections to {victim} stood and carried nothing for 5 s")
    cluster.wait_healthy()
    cluster.wait_isr("load")
    run.load.flow(timeout=60)
    run.gap()


@scenario(23, "rst-storm-established", "established connections between brokers are reset for 6 s", "nobody is fenced for it", needs=("redirect",))
def rst_established(run):
    cluster, hosts = on_hosts(run)
    controller = cluster.wait_controller()
    victim = next(n for n in (1, 2, 3) if n != controller)
    proxy = Proxy(run, hosts, victim)
    hosts.redirect(victim, cluster[victim].peer_port, proxy.port)
    kick(run, cluster, hosts, lambda b: b.peer_port)
    cluster.wait_healthy()
    cluster.wait_isr("load")
    before, fenced = epochs(cluster, "load"), fenced_count(cluster)
    resets = 0
    for _ in range(20):
        resets = proxy.order(reset=True).get("resets", 0)
        run.run_for(0.3)
    if resets < 20:
        raise Invalid(f"only {resets} connections were reset")
    run.fired(f"{resets} resets of connections to {victim}")
    run.load.flow()
    run.gap()
    cluster.wait_isr("load")
    run.note(f"fenced {fenced_count(cluster) - fenced} times, leader epochs +{max(e - before[p] for p, e in epochs(cluster, 'load').items())}")
    run.must(fenced_count(cluster) == fenced, "nobody is fenced because of resets: a connect still succeeds")


@scenario(23, "rst-storm-all", "every packet between a broker and its peers is answered with RST for 10 s", "at most one fast fencing in the guard interval", needs=NEEDS)
def rst_all(run):
    run.stale_reads_allowed = True
    cluster, hosts = on_hosts(run)
    controller = cluster.wait_controller()
    victim = next(n for n in (1, 2, 3) if n != controller)
    before, fenced = registrations(cluster, victim), fenced_count(cluster)
    hosts.reset(victim, [b.peer_port for b in cluster.brokers], established_only=False)
    run.run_for(10.0)
    must_have_hit(run, hosts, f"RST to everything that {victim} hears from peers for 10 s")
    fenced = fenced_count(cluster) - fenced
    run.note(f"fenced {fenced} times, registered {registrations(cluster, victim) - before} times")
    run.load.flow(timeout=60)
    run.gap()
    run.must(fenced <= 3, f"fencing is bounded: {fenced} times in 10 s")
    heal(run, cluster, hosts)
