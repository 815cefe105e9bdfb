"""A place where names of our own resolve: a network namespace with its own loopback and its own /etc/hosts.

Clients find brokers by the names that brokers advertise, so a test of that needs names, and must not edit the machine's
/etc/hosts. Every name gets an address 127.0.0.11, .12, ... that exists only inside; all can use the same port.

    with Hosts(["one.foo.bar", "two.foo.bar"]) as hosts:
        subprocess.run([*hosts.enter, "ping", "-c1", "one.foo.bar"])

Works for root, and for others where the kernel lets them have a user namespace. The namespace lives as long as the
process that holds it, and that one ends with this one; whatever still runs in there then is ended.
"""
import contextlib
import ctypes
import fcntl
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
MS_BIND = 4096


EXERCISE = ["peter-kafka01.foo.bar", "peter-kafka02.foo.bar", "peter-kafka03.foo.bar"]  # the brokers of the first exercise


class Unavailable(Exception):
    """This machine gives us no namespace."""


class Hosts:
    def __init__(self, names):
        self.network = None
        self.addresses = {name: f"127.0.0.{11 + i}" for i, name in enumerate(names)}
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="naru-hosts-"))
        table = self.dir / "hosts"
        table.write_text("127.0.0.1 localhost\n::1 localhost\n" + "".join(f"{ip} {name}\n" for name, ip in self.addresses.items()))
        unshare = ["unshare", "--net", "--mount"]
        enter = ["--net", "--mount"]
        if os.geteuid() != 0:
            unshare += ["--user", "--map-root-user"]
            enter += ["--user", "--preserve-credentials"]
        self.holder = subprocess.Popen([*unshare, sys.executable, __file__, str(table)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True, start_new_session=True)
        if self.holder.stdout.readline() != "ready\n":
            why = self.holder.stderr.read().strip()
            self.close()
            raise Unavailable(f"no network namespace here (root or user namespaces needed): {why}")
        self.network = os.readlink(f"/proc/{self.holder.pid}/ns/net")
        self.enter = ["nsenter", *enter, f"--target={self.holder.pid}", "--"]

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()

    def inhabitants(self):
        """The processes in our network, but for the one that holds it."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.readlink(entry / "ns/net") == self.network and "State:\tZ" not in (entry / "status").read_text():
                    found.append(int(entry.name))
            except OSError:
                continue  # it has ended, or is another user's
        return [pid for pid in found if pid != self.holder.pid]

    def end_inhabitants(self):
        """A shell that ends leaves behind what it started with &, detached programs stay: not in here."""
        while left := self.inhabitants():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def close(self):
        if self.network:
            self.end_inhabitants()
        self.holder.stdin.close()  # it reads until then
        self.holder.wait()
        self.holder.stdout.close()
        self.holder.stderr.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name, flags = struct.unpack("16sh", fcntl.ioctl(any_socket, SIOCGIFFLAGS, struct.pack("16sh", b"lo", 0)))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", name, flags | IFF_UP))


def hold(table):
    """Runs inside: brings the loopback up, puts our hosts over /etc/hosts, and stays until our standard input ends."""
    loopback_up()
    if ctypes.CDLL(None, use_errno=True).mount(os.fsencode(table), b"/etc/hosts", None, ctypes.c_ulong(MS_BIND), None) != 0:
        sys.exit(f"cannot put {table} over /etc/hosts: {os.strerror(ctypes.get_errno())}")
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    hold(sys.argv[1])
