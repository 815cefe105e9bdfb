"""The demonstration itself: a leader's container killed, another leader cut off, nothing lost."""
import json

from containers import compose_commands, folder, image, run
from missing import TOP

NEEDS = ("engine", "binary", "static")


def test_failover_demo():
    with folder() as place:
        done = run(TOP / "deploy/docker/failover-demo", "--image", image(), "--compose", " ".join(compose_commands()[0]), "--json", "--seconds", "1",
                   "--html", place / "page.html", check=False, timeout=400)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
        page = (place / "page.html").read_text()
        for words in ("PASS", "docker kill of broker", "docker network disconnect of broker", "leader of 0"):
            assert words in page, f"{words} on the page"
        report = json.loads(done.stdout)
        assert report["passed"] and report["verdict"]["anomalies"]["lost"] == 0, report
        assert len(report["kills"]) == 2, report["kills"]
        for kill in report["kills"]:
            assert kill["broker"] in kill["before"]["leaders"] and kill["broker"] not in kill["after"]["leaders"], kill
