"""The outcome of scripts/bench as a table, as JSON and as Markdown. Pure, but for what it asks the machine about itself."""
import os
import pathlib
import platform

from measure import Spread


def number(value, unit):
    if unit == "ms":
        return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def times(value):
    return f"{value:.0f} x" if value >= 20 else f"{value:.1f} x"


def side_cell(values, unit):
    """The median, and between what the values lay."""
    spread = Spread.of(values)
    if spread is None:
        return "-"
    if spread.count == 1:
        return number(spread.median, unit)
    return f"{number(spread.median, unit)} ({number(spread.low, unit)} to {number(spread.high, unit)})"


def ratio_cell(row):
    spread = Spread.of(row["ratios"])
    if spread is None:
        return "-"
    return times(spread.median) + (f" ({times(spread.low)} to {times(spread.high)})" if spread.count > 1 else "")


def verdict(row):
    if "met" not in row:
        return row.get("floor_text", "")
    said = {True: "met", False: "NOT MET", None: "-"}[row["met"]]
    return f"{row['floor_text']}: {said}"


def cells(row):
    best = row["ratio_to_kafkas_best"]
    return [row["title"], row["unit"], side_cell(row["naru"], row["unit"]), side_cell(row["kafka"], row["unit"]),
            ratio_cell(row), times(best) if best else "-", str(max(len(row["naru"]), len(row["kafka"]))), verdict(row)]


HEAD = ["FIGURE", "UNIT", "NARU", "KAFKA", "NARU IS BETTER BY", "KAFKA'S BEST", "ROUNDS", "FLOOR"]


def table(rows):
    lines = [HEAD] + [cells(r) for r in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def markdown(rows):
    head = ["figure", "unit", "Naru", "Apache Kafka", "better by", "against Kafka's best", "rounds", "floor"]
    lines = [head, ["---"] * len(head)] + [cells(r) for r in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def between(text, mark, inner):
    """`text` with what is between <!-- mark --> and <!-- end of mark --> replaced."""
    begin, end = f"<!-- {mark} -->\n", f"<!-- end of {mark} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"there is not exactly one place for '{mark}'")
    return text[: text.index(begin) + len(begin)] + inner + "\n" + text[text.index(end):]


RUN = ("when", "command", "machine")


def merged(several):
    """Results of several runs as one: of a figure that was measured twice, the later counts."""
    rows = {}
    for result in several:
        for row in result["figures"]:
            rows[row["key"]] = row
    runs = [run for result in several for run in result.get("runs") or [{key: result[key] for key in RUN}]]
    return {"quick": any(result["quick"] for result in several), "runs": runs, "versions": several[-1]["versions"],
            "figures": list(rows.values()), "invalid": [i for result in several for i in result["invalid"]]}


CHARTS = {"ratios": "How many times better", "cpu": "CPU for a GB", "latency": "Latency", "memory": "Memory"}


def page(result, charts=("ratios",)):
    """What docs/performance.md shows of an accepted result, with those charts of which there is a picture."""
    lines = [f"{result['versions']['naru']} beside {result['versions']['kafka']}.", ""]
    for run in result["runs"]:
        where = run["machine"]
        lines.append(f"- {run['when']}, `{run['command']}`: {where['processors']} processors ({where['cpu']}), {where['memory_gb']} GB, "
                     f"Linux {where['kernel']}, load before {where['load_before']}.")
    if result["invalid"]:
        lines.append("")
        lines.append(f"Invalid rounds, which count for nothing: {len(result['invalid'])} ("
                     + "; ".join(sorted({f"{i['workload']}, {i['side']}: {i['why']}" for i in result["invalid"]})) + ").")
    lines += ["", markdown(result["figures"]), "", summary(result) + "."]
    for name, title in CHARTS.items():
        if name in charts:
            lines += ["", f"![{title}](performance/{name}.svg)"]
    return "\n".join(lines)


def machine():
    cpu = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    memory = next(int(line.split()[1]) for line in pathlib.Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return {"cpu": cpu, "processors": len(os.sched_getaffinity(0)), "memory_gb": round(memory / 1e6), "kernel": ".".join(platform.release().split(".")[:2]),
            "load_before": round(os.getloadavg()[0], 2)}


def summary(result):
    """How many floors are met, and which are not."""
    if result["quick"]:
        return "a quick look: cold brokers and little data, so these figures say nothing about speed"
    rows = result["figures"]
    with_floor = [r for r in rows if r.get("met") is not None]
    open_ones = [r["title"] for r in with_floor if not r["met"]]
    text = f"{len(with_floor) - len(open_ones)} of {len(with_floor)} floors met"
    return text + ("; not: " + "; ".join(open_ones) if open_ones else "")
