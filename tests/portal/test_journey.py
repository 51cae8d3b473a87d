"""The whole way: an owner publishes a topic, a developer is invited, finds it, subscribes, is approved, tries it, uses it with
a native client, and both see what was used; then it goes on to production, is deprecated and retired."""

import pytest

from portal_support import HOSTILE, Person
from sluice_support import KafkaHelper, free_port, free_ports, wait_until


@pytest.fixture(scope="module")
def control(module_servers):
    return module_servers.control(portal_sign_in_failures=0, inventory_interval="300ms", inventory_delay="0s")


@pytest.fixture(scope="module")
def world(module_servers, control, kafka):
    """What the platform team has made: a gateway, a grant, and somewhere to go on to."""
    admin, topic, other = control.admin, kafka.create_topic("journey", partitions=1), kafka.create_topic("other")
    port = free_port()
    for team in ("shop", "web"):
        admin.create("teams", name=team, title=f"{team} {HOSTILE}")
    admin.create("backend-clusters", name="local", bootstrap_servers=kafka.bootstrap_servers.split(","))
    admin.create("virtual-clusters", name="local", backend_cluster="local", namespace={"mode": "none"},
                 client_authentication=["plain"])
    for group, at in (("dev", port), ("prod", free_port())):
        native = free_ports(5)
        admin.create("gateway-groups", name=group, environment=group, title=HOSTILE, rest_url=f"http://127.0.0.1:{at}",
                     kafka_url=f"127.0.0.1:{native}")
        admin.create("listeners", name=f"{group}-kafka", gateway_group=group, protocol="kafka", address=f"127.0.0.1:{native}",
                     kafka={"routing": "ports", "virtual_cluster": "local",
                            "port_ranges": [{"first_node_id": 0, "last_node_id": 3, "port_base": native + 1}]})
        admin.create("listeners", name=f"{group}-http", gateway_group=group, protocol="http", address=f"127.0.0.1:{at}")
    admin.create("grants", team="shop", virtual_cluster="local", topic=topic, operations=["publish", "read"])
    admin.create("event-apis", name="other", major=1, team="shop", operations=["read"], exposures=["rest"],
                 lifecycle="published")
    admin.create("deployments", event_api="other.v1", gateway_group="dev", virtual_cluster="local", topic=other,
                 listener="dev-http")
    admin.create("policies", name="portal", type="cors", scope={"kind": "group", "ref": "dev"},
                 config={"origins": [control.portal_url]})
    module_servers.gateway(control.join_string("dev"), usage_interval="1s")
    return topic


@pytest.fixture(scope="module")
def olga(people, world):
    return people("olga", "api-owner", "shop")


@pytest.fixture(scope="module")
def dora(chromium, control):
    """She has no account before she is invited."""
    person = Person(chromium, control, "dora")
    yield person
    person.leave()


def fill(page, **fields):
    for name, value in fields.items():
        page.locator(f"[name={name}]").fill(value)


def test_an_owner_publishes_a_topic_that_a_grant_gives(world, control, olga):
    wait_until(lambda: world in [t["name"] for t in olga.http.get("/v1/backend-clusters/local/topics")["items"]], 120,
               "the topic to be found")
    page = olga.open("/own")
    olga.check_access()
    page.get_by_role("link", name="Publish an event API").click()
    olga.settle()
    assert page.locator(f"datalist option[value='{world}']").count() == 1
    assert page.locator("datalist option").count() == 1  # of the other topic no grant tells
    fill(page, topic=world, name="Not a name", title=HOSTILE, description="# Journey\n\n" + HOSTILE)
    page.get_by_role("checkbox", name="publish").check()
    page.get_by_role("checkbox", name="native Kafka").check()
    page.get_by_role("button", name="Make a draft").click()
    page.locator("input[name=name][aria-invalid=true]").wait_for()
    olga.check_access()
    fill(page, name="journey")
    page.get_by_role("button", name="Make a draft").click()
    page.wait_for_url("**/own/event-apis/journey/v1")
    olga.settle()
    olga.see("Nobody can subscribe to it before it is in a product.")
    page.get_by_text("New product").click()
    fill(page, product_title=HOSTILE)
    olga.check_access()
    page.get_by_role("button", name="Make the product").click()
    page.get_by_text("standard (asks you)").wait_for()
    olga.settle()
    olga.confirm("Publish", "Publish")
    page.get_by_role("button", name="Deprecate").wait_for()
    assert control.admin.get("event-apis", "journey.v1")["manager"] == "portal"
    olga.check_unharmed()


def test_the_owner_of_a_team_invites_a_developer(world, control, people, dora):
    wim = people("wim", "developer", "web")
    control.admin.patch("users", "wim", owned_teams=["web"])
    page = wim.open("/teams")
    page.get_by_role("button", name="Make an invitation").click()
    link = page.locator(".notice code").last
    link.wait_for()
    wim.check_access()
    dora.page.goto(link.inner_text())
    dora.settle()
    fill(dora.page, name="dora", title="Dora " + HOSTILE, password="a long way to the stream")
    dora.check_access()
    dora.page.get_by_role("button", name="Make my account").click()
    dora.see("Welcome, Dora")
    dora.check_access()
    wim.open("/teams")
    wim.see("Dora " + HOSTILE)
    wim.check_unharmed()
    dora.check_unharmed()


def test_the_developer_finds_it_and_asks_for_a_subscription(dora):
    page = dora.open("/catalog?q=journey")
    page.get_by_role("article").get_by_role("link").first.click()
    page.get_by_role("link", name="Subscribe to standard").click()
    dora.see("Register one first")
    fill(page, name="front")
    page.get_by_role("button", name="Register").click()
    page.get_by_label("Environment").wait_for()
    page.get_by_role("button", name="Subscribe").click()
    dora.see("waits for the owners")


def test_the_owner_approves(olga, control):
    page = olga.open("/own")
    page.get_by_role("button", name="approve front for journey in dev").click()
    page.get_by_role("dialog").locator("[name=reason]").fill("welcome " + HOSTILE)
    olga.check_access()
    page.get_by_role("dialog").get_by_role("button", name="Approve").click()
    olga.see("Nobody waits for you.")
    (subscription,) = control.admin.list("subscriptions", application="front")
    assert subscription["state"] == "approved" and subscription["reason"] == "welcome " + HOSTILE
    olga.check_unharmed()


def test_the_developer_tries_it_and_sees_what_was_used(control, dora):
    page = dora.open("/event-apis/journey/v1/try")
    page.get_by_role("button", name="Start").click()
    dora.see("The stream is open.")
    page.locator("[name=event]").fill('{"first": "event"}')
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("log").get_by_text("first").wait_for()
    page.get_by_role("button", name="Stop").click()
    dora.see("Stopped.")
    wait_until(lambda: sum(row["events"] for row in control.admin.list("usage", by="hour", event_api="journey.v1")) >= 2,
               60, "the gateway to tell its usage")
    dora.open("/applications/front")
    page.get_by_role("img", name="Events (UTC): 1 published, 1 read").wait_for()
    dora.see("welcome " + HOSTILE)
    dora.check_unharmed()


def native_client(control, page):
    """A Kafka client as the page says: with the address of the environment, and the credential that it shows once."""
    def shown(label):
        return page.locator(".notice", has_text=label).locator("code").last.inner_text()

    return KafkaHelper(control.admin.get("gateway-groups", "dev")["kafka_url"], {
        "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
        "sasl.username": shown("User name, for Kafka"), "sasl.password": shown("Secret, for Kafka")})


def test_the_developer_uses_it_with_a_native_client_and_sees_it_by_the_hour(world, control, dora):
    page = dora.open("/event-apis/journey/v1")
    page.get_by_role("tab", name="Kafka").click()
    assert control.admin.get("gateway-groups", "dev")["kafka_url"] in page.get_by_role("tabpanel").inner_text()
    page = dora.open("/applications/front")
    page.get_by_label("Where it is used").fill("native")
    page.get_by_role("button", name="Make a credential").click()
    client = native_client(control, page)
    wait_until(lambda: world in client.admin.list_topics(timeout=5).topics, 30, "the gateway to take the credential")
    client.produce(world, [b'{"second": "event"}', b'{"third": "event"}'])

    def told(operation):  # of all hours
        return sum(row["events"] for row in control.admin.list("usage", by="hour", application="front")
                   if row["operation"] == operation)
    wait_until(lambda: (told("publish"), told("kafka-produce")) == (1, 2), 60,
               "the gateway to tell what the native client published")
    dora.open("/applications/front")
    page.get_by_role("img", name="Events (UTC): 3 published, 1 read").wait_for()
    dora.check_access()
    dora.check_unharmed()


def test_the_owner_sees_consumers_and_goes_on_to_production(world, control, olga):
    page = olga.open("/own/event-apis/journey/v1")
    page.get_by_role("img", name="Events (UTC): 3 published, 1 read").wait_for()
    page.get_by_role("cell", name="front", exact=True).wait_for()
    page.locator("[name=topic]").fill("of-nobody")
    page.locator("[name=listener]").select_option("prod-http")
    page.get_by_role("button", name="Look at the difference").click()
    page.locator("input[name=topic][aria-invalid=true]").wait_for()  # no grant gives it: the server refuses the dry run
    page.locator("[name=topic]").fill("")
    page.locator("[name=listener]").select_option("prod-http")
    page.get_by_role("button", name="Look at the difference").click()
    page.get_by_role("dialog").get_by_text("It is not deployed there yet").wait_for()
    olga.check_access()
    page.get_by_role("dialog").get_by_role("button", name="Promote").click()
    page.get_by_role("dialog").wait_for(state="detached")  # it names the listener as well
    page.get_by_role("cell", name="prod-http", exact=True).wait_for()
    assert control.admin.get("deployments", "journey.v1@prod")["topic"] == world
    olga.check_unharmed()


def test_it_is_deprecated_and_retired(control, olga, dora):
    page = olga.open("/own/event-apis/journey/v1")
    page.get_by_role("button", name="Deprecate").click()
    page.get_by_role("dialog").locator("[name=sunset_at]").fill("2099-01-31")
    page.get_by_role("dialog").get_by_role("button", name="Deprecate").click()
    page.get_by_role("button", name="Retire").wait_for()
    dora.open("/event-apis/journey/v1")
    dora.see("This event API is deprecated and ends on")
    assert dora.page.get_by_role("link", name="Subscribe to").count() == 0
    olga.confirm("Retire", "Retire")
    assert control.admin.get("event-apis", "journey.v1")["lifecycle"] == "retired"
    olga.check_unharmed()
