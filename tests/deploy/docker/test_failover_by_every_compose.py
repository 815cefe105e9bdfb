"""The demonstration by the compose that test_failover.py does not take: docker-compose of old, where `docker compose` is there too."""
import json
import re

from containers import compose_commands, image, run
from missing import TOP, Missing

NEEDS = ("engine", "binary", "static")


def test_failover_demo_by_docker_compose_of_old():
    others = compose_commands()[1:]
    if not others:
        raise Missing("docker-compose (1.29) is not installed beside `docker compose`; the demonstration by the one that is here is failover.failover_demo")
    for compose in others:
        done = run(TOP / "deploy/docker/failover-demo", "--image", image(), "--compose", " ".join(compose), "--json", "--seconds", "1", check=False, timeout=400)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
        made = re.search(rf"^\+ {re.escape(' '.join(compose))} -p (naru-failover-\d+) ", done.stderr, re.M)
        assert made, f"it is made by {compose}: {done.stderr[:1000]}"
        report = json.loads(done.stdout)
        assert report["passed"] and report["verdict"]["anomalies"]["lost"] == 0 and report["verdict"]["acknowledged"] > 0, report
        assert [kill["kill"] for kill in report["kills"]] == ["the leader of a partition", "a leader, cut off from the other brokers"], report["kills"]
        for kill in report["kills"]:
            assert kill["broker"] in kill["before"]["leaders"] and kill["broker"] not in kill["after"]["leaders"], kill
        left = run("docker", "ps", "-a", "-q", "--filter", f"name={made[1]}").stdout
        assert left == "", f"containers that it leaves: {left}"
