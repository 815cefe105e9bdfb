"""What scripts/figures and scripts/bench decide and compute, without brokers: a tool that measures must itself be right."""
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "scripts" / "lib"), str(HERE)]

import catalogue  # noqa: E402
import contention  # noqa: E402
import cpu_classes  # noqa: E402
import create_partitions  # noqa: E402
import instructions  # noqa: E402
import java_clients  # noqa: E402
import kills  # noqa: E402
import limit  # noqa: E402
import measure  # noqa: E402
import report  # noqa: E402
import rounds  # noqa: E402
import fault_table  # noqa: E402
import soak_table  # noqa: E402
from measure import Figure, Floor, Invalid, Outcome, Spread  # noqa: E402
from workloads import Workload  # noqa: E402


class Plans(unittest.TestCase):
    def test_a_kill_hits_what_it_is_meant_to_hit_wherever_the_controller_is(self):
        for controller in (1, 2, 3):
            for kind in kills.KILLS | kills.FAULTS:
                with self.subTest(controller=controller, kind=kind):
                    victim, replicas = kills.plan(kind, controller, [1, 2, 3])
                    leaders = [r[0] for r in replicas]
                    self.assertTrue(all(sorted(r) == [1, 2, 3] for r in replicas))
                    self.assertEqual(len(set(leaders)), 2)
                    self.assertEqual(victim == controller, kind in ("controller", "both", "term-both"))
                    self.assertEqual(victim in leaders, kind not in ("controller", "follower"))


COST = Figure("w/cost", "cost", "s/GB", floor=Floor(ratio=6))
RATE = Figure("w/rate", "rate", "MB/s", higher_is_better=True)


def outcome_of(*pairs):
    """Rounds of (Naru's cost, Kafka's cost); None: that side's round was invalid."""
    outcome = Outcome((COST,))
    for number, (naru, kafka) in enumerate(pairs, 1):
        outcome.add({name: {"w/cost": cost} for name, cost in (("naru", naru), ("kafka", kafka)) if cost is not None})
        for name, cost in (("naru", naru), ("kafka", kafka)):
            if cost is None:
                outcome.add_invalid(name, number, "too little")
    return outcome


class Arithmetic(unittest.TestCase):
    def test_a_spread_is_the_median_and_between_what_the_values_lay(self):
        self.assertEqual(Spread.of([3, 1, 2, None]), Spread(2, 1, 3, 3))
        self.assertIsNone(Spread.of([None]))

    def test_better_is_more_than_one_in_either_direction(self):
        self.assertEqual(COST.factor(naru=10, kafka=60), 6)
        self.assertEqual(RATE.factor(naru=60, kafka=10), 6)
        self.assertIsNone(COST.factor(naru=0, kafka=60))

    def test_ratios_are_of_neighbours_in_time(self):
        # The machine was half as fast in the second round: the medians of the two sides do not show it, the ratios do.
        self.assertEqual(outcome_of((10, 70), (20, 140)).ratios(COST), [7, 7])

    def test_kafkas_best_is_what_a_floor_is_held_against(self):
        row = outcome_of((10, 70), (10, 59), (10, 80)).row(COST)
        self.assertEqual(Spread.of(row["ratios"]).median, 7)
        self.assertEqual(row["ratio_to_kafkas_best"], 5.9)
        self.assertIs(row["met"], False)

    def test_values_of_narus_own_have_floors_too(self):
        for floor, met in ((Floor(at_most=60), True), (Floor(at_most=40), False), (Floor(at_least=60), False), (Floor(at_least=40), True)):
            self.assertIs(measure.met(floor, {"naru": [49, 50, 99], "kafka": []}), met)
            self.assertIsNone(measure.met(floor, {"naru": [], "kafka": [1]}))

    def test_warm_is_what_no_longer_falls(self):
        self.assertFalse(measure.warm([100, 99]))
        self.assertFalse(measure.warm([100, 90, 80]))
        self.assertFalse(measure.warm([100, 60, 99, 55]))
        self.assertTrue(measure.warm([100, 60, 61, 59]))

    def test_sides_take_turns(self):
        self.assertEqual([measure.order(n, ("naru", "kafka"))[0] for n in range(4)], ["naru", "kafka", "naru", "kafka"])


class Catalogue(unittest.TestCase):
    def test_what_is_handed_to_the_client_are_its_options(self):
        with_options = [workload for workload in catalogue.every() if hasattr(workload, "options")]
        self.assertGreater(len(with_options), 5)
        for workload in with_options:
            words = [str(word) for word in workload.options]
            self.assertTrue(words and words[0].startswith("--"), f"{workload.name}: {words}")


class Pieces(unittest.TestCase):
    def test_a_topic_is_no_larger_than_kafkas_controller_makes_at_once(self):
        self.assertEqual(create_partitions.topics_of("t", 1000), {"t": 1000})
        self.assertEqual(create_partitions.topics_of("t", 5000), {"t": 5000})
        self.assertEqual(create_partitions.topics_of("t", 10_001), {"t": 5000, "t-1": 5000, "t-2": 1})


class Honesty(unittest.TestCase):
    def test_a_record_without_acknowledgement_makes_a_round_invalid(self):
        measure.all_acknowledged({"acked": 100, "failed": 0}, 100)
        for done in ({"acked": 99, "failed": 0}, {"acked": 99, "failed": 1}, {"acked": 0, "failed": 0}):
            self.assertRaises(Invalid, measure.all_acknowledged, done, 100)

    def test_a_rate_that_was_not_kept_makes_a_round_invalid(self):
        measure.rate_was_kept({"records_per_s": 960}, 1000)
        self.assertRaises(Invalid, measure.rate_was_kept, {"records_per_s": 940}, 1000)

    def test_cpu_of_a_few_ticks_is_no_figure(self):
        measure.enough_cpu(0.2, 100)
        self.assertRaises(Invalid, measure.enough_cpu, 0.19, 100)

    def test_an_invalid_round_counts_for_no_figure_and_for_no_ratio(self):
        outcome = outcome_of((10, 70), (1, None), (None, 700))
        row = outcome.row(COST)
        self.assertEqual((row["naru"], row["kafka"], row["ratios"]), ([10, 1], [70, 700], [7]))
        self.assertFalse(outcome.complete(3, ("naru", "kafka")))
        self.assertTrue(outcome.complete(2, ("naru", "kafka")))

    def test_a_quick_look_judges_nothing(self):
        row = outcome_of((10, 70)).rows(judged=False)[0]
        self.assertNotIn("met", row)
        self.assertEqual(report.verdict(row), "6 x")


class Side:
    def __init__(self, name):
        self.name = name


class Scripted(Workload):
    """Answers with what is written down; an exception is an invalid round."""
    figures = (COST,)

    def __init__(self, naru, kafka, warm_by=None):
        super().__init__()
        self.left = {"naru": list(naru), "kafka": list(kafka)}
        self.warm_by = warm_by

    def round(self, side):
        value = self.left[side.name].pop(0)
        if isinstance(value, Exception):
            raise value
        return {"w/cost": value}


class Rounds(unittest.TestCase):
    def setUp(self):
        self.said = []
        rounds.say = self.said.append

    def bench(self, wanted, warm_up_max=10):
        return rounds.Bench([Side("naru"), Side("kafka")], wanted, warm_up_max)

    def test_an_invalid_round_is_done_again(self):
        outcome = self.bench(2).measure(Scripted([10, 11, 12], [Invalid("99 of 100"), 70, 71]))
        self.assertEqual(outcome.values(COST, "kafka"), [70, 71])
        self.assertEqual([i["side"] for i in outcome.invalid], ["kafka"])
        self.assertTrue(any("99 of 100" in line for line in self.said))

    def test_rounds_that_stay_invalid_come_to_an_end(self):
        outcome = self.bench(2).measure(Scripted([10] * 9, [Invalid("nothing")] * 9))
        self.assertFalse(outcome.complete(2, ("naru", "kafka")))
        self.assertEqual(len(outcome.rounds), 4)

    def test_what_warms_up_does_not_count(self):
        workload = Scripted([9] * 9, [100, 60, 50, 51, 52, 49, 48], warm_by="w/cost")
        outcome = self.bench(2).measure(workload)
        self.assertEqual(outcome.values(COST, "kafka"), [49, 48])


class Reports(unittest.TestCase):
    def test_a_table_names_what_was_measured_and_what_was_not(self):
        rows = [outcome_of((10, 70), (12, 72)).row(COST), {**outcome_of((10, None)).row(COST), "title": "alone"}]
        lines = report.table(rows).splitlines()
        self.assertRegex(lines[1], r"11\.0 \(10\.0 to 12\.0\) +71\.0 \(70\.0 to 72\.0\) +6\.5 x \(6\.0 x to 7\.0 x\) +6\.4 x +2 +6 x: met")
        self.assertRegex(lines[2], r"alone +s/GB +10\.0 +- +- +- +1 +6 x: -")

    def test_the_place_of_the_table_in_a_page_must_be_there_once(self):
        page = "a\n<!-- m -->\nold\n<!-- end of m -->\nb\n"
        self.assertEqual(report.between(page, "m", "new"), "a\n<!-- m -->\nnew\n<!-- end of m -->\nb\n")
        self.assertRaises(ValueError, report.between, "a", "m", "new")

    def test_of_a_figure_in_two_results_the_later_counts(self):
        common = {"quick": False, "versions": {}, "command": "c", "machine": {}}
        first = {"figures": [{"key": "a", "v": 1}, {"key": "b", "v": 1}], "invalid": [1], "when": "1", **common}
        second = {"figures": [{"key": "b", "v": 2}], "invalid": [2], "when": "2", **common}
        merged = report.merged([first, second])
        self.assertEqual(merged["figures"], [{"key": "a", "v": 1}, {"key": "b", "v": 2}])
        self.assertEqual(([run["when"] for run in merged["runs"]], merged["invalid"]), (["1", "2"], [1, 2]))
        third = {"figures": [], "invalid": [], "when": "3", **common}
        self.assertEqual([run["when"] for run in report.merged([merged, third])["runs"]], ["1", "2", "3"])

    def test_a_page_says_what_was_invalid(self):
        machine = {"processors": 2, "cpu": "c", "memory_gb": 8, "kernel": "6", "load_before": 0.1}
        result = {"quick": False, "versions": {"naru": "n", "kafka": "k"}, "figures": [outcome_of((10, 70)).row(COST)],
                  "runs": [{"when": "now", "command": "scripts/bench", "machine": machine}],
                  "invalid": [{"workload": "w", "side": "kafka", "round": 1, "why": "99 of 100"}]}
        self.assertIn("w, kafka: 99 of 100", report.page(result))
        self.assertIn("1 of 1 floors met", report.page(result))

    def test_a_page_shows_the_charts_that_there_are(self):
        result = {"quick": False, "versions": {"naru": "n", "kafka": "k"}, "figures": [], "runs": [], "invalid": []}
        shown = [line for line in report.page(result, {"memory", "ratios", "of-somebody-else"}).splitlines() if line.startswith("![")]
        self.assertEqual(shown, ["![How many times better](performance/ratios.svg)", "![Memory](performance/memory.svg)"])


PRODUCER_SAID = """Warmup first 1000 records. Steady state results will print after the complete test summary.
9999 records sent, 1999.8 records/sec (1.95 MB/sec), 400.0 ms avg latency, 1911.0 ms max latency.
20000 records sent, 4715.868899 records/sec (4.61 MB/sec), 300.99 ms avg latency, 1911.00 ms max latency, 282 ms 50th, 591 ms 95th, 818 ms 99th, 868 ms 99.9th.
"""
CONSUMER_SAID = """start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec
2026-11-28 17:47:18:586, 2026-11-28 17:47:21:873, 19.5313, 5.9420, 20000, 6084.5756, 2110, 1177, 16.5941, 16992.3534
"""


class WhatToolsSay(unittest.TestCase):
    def test_the_producers_summary_counts_and_not_its_intervals(self):
        self.assertEqual(java_clients.produced(PRODUCER_SAID),
                         {"acked": 20000, "records_per_s": 4715.868899, "p50_ms": 282, "p99_ms": 818, "p999_ms": 868})

    def test_the_consumers_rate_is_that_of_fetching(self):
        said = java_clients.consumed(CONSUMER_SAID)
        self.assertEqual(said["records"], 20000)
        self.assertAlmostEqual(said["mb_per_s"], 17.4, places=1)

    def test_end_to_end(self):
        self.assertEqual(java_clients.end_to_end("Avg latency: 14.0031 ms\nPercentiles: 50th = 7, 99th = 116, 99.9th = 212\n"),
                         {"p50_ms": 7, "p99_ms": 116, "p999_ms": 212})

    def test_a_tool_that_says_nothing_of_use_makes_a_round_invalid(self):
        for parser in (java_clients.produced, java_clients.consumed, java_clients.end_to_end):
            for said in ("", "WARN could not connect, 3 brokers\n", PRODUCER_SAID[:300] if parser is java_clients.produced else "a, b\n1, 2\n"):
                self.assertRaises(Invalid, parser, said)

    def test_what_is_in_memory_is_not_cold(self):
        self.assertEqual(contention.resident_share("  4096 16384\n0 16384\n"), 0.125)
        self.assertEqual(contention.resident_share(""), 1.0)


SAMPLES = """shard-0 15684
\tffffffff82200cb1 _raw_spin_unlock_irq ([kernel.kallsyms])
\tffffffff8158e5cc filemap_add_folio ([kernel.kallsyms])
\tffffffff816b7a49 do_pwritev ([kernel.kallsyms])
\tffffffff82000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
\t           fdff8 pwritev64 (/usr/lib/x86_64-linux-gnu/libc.so.6)
\t          992aba common::disk::(anonymous namespace)::KernelFile::write_at (/opt/naru)

shard-0 15684
\tffffffff81c00001 tcp_v4_rcv ([kernel.kallsyms])
\tffffffff81c00002 __do_softirq ([kernel.kallsyms])
\tffffffff81c00003 __sys_sendmsg ([kernel.kallsyms])
\t           fdff8 sendmsg (/usr/lib/x86_64-linux-gnu/libc.so.6)

shard-1 15685
\t           98109 _int_malloc (/usr/lib/x86_64-linux-gnu/libc.so.6)

shard-1 15685
\t            1234 nghttp2_session_mem_recv (/usr/lib/x86_64-linux-gnu/libnghttp2.so.14.24.1)
\t          795ae3 broker::replication::Http2Call::on_bytes (/opt/naru)

shard-1 15685
\t          795ae3 broker::partition::Partition::take (/opt/naru)

"""
COUNTS = """# started on Sun Nov 29 19:22:00 2026

17505,,syscalls:sys_enter_recvfrom,360420000,100.00,,
<not counted>,,syscalls:sys_enter_futex,0,100.00,,
"""


class Classes(unittest.TestCase):
    def test_a_sample_belongs_to_its_system_call_or_to_the_function_that_runs(self):
        found = [cpu_classes.class_of(stack).split()[0] for stack in cpu_classes.samples(SAMPLES)]
        self.assertEqual(found, ["writing", "sending", "allocation", "HTTP/2,", "everything"])
        self.assertEqual(set(cpu_classes.shares(SAMPLES).values()), {0.2})

    def test_what_was_not_counted_is_not_a_count(self):
        self.assertEqual(cpu_classes.calls(COUNTS), {"recvfrom": 17505})


class Limits(unittest.TestCase):
    def test_a_replicated_gb_comes_in_once_is_written_thrice_and_sent_twice(self):
        parts = {"out": 1, "in": 10, "crc": 100, "write": 1000, "grpc": 10_000}
        self.assertEqual(limit.bound(parts), 10 + 3 * 1100 + 2 * 11)
        self.assertEqual(limit.bound_with_grpc(parts), 10 + 3 * 1100 + 2 * 10_000)
        self.assertEqual(limit.bound(parts, copies=1), 10 + 1100)


class Instructions(unittest.TestCase):
    DUMP = "version: 1\npid: 7\npart: {}\n\ndesc: Trigger: {}\n\nevents: Ir\nsummary: {}\n\nfn=(1) main\n3 4\n"

    def test_a_dump_counts_under_the_name_that_asked_for_it(self):
        dumps = [self.DUMP.format(1, "Client Request: append 16 KiB, lz4", 5000), self.DUMP.format(2, "Program termination", 9)]
        self.assertEqual(instructions.totals(dumps), {"append 16 KiB, lz4": 5000})

    def test_generations_of_one_model_name_are_different_machines(self):
        told = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: {}\nmodel\t\t: {}\nmodel name\t: AMD EPYC\nstepping\t: 1\n"
        self.assertEqual(instructions.machine(told.format(25, 17), "x86_64", "glibc 2.36"), "AMD EPYC, family 25 model 17, glibc 2.36")
        self.assertNotEqual(instructions.machine(told.format(23, 49), "x86_64", "glibc 2.36"), instructions.machine(told.format(25, 17), "x86_64", "glibc 2.36"))
        arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n"
        self.assertEqual(instructions.machine(arm, "aarch64", "glibc 2.36"), "aarch64, implementer 0x41 part 0xd0c, glibc 2.36")
        self.assertEqual(instructions.machine("", "riscv64", ""), "riscv64")

    def test_what_is_more_than_a_tenth_above_is_new_or_gone_fails(self):
        rows = instructions.compared({"same": 1000, "more": 1000, "less": 1000, "gone": 1}, {"same": 1099, "more": 1101, "less": 500, "new": 7})
        self.assertEqual([row.name for row in rows if row.verdict], ["more", "new", "gone"])
        self.assertIn("+10.1%", instructions.table(rows))


class SoakTable(unittest.TestCase):
    ROW = ("2026-11-29", "abc1234", "1.00", "1..10", "36.0", 1, 2, 3, 0, 0, 0, "0", 0)

    def test_a_page_gets_a_table_then_lines_and_what_they_add_up_to(self):
        page = soak_table.with_row("# Page\n\nWords.\n", self.ROW)
        self.assertTrue(page.startswith("# Page\n\nWords.\n\n## Soak runs\n\n| day |"))
        self.assertTrue(page.endswith("| 0 |\n\nIn all: 1.5 simulated days.\n"))
        page = soak_table.with_row(page, self.ROW)
        self.assertEqual(page.count("| 2026-11-29 |"), 2)
        self.assertTrue(page.endswith("| 0 |\n\nIn all: 3.0 simulated days.\n"))

    def test_what_stands_behind_the_table_stays_there(self):
        page = soak_table.with_row("", self.ROW) + "\n## More\n\n| other | table |\n"
        page = soak_table.with_row(page, self.ROW)
        self.assertTrue(page.endswith("In all: 3.0 simulated days.\n\n## More\n\n| other | table |\n"))


class FaultTable(unittest.TestCase):
    RESULT = {"name": "kill-leader", "row": 2, "target": "naru", "outcome": "OK", "acks": 1200, "anomalies": 0, "gap_ms": 151.6}

    def test_runs_of_a_scenario_add_up_in_one_line(self):
        page = fault_table.with_results("# Page\n", [self.RESULT, self.RESULT | {"outcome": "INVALID", "acks": 3, "gap_ms": None}])
        self.assertIn("| 2 | kill-leader | naru | 2 | 1 | 1 | 0 | 1,203 | 0 | 152 |\n", page)
        page = fault_table.with_results(page, [self.RESULT | {"outcome": "FAIL", "anomalies": 2, "gap_ms": 9000.0}])
        self.assertIn("| 2 | kill-leader | naru | 3 | 1 | 1 | 1 | 2,403 | 2 | 9,000 |\n", page)
        self.assertEqual(page.count("kill-leader"), 1)

    def test_lines_are_in_the_order_of_rows_and_the_rest_of_the_page_stays(self):
        page = fault_table.with_results("", [self.RESULT | {"row": 10, "name": "pause-all"}]) + "\n## More\n"
        page = fault_table.with_results(page, [self.RESULT, self.RESULT | {"target": "kafka"}])
        rows = [line.split(" | ")[1:3] for line in page.splitlines() if line.startswith("| 2 ") or line.startswith("| 10 ")]
        self.assertEqual(rows, [["kill-leader", "kafka"], ["kill-leader", "naru"], ["pause-all", "naru"]])
        self.assertTrue(page.endswith("\n## More\n"))

    def test_what_was_skipped_is_no_run(self):
        self.assertNotIn("kill-leader", fault_table.with_results("", [self.RESULT | {"outcome": "SKIPPED"}]))


if __name__ == "__main__":
    unittest.main()
