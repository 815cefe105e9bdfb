"""The little of Kafka's protocol that the edge scenarios speak by hand, on top of tests/clients/bad_input.py."""
import contextlib
import socket
import struct
import sys

from means import HERE

sys.path.append(str(HERE.parent / "clients"))
import bad_input  # noqa: E402

frame, header, string = bad_input.frame, bad_input.header, bad_input.string


def connect(broker, port=None, timeout=5.0):
    return socket.create_connection((broker.host, port or broker.port), timeout=timeout)


def exchange(connection, request):
    """One request, one response without its length and correlation id."""
    connection.sendall(frame(request))
    return read_frame(connection)[4:]


def read_frame(connection):
    (size,) = struct.unpack(">i", read(connection, 4))
    return read(connection, size)


def read(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionResetError("closed")
        data += part
    return data


def produce_request(topic, records, acks=-1, partition=0, correlation=7):
    """Produce v7, as bytes of a frame's content."""
    body = struct.pack(">hhi", -1, acks, 5000) + struct.pack(">i", 1) + string(topic) + struct.pack(">ii", 1, partition)
    return header(0, 7, correlation) + body + struct.pack(">i", len(records)) + records


def produce(connection, topic, records, **more):
    """(error code, base offset) of one partition."""
    answer = exchange(connection, produce_request(topic, records, **more))
    at = 4 + 2 + len(topic) + 4 + 4
    return struct.unpack_from(">hq", answer, at)


def closed_by(connection, timeout):
    """Whether the broker closes this connection within so many seconds; what it sends before is dropped."""
    connection.settimeout(timeout)
    with contextlib.suppress(ConnectionError):
        try:
            while connection.recv(65536):
                pass
        except socket.timeout:
            return False
    return True


# A member of a group, as old clients speak (JoinGroup v2, SyncGroup v1, Heartbeat v1, LeaveGroup v1).

def find_coordinator(connection, group):
    answer = exchange(connection, header(10, 0) + string(group))
    error, node = struct.unpack_from(">hi", answer)
    return error, node


def join_request(group, member, session_ms=10000, rebalance_ms=10000):
    return (header(11, 2) + string(group) + struct.pack(">ii", session_ms, rebalance_ms) + string(member) + string("consumer") +
            struct.pack(">i", 1) + string("range") + struct.pack(">i", 0))


def parse_join(answer):
    """(error, generation, member id, leader id, number of members)"""
    error, generation = struct.unpack_from(">hi", answer, 8)  # after correlation id and throttle time
    at = 14
    words = []
    for _ in range(3):
        (size,) = struct.unpack_from(">h", answer, at)
        words.append(answer[at + 2:at + 2 + size].decode())
        at += 2 + size
    (members,) = struct.unpack_from(">i", answer, at)
    return error, generation, words[2], words[1], members


def sync_request(group, generation, member, assignments=()):
    body = header(14, 1) + string(group) + struct.pack(">i", generation) + string(member) + struct.pack(">i", len(assignments))
    for name, what in assignments:
        body += string(name) + struct.pack(">i", len(what)) + what
    return body


def leave_request(group, member):
    return header(13, 1) + string(group) + string(member)
