"""docs/kafka.md says which requests are answered: what a broker says when it is asked. NARU_REWRITE=1 writes the page anew."""
import os
import re
import subprocess

from naru_cluster import TOP, Cluster, clean_environment
from support import equal, true

PAGE = TOP / "docs" / "kafka.md"
HEAD = "| request | key | versions |\n|---|---|---|\n"


def answered(cluster):
    """The rows of the table, from what kafka-broker-api-versions prints; requests that are not answered come last."""
    tool = cluster.dir / "kafka-broker-api-versions.sh"
    tool.symlink_to(os.path.realpath(cluster.naru_path))
    printed = subprocess.run([str(tool), "--bootstrap-server", cluster.bootstrap], capture_output=True, text=True, check=True,
                             env=clean_environment()).stdout
    found = re.findall(r"^\t(\w+)\((\d+)\): (?:(\d+)(?: to (\d+))? \[usable|(UNSUPPORTED))", printed, re.M)
    true(len(found) > 40, f"requests that the tool knows: {printed}")
    rows = [(name, key, least if most in ("", least) else f"{least}-{most}") for name, key, least, most, _ in found]
    return [row for row in rows if row[2]] + [(name, key, "-") for name, key, _, _, missing in found if missing]


def test_requests():
    with Cluster(1) as cluster:
        cluster.start()
        table = HEAD + "".join(f"| {name} | {key} | {versions} |\n" for name, key, versions in answered(cluster))
    text = PAGE.read_text()
    shown = re.search(re.escape(HEAD) + r"(?:\|.*\n)*", text)
    true(shown, "docs/kafka.md has the table")
    if os.environ.get("NARU_REWRITE"):
        PAGE.write_text(text.replace(shown[0], table))
    else:
        equal(shown[0].splitlines(), table.splitlines(), "the table of docs/kafka.md (NARU_REWRITE=1 tests/docs/run kafka writes it anew)")
