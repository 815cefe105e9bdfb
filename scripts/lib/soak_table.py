"""The table of soak runs in docs/reliability.md: a line for each, and what all of them add up to."""

import page_table

HEADING = "## Soak runs"
COLUMNS = ("day", "commit", "wall hours", "seeds", "simulated hours", "simulated faults", "leader changes", "records acknowledged",
           "sim failures", "chaos runs", "chaos failures", "fuzz minutes", "fuzz failures")
HEAD = "| " + " | ".join(COLUMNS) + " |"
RULE = "|" + "---|" * len(COLUMNS)
SUM = "In all: "


def total(rows):
    hours = sum(float(row.strip("| ").split(" | ")[COLUMNS.index("simulated hours")]) for row in rows)
    return f"{SUM}{hours / 24:.1f} simulated days."


def with_row(text, values):
    """The page with one more line in its table, which it gets if it has none, and their sum behind it."""
    lines, begin, end = page_table.lines_with(text, HEADING, HEAD, RULE)
    rows = lines[begin:end] + ["| " + " | ".join(map(str, values)) + " |"]
    rest = lines[end:]
    if rest[:1] == [""] and rest[1:2] and rest[1].startswith(SUM):
        rest = rest[2:]
    return "\n".join(lines[:begin] + rows + ["", total(rows)] + rest) + "\n"
