"""The commands that README.md and docs/*.md show, and what the pages say about how they are tried.

A block is a run of indented (or fenced) lines. Every line of it is a command, unless a comment before it, which no reader
of the page sees, says otherwise:

    <!-- test: cluster 3 -->             from here on three brokers run, the first at localhost:9092
    <!-- test: by tests/deploy -->       that suite (or tests/cluster) runs the next block; `page by tests/deploy`: every block of the page
    <!-- test: text, WHY -->             the next block holds no commands
    <!-- test: shown -->                 the next block is how the output of the command before it ends: the same words, other numbers
    <!-- test: typed -->                 what follows the first line of the next block is typed into the program that it starts
    <!-- test: stays "COMMAND" until "WORDS" -->  it runs until one ends it, and is well once it has printed WORDS
    <!-- test: shorter "A" as "B" -->    A would take too long in a test; B is the same work, but less
    <!-- test: skip "COMMAND", WHY -->   commands of the next block that begin so cannot be run here; without a command, all
"""
import dataclasses
import re

from naru_cluster import TOP, Failed

MARK = re.compile(r"^<!-- test: (.*) -->$")
DEPLOY = "tests/deploy"
CLUSTER = "tests/cluster"


@dataclasses.dataclass
class Block:
    page: str
    line: int
    lines: list
    heading: str = ""                                # of the section that it stands in
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
        elif found := re.fullmatch(f"page by ({DEPLOY}|{CLUSTER})", words):
            self.by = found[1]
        else:
            self.next.append((words, line))

    def apply(self, block):
        block.brokers, block.by = self.brokers, self.by
        for words, line in self.next:
            if found := re.fullmatch(f"by ({DEPLOY}|{CLUSTER})", words):
                block.by = found[1]
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
    found, marks, current, fenced, heading = [], _Marks(page), None, False, ""
    for number, line in enumerate((text or (TOP / page).read_text()).splitlines() + ["end"], 1):
        mark, fence = MARK.match(line), line.startswith("```")
        if fence:
            fenced = not fenced
        inside = (fenced and not fence) or (not fenced and line.startswith("    "))
        if inside and current is None:
            current = marks.apply(Block(page, number, [], heading))
        if inside:
            current.lines.append(line if fenced else line[4:])
        elif current is not None and (fence or line):  # an empty line does not end what goes on after it
            found.append(current)
            current = None
        if line.startswith("## ") and not fenced:
            heading = line[3:]
        if mark:
            marks.take(mark[1], number)
    if marks.next:
        raise ValueError(f"{page}: a `test: {marks.next[0][0]}` that no block follows")
    return found


class Reading:
    """The blocks of a page that a suite runs, until every command has had its turn, or it is an error:

        with Reading("docs/install.md", elsewhere={"deploy/deb/build": "tests/deploy/ec2/package.py"}) as reading:
            for command in reading.commands():

    A command has had its turn once the next one is asked for. Those that begin so are run `elsewhere`, in that file.
    """

    def __init__(self, page, suite=DEPLOY, elsewhere=None, found=None):
        self.page, self.elsewhere = page, dict(elsewhere or {})
        self.blocks = [b for b in (blocks(page) if found is None else found) if b.by == suite and b.commands()]
        self.left = {(b.line, n): c for b in self.blocks for n, c in enumerate(b.commands())}
        for beginning, file in self.elsewhere.items():
            if "/".join(beginning.split("/")[-2:]) not in (TOP / file).read_text():  # "build" alone is in many
                raise Failed(f"{page}: `{beginning}` is said to be run by {file}, which does not name it")
            if not any(c.startswith(beginning) for c in self.left.values()):
                raise Failed(f"{page} shows no `{beginning}`, which is said to be run by {file}")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None and self.left:
            raise Failed(f"{self.page} shows what nobody ran: " + "; ".join(f"line {n}: `{c}`" for (n, _), c in self.left.items()))

    def commands(self, heading=None):
        """In order; with a heading, those under it."""
        chosen = [b for b in self.blocks if heading is None or b.heading == heading]
        if not chosen:
            raise Failed(f"{self.page} has no commands under {heading!r}")
        for block in chosen:
            for number, command in enumerate(block.commands()):
                if not any(command.startswith(beginning) for beginning in self.elsewhere):
                    yield command
                self.left.pop((block.line, number), None)


def shape(text):
    """Its words, with every number the same: what must agree between a page and a run."""
    rows = (re.sub(r"\d[\d,.]*", "#", " ".join(line.split())) for line in text.splitlines())
    return [row for row in rows if row]
