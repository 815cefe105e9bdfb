"""Instruction counts: what callgrind wrote, and how it compares with what was accepted."""
import re
from typing import NamedTuple

BOUND = 0.10  # above the accepted count; what is below it is shown, and nothing to fail for


class Row(NamedTuple):
    name: str
    accepted: float | None
    now: float | None
    verdict: str  # empty: within the bound

    @property
    def change(self):
        return None if self.accepted is None or self.now is None else self.now / self.accepted - 1


def machine(cpuinfo, architecture, libc):
    """What counts depend on besides the code: libraries choose their instructions by the processor. A model's name alone may
    stand for several generations, as virtual machines tell it."""
    def said(key):
        found = re.search(rf"^{key}[ \t]*: (.*)$", cpuinfo, re.M)
        return found[1].strip() if found else None

    numbers = [("family", said("cpu family")), ("model", said("model")), ("implementer", said("CPU implementer")), ("part", said("CPU part"))]
    kind = " ".join(f"{word} {number}" for word, number in numbers if number)
    return ", ".join(part for part in (said("model name") or architecture, kind, libc) if part)


def totals(dumps):
    """Instructions of each dump that a client request made, by the name it gave."""
    found = {}
    for text in dumps:
        name = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.M)
        total = re.search(r"^(?:summary|totals): (\d+)", text, re.M)
        if name and total:
            found[name[1]] = int(total[1])
    return found


def compared(accepted, counts):
    rows = []
    for name in list(counts) + [name for name in accepted if name not in counts]:
        before, now = accepted.get(name), counts.get(name)
        if before is None:
            verdict = "no count was accepted"
        elif now is None:
            verdict = "was not counted"
        else:
            verdict = f"{now / before - 1:+.1%} instructions" if now / before - 1 > BOUND else ""
        rows.append(Row(name, before, now, verdict))
    return rows


def table(rows):
    def shown(count):
        return "-" if count is None else f"{count:,.0f}"

    width = max(len(row.name) for row in rows)
    lines = [f"{'instructions of one step':{width}} {'accepted':>14} {'now':>14} {'change':>8}"]
    for row in rows:
        change = "" if row.change is None else f"{row.change:+.1%}"
        lines.append(f"{row.name:{width}} {shown(row.accepted):>14} {shown(row.now):>14} {change:>8}{'  <--' if row.verdict else ''}")
    return "\n".join(lines)
