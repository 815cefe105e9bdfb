"""Rows 44 to 53: what no client sends, sent to every port while ordinary clients work."""
import contextlib
import socket
import struct
import time
import urllib.request
import zlib

import bad_input_access as bad
from harness import Invalid, scenario
from naru_cluster import free_ports
from rows_signals import laid_out, layout
from views import epochs, fenced_count, terms
from wire import closed_by, connect, frame, header, produce, read_frame


def with_known_pages(run):
    """A cluster under load, each broker of which serves HTTP on a port that is known."""
    cluster = run.cluster(start=False)
    first = free_ports(cluster.host, 9644, len(cluster.brokers))
    for broker in cluster.brokers:
        broker.settings["naru.http.port"] = first + broker.id - 1
    cluster.start()
    run.topic(assign=layout(cluster))
    run.clients()
    return cluster


def watched(run, make=laid_out):
    cluster = make(run)
    state = {"epochs": epochs(cluster, "load"), "term": terms(cluster), "fenced": fenced_count(cluster),
             "memory": {b.id: b.resident_kib / 1024 for b in cluster.brokers},
             "lines": {b.id: len(b.log().splitlines()) for b in cluster.brokers}}
    return cluster, state


def unharmed(run, cluster, state, grown_max=100, lines_max=200):
    """Nobody died, nothing moved, memory and logs stayed bounded, clients went on."""
    run.load.flow(timeout=60)
    run.gap()
    run.must(all(b.running for b in cluster.brokers), "every broker lives")
    run.must(terms(cluster) == state["term"] and fenced_count(cluster) == state["fenced"], "no election, no fencing")
    run.must(epochs(cluster, "load") == state["epochs"], "no leader change")
    grown = max(b.resident_kib / 1024 - state["memory"][b.id] for b in cluster.brokers)
    said = max(len(b.log().splitlines()) - state["lines"][b.id] for b in cluster.brokers)
    run.note(f"memory +{grown:.0f} MiB, {said} log lines")
    run.must(grown < grown_max, f"memory is bounded: +{grown:.0f} MiB")
    run.must(said < lines_max, f"the log is rate limited: {said} lines")


@scenario(44, "garbage", "random bytes on the client, the peer and the HTTP port of every broker", "closed, few log lines, nobody harmed", smoke=True)
def garbage(run):
    cluster, state = watched(run, with_known_pages)
    sent = closed = 0
    for round_ in range(20):
        for broker in cluster.brokers:
            for port in (broker.port, broker.peer_port, broker.settings["naru.http.port"]):
                with contextlib.suppress(ConnectionError), connect(broker, port) as c:
                    sent += 1
                    with contextlib.suppress(OSError):
                        c.sendall(run.random.randbytes(run.random.choice((1, 10, 1000, 60000))))
                        c.shutdown(socket.SHUT_WR)
                    closed += closed_by(c, 60)
    run.fired(f"{sent} connections with garbage, {closed} closed")
    run.must(closed == sent, f"all are closed: {closed} of {sent}")
    for broker in cluster.brokers:
        with urllib.request.urlopen(f"http://{broker.host}:{broker.settings['naru.http.port']}/livez", timeout=30) as answer:
            run.must(answer.status == 200, f"the page of {broker.id} is served: {answer.status}")
    unharmed(run, cluster, state)


@scenario(45, "other-protocols", "HTTP, TLS, SSH, Redis and HTTP/2 on the client port; HTTP/1 and Kafka on the peer port", "closed, no huge allocation")
def other_protocols(run):
    cluster, state = watched(run)
    hellos = {"HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "TLS": bytes.fromhex("16030100c8010000c40303") + run.random.randbytes(200),
              "SSH": b"SSH-2.0-OpenSSH_9.2\r\n", "Redis": b"*1\r\n$4\r\nPING\r\n", "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9}
    left_open = []
    count = 0
    for broker in cluster.brokers:
        for name, hello in hellos.items():
            with connect(broker) as c:
                c.sendall(hello)
                count += 1
                if not closed_by(c, 10):
                    left_open.append(f"{name} on the client port")
        for name, hello in {"HTTP": hellos["HTTP"], "TLS": hellos["TLS"], "Kafka": frame(header(18, 0))}.items():
            with connect(broker, broker.peer_port) as c:
                c.sendall(hello)
                count += 1
                if not closed_by(c, 30):
                    left_open.append(f"{name} on the peer port")
    run.fired(f"{count} connections of other protocols")
    run.must(not left_open, f"all are closed: {sorted(set(left_open))}")
    unharmed(run, cluster, state)


@scenario(46, "huge-lengths", "length prefixes 0x7fffffff, -1, 0 and the maximum, 300 of each", "closed at once, the maximum before any allocation of its size")
def lengths(run):
    cluster, state = watched(run)
    held, impossible, closed = [], 0, 0
    for broker in cluster.brokers:
        for _ in range(100):
            for length in (0x7FFFFFFF, -1, 0):
                impossible += 1
                with connect(broker) as c:
                    with contextlib.suppress(ConnectionError):
                        c.sendall(struct.pack(">i", length) + b"\0\x12")
                    closed += closed_by(c, 10)
            c = connect(broker)
            c.sendall(struct.pack(">i", 104857600) + b"\0\x12")
            held.append(c)
    run.fired(f"{impossible} connections with impossible lengths, {len(held)} with the largest, held open")
    run.must(closed == impossible, f"those that cannot be are closed: {closed} of {impossible}")
    unharmed(run, cluster, state)
    for c in held:
        c.close()


def bad_requests(run, names, what):
    cluster, state = watched(run)
    broker = cluster[cluster.leader("load")]
    problems = bad.run_cases(run, cluster, broker, names)
    run.fired(f"{len(names)} kinds of {what} sent to broker {broker.id}")
    run.must(not problems, f"{problems}")
    unharmed(run, cluster, state)


@scenario(47, "malformed-requests", "array lengths, varints, strings and cut requests that cannot be", "error or close; memory stays bounded")
def malformed(run):
    bad_requests(run, bad.STRUCTURE, "malformed requests")


def is_open(connection):
    """Of one that does not block."""
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


@scenario(48, "slowloris", "1,000 connections that send a byte every few seconds", "closed as partial frames in time; others unaffected")
def slowloris(run):
    drip(run, 1000)


@scenario(48, "slowloris-10000", "10,000 of them", "the same", needs=("descriptors",))
def slowloris_10000(run):
    drip(run, 10_000)


def drip(run, count):
    cluster, state = watched(run)
    broker = cluster[run.random.choice((1, 2, 3))]
    held = []
    for _ in range(count):
        with contextlib.suppress(OSError):
            c = connect(broker)
            c.setblocking(False)
            held.append(c)
    request = frame(header(18, 0))
    if len(held) < count // 2:
        raise Invalid(f"only {len(held)} connections stood")
    left, early = held, None
    for step in range(len(request) - 1):  # never the last byte
        for c in left:
            with contextlib.suppress(OSError):
                c.send(request[step:step + 1])
        run.run_for(2.0)
        left = [c for c in left if is_open(c)]
        early = len(held) - len(left) if step <= 2 else early
        if not left:
            break
    run.fired(f"{len(held)} connections sent up to {step + 1} of {len(request)} bytes, one every 2 s")
    run.must(not left, f"partial frames are closed in time: {len(left)} of {len(held)} are still open")
    run.must(early == 0, f"not before their time: {early} were closed within three bytes")
    unharmed(run, cluster, state, grown_max=max(100, count // 50))  # 20 KB for each
    for c in held:
        c.close()


@scenario(49, "never-reads", "200 clients ask for everything and read nothing", "output is bounded; others unaffected")
def never_reads(run):
    cluster, state = watched(run)
    cluster.naru("topic", "create", "bulk", "-p", 1, "-r", 3)
    cluster.naru("produce", "bulk", text_in="".join("x" * 1000 + "\n" for _ in range(20000)), timeout=120)
    broker = cluster[cluster.leader("bulk")]
    fetch = (header(1, 4) + struct.pack(">iiii", -1, 100, 1, 50 << 20) + b"\0" + struct.pack(">i", 1) + bad.string("bulk") +
             struct.pack(">iiqi", 1, 0, 0, 50 << 20))
    held, asked = [], 0
    for _ in range(200):
        c = socket.socket()
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.settimeout(0.2)
        c.connect((broker.host, broker.port))
        held.append(c)
        for _ in range(50):
            try:
                c.sendall(frame(fetch))
                asked += 1
            except OSError:
                break
    run.run_for(3.0)
    run.fired(f"{asked} fetches of 20 MB asked and not read")
    unharmed(run, cluster, state, grown_max=64 + 40)  # naru.response.memory.bytes, and what all the rest may take
    for c in held:
        c.close()


def bomb(codec):
    """A batch of less than a MiB, which begins as a good record and unpacks to 200 MiB and more."""
    size = 200 << 20
    head = b"\0" + bad.varint(0) + bad.varint(0) + bad.varint(-1) + bad.varint(size)
    plain = bad.varint(len(head) + size + 1) + head
    if codec == "gzip":
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        packed = packer.compress(plain) + b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(size >> 20))
        return bad.batch(records=packed + packer.compress(bad.varint(0)) + packer.flush(), attributes=1)
    if codec == "snappy":  # only the claim: a literal that says it unpacks to a GiB
        return bad.batch(records=b"\x80\x80\x80\x80\x04" + bytes([(len(plain) - 1) << 2]) + plain, attributes=2)
    if codec == "lz4":     # each block: literals, then one match of 4 MiB onto the byte before, then five literals
        def block(literals):
            extra = (4 << 20) - len(literals) - 5 - 19
            return (bytes([0xF0 | 0x0F, len(literals) - 15]) + literals + b"\1\0" + b"\xff" * (extra // 255) + bytes([extra % 255]) +
                    b"\x50" + b"\0" * 5)
        blocks = [block(plain.ljust(15, b"\0"))] + [block(b"\0" * 15)] * (size // (4 << 20))
        return bad.batch(records=bytes.fromhex("04224d18607073") + b"".join(struct.pack("<I", len(b)) + b for b in blocks) + b"\0" * 4, attributes=3)
    # zstd: a raw block, then blocks of 128 KiB of one repeated byte.
    def header_of(kind, length, last=0):
        return struct.pack("<I", length << 3 | kind << 1 | last)[:3]
    blocks = header_of(0, len(plain)) + plain + (header_of(1, 131072) + b"\0") * (size // 131072) + header_of(1, 100, 1) + b"\0"
    return bad.batch(records=struct.pack("<I", 0xFD2FB528) + b"\x00\x38" + blocks, attributes=4)


@scenario(50, "decompression-bombs", "batches that unpack to 200 times their size and more, in every codec", "refused, memory bounded")
def bombs(run):
    cluster, state = watched(run)
    cluster.naru("topic", "create", "bombs", "-p", 1, "-r", 3)
    cluster.wait_isr("bombs")
    broker = cluster[cluster.leader("bombs")]
    answers = {}
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        packed = bomb(codec)
        with connect(broker, timeout=60) as c:
            try:
                answers[codec] = produce(c, "bombs", packed)[0]
            except ConnectionError:
                answers[codec] = "closed"
    run.fired(f"bombs answered {answers}")
    run.must(all(a != 0 for a in answers.values()), f"none is taken: {answers}")
    unharmed(run, cluster, state, grown_max=150)
    run.must(cluster.naru("consume", "bombs", "-e") == "", "nothing of them is stored")


@scenario(51, "bad-batches", "wrong CRC, counts, offsets, magic, epochs, attributes", "refused whole")
def bad_batches(run):
    bad_requests(run, bad.BATCHES, "bad batches")


@scenario(52, "replayed-requests", "requests of an idempotent producer are sent again, later and out of order", "R85: no duplicate, no reorder", needs=("redirect",))
def replayed(run):
    from proxies import Proxy
    from rows_network import kick, on_hosts
    cluster, hosts = on_hosts(run)
    proxies = [Proxy(run, hosts, b.id) for b in cluster.brokers]
    for broker, proxy in zip(cluster.brokers, proxies):
        proxy.order(replay=0.3)
        hosts.redirect(broker.id, broker.port, proxy.port)
    kick(run, cluster, hosts, lambda b: b.port)
    run.run_for(12.0)
    again = sum(p.order(replay=0.3).get("replayed", 0) for p in proxies)
    if again < 20:
        raise Invalid(f"only {again} requests were replayed")
    run.fired(f"{again} Produce requests sent again within 2 s")
    run.load.flow(timeout=60)
    run.gap()


@scenario(53, "old-and-unknown-versions", "very old and unknown API keys and versions", "UNSUPPORTED_VERSION in version 0 for ApiVersions, else closed")
def versions(run):
    cluster, state = watched(run)
    broker = cluster[run.random.choice((1, 2, 3))]
    count = refused = 0
    for key in [*range(0, 90), 999, 32767]:
        for version in (0, 1, 99, 32767):
            with connect(broker) as c:
                c.settimeout(10)
                c.sendall(frame(header(key, version)))
                c.shutdown(socket.SHUT_WR)
                count += 1
                try:
                    read_frame(c)
                except ConnectionError:
                    refused += 1
    run.fired(f"{count} requests with empty bodies, {refused} closed")
    with connect(broker) as c:
        c.sendall(frame(header(18, 99)))
        answer = read_frame(c)
        run.must(struct.unpack(">ih", answer[:6]) == (7, 35), f"ApiVersions v99 is answered in v0 with 35: {answer[:6]!r}")
    unharmed(run, cluster, state)


@scenario(48, "connection-storm", "connections are opened and closed as fast as they can be, for 8 s", "others unaffected")
def storm(run):
    cluster, state = watched(run)
    broker = cluster[run.random.choice((1, 2, 3))]
    made = 0
    until = time.monotonic() + 8
    while time.monotonic() < until:
        batch = []
        for _ in range(100):
            with contextlib.suppress(OSError):
                c = socket.create_connection((broker.host, broker.port), timeout=0.5)
                if made % 2:
                    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closed by RST
                batch.append(c)
                made += 1
        for c in batch:
            c.close()
        run.run_for(0.05)
    run.fired(f"{made} connections opened and closed")
    unharmed(run, cluster, state)
