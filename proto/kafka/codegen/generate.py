#!/usr/bin/env python3
"""Turns the schema files of proto/kafka into C++.

  generate.py SCHEMA_DIR OUT_DIR           kafka/*.h and *.cc, kafka/records/*.h and *.cc, kafka/apis.cc
  generate.py SCHEMA_DIR OUT_DIR --list    only prints the .cc files, relative to OUT_DIR, one a line
  generate.py SCHEMA_DIR OUT_DIR --tests   the functions with which tests/unit/kafka fill every message

The output depends on the schemas alone, and a file that would not change is not touched.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import cpp  # noqa: E402
import cpp_fill  # noqa: E402
import schema  # noqa: E402


def schemas(folder):
    """(messages of one file, path of its output without suffix) in a fixed order."""
    for sub, out in (("", "kafka"), ("headers", "kafka"), ("records", "kafka/records")):
        for path in sorted((folder / sub).glob("*.json")):
            messages = schema.load(path)
            yield messages, f"{out}/{messages[0].stem}"


def write(path, text):
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("schemas", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--tests", action="store_true")
    arguments = parser.parse_args()
    try:
        files = list(schemas(arguments.schemas))
        if arguments.tests:
            for name, text in cpp_fill.files(files):
                if arguments.list:
                    print(name)
                else:
                    write(arguments.out / name, text)
            return 0
        if arguments.list:
            print(*(f"{stem}.cc" for _, stem in files), "kafka/apis.cc", sep="\n")
            return 0
        for messages, stem in files:
            write(arguments.out / f"{stem}.h", cpp.header(messages))
            write(arguments.out / f"{stem}.cc", cpp.source(messages, f"{stem}.h"))
        write(arguments.out / "kafka/apis.cc", cpp.api_table([m for ms, _ in files for m in ms if m.key is not None
                                                              and m.name.endswith("Request")]))
        return 0
    except (schema.SchemaError, ValueError) as error:
        print(f"generate.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
