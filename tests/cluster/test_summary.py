"""What scripts/test counts in the end: nothing that failed or was left out may get lost on the way."""
import contextlib
import io
import pathlib
import tempfile

import summarize
from support import equal, true

JUNIT = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="Linux-c++" tests="4" failures="2" disabled="0" skipped="0">
<testcase name="log_test" status="run"><system-out>All tests passed (7 assertions in 3 test cases)</system-out></testcase>
<testcase name="clock_test" status="run"><system-out>clock_test.cc:55: warning:
  SKIPPED: no time namespaces here

All tests passed (5 assertions in 1 test case)</system-out></testcase>
<testcase name="raft_test" status="fail"><failure message=""/><system-out>test cases:  5 |  4 passed | 1 failed
assertions: 20 | 19 passed | 1 failed</system-out></testcase>
<testcase name="group_test" status="notrun"><skipped message="Unable to find executable"/></testcase>
</testsuite>
"""


def totals(read, content):
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()) as said:
        file = pathlib.Path(folder) / "report"
        file.write_text(content)
        return read(file), said.getvalue()


def test_what_ctest_reports():
    counted, said = totals(summarize.junit, JUNIT)
    equal(counted, (8, 2, 1), "cases that passed, failed, were skipped")
    for line in ("SKIPPED clock_test: no time namespaces here", "FAILED raft_test", "FAILED group_test: did not run"):
        true(line in said.splitlines(), f"{line!r} in: {said}")


def test_what_other_programs_report():
    counted, said = totals(summarize.lines, "ok cluster one\nskip cluster two: no namespaces\nnot ok cluster three\nok cluster four\n")
    equal(counted, (2, 1, 1), "tests that passed, failed, were skipped")
    equal(said.splitlines(), ["SKIPPED cluster two: no namespaces", "FAILED cluster three"], "what is said of them")
