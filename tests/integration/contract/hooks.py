"""What Schemathesis cannot know: which entities there are. Loaded by its command line (SCHEMATHESIS_HOOKS).

SLUICE_CONTRACT_SEEDS is a file with {"ids": {kind: [id]}, "references": {kind: {field: id}}}, and every answer goes as a
line "METHOD URL STATUS" to the file SLUICE_CONTRACT_ANSWERS. Only what was generated to be valid is made more valid;
what was generated to be wrong stays as wrong as it is.
"""

import itertools
import json
import os

import schemathesis
from schemathesis.core import NOT_SET
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode
from schemathesis.generation.meta import TestPhase

with open(os.environ["SLUICE_CONTRACT_SEEDS"]) as file:
    _seeds = json.load(file)
_ids = _seeds["ids"]
_references = _seeds["references"]
_answers = open(os.environ["SLUICE_CONTRACT_ANSWERS"], "a", buffering=1)
_numbers = itertools.count(1)


def _kind_of(case):
    parts = case.operation.path.split("/")
    return parts[2] if len(parts) > 2 and parts[1] == "v1" else None


def _is_positive(case, location):
    component = case.meta.components.get(location) if case.meta else None
    return component is not None and component.mode == GenerationMode.POSITIVE


def _choose_entity(case, kind, number):
    """One that exists, for three requests of four. What is deleted is not one that others refer to, if it can be."""
    known = _ids.get(kind)
    if known and number % 4:
        delete_last = case.method == "DELETE" and len(known) > 1
        case.path_parameters["key"] = known.pop() if delete_last else known[number % len(known)]


def _make_headers_matter(case, number):
    """"0" is what stands in a header while something else is tried. An Idempotency-Key that stays the same would hide all
    but the first request, and an If-Match that never matches would hide the body."""
    fillers = {"Idempotency-Key": f"key-{number}", "If-Match": "*"}
    for name, value in fillers.items():
        if case.headers.get(name) == "0" and getattr(case.meta.phase.data, "parameter", None) != name:
            case.headers[name] = value


def _refer_to_what_exists(case, kind, number):
    body = case.body
    if not isinstance(body, dict):
        return
    for field, reference in _references.get(kind, {}).items():
        if isinstance(body.get(field), str):
            body[field] = reference
    if case.method == "POST" and isinstance(body.get("name"), str):
        body["name"] = f"generated-{number}"


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """JSON only: the other media types come down to the same after parsing, and would be the same tests again."""
    for item in raw_schema["paths"].values():
        for operation in item.values():
            content = operation.get("requestBody", {}).get("content", {})
            for media in set(content) - {"application/json"}:
                del content[media]


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Of the methods that are tried though nothing declares them, the HTTP server does not know one: 501 is right then
    (RFC 9110, section 15.6.2)."""
    return not (case.method == "QUERY" and response.status_code == 501)


@schemathesis.hook
def before_call(context, case, kwargs):
    kind, number = _kind_of(case), next(_numbers)
    stateful = case.meta is not None and case.meta.phase.name == TestPhase.STATEFUL
    if case.method == "TRACE":
        case.body = NOT_SET  # with a body it is refused as what it is: a malformed request
    if kind is None:
        return
    if not stateful and "key" in case.path_parameters and _is_positive(case, ParameterLocation.PATH):
        _choose_entity(case, kind, number)
    _make_headers_matter(case, number)
    if _is_positive(case, ParameterLocation.BODY):
        _refer_to_what_exists(case, kind, number)


@schemathesis.hook
def after_call(context, case, response):
    _answers.write(f"{response.request.method} {response.request.url} {response.status_code}\n")
    if response.status_code == 201 and case.method == "POST":
        made = response.json()
        if "id" in made:
            _ids.setdefault(_kind_of(case), []).append(made["id"])
