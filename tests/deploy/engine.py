"""A container engine of the tests' own, where `docker` reaches none and no DOCKER_HOST names one.

dockerd and its tools are Debian's, unpacked below build/engine; base images are made from Debian's archive, not fetched from a
registry. The process that tests moves into a network of its own, where the engine has its bridges, addresses and rules for
packets (slirp4netns passes on what leaves it), and dockerd has processes and mounts of its own: when the tests end, however they
end, the kernel takes all of that with them. What stays are empty control groups and folders below /run, which dockerd makes.
"""
import contextlib
import ctypes
import fcntl
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from unittest import mock

from missing import TOP, Missing, need_docker, need_program
from naru_cluster import Failed, wait_until

PLACE = TOP / "build" / "engine"
PROGRAMS = PLACE / "programs"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# The first release with compose and buildx as plugins. Its programs run on Debian 12, but for runc.
RELEASE, PACKAGES = "trixie", ("docker.io", "docker-cli", "docker-compose", "docker-buildx", "containerd")
BASE, IMAGES = "bookworm", ("debian:bookworm", "debian:bookworm-slim")
NEW_NETWORK, NEW_MOUNTS = 0x40000000, 0x00020000  # linux/sched.h

libc = ctypes.CDLL(None, use_errno=True)


def say(text):
    print(f"container engine: {text}", file=sys.stderr, flush=True)


def run(*words, **options):
    done = subprocess.run([str(w) for w in words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise Missing(f"{' '.join(map(str, words[:3]))} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def remove(folder):
    if folder.exists():
        shutil.rmtree(folder)


def kernel(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def die_with_parent():
    kernel(libc.prctl(1, signal.SIGKILL))  # PR_SET_PDEATHSIG


# What it is made of --------------------------------------------------------------------------------------------------


def archive():
    """Where this machine has its Debian packages from, of whatever release: a mirror, as likely as not."""
    found = re.search(r"^(\S+) (?:bookworm|trixie|forky|sid)$", run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"), re.M)
    if found is None:
        raise Missing("apt has no source of Debian's packages")
    return found[1]


def fetch_programs():
    if PROGRAMS.exists():
        return
    say(f"fetching {', '.join(PACKAGES)} of {RELEASE}")
    apt, unpacked = PLACE / "apt", PLACE / "unpacked"
    remove(apt)
    remove(unpacked)
    for folder in ("lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True)
    (apt / "sources.list").write_text(f"deb [signed-by={KEYRING}] {archive()} {RELEASE} main\n")
    options = [f"-oDir::Etc::SourceList={apt}/sources.list", "-oDir::Etc::SourceParts=/dev/null", f"-oDir::State::Lists={apt}/lists",
               f"-oDir::Cache={apt}/cache", "-oAPT::Sandbox::User=root"]
    run("apt-get", *options, "update", timeout=300)
    run("apt-get", *options, "download", *(f"{package}/{RELEASE}" for package in PACKAGES), cwd=apt, timeout=300)
    for package in apt.glob("*.deb"):
        run("dpkg-deb", "-x", package, unpacked)
    remove(apt)
    unpacked.rename(PROGRAMS)


def make_base():
    """As Docker Hub's: no service is started by a package. What apt is told here (proxies, dates) holds in there, too."""
    made = PLACE / "debian.tar"
    if made.exists():
        return made
    say(f"making Debian's {BASE} by debootstrap")
    root, mirror = PLACE / "root", archive()
    remove(root)
    more = ["--include=ca-certificates"] if mirror.startswith("https") else []
    # Among mounts of its own: of one that is killed no /proc stays mounted below the folder that the next run removes.
    run("unshare", "--mount", "debootstrap", "--variant=minbase", f"--keyring={KEYRING}", *more, BASE, root, mirror, timeout=900)
    (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (root / "usr/sbin/policy-rc.d").chmod(0o755)
    (root / "etc/dpkg/dpkg.cfg.d/speed").write_text("force-unsafe-io\n")
    told = re.findall(r"^Acquire::(?:http|https|Check-|Retries).*", run("apt-config", "dump"), re.M)
    (root / "etc/apt/apt.conf.d/machine").write_text("".join(f"{line}\n" for line in told))
    run("tar", "-C", root, "--numeric-owner", "--exclude=./dev/*", "--exclude=./var/cache/apt/*", "--exclude=./var/lib/apt/lists/*",
        "-cf", f"{made}.part", ".")
    os.replace(f"{made}.part", made)
    remove(root)
    return made


# Where it runs -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def network_of_our_own():
    """This process is alone there, with a way out through slirp4netns, which asks the machine's name servers for it."""
    outside, outer_mounts = (os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in ("net", "mnt"))
    read, write = os.pipe()

    def from_outside():
        die_with_parent()
        kernel(libc.setns(outside, NEW_NETWORK))
        kernel(libc.setns(outer_mounts, NEW_MOUNTS))  # it reads whom to ask for names there, not here, where that is itself
    with contextlib.ExitStack() as undo:
        kernel(libc.unshare(NEW_NETWORK | NEW_MOUNTS))
        undo.callback(lambda: kernel(libc.setns(outside, NEW_NETWORK)))
        run("mount", "--make-rprivate", "/")
        run("ip", "link", "set", "lo", "up")
        slirp = subprocess.Popen(["slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback", f"--ready-fd={write}",
                                  "--netns-type=path", f"/proc/{os.getpid()}/ns/net", "tap0"], preexec_fn=from_outside, pass_fds=[write],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(PLACE / "slirp4netns.log", "wb"))
        undo.callback(slirp.wait)
        undo.callback(slirp.kill)
        os.close(write)
        if os.read(read, 1) != b"1":
            raise Missing(f"slirp4netns says: {(PLACE / 'slirp4netns.log').read_text().strip()[-500:]}")
        (PLACE / "resolv.conf").write_text("nameserver 10.0.2.3\n")
        run("mount", "--bind", PLACE / "resolv.conf", os.path.realpath("/etc/resolv.conf"))
        undo.callback(run, "umount", os.path.realpath("/etc/resolv.conf"))
        yield


def end(unshare):
    """The first process of dockerd's is killed, and with it all others; unshare waits for them."""
    if unshare.poll() is None:
        for child in pathlib.Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        unshare.wait()
    remove(PLACE / "data")


@contextlib.contextmanager
def daemon(run_in):
    """dockerd; whoever runs `docker` below us reaches it."""
    socket, log = f"unix://{run_in}/docker.sock", PLACE / "dockerd.log"
    remove(PLACE / "data")  # of a run that was killed
    plugins = PLACE / "docker" / "cli-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    for plugin in (PROGRAMS / "usr/libexec/docker/cli-plugins").iterdir():
        (plugins / plugin.name).unlink(missing_ok=True)
        (plugins / plugin.name).symlink_to(plugin)
    environment = {"PATH": f"{PROGRAMS}/usr/bin:{PROGRAMS}/usr/sbin:{os.environ['PATH']}", "DOCKER_HOST": socket,
                   "DOCKER_CONFIG": str(plugins.parent)}
    with contextlib.ExitStack() as undo:
        undo.enter_context(mock.patch.dict(os.environ, environment))
        started = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "dockerd", "--host", socket, "--data-root",
                                    str(PLACE / "data"), "--exec-root", f"{run_in}/exec", "--pidfile", f"{run_in}/pid", "--bip", "198.18.0.1/24",
                                    "--default-address-pool", "base=198.18.0.0/16,size=24"], preexec_fn=die_with_parent,
                                   stdin=subprocess.DEVNULL, stdout=open(log, "wb"), stderr=subprocess.STDOUT)
        undo.callback(end, started)

        def answers():
            if started.poll() is not None:
                raise Missing(f"dockerd ended: {log.read_text().strip()[-1000:]}")
            return subprocess.run(["docker", "version"], capture_output=True, check=False, timeout=60).returncode == 0
        wait_until(answers, f"dockerd to answer (see {log})", 60, pause=0.2)
        for image in IMAGES:
            run("docker", "import", "-c", 'CMD ["bash"]', PLACE / "debian.tar", image)
        run("docker", "run", "--rm", IMAGES[0], "true", timeout=60)  # one that runs no container is none
        yield


def need_means():
    """What it takes to start one of our own; Missing says what is not here."""
    if os.geteuid() != 0:
        raise Missing("only root can start one")
    if os.environ.get("AWS_ENDPOINT_URL"):
        raise Missing("AWS_ENDPOINT_URL names something that its network may not reach")
    for name in ("apt-get", "dpkg-deb", "debootstrap", "slirp4netns", "runc", "iptables", "unshare"):
        need_program(name, "to start one (scripts/test --deploy installs it)")


@contextlib.contextmanager
def engine_of_our_own():
    """Raises Missing, with the reason, where none can be had."""
    need_means()
    PLACE.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        lock = stack.enter_context(open(PLACE / "lock", "wb"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Missing("another run in this tree has one") from None
        fetch_programs()
        make_base()
        stack.enter_context(network_of_our_own())
        stack.enter_context(daemon(stack.enter_context(tempfile.TemporaryDirectory(prefix="naru-engine-"))))
        yield


@contextlib.contextmanager
def engine():
    """An engine for as long as this lasts: the one that `docker` reaches, else one of our own, else none. Gives the reason then."""
    with contextlib.ExitStack() as stack:
        why = None
        try:
            need_docker()
        except Missing as none:
            why = str(none)
        if why and not os.environ.get("DOCKER_HOST"):
            try:
                stack.enter_context(engine_of_our_own())
                why = None
            except (Missing, Failed, OSError, subprocess.SubprocessError) as failure:
                why += f"; and none of the tests' own: {failure}"
        yield why
