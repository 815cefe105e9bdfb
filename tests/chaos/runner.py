"""Chooses scenarios, runs them one after the other, prints a line for each run and a table at the end."""
import dataclasses
import importlib
import json
import pathlib
import random
import signal
import statistics
import sys

import fault_table
import harness
from naru_cluster import said_while_it_lasts

HERE = pathlib.Path(__file__).resolve().parent


def load_rows():
    for path in sorted(HERE.glob("rows_*.py")):
        importlib.import_module(path.stem)


def choose(names, smoke):
    load_rows()
    known = sorted(harness.SCENARIOS.values(), key=lambda s: (s.row, s.name))
    if smoke:
        known = [s for s in known if s.smoke]
    if not names or names == ["all"]:
        return known
    chosen = []
    for name in names:
        if name.isdigit():
            found = [s for s in known if s.row == int(name)]
        elif name in harness.SCENARIOS:
            found = [s for s in known if s.name == name]
        else:
            found = [s for s in known if name in s.name]
        if not found:
            raise SystemExit(f"no scenario is called {name}: see scripts/chaos list")
        chosen += [s for s in found if s not in chosen]
    return chosen


def print_list():
    load_rows()
    rows = {s.row for s in harness.SCENARIOS.values()}
    print(f"{'ROW':>3}  {'SCENARIO':32} {'FAULT':62} EXPECTED")
    lines = [(s.row, s.name, s.fault, s.expected + ("  [smoke]" if s.smoke else "")) for s in harness.SCENARIOS.values()]
    lines += [(row, "-", why, "not here: " + ("simulator only" if row in harness.SIMULATOR_ONLY else "")) for row, why in
              harness.NOT_HERE.items() if row not in rows]
    for row, name, fault, expected in sorted(lines):
        print(f"{row:>3}  {name:32} {fault:62} {expected}")
    return 0


def terminated(number, frame):
    raise KeyboardInterrupt


def run_all(chosen, runs, seed, targets, keep=False, results_file=None, tell=None):
    """Runs each scenario `runs` times for each target. Returns the results."""
    signal.signal(signal.SIGTERM, terminated)
    harness.sweep()
    results = []
    for one in chosen:
        for index in range(runs):
            for target in targets:
                run_seed = seed + index
                with said_while_it_lasts(f"chaos {one.name}"):
                    result = harness.execute(one, run_seed, target, keep)
                results.append(result)
                print(result.line(), flush=True)
                if result.outcome in ("FAIL", "INVALID"):
                    extra = "" if target == "naru" else f" --target {target}"
                    print(f"        again: scripts/chaos {one.name} --seed {run_seed}{extra}", flush=True)
                if results_file:
                    print(json.dumps(dataclasses.asdict(result)), file=results_file, flush=True)
                if tell:
                    tell(result)
    return results


def table(results):
    """One row for each scenario and target."""
    groups = {}
    for r in results:
        groups.setdefault((r.row, r.name, r.target), []).append(r)
    head = ("ROW", "SCENARIO", "TARGET", "RUNS", "OK", "INVALID", "FAIL", "SKIPPED", "ACKS", "GAP MEDIAN", "WORST", "BUDGET", "ANOMALIES")
    rows = [head]
    for (row, name, target), some in sorted(groups.items(), key=lambda item: item[0]):
        gaps = [r.gap_ms for r in some if r.gap_ms is not None and r.outcome != "SKIPPED"]
        count = {kind: sum(r.outcome == kind for r in some) for kind in ("OK", "INVALID", "FAIL", "SKIPPED")}
        rows.append((str(row), name, target, str(len(some)), *(str(n) for n in count.values()), f"{sum(r.acks for r in some):,}",
                     f"{statistics.median(gaps):.0f} ms" if gaps else "-", f"{max(gaps):.0f} ms" if gaps else "-",
                     str(some[0].budget_ms or "-"), str(sum(r.anomalies for r in some))))
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    text = "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
    skipped = [f"SKIPPED {r.name}: {r.why}" for r in results if r.outcome == "SKIPPED"]
    return text + "".join("\n" + line for line in sorted(set(skipped)))


def main(given):
    chosen = choose(given.names, given.smoke)
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1 << 32)
    targets = ("naru", "kafka") if given.target == "both" else (given.target,)
    print(f"chaos: seed {seed} (rerun with --seed {seed})", flush=True)
    results_file = open(given.json, "w", encoding="utf-8") if given.json else None

    def tell(result):  # at once: a stopped campaign counts as far as it got
        if given.table:
            page = given.table.read_text(encoding="utf-8") if given.table.exists() else ""
            given.table.write_text(fault_table.with_results(page, [dataclasses.asdict(result)]), encoding="utf-8")
    results = run_all(chosen, given.runs or 1, seed, targets, given.keep, results_file, tell)
    print("\n" + table(results))
    bad = sum(r.outcome in ("FAIL", "INVALID") for r in results)
    good = sum(r.outcome == "OK" for r in results)
    print(f"\n{good} OK, {bad} not, {len(results) - good - bad} skipped")
    return 1 if bad or not good else 0


if __name__ == "__main__":
    sys.exit("run scripts/chaos")
