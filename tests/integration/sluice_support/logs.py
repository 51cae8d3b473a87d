"""Files of JSON lines that a program is writing."""

import json
from pathlib import Path


def complete_lines(path):
    """The lines that are there as a whole: the last one may still be under way. None where there is no file yet."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return []
    return content[: content.rfind(b"\n") + 1].decode().splitlines()


def json_lines(path, **wanted):
    """The objects among them that have these fields; what is no object, such as another library's words, is passed over."""
    found = (json.loads(line) for line in complete_lines(path) if line.startswith("{"))
    return [line for line in found if all(line.get(name) == value for name, value in wanted.items())]
