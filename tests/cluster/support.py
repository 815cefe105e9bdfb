"""What the tests here share: words for what must be so."""
from naru_cluster import Failed


def smoke(test):
    """Marks a test for --smoke."""
    test.smoke = True
    return test


def equal(actual, expected, what):
    if actual != expected:
        raise Failed(f"{what}: is {actual!r}, must be {expected!r}")


def true(condition, what):
    if not condition:
        raise Failed(what)


def clean(verdict, acknowledged_min=100):
    """The clients saw nothing wrong, and saw enough for that to mean something."""
    broken = {name: count for name, count in verdict["anomalies"].items() if count}
    true(verdict["complete"], f"the history is incomplete: {verdict['incomplete']}")
    true(verdict["clean"], f"promises were broken: {broken}; {verdict['examples'][:5]}")
    true(verdict["acknowledged"] >= acknowledged_min, f"only {verdict['acknowledged']} records were acknowledged: the run says nothing")
    equal(verdict["failed"], 0, "records that the producer gave up")
