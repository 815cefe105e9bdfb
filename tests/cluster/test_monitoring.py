"""deploy/grafana with a real Prometheus: it scrapes three brokers, loads the rules and answers every query of the dashboard."""
import contextlib
import json
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import urllib.parse
import urllib.request

import looks
from naru_cluster import Cluster, Failed, Workload, wait_until
from support import clean, equal, true

GRAFANA = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "grafana"
# Words of PromQL and labels that look like metric names.
METRIC = re.compile(r"\b(?:kafka|naru|process)_[a-z0-9_]+\b")


def expressions():
    """Every expression of the dashboard, with its variables filled in, and of the rules."""
    board = json.loads((GRAFANA / "dashboard.json").read_text())
    found = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    found += [annotation["expr"] for annotation in board["annotations"]["list"]]
    filled = [expr.replace("$__rate_interval", "1m").replace("$job", "naru") for expr in found]
    rules = re.findall(r"^\s+expr: (.*)$", (GRAFANA / "alerts.yml").read_text(), re.MULTILINE)
    return filled, rules


class Prometheus:
    def __init__(self, cluster):
        program = shutil.which("prometheus")
        true(program, "prometheus is here (package prometheus, see scripts/lib/packages)")
        self.dir = cluster.dir / "prometheus"
        self.dir.mkdir()
        with socket.socket() as free:
            free.bind((cluster.host, 0))
            self.port = free.getsockname()[1]
        self.host = cluster.host
        targets = ", ".join(f'"{b.host}:{b.settings["naru.http.port"]}"' for b in cluster.brokers)
        text = (GRAFANA / "prometheus.yml").read_text().replace("5s", "1s")
        text = re.sub(r"targets: .*", f"targets: [{targets}]", text)
        (self.dir / "prometheus.yml").write_text(text)
        # What people wait for before they are woken, the test does not.
        (self.dir / "alerts.yml").write_text(re.sub(r"\bfor: .*", "for: 0s", (GRAFANA / "alerts.yml").read_text()))
        self.log = open(self.dir / "log", "wb")
        self.process = subprocess.Popen(
            [program, f"--config.file={self.dir}/prometheus.yml", f"--storage.tsdb.path={self.dir}/data",
             f"--web.listen-address={self.host}:{self.port}"], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def get(self, path, **parameters):
        if self.process.poll() is not None:
            raise SystemExit(f"prometheus ended: {(self.dir / 'log').read_text()[-2000:]}")
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.port}{path}?{query}", timeout=20) as answer:
                return json.load(answer)["data"]
        except OSError as refused:
            raise Failed(f"{path} {parameters}: {refused}") from None

    def query(self, expr):
        return self.get("/api/v1/query", query=expr)["result"]

    def value(self, expr):
        result = self.query(expr)
        return float(result[0]["value"][1]) if result else None


def settles(left, what):
    """Waits until nothing is left."""
    def nothing():
        found = left()
        if found:
            raise Failed(f"{found}")
        return True
    wait_until(nothing, f"no {what}")


def test_rules_and_configuration_are_valid():
    for words in (["check", "rules", GRAFANA / "alerts.yml"], ["check", "config", GRAFANA / "prometheus.yml"]):
        done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, timeout=60)
        equal(done.returncode, 0, f"promtool {words}: {done.stdout}{done.stderr}")


# Two clusters in one Prometheus, as promtool has it: series from minute to minute, and what fires after five of them.
CONTROLLER = "kafka_controller_kafkacontroller_activecontrollercount"
TWO_CLUSTERS = {
    **{f'up{{job="{job}", instance="{job}-{n}"}}': "1x5" for job in ("naru", "naru-two") for n in (1, 2, 3)},
    **{f'{CONTROLLER}{{job="{job}", instance="{job}-{n}"}}': f"{int(n == 1)}x5" for job in ("naru", "naru-two") for n in (1, 2, 3)},
    'up{job="other", instance="other-1"}': "0x5",  # not ours to say
}
SECOND_IS_DOWN = {**{series: values.replace("1x5", "0x5") if series.startswith('up{job="naru-two"') else values
                     for series, values in TWO_CLUSTERS.items() if not series.startswith(CONTROLLER + '{job="naru-two"')}}
SECOND_HAS_TWO = TWO_CLUSTERS | {f'{CONTROLLER}{{job="naru-two", instance="naru-two-2"}}': "1x5"}
# A job of another name, of which one broker still answers.
CALLED_OTHERWISE = {'up{job="kafka", instance="kafka-1"}': "1x5", 'up{job="kafka", instance="kafka-2"}': "0x5",
                    'naru_disk_total_bytes{job="kafka", instance="kafka-1", directory="/data"}': "1000x5"}


def fired(directory, name, series, at="5m"):
    """The labels of alerts of that name, as promtool's own evaluation of the rules has them."""
    shutil.copy(GRAFANA / "alerts.yml", directory)
    # What is expected is nothing: what there is stands in what promtool says then.
    tests = {"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": [{
        "interval": "1m", "input_series": [{"series": s, "values": v} for s, v in series.items()],
        "alert_rule_test": [{"eval_time": at, "alertname": name, "exp_alerts": []}]}]}
    (directory / "test.yml").write_text(json.dumps(tests))  # which is YAML, too
    done = subprocess.run(["promtool", "test", "rules", "test.yml"], cwd=directory, capture_output=True, text=True, timeout=60, check=False)
    said = done.stdout + done.stderr
    true("FAILED" in said or done.returncode == 0, f"promtool: {said}")
    got = said.split("got:", 1)[-1] if done.returncode != 0 else ""
    return sorted(re.findall(r'\bjob="([^"]+)"', got))


def test_clusters_in_one_prometheus_are_told_apart():
    with tempfile.TemporaryDirectory() as made:
        directory = pathlib.Path(made)
        for name, series, expected in (("NaruNoController", TWO_CLUSTERS, []), ("NaruBrokerDown", TWO_CLUSTERS, []),
                                       ("NaruNoController", SECOND_IS_DOWN, ["naru-two"]), ("NaruBrokerDown", SECOND_IS_DOWN, ["naru-two"] * 3),
                                       ("NaruNoController", SECOND_HAS_TWO, ["naru-two"]), ("NaruBrokerDown", CALLED_OTHERWISE, ["kafka"])):
            equal(fired(directory, name, series), expected, f"jobs of {name}")


BROKER = 'job="naru", instance="naru-1"'
COMMITS = f"naru_commit_latency_seconds_bucket{{{BROKER}, "
# Each rule: values of its series, from minute to minute, when it is to fire after half an hour, and when not.
SIGNS = {
    "NaruBrokerDown": {f"up{{{BROKER}}}": ("0x40", "1x40")},
    "NaruOfflinePartitions": {f"kafka_controller_kafkacontroller_offlinepartitionscount{{{BROKER}}}": ("1x40", "0x40")},
    "NaruNoController": {f"{CONTROLLER}{{{BROKER}}}": ("0x40", "1x40")},
    "NaruUnderMinIsr": {f"kafka_server_replicamanager_underminisrpartitioncount{{{BROKER}}}": ("1x40", "0x40")},
    "NaruUnderReplicated": {f"kafka_server_replicamanager_underreplicatedpartitions{{{BROKER}}}": ("1x40", "0x40")},
    "NaruIsrFlapping": {f"kafka_server_replicamanager_isrshrinks_total{{{BROKER}}}": ("0+12x40", "0+1x40")},
    "NaruUncleanElection": {f"kafka_controller_controllerstats_uncleanleaderelections_total{{{BROKER}}}": ("0+1x40", "3x40")},
    "NaruOfflineLogDirectory": {f"kafka_log_logmanager_offlinelogdirectorycount{{{BROKER}}}": ("1x40", "0x40")},
    "NaruDiskLow": {f'naru_disk_free_bytes{{{BROKER}, directory="/data"}}': ("14x40", "16x40"),
                    f'naru_disk_total_bytes{{{BROKER}, directory="/data"}}': ("100x40", "100x40")},
    "NaruDescriptorsLow": {f"process_open_fds{{{BROKER}}}": ("90x40", "80x40"), f"process_max_fds{{{BROKER}}}": ("100x40", "100x40")},
    "NaruConsumerLag": {f'naru_consumergroup_lag_seconds{{{BROKER}, consumergroup="g", topic="t", partition="0"}}': ("400x40", "200x40")},
    "NaruSlowCommits": {f'{COMMITS}le="1"}}': ("0x40", "0+60x40"), f'{COMMITS}le="4"}}': ("0+60x40", "0+60x40"),
                        f'{COMMITS}le="+Inf"}}': ("0+60x40", "0+60x40")},
    "NaruSlowBroker": {f"naru_slow_brokers{{{BROKER}}}": ("1x40", "0x40")},
    "NaruUncleanable": {f'kafka_log_logcleanermanager_uncleanable_partitions_count{{{BROKER}, logDirectory="/data"}}': ("1x40", "0x40")},
    "NaruMetricsLeftOut": {f'naru_metrics_left_out{{{BROKER}, kind="topic"}}': ("1x40", "0x40")},
}


def test_each_alert_fires_on_its_sign_and_on_nothing_else():
    equal(sorted(re.findall(r"alert: (\w+)", (GRAFANA / "alerts.yml").read_text())), sorted(SIGNS), "the rules that are tried here")
    with tempfile.TemporaryDirectory() as made:
        directory = pathlib.Path(made)
        for name, series in SIGNS.items():
            equal(fired(directory, name, {s: ill for s, (ill, _) in series.items()}, at="30m"), ["naru"], f"jobs of {name}, where it is to fire")
            equal(fired(directory, name, {s: well for s, (_, well) in series.items()}, at="30m"), [], f"jobs of {name}, where all is well")


def test_a_real_prometheus_answers_the_dashboard_and_alerts_on_a_kill():
    dashboard, rules = expressions()
    true(len(dashboard) > 30 and len(rules) > 10, f"expressions found: {len(dashboard)}, {len(rules)}")
    with looks.give_ports(Cluster(3)) as cluster:
        cluster.start()
        cluster.naru("topic", "create", "orders", "-p", 6)
        cluster.wait_isr("orders")
        with contextlib.closing(Prometheus(cluster)) as prometheus, Workload(cluster, "orders", rate=200, group="readers") as load:
            wait_until(lambda: prometheus.value('sum(up{job="naru"})') == 3, "three targets that are up")
            load.flow()
            # Nothing is named there that no broker exports.
            named = {name for expr in dashboard + rules for name in METRIC.findall(expr)}

            def missing():
                return sorted(named - {series.split("{")[0] for broker in cluster.brokers for series in looks.scrape(broker)})
            # Those of a group are there once it has committed.
            settles(missing, "metrics that the dashboard or the rules name and nobody exports")
            wait_until(lambda: (prometheus.value('sum(rate(kafka_server_brokertopicmetrics_messagesin_total{topic="orders"}[1m]))') or 0) > 10, "a rate")
            wait_until(lambda: prometheus.query("kafka_consumergroup_lag"), "the lag of a group")

            # Failover and sync times exist once there was one; here nothing has failed yet and nobody asked for syncs. A rate
            # needs two looks at its series.
            def silent():
                return [expr for expr in dashboard if "failover" not in expr and "fsync" not in expr and "isr" not in expr and not prometheus.query(expr)]
            settles(silent, "queries of the dashboard without an answer")
            for expr in rules:
                prometheus.query(expr)  # an error would be a Failed
            groups = prometheus.get("/api/v1/rules")["groups"]
            equal(sum(len(group["rules"]) for group in groups), len(rules), "rules loaded")
            def firing():
                return {alert["labels"]["alertname"] for alert in prometheus.get("/api/v1/alerts")["alerts"] if alert["state"] == "firing"}
            settles(lambda: sorted(firing() & {"NaruBrokerDown", "NaruUnderReplicated", "NaruOfflinePartitions"}), "alerts of a healthy cluster")
            victim = cluster.leader("orders")
            load.fault("kill")
            cluster[victim].kill()
            wait_until(lambda: {"NaruBrokerDown", "NaruUnderReplicated"} <= firing(), "the alerts to fire", timeout=60)
            wait_until(lambda: prometheus.value("sum(increase(naru_failover_seconds_count[1m]))"), "failovers in Prometheus")
            cluster[victim].start()
            wait_until(lambda: not {"NaruBrokerDown", "NaruUnderReplicated"} & firing(), "the alerts end", timeout=120)
            load.healed()
            load.flow()
            clean(load.stop())
