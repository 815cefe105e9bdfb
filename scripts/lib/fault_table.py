"""The table of faults on real processes in docs/reliability.md: for each scenario what all runs so far add up to."""

import page_table

HEADING = "## Faults on real processes"
COLUMNS = ("row", "scenario", "target", "runs", "good", "invalid", "failed", "records acknowledged", "anomalies", "longest gap, ms")
HEAD = "| " + " | ".join(COLUMNS) + " |"
RULE = "|" + "---|" * len(COLUMNS)
OUTCOMES = {"OK": "good", "INVALID": "invalid", "FAIL": "failed"}


def _counted(row):
    """A line of the table as numbers."""
    cells = dict(zip(COLUMNS, row.strip().strip("|").split(" | ")))
    numbers = {name: int(cells[name].strip().replace(",", "")) for name in COLUMNS[3:]}
    return (int(cells["row"]), cells["scenario"].strip(), cells["target"].strip()), numbers


def _add(table, result):
    if result["outcome"] not in OUTCOMES:
        return  # skipped: nothing was run
    key = (result["row"], result["name"], result["target"])
    line = table.setdefault(key, dict.fromkeys(COLUMNS[3:], 0))
    line["runs"] += 1
    line[OUTCOMES[result["outcome"]]] += 1
    line["records acknowledged"] += result["acks"]
    line["anomalies"] += result["anomalies"]
    line["longest gap, ms"] = max(line["longest gap, ms"], round(result["gap_ms"] or 0))


def with_results(text, results):
    """The page with these results (dictionaries, as --json writes them) added to its table, which it gets if it has none."""
    lines, begin, end = page_table.lines_with(text, HEADING, HEAD, RULE)
    table = dict(_counted(row) for row in lines[begin:end])
    for result in results:
        _add(table, result)
    rows = ["| " + " | ".join([*map(str, key), *(f"{n:,}" for n in line.values())]) + " |" for key, line in sorted(table.items())]
    return "\n".join(lines[:begin] + rows + lines[end:]) + "\n"
