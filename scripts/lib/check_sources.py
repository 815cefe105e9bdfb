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


def files(top):
    listed = subprocess.run(["git", "-C", top, "ls-files", "-co", "--exclude-standard"], check=True, capture_output=True, text=True)
    return sorted(f for f in listed.stdout.splitlines() if SOURCE.search(f) and os.path.isfile(os.path.join(top, f)))


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
            with open(os.path.join(top, path), encoding="utf-8") as source:
                readers.append(without_comments(source.read()))
    words = set(re.findall(r"\w+", " ".join(readers)))
    for table in ("common/config/table_broker.cc", "common/config/table_topic.cc"):
        with open(os.path.join(top, table), encoding="utf-8") as source:
            text = source.read()
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
    page = os.path.join(top, "docs/architecture.md")
    with open(page, encoding="utf-8") as source:
        rows = [line.split("|") for line in source if line.startswith("| `")]
    named = set()
    for row in rows:
        for path in re.findall(r"`([\w.]+(?:/[\w.]+)*)/", row[1]):
            words = tuple(path.split("/"))
            named |= {words[:1], words[:2]} | {(words[0], inner) for inner in re.findall(r"`(\w+)/`", row[2]) if len(words) == 1}
    return sorted("/".join(f) for f in folders - named)


def main():
    top = sys.argv[1]
    breaches = []
    here = pages(top)

    def breach(path, line, what):
        breaches.append(f"{path}:{line}: {what}")

    all_files = files(top)
    known = set(all_files)
    for path in all_files:
        with open(os.path.join(top, path), encoding="utf-8") as source:
            text = source.read()
        code = without_comments(text)
        folder = path.split("/", 1)[0]
        lines, code_lines = text.splitlines(), code.splitlines()
        core = is_core(path, text)
        for number, (line, bare) in enumerate(zip(lines, code_lines), 1):
            included = re.match(r'\s*#include\s*"([a-z_]+)/', line)
            if included and folder in ALLOWED:
                root = included[1]
                if root in ("common", "controller", "broker", "cli") and root not in ALLOWED[folder]:
                    breach(path, number, f"{folder}/ may not include {root}/")
                if root == "kafka" and not path.startswith(KAFKA_CODEC_USERS):
                    breach(path, number, "Kafka codecs stay in the handlers and the command")
            if RELATIVE_INCLUDE.match(line):
                breach(path, number, "an include begins at the top of the tree")
            if core:
                if BANNED_INCLUDES_IN_CORES.match(line):
                    breach(path, number, "a pure core includes " + line.split()[1])
                for pattern, why in BANNED_IN_CORES:
                    if re.search(pattern, bare):
                        breach(path, number, "a pure core " + why)
            for page in re.findall(r"[\w-]+\.md\b", line):
                if page not in here:
                    breach(path, number, f"names {page}, which is not here")
            for pattern, why in BANNED_EVERYWHERE:
                if re.search(pattern, line if "unfinished" in why else bare):
                    breach(path, number, why)
        if path.endswith(".h"):
            if "#pragma once" not in text:
                breach(path, 1, "no #pragma once")
            implementation = path[:-2] + ".cc"
            if implementation in known:
                with open(os.path.join(top, implementation), encoding="utf-8") as source:
                    first = re.search(r'#include\s*[<"]([^">]+)', source.read())
                if not first or not ("/" + path).endswith("/" + first[1]):
                    breach(implementation, 1, f"includes something before {path}, so nothing shows that the header compiles alone")
        if len(lines) > 800 and not path.startswith("tests/"):
            breach(path, 1, f"{len(lines)} lines: is it one concept?")
        if folder in ALLOWED and not re.match(r"\s*(//|/\*|#)", text):
            breach(path, 1, "does not open with why it exists")
    for path, number, what in idle_settings(top, all_files):
        breach(path, number, what)
    for folder in missing_in_the_map(top):
        breach("docs/architecture.md", 1, f"the table of folders does not name {folder}/")
    for line in breaches:
        print(line)
    print(f"check_sources: {len(all_files)} files, {len(breaches)} breaches", file=sys.stderr)
    sys.exit(1 if breaches else 0)


if __name__ == "__main__":
    main()
