"""Schemas that refer to _definitions.json, as schemas that need no other file: standalone-schemas.py IN OUT.

Of the kinds that the charts make, and no more: each carries all definitions that it leads to."""

import json
import pathlib
import sys

KINDS = ["configmap-v1", "service-v1", "serviceaccount-v1", "pod-v1", "statefulset-apps-v1", "deployment-apps-v1",
         "networkpolicy-networking-v1", "poddisruptionbudget-policy-v1", "horizontalpodautoscaler-autoscaling-v2"]


def localise(node, wanted):
    """References become local, and the names that they lead to are noted."""
    if isinstance(node, list):
        return [localise(item, wanted) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: localise(value, wanted) for key, value in node.items()}
    reference = node.get("$ref")
    if isinstance(reference, str):
        name = reference.rpartition("/")[2]
        wanted.add(name)
        node["$ref"] = f"#/definitions/{name}"
    return node


def standalone(schema, definitions):
    wanted, done = set(), {}
    schema = localise(schema, wanted)
    while wanted - done.keys():
        name = (wanted - done.keys()).pop()
        done[name] = localise(definitions[name], wanted)
    return {**schema, "definitions": done}


def main():
    source, target = map(pathlib.Path, sys.argv[1:])
    definitions = json.loads((source / "_definitions.json").read_text())["$defs"]
    target.mkdir(parents=True)
    for kind in KINDS:
        schema = json.loads((source / f"{kind}.json").read_text())
        (target / f"{kind}.json").write_text(json.dumps(standalone(schema, definitions)))


main()
