"""The command against a living cluster: outcomes, exit codes, shapes of JSON, speed."""
import json
import os
import pathlib
import pty
import re
import signal
import socket
import statistics
import subprocess
import tempfile
import time

from naru_cluster import Cluster, clean_environment, naru_binary, wait_until
from support import equal, true
from test_dev import free_port


def run(*words, **options):
    return subprocess.run([naru_binary(), *words], capture_output=True, text=True, timeout=60, env=clean_environment(), **options)


def test_topics_from_creation_to_deletion():
    with Cluster(1) as cluster:
        cluster.start()
        equal(cluster.json("topic", "create", "a", "b", "-p", 2)[0]["partitions"], 2, "partitions of a")
        again = cluster.run("topic", "create", "a")
        equal(again.returncode, 1, "exit code of creating a topic twice")
        true("TOPIC_ALREADY_EXISTS" in again.stderr, again.stderr)
        cluster.naru("topic", "create", "a", "--if-absent")
        equal(cluster.naru("topic", "list", "-o", "name"), "a\nb\n", "names")
        cluster.naru("topic", "grow", "a", "--partitions", 5)
        equal(len(cluster.topic("a")["partition_list"]), 5, "partitions after growing")
        shrunk = cluster.run("topic", "grow", "a", "--partitions", 2)
        equal(shrunk.returncode, 1, "exit code of shrinking")
        true("INVALID_PARTITIONS" in shrunk.stderr, shrunk.stderr)
        some = cluster.run("topic", "describe", "a", "nothing")
        equal(some.returncode, 4, "exit code when one of two is missing")
        unasked = cluster.run("topic", "delete", "a")
        equal(unasked.returncode, 2, "exit code of deleting without --yes")
        cluster.naru("topic", "delete", "a", "--yes")
        equal(cluster.naru("topic", "list", "-o", "name"), "b\n", "names after deletion")


def test_topic_configuration_is_checked_and_described():
    with Cluster(1) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-c", "retention.ms=60000", "-c", "cleanup.policy=compact")
        configs = {c["name"]: c for c in cluster.topic("t")["configs"]}
        equal(configs["retention.ms"]["value"], "60000", "retention.ms")
        equal(configs["retention.ms"]["source"], "topic", "its source")
        equal(configs["segment.bytes"]["source"], "default", "source of a default")
        wrong = cluster.run("topic", "create", "u", "-c", "retention.ms=soon")
        equal(wrong.returncode, 1, "exit code")
        true("retention.ms=soon: must be a whole number" in wrong.stderr, wrong.stderr)
        unknown = cluster.run("topic", "create", "u", "-c", "retention.msec=1")
        true("the nearest is retention.ms" in unknown.stderr, unknown.stderr)


def test_a_profile_stands_in_for_the_addresses_and_properties_are_taken_everywhere():
    with Cluster(1) as cluster, tempfile.TemporaryDirectory() as home:
        cluster.start()

        def naru(*words, text_in=None):
            return subprocess.run([*cluster.enter, cluster.naru_path, *words], capture_output=True, text=True, timeout=60, input=text_in,
                                  env=clean_environment() | {"XDG_CONFIG_HOME": home}, check=False)
        saved = naru("profile", "save", "test", "-b", cluster.bootstrap)
        equal(saved.returncode, 0, f"saved: {saved.stderr}")
        equal(naru("topic", "create", "t", "-p", "1").returncode, 0, "a topic without -b")
        equal(naru("produce", "t", text_in="hello\n").returncode, 0, "a record without -b")
        equal(naru("consume", "t", "-e").stdout, "hello\n", "and back")
        listed = json.loads(naru("profile", "list", "-o", "json").stdout)
        equal([(p["name"], p["brokers"], p["current"]) for p in listed], [("test", cluster.bootstrap, True)], "profiles")
        file = os.path.join(home, "client.properties")
        with open(file, "w", encoding="utf-8") as written:
            written.write(f"bootstrap.servers={cluster.bootstrap}\nrequest.timeout.ms=9000\n")
        equal(naru("topic", "list", "-o", "name", "--command-config", file).stdout, "t\n", "topics by a file of properties")
        refused = naru("topic", "list", "-X", "security.protocol=SSL")
        equal(refused.returncode, 2, "a protocol that the command's own requests do not speak")
        true("PLAINTEXT only" in refused.stderr, refused.stderr)
        true("without effect here: -X linger.ms" in naru("topic", "list", "-X", "linger.ms=5").stderr, "a property that means nothing to it is named")
        equal(naru("profile", "remove", "test").returncode, 0, "removed")
        equal(json.loads(naru("profile", "list", "-o", "json").stdout), [], "profiles after that")


def test_a_bench_measures_and_leaves_nothing_behind():
    with Cluster(1) as cluster:
        cluster.start()
        produced = cluster.json("bench", "produce", "-n", 2000, "--size", 50, "-q")
        equal((produced["records"], produced["bytes"], produced["failed"]), (2000, 100_000, 0), "records acknowledged")
        true(0 < produced["latency_ms"]["p50"] <= produced["latency_ms"]["p99"] <= produced["latency_ms"]["max"], f"latencies: {produced}")
        consumed = cluster.json("bench", "consume", "-n", 2000, "-q")
        equal((consumed["records"], consumed["bytes"]), (2000, 200_000), "records read")
        once = cluster.json("bench", "e2e", "-n", 20, "-q")
        equal(once["records"], 20, "records that went round")
        true(once["latency_ms"]["p50"] > 0, f"latencies: {once}")
        equal(cluster.naru("topic", "list", "-o", "name"), "", "topics left behind")
        cluster.naru("topic", "create", "t", "-p", 2)
        cluster.naru("produce", "t", text_in="".join(f"{i}\n" for i in range(10)))
        equal(cluster.json("bench", "consume", "t", "-q")["records"], 10, "records of a topic that was there, to its end")
        equal(cluster.run("bench", "consume", "absent").returncode, 1, "exit code for a topic that is not there")


def test_a_partitions_files_are_looked_into():
    with Cluster(1) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 1)
        cluster.naru("produce", "t", "-k", "key", text_in="".join(f"{i}\n" for i in range(10)))
        directory = cluster[1].data / "t-0"
        found = cluster.json("log", "verify", directory)
        equal((found["well"], found["records"], found["start"], found["end"]), (True, 10, 0, 10), "what verify says")
        equal(cluster.naru("log", "dump", directory, "--records", "-f", "%t %p %o %k %v\\n").splitlines(),
              [f"t 0 {i} key {i}" for i in range(10)], "records as they lie there")
        batches = [json.loads(line) for line in cluster.naru("log", "dump", directory, "-o", "json").splitlines()]
        equal(sum(batch["records"] for batch in batches), 10, "records of the batches")
        true(all(batch["checksum_ok"] for batch in batches), f"checksums: {batches}")
        equal(cluster[1].terminate(), 0, "a controlled shutdown")
        segment = next(directory.glob("*.log"))
        content = bytearray(segment.read_bytes())
        content[batches[0]["bytes"] - 1] ^= 1
        segment.write_bytes(content)
        broken = cluster.run("log", "verify", directory)
        equal(broken.returncode, 10, "exit code for a checksum that is wrong")
        true("the checksum is wrong" in broken.stdout, broken.stdout)


def test_dev_says_which_port_is_taken():
    for taken, what in ((0, "the clients' port"), (10_000, "the brokers' port")):
        first = free_port()
        port = first + taken
        with socket.create_server(("127.0.0.1", port)), tempfile.TemporaryDirectory() as folder:
            for _ in range(2):  # the second time the log holds the first start too
                done = run("dev", "--dir", folder, "--port", str(first), "--set", "naru.http.port=0")
                equal(done.returncode, 1, f"exit code when {what} is taken")
                true(f":{port}: Address already in use" in done.stderr and "--port" in done.stderr, f"{what}: {done.stderr}")
                true("stopped" not in done.stderr and "error [" not in done.stderr, f"the cause and not the end of the log: {done.stderr}")


def test_replicas_can_be_named_and_preferred_leaders_elected():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "--assign", "3:1:2,1:2:3")
        cluster.wait_isr("t")
        equal([p["replicas"] for p in cluster.topic("t")["partition_list"]], [[3, 1, 2], [1, 2, 3]], "replicas")
        cluster.naru("partition", "elect", "t")
        equal([p["leader"] for p in cluster.topic("t")["partition_list"]], [3, 1], "leaders")
        equal(cluster.run("partition", "move", "--off", 9, "--yes").returncode, 2, "exit code of emptying a broker that is not there")
        equal(cluster.run("partition", "elect", "t", "-p", 9).returncode, 2, "exit code of a partition that is not there")
        equal(cluster.run("topic", "create", "u", "--assign", "1:x").returncode, 2, "exit code of a wrong assignment")


def test_produce_and_consume_with_keys_headers_and_formats():
    with Cluster(1) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 1)
        cluster.naru("produce", "t", "-f", "%k\\t%v\\n", "-H", "h=1", text_in="k1\tv1\nk2\tv2\n")
        equal(cluster.naru("consume", "t", "-e", "-f", "%t %p %o %k=%v %h\\n"), "t 0 0 k1=v1 h=1\nt 0 1 k2=v2 h=1\n", "formatted")
        records = [json.loads(line) for line in cluster.naru("consume", "t", "-e", "-o", "json").splitlines()]
        equal([(r["key"], r["value"]) for r in records], [("k1", "v1"), ("k2", "v2")], "JSON lines")
        for codec in ("gzip", "snappy", "lz4", "zstd"):
            cluster.naru("produce", "t", "-z", codec, text_in=codec + "\n")
        equal(cluster.naru("consume", "t", "-e", "--from", "-4"), "gzip\nsnappy\nlz4\nzstd\n", "all codecs")
        equal(cluster.naru("consume", "t", "-e", "--from", "1", "-n", 1), "v2\n", "from an offset")
        equal(cluster.naru("consume", "t", "-e", "--from", "1h", "-n", 1), "v1\n", "from an hour ago")
        beyond = cluster.run("consume", "t", "-e", "--from", 99)
        equal((beyond.returncode, beyond.stdout), (1, ""), "an offset beyond the end")
        true("t-0 holds 0 to 6" in beyond.stderr, beyond.stderr)
        equal(cluster.naru("consume", "t", "-e", "--from", 6), "", "from the end")
        missing = cluster.run("consume", "nothing", "-e")
        equal(missing.returncode, 1, "exit code of a topic that is not there")


def test_groups_show_what_they_have_read():
    with Cluster(1) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 2)
        for p in (0, 1):  # without keys they might all go to one of the two, and of the other nothing be read and committed
            cluster.naru("produce", "t", "-p", p, text_in="".join(f"{i}\n" for i in range(5)))
        equal(len(cluster.naru("consume", "t", "-e", "-g", "readers").splitlines()), 10, "records read by the group")
        cluster.naru("produce", "t", "-p", 0, text_in="one more\n")
        group = cluster.json("group", "describe", "readers")[0]
        equal(group["state"], "Empty", "state")
        equal(group["lag"], 1, "lag")
        cluster.naru("produce", "t", "-p", 1, "-t", "1h", text_in="an old one\n")
        group = cluster.json("group", "describe", "readers")[0]
        behind = {o["partition"]: o["lag_seconds"] for o in group["offsets"]}
        true(3600 <= behind[1] < 7200 and 0 <= behind[0] < 3600, f"age of what is not read: {behind}")
        equal(group["lag_seconds"], behind[1], "that of the group")
        equal(cluster.json("group", "list")[0]["lag_seconds"], None, "age in the list, unasked")
        true(cluster.json("group", "list", "--behind")[0]["lag_seconds"] >= 3600, "age in the list")
        true("BEHIND" not in cluster.naru("group", "list"), "columns of the list")
        true("BEHIND" in cluster.naru("group", "list", "-o", "wide"), "columns of the wide list")
        true(re.search(r"\b[6-9]\d min\b", cluster.naru("group", "describe", "readers")), "the age as people read it")
        equal([g["name"] for g in cluster.json("group", "list")], ["readers"], "groups")
        missing = cluster.run("group", "describe", "nobody")
        equal(missing.returncode, 1, "exit code of a group that is not there")


def test_what_cannot_be_written_out_is_no_success():
    with Cluster(1) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 1)
        cluster.naru("produce", "t", text_in="one\ntwo\n")
        with open("/dev/full", "w", encoding="utf-8") as full:
            for words in (["--help"], ["topic", "list", "-b", cluster.bootstrap], ["consume", "t", "-e", "-b", cluster.bootstrap],
                          ["consume", "t", "-e", "-g", "readers", "-b", cluster.bootstrap]):
                done = subprocess.run([naru_binary(), *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, env=clean_environment())
                equal(done.returncode, 1, f"exit code of {words} onto a full disk")
                true("No space left on device" in done.stderr, f"{words}: {done.stderr}")
        equal(cluster.naru("consume", "t", "-e", "-g", "readers"), "one\ntwo\n", "what nobody got is not committed")
        equal(cluster.naru("consume", "t", "-e", "-g", "readers"), "", "what was written is")


def test_what_cannot_be_read_is_no_success():
    with Cluster(1) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 1)
        directory = os.open(cluster.dir, os.O_RDONLY)
        try:
            done = run("produce", "t", "-b", cluster.bootstrap, stdin=directory)
        finally:
            os.close(directory)
        equal(done.returncode, 1, f"exit code for an input that cannot be read: {done.stderr}")
        true("cannot read standard input: Is a directory" in done.stderr, done.stderr)


def test_without_a_quorum_nothing_is_made_up():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 3, "-r", 1)
        cluster[1].kill()
        cluster[2].kill()
        here = cluster[3].address

        def lost():
            done = cluster.run("status", "-o", "json", bootstrap=here)
            status = json.loads(done.stdout) if done.returncode == 10 else {"controller": done.stderr}
            return status if status["controller"] is None else None
        status = wait_until(lost, "a status without a controller")
        equal([b["role"] for b in status["brokers"]], [None] * 3, "roles")
        equal({b["id"]: b["fenced"] for b in status["brokers"] if b["id"] != 3}, {1: None, 2: None}, "whether the others are down")

        # At first it may have been replaced by the others for all it knows, and sends its clients away (R33).
        def endless():
            done = cluster.run("consume", "t", "-e", "--timeout", "2s", bootstrap=here)
            equal(done.returncode, 3, f"exit code where leaders do not answer: {done.stderr}")
            return "the end is not reached" in done.stderr and "t-" in done.stderr
        wait_until(endless, "a consumer that says which partitions did not end")


def test_a_record_may_be_as_large_as_its_topic_says():
    with Cluster(1) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-c", "max.message.bytes=4000000")
        large = "x" * 3_000_000 + "\n"
        cluster.naru("produce", "t", text_in=large)
        true(cluster.naru("consume", "t", "-e") == large, "what was written")
        refused = cluster.run("produce", "t", text_in="y" * 5_000_000)
        equal(refused.returncode, 1, f"exit code for more than the topic takes: {refused.stderr}")


def test_a_consumer_without_an_end_is_interrupted():
    with Cluster(1) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t")
        cluster.naru("produce", "t", text_in="a\n")
        with subprocess.Popen([naru_binary(), "consume", "t", "--from", "start"], stdout=subprocess.PIPE, text=True,
                              env=clean_environment() | {"NARU_BROKERS": cluster.bootstrap}) as process:
            try:
                equal(process.stdout.readline(), "a\n", "what it prints while it waits for more")
                process.send_signal(signal.SIGINT)
                equal(process.wait(30), 130, "exit code after Ctrl-C")
            finally:
                process.kill()


def test_a_watched_status_comes_again_until_it_is_interrupted():
    with Cluster(1) as cluster:
        cluster.start()
        for words in (["status", "-w"], ["top"]):
            with subprocess.Popen([naru_binary(), *words, "-o", "json"], stdout=subprocess.PIPE, text=True,
                                  env=clean_environment() | {"NARU_BROKERS": cluster.bootstrap}) as process:
                try:
                    told = [json.loads(process.stdout.readline())["controller"] for _ in range(2)]
                    equal(told, [1, 1], f"the controller, twice, of naru {' '.join(words)}")
                    process.send_signal(signal.SIGINT)
                    equal(process.wait(30), 130, "exit code after Ctrl-C")
                finally:
                    process.kill()


def test_health_and_status_tell_a_missing_broker():
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 3, "-r", 3)
        cluster.wait_isr("t")
        equal(cluster.run("health").returncode, 0, "exit code when all is well")
        wait_until(lambda: all(b["bytes_in_per_second"] is not None for b in cluster.json("status")["brokers"]), "rates of all brokers")
        head = cluster.naru("status").splitlines()[1].split()
        equal(head, "BROKER ADDRESS ROLE STATE LEADERS REPLICAS IN/s OUT/s DISK UP".split(), "columns of naru status")
        cluster[3].kill()
        cluster.wait_fenced(3)
        health = cluster.run("health", "-o", "json")
        equal(health.returncode, 10, "exit code when a broker is down")
        answer = json.loads(health.stdout)
        equal(answer["brokers_down"], [3], "who is down")
        true(answer["under_replicated"] >= 3, "under-replicated partitions")
        text = cluster.run("status")
        true("unhealthy" in text.stdout and "broker 3" in text.stdout, text.stdout)
        true("naru topic list --problems" in text.stdout, f"the command that says more in {text.stdout}")

        def told():
            change = json.loads(cluster.run("status", "-o", "json").stdout)["last_change"] or {}
            return change if "broker 3 is fenced" in f"{change.get('text')} {change.get('reason')}" else None
        wait_until(lambda: {b["id"]: b["down_ms"] for b in json.loads(cluster.run("status", "-o", "json").stdout)["brokers"]}[3], "for how long broker 3 is down")
        row = next(line for line in cluster.run("status").stdout.splitlines() if re.match(r" *3 ", line))
        true(re.search(r"down \d+ (ms|s)", row), f"the same in the table: {row}")
        change = wait_until(told, "the death of broker 3 as the last change")
        true(change["ms_ago"] >= 0, f"how long ago: {change}")
        text = cluster.run("status").stdout.splitlines()[-1]
        true(re.fullmatch(r"last change: .*(leader 3 -> [12]|broker 3 is fenced).*, \d+ (ms|s) ago \(.+\)", text), f"the last line of naru status: {text}")


def test_without_a_broker_the_command_says_so():
    for words in (["status"], ["topic", "list"], ["group", "list"], ["topic", "create", "t"], ["topic", "delete", "t", "--yes"],
                  ["consume", "t", "-e"], ["produce", "t"]):
        done = run(*words, "-b", "127.0.0.1:1", "--timeout", "2s", stdin=subprocess.DEVNULL)
        true("127.0.0.1:1 connection refused" in done.stderr, f"{words} name the address: {done.stderr}")
        equal(done.returncode, 3, f"exit code of {words}: {done.stderr}")
        true("no broker answered" in done.stderr and "naru dev" in done.stderr, f"{words}: {done.stderr}")


def test_help_everywhere():
    for words in ([], ["start"], ["dev"], ["status"], ["health"], ["topic"], ["topic", "create"], ["topic", "list"], ["topic", "describe"],
                  ["topic", "grow"], ["topic", "delete"], ["produce"], ["consume"], ["group"], ["group", "list"], ["group", "describe"],
                  ["config", "check"], ["config", "explain"]):
        done = run(*words, "--help")
        equal(done.returncode, 0, f"exit code of {words} --help")
        true(len(done.stdout.splitlines()) > 3, f"help of {words}")
        true("\n\n\n" not in done.stdout, f"empty lines in the help of {words}")


def test_help_as_a_word_is_the_help_of_the_command():
    for words in ([], ["status"], ["topic"], ["topic", "create"], ["group", "list"]):
        equal(run("help", *words).stdout, run(*words, "--help").stdout, f"help of {words}")
    wrong = run("help", "topic", "creat")
    equal((wrong.returncode, wrong.stdout), (2, ""), "exit code and output of help for what is not there")
    true("naru topic: no such command: creat; did you mean create?" in wrong.stderr, wrong.stderr)
    wrong = run("status", "--watc")
    equal((wrong.returncode, wrong.stdout), (2, ""), "exit code and output of an option that is not there")
    true("naru status: no such option: --watc; did you mean --watch?" in wrong.stderr, wrong.stderr)


def test_cheat_sheets_work_as_they_stand():
    def sheet(subject):
        lines = run("help", f"{subject}-in-five-lines").stdout.splitlines()
        equal(len(lines), 5, f"lines of {lines}")
        return lines

    with Cluster(1) as cluster:
        cluster.start()

        def do(line):
            done = subprocess.run(["bash", "-c", f'naru() {{ "{naru_binary()}" "$@"; }}\nset -o pipefail\n{line}'], capture_output=True,
                                  text=True, timeout=60, env=clean_environment() | {"NARU_BROKERS": cluster.bootstrap})
            equal(done.returncode, 0, f"exit code of {line}: {done.stderr}")
        *topics, deletion = sheet("topics")
        for line in (*topics, *sheet("records"), *sheet("clusters")):
            do(line)
        for line in sheet("groups"):
            wait_until(lambda: cluster.json("group", "describe", "billing")[0]["members"] == [], "the member to leave", 30)
            if not line.startswith("naru why"):  # which answers with its exit code, too
                do(line)
        do(deletion)


def on_a_terminal(words, environment):
    """Standard output of a command that has a terminal for it."""
    mine, its = pty.openpty()
    with subprocess.Popen([naru_binary(), *map(str, words)], stdin=subprocess.DEVNULL, stdout=its, stderr=subprocess.DEVNULL,
                          env=clean_environment() | environment) as process:
        os.close(its)
        text = b""
        try:
            while chunk := os.read(mine, 65536):
                text += chunk
        except OSError:  # EIO: nobody holds the other end any more
            pass
        process.wait(30)
    os.close(mine)
    return text.decode()


def test_colour_is_for_terminals_and_can_be_refused():
    with Cluster(3) as cluster:
        cluster.start()
        cluster[3].kill()
        cluster.wait_fenced(3)
        status = ["status", "-b", cluster.bootstrap]
        red = "\x1b[31m"
        true(red in on_a_terminal(status, {}), "red on a terminal")
        true(red in on_a_terminal(status, {"NO_COLOR": ""}), "red with an empty NO_COLOR")
        for words, environment in ((status, {"NO_COLOR": "1"}), ([*status, "--no-color"], {}), ([*status, "-q"], {})):
            text = on_a_terminal(words, environment)
            true("unhealthy" in text and "\x1b" not in text, f"{words} {environment}: {text!r}")
        true("\x1b" not in cluster.run("status").stdout, "no colour in a pipe")


def took(*words):
    """Seconds of waiting and of processor time."""
    began = time.monotonic()
    process = subprocess.Popen([naru_binary(), *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=clean_environment())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    equal(process.returncode, 0, f"exit code of naru {words}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime


def test_answers_are_there_for_the_asking():
    """50 ms, of which the machine's other work is none: processor time, and the best of many runs; nothing sleeps on the way."""
    help_text = run("--help").stdout
    true("topic" in help_text and "consume" in help_text, help_text)
    is_release = pathlib.Path(naru_binary()).resolve().parent.name == "release"  # sanitizers take their time
    with Cluster(3) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "t", "-p", 6)
        cluster.wait_isr("t")
        for words in (["--help"], ["status"], ["topic", "list"], ["topic", "describe", "t"], ["group", "list"], ["broker", "list"]):
            runs = [took(*words, *([] if words == ["--help"] else ["-b", cluster.bootstrap])) for _ in range(21)]
            waited, worked = (sorted(column) for column in zip(*runs))
            print(f"    naru {' '.join(words)}: {statistics.median(waited) * 1000:.1f} ms, {statistics.median(worked) * 1000:.1f} of them processor time")
            if is_release:
                true(worked[0] < 0.05, f"processor time of naru {words}: {worked}")
                true(waited[0] < 0.2, f"wait for naru {words}: {waited}")


def test_config_check_says_what_a_broker_would_say():
    with Cluster(1) as cluster:
        file = cluster.dir / "server.properties"
        file.write_text("process.roles=broker,controller\nnode.id=1\nnum.partition=3\nlog.dirs=/tmp/x\n")
        done = run("config", "check", str(file))
        equal(done.returncode, 0, "exit code")
        true(re.search(r"^ignored +num\.partition=3 +unknown; nearest: num\.partitions$", done.stdout, re.M), done.stdout)
        file.write_text("num.partitions=none\nnode.id=1\n")
        wrong = run("config", "check", str(file))
        equal(wrong.returncode, 2, "exit code of a wrong value")
        true("wrong    num.partitions=none: must be" in wrong.stdout and "used     node.id=1" in wrong.stdout, wrong.stdout)
        folder = run("config", "check", str(cluster.dir))
        equal(folder.returncode, 2, "exit code of a directory")
        true(f"{cluster.dir}: it is a directory" in folder.stderr, folder.stderr)
    done = run("config", "explain", "min.insync.replicas")
    true("acks=all" in done.stdout, done.stdout)
    equal(run("config", "explain", "min.insync.replica").returncode, 1, "exit code of an unknown name")


def test_wrong_words_are_answered_with_the_nearest():
    for words, said in [(["topic", "lst"], "did you mean list?"), (["topik", "list"], "did you mean topic?"),
                        (["start", "--confg", "x"], "--confg"), (["topic"], "try: naru topic --help")]:
        done = run(*words)
        equal(done.returncode, 2, f"exit code of {words}")
        equal(done.stdout, "", f"standard output of {words}")
        true(said in done.stderr, f"{words}: {done.stderr}")
