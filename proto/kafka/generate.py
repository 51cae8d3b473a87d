#!/usr/bin/env python3
"""Writes the table of the Kafka protocol and its page from the message definitions in a kafka-clients jar.

    generate.py JAR              writes dataplane/kafka/table_generated.c and docs/kafka-api.md
    generate.py JAR --check      compares instead and exits 1 when they differ

overlay.json, beside this file, holds what the definitions do not say: roles that have no entity type, and what the
gateway does with each key. A field that could hold a name and is not classified there is an error, and so is an
entry that matches nothing. See docs/decisions/0003-wire-walker.md.
"""
import argparse
import difflib
import fnmatch
import json
import pathlib
import re
import sys
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TABLE = ROOT / "dataplane/kafka/table_generated.c"
PAGE = ROOT / "docs/kafka-api.md"

OPEN = 127  # "and later"
NEVER = (127, -1)  # an empty range
SIZES = {"bool": 1, "int8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "float64": 8, "uuid": 16}
VARIABLE = {"string", "bytes", "records"}
MUST_CLASSIFY = {"string", "uuid", "bytes", "records"}
EMBEDDED = ("ConsumerProtocolSubscription", "ConsumerProtocolAssignment")
HEADERS = ("RequestHeader", "ResponseHeader")
DISPOSITIONS = ("rewrite", "local", "optional", "refuse", "absent")
QUALIFIED = {"resource", "config_resource", "coordinator_key"}
ROLE_KINDS = {  # what a role's field may be; "string" for those that are not listed
    "port": {"int32", "uint16"},
    "topic_id": {"uuid"},
    "records": {"records"},
    "subscription": {"bytes"},
    "assignment": {"bytes"},
    "telemetry": {"bytes"},
    "secret": {"bytes"},
    "principal": {"string", "bytes"},
    "broker_id": {"int32"},
    "producer_id": {"int64"},
    "error_code": {"int16"},
    "throttle": {"int32"},
    "acks": {"int16"},
    "correlation_id": {"int32"},
}


class Refused(Exception):
    """The definitions or the overlay do not fit together; the message says where."""


def versions(text):
    """"3+", "0-4", "7" or "none" as an inclusive range."""
    if text is None or text == "none":
        return NEVER
    match = re.fullmatch(r"(\d+)(?:(\+)|-(\d+))?", text)
    if not match:
        raise Refused(f"version range {text!r} is not understood")
    low = int(match[1])
    return low, OPEN if match[2] else int(match[3] or low)


def within(version, span):
    return span[0] <= version <= span[1]


def show(span, last):
    low, high = max(span[0], 0), min(span[1], last)
    return f"{low}" if low == high else f"{low}-{high}"


def kinds_of(role):
    return ROLE_KINDS.get(role, {"string"})


class Overlay:
    """Roles by field, in the order path, glob, entity type, name; remembers what was used."""

    def __init__(self, path):
        self.data = json.loads(path.read_text())
        self.used = set()

    def role(self, path, field, kind):
        rule = self._rule(path, field, kind)
        if rule is None and kind in MUST_CLASSIFY:
            raise Refused(f"{path} is a {kind} without a role: classify it in overlay.json")
        if rule is None or rule == "plain":
            return {"role": "none"}
        return {"role": rule} if isinstance(rule, str) else rule

    def _rule(self, path, field, kind):
        fields = self.data["fields"]
        if path in fields:
            return self._use("fields", path)
        globs = [g for g in fields if "*" in g and fnmatch.fnmatchcase(path, g)]
        if len(globs) > 1:
            raise Refused(f"{path} matches {globs}: give it an entry of its own")
        if globs:
            return self._use("fields", globs[0])
        if field.get("entityType"):
            return self._use("entities", field["entityType"])
        name = field["name"]
        if name in self.data["names"] and kind in kinds_of(self.data["names"][name]):
            return self._use("names", name)
        if kind in MUST_CLASSIFY and name in self.data["plain"]:
            self.used.add(("plain", name))
            return "plain"
        return None

    def _use(self, section, key):
        self.used.add((section, key))
        return self.data[section][key]

    def api(self, key):
        entry = dict(self.data["apis"].get(str(key)) or {})
        if entry.get("do") not in DISPOSITIONS:
            raise Refused(f"key {key} has no disposition in overlay.json")
        self.used.add(("apis", str(key)))
        entry["why"] = re.sub(r"^@(\w+)", lambda m: self._use("why", m[1]), entry["why"])
        return entry

    def check_used(self):
        for section in ("entities", "names", "plain", "fields", "why", "apis"):
            for key in self.data[section]:
                if (section, key) not in self.used:
                    raise Refused(f"overlay.json: {section}: {key} matches nothing")


class Field:
    def __init__(self, message, path, definition, commons, overlay):
        self.name = definition["name"]
        self.path = f"{path}.{self.name}"
        kind = definition["type"]
        self.array = kind.startswith("[]")
        kind = kind.removeprefix("[]")
        self.struct = kind not in SIZES and kind not in VARIABLE
        self.kind = "struct" if self.struct else kind
        self.range = versions(definition["versions"])
        self.null = versions(definition.get("nullableVersions"))
        self.tagged = versions(definition.get("taggedVersions"))
        self.tag = definition.get("tag", 0)
        self.rigid = definition.get("flexibleVersions") == "none"
        self.default = definition.get("default", 0)
        rule = overlay.role(self.path, definition, self.kind)
        self.role = rule["role"]
        self.siblings = {what: rule[what] for what in ("type", "pattern") if what in rule}
        self.marks = set()  # what this field qualifies: "type", "pattern"
        self.index = {}
        self.node = None
        if self.struct:
            inner = definition.get("fields") or commons[kind]["fields"]
            self.node = Node(message, kind, self.path, inner, commons, overlay)
        self._check(message)

    def _check(self, message):
        if self.struct and not self.array and self.tagged != NEVER and self.null != NEVER:
            raise Refused(f"{self.path}: a tagged nullable struct is not supported by the walker")
        if self.tagged != NEVER and not message.flexible_at(max(self.tagged[0], message.range[0])):
            raise Refused(f"{self.path}: tagged before the message is flexible")
        if self.role != "none" and self.kind not in kinds_of(self.role):
            raise Refused(f"{self.path}: a {self.kind} cannot have the role {self.role}")
        if self.siblings and self.role not in QUALIFIED:
            raise Refused(f"{self.path}: only a qualified role has siblings")

    def present(self, version):
        return within(version, self.range) and not within(version, self.tagged)

    def least_bytes(self, version):
        if self.array or self.kind in VARIABLE:
            return 1
        if self.struct:
            return 1 if within(version, self.null) else self.node.least_bytes(version)
        return SIZES[self.kind]


class Node:
    """A struct: the fields of it in wire order."""

    def __init__(self, message, name, path, definitions, commons, overlay):
        self.name = name
        self.message = message
        self.fields = [Field(message, path, d, commons, overlay) for d in definitions]
        self.first = 0  # position in the table
        for field in self.fields:
            for what, sibling in field.siblings.items():
                self._qualify(field, what, sibling)
            if field.array and field.struct:
                self._check_elements(field)

    def _qualify(self, field, what, sibling):
        """The sibling stands before the field or is the next byte after it, in every version: the walker peeks."""
        names = [f.name for f in self.fields]
        if sibling not in names:
            raise Refused(f"{field.path}: no sibling {sibling}")
        other = self.fields[names.index(sibling)]
        if other.kind != "int8" or other.array:
            raise Refused(f"{other.path}: a qualifier must be an int8")
        other.marks.add(what)
        field.index[what] = other
        for version in self.message.all_versions():
            order = [f for f in self.fields if f.present(version)]
            if field not in order or other not in order:
                continue
            at, mine = order.index(other), order.index(field)
            if at > mine and (at != mine + 1 or field.array):
                raise Refused(f"{field.path}: {sibling} is out of the walker's reach in version {version}")

    def _check_elements(self, field):
        for version in self.message.all_versions():
            if within(version, field.range) and field.node.least_bytes(version) < 1:
                raise Refused(f"{field.path}: an element of no bytes in version {version} defeats the count check")

    def least_bytes(self, version):
        tags = 1 if self.message.flexible_at(version) else 0
        return tags + sum(f.least_bytes(version) for f in self.fields if f.present(version))

    def walk(self):
        """Every node below, itself first."""
        yield self
        for field in self.fields:
            if field.node:
                yield from field.node.walk()

    def depth(self):
        """Frames that a walker needs: one for the struct, one for an array, one for a tag."""
        deepest = 0
        for field in self.fields:
            inner = (1 if field.array else 0) + (1 if field.tagged != NEVER else 0)
            deepest = max(deepest, inner + (field.node.depth() if field.node else 0))
        return 1 + deepest


class Message:
    def __init__(self, definition, overlay):
        self.name = definition["name"]
        self.kind = definition["type"]
        self.key = definition.get("apiKey", -1)
        self.range = versions(definition["validVersions"])
        self.flexible = versions(definition.get("flexibleVersions"))
        self.listeners = definition.get("listeners", [])
        self.unstable = definition.get("latestVersionUnstable", False)
        if self.name == "RequestHeader":
            self.range = (0, self.range[1])  # version 0 is still what an ancient client may open with
        commons = {c["name"]: c for c in definition.get("commonStructs", [])}
        self.root = Node(self, self.name, self.name, definition["fields"], commons, overlay)

    def all_versions(self):
        return range(self.range[0], self.range[1] + 1)

    def flexible_at(self, version):
        return within(version, self.flexible)

    def carries(self, roles, last):
        """"topic 0-12, topic_id 13-18" of the roles that matter for isolation."""
        found = {}
        for node, span in self._spans(self.root, (0, OPEN)):
            for field in node.fields:
                if field.role in roles:
                    both = (max(span[0], field.range[0]), min(span[1], field.range[1]))
                    if both[0] <= min(both[1], last):
                        low, high = found.get(field.role, both)
                        found[field.role] = (min(low, both[0]), max(high, both[1]))
        whole = (self.range[0], last)
        return ", ".join(self._carry(role, found[role], whole) for role in roles if role in found)

    def _carry(self, role, span, whole):
        name = role.replace("_", " ")
        clipped = (max(span[0], whole[0]), min(span[1], whole[1]))
        return name if clipped == whole else f"{name} ({show(clipped, whole[1])})"

    def _spans(self, node, span):
        yield node, span
        for field in node.fields:
            if field.node:
                yield from self._spans(field.node, (max(span[0], field.range[0]), min(span[1], field.range[1])))


def read_definitions(jar):
    definitions = {}
    with zipfile.ZipFile(jar) as archive:
        for name in sorted(archive.namelist()):
            if re.fullmatch(r"common/message/\w+\.json", name):
                text = archive.read(name).decode()
                definition = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))
                definitions[definition["name"]] = definition
    if not definitions:
        raise Refused(f"{jar} holds no message definitions")
    return definitions


class Protocol:
    def __init__(self, jar, overlay):
        definitions = read_definitions(jar)
        self.names = {}  # key -> name without Request/Response
        self.messages = []
        for definition in definitions.values():
            if definition["type"] == "request":
                self.names[definition["apiKey"]] = definition["name"].removesuffix("Request")
            if self._wanted(definition):
                self.messages.append(Message(definition, overlay))
        order = {"request": 0, "response": 1, "header": 2, "data": 3}
        self.messages.sort(key=lambda m: (m.key < 0, m.key, order[m.kind], m.name))
        self.keys = range(max(self.names) + 1)
        self.apis = {key: overlay.api(key) for key in self.keys}
        overlay.check_used()
        for key in self.keys:
            self._check_api(key)
        self._number()

    def _wanted(self, definition):
        kept = definition["type"] in ("request", "response") or definition["name"] in EMBEDDED + HEADERS
        return kept and definition["validVersions"] != "none"

    def message(self, key, kind):
        return next((m for m in self.messages if m.key == key and m.kind == kind), None)

    def served(self, key):
        message = self.message(key, "request")
        if message is None or self.apis[key]["do"] in ("refuse", "absent"):
            return NEVER
        return versions(self.apis[key].get("served")) if "served" in self.apis[key] else message.range

    def _check_api(self, key):
        request, response = self.message(key, "request"), self.message(key, "response")
        api = self.apis[key]
        if (request is None) != (api["do"] == "absent"):
            raise Refused(f"key {key}: 'absent' is for a key without versions, and for it alone")
        if request is None:
            return
        if request.range != response.range or request.flexible != response.flexible:
            raise Refused(f"key {key}: request and response differ in their versions")
        serves = self.served(key)
        if serves != NEVER and "broker" not in request.listeners:
            raise Refused(f"key {key}: not spoken on a broker's listener, so it must be refused")
        if serves != NEVER and not (within(serves[0], request.range) and within(serves[1], request.range)):
            raise Refused(f"key {key}: serves versions that the definitions do not have")
        if request.unstable and serves[1] >= request.range[1]:
            raise Refused(f"key {key}: its latest version is unstable, so 'served' must end before it")

    def _number(self):
        self.nodes = [node for message in self.messages for node in message.root.walk()]
        first = 0
        for number, node in enumerate(self.nodes):
            node.number, node.first = number, first
            first += len(node.fields)


def c_range(span):
    return f"{{{span[0]}, {span[1]}}}"


def c_flags(field):
    flags = []
    if field.array:
        flags.append("ARRAY")
    if field.rigid:
        flags.append("RIGID")
    flags += [mark.upper() for mark in sorted(field.marks)]
    flags += [f"HAS_{what.upper()}" for what in sorted(field.index)]
    return " | ".join(flags) or "0"


def c_field(field):
    defaults = ", ".join(str(int(field.index[w].default)) if w in field.index else "0" for w in ("type", "pattern"))
    node = field.node.number if field.node else 0
    return (
        f'    {{"{field.name}", {node}, T({field.kind.upper()}), R({field.role.upper()}), {c_flags(field)}, '
        f"{field.tag}, {c_range(field.range)}, {c_range(field.null)}, {c_range(field.tagged)}, {defaults}}},"
    )


def c_message(message):
    return (
        f'    {{"{message.name}", {message.key}, {message.root.number}, SLC_KAFKA_{message.kind.upper()}, '
        f"{c_range(message.range)}, {c_range(message.flexible)}}},"
    )


def c_api(protocol, key):
    api = protocol.apis[key]
    pair = []
    for kind in ("request", "response"):
        message = protocol.message(key, kind)
        pair.append(f"&messages[{protocol.messages.index(message)}]" if message else "NULL")
    return (
        f'    {{"{protocol.names[key]}", {key}, SLC_KAFKA_DO_{api["do"].upper()}, '
        f"{c_range(protocol.served(key))}, {pair[0]}, {pair[1]}}},"
    )


def write_table(protocol, kafka):
    depth = max(message.root.depth() for message in protocol.messages)
    out = [
        "/* Generated by proto/kafka/generate.py from the message definitions of Apache Kafka "
        f"{kafka} and proto/kafka/overlay.json.",
        " * Do not edit: change those and generate again. */",
        "/* clang-format off */",
        '#include "dataplane/kafka/table.h"',
        "",
        "#include <stddef.h>",
        "",
        '#include "dataplane/kafka/walk.h"',
        "",
        f'_Static_assert({depth} <= SLC_KAFKA_WALK_DEPTH, "the deepest message does not fit the walker\'s stack");',
        "",
        "#define T(type) SLC_KAFKA_##type",
        "#define R(role) SLC_KAFKA_ROLE_##role",
        "#define ARRAY SLC_KAFKA_FIELD_ARRAY",
        "#define RIGID SLC_KAFKA_FIELD_RIGID",
        "#define TYPE SLC_KAFKA_FIELD_IS_TYPE",
        "#define PATTERN SLC_KAFKA_FIELD_IS_PATTERN",
        "#define HAS_TYPE SLC_KAFKA_FIELD_HAS_TYPE",
        "#define HAS_PATTERN SLC_KAFKA_FIELD_HAS_PATTERN",
        "",
        "/* name, node, type, role, flags, tag, versions, null in, tagged in, defaults of type and pattern */",
        "const slc_kafka_field slc_kafka_fields[] = {",
    ]
    for node in protocol.nodes:
        out.append(f"    /* {node.number}: {node.message.name}{'' if node is node.message.root else ': ' + node.name} */")
        out += [c_field(field) for field in node.fields]
    out += ["};", "", "const slc_kafka_node slc_kafka_nodes[] = {"]
    out += [f"    {{{node.first}, {len(node.fields)}}}," for node in protocol.nodes]
    out += ["};", "", "/* name, key, node, kind, versions, flexible in */", "static const slc_kafka_message messages[] = {"]
    out += [c_message(message) for message in protocol.messages]
    out += ["};", "", "const slc_kafka_api slc_kafka_apis[SLC_KAFKA_KEYS] = {"]
    out += [c_api(protocol, key) for key in protocol.keys]
    out += ["};", ""]
    for name in HEADERS + EMBEDDED:
        at = next(i for i, m in enumerate(protocol.messages) if m.name == name)
        symbol = re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
        out.append(f"const slc_kafka_message *const slc_kafka_{symbol}_message = &messages[{at}];")
    return "\n".join(out) + "\n"


SHOWN = [
    "topic", "topic_id", "group", "txn_id", "resource", "config_resource", "coordinator_key", "pattern", "host",
    "port", "records", "subscription", "assignment", "telemetry", "principal", "config_name", "config_value",
    "cluster_id", "error_text",
]

PAGE_HEAD = """# Kafka API keys

Generated by `proto/kafka/generate.py` for Apache Kafka {kafka}; do not edit. What the gateway does with each key:

| word | meaning |
| --- | --- |
| rewrite | served; names, ids and addresses are mapped in both directions |
| local | answered by the gateway itself |
| optional | hidden from ApiVersions and refused unless the virtual cluster opens it |
| refuse | hidden from ApiVersions and refused |
| absent | Kafka has removed it |

A key that is not in this table is hidden and refused, and so is a version outside the column *served*. "flexible" is the
first version with compact lengths and tagged fields. Numbers in brackets are the versions in which a part exists.

| key | API | versions | served | flexible | does | request carries | response carries | why |
| ---: | --- | --- | --- | --- | --- | --- | --- | --- |
"""


def page_row(protocol, key):
    api, name = protocol.apis[key], protocol.names[key]
    request, response = protocol.message(key, "request"), protocol.message(key, "response")
    if request is None:
        return f"| {key} | {name} | | | | {api['do']} | | | {api['why']} |"
    last = request.range[1]
    served = protocol.served(key)
    flexible = "" if request.flexible == NEVER else f"{request.flexible[0]}+"
    return (
        f"| {key} | {name} | {show(request.range, last)} | {'' if served == NEVER else show(served, last)} | {flexible} "
        f"| {api['do']} | {request.carries(SHOWN, last)} | {response.carries(SHOWN, last)} | {api['why']} |"
    )


def write_page(protocol, kafka):
    rows = "\n".join(page_row(protocol, key) for key in protocol.keys)
    return PAGE_HEAD.format(kafka=kafka) + rows + "\n"


def settle(path, text, check):
    """Writes the file, or says whether it holds the text already."""
    if not check:
        path.write_text(text)
        return True
    have = path.read_text() if path.exists() else ""
    if have == text:
        return True
    name = str(path.relative_to(ROOT))
    diff = difflib.unified_diff(have.splitlines(), text.splitlines(), name, f"{name} (generated)", lineterm="", n=1)
    print("\n".join(list(diff)[:40]))
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("jar", type=pathlib.Path)
    parser.add_argument("--check", action="store_true", help="compare with the committed files")
    args = parser.parse_args()
    try:
        overlay = Overlay(HERE / "overlay.json")
        kafka = overlay.data["kafka"]
        if kafka not in args.jar.name:
            raise Refused(f"overlay.json is for Kafka {kafka}, the jar is {args.jar.name}")
        protocol = Protocol(args.jar, overlay)
    except (Refused, KeyError) as error:
        print(f"generate.py: {error}", file=sys.stderr)
        return 1
    table = settle(TABLE, write_table(protocol, kafka), args.check)
    page = settle(PAGE, write_page(protocol, kafka), args.check)
    if not (table and page):
        print("generate.py: the committed files are not what the definitions give: run it without --check", file=sys.stderr)
        return 1
    combinations = sum(len(m.all_versions()) for m in protocol.messages if m.key >= 0)
    print(f"{len(protocol.messages)} messages, {combinations} combinations of key, version and direction")
    return 0


if __name__ == "__main__":
    sys.exit(main())
