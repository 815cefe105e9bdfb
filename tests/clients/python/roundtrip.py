"""What all Python round trips share: arguments, numbering, and the verdict (see ../README.md)."""
import argparse
import json
import sys
import time


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--timeout", type=float, default=90, help="seconds after which the run counts as failed")
    return parser.parse_args()


def value(i):
    return f"value-{i:08d}"


def key(i):
    return f"key-{i % 17}"


class Progress:
    """Counts acknowledgements and tells the driver about them."""

    def __init__(self):
        self.acked = set()

    def add(self, text):
        self.acked.add(text)
        if len(self.acked) % 100 == 0:
            print(f"acked {len(self.acked)}", flush=True)


class Deadline:
    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    def check(self, doing):
        if time.monotonic() > self.end:
            sys.exit(f"ran out of time while {doing}")


def verdict(acked, read, reread, idempotent):
    """`read`: every value in the order it came; `reread`: values seen again by the second consumer."""
    lost = acked - set(read)
    duplicated = len(read) - len(set(read))
    print(json.dumps({"acked": len(acked), "lost": len(lost), "duplicated": duplicated, "reread": len(reread)}), flush=True)
    if lost:
        print("lost:", sorted(lost)[:10], file=sys.stderr)
    sys.exit(0 if not lost and not reread and not (idempotent and duplicated) else 1)
