"""What a machine must offer for a fault, and why it does not: missing(NAME) is None, or the reason in words."""
import functools
import os
import pathlib
import resource
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
SHIM = TOP / "build" / "chaos" / "shim.so"


def _works(*command):
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _root():
    return None if os.geteuid() == 0 else "needs root"


def _namespaces():
    if _root():
        return _root()
    for tool in ("ip", "iptables", "iptables-restore", "nsenter"):
        if not shutil.which(tool):
            return f"there is no {tool} (packages iproute2, iptables, util-linux)"
    name = f"nc{os.getpid()}-try"
    if not _works("ip", "netns", "add", name):
        return "the kernel does not allow network namespaces"
    try:
        inside = ("nsenter", f"--net=/run/netns/{name}")
        if not _works(*inside, "iptables", "-A", "INPUT", "-s", "198.18.0.1", "-j", "DROP"):
            return "iptables does not work in a namespace"
        if not _works(*inside, "ip", "link", "add", "br0", "type", "bridge"):
            return "the kernel has no bridges"
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)
    return None


def _redirect():
    if _namespaces():
        return _namespaces()
    name = f"nc{os.getpid()}-try"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        rule = ("iptables", "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "--dport", "1", "-j", "REDIRECT", "--to-ports", "2")
        return None if _works("nsenter", f"--net=/run/netns/{name}", *rule) else "iptables cannot redirect (no nat table)"
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


def _small_disk():
    if _root():
        return _root()
    place = HERE.parents[1] / "build" / "chaos" / f"try-{os.getpid()}"
    place.mkdir(parents=True, exist_ok=True)
    try:
        if not _works("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)):
            return "tmpfs cannot be mounted"
        subprocess.run(["umount", str(place)], check=True)
        return None
    finally:
        place.rmdir()


def _shim():
    """The preload library, compiled when its source is newer."""
    source = HERE / "shim.c"
    if SHIM.exists() and SHIM.stat().st_mtime >= source.stat().st_mtime:
        return None
    compiler = next((c for c in ("cc", "clang-19", "clang", "gcc") if shutil.which(c)), None)
    if not compiler:
        return "there is no C compiler for the preload shim"
    SHIM.parent.mkdir(parents=True, exist_ok=True)
    made = SHIM.with_name(f"shim.{os.getpid()}.so")
    built = subprocess.run([compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", str(made), str(source), "-ldl", "-lm"],
                           capture_output=True, text=True, check=False)
    if built.returncode != 0:
        return f"the preload shim does not compile: {built.stderr.strip()[:300]}"
    made.replace(SHIM)
    return None


def _cgroup(controller):
    def check():
        if _root():
            return _root()
        top = pathlib.Path("/sys/fs/cgroup") / controller
        return None if (top / "cgroup.procs").exists() else f"there is no cgroup v1 controller {controller}"
    return check


CROWD = 10_000  # connections that the largest scenarios hold


def more_descriptors(count):
    """Lets this process hold so many connections. None, or why it cannot."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 1000
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            return f"{hard} descriptors are too few for {count} connections (ulimit -Hn)"
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return None


CHECKS = {
    "root": _root, "namespaces": _namespaces, "redirect": _redirect, "small_disk": _small_disk, "shim": _shim,
    "cgroup_cpu": _cgroup("cpu"), "cgroup_pids": _cgroup("pids"), "cgroup_memory": _cgroup("memory"),
    "descriptors": lambda: more_descriptors(CROWD), "some_descriptors": lambda: more_descriptors(1500),
    "prlimit": lambda: None if shutil.which("prlimit") else "there is no prlimit (package util-linux)",
    "openssl": lambda: None if shutil.which("openssl") else "there is no openssl",
    "kafka_python": lambda: None if _works("python3", "-c", "import kafka") else "there is no python3-kafka",
}


@functools.cache
def missing(name):
    return CHECKS[name]()
