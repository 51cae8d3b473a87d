"""The Kafka protocol from its own definitions (JSON in the kafka-clients jar): writes any request of any key and version,
and reads its answer. Knows nothing of Sluice's table."""

import json
import pathlib
import re
import struct
import subprocess
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
SIZES = {"bool": ">?", "int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q",
         "float64": ">d"}


def in_range(text, version):
    """Is the version in "3", "3+", "3-5" or "none"?"""
    if text is None or text == "none":
        return False
    match = re.fullmatch(r"(\d+)(?:(\+)|-(\d+))?", text)
    first, last = int(match[1]), int(match[3] or match[1])
    return version >= first and (match[2] == "+" or version <= last)


def versions_of(text):
    if text is None or text == "none":
        return range(0)
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def uvarint(number):
    data = bytearray()
    while number >= 0x80:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(data + bytes([number]))


class Definitions:
    """`requests` and `responses` by key."""

    def __init__(self):
        jar = subprocess.run([ROOT / "proto/kafka/jar"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        self.requests, self.responses = {}, {}
        with zipfile.ZipFile(jar) as archive:
            for name in archive.namelist():
                if not re.fullmatch(r"common/message/\w+(Request|Response)\.json", name):
                    continue
                text = re.sub(r"^\s*//.*$", "", archive.read(name).decode(), flags=re.MULTILINE)
                definition = json.loads(text)
                kind = self.requests if name.endswith("Request.json") else self.responses
                kind[definition["apiKey"]] = definition


class Writer:
    """Writes one message. `values(path, field, version)` gives what a field holds: a value, a list, a number of elements
    for an array of structs, or NotImplemented for the default. `tags` are put into every tagged section."""

    def __init__(self, definition, version, values, tags=b""):
        self.version, self.values, self.tags = version, values, tags
        self.structs = {struct_["name"]: struct_ for struct_ in definition.get("commonStructs", [])}
        self.flexible = in_range(definition.get("flexibleVersions"), version)
        self.body = self._struct(definition["fields"], ())

    def _prefix(self, length, old, flexible=None):
        if self.flexible if flexible is None else flexible:
            return uvarint(length + 1)
        return struct.pack(old, length)

    def section(self):
        if not self.flexible:
            return b""
        return b"\x01" + uvarint(99) + uvarint(len(self.tags)) + self.tags if self.tags else b"\x00"

    def _struct(self, fields, path):
        parts = [self._field(field, path + (field["name"],)) for field in fields
                 if in_range(field["versions"], self.version) and
                 not in_range(field.get("taggedVersions"), self.version)]
        return b"".join(parts) + self.section()

    def _field(self, field, path):
        kind = field["type"]
        nullable = in_range(field.get("nullableVersions"), self.version)
        value = self.values(path, field, self.version)
        if kind.startswith("[]"):
            return self._array(field, kind[2:], path, value, nullable)
        if value is NotImplemented:
            value = self._default(field, nullable)
        return self._value(field, kind, path, value)

    @staticmethod
    def _default(field, nullable):
        default = field.get("default")
        if field["type"] in SIZES:
            if isinstance(default, str) and field["type"] != "bool":
                return int(default, 0)
            return default in (True, "true") if field["type"] == "bool" else int(default or 0)
        return None if nullable else {"string": "", "uuid": bytes(16)}.get(field["type"], b"")

    def _array(self, field, kind, path, value, nullable):
        if value is NotImplemented:
            value = 1
        if value is None:
            value = [] if not nullable else None
        if value is None:
            return self._prefix(-1, ">i")
        if isinstance(value, int):
            item = self.values(path + ("[]",), {**field, "type": kind}, self.version)
            if item is NotImplemented:
                item = self._default({"type": kind}, False) if self._fields_of(field, kind) is None else None
            value = [item] * value
        return self._prefix(len(value), ">i") + b"".join(self._value(field, kind, path, item) for item in value)

    def _fields_of(self, field, kind):
        return field.get("fields") or self.structs.get(kind, {}).get("fields")

    def _value(self, field, kind, path, value):
        if kind in SIZES:
            return struct.pack(SIZES[kind], value)
        if kind == "uuid":
            return value
        if kind == "string":
            if value is None:
                return self._prefix(-1, ">h")
            data = value if isinstance(value, bytes) else value.encode()
            return self._prefix(len(data), ">h") + data
        if kind in ("bytes", "records"):
            return self._prefix(-1, ">i") if value is None else self._prefix(len(value), ">i") + value
        if in_range(field.get("nullableVersions"), self.version) and not field["type"].startswith("[]"):
            if value is None:
                return b"\xff"
            return b"\x01" + self._struct(self._fields_of(field, kind), path)
        return self._struct(self._fields_of(field, kind), path)


class TreeWriter(Writer):
    """Writes a message from dicts and lists: what a dict lacks has its default, what this version lacks is left out."""

    def __init__(self, definition, version, tree):
        self.tree = tree
        super().__init__(definition, version, None)

    def _struct(self, fields, path):
        tree, parts = path or self.tree, []
        for field in fields:
            if in_range(field["versions"], self.version) and not in_range(field.get("taggedVersions"), self.version):
                nullable = in_range(field.get("nullableVersions"), self.version)
                kind, there = field["type"], field["name"] in tree
                value = tree[field["name"]] if there else self._default(field, nullable)
                if kind.startswith("[]"):
                    parts.append(self._list(field, kind[2:], value if there else ([], None)[nullable], nullable))
                elif self._fields_of(field, kind) is None or value is None:
                    parts.append(self._value(field, kind, (), value))
                else:
                    parts.append((b"\x01" if nullable else b"") + self._struct(self._fields_of(field, kind), value))
        return b"".join(parts) + self.section()

    def _list(self, field, kind, items, nullable):
        if items is None:
            return self._prefix(-1 if nullable else 0, ">i")
        fields = self._fields_of(field, kind)
        values = [self._struct(fields, item) if fields is not None else self._value(field, kind, (), item)
                  for item in items]
        return self._prefix(len(items), ">i") + b"".join(values)


class Reader:
    """Reads a response's `body`, which it must end with, into dicts and lists."""

    def __init__(self, definition, version, data):
        self.version, self.data, self.at = version, data, 0
        self.structs = {struct_["name"]: struct_ for struct_ in definition.get("commonStructs", [])}
        self.flexible = in_range(definition.get("flexibleVersions"), version)
        if self.flexible and definition["apiKey"] != 18:
            self._tags([])
        self.body = self._struct(definition["fields"])
        assert self.at == len(data), f"{len(data) - self.at} bytes are left of {definition['name']} {version}"

    def _take(self, count):
        assert 0 <= count <= len(self.data) - self.at, "the answer is too short"
        self.at += count
        return self.data[self.at - count:self.at]

    def _uvarint(self):
        number = shift = 0
        while True:
            byte = self._take(1)[0]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7

    def _length(self, old):
        return self._uvarint() - 1 if self.flexible else struct.unpack(old, self._take(struct.calcsize(old)))[0]

    def _tags(self, fields):
        values = {}
        for _ in range(self._uvarint()):
            tag, end = self._uvarint(), self._uvarint()
            end += self.at
            for field in fields:
                if field.get("tag") == tag and in_range(field.get("taggedVersions"), self.version):
                    values[field["name"]] = self._field(field)
            self.at = end
        return values

    def _struct(self, fields):
        values = {field["name"]: self._field(field) for field in fields
                  if in_range(field["versions"], self.version) and
                  not in_range(field.get("taggedVersions"), self.version)}
        return {**values, **self._tags(fields)} if self.flexible else values

    def _field(self, field):
        kind = field["type"]
        if not kind.startswith("[]"):
            return self._value(field, kind)
        count = self._length(">i")
        return None if count < 0 else [self._value(field, kind[2:]) for _ in range(count)]

    def _value(self, field, kind):
        if kind in SIZES:
            return struct.unpack(SIZES[kind], self._take(struct.calcsize(SIZES[kind])))[0]
        if kind == "uuid":
            return self._take(16)
        if kind in ("string", "bytes", "records"):
            length = self._length(">h" if kind == "string" else ">i")
            return None if length < 0 else self._take(length)
        if in_range(field.get("nullableVersions"), self.version) and not field["type"].startswith("[]"):
            if self._take(1) == b"\xff":
                return None
        return self._struct(field.get("fields") or self.structs[kind]["fields"])


def all_fields(definition, version):
    """Every field that a request of this version can hold, not tagged."""
    structs = {struct_["name"]: struct_ for struct_ in definition.get("commonStructs", [])}

    def walk(fields):
        for field in fields:
            if not in_range(field["versions"], version) or in_range(field.get("taggedVersions"), version):
                continue
            yield field
            kind = field["type"].removeprefix("[]")
            yield from walk(field.get("fields") or structs.get(kind, {}).get("fields") or [])

    return list(walk(definition["fields"]))


def frame(definition, version, writer, correlation=1, client_id=b"isolation"):
    """A whole request; its header is the flexible one when the message is."""
    header = struct.pack(">hhih", definition["apiKey"], version, correlation, len(client_id)) + client_id
    if writer.flexible:
        header += writer.section()
    return struct.pack(">i", len(header) + len(writer.body)) + header + writer.body
