"""The operations of the admin API: a method and a path template, such as "GET /v1/teams/{key}"."""

from pathlib import Path
from urllib.parse import urlsplit

_METHODS = ("get", "put", "post", "patch", "delete", "head", "options", "trace")


def of_document(document):
    """Every operation of an OpenAPI document, as a dict from its name to its object."""
    return {f"{method.upper()} {path}": item[method]
            for path, item in document["paths"].items() for method in _METHODS if method in item}


def of_file(path):
    """One a line; # starts a comment."""
    lines = (line.partition("#")[0].strip() for line in Path(path).read_text().splitlines())
    return [" ".join(line.split()) for line in lines if line]


class OperationMatcher:
    """Finds the operation that a request is one of."""

    def __init__(self, operations):
        self._by_shape = {}
        for name in operations:
            method, _, path = name.partition(" ")
            segments = path.split("/")
            self._by_shape.setdefault((method, len(segments)), []).append((segments, name))
        for candidates in self._by_shape.values():  # what is spelt out beats a placeholder
            candidates.sort(key=lambda candidate: sum(s.startswith("{") for s in candidate[0]))

    def find(self, method, url):
        segments = urlsplit(url).path.split("/")
        for pattern, name in self._by_shape.get((method, len(segments)), ()):
            if all(p == s or (p.startswith("{") and s) for p, s in zip(pattern, segments)):
                return name
        return None


class Recorder:
    """Remembers which operations were answered with which status."""

    def __init__(self, operations):
        self._matcher = OperationMatcher(operations)
        self.seen = {}

    def note(self, method, url, status):
        name = self._matcher.find(method, url)
        if name:
            self.seen.setdefault(name, set()).add(status)

    def watch(self, client):
        """Every answer that this AdminClient gets from now on."""
        client._session.hooks["response"].append(
            lambda response, **_: self.note(response.request.method, response.url, response.status_code))

    def succeeded(self):
        return {name for name, statuses in self.seen.items() if any(200 <= s < 300 for s in statuses)}
