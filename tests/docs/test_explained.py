"""Nothing that a page shows is left out without a reason that holds: a table of who runs what, and why some is not run."""
import collections
import os
import re
import shlex
import subprocess

from naru_cluster import TOP
from pages import CLUSTER, DEPLOY, blocks, pages
from support import equal, true
from test_pages import spans

# Why a command is not run as it stands, where not because another suite does. Whatever is shown so must be run in some
# other form somewhere: the same program in another block, or by scripts/test.
TOO_MUCH = ("a day", "hours", "minutes", "a build with sanitizers", "fetches and starts Apache Kafka", "there is no Kubernetes here", "a test within the tests")
RUN_BY = "scripts/test runs it"
SUITES = (DEPLOY, CLUSTER)
# What a line begins with that is a command, whatever the comment before the block says of it.
PROGRAMS = {"naru", "kcat", "docker", "docker-compose", "curl", "systemctl", "apt-get", "dpkg", "aws", "kubectl", "cmake", "ctest", "cpack", "java", "mvn", "echo", "git",
            "prometheus", "promtool", "python3", "cp", "rm", "ssh", "scp", "bash", "sh", "pip", "npm", "kill", "export"}


def program_of(line):
    """What a line starts, or nothing if it starts with no program."""
    words = [word for word in line.split() if word not in ("sudo", "$") and not re.fullmatch(r"[A-Za-z_]\w*=\S*", word)]
    first = words[0] if words else ""
    return first if first in PROGRAMS or first.startswith("kafka-") or is_program(first) else ""


def is_program(word):
    return "/" in word and (word.startswith("build/release/") or os.access(TOP / word, os.X_OK)) and not (TOP / word).is_dir()


def skipped(block):
    """(command, why) of what is not run."""
    for line in block.lines:
        for beginning, why in block.skipped:
            if line.startswith(beginning):
                yield line, why
                break


def all_blocks():
    return [block for page in pages() for block in blocks(page)]


def fate(block, line):
    """Who runs a line of a block that shows commands, and how; or why nobody does."""
    why = next((why for other, why in skipped(block) if other == line), None)
    if why is not None:
        return f"not run: {why}"
    short = next((short for shown, short in block.shorter if shown in line), None)
    return f"{block.by or 'tests/docs'}{f', as {short!r}' if short is not None else ''}"


def test_who_runs_what():
    """Every line of every block: run as it stands, run shorter, run by another suite, or not and why. Printed as a table."""
    fates = collections.Counter()
    for block in all_blocks():
        if block.text or block.shown:
            fates[f"no command: {block.text or 'what the one before it prints'}"] += 1
            continue
        lines = block.lines[:1] if block.typed else block.lines
        equal(sum(1 for _ in skipped(block)) + len(block.commands()), len(lines), f"lines of {block.place} that are run, or not for a reason")
        for line in lines:
            fates[told := fate(block, line)] += 1
            if told not in ("tests/docs", *SUITES):
                print(f"    {block.place}: `{re.sub(r' +#.*', '', line)}`: {told}", flush=True)
    print("    " + "; ".join(f"{count} {told}" for told, count in fates.most_common() if told in ("tests/docs", *SUITES)), flush=True)
    true(fates["tests/docs"] > 10 and all(fates[suite] > 5 for suite in SUITES), f"what is run as it stands: {fates}")


def test_a_block_that_is_called_text_shows_no_command():
    equal([program_of(line) for line in ("naru status", "sudo systemctl start naru", "A=1 scripts/test", "kafka-topics.sh --list", "node.id=1", "scripts/lib", "")],
          ["naru", "systemctl", "scripts/test", "kafka-topics.sh", "", "", ""], "what lines start")
    for block in all_blocks():
        for line in block.lines if block.text else []:
            true(not program_of(line), f"{block.place} is said to be text ({block.text}), and shows a command: {line}")


def test_no_comment_speaks_of_what_is_gone():
    """A comment about how something is tried is about something in its block."""
    for block in all_blocks():
        for beginning, _ in block.skipped:
            true(any(line.startswith(beginning) for line in block.lines), f"{block.place}: a comment leaves out `{beginning}`, which is not there")
        for shown, _ in block.shorter:
            true(any(shown in line for line in block.lines), f"{block.place}: a comment shortens `{shown}`, which is not there")
        for command in block.stays:
            true(any(line.startswith(command) for line in block.lines), f"{block.place}: a comment lets `{command}` stay, which is not there")


def test_what_is_not_run_has_a_reason_that_holds():
    tests = (TOP / "scripts/test").read_text()
    run = [command for block in all_blocks() for command in block.commands()]
    found = [(block.place, *each) for block in all_blocks() for each in skipped(block)]
    true(len(found) > 5, f"commands that are not run: {found}")
    for place, line, why in found:
        program, *words = shlex.split(line, comments=True)
        if why == RUN_BY:
            true(re.search(rf"(^|\s){re.escape(program)}\s", tests), f"{place}: scripts/test does not run {program}")
            # Those without a value, or with it: a test that is named is among all that scripts/test runs.
            for option in (word.split("=")[0] for word in words if word.startswith("--")):
                true(option in tests, f"{place}: scripts/test does not use {option} of {program}")
            continue
        true(why in TOO_MUCH, f"{place}: `{line}` is not run for a reason that nobody has heard of: {why}")
        elsewhere = any(shlex.split(command, comments=True)[:1] == [program] for command in run) or re.search(rf"(^|\s){re.escape(program)}\s", tests)
        true(elsewhere or why in ("a day", "a test within the tests"), f"{place}: {program} is run in no form at all")


def test_programs_within_sentences():
    """`scripts/... --option` between backquotes is a program that there is, with options that it has (`naru ...`: test_pages)."""
    seen = {}
    for page in pages():
        for span in spans(page):
            program = span.split()[0]
            if is_program(program) and not program.startswith("build/"):  # what is built may not be there
                words = shlex.split(span.split("|")[0].split(";")[0], comments=True)
                options = seen.setdefault(program, {})
                options.setdefault("--help", f"{page}: `{span}`")
                options.update({word.split("=")[0]: f"{page}: `{span}`" for word in words if word.startswith("--")})
    true(len(seen) > 10, f"programs found: {sorted(seen)}")
    for program, options in seen.items():
        done = subprocess.run([TOP / program, "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
        equal(done.returncode, 0, f"exit code of `{program} --help`, which {options['--help']} names: {done.stderr[-500:]}")
        for option, where in options.items():
            true(option == "--help" or re.search(rf"(^|[\s,\[|(]){option}\b", done.stdout), f"{where}: {program} has no option {option}")
