"""What scripts/failover-demo prints for each kill, from runs that are told by hand."""
import io

from failover import page
from failover_report import judge, print_report
from support import equal, true
from timeline import Timeline


def told(lost=0, duplicated=0):
    kill = {"kill": "the leader of a partition", "broker": 1, "before": {"leaders": [1, 3], "controller": 2},
            "after": {"leaders": [3, 3], "controller": 2}, "gap_ms": 106.4, "partition": 0, "sent": 1260, "acknowledged": 1254}
    anomalies = {"lost": lost, "duplicated": duplicated, "reordered": 0}
    verdict = {"clean": not any(anomalies.values()), "complete": True, "incomplete": "", "failed": 0, "sent": 9848, "acknowledged": 9848,
               "polled": 9848, "anomalies": anomalies, "examples": []}
    return judge([kill], verdict, changes_min=1)


def cells(report):
    """The row of the first kill by its heads, the blanks in which are single."""
    out = io.StringIO()
    print_report(report, out)
    lines = out.getvalue().strip("\n").splitlines()
    split = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines[:2]]
    equal(len(split[0]), len(split[1]), f"cells under heads in {lines[:2]}")
    return list(zip(*split)), lines[-1]


def test_each_kill_says_what_was_sent_acknowledged_lost_and_duplicated():
    row, verdict = cells(told())
    equal(row[-5:], [("LONGEST GAP", "106 ms"), ("SENT", "1,260"), ("ACKED", "1,254"), ("LOST", "0"), ("DUPLICATED", "0")], "the last cells")
    equal(verdict, "PASS", "the last line")


def test_what_cannot_be_told_apart_is_not_put_down_to_one_kill():
    report = told(lost=3)
    row, verdict = cells(report)
    equal(row[-2:], [("LOST", "<= 3"), ("DUPLICATED", "0")], "the last cells")
    equal(verdict, "FAIL", "the last line")
    equal((report["kills"][0]["lost"], report["kills"][0]["duplicated"]), (None, 0), "what programs read")


def test_the_page_shows_the_same():
    lines = Timeline()
    lines.progress(0.0, 0)
    lines.progress(1.0, 200)
    shown = page(told(), lines)
    for words in ("1,260", "1,254", "acked", "duplicated"):
        true(words in shown, f"{words} on the page")
