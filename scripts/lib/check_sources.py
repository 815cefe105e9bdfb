#!/usr/bin/env python3
"""check_sources.py TOP: rules of the house that a compiler does not see. One line per breach, exit code 1 if any."""
import os
import re
import subprocess
import sys

# Which top folders a file may include from, besides the standard library and system libraries.
ALLOWED = {
    "common": {"common"},
    "controller": {"common", "controller"},
    "broker": {"common", "controller", "broker", "kafka"},
    "cli": {"common", "controller", "broker", "cli", "kafka"},
    "proto": {"common", "proto", "kafka"},
}
# Generated Kafka codecs stay at the edge.
KAFKA_CODEC_USERS = ("broker/api/", "broker/server/", "broker/group/", "broker/", "cli/", "proto/kafka/", "tests/")

# Pure cores: plain decisions without thread, clock, socket, randomness or waiting.
PURE = ("controller/raft/", "controller/metadata/")
PURE_FILES = (
    "broker/partition/isr_tracker", "broker/partition/follower_reconciler",
)
# In these folders a file is a core unless it says that it runs on a shard by including common/shard.h.
MIXED = ("broker/partition/", "broker/group/", "broker/replication/")

BANNED_IN_CORES = [
    (r"::now\(\)", "asks a clock; `now` is an argument"),
    (r"\brandom_device\b", "makes its own randomness"),
    (r"\bstd::rand\b|\bsrand\(", "makes its own randomness"),
    (r"\bgetenv\b", "reads the environment"),
    (r"\bsleep_(for|until)\b|\busleep\(|\bnanosleep\(", "waits"),
    (r"\bstd::(thread|jthread|mutex|condition_variable|async)\b", "has threads or locks"),
    (r"\bco_(await|return|yield)\b", "is a coroutine"),
]
BANNED_INCLUDES_IN_CORES = re.compile(
    r'#include\s*[<"](boost/asio|boost/beast|spdlog|grpcpp|google/protobuf|common/shard\.h|common/logging\.h|thread|mutex|'
    r'condition_variable|future|[^">]*\.pb\.h)')
BANNED_EVERYWHERE = [
    (r"\b(TODO|FIXME|XXX|HACK)\b", "unfinished work is an issue, not a comment"),
    (r"catch\s*\(\.\.\.\)\s*\{\s*\}", "an error is swallowed (R113)"),
    (r"\basio::detached\b", "an error is swallowed; use Shard::spawn (R113)"),
    (r"using namespace std;", "names come in by name"),
    (r"<[a-z]*mmintrin\.h>|<x86intrin\.h>|\b__builtin_ia32_|\b_mm\d*_\w+\s*\(", "is for x86 alone, and Naru is built for arm64 too"),
]
# A path relative to the file would find what the target's include folders do not show (cmake/naru.cmake).
RELATIVE_INCLUDE = re.compile(r'\s*#include\s*"\.\.?/')
SOURCE = re.compile(r"\.(h|cc)$")
# A screen, and some: beyond it nobody sees a function as one. Tables of rows, and stories that tests tell, are as long as they are.
FUNCTION_LINES_MAX = 80
TABLE = re.compile(r"\w+_rows\(\)$")


def files(top):
    listed = subprocess.run(["git", "-C", top, "ls-files", "-co", "--exclude-standard"], check=True, capture_output=True, text=True)
    return sorted(f for f in listed.stdout.splitlines() if SOURCE.search(f) and os.path.isfile(os.path.join(top, f)))


def content(top, path):
    with open(os.path.join(top, path), encoding="utf-8") as source:
        return source.read()


def without_comments(text):
    """Comments and string literals blanked, lines kept."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|R"(\w*)\(.*?\)\1"', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def is_core(path, text):
    if path.startswith(PURE):
        return True
    stem = path.rsplit(".", 1)[0]
    if stem in PURE_FILES:
        return True
    if not path.startswith(MIXED) or re.search("/(grpc|http2)_", path):
        return False
    return not re.search(r'#include "(common/shard|common/logging|broker/[a-z_]+/\w*(service|shell|manager|partition|stream\w*)|kafka/|[^"]*\.pb)', text)


def idle_settings(top, paths):
    """Settings that the configuration table calls used and nobody reads, in common/config only its loader counting."""
    readers = []
    for path in paths:
        if path.startswith(("common/", "controller/", "broker/", "cli/")) and not re.match("common/config/(?!config_load)", path):
            readers.append(without_comments(content(top, path)))
    words = set(re.findall(r"\w+", " ".join(readers)))
    for table in ("common/config/table_broker.cc", "common/config/table_topic.cc"):
        text = content(top, table)
        for row in re.finditer(r'\.key = "([^"]+)".*?(?=\{\.key = |\Z)', text, re.S):
            member = re.search(r"&(?:Broker|Topic)Config::(\w+)", row[0])
            if member and "Effect::accepted" not in row[0] and member[1] not in words:
                yield table, text[: row.start()].count("\n") + 1, f"{row[1]} is called used, and nobody reads {member[1]}"


def pages(top):
    listed = subprocess.run(["git", "-C", top, "ls-files", "-co", "--exclude-standard", "*.md"], check=True, capture_output=True, text=True)
    return {os.path.basename(f) for f in listed.stdout.splitlines()}


def missing_in_the_map(top):
    """Folders that the table in docs/architecture.md does not name: by their path, or in the row of the folder they lie in."""
    listed = subprocess.run(["git", "-C", top, "ls-files", "-co", "--exclude-standard"], check=True, capture_output=True, text=True)
    parts = [f.split("/")[:-1][:2] for f in listed.stdout.splitlines() if os.path.isfile(os.path.join(top, f))]
    folders = {tuple(p[:n]) for p in parts for n in range(1, len(p) + 1)}
    rows = [line.split("|") for line in content(top, "docs/architecture.md").splitlines() if line.startswith("| `")]
    named = set()
    for row in rows:
        for path in re.findall(r"`([\w.]+(?:/[\w.]+)*)/", row[1]):
            words = tuple(path.split("/"))
            named |= {words[:1], words[:2]} | {(words[0], inner) for inner in re.findall(r"`(\w+)/`", row[2]) if len(words) == 1}
    return sorted("/".join(f) for f in folders - named)


def lines_in_breach(path, text, here):
    """(line, what) of each rule that one line breaks. `here`: the names of the pages that there are."""
    folder = path.split("/", 1)[0]
    core = is_core(path, text)
    for number, (line, bare) in enumerate(zip(text.splitlines(), without_comments(text).splitlines()), 1):
        included = re.match(r'\s*#include\s*"([a-z_]+)/', line)
        if included and folder in ALLOWED:
            root = included[1]
            if root in ("common", "controller", "broker", "cli") and root not in ALLOWED[folder]:
                yield number, f"{folder}/ may not include {root}/"
            if root == "kafka" and not path.startswith(KAFKA_CODEC_USERS):
                yield number, "Kafka codecs stay in the handlers and the command"
        if RELATIVE_INCLUDE.match(line):
            yield number, "an include begins at the top of the tree"
        if core:
            if BANNED_INCLUDES_IN_CORES.match(line):
                yield number, "a pure core includes " + line.split()[1]
            for pattern, why in BANNED_IN_CORES:
                if re.search(pattern, bare):
                    yield number, "a pure core " + why
        for page in re.findall(r"[\w-]+\.md\b", line):
            if page not in here:
                yield number, f"names {page}, which is not here"
        for pattern, why in BANNED_EVERYWHERE:
            if re.search(pattern, line if "unfinished" in why else bare):
                yield number, why


def functions(code):
    """(first line, lines, what stands before its brace) of each function with a body, lambdas within others left out."""
    code = re.sub(r"'(?:\\.|[^'\\\n])'", "' '", code)
    open_braces, after, depth = [], 0, 0  # of each open brace: its head's line and text, where it begins a function
    for mark in re.finditer(r"[{};]", code):
        head = code[after : mark.start()]
        after = mark.end()
        if mark[0] == "{":
            words = " ".join(head.split())
            is_scope = re.search(r"\bnamespace\b[^()]*$|^extern\b", words) or (
                re.search(r"\b(class|struct|enum|union)\b", words) and not re.search(r"\)\s*(const|noexcept|override|->|$)", words))
            inside = depth > 0 or ("(" in words and not is_scope)
            first = code.count("\n", 0, mark.start() - len(head.lstrip())) + 1
            open_braces.append((first, words) if inside and depth == 0 else None)
            depth += inside
        elif mark[0] == "}" and open_braces:
            begun = open_braces.pop()
            depth -= depth > 0
            if begun:
                yield begun[0], code.count("\n", 0, mark.start()) + 2 - begun[0], begun[1]


def file_in_breach(top, path, text, known):
    """(file, line, what) of each rule about more than a line of it. `known`: all files."""
    if path.endswith(".h"):
        if "#pragma once" not in text:
            yield path, 1, "no #pragma once"
        implementation = path[:-2] + ".cc"
        if implementation in known:
            first = re.search(r'#include\s*[<"]([^">]+)', content(top, implementation))
            if not first or not ("/" + path).endswith("/" + first[1]):
                yield implementation, 1, f"includes something before {path}, so nothing shows that the header compiles alone"
    lines = len(text.splitlines())
    if lines > 800 and not path.startswith("tests/"):
        yield path, 1, f"{lines} lines: is it one concept?"
    if path.split("/", 1)[0] in ALLOWED and not re.match(r"\s*(//|/\*|#)", text):
        yield path, 1, "does not open with why it exists"
    for line, count, head in functions(without_comments(text)) if not path.startswith("tests/") else ():
        if count > FUNCTION_LINES_MAX and not TABLE.search(head):
            yield path, line, f"a function of {count} lines does not fit a screen"


def breaches(top, all_files):
    """(file, line, what)"""
    here = pages(top)
    known = set(all_files)
    for path in all_files:
        text = content(top, path)
        for number, what in lines_in_breach(path, text, here):
            yield path, number, what
        yield from file_in_breach(top, path, text, known)
    yield from idle_settings(top, all_files)
    for folder in missing_in_the_map(top):
        yield "docs/architecture.md", 1, f"the table of folders does not name {folder}/"


def main():
    top = sys.argv[1]
    all_files = files(top)
    found = list(breaches(top, all_files))
    for path, number, what in found:
        print(f"{path}:{number}: {what}")
    print(f"check_sources: {len(all_files)} files, {len(found)} breaches", file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
