"""The Debian package and the unit on a host with systemd: installed, run, crashed, stopped, upgraded, purged."""
import contextlib
import pathlib
import re
import secrets

from hosts import IMAGE, LABEL, docker, inside, require_docker
from missing import needs
from naru_cluster import wait_until
from package import package
from support import equal, true

NEEDS = ("engine", "root", "package")

HERE = pathlib.Path(__file__).resolve().parent
EXPOSURE_MOST = 2.5  # systemd-analyze's word for it, 0 to 10: "OK" begins at 5, "SAFE" is below 2


@contextlib.contextmanager
def host(*words):
    """A container with systemd; `words` are options of docker run."""
    require_docker()
    name = f"{LABEL}-package-{secrets.token_hex(4)}"
    docker("run", "-d", "--name", name, "--label", LABEL, "--privileged", "--cgroupns=private", "--tmpfs", "/run", "--tmpfs", "/tmp:exec",
           "-v", f"{package().parent}:/packages:ro", "-v", f"{HERE}:/tests:ro", *words, IMAGE)
    try:
        wait_until(lambda: inside(name, "systemctl", "is-system-running", check=False) in ("running", "degraded"), "systemd", 180, pause=0.2)
        yield name
    finally:
        docker("rm", "-fv", name, check=False)


def shell(container, command, check=True, timeout=300):
    return docker("exec", container, "bash", "-c", command, check=check, timeout=timeout)


def install(container):
    shell(container, f"apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y /packages/{package().name}", timeout=600)


def test_installed_run_and_removed():
    with host() as machine:
        install(machine)
        check_files(machine)
        check_completion_words(machine)
        check_service(machine)
        check_completion_of_topics(machine)
        check_hardening(machine)
        check_crash_and_stop(machine)
        check_upgrade(machine)
        check_removal(machine)


def check_files(machine):
    equal(shell(machine, "systemctl is-enabled naru; systemctl is-active naru", check=False).split(), ["disabled", "inactive"],
          "an installation starts nothing: a broker needs its configuration first")
    true("naru" in shell(machine, "getent passwd naru"), "the user")
    equal(shell(machine, "stat -c '%U:%G %a' /var/lib/naru"), "naru:naru 750", "the data directory")
    equal(shell(machine, "dpkg-query -W -f '${Conffiles}' naru").split()[0], "/etc/naru/server.properties", "conffile")
    shell(machine, "naru config check /etc/naru/server.properties")
    equal(shell(machine, "systemd-analyze verify /lib/systemd/system/naru.service 2>&1 | grep -i naru.service", check=False), "", "complaints")
    manual = shell(machine, "MANWIDTH=100 man --warnings naru 2>&1 | col -b")
    for word in ("naru topic create", "--if-absent", "SYNOPSIS", "/etc/naru/server.properties"):
        true(word in manual, f"{word} is in the manual page")
    equal(shell(machine, "dpkg --verify naru"), "", "changed files")


def check_completion_words(machine):
    bash = r'''source /usr/share/bash-completion/completions/naru
offer() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _naru; printf '%s\n' "${COMPREPLY[@]}"; }
'''
    for words, expected in ((["naru", "topi"], ["topic"]), (["naru", "topic", "cr"], ["create"]), (["naru", "status", "-o", "j"], ["json"]),
                            (["naru", "topic", "create", "--if"], ["--if-absent"]), (["naru", "completion", "z"], ["zsh"]),
                            (["naru", "drill", "rolling"], ["rolling-restart"]), (["naru", "config", "get", "cl"], ["cluster"]),
                            (["naru", "why", "produce", ""], [])):
        quoted = " ".join(f"'{w}'" for w in words)
        equal(shell(machine, f"{bash}offer {quoted}").split(), expected, f"bash after {words}")
        line = " ".join(words)
        equal([o.split("\t")[0] for o in shell(machine, f"fish -c \"complete -C '{line}'\"").splitlines()], expected, f"fish after {words}")
        if len(expected) == 1:
            completed = " ".join([*words[:-1], *expected])
            equal(shell(machine, f"zsh -f /tests/zsh_completions '{line}'", timeout=60), completed, f"zsh after {words}")


def check_service(machine):
    """`systemctl start` returns when clients are served: the very next command works."""
    shell(machine, "systemctl enable --now naru && naru topic create orders -p 3 && echo hello | naru produce orders")
    equal(shell(machine, "naru consume orders -e"), "hello", "what was consumed")
    equal(shell(machine, "systemctl show -p StatusText --value naru"), "serves clients", "what it says of itself")
    equal(shell(machine, "ls -d /var/lib/naru/data/orders-*").split(), [f"/var/lib/naru/data/orders-{n}" for n in range(3)], "partitions")
    pid = shell(machine, "systemctl show -p MainPID --value naru")
    equal(shell(machine, f"ps -o user= -p {pid}"), "naru", "who it runs as")
    equal(shell(machine, "systemctl show -p LimitNOFILE --value naru"), "1000000", "descriptors that the unit asks for")
    # As many as there may be here: a sandbox's own limit is what its init has.
    least = min(1_000_000, int(shell(machine, "awk '/Max open files/ {print $5}' /proc/1/limits")))
    equal(shell(machine, f"awk '/Max open files/ {{print $4}}' /proc/{pid}/limits"), str(least), "descriptors that the broker has")
    equal(shell(machine, "systemctl show -p OOMScoreAdjust --value naru"), "-500", "the kernel takes others first")
    true("cannot raise" not in shell(machine, "journalctl -u naru"), "the limit needs no raising")


def check_completion_of_topics(machine):
    bash = "source /usr/share/bash-completion/completions/naru; COMP_WORDS=(naru consume or); COMP_CWORD=2; _naru; echo ${COMPREPLY[@]}"
    equal(shell(machine, bash), "orders", "topics that the cluster has, in bash")
    equal(shell(machine, "fish -c \"complete -C 'naru topic describe or'\"").split(), ["orders"], "in fish")
    equal(shell(machine, "zsh -f /tests/zsh_completions 'naru topic describe or'", timeout=60), "naru topic describe orders", "in zsh")


def check_hardening(machine):
    verdict = shell(machine, "systemd-analyze security --no-pager naru.service | tail -1")
    found = re.search(r"exposure level for naru.service: ([0-9.]+)", verdict)
    true(found and float(found[1]) <= EXPOSURE_MOST, f"exposure of at most {EXPOSURE_MOST}: {verdict}")
    enter = "nsenter --mount --target $(systemctl show -p MainPID --value naru) -- "
    # Where it may write: the same way there shows that what is refused elsewhere is the writing.
    equal(shell(machine, f"{enter} touch /var/lib/naru/x && {enter} rm /var/lib/naru/x && echo written"), "written", "its own directory")
    for path in ("/usr/bin/x", "/etc/naru/x", "/home/x", "/root/x"):
        true(shell(machine, f"{enter} touch {path} 2>&1 || echo refused", check=False).endswith("refused"), f"the broker could write {path}")


def check_crash_and_stop(machine):
    before = shell(machine, "systemctl show -p MainPID --value naru")
    shell(machine, "systemctl kill --signal=SIGKILL naru")
    wait_until(lambda: shell(machine, "systemctl is-active naru", check=False) == "active" and
               shell(machine, "systemctl show -p MainPID --value naru") != before, "the broker after a crash", 60, pause=0.2)
    equal(shell(machine, "naru consume orders -e"), "hello", "what was consumed after a crash")
    shell(machine, "systemctl stop naru")
    state = dict(line.split("=", 1) for line in shell(machine, "systemctl show naru -p Result -p ExecMainStatus").splitlines())
    equal(state, {"Result": "success", "ExecMainStatus": "0"}, "a stop is in order")
    shell(machine, "sed -i 's/^node.id=1/node.id=one/' /etc/naru/server.properties; systemctl start naru", check=False)
    equal(shell(machine, "systemctl show -p NRestarts -p ActiveState -p ExecMainStatus naru").split(),
          ["NRestarts=0", "ExecMainStatus=2", "ActiveState=failed"], "wrong configuration is not tried again and again")
    shell(machine, "sed -i 's/^node.id=one/node.id=1/' /etc/naru/server.properties; systemctl reset-failed naru; systemctl start naru")


def check_upgrade(machine):
    shell(machine, "echo log.retention.hours=24 >> /etc/naru/server.properties")
    before = shell(machine, "systemctl show -p MainPID --value naru")
    shell(machine, f"DEBIAN_FRONTEND=noninteractive apt-get install -y --reinstall /packages/{package().name}")
    true("log.retention.hours=24" in shell(machine, "cat /etc/naru/server.properties"), "an upgrade keeps the configuration")
    # The upgrade does not wait for it: a cluster without a majority would hold dpkg's lock.
    wait_until(lambda: shell(machine, "systemctl show -p MainPID --value naru") not in ("0", before) and
               shell(machine, "systemctl is-active naru", check=False) == "active", "the broker that an upgrade restarts", 60, pause=0.2)
    equal(shell(machine, "naru consume orders -e"), "hello", "what was consumed after the upgrade")


def check_removal(machine):
    shell(machine, "DEBIAN_FRONTEND=noninteractive apt-get remove -y naru")
    equal(shell(machine, "systemctl is-active naru", check=False), "inactive", "a removed broker")
    equal(shell(machine, "ls /etc/naru"), "server.properties", "removal keeps the configuration")
    said = shell(machine, "dpkg --purge naru 2>&1")
    true("/var/lib/naru stay" in said, f"purge says that records stay: {said}")
    equal(shell(machine, "ls -d /etc/naru /var/lib/naru/data/orders-0", check=False), "/var/lib/naru/data/orders-0", "what purge leaves")


def test_lintian_has_nothing_to_say():
    """Debian's own checker, but for what deploy/deb/lintian-overrides names with a reason."""
    with host() as machine:
        shell(machine, "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends lintian", timeout=900)

        def found(*options):
            said = shell(machine, f"lintian {' '.join(options)} /packages/{package().name} 2>&1", check=False, timeout=900)
            return re.findall(r"^[EW]: naru: .*$", said, re.M), said
        without, said = found("--no-override")
        true(any("maintainer-script-calls-systemctl" in line for line in without), f"it looks at this package: {said}")
        findings, said = found()
        equal(findings, [], f"errors and warnings of lintian: {said}")


@needs("package")
def test_the_package_is_made_right():
    """What dpkg sees, without a host."""
    import subprocess
    fields = subprocess.run(["dpkg-deb", "-f", str(package())], check=True, capture_output=True, text=True).stdout
    architecture = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()
    true(f"Architecture: {architecture}" in fields and "Package: naru" in fields, fields)
    listed = subprocess.run(["dpkg-deb", "-c", str(package())], check=True, capture_output=True, text=True).stdout
    for path in ("./usr/bin/naru", "./lib/systemd/system/naru.service", "./etc/naru/server.properties", "./usr/share/man/man1/naru.1.gz",
                 "./usr/share/bash-completion/completions/naru", "./usr/share/zsh/vendor-completions/_naru",
                 "./usr/share/fish/vendor_completions.d/naru.fish", "./usr/share/lintian/overrides/naru"):
        true(re.search(rf" root/root .* {re.escape(path)}$", listed, re.M), f"{path} of root is in it:\n{listed}")
    true(not re.search(r"^-rw.rw", listed, re.M), f"nothing is writable for a group:\n{listed}")
