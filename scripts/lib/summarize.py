#!/usr/bin/env python3
"""Adds up test results: summarize.py FILE... where each file is a JUnit report (ctest, pytest-like) or lines "ok NAME" /
"not ok NAME" / "skip NAME". A line "SKIPPED: WHAT" in the output of a program is something that it left out. Prints each failure
and what was skipped, then the totals of cases as "P F S" on the last line."""
import re
import sys
import xml.etree.ElementTree as xml


def catch_cases(output):
    """Catch2's own count of test cases inside one ctest test: (passed, failed), or None."""
    found = re.search(r"All tests passed \(.* in (\d+) test case", output)
    if found:
        return int(found[1]), 0
    found = re.search(r"^test cases:\s*(\d+)(.*)$", output, re.M)
    if found:
        passed = re.search(r"(\d+) passed", found[2])
        failed = re.search(r"(\d+) failed", found[2])
        return int(passed[1]) if passed else 0, int(failed[1]) if failed else 0
    return None


def junit(path):
    passed = failed = skipped = 0
    for case in xml.parse(path).iter("testcase"):
        name = case.get("name")
        output = case.findtext("system-out") or ""
        bad = case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail"
        if case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            # A program that was not built is a failure, not something to pass over.
            print(f"FAILED {name}: did not run", file=sys.stderr)
            failed += 1
            continue
        for what in re.findall(r"^\s*SKIPPED: (.+)$", output, re.M):
            print(f"SKIPPED {name}: {what}", file=sys.stderr)
            skipped += 1
        counts = catch_cases(output)
        if counts:
            passed += counts[0]
            failed += max(counts[1], 1 if bad else 0)
        elif bad:
            failed += 1
        else:
            passed += 1
        if bad:
            print(f"FAILED {name}", file=sys.stderr)
            print("\n".join("    " + line for line in output.splitlines()[-60:]), file=sys.stderr)
    return passed, failed, skipped


def lines(path):
    passed = failed = skipped = 0
    with open(path, encoding="utf-8") as report:
        for line in report:
            if line.startswith("ok "):
                passed += 1
            elif line.startswith("not ok "):
                failed += 1
                print("FAILED " + line[7:].rstrip(), file=sys.stderr)
            elif line.startswith("skip "):
                skipped += 1
                print("SKIPPED " + line[5:].rstrip(), file=sys.stderr)
    return passed, failed, skipped


def main():
    total = [0, 0, 0]
    for path in sys.argv[1:]:
        counts = junit(path) if path.endswith(".xml") else lines(path)
        total = [a + b for a, b in zip(total, counts)]
    print(*total)


if __name__ == "__main__":
    main()
