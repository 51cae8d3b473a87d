"""What is away is said to be, and everything else goes on: gateways, backends, and the portal's own server."""

import contextlib
import signal

import pytest

from sluice_support import SampleApi, free_port, wait_until


@pytest.fixture(scope="module")
def control(module_servers):
    return module_servers.control(portal_sign_in_failures=0, inventory_interval="300ms", inventory_delay="0s")


@pytest.fixture(scope="module")
def sample(module_servers, control):
    """An event API on a backend that nobody can reach; pages may call its gateway."""
    sample = SampleApi(control, f"127.0.0.1:{free_port()}", "orders")
    control.admin.patch("gateway-groups", "dev", rest_url=f"http://127.0.0.1:{sample.port}")
    control.admin.create("policies", name="portal", type="cors", scope={"kind": "group", "ref": "dev"},
                         config={"origins": [control.portal_url]})
    sample.gateway = module_servers.gateway(control.join_string(sample.group), publish_deadline="3s")
    return sample


@pytest.fixture(scope="module")
def ada(people, sample, control):
    person = people("ada", "platform-admin", sample.team)
    person.http.post("/v1/applications", expect=201, name="trial", team=sample.team)
    person.http.post("/v1/subscriptions", expect=201, application="trial", plan=sample.plan, environment="dev")
    return person


@contextlib.contextmanager
def silent(program, page, patience_s):
    """The program takes connections and answers nothing. The page waits for it a twentieth of `patience_s`, which it else
    would; for others as ever."""
    page.evaluate("""(patience) => {
      const timeout = AbortSignal.timeout.bind(AbortSignal);
      AbortSignal.timeout = (ms) => timeout(ms === patience ? ms / 20 : ms);
    }""", patience_s * 1000)
    program.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        program.signal(signal.SIGCONT)


def test_a_backend_that_is_away_is_named_and_publishing_goes_on(sample, control, ada):
    wait_until(lambda: ada.http.get("/v1/backend-clusters/local/topics").get("reachable") is False, 60,
               "the gateway to tell that it cannot reach the backend")
    ada.open("/operate/topics")
    ada.see("The backend cannot be read")
    ada.check_access()
    control.admin.create("grants", team=sample.team, virtual_cluster="local", topic="later", operations=["read"])
    page = ada.open("/own/publish")
    ada.see("Gateways have found none that you may publish.")
    page.locator("[name=topic]").fill("later")
    page.locator("[name=name]").fill("later")
    page.get_by_role("button", name="Make a draft").click()
    page.wait_for_url("**/own/event-apis/later/v1")
    ada.check_unharmed()


def test_who_publishes_to_a_backend_that_is_away_is_told_and_goes_on(sample, ada):
    page = ada.open("/event-apis/orders/v1/try")
    page.get_by_role("button", name="Start").click()
    page.get_by_role("status").get_by_text("The backend is out of reach").wait_for()
    page.locator("[name=event]").fill('{"kept": true}')
    for _ in range(2):
        page.get_by_role("button", name="Publish").click()
        said = page.get_by_role("alert").get_by_text(f"The gateway at http://127.0.0.1:{sample.port} answered 50")
        said.wait_for()
        assert "try again later" in said.inner_text()
        page.wait_for_function("() => !document.querySelector('form button[disabled]')")
    assert page.locator("[name=event]").input_value() == '{"kept": true}'
    ada.check_access()


def test_a_gateway_that_says_nothing_is_told_in_bounded_time(sample, ada):
    page = ada.page
    with silent(sample.gateway, page, 20):
        page.get_by_role("button", name="Publish").click()
        said = page.get_by_role("alert").get_by_text(f"The gateway at http://127.0.0.1:{sample.port} did not answer")
        said.wait_for()
        assert "may be stored twice" in said.inner_text()
        page.get_by_role("button", name="Stop").click()
        ada.see("Stopped")
        page.get_by_role("button", name="Start").click()
        page.get_by_role("status").get_by_text("did not answer within").wait_for()
        ada.check_access()
        page.get_by_role("button", name="Stop").click()
        ada.see("Stopped")


def test_a_gateway_that_is_away_is_shown_and_explained(sample, ada):
    (node,) = ada.http.get("/v1/gateway-nodes")["items"]
    page = ada.open("/operate")
    page.get_by_role("row").filter(has_text=node["name"]).get_by_text("connected", exact=True).wait_for()
    sample.gateway.kill()
    page.get_by_role("row").filter(has_text=node["name"]).get_by_text("lost", exact=True).wait_for(timeout=60000)  # by itself
    for path in ("/catalog", "/event-apis/orders/v1", "/applications/trial", "/own/event-apis/orders/v1", "/operate/versions"):
        ada.open(path)
        assert ada.page.locator("main .notice.bad").count() == 0, path
    page = ada.open("/event-apis/orders/v1/try")
    page.get_by_role("button", name="Start").click()
    page.get_by_text("The gateway cannot be reached from this page").first.wait_for()
    ada.check_access()
    page.get_by_role("button", name="Stop").click()
    ada.see("Stopped")
    ada.trouble.clear()  # refused connections are in the console
    sample.gateway.start()
    ada.open("/operate")
    ada.page.get_by_role("row").filter(has_text=node["name"]).get_by_text("connected", exact=True).wait_for(timeout=60000)


def test_a_portal_that_says_nothing_is_told_in_bounded_time(control, ada):
    page = ada.open("/own/event-apis/later/v1")
    page.locator("[name=description]").fill("A long text.")
    with silent(control, page, 60):
        page.get_by_role("button", name="Save").click()
        ada.see("The portal did not answer within")
    assert page.locator("[name=description]").input_value() == "A long text."
    ada.check_unharmed()


def test_when_the_portal_itself_is_away_what_was_written_stays(sample, control, ada):
    page = ada.open("/own/event-apis/later/v1")
    page.locator("[name=description]").fill("A long text.")
    control.stop()
    page.get_by_role("button", name="Save").click()
    ada.see("The portal cannot be reached.")
    page.get_by_role("link", name="Applications").click()
    ada.see("The portal cannot be reached.")
    page.go_back()
    ada.trouble.clear()
    control.start()
    page = ada.open("/own/event-apis/later/v1")  # and still signed in
    page.locator("[name=description]").fill("A long text.")
    page.get_by_role("button", name="Save").click()
    wait_until(lambda: control.admin.get("event-apis", "later.v1").get("description") == "A long text.", 20, "the text")
    assert [line for line in ada.trouble if "ERR_CONNECTION" not in line] == []
