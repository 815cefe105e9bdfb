"""charts.py RESULT.json FOLDER: what scripts/bench measured, as SVG files. Run by the interpreter that python3-matplotlib belongs
to; the same result gives the same bytes."""
import json
import pathlib
import statistics
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "naru", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False,
                            "axes.spines.right": False})
from matplotlib import pyplot, ticker  # noqa: E402

NARU, KAFKA = "#2563a8", "#b9b9b9"
NAMES = {NARU: "Naru", KAFKA: "Apache Kafka"}


def save(figure, path):
    figure.savefig(path, metadata={"Date": None, "Creator": "scripts/bench"}, bbox_inches="tight")
    pyplot.close(figure)
    # Lines of the library end in spaces; a file that is committed has none.
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")


def ratios(rows, path):
    """How many times better Naru is: median and spread of each figure, and the floor where there is one."""
    # Records a second are in the ratio of the bytes a second.
    rows = [r for r in rows if r["ratios"] and r["unit"] != "records/s"][::-1]
    medians = [statistics.median(r["ratios"]) for r in rows]
    spread = [[m - min(r["ratios"]) for m, r in zip(medians, rows)], [max(r["ratios"]) - m for m, r in zip(medians, rows)]]
    figure, axes = pyplot.subplots(figsize=(7.5, 0.26 * len(rows) + 0.8))
    places = range(len(rows))
    # Points and not bars: a scale of powers of ten has no zero for a bar to begin at.
    axes.errorbar(medians, places, xerr=spread, fmt="o", color=NARU, markersize=4.5, elinewidth=1.2, capsize=2.5)
    for place, row in zip(places, rows):
        if "ratio" in row.get("floor", {}):
            axes.plot([row["floor"]["ratio"]] * 2, [place - 0.42, place + 0.42], color="#c03028", linewidth=1.6)
    axes.axvline(1, color="#333333", linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    axes.grid(axis="both", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_yticks(list(places), [r["title"] for r in rows])
    axes.set_xlabel("times better than Apache Kafka (red: the floor)")
    axes.set_ylim(-0.7, len(rows) - 0.3)
    save(figure, path)


def pairs(rows, path, label):
    """Both sides' medians beside each other."""
    rows = [r for r in rows if r["naru"] and r["kafka"]][::-1]
    figure, axes = pyplot.subplots(figsize=(7.5, 0.5 * len(rows) + 0.9))
    for offset, color, side in ((-0.19, KAFKA, "kafka"), (0.19, NARU, "naru")):
        values = [statistics.median(r[side]) for r in rows]
        bars = axes.barh([place + offset for place in range(len(rows))], values, height=0.36, color=color, label=NAMES[color])
        axes.bar_label(bars, [f"{v:.3g}" for v in values], padding=3)
    axes.set_yticks(range(len(rows)), [r["title"] for r in rows])
    axes.set_xlabel(label)
    axes.margins(x=0.12)
    axes.legend(loc="upper left", bbox_to_anchor=(0, 1.0 + 0.5 / (len(rows) + 1)), ncols=2, frameon=False)
    save(figure, path)


def main():
    result, folder = json.loads(pathlib.Path(sys.argv[1]).read_text()), pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for outdated in folder.glob("*.svg"):
        outdated.unlink()
    rows = result["figures"]
    ratios(rows, folder / "ratios.svg")
    for name, unit, word, label in (("cpu", "s/GB", "CPU", "CPU seconds of all brokers per GB of payload"),
                                    ("latency", "ms", "latency", "milliseconds"), ("memory", "MB", "memory", "MB")):
        some = [r for r in rows if r["unit"] == unit and word in r["title"] and r["naru"] and r["kafka"]]
        if some:
            pairs(some, folder / f"{name}.svg", label)


if __name__ == "__main__":
    main()
