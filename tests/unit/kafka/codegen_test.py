#!/usr/bin/env python3
"""The generator refuses what makes no sense, in sentences, and writes the same files every time."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
GENERATOR = ROOT / "proto" / "kafka" / "codegen" / "generate.py"


def generate(schemas, out, *options):
    return subprocess.run([sys.executable, GENERATOR, schemas, out, *options], capture_output=True, text=True)


def refusal(fields, extra=""):
    with tempfile.TemporaryDirectory() as folder:
        schema = f'{{"name": "Thing", "versions": "0-3", {extra} "record": {{"fields": [{fields}]}}}}'
        (pathlib.Path(folder) / "Thing.json").write_text(schema)
        result = generate(folder, pathlib.Path(folder) / "out")
        return result.stderr.strip() if result.returncode else None


class Codegen(unittest.TestCase):
    def test_sentences(self):
        for fields, extra, sentence in [
            ('{"name": "a", "type": "int33"}', "",
             "Thing.json.record.a: int33 is neither a type nor a struct known here"),
            ('{"name": "a", "type": "int32", "versions": "2-9"}', "",
             "Thing.json.record.a: versions 2-9 are not within 0-3"),
            ('{"name": "class", "type": "int32"}', "", "Thing.json.record.class: the name is not usable in C++"),
            ('{"name": "a", "type": "int32", "nullable": true}', "", "Thing.json.record.a: int32 cannot be null"),
            ('{"name": "a", "type": "string", "default": null}', "",
             "Thing.json.record.a: null by default, but never nullable"),
            ('{"name": "a", "type": "string", "tag": 0}', '"flexible": "2+",',
             "Thing.json.record.a: tagged in version 0, but flexible only from 2"),
            ('{"name": "a", "type": "int8"}, {"name": "a", "type": "int8"}', "",
             "Thing.json.record: name a is used twice"),
            ('{"name": "a", "type": "int8", "about": "x"}', "", "Thing.json.record.a: unknown entry about"),
            ('{"name": "a", "type": "[]T", "fields": [{"name": "b", "type": "int8", "versions": "1+"}]}', "",
             "Thing.json: struct T may take no bytes, so that arrays of it could not be bounded"),
        ]:
            self.assertEqual(refusal(fields, extra), f"generate.py: {sentence}")
        self.assertIsNone(refusal('{"name": "a", "type": "int32"}'))

    def test_deterministic_and_untouched(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder)
            for name in ("one", "two"):
                self.assertEqual(generate(ROOT / "proto" / "kafka", out / name).returncode, 0)
            files = sorted(p.relative_to(out / "one") for p in (out / "one").rglob("*.*"))
            self.assertGreater(len(files), 100)
            stamps = {}
            for file in files:
                self.assertEqual((out / "one" / file).read_text(), (out / "two" / file).read_text())
                stamps[file] = (out / "one" / file).stat().st_mtime_ns
            generate(ROOT / "proto" / "kafka", out / "one")
            for file in files:
                self.assertEqual((out / "one" / file).stat().st_mtime_ns, stamps[file])


if __name__ == "__main__":
    unittest.main()
