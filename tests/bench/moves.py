#!/usr/bin/env python3
"""tests/bench/moves.py [--grow] [--runs N] [--megabytes N] [--rate N] [--seconds S]

What clients notice of replicas that are being moved. Four brokers, a topic of three partitions with three copies each; one
copy of each partition goes to the broker that has none, and back. In turns, the time from send to acknowledgement of an
acks=all writer to that topic at a steady rate: while nothing is moved, and while the move is under way (the brokers feed
new replicas at a pace of their own; nothing is throttled by hand). Prints p50 and p99 of each and their ratios. Nothing passes
or fails on a time; the machine should be quiet.

  --grow          one copy each instead, to which two are added, as where one broker becomes three: until they are there, writes
                  wait for nobody, and what they are compared with is the time of answers
  --runs N        moves (4)
  --megabytes N   in each partition (400)
  --rate N        records of 1 KiB a second (1000)
  --seconds S     of each measurement (10)
  -o json         the values instead of the table
  --help          this text
"""
import argparse
import json
import os
import pathlib
import statistics
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "scripts" / "lib"), str(TOP / "tests" / "bench")]

from clients import build_if_missing, run_load, say  # noqa: E402
from naru_cluster import Cluster, Failed, wait_until  # noqa: E402

TOPIC = "moved"
PLACES = ("2,3,4", "1,2,3")
COPIES = {False: "1:2:3,2:3:1,3:1:2", True: "1,2,3"}  # whether they grow


def parse(arguments):
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--grow", action="store_true")
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("-o", dest="output", choices=("table", "json"), default="table")
    parser.add_argument("--help", "-h", action="store_true")
    given = parser.parse_args(arguments)
    if given.help:
        print(__doc__.strip())
        sys.exit(0)
    return given


def write(cluster, given):
    """The time of writes, but for the first second's: connecting is not writing."""
    done = run_load("produce", "--bootstrap", cluster.bootstrap, "--topic", TOPIC, "--rate", given.rate, "--seconds", given.seconds + 1,
                    "--skip", given.rate)
    if done["failed"]:
        raise Failed(f"{done['failed']} records were refused")
    return {"p50_ms": done["p50_ms"], "p99_ms": done["p99_ms"]}


def progress(cluster):
    """Bytes that are copied, and partitions whose move is under way."""
    moves = cluster.json("partition", "moves")
    return sum(m["bytes_done"] for m in moves), len(moves)


def moved_once(cluster, run, given):
    """The same writes without a move, then within one. What was written before is on the disk then: else the first of
    the two would be measured while the kernel writes it."""
    os.sync()
    still = write(cluster, given)
    where = ("--replicas", 3) if given.grow else ("--to", PLACES[run % 2])
    cluster.naru("partition", "move", TOPIC, *where, "--yes")
    wait_until(lambda: progress(cluster)[0] > 0, "bytes to be copied", 60)
    begin, _ = progress(cluster)
    moving = write(cluster, given)
    end, under_way = progress(cluster)
    if under_way == 0:
        raise Failed(f"the move ended before its writes had been measured: --megabytes {given.megabytes} is too little here")
    wait_until(lambda: progress(cluster)[1] == 0, "the end of the move", 600, pause=0.2)
    cluster.wait_isr(TOPIC)
    if given.grow:
        cluster.naru("partition", "move", TOPIC, "--replicas", 1, "--yes", "--wait", timeout=120)
    found = {"still": still, "moving": moving, "copied_mb_per_s": (end - begin) / 1e6 / (given.seconds + 1)}
    say(f"run {run + 1} of {given.runs}: p99 {still['p99_ms']:.2f} ms without, {moving['p99_ms']:.2f} ms while moving, "
        f"{found['copied_mb_per_s']:.0f} MB/s copied meanwhile")
    return found


def measure(given):
    with Cluster(3, observers=1) as cluster:
        cluster.start()
        cluster.naru("topic", "create", TOPIC, "--assign", COPIES[given.grow])
        cluster.wait_isr(TOPIC)
        say(f"writing {given.megabytes} MB into each of three partitions")
        run_load("produce", "--bootstrap", cluster.bootstrap, "--topic", TOPIC, "--megabytes", 3 * given.megabytes, "--batch-bytes", 131072,
                 "--linger-ms", 5)
        os.sync()
        write(cluster, given)  # the first is not like the others
        return [moved_once(cluster, run, given) for run in range(given.runs)]


def table(found):
    lines = [("", "STILL", "MOVING", "RATIO")]
    for name in ("p50_ms", "p99_ms"):
        still, moving = ([f[when][name] for f in found] for when in ("still", "moving"))
        ratios = [m / s for s, m in zip(still, moving)]
        lines.append((f"{name[:3]}, median of {len(found)}", f"{statistics.median(still):.2f} ms", f"{statistics.median(moving):.2f} ms",
                      f"{statistics.median(ratios):.2f} (worst {max(ratios):.2f})"))
    lines.append(("copied meanwhile", "", f"{statistics.median(f['copied_mb_per_s'] for f in found):.0f} MB/s", ""))
    return "\n".join(f"{a:<18}{b:>12}{c:>14}   {d}".rstrip() for a, b, c, d in lines)


def main():
    given = parse(sys.argv[1:])
    build_if_missing()
    found = measure(given)
    print(json.dumps(found) if given.output == "json" else table(found))


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        print(f"moves: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
