"""Every command that a page shows is run as it stands there, and what the page says it prints is what it prints."""
import ast
import hashlib
import re
import shlex
import shutil
import subprocess
import time

from built import must_be_built
from naru_cluster import TOP, Failed, Skipped, naru_binary
from pages import CLUSTER, DEPLOY, Reading, blocks, pages, shape
from place import Place
from support import equal, true
from toolchains import JAVA_NEWEST, java_classes


def run_block(place, block):
    """What its last command printed."""
    printed = ""
    for command in block.commands():
        if command.lstrip().startswith("#"):
            continue
        print(f"    {block.page}: {command}", flush=True)
        began = time.monotonic()
        bare = re.sub(r"\s+#.*", "", command)
        try:
            if bare in block.stays:
                place.run_until(command, block.stays[bare])
            else:
                printed = place.run(command, typed="\n".join(block.lines[1:]) + "\n" if block.typed else None)
        except Failed as failure:
            raise Failed(f"{block.place} shows `{bare}`, which {failure}") from None
        print(f"        took {time.monotonic() - began:.2f} s", flush=True)
    return printed


def run_page(page):
    """Its blocks in order, in one place."""
    printed = ran = brokers = 0
    with Place() as place:
        for block in blocks(page):
            if block.by or block.text:
                continue
            if block.brokers != brokers:
                brokers = block.brokers
                place.brokers(brokers)
            if block.shown:
                shown = shape("\n".join(block.lines))
                equal(shape(printed)[-len(shown):], shown, f"{block.place}: the end of what is printed, numbers aside")
            else:
                printed = run_block(place, block)
                ran += len(block.commands())
    return ran


def test_readme():
    must_be_built("naru")  # `scripts/run` builds what is not, and a page's commands have no time for that
    java_classes(JAVA_NEWEST)  # fetched here: the place has no way out
    true(run_page("README.md") >= 10, "commands of the README")


def test_monitoring():
    true(run_page("docs/monitoring.md") >= 2, "commands")


def test_testing():
    if not (TOP / "build/release/naru-sim").exists():
        raise Skipped("there is no build/release/naru-sim")
    must_be_built("naru", "naru-sim")
    true(run_page("docs/testing.md") + run_page("docs/simulator.md") >= 7, "commands")


def test_kubernetes():
    if shutil.which("kubectl") is None:
        raise Skipped("kubectl, which renders manifests without a cluster, is not installed")
    true(run_page("docs/kubernetes.md") >= 1, "commands")


def begun_in(*programs):
    """What their code begins, whatever their comments and docstrings speak of: run_page(X), and `with` Reading(X) or
    Section(X), at whose end all of it is asked for."""
    nodes = [node for program in programs for node in ast.walk(ast.parse(program))]
    calls = [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "run_page"]
    calls += [item.context_expr for node in nodes if isinstance(node, ast.With) for item in node.items]
    return {(call.func.id, call.args[0].value) for call in calls
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.args and isinstance(call.args[0], ast.Constant)}


def test_what_is_only_spoken_of_is_not_begun():
    program = """
def one():
    "As with Section('a') as section: ..., and run_page('b')."
    # with Reading("c") as reading:
    Section("d")
    with place() as there, Section("e") as section:
        true(run_page("f") + run_page(g), "commands")
"""
    equal(begun_in(program, 'with Reading("h", suite="") as reading:\n    pass\n'),
          {("Section", "e"), ("run_page", "f"), ("Reading", "h")}, "what is begun")


def test_every_block_has_its_run():
    """Where it is run, every block of the page is, or that is an error there: run_page() leaves none out, a Reading ends
    with all commands of its suite, a Section with all of its heading."""
    begun = {"": begun_in((TOP / "tests/docs/test_pages.py").read_text()),
             DEPLOY: begun_in(*(p.read_text() for p in (TOP / DEPLOY).glob("*/test_docs.py"))),
             CLUSTER: begun_in(*(p.read_text() for p in (TOP / CLUSTER).glob("test_*.py")))}
    for block in (b for page in pages() for b in blocks(page) if b.commands()):
        run = {"": ("run_page", block.page), DEPLOY: ("Reading", block.page), CLUSTER: ("Section", block.heading)}[block.by]
        true(run in begun[block.by], f"{block.place} shows `{block.commands()[0]}`, and {block.by or 'tests/docs'} has no `{run[0]}({run[1]!r})`")


def test_a_block_that_nobody_runs_is_noticed():
    found = blocks("docs/made-up.md", "## A\n\n    one\n    two\n\n## B\n\n<!-- test: skip, WHY -->\n    three\n\ntext\n\n    four # five\n")
    equal([(b.heading, b.commands()) for b in found], [("A", ["one", "two"]), ("B", []), ("B", ["four # five"])], "what a page shows")

    def read(*headings, **options):
        try:
            with Reading("docs/made-up.md", suite="", found=found, **options) as reading:
                return [c for h in headings for c in reading.commands(h)]
        except Failed as failure:
            return str(failure)
    equal(read("A", "B"), ["one", "two", "four # five"], "all of it")
    true("line 13: `four # five`" in read("A"), f"what is left out: {read('A')}")
    true("no commands under 'C'" in read("A", "B", "C"), "a heading that there is not")
    equal(read("A", "B", elsewhere={"tw": "tests/docs/test_pages.py"}), ["one", "four # five"], "without what is run elsewhere")
    true("shows no `six`" in read("A", "B", elsewhere={"six": "tests/docs/test_pages.py"}), "what is run elsewhere and not shown")


def test_what_is_shown_and_takes_too_long_is_there():
    """What a page says is not run here (hours, a build of its own) is a program that there is, with options that it has."""
    shown = [(block.place, line) for page in pages() for block in blocks(page) for line in block.lines
             if any(line.startswith(beginning) for beginning, _ in block.skipped)]
    true(len(shown) > 4, f"commands that are shown and not run: {shown}")
    for place, line in shown:
        program, *words = shlex.split(line, comments=True)
        if program.startswith("build/release/") and not (TOP / program).exists():
            raise Skipped(f"there is no {program}")
        if "/" not in program and shutil.which(program) is None:
            continue  # of the system, which has none
        path = TOP / program if "/" in program else program
        done = subprocess.run([path, "--help"], capture_output=True, text=True, check=False, timeout=60)
        equal(done.returncode, 0, f"exit code of `{program} --help`, which {place} shows")
        for option in (word.split("=")[0] for word in words if word.startswith("--")):
            true(re.search(rf"(^|[\s,\[|(]){option}\b", done.stdout), f"{place}: `{line}`: there is no option {option}")


def spans(page):
    """What a page shows between backquotes, in tables and text, without its blocks."""
    text = "\n".join(line for line in (TOP / page).read_text().splitlines() if not line.startswith("    "))
    return re.findall(r"`([^`\n]+)`", text)


def test_commands_within_sentences():
    """`naru ...` between backquotes is a command that there is, with options that it has; a path is one of a file."""
    seen = {}
    for page in pages():
        for span in spans(page):
            words = shlex.split(span.split("|")[0].split(";")[0], comments=True) if span.startswith("naru ") else []
            command = tuple(w for w in words[1:] if re.fullmatch(r"[a-z-]+", w) and not w.startswith("-"))
            options = {w.split("=")[0] for w in words if re.fullmatch(r"--?[a-z-]+(=.*)?", w)}
            if words:
                place = seen.setdefault(command[:2], (f"{page}: `{span}`", set()))
                place[1].update(options)
    true(len(seen) > 15, f"commands found: {sorted(seen)}")
    for command, (where, options) in seen.items():
        done = subprocess.run([naru_binary(), *command, "--help"], capture_output=True, text=True, check=False)
        if done.returncode != 0 and len(command) > 1:  # the second word may be a name
            done = subprocess.run([naru_binary(), command[0], "--help"], capture_output=True, text=True, check=False)
        true(done.returncode == 0, f"{where}: there is no such command")
        for option in options - {"--help"}:
            true(re.search(rf"(^|[\s,]){option}\b", done.stdout), f"{where}: it has no option {option}")


def test_paths_and_links():
    for page in pages():
        text = (TOP / page).read_text()
        for path in set(re.findall(r"(?<![\w./<-])((?:\.ci|broker|cli|common|controller|deploy|docs|proto|scripts|tests)/[\w./-]*\w)", text)):
            true((TOP / path).exists(), f"{page} names {path}, which is not there")
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
            if "://" not in link:
                true(((TOP / page).parent / link).exists(), f"{page} links to {link}, which is not there")


def tried_by(page):
    """(line, the last cell) of each row of the page's tables whose last column is "tried by"."""
    inside = False
    for number, line in enumerate((TOP / page).read_text().splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")] if line.startswith("|") else []
        if inside and cells and not line.startswith("|---"):
            yield number, line.rstrip("| ").rsplit("| ", 1)[-1] if not line.endswith("| |") else ""
        inside = bool(cells) and (inside or cells[-1] == "tried by")


def names_of_tests(suite):
    """As the suite's `run` has them: what a pattern there is looked for in."""
    for path in sorted((TOP / suite).glob("*/test_*.py" if suite == DEPLOY else "test_*.py")):
        place = f"{path.parent.name}." if suite == DEPLOY else ""
        for name in re.findall(r"^def test_(\w+)\(", path.read_text(), re.MULTILINE):
            yield f"{place}{path.stem[5:]}.{name}"


def test_what_is_said_to_try_a_row_is_there():
    scenarios = {name for path in (TOP / "tests/chaos").glob("rows_*.py")
                 for name in re.findall(r'^@scenario\(\d+, "([\w-]+)"', path.read_text(), re.MULTILINE)}
    true(len(scenarios) > 50, f"scenarios found: {sorted(scenarios)}")
    rows = [(page, *row) for page in ("docs/failures.md", "docs/kafka.md") for row in tried_by(page)]
    true(len(rows) > 15, f"rows found: {rows}")
    for page, line, cell in rows:
        found = re.findall(r"`([^`]+)`", cell)
        true(found, f"{page}:{line} names nothing that tries it")
        for program, *words in (span.split() for span in found):
            true(program == "naru" or (TOP / program).exists(), f"{page}:{line}: there is no {program}")
            for word in words if program == "scripts/chaos" else []:
                true(word in scenarios, f"{page}:{line}: scripts/chaos has no {word}")
            for word in words if program.endswith("/run") else []:
                names = list(names_of_tests(program.removesuffix("/run")))
                true(any(word in name or (program.startswith(DEPLOY) and name.startswith(word)) for name in names), f"{page}:{line}: {program} has no {word}")


def test_the_readme_names_what_is_answered():
    """The table of requests in the README is that of docs/kafka.md, which a broker is asked for."""
    answered = {name: versions for name, versions in re.findall(r"^\| (\w+) \| \d+ \| ([\d-]*\d) \|$", (TOP / "docs/kafka.md").read_text(), re.MULTILINE)}
    table = re.search(r"^\| for \| requests \|\n\|---\|---\|\n((?:\|.*\n)+)", (TOP / "README.md").read_text(), re.MULTILINE)
    true(table and len(answered) > 30, f"the tables of requests: {answered}")
    equal(dict(re.findall(r"\b([A-Z]\w+) (\d+(?:-\d+)?)", table[1])), answered, "requests of the README")


def test_vendored_files_are_what_they_are_said_to_be():
    """Each file in the page's vendor folder stands in its README, with the sum that it has; scripts/vendor reads that table."""
    folder = TOP / "broker/http/page/vendor"
    said = dict(re.findall(r"^\| (\S+) \| \S+ \| [\w.-]+ \| \S+ \| .* \| ([0-9a-f]{64}) \|$", (folder / "README.md").read_text(), re.MULTILINE))
    equal(said, {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir() if file.name != "README.md"}, "files and their sums")


def test_the_readme_opens_every_page():
    readme = (TOP / "README.md").read_text()
    for page in pages()[1:]:
        true(f"]({page}" in readme, f"{page} is not linked from README.md")
