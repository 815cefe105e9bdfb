"""The commands that change and explain a running cluster."""
import json
import os
import pty
import subprocess

from naru_cluster import Cluster, clean_environment, naru_binary, wait_until
from support import equal, smoke, true


@smoke
def test_settings_with_their_origin():
    with Cluster(1) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-c", "retention.ms=60000")
        own = cluster.json("config", "get", "topic", "t")
        equal([(c["name"], c["value"], c["source"]) for c in own if c["source"] == "topic"], [("retention.ms", "60000", "topic")], "settings")
        cluster.naru("config", "set", "topic", "t", "segment.bytes=1048576", "retention.ms=70000")
        found = {c["name"]: c for c in cluster.json("config", "get", "topic", "t")}
        equal(found["retention.ms"]["value"], "70000", "changed setting")
        true(len(found["segment.bytes"]["origins"]) >= 2, f"origins of {found['segment.bytes']}")
        tried = cluster.run("config", "set", "topic", "t", "retention.ms=80000", "--dry-run")
        equal(tried.returncode, 0, tried.stderr)
        equal(cluster.json("config", "get", "topic", "t", "retention.ms")[0]["value"], "70000", "setting after --dry-run")
        misspelt = cluster.run("config", "unset", "topic", "t", "retention.msec")
        equal(misspelt.returncode, 1, "exit code of unsetting what there is not")
        true("did you mean retention.ms?" in misspelt.stderr, misspelt.stderr)
        equal(cluster.json("config", "get", "topic", "t", "retention.ms")[0]["value"], "70000", "setting after that")
        cluster.naru("config", "unset", "topic", "t", "retention.ms")
        equal(cluster.json("config", "get", "topic", "t", "retention.ms")[0]["source"] != "topic", True, "source after unsetting")
        wrong = cluster.run("config", "set", "topic", "t", "retention.ms=soon")
        equal(wrong.returncode, 1, "exit code of a wrong value")
        true("INVALID_CONFIG" in wrong.stderr, wrong.stderr)
        unknown = cluster.run("config", "get", "topic", "t", "retention.msec")
        equal(unknown.returncode, 1, "exit code of an unknown setting")
        all_of_broker = cluster.json("config", "get", "broker", "1", "--all")
        true(any(c["name"] == "node.id" and c["value"] == "1" for c in all_of_broker), "node.id among a broker's settings")
        cluster.naru("config", "set", "cluster", "log.retention.ms=1000000")
        equal(cluster.json("config", "get", "topic", "t", "retention.ms")[0]["source"], "cluster", "source of the cluster's default")


def test_any_broker_leads_to_the_settings_of_each():
    with Cluster(3) as cluster:
        cluster.start()
        for broker in cluster.brokers:
            told = cluster.json("config", "get", "broker", broker.id, "node.id", bootstrap=cluster[1].address)
            equal(told[0]["value"], str(broker.id), f"node.id of broker {broker.id}, asked of broker 1")
        absent = cluster.run("config", "get", "broker", 9)
        equal(absent.returncode, 1, "exit code of a broker that is not there")
        true("broker 9 is not up" in absent.stderr, absent.stderr)


def test_groups_are_moved_and_deleted():
    with Cluster(1) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 2)
        for p in (0, 1):
            cluster.naru("produce", "t", "-p", p, text_in="".join(f"{i}\n" for i in range(10)))
        cluster.naru("consume", "t", "-g", "g", "--from", "start", "-n", 20)

        def committed():
            return {o["partition"]: o["committed"] for o in cluster.json("group", "describe", "g")[0]["offsets"]}
        wait_until(lambda: committed() == {0: 10, 1: 10}, "everything committed")
        wait_until(lambda: cluster.json("group", "describe", "g")[0]["members"] == [], "the member to leave")
        preview = cluster.run("group", "seek", "g", "--to", "start")
        equal(preview.returncode, 0, preview.stderr)
        true("10 again" in preview.stdout and "nothing changed" in preview.stderr, preview.stdout + preview.stderr)
        equal(committed(), {0: 10, 1: 10}, "offsets after a preview")
        done = cluster.json("group", "seek", "g", "--to", "-3", "--topic", "t:1", "--yes")
        equal([(o["partition"], o["from"], o["to"]) for o in done["offsets"]], [(1, 10, 7)], "the move")
        equal(committed(), {0: 10, 1: 7}, "offsets after it")
        done = cluster.json("group", "seek", "g", "--to", "8", "--topic", "t:0", "--yes")
        equal([(o["partition"], o["from"], o["to"]) for o in done["offsets"]], [(0, 10, 8)], "the first partition alone")
        equal(cluster.run("group", "seek", "g", "--to", "8", "--topic", "t:x", "--yes").returncode, 2, "exit code of no partition")
        equal(committed(), {0: 8, 1: 7}, "offsets after that")
        cluster.naru("group", "seek", "g", "--to", "4", "--yes")
        equal(committed(), {0: 4, 1: 4}, "offsets after moving to an offset")
        cluster.naru("group", "seek", "new", "--to", "end", "--topic", "t", "--yes")
        equal(cluster.json("group", "describe", "new")[0]["lag"], 0, "lag of a group that was made by it")
        equal(cluster.run("why", "group", "g").returncode, 10, "exit code of why")
        true("no members" in cluster.run("why", "group", "g").stdout, "why group g")
        cluster.naru("group", "delete", "g", "--yes")
        equal(cluster.run("group", "describe", "g").returncode, 1, "exit code of describing what is deleted")


def test_a_group_is_described_whole_while_its_coordinator_moves():
    with Cluster(3, settings={"offsets.topic.num.partitions": 1}) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 1)
        cluster.naru("produce", "t", text_in="a\nb\nc\n")
        cluster.naru("group", "seek", "g", "--to", "end", "--topic", "t", "--yes")
        cluster.wait_isr("__consumer_offsets")
        for _ in range(4):
            coordinator = cluster.leader("__consumer_offsets")
            words = [cluster.naru_path, "broker", "drain", str(coordinator), "--leaders", "--yes", "--quiet", "-b", cluster.bootstrap]
            with subprocess.Popen(words, stdout=subprocess.DEVNULL, env=clean_environment()) as drain:
                ended = False
                while not ended:
                    ended = drain.poll() is not None
                    group = cluster.json("group", "describe", "g")[0]
                    equal([(o["partition"], o["committed"]) for o in group["offsets"]], [(0, 3)], f"what is told of the group: {group}")
            equal(drain.returncode, 0, "exit code of drain")
            wait_until(lambda c=coordinator: cluster.leader("__consumer_offsets") not in (None, c), "another coordinator")


def test_a_dry_run_says_what_would_be_done_and_does_nothing():
    with Cluster(2) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 2, "-r", 1)
        cluster.naru("produce", "t", "-p", 0, text_in="a\nb\n")
        cluster.naru("group", "seek", "g", "--to", "end", "--topic", "t", "--yes")

        def all_of_it():
            return (cluster.json("topic", "describe", "t"), cluster.json("topic", "list"), cluster.json("topic", "offsets", "t"),
                    [(g["name"], g["lag"]) for g in cluster.json("group", "list")], cluster.json("config", "get", "topic", "t"),
                    [v["id"] for v in cluster.json("quorum", "status")["voters"]], [b["id"] for b in cluster.json("broker", "list")])
        before = all_of_it()
        for words, said in ((["topic", "create", "new", "-p", 3], "would create new with 3 partitions"),
                            (["topic", "grow", "t", "-p", 4], "would have 4 partitions: t"),
                            (["topic", "delete", "t"], "would delete t"), (["topic", "trim", "t", "--before", "end"], "would trim t-0"),
                            (["config", "set", "topic", "t", "retention.ms=70000"], "would change"),
                            (["group", "seek", "g", "--to", "start", "--yes"], "2 again"), (["group", "delete", "g"], "would delete g"),
                            (["partition", "move", "t", "--replicas", 2, "--yes"], ""),
                            (["quorum", "remove", 2], "would remove 2")):
            done = cluster.run(*words, "--dry-run")
            equal(done.returncode, 0, f"exit code of {words}: {done.stderr}")
            true(said in done.stdout, f"{words}: {done.stdout}{done.stderr}")
        for words in (["topic", "create", "t"], ["topic", "grow", "t", "-p", 1], ["topic", "delete", "nope"], ["group", "delete", "nope"],
                      ["quorum", "add", 1], ["broker", "remove", 2]):
            equal(cluster.run(*words, "--dry-run").returncode, 1, f"exit code of {words}, which would be refused")
        equal(all_of_it(), before, "the cluster after all that")


def test_what_a_deletion_loses_is_said_before_it_is_done():
    def asked(answer):
        terminal, its_end = pty.openpty()
        with subprocess.Popen([naru_binary(), "topic", "delete", "t"], stdin=its_end, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, env=clean_environment() | {"NARU_BROKERS": cluster.bootstrap}) as process:
            os.close(its_end)
            os.write(terminal, answer.encode() + b"\n")
            try:
                return (*process.communicate(timeout=60), process.returncode)
            finally:
                process.kill()
                os.close(terminal)

    with Cluster(2) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 2, "-r", 1)
        cluster.naru("produce", "t", "-p", 0, text_in="a\nb\n")
        cluster.naru("group", "seek", "g", "--to", "end", "--topic", "t", "--yes")
        tried = cluster.run("topic", "delete", "t", "--dry-run")
        true(tried.stderr.startswith("t: 2 records, ") and "on all replicas, read by g\n" in tried.stderr, tried.stderr)
        _, said, _ = asked("n")
        true(said.startswith("t: 2 records, ") and "read by g\n" in said and "delete t with all records?" in said, said)
        equal([t["name"] for t in cluster.json("topic", "list") if not t["internal"]], ["t"], "topics after a no")
        shown, _, code = asked("y")
        equal((shown, code), ("deleted t\n", 0), "what a yes did")


def test_a_topic_that_was_made_while_the_question_stood_is_not_deleted():
    with Cluster(1) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t")
        terminal, its_end = pty.openpty()
        with subprocess.Popen([naru_binary(), "topic", "delete", "t"], stdin=its_end, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, env=clean_environment() | {"NARU_BROKERS": cluster.bootstrap}) as process:
            os.close(its_end)
            try:
                said = ""
                while "[y/N]" not in said:
                    more = process.stderr.read(1)
                    true(more, f"the question is asked: {said}")
                    said += more
                cluster.naru("topic", "delete", "t", "--yes")
                cluster.naru("topic", "create", "t")
                cluster.naru("produce", "t", text_in="new\n")
                os.write(terminal, b"y\n")
                _, said = process.communicate(timeout=60)
            finally:
                process.kill()
                os.close(terminal)
        equal(process.returncode, 1, f"exit code: {said}")
        true("deleted meanwhile" in said, said)
        equal(cluster.naru("consume", "t", "-e", "--from", "start"), "new\n", "the new one's record")


def test_what_a_deletion_loses_is_no_sum_over_those_who_answer():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "--assign", "1,2")
        for p in (0, 1):
            cluster.naru("produce", "t", "-p", p, text_in="a\nb\n")
        true("t: 4 records, " in cluster.run("topic", "delete", "t", "--dry-run").stderr, "what is lost with all brokers there")
        cluster[2].kill()
        tried = cluster.run("topic", "delete", "t", "--dry-run")
        equal(tried.returncode, 0, tried.stderr)
        true(tried.stderr.startswith("t: at least ") and "records" not in tried.stderr, f"with one that does not answer: {tried.stderr}")


def test_an_unclean_election_says_what_it_costs_and_asks():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "--assign", "1:2", "-c", "min.insync.replicas=1")
        cluster.wait_isr("t")
        equal(cluster.json("partition", "elect", "t", "--dry-run"),
              [{"topic": "t", "partition": 0, "error": None, "leader": 1, "would_lead": 1, "may_lose": False}], "an election that is not needed")
        cluster[2].kill()
        cluster.naru("produce", "t", text_in="a\nb\n")  # which broker 1 alone holds
        cluster[1].kill()
        cluster[2].start()
        wait_until(lambda: cluster.partition("t", 0)["leader"] is None, "a partition that nobody can lead", timeout=60)
        # It may have been without a leader before broker 2 was back, who could not be elected then.
        wait_until(lambda: any(b["id"] == 2 and not b["fenced"] for b in cluster.status()["brokers"]), "broker 2 to be in service")
        unasked = cluster.run("partition", "elect", "t", "--unclean")
        equal(unasked.returncode, 2, f"exit code without --yes: {unasked.stderr}")
        true("what only broker 1 holds" in unasked.stdout and "only with --yes" in unasked.stderr, f"{unasked.stdout}{unasked.stderr}")
        equal(cluster.json("partition", "elect", "t", "--unclean", "--dry-run"),
              [{"topic": "t", "partition": 0, "error": None, "leader": None, "would_lead": 2, "may_lose": True}], "what would be done")
        equal(cluster.partition("t", 0)["leader"], None, "leader before anybody said yes")
        true("has a leader: t-0" in cluster.naru("partition", "elect", "t", "--unclean", "--yes"), "what is said when it is done")
        wait_until(lambda: cluster.partition("t", 0)["leader"] == 2, "the leader that is left")
        again = cluster.run("partition", "elect", "t", "--unclean")
        equal((again.returncode, "nothing: it has a leader" in again.stdout), (0, True), f"nothing is asked where nothing can be lost: {again.stderr}")


def test_records_are_looked_up_and_trimmed():
    with Cluster(1) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 1)
        cluster.naru("produce", "t", "-t", "@1700000000000", text_in="old\nolder\n")
        cluster.naru("produce", "t", text_in="new\n")
        offsets = cluster.json("topic", "offsets", "t", "--at", "1h")[0]
        equal((offsets["start"], offsets["end"], offsets["at"]), (0, 3, 2), "offsets")
        equal(cluster.run("topic", "trim", "t", "--before", "1").returncode, 2, "exit code without --yes")
        beyond = cluster.run("topic", "trim", "t", "--before", "20261101", "--yes")  # a date without its dashes
        equal(beyond.returncode, 1, f"exit code of an offset behind the end: {beyond.stderr}")
        true("ends at 3" in beyond.stderr, beyond.stderr)
        equal(cluster.json("topic", "offsets", "t")[0]["start"], 0, "start after that")
        cluster.naru("topic", "trim", "t", "--before", "1h", "--yes")
        equal(cluster.naru("consume", "t", "-e", "--from", "start"), "new\n", "what is left")


def test_brokers_and_their_directories():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 3)
        cluster.wait_isr("t")
        brokers = cluster.json("broker", "list")
        equal([b["id"] for b in brokers], [1, 2, 3], "brokers")
        equal(sum(b["leaders"] for b in brokers), 3, "leaders in all")
        version = cluster.naru("version").split()[-1]
        equal([b["version"] for b in brokers], [version] * 3, "versions")
        table = [line.split() for line in cluster.naru("broker", "list").splitlines()]
        true("VERSION" in table[0] and all(version in row for row in table[1:4]), f"versions in the table: {table}")
        one = cluster.json("broker", "describe", 2)
        true(one["version"] == version and one["up_ms"] >= 0, f"what broker 2 says of itself: {one}")
        true(f"version {version}   runs for " in cluster.naru("broker", "describe", 2), "version and time since the start")
        equal(one["directories"][0]["path"], str(cluster[2].data), "its directory")
        equal(len(one["directories"][0]["replicas"]), 3, "its replicas")
        equal(cluster.run("broker", "describe", 9).returncode, 1, "exit code of a broker that is not there")


@smoke
def test_why_and_doctor():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 1, "-r", 3)
        cluster.wait_isr("t")
        equal(cluster.run("why", "produce", "t").returncode, 0, "exit code when all is well")
        doctor = cluster.run("doctor", "-o", "json")
        equal(doctor.returncode, 0, doctor.stdout)
        subjects = {f["subject"] for f in json.loads(doctor.stdout)["findings"]}
        only = cluster.json("doctor", "--addresses")["findings"]
        equal([f["subject"] for f in only], ["bootstrap"] + [f"address of broker {b['id']}" for b in cluster.json("broker", "list")], "what --addresses looks at")
        for subject in ("bootstrap", "cluster", "address of broker 1", "disks of broker 3", "versions", "clock", "limits"):
            true(subject in subjects, f"the doctor looks at {subject}: {sorted(subjects)}")
        missing = cluster.run("why", "produce", "nothing")
        equal((missing.returncode, missing.stdout), (10, "there is no topic nothing\n"), "why produce nothing")
        cluster[2].kill()
        cluster[3].kill()
        wait_until(lambda: "down" in cluster.run("why", "produce", "t").stdout or "controller" in cluster.run("why", "produce", "t").stdout,
                   "a cause that names what is down")
        equal(cluster.run("doctor").returncode, 10, "exit code of the doctor")
    nobody = subprocess.run([naru_binary(), "doctor", "-b", "127.0.0.1:1", "--timeout", "1s"], capture_output=True, text=True,
                            timeout=30, env=clean_environment(), check=False)
    equal(nobody.returncode, 3, "exit code when nobody answers")
    true("connection refused" in nobody.stderr, nobody.stderr)
