"""Whoever watches a run of tests sees what takes long while it does."""
import contextlib
import io

from naru_cluster import said_while_it_lasts, wait_until
from support import equal, true


def test_what_takes_long_is_said_while_it_lasts():
    with contextlib.redirect_stderr(io.StringIO()) as said:
        with said_while_it_lasts("cluster slow", every=0.001):
            wait_until(lambda: said.getvalue().count("\n") >= 2, "two lines")
        lines = said.getvalue().splitlines()
        true(all(line.startswith("    cluster slow: ") and line.endswith(" s so far") for line in lines), f"its name in each: {lines}")


def test_what_is_over_at_once_says_nothing():
    with contextlib.redirect_stderr(io.StringIO()) as said:
        with contextlib.suppress(ValueError), said_while_it_lasts("cluster quick"):
            raise ValueError
    equal(said.getvalue(), "", "what was said")
