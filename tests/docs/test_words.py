"""The words that docs/failures.md says a broker or the command uses are words that they use."""
import re

from naru_cluster import TOP
from support import equal, true

COLUMN = 2  # "what it says"


def sources():
    """All code with string literals that are written in pieces as one."""
    parts = [path.read_text() for folder in ("cli", "broker", "controller", "common") for path in sorted((TOP / folder).rglob("*.cc"))]
    return re.sub(r'"\s*\n\s*"', "", "\n".join(parts))


def is_said(words, code):
    """A number, N or a path of the example, and any word of it, may be filled in where it is said; half of the words are there."""
    tokens = [t for t in re.split(r"\d+|\.\.\.|\bN\b|/\S*|[\s()\[\]:,]+", words) if t and len(t) > 1]
    pattern = r"[^\"\n]{0,12}?".join(rf"(?:{re.escape(token)}|\{{[^}}\n]*\}})" for token in tokens)
    return any(sum(token in found[0] for token in tokens) * 2 >= len(tokens) for found in re.finditer(pattern, code))


def rows():
    """(line, what it says) of the table."""
    for number, line in enumerate((TOP / "docs/failures.md").read_text().splitlines(), 1):
        cells = line.strip().strip("|").split(" | ")
        if line.startswith("| ") and len(cells) > COLUMN and not line.startswith("| what fails"):
            for words in re.findall(r"`([^`]+)`", cells[COLUMN]):
                yield number, words


def test_what_failures_say_is_in_the_code():
    code = sources()
    found = [(line, words) for line, words in rows() if not words.startswith("naru ")]  # those are commands: test_pages
    true(len(found) > 10, f"words in the table: {found}")
    equal([f"docs/failures.md:{line}: {words}" for line, words in found if not is_said(words, code)], [], "what nobody says")


def test_words_that_nobody_says_are_noticed():
    code = 'log.warn("broker {} is slow: a {} takes {} ms", id);\nfmt::format("{} {} lost: it stood still", n, "lines are");\n'
    equal([is_said(words, code) for words in ("broker 2 is slow: a sync takes 900 ms", "[log] N lines are lost", "broker 2 is fast: a sync takes 900 ms",
                                              "all is well here")], [True, False, False, False], "what is said")
