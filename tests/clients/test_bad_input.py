"""What no client sends (bad_input.py), against a real broker; and what the broker says about it."""
import bad_input
from naru_cluster import Cluster
from support import true


def test_bad_input(report):
    with Cluster(1) as cluster:
        cluster.start()
        broker = cluster[1]
        bad_input.run((broker.host, broker.port), "bad-input", [broker.pid], report)
        cluster.wait_healthy()
        said = broker.log()
        errors = [line for line in said.splitlines() if line.split(" ")[1:2] in (["error"], ["critical"])]
        report("no error in the broker's log", None if not errors else f"{len(errors)}, the first: {errors[0]}")
        # Hundreds of bad requests came; rate limits must have kept the lines down.
        warnings = sum(" warning " in line for line in said.splitlines())
        report("few lines for many bad requests", None if 1 <= warnings <= 40 else f"{warnings} warnings")
        true(broker.running, "the broker lives")
