"""Whatever people can write is shown as text: every text field of every kind of the catalog, on every page of the portal.

Fields come from the API's own description and pages from the portal's own list, so that new ones are tried without a
change here; a new page with a name in its path needs a line in PLACES."""

import re

import pytest

from portal_support import Person
from sluice_support.admin import ApiError
from sluice_support.catalog import CatalogSamples

ATTACK = '"><img src=x onerror="window.pwned=1"><script>window.pwned=2</script><svg onload=window.pwned=3>'
# Where a path has names, which: of what the samples made.
PLACES = {
    "/event-apis/:name/:major": lambda made: f"/event-apis/{made['event-apis']['name']}/v1",
    "/event-apis/:name/:major/try": lambda made: f"/event-apis/{made['event-apis']['name']}/v1/try",
    "/own/event-apis/:name/:major": lambda made: f"/own/event-apis/{made['event-apis']['name']}/v1",
    "/applications/:name": lambda made: f"/applications/{made['applications']['name']}",
    "/subscribe/:product/:plan": lambda made: f"/subscribe/{made['products']['name']}/{made['plans']['name']}",
    "/operate/scorecards/rules/:name": lambda made: f"/operate/scorecards/rules/{made['scorecard-rules']['name']}",
    "/own/rest-apis/:name": lambda made: f"/own/rest-apis/{made['rest-apis']['name']}",
    "/rest-apis/:name": lambda made: f"/rest-apis/{made['rest-apis']['name']}",
}
# Fields that some page must have shown: else this test would look at empty pages.
SHOWN = {"event-apis.title", "event-apis.description", "event-apis.changelog", "event-apis.examples.title", "event-apis.examples.value",
         "teams.title", "applications.title", "applications.description", "products.title", "plans.title", "users.title",
         "gateway-groups.title", "credentials.title", "sign-in-providers.title"}


class Fields:
    """The text fields of a kind's creation in the OpenAPI document that may hold anything."""

    def __init__(self, document):
        self.document = document

    def resolve(self, schema):
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    def of(self, kind):
        body = self.document["paths"][f"/v1/{kind}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        return self.resolve(body)

    def fill(self, schema, sample, path, found):
        """The sample, with an attack in every text of the schema. `found` gets {path: pointer}."""
        filled = dict(sample)
        for name, field in schema.get("properties", {}).items():
            field, here = self.resolve(field), f"{path}.{name}"
            if field.get("readOnly"):
                continue
            if self.is_free(field):
                filled[name] = (ATTACK + here)[:field.get("maxLength", 10_000)]
                found.add(here)
            elif name == "labels":
                filled[name] = {"attack": (ATTACK + here)[:500]}
                found.add(here)
            elif self.is_a(field, "object") and "properties" in field and (name in sample or not field.get("required")):
                inner = self.fill(field, sample.get(name, {}), here, found)
                if inner:
                    filled[name] = inner
            elif self.is_a(field, "array") and self.is_a(self.resolve(field["items"]), "object"):
                filled[name] = [self.fill(self.resolve(field["items"]), {}, here, found)]
        return filled

    @staticmethod
    def is_a(field, kind):
        types = field.get("type", [])
        return kind in ([types] if isinstance(types, str) else types)

    def is_free(self, field):
        """A reference has a comment that says to what."""
        return (self.is_a(field, "string") and not {"enum", "format", "$comment"} & set(field) and not field.get("writeOnly")
                and re.search(field.get("pattern", ""), ATTACK + "a.b") is not None)


class World:
    """One of each kind, with an attack wherever the server takes one; who looks is in the team that owns it all."""

    def __init__(self, control):
        self.admin = control.admin
        self.fields = Fields(self.admin.request("GET", "/openapi.json", expect=200).json())
        self.samples = CatalogSamples(self.admin, prefix="h")
        self.made, self.written = {}, set()
        for kind in CatalogSamples.kinds():
            self.made[kind] = self.create(kind)
            self.samples._bases[kind] = self.made[kind].get("name" if kind == "teams" else "id")

    def create(self, kind):
        """Where text must have a form that the document does not tell (a reference, a condition), the sample's stays."""
        sample, found, kept = self.sample(kind), set(), set()
        body = self.fields.fill(self.fields.of(kind), sample, kind, found)
        for _ in range(20):
            try:
                made = self.admin.create(kind, **body)
                self.written |= found - kept
                return made
            except ApiError as refused:
                for error in refused.response.json().get("errors", []):
                    name = error.get("pointer", "/").split("/")[1]
                    kept |= {path for path in found if path.split(".")[1] == name}
                    if name in sample:
                        body[name] = sample[name]
                    else:
                        body.pop(name, None)
                if not refused.response.json().get("errors"):
                    raise
        raise AssertionError(f"no {kind} could be made")

    def sample(self, kind):
        sample = self.samples.body(kind)
        if kind == "sign-in-providers":
            sample["disabled"] = False
        if kind == "products":
            sample.update(visibility="public", visible_to=None)
        return {name: value for name, value in sample.items() if value is not None}


@pytest.fixture(scope="module")
def world(control):
    return World(control)


@pytest.fixture(scope="module")
def seen():
    return set()


def pages_of(person):
    """Every path that the portal's own list has."""
    html = person.http.request("GET", "/", expect=200).text
    folder = re.search(r"/assets/[0-9a-f]+/", html).group()
    return re.findall(r"^page\('([^']+)'", person.http.request("GET", folder + "main.js", expect=200).text, re.MULTILINE)


@pytest.fixture(scope="module")
def alva(people, world, control):
    person = people("alva", "platform-admin", world.made["teams"]["name"])
    control.admin.patch("users", "alva", title=ATTACK + "users.title", owned_teams=[world.made["teams"]["name"]])
    return person


def look(person, path, seen, written):
    page = person.open(path)
    page.evaluate("() => document.querySelectorAll('main details').forEach((d) => { d.open = true; })")
    text = page.evaluate("() => document.body.innerText + [...document.querySelectorAll('input, textarea, option')].map((e) => e.value + e.textContent).join()")
    seen |= {field for field in written if field in text}
    assert page.locator("main :is(img, script, iframe, object, embed), main [onerror], main [onload], dialog img").count() == 0, path
    assert page.locator("svg[onload]").count() == 0, path
    person.check_unharmed()


def test_attacks_were_taken_in_many_fields(world):
    """Otherwise there would be nothing to look at."""
    assert len(world.written) > 60, sorted(world.written)
    assert SHOWN - {"users.title"} <= world.written | {"users.title"}


def test_every_page_shows_them_as_text(world, alva, seen):
    paths = pages_of(alva)
    assert len(paths) > 18
    for path in paths:
        made = {kind: entity for kind, entity in world.made.items()}
        look(alva, PLACES[path](made) if ":" in path else path, seen, world.written | SHOWN)


def test_dialogs_show_them_as_text(world, alva, seen):
    page = alva.open("/operate/audit")
    for button in page.get_by_role("button", name="What changed").all()[:25]:
        button.click()
        dialog = page.get_by_role("dialog")
        dialog.wait_for()
        assert dialog.locator("img, script, svg").count() == 0
        page.keyboard.press("Escape")
        dialog.wait_for(state="detached")
    alva.check_unharmed()


def test_whoever_is_not_signed_in_sees_them_as_text(world, chromium, control, seen):
    guest = Person(chromium, control, "guest")
    for path in ("/sign-in", "/sign-up", "/catalog", "/invitation", "/reset"):
        look(guest, path, seen, world.written)
    guest.leave()


@pytest.mark.parametrize("path", [
    "/catalog?q={}", "/catalog?tag={}&team={}", "/sign-in?to={}", "/sign-in?failed={}", "/event-apis/{}/v1", "/applications/{}",
    "/operate/topics?search={}", "/operate/audit?kind={}&ref={}", "/operate/versions?group={}", "/own/event-apis/{}/v1",
    "/subscribe/{}/{}", "/{}", "/applications?cursor={}", "/event-apis/%00/%ff", "/reset#{}", "/invitation#{}"])
def test_addresses_that_somebody_was_sent_do_nothing(alva, path):
    attack = "%22%3E%3Cimg%20src=x%20onerror=%22pwned=1%22%3E"  # a dot would make it a file
    alva.open(path.replace("{}", attack))
    assert alva.page.locator("main img").count() == 0
    assert alva.page.url.startswith(alva.url)
    alva.check_unharmed()


def test_a_report_of_the_policy_would_have_failed_this(alva):
    """The guard itself: what the policy stops is noticed."""
    alva.open("/")
    with alva.page.expect_console_message(lambda message: message.text.startswith("policy: img-src")):
        alva.page.evaluate("() => { const e = document.createElement('img'); e.src = 'https://elsewhere.example/x.png'; document.body.append(e); }")
    assert any("policy: img-src" in line for line in alva.trouble)
    alva.trouble.clear()


def test_what_must_be_shown_was_shown(seen):
    assert SHOWN <= seen, sorted(SHOWN - seen)
