"""What the kernel knows of a process: the figures that noise moves least come from here."""
import os
import pathlib

from naru_cluster import Failed

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of all of its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb(pid, line="VmRSS"):
    """VmRSS is what is resident, RssAnon the part of it that no file backs."""
    for entry in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if entry.startswith(line + ":"):
            return int(entry.split()[1]) / 1000
    raise Failed(f"process {pid} has no {line}")


def cpu_of(cluster):
    return sum(cpu_seconds(b.pid) for b in cluster.brokers)


def memory_of(cluster, line="VmRSS"):
    return [memory_mb(b.pid, line) for b in cluster.brokers]
