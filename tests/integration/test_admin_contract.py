"""The admin API against its OpenAPI document: every operation exists in both, succeeds, and answers as described.

Schemathesis makes some ten thousand requests from the document, the same in every run: valid and invalid values of each
field and parameter, wrong media types and methods, missing tokens, and sequences along the links. contract/ has its
settings, with the reason for each check that is off, and the hooks that tell it what exists.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from sluice_support.admin_requests import AdminRequests
from sluice_support.catalog import CatalogSamples
from sluice_support.operations import Recorder, of_document, of_file

# Ten thousand requests to a server with sanitizers: the first test has all of them in its fixture.
pytestmark = pytest.mark.timeout(1100)

HERE = Path(__file__).parent
LISTED = of_file(HERE / "admin_operations.txt")


class Contract:
    def __init__(self, servers, work_dir):
        self.control = servers.control(log_level="info")
        self.admin = self.control.admin
        self.document = self.admin.request("GET", "/openapi.json", expect=200).json()
        self.recorder = Recorder(LISTED)
        self.recorder.watch(self.admin)
        self.samples = CatalogSamples(self.admin)
        self.requests = AdminRequests(self.samples, lambda g: servers.gateway(self.control.join_string(g)))
        self.work_dir = work_dir
        self.failures = {}  # by operation: how it failed though it must not
        self.mismatches = []

    def seed(self):
        """Each operation once, with a request that must succeed and that has every part of its kind filled."""
        for operation in LISTED:
            response = self.requests.prepare(operation).send(self.admin)
            if not 200 <= response.status_code < 300:
                self.failures[operation] = f"{response.status_code} {response.text[:500]}"
            else:
                self._compare(operation, response)

    def _compare(self, operation, response):
        """With the document, beside what Schemathesis makes: these are the full answers."""
        described = of_document(self.document).get(operation, {}).get("responses", {}).get(str(response.status_code))
        if described is None:
            self.mismatches.append(f"{operation}: {response.status_code} is not in the document")
            return
        for media, content in described.get("content", {}).items():
            if media == "application/json":
                schema = {**content["schema"], "components": self.document["components"]}
                self.mismatches += [f"{operation}: {e.json_path}: {e.message}" for e in
                                    jsonschema.Draft202012Validator(schema).iter_errors(response.json())]
        missing = [name for name in described.get("headers", {}) if name not in response.headers]
        self.mismatches += [f"{operation}: no {name}" for name in missing]

    def _seeds(self):
        ids, references = {}, {}
        for kind in self.samples.kinds():
            ids[kind] = [self.samples.base(kind), self.samples.create(kind)["id"]]
        for kind in ("gateway-nodes", "config-versions", "audit-events"):
            ids[kind] = [entity["id"] for entity in self.admin.list(kind)[:5]]
        for kind in self.samples.kinds():
            bases = set(self.samples.bases().values())
            references[kind] = {field: value for field, value in self.samples.body(kind).items()
                                if isinstance(value, str) and value in bases}
        return {"ids": ids, "references": references}

    def run_schemathesis(self):
        seeds, answers = self.work_dir / "seeds.json", self.work_dir / "answers.txt"
        seeds.write_text(json.dumps(self._seeds()))
        folder = HERE / "contract"
        command = [Path(sys.executable).parent / "schemathesis", "--config-file", folder / "schemathesis.toml", "run",
                   f"{self.control.admin_url}/openapi.json", "--no-color", "--warnings", "off"]
        environment = {**os.environ, "NO_PROXY": "*", "PYTHONPATH": str(folder), "SCHEMATHESIS_HOOKS": "hooks",
                       "SLUICE_CONTRACT_SEEDS": str(seeds), "SLUICE_CONTRACT_ANSWERS": str(answers),
                       "SLUICE_CONTRACT_TOKEN": self.control.token}
        self.run = subprocess.run(command, env=environment, cwd=self.work_dir, timeout=1000, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
        for line in answers.read_text().splitlines():
            method, url, status = line.split(" ")
            self.recorder.note(method, url, int(status))


@pytest.fixture(scope="module")
def contract(module_servers, tmp_path_factory):
    contract = Contract(module_servers, tmp_path_factory.mktemp("contract"))
    contract.seed()
    contract.run_schemathesis()
    return contract


def test_the_document_is_valid_openapi(contract):
    errors = [f"{list(e.absolute_path)}: {e.message}" for e in
              OpenAPIV31SpecValidator(contract.document).iter_errors()]
    assert not errors, "\n".join(errors)


def test_the_document_and_the_list_have_the_same_operations(contract):
    documented = set(of_document(contract.document))
    assert len(LISTED) == len(set(LISTED)), "an operation is listed twice"
    assert not documented - set(LISTED), "not in admin_operations.txt"
    assert not set(LISTED) - documented, "not in the OpenAPI document"


def test_no_answer_breaks_the_document(contract):
    assert contract.run.returncode == 0, contract.run.stdout[-20000:]
    assert " passed" in contract.run.stdout, contract.run.stdout[-2000:]


def test_full_answers_are_as_described(contract):
    assert not contract.mismatches, "\n".join(contract.mismatches)


@pytest.mark.parametrize("operation", LISTED)
def test_the_operation_succeeds(contract, operation):
    assert operation in contract.recorder.succeeded(), contract.failures.get(operation, "was never tried")
