"""Writes, for the tests, one function per struct that gives every field a value by the rule of
tests/unit/kafka/filler.h, in the order of the wire, and a table of all messages."""

import cpp
from schema import clip_to


def fill_field(f, struct, lines):
    present = clip_to(f.versions, struct.versions)
    if present.lo > present.hi:
        return
    nullable = f.nullable and clip_to(f.nullable, present)
    may_be_null = "false"
    if nullable and nullable.lo <= nullable.hi:
        may_be_null = cpp.condition(nullable, present) or "true"
    if f.is_array:
        call = f"f.list({{}}, [&](auto& e) {{{{ {'fill(f, e, v)' if f.is_struct else 'f.value(e)'}; }}}});"
    else:
        call = "fill(f, {}, v);" if f.is_struct else "f.value({});"
    target = f"out.{f.name}"
    if f.optional:
        line = f"if (f.is_null({may_be_null})) {target}.reset(); else {call.format(target + '.emplace()')}"
    else:
        line = call.format(target)
    when = cpp.condition(present, struct.versions)
    lines.append(f"  if ({when}) {{ {line} }}" if when else f"  {line}")


def fill_struct(message, struct):
    lines = []
    for f in (*struct.plain(), *struct.tagged_by_kafka()):  # what is filled is compared with what Kafka's code writes
        fill_field(f, struct, lines)
    name = message.name if struct is message.root else f"{message.name}::{struct.name}"
    return (f"[[maybe_unused]] void fill([[maybe_unused]] Filler& f, [[maybe_unused]] {name}& out, "
            "[[maybe_unused]] int16_t v) {\n" + "\n".join(lines) + "\n}\n")


BATCHES = 6


def files(schemas):
    schemas = list(schemas)
    for number in range(BATCHES):
        part = schemas[number::BATCHES]
        text = cpp.banner("all schemas") + '#include "unit/kafka/filler.h"\n'
        text += "".join(f'#include "{stem}.h"\n' for _, stem in part)
        text += "\nnamespace kafka::test {\nnamespace {\n"
        rows = []
        for messages, stem in part:
            for m in messages:
                text += "".join(fill_struct(m, s) for s in (*m.structs, m.root))
                rows.append(f'      message_case<{m.name}>("{m.file.removesuffix(".json")}", '
                            f"[](Filler& f, {m.name}& out, int16_t v) {{ fill(f, out, v); }}),\n")
        text += "}  // namespace\n\n" + f"std::vector<MessageCase> messages_{number}() {{\n  return {{\n" + "".join(rows)
        text += "  };\n}\n\n}  // namespace kafka::test\n"
        yield f"fill_{number}.cc", text
    names = "".join(f"std::vector<MessageCase> messages_{n}();\n" for n in range(BATCHES))
    calls = ", ".join(f"messages_{n}" for n in range(BATCHES))
    yield "fill_all.cc", (cpp.banner("all schemas") + '#include "unit/kafka/filler.h"\n\nnamespace kafka::test {\n\n'
                          + names + "\nstd::vector<MessageCase> all_messages() {\n  std::vector<MessageCase> all;\n"
                          f"  for (auto* part : {{{calls}}}) {{\n    for (MessageCase& one : part()) "
                          "all.push_back(std::move(one));\n  }\n  return all;\n}\n\n}  // namespace kafka::test\n")
