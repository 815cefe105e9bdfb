#!/usr/bin/env python3
"""arrows_test.py BUILD: an include that points the wrong way does not build (docs/architecture.md), because the compiler is not shown
what it would find. Reads which folders each file is compiled with, from BUILD/compile_commands.json.
"""
import json
import pathlib
import re
import sys
import unittest

RANK = {"common": 0, "controller": 1, "broker": 2, "cli": 3}
# What decides sees neither Kafka's codecs nor Protobuf, and of the rest only what these words stand for.
PURE = {
    "common_model": {"common_model"},
    "common_records": {"common_model"},
    "controller_raft": {"common_model"},
    "controller_metadata": {"common_model"},
    "broker_partition_core": {"common_model"},
    "broker_replication_core": {"common_model", "broker_partition_core"},
    "broker_group": {"common_model"},
    "broker_api_core": {"common_model", "controller_metadata"},
}


def targets(commands, build):
    """{(folder, target): the folders of ours that it is shown}, those of the build by their names there."""
    top = pathlib.Path(build).resolve()
    found = {}
    for entry in commands:
        words = entry.get("command") or " ".join(entry["arguments"])
        output = entry.get("output") or re.search(r"-o (\S+)", words)[1]
        place = re.match(r"(.*?)/?CMakeFiles/(\w+)\.dir/", output)
        if place:
            shown = found.setdefault((place[1], place[2]), set())
            for path in re.findall(r"(?:-I|-isystem) ?(\S+)", words):
                inside = pathlib.Path(path)
                shown.add(str(inside.relative_to(top)) if inside.is_relative_to(top) else path)
    return found


def breaches(found, source, owner):
    """Sentences. `owner` says in which folder of the source the headers lie that include/X shows."""
    for (folder, target), shown in sorted(found.items()):
        part = folder.split("/")[0]
        if part not in RANK:
            continue
        for path in sorted(shown):
            if path.startswith("include/"):
                other = owner(path)
                if RANK.get(other, 0) > RANK[part]:
                    yield f"{target} in {folder} is shown {other} by {path}"
                name = path.removeprefix("include/")
                if target in PURE and name != target and name not in PURE[target]:
                    yield f"{target} decides and is shown {path}"
            elif path.startswith("generated/"):
                if target in PURE or part == "common" or (part == "controller" and path.endswith("proto_kafka")):
                    yield f"{target} in {folder} is shown {path}"
            elif pathlib.Path(path).is_relative_to(source) and not pathlib.Path(path).is_relative_to(f"{source}/build"):
                yield f"{target} in {folder} is shown the sources: {path}"


class Arrows(unittest.TestCase):
    build = None

    def test_this_build(self):
        commands = json.loads((self.build / "compile_commands.json").read_text())
        found = targets(commands, self.build)
        self.assertLessEqual(PURE.keys(), {target for _, target in found})

        def owner(path):
            return next((p.relative_to(self.build / path).parts[0] for p in (self.build / path).rglob("*.h")), None)

        source = pathlib.Path(__file__).resolve().parents[3]
        self.assertEqual(list(breaches(found, source, owner)), [])

    def test_what_would_be_a_breach(self):
        def said(folder, target, *paths):
            words = "clang++ " + " ".join(f"-I{p}" for p in paths) + f" -o {folder}/CMakeFiles/{target}.dir/a.cc.o -c a.cc"
            return list(breaches(targets([{"command": words}], "/s/build"), "/s", lambda path: path.split("/")[1].split("_")[0]))

        self.assertEqual(said("broker/api", "broker_api", "/s/build/include/controller_metadata", "/s/build/generated/proto_kafka", "/usr/include"), [])
        self.assertEqual(said("controller/quorum", "controller_quorum", "/s/build/generated/proto_cluster"), [])
        for folder, target, path in [
            ("common/log", "common_log", "/s/build/include/controller_raft"),
            ("controller/quorum", "controller_quorum", "/s/build/include/broker_api"),
            ("controller/quorum", "controller_quorum", "/s/build/generated/proto_kafka"),
            ("controller/raft", "controller_raft", "/s/build/include/common_net"),
            ("controller/metadata", "controller_metadata", "/s/build/generated/proto_cluster"),
            ("broker/server", "broker_server", "/s/build/include/cli_client"),
            ("broker/server", "broker_server", "/s"),
        ]:
            self.assertEqual(len(said(folder, target, path)), 1, (folder, target, path))


if __name__ == "__main__":
    Arrows.build = pathlib.Path(sys.argv.pop()).resolve()
    unittest.main()
