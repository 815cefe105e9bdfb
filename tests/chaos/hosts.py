"""Brokers on hosts of their own: network namespaces on one private bridge, and what can go wrong between them.

The bridge is in a namespace too, so neither the machine's firewall nor its addresses matter; the hosts reach nothing but
each other. Cuts drop silently, as a pulled switch port does: no RST, no ICMP. Addresses: 198.18.0.0/24 (RFC 2544).
"""
import os
import pathlib
import re
import subprocess

CLIENT = 0  # the host of the clients; brokers are 1, 2, 3, ...


def sh(*command, text=None, check=True):
    done = subprocess.run([str(word) for word in command], input=text, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


class Hosts:
    def __init__(self, run, brokers=3):
        self.tag = f"nc{os.getpid()}-{run.target}"  # two targets may be up beside each other
        self.hub = f"{self.tag}-hub"
        self.all = list(range(brokers + 1))
        self.rules = {i: [] for i in self.all}  # of the chain CHAOS of each host, in force at the moment
        self.forwards = {i: [] for i in self.all}
        self.dropped = 0                        # packets that rules since removed have hit
        run.undo.callback(self.down)
        self._up()

    @staticmethod
    def address(i):
        return f"198.18.0.{10 + i}"

    def name(self, i):
        return f"{self.tag}-{i}"

    def inside(self, i):
        return ["nsenter", f"--net=/run/netns/{self.name(i) if i != self.hub else self.hub}"]

    def _up(self):
        sh("ip", "netns", "add", self.hub)
        sh(*self.inside(self.hub), "ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0")
        sh(*self.inside(self.hub), "ip", "link", "set", "br0", "up")
        for i in self.all:
            sh("ip", "netns", "add", self.name(i))
            sh("ip", "link", "add", "eth0", "netns", self.name(i), "type", "veth", "peer", "name", f"p{i}", "netns", self.hub)
            sh(*self.inside(self.hub), "ip", "link", "set", f"p{i}", "master", "br0", "up")
            sh(*self.inside(i), "ip", "-batch", "-", text=f"link set lo up\naddr add {self.address(i)}/24 dev eth0\nlink set eth0 up\n")
            sh(*self.inside(i), "iptables-restore", text="*filter\n:CHAOS - [0:0]\n-A INPUT -i eth0 -j CHAOS\nCOMMIT\n")

    def down(self):
        for name in [*(self.name(i) for i in self.all), self.hub]:
            if pathlib.Path("/run/netns", name).exists():
                sh("ip", "netns", "del", name, check=False)

    def place(self, cluster):
        """Each broker on its host, the command and the clients on theirs."""
        cluster.enter = self.inside(CLIENT)
        for broker in cluster.brokers:
            broker.host = self.address(broker.id)
            broker.enter = self.inside(broker.id)
        return cluster

    # Rules are kept here and written as a whole, so that a change takes effect at once and everywhere on a host.
    def _apply(self, i):
        self._count(i)
        text = "*filter\n:CHAOS - [0:0]\n" + "".join(f"-A CHAOS {rule}\n" for rule in self.rules[i]) + "COMMIT\n"
        sh(*self.inside(i), "iptables-restore", "--noflush", "-w", text=text)

    def _count(self, i):
        listed = sh(*self.inside(i), "iptables", "-w", "-nvxL", "CHAOS")
        self.dropped += sum(int(n) for n in re.findall(r"^\s*(\d+)\s+\d+\s+(?:DROP|REJECT)", listed, re.M))

    def hits(self):
        """Packets that rules have hit so far: the proof that a cut cut something."""
        for i in self.all:
            if self.rules[i]:
                self._apply(i)  # counts and starts counting anew
        return self.dropped

    def deafen(self, to, heard, ports=None, tail="-j DROP"):
        """Host `to` no longer hears host `heard` (on these destination or source ports)."""
        source = f"-s {self.address(heard)} "
        new = [f"{source}{tail}"] if ports is None else [
            f"{source}-p tcp -m multiport --{side} {','.join(map(str, ports))} {tail}" for side in ("dports", "sports")]
        self.rules[to] += [rule for rule in new if rule not in self.rules[to]]
        return to

    def cut(self, a, b, one_way=False, ports=None):
        """No packet between a and b; one way: none from a to b. Lists are allowed."""
        touched = set()
        for x in a if isinstance(a, (list, tuple)) else [a]:
            for y in b if isinstance(b, (list, tuple)) else [b]:
                if x != y:
                    touched.add(self.deafen(y, x, ports))
                    if not one_way:
                        touched.add(self.deafen(x, y, ports))
        for i in touched:
            self._apply(i)

    def isolate(self, i):
        self.cut(i, [j for j in self.all if j != i])

    def lose(self, i, percent):
        """So many of the packets that reach i are lost."""
        self.rules[i] = [f"-m statistic --mode random --probability {percent / 100:.4f} -j DROP"]
        self._apply(i)

    def reset(self, i, ports, established_only=True, percent=100):
        """Packets that reach i to or from these ports are answered with RST."""
        state = "-m conntrack --ctstate ESTABLISHED " if established_only else ""
        some = "" if percent == 100 else f"-m statistic --mode random --probability {percent / 100:.4f} "
        self.rules[i].append(f"-p tcp -m multiport --ports {','.join(map(str, ports))} {state}{some}-j REJECT --reject-with tcp-reset")
        self._apply(i)


    def rate(self, i, mbit):
        """Host i sends at most so many Mbit a second."""
        sh(*self.inside(i), "tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", f"{mbit}mbit", "burst", "32k", "latency", "400ms")

    def redirect(self, i, port, to):
        """Connections to this port of i end at port `to` there: a proxy that knows where they were going."""
        sh(*self.inside(i), "iptables", "-w", "-t", "nat", "-A", "PREROUTING", "-i", "eth0", "-p", "tcp", "--dport", port, "-j", "REDIRECT",
           "--to-ports", to)
        self.forwards[i].append((port, to))

    def heal(self):
        for i in self.all:
            if self.rules[i]:
                self._count(i)
                self.rules[i] = []
                sh(*self.inside(i), "iptables", "-w", "-F", "CHAOS")
