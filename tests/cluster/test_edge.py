"""The edges of a broker under people who mean no good: the port of the other brokers, too little memory, and many slow connections (faults 44, 39, 48)."""
import contextlib
import errno
import random
import resource
import socket
import struct

from naru_cluster import Cluster, Workload, wait_until
from support import clean, equal, true


def poured_in(host, port, data):
    """Sends it and reads until the other side closes or has nothing to say; being reset while at it is an answer, too."""
    with socket.create_connection((host, port), timeout=60) as peer:
        try:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(65536):
                pass
        except OSError as closed:
            if closed.errno not in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
                raise


HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def test_garbage_on_the_port_of_the_other_brokers():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "load", "-p", 3, "-r", 3)
        cluster.wait_isr("load")
        controller = cluster.wait_controller()
        with Workload(cluster, "load") as load:
            load.flow()
            before = {b.id: b.resident_kib for b in cluster.brokers}
            for broker in cluster.brokers:
                for data in (random.randbytes(1 << 20), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes.fromhex("16030100c8010000c40303") + random.randbytes(200),
                             HTTP2 + random.randbytes(65536), HTTP2 + struct.pack(">I", 0x00FFFFFF) + b"\0" * 5,
                             HTTP2 + bytes.fromhex("000000040000000000") + random.randbytes(4096), struct.pack(">i", 0x7FFFFFFF), b""):
                    for _ in range(20):
                        poured_in(broker.host, broker.peer_port, data)
            load.flow()
            equal(cluster.wait_controller(), controller, "the controller: heartbeats and Raft were not disturbed")
            for broker in cluster.brokers:
                grown = broker.resident_kib - before[broker.id]
                true(grown < 64 * 1024, f"broker {broker.id} grew by {grown} KiB")
            clean(load.stop())


def limit_address_space(pid, more):
    """So many bytes more than it has."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        size = int(statm.read().split()[0]) * resource.getpagesize()
    resource.prlimit(pid, resource.RLIMIT_AS, (size + more, resource.RLIM_INFINITY))


def test_claims_cost_no_memory_and_a_request_without_memory_costs_its_connection():
    with Cluster(1) as cluster, contextlib.ExitStack() as clients:
        cluster.start()
        cluster.naru("topic", "create", "load", "-p", 3)
        broker = cluster[1]
        with Workload(cluster, "load") as load:
            load.flow()
            limit_address_space(broker.pid, 512 << 20)
            claimants = [clients.enter_context(socket.create_connection((broker.host, broker.port))) for _ in range(60)]
            for connection in claimants:  # 6,000 MiB in all
                connection.sendall(struct.pack(">i", 100 << 20) + b"\0\0")
            load.flow()
            true(broker.running, "the broker lives")
            # And one that sends what it claims, where that much cannot be had.
            limit_address_space(broker.pid, 24 << 20)
            poured_in(broker.host, broker.port, struct.pack(">i", 100 << 20) + b"\0" * (100 << 20))
            told = "there is no memory for its request of 104857600 bytes"
            wait_until(lambda: told in broker.log(), "the closed connection to be told")
            load.flow()
            resource.prlimit(broker.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            equal(broker.log().count(told), 1, "lines about it")
            clean(load.stop())


def test_many_slow_connections_hold_nobody_up():
    with Cluster(1) as cluster, contextlib.ExitStack() as clients:
        cluster.start()
        cluster.naru("topic", "create", "load", "-p", 3)
        broker = cluster[1]
        with Workload(cluster, "load") as load:
            load.flow()
            before = broker.resident_kib
            slow = [clients.enter_context(socket.create_connection((broker.host, broker.port))) for _ in range(400)]
            for byte in struct.pack(">i", 50 << 20) + b"\0\0\0\0":  # each claims 50 MiB, and sends eight bytes one by one
                for connection in slow:
                    connection.sendall(bytes([byte]))
                load.flow(records=20)
            grown = broker.resident_kib - before
            true(grown < 64 * 1024, f"the broker grew by {grown} KiB for 400 slow connections")
            clean(load.stop())
