"""Reads the schema files of proto/kafka into plain objects and refuses, in sentences, what makes no sense.

A schema file is JSON:
  key / record_type   API key, or the number in front of a record key; neither for other data
  versions            "0-13"; every version that exists
  flexible            "9+"; absent: no version is flexible
  stable              newest version to announce, where the newest is not stable yet
  request, response   (an API) or header, or record: {"structs": {name: [field]}, "fields": [field]}
A field:
  name, type          int8 int16 int32 int64 uint16 float64 bool string bytes records uuid error_code, the name of a
                      struct, or [] and one of these
  fields              of the struct that the type names, when it is defined in place
  versions            those that have the field; absent: all that the surrounding struct has
  nullable            true, or versions in which the value may be null
  default             null or a value; absent: zero, empty, false, not null
  tag                 the field travels in the tag section under this number; from OWN_TAGS on it is our own, which Kafka's
                      programs skip
  ignorable           a value is dropped by versions without the field; otherwise encoding it there is an error
  flexible            false: never in compact form
"""

import json
import re
from dataclasses import dataclass, field as dataclass_field

NUMBERS = {"int8": 1, "int16": 2, "uint16": 2, "int32": 4, "int64": 8, "float64": 8, "bool": 1, "error_code": 2}
SCALARS = {**NUMBERS, "uuid": 16, "string": None, "bytes": None, "records": None}
MAX = 32767
OWN_TAGS = 10000
CPP_KEYWORDS = set("""alignas and auto bool break case catch char class co_await co_return co_yield concept const
 constexpr continue default delete do double else enum explicit export extern false float for friend goto if inline int
 long mutable namespace new not operator or private protected public register requires return short signed sizeof
 static struct switch template this throw true try typedef typename union unsigned using virtual void volatile while
 xor""".split())


class SchemaError(Exception):
    """A sentence for whoever edits a schema."""


@dataclass(frozen=True)
class Versions:
    lo: int
    hi: int

    def __contains__(self, version):
        return self.lo <= version <= self.hi

    def within(self, other):
        return other.lo <= self.lo and self.hi <= other.hi

    def all(self):
        return range(self.lo, self.hi + 1)


def clip_to(versions, around):
    """The part of `versions` inside `around`; empty (lo > hi) when there is none."""
    return Versions(max(versions.lo, around.lo), min(versions.hi, around.hi))


@dataclass
class Field:
    name: str
    base: str  # scalar type or struct name
    is_array: bool
    versions: Versions
    nullable: Versions | None
    default: object  # None: the type's zero; Null: null
    tag: int | None
    ignorable: bool
    flexible: bool

    @property
    def is_struct(self):
        return self.base not in SCALARS

    @property
    def optional(self):
        return self.nullable is not None

    @property
    def null_by_default(self):
        return self.default is NULL


class Null:
    pass


NULL = Null()


@dataclass
class Struct:
    name: str
    fields: list = dataclass_field(default_factory=list)
    versions: Versions | None = None  # every version in which it can occur

    def plain(self):
        return [f for f in self.fields if f.tag is None]

    def tagged_by_kafka(self):
        return [f for f in self.tagged() if f.tag < OWN_TAGS]

    def tagged(self):
        return sorted((f for f in self.fields if f.tag is not None), key=lambda f: f.tag)


@dataclass
class Message:
    name: str
    file: str
    stem: str
    versions: Versions
    first_flexible: int  # MAX: none
    structs: list  # Struct, each after those it uses; without the message itself
    root: Struct
    key: int | None = None
    record_type: int | None = None
    stable: int | None = None

    def struct(self, name):
        return next(s for s in self.structs if s.name == name)


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def parse_versions(text, whole, where):
    match = re.fullmatch(r"(\d+)(\+|-(\d+))?", str(text))
    if not match:
        raise SchemaError(f"{where}: \"{text}\" is not a version range such as 3, 3-5 or 3+")
    lo = int(match[1])
    hi = whole.hi if match[2] == "+" else int(match[3] or match[1])
    found = Versions(lo, hi)
    if lo > hi or not found.within(whole):
        raise SchemaError(f"{where}: versions {text} are not within {whole.lo}-{whole.hi}")
    return found


class SectionReader:
    def __init__(self, name, body, whole, first_flexible, where):
        self.where, self.whole, self.first_flexible = where, whole, first_flexible
        self.structs = {}
        self.used = {}
        self.shared = body.get("structs", {})
        unknown = set(body) - {"structs", "fields"}
        if unknown:
            raise SchemaError(f"{where}: unknown entry {sorted(unknown)[0]}")
        for struct_name in self.shared:
            self.structs[struct_name] = Struct(struct_name)
        for struct_name, fields in self.shared.items():
            self.structs[struct_name].fields = self.fields(fields, whole, f"{where}.{struct_name}")
        self.root = Struct(name, self.fields(body["fields"], whole, where), whole)
        self.widen(self.root, whole, ())
        for s in self.structs.values():
            if s.versions is None:
                raise SchemaError(f"{where}: nothing uses struct {s.name}")

    def fields(self, raw, around, where):
        fields = [self.field(f, around, where) for f in raw]
        for what, values in (("name", [f.name for f in fields]), ("tag", [f.tag for f in fields if f.tag is not None])):
            doubled = {v for v in values if values.count(v) > 1}
            if doubled:
                raise SchemaError(f"{where}: {what} {sorted(doubled)[0]} is used twice")
        return fields

    def field(self, raw, around, where):
        known = {"name", "type", "fields", "versions", "nullable", "default", "tag", "ignorable", "flexible"}
        where = f"{where}.{raw.get('name', '?')}"
        if set(raw) - known:
            raise SchemaError(f"{where}: unknown entry {sorted(set(raw) - known)[0]}")
        name, kind = raw["name"], raw["type"]
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in CPP_KEYWORDS:
            raise SchemaError(f"{where}: the name is not usable in C++")
        is_array = kind.startswith("[]")
        base = kind[2:] if is_array else kind
        versions = parse_versions(raw["versions"], around, where) if "versions" in raw else around
        nullable = raw.get("nullable")
        if nullable is True:
            nullable = versions
        elif nullable is not None:
            nullable = parse_versions(nullable, versions, where)
        if nullable and not is_array and (base in NUMBERS or base == "uuid"):
            raise SchemaError(f"{where}: {base} cannot be null")
        default = None
        if "default" in raw:
            default = NULL if raw["default"] is None else raw["default"]
            if default is NULL and not nullable:
                raise SchemaError(f"{where}: null by default, but never nullable")
            if default is not NULL and (is_array or base not in (*NUMBERS, "string")):
                raise SchemaError(f"{where}: a {kind} has no default but null")
        if base == "records" and nullable:
            default = NULL
        tag = raw.get("tag")
        if tag is not None and versions.lo < self.first_flexible:
            raise SchemaError(f"{where}: tagged in version {versions.lo}, but flexible only from {self.first_flexible}")
        if base not in SCALARS:
            if "fields" in raw:
                if base in self.structs:
                    raise SchemaError(f"{where}: struct {base} is defined twice")
                self.structs[base] = Struct(base)
                self.structs[base].fields = self.fields(raw["fields"], versions, where)
            elif base not in self.structs:
                raise SchemaError(f"{where}: {base} is neither a type nor a struct known here")
        elif "fields" in raw:
            raise SchemaError(f"{where}: {base} cannot have fields")
        return Field(name, base, is_array, versions, nullable, default, tag, raw.get("ignorable", False),
                     raw.get("flexible", True))

    # Gives each struct the versions in which something can contain it.
    def widen(self, struct, versions, above):
        if struct.name in above:
            raise SchemaError(f"{self.where}: struct {struct.name} contains itself")
        if struct.versions is not None and versions.within(struct.versions) and struct is not self.root:
            return
        if struct is not self.root:
            seen = struct.versions or versions
            struct.versions = Versions(min(seen.lo, versions.lo), max(seen.hi, versions.hi))
        for f in struct.fields:
            lo, hi = max(f.versions.lo, versions.lo), min(f.versions.hi, versions.hi)
            if f.is_struct and lo <= hi:
                self.widen(self.structs[f.base], Versions(lo, hi), (*above, struct.name))

    # Each struct after those it uses.
    def ordered(self):
        done, out = set(), []

        def visit(struct):
            for f in struct.fields:
                if f.is_struct and f.base not in done:
                    visit(self.structs[f.base])
            if struct is not self.root and struct.name not in done:
                done.add(struct.name)
                out.append(struct)

        visit(self.root)
        return out


def load(path):
    """The messages of one file: request and response, or a single header or record."""
    try:
        raw = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise SchemaError(f"{path}: not JSON: {error}") from error
    file = path.name
    whole = parse_versions(raw["versions"], Versions(0, MAX), file)
    flexible = parse_versions(raw["flexible"], whole, file).lo if "flexible" in raw else MAX
    sections = [s for s in ("request", "response", "header", "record") if s in raw]
    known = {"name", "versions", "flexible", "key", "record_type", "stable", *sections}
    if set(raw) - known:
        raise SchemaError(f"{file}: unknown entry {sorted(set(raw) - known)[0]}")
    if sections != (["request", "response"] if "key" in raw else sections[:1]) or not sections:
        raise SchemaError(f"{file}: wants request and response with a key, or one header or record")
    stem = snake(raw["name"])
    if "key" in raw and file != f"{raw['key']:02d}_{stem}.json":
        raise SchemaError(f"{file}: its name should be {raw['key']:02d}_{stem}.json")
    messages = []
    for section in sections:
        name = raw["name"] + (section.capitalize() if "key" in raw else "")
        reader = SectionReader(name, raw[section], whole, flexible, f"{file}.{section}")
        messages.append(Message(name, file, stem, whole, flexible, reader.ordered(), reader.root, raw.get("key"),
                                raw.get("record_type"), raw.get("stable")))
    return messages
