"""What scripts/chaos decides and says, without brokers: whom a death hits, which histories break a promise, whose a line is."""
import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "scripts" / "lib"), str(HERE)]

import apache_kafka  # noqa: E402
import gaps  # noqa: E402
import harness  # noqa: E402


def verdict(clean=True, complete=True, failed=0, **anomalies):
    return {"clean": clean, "complete": complete, "incomplete": "", "failed": failed, "acknowledged": 7, "examples": [],
            "anomalies": {"lost": 0, "stale": 0} | anomalies}


class Gaps(unittest.TestCase):
    def test_every_kind_is_measured_by_one_round(self):
        self.assertEqual(sorted(kind for group in gaps.TOGETHER for kind in group), sorted(gaps.KINDS))

    def test_one_death_hits_each_kind_as_its_name_says(self):
        for controller in (1, 2, 3):
            others = [n for n in (1, 2, 3) if n != controller]
            for kinds in gaps.TOGETHER:
                victim, leaders = gaps.plan(kinds, controller, others)
                for kind in kinds:
                    with self.subTest(controller=controller, kind=kind):
                        self.assertEqual(victim == controller, kind in ("controller", "both"))
                        self.assertEqual(leaders[kind] == victim, kind not in ("follower", "controller"))
                        self.assertEqual(leaders[kind] == controller, kind == "both")

    def test_what_breaks_a_promise_is_said(self):
        judged = gaps.Series._judged
        self.assertEqual(judged("leader", 1.0, None, verdict()).broken, "")
        self.assertIn("lost", judged("leader", 1.0, None, verdict(clean=False, lost=1)).broken)
        self.assertIn("stale", judged("leader", 1.0, None, verdict(clean=False, stale=1)).broken)
        self.assertNotEqual(judged("leader", 1.0, None, verdict(clean=False)).broken, "")
        self.assertIn("does not end", judged("leader", 1.0, None, verdict(complete=False)).broken)
        self.assertIn("gave up 3", judged("leader", 1.0, None, verdict(failed=3)).broken)

    def test_a_leader_that_was_silent_may_answer_stale_once_more_and_that_is_counted(self):
        for kind in gaps.SILENT:
            one = gaps.Series._judged(kind, 1.0, None, verdict(clean=False, stale=2))
            self.assertEqual((one.broken, one.anomalies), ("", {"stale": 2}))
            self.assertNotEqual(gaps.Series._judged(kind, 1.0, None, verdict(clean=False, stale=2, lost=1)).broken, "")

    def test_the_table_has_median_worst_and_anomalies_of_each_target(self):
        rounds = [(target, gaps.Round("leader", ms, None, 10, anomalies, "")) for target, ms, anomalies in
                  (("naru", 10, {}), ("naru", 30, {}), ("naru", 20, {}), ("kafka", 9000, {"lost": 2}))]
        head, leader, *sums = gaps.table(rounds).splitlines()
        self.assertEqual(head.split(), "EVENT TARGET NARU RUNS MEDIAN WORST KAFKA RUNS MEDIAN WORST".split())
        self.assertEqual(leader.split()[-10:], "3 20 ms 30 ms 1 9000 ms 9000 ms".split())
        self.assertEqual(sums, ["naru: 30 records acknowledged, anomalies: none",
                                "kafka: 10 records acknowledged, anomalies: {'lost': 2}"])


class Lines(unittest.TestCase):
    def test_a_line_says_whose_it_is_where_it_is_not_ours(self):
        def line(target):
            return harness.Result("kill-all", 5, "OK", "", ["kill -9"], 7, 12.0, 0, None, 1.0, [], 1, target).line()
        self.assertIn("kill-all (kafka)  row 5", line("kafka"))
        self.assertIn("kill-all  row 5", line("naru"))


class Places(unittest.TestCase):
    def test_a_kafka_broker_starts_in_the_place_that_it_was_given(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {"NARU": __file__}), \
                mock.patch.object(apache_kafka, "java_command", lambda *_, **__: ["sh", "-c", "echo $PLACE$ALSO"]):
            cluster = apache_kafka.KafkaCluster(1, directory=folder)
            broker = cluster[1]
            broker.data.mkdir(parents=True)
            (broker.data / "meta.properties").touch()  # formatted
            cluster.enter = ["env", "PLACE=elsewhere"]
            broker.environment = {"ALSO": ", preloaded"}
            for enter, place in ((None, "elsewhere"), (["env", "PLACE=here"], "here")):
                broker.enter = enter
                self.assertEqual(broker.start().wait_exit(), 0)
                self.assertEqual(broker.log().splitlines()[-1], f"{place}, preloaded")


if __name__ == "__main__":
    unittest.main()
