"""naru drill against a user's own cluster: the harm is done, the verdict is given, and everything is as before."""
import json
import os
import pathlib
import pty
import re
import signal
import subprocess

from naru_cluster import Cluster, clean_environment, naru_binary, wait_until
from support import equal, smoke, true
from test_disks import small_disk


# A pause that is no death: who is taken for dead meanwhile may tell an older end before it learns that it leads no longer.
SHORT = "300ms"


def drilled(cluster, *words, lasts="1s", stale_allowed=False):
    done = cluster.run("drill", *words, "--yes", "--quiet-time", "1s", "--for", lasts, "--rate", 300, "-o", "json", timeout=240.0)
    said = f"naru drill {words}: {done.returncode}: {done.stdout[-1500:]} {done.stderr[-1500:]}"
    true(done.returncode == 0 or (done.returncode == 10 and stale_allowed), said)
    verdict = json.loads(done.stdout)
    broken = [name for name, count in verdict["anomalies"].items() if count and not (name == "stale" and stale_allowed)]
    true(not broken and verdict["complete"], said)
    return verdict, done.stderr


def started_by_the_drill(cluster):
    """Processes of the cluster's brokers that this test did not start."""
    own = {b.pid for b in cluster.brokers if b.process is not None}
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except OSError:
            continue  # it has ended
        pid = int(entry.parent.name)
        if f"{cluster.dir}/".encode() in words and b"start" in words.split(b"\0") and pid not in own:
            found.append(pid)
    return found


@smoke
def test_kill_the_leader_and_start_it_again():
    with Cluster(3) as cluster:
        cluster.start()
        try:
            verdict, said = drilled(cluster, "kill-leader")
            true("kill -9 broker" in said, said)
            equal(verdict["anomalies"]["lost"], 0, "records lost")
            equal(len(verdict["faults"]), 1, "faults in the verdict")
            equal(len(started_by_the_drill(cluster)), 1, "brokers that the drill started again")
            equal(json.loads(cluster.naru("group", "list", "-o", "json")), [], "groups that the drill left")
        finally:
            for pid in started_by_the_drill(cluster):
                os.kill(pid, signal.SIGKILL)


def test_the_controller_is_killed_after_a_question_and_a_verdict_has_figures():
    with Cluster(3) as cluster:
        cluster.start()
        controller, pids = cluster.wait_controller(), {b.id: b.pid for b in cluster.brokers}
        mine, its = pty.openpty()
        drill = begin_drill(cluster, "kill-controller", "--quiet-time", "1s", "--for", "1s", stdin=its)
        os.close(its)
        try:
            stated = ""
            while "Go on?" not in stated:
                stated += (chunk := drill.stderr.read(1))
                true(chunk, f"the drill ended: {stated}")
            true(re.search(rf"This will kill -9 broker {controller} \(process {pids[controller]}\) and start it again after 1", stated), f"what it says first: {stated}")
            true(re.search(rf"Broker {controller} leads \d+ partitions and is the controller: their clients will notice", stated), f"whom it hits: {stated}")
            equal([b.running for b in cluster.brokers], [True] * 3, "brokers that run while it asks")
            os.write(mine, b"y\n")
            out, said = drill.communicate(timeout=240)
            equal(drill.returncode, 0, f"exit code of the drill: {out}{said}")
            true(not cluster[controller].running, f"broker {controller} was not killed: {said}")
            for words in (r"^PASS  kill-controller with topic naru-drill-\w+: nothing lost, duplicated", r"sent [\d,]+ +acknowledged [\d,]+",
                          r"at [\d.]+ s kill-controller: longest wait [\d.]+ m?s \(partition \d\); [\d?]+ a second before"):
                true(re.search(words, out), f"{words} in the verdict: {out}")
            true(cluster.controller() is not None, "there is a controller")
            equal(len(started_by_the_drill(cluster)), 1, "brokers that the drill started again")
        finally:
            os.close(mine)
            drill.kill()
            drill.communicate()
            for pid in started_by_the_drill(cluster):
                os.kill(pid, signal.SIGKILL)


def test_pause_of_a_leader():
    with Cluster(3) as cluster:
        cluster.start()
        unasked = cluster.run("drill", "pause")
        equal(unasked.returncode, 2, "exit code without --yes")
        true("SIGSTOP" in unasked.stderr, unasked.stderr)
        verdict, said = drilled(cluster, "pause", "--broker", 2, lasts=SHORT)
        true("stop broker 2" in said, said)
        equal(len(verdict["faults"]), 1, "faults in the verdict")
        equal(cluster.naru("topic", "list", "-o", "name"), "", "topics after the drill")
        nowhere = cluster.run("drill", "partition", "--yes")
        equal(nowhere.returncode, 2, "exit code of a cut that nobody knows how to make")
        nobody = cluster.run("drill", "pause", "--broker", 99, "--yes")
        equal((nobody.returncode, "there is no broker 99" in nobody.stderr), (1, True), f"a broker that there is not: {nobody.stderr}")


def test_a_drill_whose_terminal_closes_makes_good():
    with Cluster(3) as cluster:
        cluster.start()
        drill = subprocess.Popen([naru_binary(), "drill", "pause", "--broker", "2", "--yes", "--quiet-time", "100ms", "--for", "10m", "--rate", "100",
                                  "-b", cluster[1].address], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=clean_environment(),
                                 preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))  # these tests may run under nohup
        try:
            def is_stopped():
                return pathlib.Path(f"/proc/{cluster[2].pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
            wait_until(lambda: is_stopped() or drill.poll() is not None, "the drill to stop broker 2")
            drill.send_signal(signal.SIGHUP)
            said, _ = drill.communicate(timeout=240)
            equal(drill.returncode, 130, f"exit code of the drill: {said}")
            true(not is_stopped(), f"broker 2 is left stopped: {said}")
        finally:
            drill.kill()
            drill.communicate()
            cluster[2].signal(signal.SIGCONT)


def test_what_a_drill_cannot_undo_is_said():
    with Cluster(3) as cluster:
        cluster.start()
        done = cluster.run("drill", "partition", "--broker", 2, "--yes", "--quiet-time", "100ms", "--for", SHORT, "--rate", 100,
                           "--harm-with", "exit 3", "--heal-with", "exit 4", timeout=240.0)
        equal(done.returncode, 1, f"exit code: {done.stderr}")
        for words in ("`exit 3` ended with 3", "broker 2 may still be harmed (partition): `exit 4` ended with 4", "undo it by hand"):
            true(words in done.stderr, f"{words!r} in: {done.stderr}")


def begin_drill(cluster, *words, **options):
    return subprocess.Popen([naru_binary(), "drill", *words, "--rate", "100", "-b", cluster.bootstrap], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, env=clean_environment(), **options)


def test_one_drill_at_a_time():
    """A second one is refused, whether it comes later or was about to begin; neither harms anything."""
    with Cluster(3) as cluster:
        cluster.start()
        mine, its = pty.openpty()
        asking = begin_drill(cluster, "pause", "--quiet-time", "100ms", "--for", SHORT, stdin=its)
        os.close(its)
        first = None
        try:
            said = ""
            while "Go on?" not in said:  # so it has looked for others already
                said += (chunk := asking.stderr.read(1))
                true(chunk, f"the drill ended: {said}")
            first = begin_drill(cluster, "pause", "--quiet-time", "10m", "--yes", stdin=subprocess.DEVNULL)
            wait_until(lambda: any(g["name"].startswith("naru-drill-") and g["members"] for g in cluster.json("group", "list")),
                       "the clients of the first drill in their group")
            later = cluster.run("drill", "kill-leader", "--yes")
            equal(later.returncode, 1, f"exit code of a later drill: {later.stderr}")
            true("another drill is under way" in later.stderr and "kill -9" not in later.stderr, later.stderr)
            os.write(mine, b"y\n")
            out, rest = asking.communicate(timeout=240)
            equal(asking.returncode, 1, f"exit code of the one that had asked before: {out}{rest}")
            true("another drill is under way" in rest and "pause of broker" not in rest, rest)
            first.send_signal(signal.SIGINT)
            out, rest = first.communicate(timeout=240)
            equal(first.returncode, 130, f"exit code of the first drill, interrupted: {out}{rest}")
            true("pause of broker" not in rest, rest)
            equal([b.running for b in cluster.brokers], [True] * 3, "brokers that run")
            equal(cluster.naru("topic", "list", "-o", "name"), "", "topics after the drills")
        finally:
            os.close(mine)
            for drill in (asking, first):
                if drill is not None:
                    drill.kill()
                    drill.communicate()


def test_kill_by_command():
    """The harm is a command that the test serves, as it is for brokers in containers."""
    with Cluster(3) as cluster:
        cluster.start()
        pids = {b.id: b.pid for b in cluster.brokers}
        words = cluster.dir / "pids"
        words.mkdir()
        for broker_id, pid in pids.items():
            (words / str(broker_id)).write_text(str(pid))
        verdict, said = drilled(cluster, "kill-controller", "--harm-with", f"echo harmed {{id}}; kill -STOP $(cat {words}/{{id}})",
                                "--heal-with", f"kill -CONT $(cat {words}/{{id}})", lasts=SHORT)
        equal(len(verdict["faults"]), 1, "faults in the verdict")
        true(any(f"\nharmed {n}\n" in said for n in (1, 2, 3)), f"what the command says stands beside the verdict: {said}")


def test_the_group_has_offsets_everywhere_when_the_harm_begins():
    """What a group without offsets asks of a dying broker makes librdkafka read anew, for which the brokers would be blamed."""
    with Cluster(3) as cluster:
        cluster.start()
        seen = cluster.dir / "seen.json"
        naru = f"{naru_binary()} group"
        drilled(cluster, "partition", "--broker", 2, "--heal-with", "true", "--harm-with",
                f"{naru} describe $({naru} list -o name | grep naru-drill-) -o json > {seen}", lasts=SHORT)
        (group,) = json.loads(seen.read_text())
        committed = {o["partition"]: o["committed"] for o in group["offsets"]}
        equal(sorted(committed), list(range(6)), f"partitions of the group when the harm began: {group}")
        true(all(offset is not None for offset in committed.values()), f"committed when the harm began: {committed}")


def test_a_rolling_restart():
    with Cluster(3) as cluster:
        cluster.start()
        try:
            verdict, said = drilled(cluster, "rolling-restart")
            true("one after the other" in said and all(f"roker {n} leads " in said for n in (1, 2, 3)), said)
            equal(len(verdict["faults"]), 3, "faults in the verdict")
            equal(verdict["anomalies"]["lost"], 0, "records lost")
            equal(len(started_by_the_drill(cluster)), 3, "brokers that the drill started again")
        finally:
            for pid in started_by_the_drill(cluster):
                os.kill(pid, signal.SIGKILL)


def test_a_full_disk():
    with Cluster(3) as cluster, small_disk(cluster[2].data, 64):
        cluster.start()
        # A broker that cannot write its metadata log does not learn that it leads no longer (docs/architecture.md).
        verdict, said = drilled(cluster, "fill-disk", "--broker", 2, stale_allowed=True)
        true("fill the disk of broker 2" in said and str(cluster[2].data) in said, said)
        equal(len(verdict["faults"]), 1, "faults in the verdict")
        equal(verdict["anomalies"]["lost"], 0, "records lost")
        wait_until(lambda: not list(cluster[2].data.glob("naru-drill-*")), "nothing that the drill made on broker 2")
