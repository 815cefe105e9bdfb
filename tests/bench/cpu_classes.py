"""Where the CPU of a produced GB goes: samples of all brokers taken by perf while they are loaded, sorted into classes; and
how many system calls 16 KiB of payload take, counted in another run, for counting slows them down."""
import collections
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

from clients import output_of, run_load, say
from kernel import cpu_of
from naru_cluster import Cluster, Failed, wait_until

ELSE = "everything else in the broker"
CALLS = "other system calls, and the way in and out"
# Of a sample in the kernel: the first whose pattern some function of the stack there matches.
IN_KERNEL = (
    ("page faults", r"exc_page_fault|^do_user_addr_fault"),
    ("sending on sockets, with what loopback delivers meanwhile", r"sys_send(msg|to|mmsg)|^sock_sendmsg"),
    ("receiving from sockets", r"sys_recv(msg|from|mmsg)|^sock_recvmsg"),
    ("writing to the page cache, and starting its writeback", r"pwritev|^vfs_writev|sync_file_range"),
    ("waiting for and waking threads: epoll, futex, timers", r"epoll|^ep_|futex|timerfd|nanosleep"),
)
# Of one outside: the first whose pattern the function that runs, or the library it is from, matches.
IN_LIBRARY = (("HTTP/2, gRPC, Protobuf", r"nghttp2|protobuf|grpc"), ("CRC32C", r"isal"), ("clock and locks", r"vdso"))
IN_FUNCTION = (
    ("allocation", r"malloc|calloc|realloc|free@|^cfree|^_int_|operator (new|delete)|arena_"),
    ("copies in user space", r"^__?mem(cpy|move|set)"),
    ("CRC32C", r"^crc32"),
    ("clock and locks", r"clock_gettime|pthread_mutex|lll_lock|pthread_cond"),
    ("HTTP/2, gRPC, Protobuf", r"nghttp2|google::protobuf|naru::cluster|grpc"),
    ("the shards' event loop (Asio)", r"^boost::asio"),
    ("decode and validation", r"^common::records|^kafka::|validate_"),
)
COUNTED = ("sendmsg", "recvfrom", "recvmsg", "epoll_wait", "epoll_ctl", "pwritev", "timerfd_settime", "futex", "sync_file_range")


def samples(text):
    """The stacks of `perf script -F comm,ip,sym,dso`: for each a list of (function, file), the innermost first."""
    for block in text.split("\n\n"):
        frames = [re.match(r"\s+[0-9a-f]+ (.*) \((.*)\)$", line) for line in block.splitlines()]
        stack = [(frame[1], frame[2]) for frame in frames if frame]
        if stack:
            yield stack


def class_of(stack):
    def first(classes, matches, otherwise):
        return next((name for name, pattern in classes if matches(pattern)), otherwise)
    kernel = [function for function, file in stack if file.startswith("[kernel")]
    if kernel:
        return first(IN_KERNEL, lambda pattern: any(re.search(pattern, function) for function in kernel), CALLS)
    function, file = stack[0]
    library = first(IN_LIBRARY, lambda pattern: re.search(pattern, pathlib.PurePath(file).name), None)
    return library or first(IN_FUNCTION, lambda pattern: re.search(pattern, function), ELSE)


def shares(text):
    counts = collections.Counter(class_of(stack) for stack in samples(text))
    return {name: count / counts.total() for name, count in counts.most_common()}


def calls(text):
    """Of `perf stat -x,`: system calls by name."""
    found = re.findall(r"^(\d+),[^,]*,syscalls:sys_enter_(\w+),", text, re.MULTILINE)
    return {name: int(count) for count, name in found}


def counts_by_now(program):
    """Or has ended, and says why when it is waited for."""
    if program.poll() is not None:
        return True
    with contextlib.suppress(FileNotFoundError):  # closed since it was listed: the next look tells
        return any(os.readlink(place) == "anon_inode:[perf_event]" for place in pathlib.Path(f"/proc/{program.pid}/fd").iterdir())
    return False


@contextlib.contextmanager
def beside(command):
    """perf, which runs as long as the block and writes its file when it is told to end."""
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as program:
        try:
            wait_until(lambda: counts_by_now(program), "perf to begin", timeout=30, pause=0.05)
            yield
        finally:
            program.send_signal(signal.SIGINT)
            _, errors = program.communicate(timeout=60)
    if program.returncode not in (0, -signal.SIGINT):
        raise Failed(f"{command[0]} {command[1]} ended with {program.returncode}: {errors[-500:]}")


def produce(cluster, megabytes, batch):
    """CPU seconds of all brokers, and how many GB were acknowledged."""
    before = cpu_of(cluster)
    done = run_load("produce", "--bootstrap", cluster.bootstrap, "--topic", "load", "--megabytes", megabytes, "--batch-bytes", batch,
                    "--linger-ms", 5)
    if done["failed"]:
        raise Failed(f"{done['failed']} records failed")
    return cpu_of(cluster) - before, done["acked"] * 1024 / 1e9


def sampled(cluster, megabytes, batch, place):
    """CPU seconds a GB by class."""
    data = place / "perf.data"
    pids = ",".join(str(broker.pid) for broker in cluster.brokers)
    with beside(["perf", "record", "--no-buildid", "-e", "cpu-clock", "-F", 499, "-g", "-o", data, "-p", pids]):
        used, gigabytes = produce(cluster, megabytes, batch)
    found = shares(output_of("perf script", ["perf", "script", "-i", data, "-F", "comm,ip,sym,dso"]))
    if not found:
        raise Failed("perf took no samples")
    return {name: (share, share * used / gigabytes) for name, share in found.items()}


def counted(cluster, megabytes, batch, place):
    """System calls for 16 KiB of payload, by name."""
    told = place / "perf.stat"
    events = ",".join(f"syscalls:sys_enter_{name}" for name in COUNTED)
    pids = ",".join(str(broker.pid) for broker in cluster.brokers)
    with beside(["perf", "stat", "-x,", "-o", told, "-e", events, "-p", pids]):
        _, gigabytes = produce(cluster, megabytes, batch)
    return {name: count / (gigabytes * 1e9 / 16384) for name, count in calls(told.read_text()).items()}


def measured(megabytes):
    if shutil.which("perf") is None:
        raise Failed("perf is not installed: apt-get install linux-perf")
    rows = []
    for batch in (16384, 131072):
        size = f"{batch // 1024} KiB batches"
        say(f"classes of CPU, {size}")
        with Cluster(3, settings={"naru.shards": None}) as cluster, tempfile.TemporaryDirectory() as place:
            cluster.start()
            cluster.naru("topic", "create", "load", "-p", 6)
            cluster.wait_isr("load")
            produce(cluster, megabytes, batch)  # what happens only once is over
            for name, (share, seconds) in sampled(cluster, megabytes, batch, pathlib.Path(place)).items():
                rows.append({"figure": f"CPU a GB, {size}: {name}", "unit": "s/GB", "values": [seconds], "note": f"{share:.1%}", "better": "lower"})
            for name, count in counted(cluster, megabytes, batch, pathlib.Path(place)).items():
                rows.append({"figure": f"{name} for 16 KiB, {size}", "unit": "calls", "values": [count], "note": "three brokers", "better": "lower"})
    return rows
