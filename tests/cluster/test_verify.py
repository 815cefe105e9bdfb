"""`naru verify`: passes over a kill, its history reads back as the same verdict, and a run that shows too little says so."""
import json
import pathlib
import signal
import subprocess
import tempfile

from naru_cluster import Cluster, Workload, clean_environment, wait_until
from support import equal, true


def start_verify(cluster, *words):
    return subprocess.Popen([cluster.naru_path, "verify", "-b", cluster.bootstrap, *map(str, words)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env=clean_environment())


def finish(process):
    out, err = process.communicate(timeout=180)
    return process.returncode, out, err


def check_file(cluster, file):
    return cluster.run("verify", "check", file, "-o", "json")


def test_verify_passes_over_kills_and_its_history_says_the_same():
    with Cluster(3) as cluster, tempfile.NamedTemporaryFile() as history:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 3, "-r", 3, "-c", "min.insync.replicas=2")
        cluster.wait_isr("t")
        run = start_verify(cluster, "--topic", "t", "--duration", "10m", "--rate", 300, "--history", history.name,
                           "--min-leader-changes", 1, "-o", "json")
        wait_until(lambda: b"\nack " in pathlib.Path(history.name).read_bytes(), "the first acknowledgement")
        victim = cluster.leader("t")
        cluster[victim].kill()
        cluster.wait_leader("t", other_than=victim)
        cluster[victim].start()
        cluster.wait_isr("t")
        acknowledged = pathlib.Path(history.name).read_bytes().count(b"\nack ")
        wait_until(lambda: pathlib.Path(history.name).read_bytes().count(b"\nack ") > acknowledged + 500, "writes to go on for a while")
        run.send_signal(signal.SIGINT)  # then what there is gets judged
        code, out, err = finish(run)
        verdict = json.loads(out)
        equal((code, verdict["passed"], verdict["examples"], verdict["invalid"], verdict["notes"]), (0, True, [], [], []), err)
        true(verdict["acknowledged"] > 500, verdict)
        equal(verdict["copied"], 3 * verdict["found"], "records compared on three replicas")
        true(verdict["commits"] > 0 and verdict["commits_fetched"] > 0 and verdict["ends_asked"] > 0, verdict)
        checked = check_file(cluster, history.name)
        again = json.loads(checked.stdout)
        equal(checked.returncode, 0, checked.stderr)
        for key in ("sent", "acknowledged", "polled", "found", "copied", "commits", "anomalies", "leader_changes"):
            equal(again[key], verdict[key], key)


def test_the_group_has_offsets_everywhere_before_a_fault_may_begin():
    """Also one that has read nothing yet: what it would ask of a dying broker makes librdkafka read anew, for which the brokers are blamed."""
    waiting = {"group.initial.rebalance.delay.ms": 8000}  # so that nothing is read before the test has looked
    with Cluster(3, settings=waiting) as cluster, tempfile.NamedTemporaryFile() as history:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 3, "-r", 3)
        for partition in range(3):
            cluster.naru("produce", "t", "-p", partition, text_in="one\ntwo\n")
        cluster.naru("topic", "trim", "t", "-p", 1, "--before", 1, "--yes")
        cluster.naru("group", "seek", "t-readers", "--topic", "t:2", "--to", 2, "--yes")
        with Workload(cluster, "t", history=history.name) as load:
            (group,) = cluster.json("group", "describe", "t-readers")
            equal({o["partition"]: o["committed"] for o in group["offsets"]}, {0: 0, 1: 1, 2: 2}, "committed when the workload is ready")
            load.flow()
            verdict = load.stop()
            true(verdict["complete"], f"complete: {verdict}")
            # The lines that were there before are of no producer of its own.
            equal({name for name, count in verdict["anomalies"].items() if count}, {"phantom"}, f"anomalies: {verdict}")
        told = pathlib.Path(history.name).read_text()
        true("commit 1 0 0 0\n" in told and "committed 1\n" in told and "commit 2 0 1 1\n" in told, told[:400])


def test_verify_with_acks_1_and_a_topic_of_its_own():
    with Cluster(1) as cluster:
        cluster.start()
        code, out, _ = finish(start_verify(cluster, "--duration", "2s", "--acks", 1, "--partitions", 1, "-q"))
        equal(code, 0, out)
        true(out.startswith("PASS"), out)
        equal(cluster.naru("topic", "list", "-o", "name"), "", "its own topic is gone")
        equal(json.loads(cluster.naru("group", "list", "-o", "json")), [], "its own group is gone")


def test_verify_says_when_a_run_shows_too_little():
    with Cluster(1) as cluster:
        cluster.start()
        code, out, _ = finish(start_verify(cluster, "--duration", "1s", "--min-leader-changes", 1, "-q"))
        equal(code, 10, out)
        true(out.startswith("INVALID"), out)
        true("changes of a leader, fewer than 1" in out, out)


def test_verify_check_refuses_what_is_no_history():
    with Cluster(1) as cluster, tempfile.NamedTemporaryFile("w") as file:
        file.write("hello\n")
        file.flush()
        refused = check_file(cluster, file.name)
        equal(refused.returncode, 2, refused.stdout)
        true("line 1: not a history" in refused.stderr, refused.stderr)
        equal(check_file(cluster, "/nowhere").returncode, 2, "exit code without a file")
