"""Pages of the catalog that the control plane keeps in memory: each person sees their own, and every change at once."""

import re
import subprocess

import pytest

from sluice_support.catalog import openapi
from sluice_support.portal import Browser, newcomer

PAGE = "/v1/catalog?limit=30"
OF_SHOP = {"orders.v1", "parcels.v1", "stock"}
OF_BANK = {"ledger.v1"}


def fill(admin):
    for team in ("shop", "bank"):
        admin.create("teams", name=team)
    for name, team, lifecycle in (("orders", "shop", "published"), ("parcels", "shop", "draft"), ("ledger", "bank", "published")):
        admin.create("event-apis", name=name, major=1, team=team, operations=["read"], exposures=["rest"], lifecycle=lifecycle)
    admin.create("products", name="orders", team="shop", event_apis=["orders.v1"], lifecycle="published", visibility="signed-in")
    admin.create("rest-apis", name="stock", team="shop", document=openapi(), lifecycle="published", visibility="public")


class People:
    """Somebody of each kind who looks: {name: function from a path to the answer}."""

    def __init__(self, control):
        self.admin = control.admin
        self.control = control
        self.browsers = {"visitor": Browser(control.portal_url), "ann": newcomer(control, "ann", "api-owner", "shop"),
                         "bob": newcomer(control, "bob", "developer", "bank"), "cal": newcomer(control, "cal", "developer"),
                         "boss": newcomer(control, "boss", "platform-admin")}

    def look(self, name, path=PAGE):
        if name == "token":
            return self.admin.request("GET", path, expect=200).json()
        return self.browsers[name].get(path)

    def check(self, **expected):
        """Twice, by turns: what one has asked for is what the next one must not get."""
        for _ in range(2):
            for name, keys in expected.items():
                assert {item["key"] for item in self.look(name)["items"]} == keys, name


@pytest.fixture
def control(servers):
    control = servers.control(portal_public_catalog=True, portal_sign_in_failures=0)
    fill(control.admin)
    return control


@pytest.fixture
def people(control):
    return People(control)


def counted(control, result):
    text = control.admin.request("GET", "/metrics", expect=200).text
    found = re.search(rf'^sluice_catalog_pages_total{{result="{result}"}} (\d+)$', text, re.MULTILINE)
    return int(found.group(1)) if found else 0


ALL = OF_SHOP | OF_BANK
AT_FIRST = {"visitor": {"stock"}, "ann": OF_SHOP, "bob": {"orders.v1", "stock", "ledger.v1"}, "cal": {"orders.v1", "stock"},
            "boss": ALL, "token": ALL}


def test_each_sees_their_own_page_and_every_change_at_once(control, people):
    admin, now = control.admin, dict(AT_FIRST)
    people.check(**now)
    assert counted(control, "hit") >= len(now)

    admin.patch("products", "orders", visibility="public")  # published to everybody
    people.check(**now | {"visitor": {"orders.v1", "stock"}})
    admin.patch("products", "orders", visibility="teams", visible_to=["bank"])
    now |= {"cal": {"stock"}}
    people.check(**now)
    admin.patch("users", "cal", teams=["bank"])  # joins
    people.check(**now | {"cal": now["bob"]})
    admin.patch("users", "cal", teams=["shop"])  # moves
    people.check(**now | {"cal": OF_SHOP})
    admin.patch("users", "cal", teams=[])
    people.check(**now)
    admin.patch("users", "boss", roles=["developer"])  # no longer an administrator
    people.check(**now | {"boss": {"stock"}})
    admin.patch("users", "boss", roles=["platform-admin"])
    people.check(**now)
    people.browsers["ann"].request("PATCH", "/v1/event-apis/parcels.v1", expect=200, json={"title": "On their way"},
                                   headers={"If-Match": "*", "Content-Type": "application/merge-patch+json"})
    for name in ("ann", "boss", "token"):
        assert {item["title"] for item in people.look(name)["items"] if item["key"] == "parcels.v1"} == {"On their way"}
    admin.delete("products", "orders")
    people.check(**now | {"bob": {"stock", "ledger.v1"}})
    admin.delete("rest-apis", "stock")
    people.check(visitor=set(), ann={"orders.v1", "parcels.v1"}, bob=OF_BANK, cal=set(), boss=ALL - {"stock"}, token=ALL - {"stock"})


def test_each_query_has_its_own_page(people):
    def keys(name, **query):
        return {item["key"] for item in people.look(name, PAGE + "".join(f"&{field}={value}" for field, value in query.items()))["items"]}

    for _ in range(2):
        assert keys("ann", q="orders") == {"orders.v1"} == keys("cal", q="orders")
        assert keys("ann", kind="rest-apis") == {"stock"} == keys("visitor", kind="rest-apis")
        assert keys("ann", lifecycle="draft") == {"parcels.v1"} and keys("bob", lifecycle="draft") == set()
        assert keys("bob", team="bank") == {"ledger.v1"} and keys("ann", team="bank") == set()
        first = people.look("ann", "/v1/catalog?limit=1")
        second = people.look("ann", f"/v1/catalog?limit=1&cursor={first['next']}")
        assert len(first["items"]) == len(second["items"]) == 1 and first["items"] != second["items"]
        assert people.browsers["visitor"].request("GET", PAGE + "&environment=dev").status_code == 400
        assert keys("ann", environment="dev") == set()


def test_who_is_out_gets_nothing_of_what_is_kept(control, people):
    people.check(**AT_FIRST)
    control.admin.patch("users", "ann", disabled=True)
    people.check(ann=AT_FIRST["visitor"], bob=AT_FIRST["bob"])
    people.browsers["bob"].request("POST", "/auth/sign-out", expect=204)
    people.check(bob=AT_FIRST["visitor"])


def test_a_restore_is_seen_at_once(control, people):
    backup = control.admin.request("POST", "/v1/backups", expect=201).json()["name"]
    control.admin.delete("rest-apis", "stock")
    people.check(visitor=set(), token=ALL - {"stock"})
    control.stop()
    subprocess.run([control.command[0], "--data-dir", str(control.data_dir), "--restore", str(control.data_dir / "backups" / backup)],
                   check=True, capture_output=True, timeout=100)
    control.start()
    people.check(visitor={"stock"}, token=ALL)


def test_none_are_kept_when_it_is_off(servers):
    control = servers.control(admin_limits_catalog_pages=0)
    fill(control.admin)
    for _ in range(2):
        assert {item["key"] for item in control.admin.request("GET", PAGE, expect=200).json()["items"]} == ALL
    assert counted(control, "hit") == counted(control, "miss") == 0
