"""Health and metrics of real brokers: what they say is compared with what was sent and with what was done to them."""
import gzip
import http.client
import json
import re
import resource
import shutil
import subprocess

from http import HTTPStatus

import looks
from naru_cluster import TOP, Cluster, Failed, Workload, wait_until
from support import clean, equal, smoke, true

COUNT = 1000


def scraped(cluster):
    return {broker.id: looks.scrape(broker) for broker in cluster.brokers if broker.running}


def summed(cluster, name, **labels):
    values = [looks.total(samples, name, **labels) for samples in scraped(cluster).values()]
    return sum(value for value in values if value is not None)


def check_format(text):
    """Prometheus' own opinion, where it is installed."""
    promtool = shutil.which("promtool")
    true(promtool, "promtool is here (package prometheus, see scripts/lib/packages)")
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    # The names are Kafka's and its exporters': what promtool's linter thinks of names and units is not for us to follow.
    hard = [line for line in done.stderr.splitlines() if "error while linting" in line or "parse" in line.lower()]
    true(done.returncode in (0, 3) and not hard, f"promtool: {done.stderr}")


@smoke
def test_metrics_say_what_was_sent_and_read():
    with looks.give_ports(Cluster(3)) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "orders", "-p", 3)
        lines = [f"record {i:06}" for i in range(COUNT)]
        cluster.naru("produce", "orders", text_in="".join(f"{line}\n" for line in lines))
        equal(summed(cluster, "kafka_server_brokertopicmetrics_messagesin_total", topic="orders"), COUNT, "records in")
        equal(summed(cluster, "kafka_topic_partition_current_offset", topic="orders"), COUNT, "offsets of all partitions")
        equal(summed(cluster, "kafka_topic_partitions", topic="orders"), 3, "partitions, said once")
        equal(summed(cluster, "kafka_controller_kafkacontroller_activecontrollercount"), 1, "controllers")
        equal(summed(cluster, "kafka_brokers"), 3, "brokers")
        read_before = summed(cluster, "kafka_server_brokertopicmetrics_bytesout_total", topic="orders")
        cluster.naru("consume", "orders", "-e")
        true(summed(cluster, "kafka_server_brokertopicmetrics_bytesout_total", topic="orders") - read_before > COUNT * len(lines[0]), "bytes out")
        true(summed(cluster, "kafka_server_brokertopicmetrics_replicationbytesin_total") > 2 * COUNT * len(lines[0]), "two copies of each")
        true(summed(cluster, "kafka_network_requestmetrics_errors_total", request="Produce", error="NONE") > 0, "produces without an error")
        true(cluster.run("topic", "describe", "absent").returncode != 0, "describing a topic that is not there")
        true(summed(cluster, "kafka_network_requestmetrics_errors_total", error="UNKNOWN_TOPIC_OR_PARTITION") > 0, "that error, counted")
        true(summed(cluster, "kafka_server_replicamanager_produceridcount") > 0, "the idempotent producer, remembered")
        wait_until(lambda: summed(cluster, "kafka_server_replicafetchermanager_maxlag") == 0, "followers that have everything")
        true(summed(cluster, "kafka_controller_kafkacontroller_eventqueueoperationsstartedcount") > 0, "requests to the controller")
        true(summed(cluster, "kafka_server_raft_metrics_commit_latency_max") > 0, "commits of metadata, timed")
        for broker in cluster.brokers:
            check_format(looks.get(broker, "/metrics")[1])


def test_records_with_many_headers_are_shown_in_part():
    """Whoever looks at records of others' making must not cost a broker its memory."""
    with looks.give_ports(Cluster(1)) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "orders", "-p", 1)
        headers = [word for i in range(200) for word in ("-H", f"h{i}={'v' * 1000}")]
        cluster.naru("produce", "orders", *headers, text_in="".join(f"{i}\n" for i in range(100)))
        _, seen = looks.get_json(cluster[1], "/api/v1/messages?topic=orders&partition=0&from=start&count=200")
        first = seen["records"][0]
        equal((len(first["headers"]), first["header_count"]), (50, 200), "headers shown, and how many there are")
        equal((first["headers"][0]["value"]["size"], first["headers"][0]["value"]["cut"]), (1000, True), "the first header's value")
        true(seen["more"] and len(seen["records"]) < 100, f"an answer ends after about a megabyte: {len(seen['records'])} records")
        _, rest = looks.get_json(cluster[1], f"/api/v1/messages?topic=orders&partition=0&from={seen['next']}&count=200")
        equal(rest["records"][0]["offset"], first["offset"] + len(seen["records"]), "where the next answer begins")


def test_who_looks_at_records_does_not_end_a_broker_without_descriptors():
    """The thread that searches is made for the first who looks, and needs some of its own (R111)."""
    with looks.give_ports(Cluster(1)) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "orders", "-p", 1)
        cluster.naru("produce", "orders", text_in="first\n")
        connection = http.client.HTTPConnection(cluster[1].host, cluster[1].settings["naru.http.port"], timeout=30)

        def asked(path):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

        equal(asked("/api/v1/quorum")[0], 200, "a connection that is there before")
        soft, hard = resource.prlimit(cluster[1].pid, resource.RLIMIT_NOFILE)
        resource.prlimit(cluster[1].pid, resource.RLIMIT_NOFILE, (3, hard))
        try:
            status, refusal = asked("/api/v1/messages?topic=orders&partition=0&from=start&count=10")
        finally:
            resource.prlimit(cluster[1].pid, resource.RLIMIT_NOFILE, (soft, hard))
        true(status >= 500, f"a refusal: {status} {refusal}")
        true("thread" in refusal["error"], f"a reason: {refusal}")
        status, seen = asked("/api/v1/messages?topic=orders&partition=0&from=start&count=10")
        equal((status, len(seen["records"])), (200, 1), "records, once there are descriptors again")
        connection.close()


def test_lag_in_records_and_seconds():
    with looks.give_ports(Cluster(3)) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "orders", "-p", 1)
        cluster.naru("produce", "orders", text_in="".join(f"{i}\n" for i in range(100)))
        cluster.naru("consume", "orders", "-g", "readers", "--from", "start", "-n", 40)

        def lag(name):
            values = [looks.total(samples, name, consumergroup="readers") for samples in scraped(cluster).values()]
            return [value for value in values if value is not None]
        committed = wait_until(lambda: lag("kafka_consumergroup_current_offset"), "a committed offset")
        equal(len(committed), 1, "coordinators that speak of the group")
        true(0 < committed[0] < 100, f"committed in between: {committed}")
        # The coordinator knows the end from its own copy, which may be a follower's.
        wait_until(lambda: lag("kafka_consumergroup_lag") == [100 - committed[0]], "lag in records")
        seconds = wait_until(lambda: lag("naru_consumergroup_lag_seconds"), "lag in seconds")
        true(len(seconds) == 1 and seconds[0] > 0, f"lag in seconds: {seconds}")
        wait_until(lambda: lag("naru_consumergroup_lag_seconds") > seconds, "the lag grows older")
        cluster.naru("consume", "orders", "-g", "readers", "-e")
        wait_until(lambda: lag("kafka_consumergroup_lag") == [0] and lag("naru_consumergroup_lag_seconds") == [0], "no lag")


def test_scrapes_under_load_lose_nothing_and_agree_with_the_clients():
    with looks.give_ports(Cluster(3)) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "load", "-p", 100)
        with Workload(cluster, "load", rate=500) as load:
            for look in range(20):
                load.follow(lambda p, least=300 * (look + 1): p["acknowledged"] >= least, "more acknowledgements")
                scraped(cluster)
            verdict = load.stop()
        clean(verdict)
        equal(summed(cluster, "kafka_server_brokertopicmetrics_messagesin_total", topic="load"), verdict["acknowledged"], "records in")


def test_readiness_follows_the_broker_and_life_does_not_depend_on_the_quorum():
    with looks.give_ports(Cluster(3)) as cluster:
        cluster[1].start()
        def waits():
            status, body = looks.get_json(cluster[1], "/readyz")
            return status if status and body["stage"] == "finding the quorum" else None
        equal(wait_until(waits, "a broker that waits for the quorum"), HTTPStatus.SERVICE_UNAVAILABLE, "ready without a quorum")
        equal(looks.get(cluster[1], "/livez")[0], HTTPStatus.OK, "alive without a quorum")
        equal(looks.scrape(cluster[1])["kafka_server_kafkaserver_brokerstate"], 1, "state")
        cluster.start()
        for broker in cluster.brokers:
            wait_until(lambda b=broker: looks.get(b, "/readyz")[0] == HTTPStatus.OK, f"broker {broker.id} is ready")
            wait_until(lambda b=broker: looks.get(b, "/healthz")[0] == HTTPStatus.OK, f"broker {broker.id} sees a healthy cluster")
        cluster.naru("topic", "create", "orders", "-p", 6)
        cluster[2].kill()
        status, body = wait_until(lambda: (lambda a: a if a[0] == 503 else None)(looks.get_json(cluster[1], "/healthz")), "bad health")
        wait_until(lambda: any("fenced: 2" in c["detail"] for c in looks.get_json(cluster[1], "/healthz")[1]["checks"]), "the fenced one is named")
        wait_until(lambda: looks.scrape(cluster[1])["kafka_controller_kafkacontroller_timedoutbrokerheartbeatcount"] >= 1, "the one that is gone is counted")
        recent = json.dumps(looks.get_json(cluster[1], "/api/v1/cluster")[1], ensure_ascii=False)
        reasons = ("its address refuses connections", "its machine does not answer", "silent: nothing was heard of it")
        true(any(reason in recent for reason in reasons), f"what the controller went by: {recent}")
        cluster[3].kill()
        wait_until(lambda: looks.get(cluster[1], "/healthz")[0] == 503, "bad health without a majority")
        equal(looks.get(cluster[1], "/livez")[0], HTTPStatus.OK, "alive without a majority")


def test_failover_is_measured():
    with looks.give_ports(Cluster(3)) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "orders", "-p", 6)
        cluster.wait_isr("orders")
        victim = cluster.leader("orders")
        cluster.naru("produce", "orders", text_in="".join(f"{i}\n" for i in range(100)))
        cluster[victim].kill()
        cluster.wait_leader("orders", other_than=victim)
        # The two that were led by the victim, each counted by its new leader.
        count = wait_until(lambda: (lambda n: n if n >= 2 else None)(summed(cluster, "naru_failover_seconds_count")), "two failovers counted")
        sum_of_all = summed(cluster, "naru_failover_seconds_sum")
        true(0 < sum_of_all / count < 60, f"mean failover: {sum_of_all / count} s")
        wait_until(lambda: summed(cluster, "kafka_server_replicamanager_underreplicatedpartitions") == 6, "6 under-replicated")


def test_recovery_is_told_after_a_kill():
    with looks.give_ports(Cluster(1)) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "orders", "-p", 8)
        wait_until(lambda: looks.total(looks.scrape(cluster[1]), "kafka_server_replicamanager_leadercount") == 8, "8 logs, made and led")
        cluster.naru("produce", "orders", text_in="".join(f"{i}\n" for i in range(100)))
        cluster[1].kill()
        cluster[1].start()
        wait_until(lambda: looks.get(cluster[1], "/readyz")[0] == 200, "ready again")
        recovery = looks.get_json(cluster[1], "/readyz")[1]["recovery"]
        true(recovery["logs_found"] >= 8, f"logs found: {recovery}")
        equal(recovery["logs_opened"], recovery["logs_found"], "logs opened")


def test_a_thousand_partitions_are_named_and_more_are_summed():
    with looks.give_ports(Cluster(1, settings={"naru.metrics.partitions.max": 50})) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "wide", "-p", 200)
        wait_until(lambda: looks.total(looks.scrape(cluster[1]), "kafka_server_replicamanager_leadercount") == 200, "200 leaders")
        samples = looks.scrape(cluster[1])
        equal(len([s for s in samples if s.startswith("kafka_log_log_size{")]), 50, "named")
        equal(samples['naru_metrics_left_out{kind="partition"}'], 150, "left out")
        detailed = looks.scrape(cluster[1], "/metrics?detail=partition")
        equal(len([s for s in detailed if s.startswith("kafka_log_log_size{")]), 200, "named on request")


def test_the_default_port_gives_way():
    with Cluster(3) as cluster:
        cluster.start()

        def port_of(broker):
            for line in broker.log().splitlines():
                if "health, metrics and the page on port" in line:
                    return int(line.rsplit(" ", 1)[1])
            raise Failed(f"broker {broker.id} does not say its port")
        ports = [wait_until(lambda b=broker: port_of(b), "the line that tells the port") for broker in cluster.brokers]
        equal(len(set(ports)), 3, f"ports {ports}")
        for broker, port in zip(cluster.brokers, ports):
            broker.settings["naru.http.port"] = port
            wait_until(lambda b=broker: looks.get(b, "/livez")[0] == 200, "alive")


def test_the_pages_files_are_served_as_they_are_and_compressed():
    with looks.give_ports(Cluster(1)) as cluster:
        cluster.start()
        port = cluster[1].settings["naru.http.port"]

        def ask(path, method="GET", **headers):
            connection = http.client.HTTPConnection(cluster[1].host, port, timeout=20)
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        for path, file in (("/", "index.html"), ("/app.js", "app.js"), ("/vendor/uplot.js", "vendor/uplot.js"), ("/favicon.ico", "icon.svg")):
            source = (TOP / "broker/http/page" / file).read_bytes()
            status, headers, plain = ask(path)
            equal((status, plain == source, headers["Content-Encoding"]), (200, True, None), f"{path} as it is")
            true(headers["Content-Security-Policy"].startswith("default-src 'self';"), f"policy of {path}: {headers}")
            status, small_headers, small = ask(path, Accept_Encoding="gzip, br")
            equal((status, small_headers["Content-Encoding"], gzip.decompress(small) == source), (200, "gzip", True), f"{path} compressed")
            true(len(small) < len(plain) and small_headers["ETag"] != headers["ETag"], f"{path}: {len(small)} of {len(plain)} bytes")
            for tag, encoding in ((headers["ETag"], "identity"), (small_headers["ETag"], "gzip")):
                status, _, body = ask(path, If_None_Match=tag, Accept_Encoding=encoding)
                equal((status, body), (304, b""), f"{path} that the browser has")
        equal(ask("/", "POST")[0], 405, "status of a POST")
        for path in ("/api/v1/traffic", "/api/v1/messages?topic=none"):
            for origin, allowed in (("http://elsewhere.example", None), (f"http://{cluster[1].host}:1", f"http://{cluster[1].host}:1")):
                headers = ask(path, Origin=origin)[1]
                equal([headers[name] for name in ("Cache-Control", "Vary", "Access-Control-Allow-Origin")], ["no-store", "Origin", allowed],
                      f"who may keep or read {path} asked from {origin}")


def test_a_site_that_points_its_name_at_a_broker_learns_nothing():
    """DNS rebinding: the browser takes the broker for the site, and only the name that it asks by tells them apart."""
    with looks.give_ports(Cluster(3)) as cluster:
        cluster[2].settings["naru.http.allowed.hosts"] = "kafka.example, .inner.example"
        cluster.start()

        def ask(broker, path, host):
            connection = http.client.HTTPConnection(broker.host, broker.settings["naru.http.port"], timeout=20)
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        for path in ("/api/v1/cluster", "/api/v1/events", "/api/v1/messages?topic=none", "/api/v1/configs"):
            status, said = ask(cluster[1], path, "evil.example:9644")
            equal(status, 403, f"{path}: {said}")
            true("evil.example is not known here" in said and "naru.http.allowed.hosts" in said, said)
        for host in ("localhost", f"localhost:{cluster[1].settings['naru.http.port']}", "[::1]:1", "10.0.0.1", cluster[2].host):
            equal(ask(cluster[1], "/api/v1/cluster", host)[0], 200, f"asked as {host}")
        wait_until(lambda: looks.get(cluster[1], "/healthz")[0] == 200, "health")
        for path in ("/livez", "/readyz", "/healthz", "/metrics", "/", "/app.js"):
            equal(ask(cluster[1], path, "evil.example")[0], 200, f"{path} by any name, as balancers and Prometheus have them")
        for host, allowed in (("kafka.example:80", 200), ("a.inner.example", 200), ("evil.example", 403)):
            equal(ask(cluster[2], "/api/v1/cluster", host)[0], allowed, f"the broker with the setting, asked as {host}")


# What existing dashboards and alerts ask for: names of the JMX exporter and of kafka_exporter, with their labels.
DASHBOARDS = {
    "topic": ["kafka_server_brokertopicmetrics_messagesin_total", "kafka_server_brokertopicmetrics_bytesin_total",
              "kafka_server_brokertopicmetrics_bytesout_total", "kafka_server_brokertopicmetrics_totalproducerequests_total",
              "kafka_server_brokertopicmetrics_failedproducerequests_total", "kafka_server_brokertopicmetrics_totalfetchrequests_total",
              "kafka_server_brokertopicmetrics_failedfetchrequests_total", "kafka_topic_partitions"],
    "partition topic": ["kafka_log_log_size", "kafka_cluster_partition_underminisr", "kafka_cluster_partition_atminisr",
                        "kafka_cluster_partition_underreplicated", "kafka_topic_partition_current_offset", "kafka_topic_partition_oldest_offset",
                        "kafka_topic_partition_in_sync_replica", "kafka_topic_partition_leader", "kafka_topic_partition_leader_is_preferred",
                        "kafka_topic_partition_replicas", "kafka_topic_partition_under_replicated_partition"],
    "": ["kafka_log_logmanager_offlinelogdirectorycount", "kafka_controller_controllerstats_uncleanleaderelections_total",
         "kafka_controller_kafkacontroller_activecontrollercount", "kafka_controller_kafkacontroller_offlinepartitionscount",
         "kafka_server_replicamanager_underreplicatedpartitions", "kafka_server_replicamanager_underminisrpartitioncount",
         "kafka_server_replicamanager_partitioncount", "kafka_server_replicamanager_leadercount",
         "kafka_server_replicamanager_isrshrinks_total", "kafka_server_replicamanager_isrexpands_total",
         "kafka_network_socketserver_networkprocessoravgidle_percent", "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent",
         "kafka_server_kafkaserver_brokerstate", "kafka_server_kafkaserver_linux_disk_read_bytes", "kafka_server_kafkaserver_linux_disk_write_bytes",
         "kafka_controller_kafkacontroller_metadataerrorcount", "kafka_server_broker_metadata_metrics_metadata_load_error_count",
         "kafka_server_broker_metadata_metrics_metadata_apply_error_count",
         "kafka_brokers", *(f"kafka_server_{style}_{name}" for style in ("raftmetrics", "raft_metrics")
                            for name in ("current_leader", "current_vote", "current_epoch", "high_watermark", "log_end_offset",
                                         "append_records_rate", "fetch_records_rate", "commit_latency_avg"))],
    "state": ["kafka_server_raftmetrics_current_state", "kafka_server_raft_metrics_current_state"],
    "listener networkProcessor": ["kafka_server_socket_server_metrics_connection_count", "kafka_server_socket_server_metrics_connection_creation_rate"],
    "address id": ["kafka_broker_info"],
    "consumergroup": ["kafka_consumergroup_members"],
    "consumergroup topic": ["kafka_consumergroup_current_offset_sum", "kafka_consumergroup_lag_sum"],
    "consumergroup partition topic": ["kafka_consumergroup_current_offset", "kafka_consumergroup_lag"],
}


def named_by_the_page():
    """Metrics that docs/monitoring.md calls by their whole name."""
    spans = re.findall(r"`([^`\n]+)`", (TOP / "docs/monitoring.md").read_text())
    return {name for span in spans for name in re.findall(r"(?<![\w.])(?:kafka|naru|process)_\w*[a-z0-9]\b(?!\*)", span)}


def test_the_page_about_metrics_names_what_there_is():
    named = named_by_the_page()
    true(len(named) > 35, f"names on the page: {sorted(named)}")
    # The cleaner says when it has looked last once it has looked.
    with looks.give_ports(Cluster(3, settings={"log.cleaner.backoff.ms": 200})) as cluster:
        cluster.start()

        def all_are_there():
            there = {name for broker in cluster.brokers for name in re.findall(r"^# TYPE (\S+)", looks.get(broker, "/metrics")[1], re.M)}
            if missing := sorted(named - there):
                raise Failed(f"docs/monitoring.md names {missing}, which nobody exports")
            return True
        wait_until(all_are_there, "every metric that the page names")


def test_existing_dashboards_find_their_names_and_labels():
    wanted = {(name, labels) for labels, names in DASHBOARDS.items() for name in names}
    with looks.give_ports(Cluster(3)) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "orders", "-p", 3)
        cluster.naru("produce", "orders", text_in="".join(f"{i}\n" for i in range(100)))
        cluster.naru("consume", "orders", "-g", "readers", "--from", "start", "-n", 40)

        def missing():
            found = set()
            for samples in scraped(cluster).values():
                for series in samples:
                    name, _, labels = series.partition("{")
                    found.add((name, " ".join(sorted(re.findall(r'(\w+)="', labels)))))
            return sorted(wanted - found)

        def nothing_is():
            if left := missing():
                raise Failed(f"nobody says {left}")
            return True
        wait_until(nothing_is, "every name that a dashboard asks for, with its labels")  # those of a group once it has committed
