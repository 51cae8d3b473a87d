"""Every list with very many entries: all of it comes, once, whatever the size of its pages. bench/portal measures how fast,
with ten times as much."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from sluice_support.portal import newcomer

APPLICATIONS, EVENT_APIS = 2000, 300


@pytest.fixture(scope="module")
def control(module_servers):
    control = module_servers.control(log_level="info", portal_sign_in_failures=0)
    assert control.token  # the first start writes it
    control.stop()
    fill = Path(os.environ["SLUICE_BUILD_DIR"]) / "bench" / "bench-fill"
    subprocess.run([fill, control.data_dir, str(APPLICATIONS), "-", str(EVENT_APIS)], check=True, timeout=200)
    control.start()
    return control


def lists(control):
    """The paths of the OpenAPI document that answer in pages."""
    document = control.admin.request("GET", "/openapi.json", expect=200).json()
    return [path for path, methods in document["paths"].items() if path.startswith("/v1/") and "{" not in path
            and any(parameter.get("name") == "cursor" for parameter in methods.get("get", {}).get("parameters", []))]


def walk(get, path, limit):
    items, cursor, pages = [], None, 0
    while cursor is not None or pages == 0:
        page = get(path + ("&" if "?" in path else "?") + f"limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
        assert len(page["items"]) <= limit and (page["next"] is None or len(page["items"]) == limit), path
        items += page["items"]
        cursor, pages = page["next"], pages + 1
    return items


def test_every_list_comes_whole_and_once(control):
    def get(path):
        return control.admin.request("GET", path, expect=200).json()

    paths = lists(control)
    assert len(paths) > 20
    lengths = {}
    for path in paths:
        items = walk(get, path, 1000)
        texts = [json.dumps(item, sort_keys=True) for item in items]
        assert len(set(texts)) == len(texts), path
        lengths[path] = len(items)
        if 0 < len(items) <= EVENT_APIS:
            assert walk(get, path, 97) == items, path
    assert lengths["/v1/applications"] == lengths["/v1/credentials"] == APPLICATIONS
    assert lengths["/v1/event-apis"] == lengths["/v1/catalog"] == lengths["/v1/deployments"] == EVENT_APIS + 1  # and that of the small world
    assert lengths["/v1/subscriptions"] == APPLICATIONS and lengths["/v1/audit-events"] > EVENT_APIS


def test_the_catalog_of_a_person_comes_whole_by_words_filters_and_pages(control):
    control.admin.create("teams", name="readers")
    reader = newcomer(control, "reader", "developer", "readers")  # what is of other teams is visible by products alone
    everything = {item["key"] for item in walk(reader.get, "/v1/catalog", 30)}
    assert len(everything) == EVENT_APIS + 1
    by_words = [item["key"] for item in walk(reader.get, "/v1/catalog?q=tells%20orders", 30)]
    assert len(by_words) == len(set(by_words)) == EVENT_APIS and set(by_words) < everything
    tenth = [item["key"] for item in walk(reader.get, "/v1/catalog?q=orders&tag=tenth", 7)]
    assert len(tenth) == len(set(tenth)) == EVENT_APIS // 10
    assert [item["key"] for item in walk(reader.get, "/v1/catalog?q=api-00042", 30)] == ["api-00042.v1"]
