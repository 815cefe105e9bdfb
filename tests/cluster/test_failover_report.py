"""What scripts/failover-demo prints for each kill, from runs that are told by hand."""
import contextlib
import io
import re

from failover import Screen, conclude, page
from failover_report import judge, print_report
from naru_cluster import Failed
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


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_the_cluster_is_seen_live():
    stream = Terminal()
    screen = Screen(stream)
    screen.load_began = screen.now()

    def drawn(brokers, leaders, controller, **progress):
        """What is written for it, and how many lines up it begins."""
        begin = stream.tell()
        screen.see(brokers, leaders, controller)
        screen.progress({"sent": 0, "acknowledged": 0, "polled": 0, "silent_ms": 0} | progress)
        text = stream.getvalue()[begin:]
        up = re.match(r"\x1b\[(\d+)A\r\x1b\[J", text)
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text).strip("\r\n").splitlines(), int(up[1]) if up else 0
    before, above = drawn({1: True, 2: True, 3: True}, [1, 2], 3, at_ms=0)
    equal(above, 0, "lines that are drawn over at first")
    equal([line.split() for line in before[:2]], [["brokers", "1", "●", "2", "●", "3", "●"], ["leaders", "0", "→", "1", "1", "→", "2", "controller", "3"]],
          "the picture of a whole cluster")
    after, above = drawn({1: False, 2: True, 3: True}, [None, 2], 3, at_ms=500, sent=300, acknowledged=200, silent_ms=400)
    equal(above, len(before), "lines that are drawn over")
    equal([line.split() for line in after[:2]], [["brokers", "1", "✗", "down", "2", "●", "3", "●"], ["leaders", "0", "→", "—", "1", "→", "2", "controller", "3"]],
          "the picture without broker 1")
    true("400/s" in after[2], f"the rate: {after[2]}")
    true("waiting 100" in after[3] and "no acknowledgement for 0.4 s" in after[3], f"the gap: {after[3]}")


def test_a_run_that_breaks_off_is_no_report():
    def breaks_off(_):
        raise Failed("nobody answers")
    for as_json in (False, True):
        out, err, code = io.StringIO(), io.StringIO(), None
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                conclude(breaks_off, as_json)
            except SystemExit as end:
                code = end.code
        equal(code, 1, f"exit code, json {as_json}")
        told, silent = (err, out) if as_json else (out, err)
        true("nobody answers" in told.getvalue() and "FAIL" in told.getvalue(), f"json {as_json}: {told.getvalue()}")
        equal(silent.getvalue(), "", f"the other stream, json {as_json}")
