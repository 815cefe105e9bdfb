"""The commands that README.md and docs/*.md show, and what the pages say about how they are tried.

A block is a run of indented (or fenced) lines. Every line of it is a command, unless a comment before it, which no reader
of the page sees, says otherwise:

    <!-- test: cluster 3 -->             from here on three brokers run, the first at localhost:9092
    <!-- test: by tests/deploy -->       that suite runs the next block; `page by tests/deploy`: every block of the page
    <!-- test: text, WHY -->             the next block holds no commands
    <!-- test: shown -->                 the next block is how the output of the command before it ends: the same words, other numbers
    <!-- test: typed -->                 what follows the first line of the next block is typed into the program that it starts
    <!-- test: stays "COMMAND" until "WORDS" -->  it runs until one ends it, and is well once it has printed WORDS
    <!-- test: shorter "A" as "B" -->    A would take too long in a test; B is the same work, but less
    <!-- test: skip "COMMAND", WHY -->   commands of the next block that begin so cannot be run here; without a command, all
"""
import dataclasses
import re

from naru_cluster import TOP

MARK = re.compile(r"^<!-- test: (.*) -->$")
DEPLOY = "tests/deploy"


@dataclasses.dataclass
class Block:
    page: str
    line: int
    lines: list
    brokers: int = 0                                 # that run when it is its turn
    by: str = ""                                     # the suite that runs it, where it is not tests/docs
    text: str = ""                                   # why it holds no commands
    shown: bool = False
    typed: bool = False
    stays: dict = dataclasses.field(default_factory=dict)    # command -> what it has printed when it is well
    shorter: list = dataclasses.field(default_factory=list)  # (as shown, as tried)
    skipped: list = dataclasses.field(default_factory=list)  # (beginning of commands, why)

    @property
    def place(self):
        return f"{self.page}:{self.line}"

    def commands(self):
        """Those to run, as they are tried; comments are left to the shell."""
        if self.text or self.shown:
            return []
        tried = []
        for line in [self.lines[0]] if self.typed else self.lines:
            if any(line.startswith(beginning) for beginning, _ in self.skipped):
                continue
            for shown, short in self.shorter:
                line = line.replace(shown, short)
            tried.append(line)
        return tried


def pages():
    return ["README.md", *sorted(str(p.relative_to(TOP)) for p in (TOP / "docs").glob("*.md"))]


class _Marks:
    """What holds for the next block, and what holds for the rest of the page."""

    def __init__(self, page):
        self.page, self.brokers, self.by, self.next = page, 0, "", []

    def take(self, words, line):
        if found := re.fullmatch(r"cluster (\d)", words):
            self.brokers = int(found[1])
        elif words == f"page by {DEPLOY}":
            self.by = DEPLOY
        else:
            self.next.append((words, line))

    def apply(self, block):
        block.brokers, block.by = self.brokers, self.by
        for words, line in self.next:
            if words == f"by {DEPLOY}":
                block.by = DEPLOY
            elif found := re.fullmatch(r"text, (.+)", words):
                block.text = found[1]
            elif words in ("shown", "typed"):
                setattr(block, words, True)
            elif found := re.fullmatch(r'stays "(.+)" until "(.+)"', words):
                block.stays[found[1]] = found[2]
            elif found := re.fullmatch(r'shorter "(.+)" as "(.*)"', words):
                block.shorter.append((found[1], found[2]))
            elif found := re.fullmatch(r'skip(?: "(.+)")?, (.+)', words):
                block.skipped.append((found[1] or "", found[2]))
            else:
                raise ValueError(f"{self.page}:{line}: nobody understands `test: {words}`")
        self.next = []
        return block


def blocks(page, text=None):
    """All blocks of a page, in order."""
    found, marks, current, fenced = [], _Marks(page), None, False
    for number, line in enumerate((text or (TOP / page).read_text()).splitlines() + ["end"], 1):
        mark, fence = MARK.match(line), line.startswith("```")
        if fence:
            fenced = not fenced
        inside = (fenced and not fence) or (not fenced and line.startswith("    "))
        if inside and current is None:
            current = marks.apply(Block(page, number, []))
        if inside:
            current.lines.append(line if fenced else line[4:])
        elif current is not None and (fence or line):  # an empty line does not end what goes on after it
            found.append(current)
            current = None
        if mark:
            marks.take(mark[1], number)
    if marks.next:
        raise ValueError(f"{page}: a `test: {marks.next[0][0]}` that no block follows")
    return found


def shape(text):
    """Its words, with every number the same: what must agree between a page and a run."""
    rows = (re.sub(r"\d[\d,.]*", "#", " ".join(line.split())) for line in text.splitlines())
    return [row for row in rows if row]
