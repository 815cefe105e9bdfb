"""How a suite says what its tests ended with: its lines, the results file and the exit code."""
import contextlib
import io
import pathlib
import tempfile

from suite import Report, is_chosen, tests_in
from support import equal, true

FILE = '''from naru_cluster import Failed, Skipped

def test_holds():
    pass

def test_breaks():
    raise Failed("two records are gone")

def test_ends():
    raise SystemExit("no broker came up")

def test_lacks():
    raise Skipped("there is no java here")

def helper():
    raise Failed("no test")
'''


def tried(*patterns, **options):
    """The results file, what people saw, and the exit code of a run of FILE."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()) as said:
        path = pathlib.Path(folder) / "test_made_up.py"
        path.write_text(FILE)
        results = pathlib.Path(folder) / "results"
        report = Report("cluster", results, rerun="--seed 7 ")
        for name, test, _ in tests_in(path):
            if is_chosen(name, patterns):
                report.attempt(name, test)
        code = report.exit_code(**options)
        report.file.close()
        return results.read_text().splitlines(), said.getvalue(), code


def test_each_outcome_has_its_line():
    lines, said, code = tried()
    equal(lines, ["ok cluster made_up.holds", "not ok cluster made_up.breaks", "not ok cluster made_up.ends",
                  "skip cluster made_up.lacks: there is no java here"], "results")
    for words in ("two records are gone", "no broker came up", "again: tests/cluster/run --seed 7 made_up.breaks",
                  "tests/cluster: 1 passed, 2 failed, 1 skipped"):
        true(words in said, f"people are told {words!r}: {said}")
    equal(code, 1, "exit code")


def test_the_exit_code_is_that_of_what_ran():
    equal(tried("holds")[2], 0, "of one that passed")
    equal(tried("holds", "lacks")[2], 0, "with one that was skipped")
    equal(tried("lacks")[2], 1, "where nothing ran")
    equal(tried("lacks", skips_suffice=True)[2], 0, "where nothing ran, and that suffices")
    lines, _, code = tried("nothing_of_that_name", skips_suffice=True)
    equal((lines, code), (["not ok cluster no test was run"], 1), "where nothing was chosen")
