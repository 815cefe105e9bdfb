"""What the suites of Python tests share (tests/cluster, clients, docs, deploy): finding the functions test_* of their files, trying
one, and the line that says how it went.

A line is "ok|not ok|skip SUITE NAME", with ": WHY" where something is skipped. People see it on standard error with the time
that it took; the results file, which scripts/lib/summarize.py adds up, has it without.
"""
import importlib.util
import sys
import threading
import time
import traceback

from naru_cluster import Skipped, said_while_it_lasts


def tests_in(path, module_name=None):
    """(name, function, module) of each test of a file, in its order."""
    spec = importlib.util.spec_from_file_location(module_name or path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, value in list(vars(module).items()):
        if name.startswith("test_") and callable(value):
            yield f"{path.stem[5:]}.{name[5:]}", value, module


def is_chosen(name, patterns):
    return not patterns or any(pattern in name for pattern in patterns)


class Report:
    """Lines of one run of a suite. Tests may run side by side. `rerun` is what repeats a test besides its name."""

    def __init__(self, suite, path, rerun=""):
        self.suite = suite
        self.rerun = rerun
        self.file = open(path, "w", encoding="utf-8") if path else None
        self.counts = {"ok": 0, "not ok": 0, "skip": 0}
        self.lock = threading.Lock()

    def add(self, outcome, text, seconds=None):
        with self.lock:
            self.counts[outcome] += 1
            took = "" if seconds is None else f" ({seconds:.1f} s)"
            print(f"{outcome} {self.suite} {text}{took}", file=sys.stderr, flush=True)
            if self.file:
                print(f"{outcome} {self.suite} {text}", file=self.file, flush=True)

    def attempt(self, name, test, *arguments):
        """Runs one test and adds its line. Whatever it ends with is its outcome and not ours, but for an interrupt."""
        began = time.monotonic()
        try:
            with said_while_it_lasts(f"{self.suite} {name}"):
                test(*arguments)
            outcome, why = "ok", ""
        except Skipped as reason:
            outcome, why = "skip", f": {reason}"
        except (Exception, SystemExit) as failure:
            if isinstance(failure, SystemExit):
                print(f"    {failure}", file=sys.stderr)
            else:
                traceback.print_exc()
            print(f"    again: tests/{self.suite}/run {self.rerun}{name}", file=sys.stderr)
            outcome, why = "not ok", ""
        self.add(outcome, name + why, time.monotonic() - began)

    def exit_code(self, skips_suffice=False):
        """0 only if nothing failed and something ran, or, where that suffices, was skipped. Says what there was."""
        counts = self.counts
        if not any(counts.values()):
            self.add("not ok", "no test was run")
        print(f"tests/{self.suite}: {counts['ok']} passed, {counts['not ok']} failed, {counts['skip']} skipped", file=sys.stderr)
        did_something = counts["ok"] or (skips_suffice and counts["skip"])
        return 0 if did_something and not counts["not ok"] else 1
