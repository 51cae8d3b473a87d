"""sluicectl against a control plane: contexts, documents, single objects, versions, tokens, backups, faults."""

import http.server
import json
import pathlib
import shutil
import ssl
import stat
import threading

import pytest

from sluice_support import Authority, free_port, wait_until
from sluice_support.catalog import openapi
from sluice_support.ctl import Ctl

GITOPS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "examples" / "gitops"

SHOP = """\
manager: shop
resources:
  teams:
  - name: shop
  event-apis:
  - name: orders
    major: 1
    team: shop
    operations: [publish, read]
    exposures: [rest, sse]
"""


@pytest.fixture(scope="module")
def control(module_servers):
    return module_servers.control()


@pytest.fixture
def ctl(control, servers, tmp_path):
    """In the environment of a pipeline, for the control plane of the file."""
    return Ctl(servers.build_dir, tmp_path, control.admin_url, control.token)


@pytest.fixture
def own(servers, tmp_path):
    """The same with a control plane of the test's own."""
    control = servers.control()
    ctl = Ctl(servers.build_dir, tmp_path, control.admin_url, control.token)
    ctl.control = control
    return ctl


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# ---- contexts ----

def test_contexts_are_made_by_login_and_kept_for_their_owner(ctl, control, tmp_path):
    ctl.set_environment()
    assert "no control plane is known" in ctl.err("whoami", expect=1)
    said = ctl.err("login", "dev", "--server", control.admin_url, input=control.token + "\n")
    assert '"dev"' in said and "bootstrap" in said
    assert stat.S_IMODE(ctl.config.stat().st_mode) == 0o600
    assert ctl.json("whoami")["name"] == "bootstrap"

    token_file = write(tmp_path, "token", control.token)
    ctl.run("login", "other", "--server", control.admin_url + "/", "--token-command", f"cat '{token_file}'")
    assert control.token not in [line for line in ctl.config.read_text().splitlines() if "other" in line]
    lines = ctl.out("context", "list").splitlines()
    assert lines[1].split()[:2] == ["dev", control.admin_url] and lines[2].split()[0] == "*"
    assert "command" in lines[2]
    ctl.run("context", "use", "dev")
    assert ctl.out("get", "teams", "-c", "other") == ctl.out("get", "teams")

    assert 'did you mean "other"?' in ctl.err("get", "teams", "-c", "othr", expect=1)
    ctl.run("logout")
    assert "There is no token" in ctl.err("whoami", expect=1)
    ctl.run("context", "delete", "dev")
    assert "dev" not in ctl.out("context", "list")

    ctl.config.chmod(0o644)
    assert f"chmod 600 {ctl.config}" in ctl.err("context", "list", expect=1)


def test_a_login_that_does_not_work_changes_nothing(ctl, control):
    ctl.set_environment()
    ctl.run("login", "dev", "--server", control.admin_url, input=control.token)
    before = ctl.config.read_text()
    assert "is not valid" in ctl.err("login", "dev", input="sla_wrong_token", expect=1)
    assert ctl.config.read_text() == before
    assert ctl.json("whoami")["name"] == "bootstrap"


def test_an_expired_token_says_how_to_go_on(own):
    admin = own.control.admin
    made = admin.create("api-tokens", name="short", scopes=["*"], expires_at="2099-01-01T00:00:00Z")
    own.set_environment(own.control.admin_url, made["token"])
    own.run("get", "teams")
    admin.patch("api-tokens", made["id"], expires_at="2020-01-01T00:00:00Z")
    said = own.err("get", "teams", expect=1)
    assert "401" in said and "expired" in said and "sluicectl login" in said


# ---- faults on the way ----

def test_an_unreachable_control_plane_is_tried_a_bounded_number_of_times(ctl):
    ctl.set_environment(f"http://127.0.0.1:{free_port()}", "sla_x_y")
    said = ctl.err("get", "teams", "--retries", "2", "--progress", expect=1)
    assert said.count("another try") == 2 and "cannot be reached" in said and "tries: 3" in said


class Fake(http.server.BaseHTTPRequestHandler):
    """Says what its server has in `answers`: (status, headers, body), the last one again and again."""

    def do_GET(self):
        self.server.seen.append(dict(self.headers))
        status, headers, body = self.server.answers[min(len(self.server.seen), len(self.server.answers)) - 1]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_POST = do_GET

    def log_message(self, *arguments):
        pass


@pytest.fixture
def fake():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Fake)
    server.seen, server.answers = [], []
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_tls_with_an_authority_and_a_certificate_of_ones_own(ctl, fake, tmp_path):
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server", ["IP:127.0.0.1"]))
    context.load_verify_locations(authority.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    fake.socket = context.wrap_socket(fake.socket, server_side=True)
    fake.answers = [(200, {"Content-Type": "application/json"}, b'{"items": [{"name": "shop"}], "next": null}')]
    certificate, key = authority.issue("me", ["DNS:me.test"])
    url = fake.url.replace("http:", "https:")
    ctl.set_environment(url, "sla_x_y")
    assert "cannot be trusted" in ctl.err("get", "teams", "--retries", "0", expect=1)
    ctl.run("get", "teams", "--ca-file", authority.ca, "--retries", "0", expect=1)  # it asks for a certificate
    mine = ("--ca-file", authority.ca, "--client-certificate", certificate, "--client-key", key)
    assert ctl.out("get", "teams", "-o", "name", *mine) == "teams/shop\n"
    ctl.set_environment()
    ctl.run("login", "tls", "--server", url, *mine, input="sla_x_y")
    assert ctl.out("get", "teams", "-o", "name") == "teams/shop\n"


def test_a_server_that_is_no_control_plane_is_named(ctl, fake):
    fake.answers = [(404, {"Content-Type": "text/html"}, b"<h1>Not found</h1>")]
    ctl.set_environment(fake.url, "sla_x_y")
    said = ctl.err("get", "teams", expect=1)
    assert "not in the words of a Sluice control plane" in said and "8001" in said
    fake.answers = [(200, {"Content-Type": "text/html"}, b"<h1>Welcome</h1>")]
    assert "does not answer like a Sluice control plane" in ctl.err("get", "teams", expect=1)


def test_a_busy_server_is_asked_again_with_the_same_key(ctl, fake):
    busy = (503, {"Content-Type": "application/problem+json", "Retry-After": "0"}, b'{"title": "Busy"}')
    fake.answers = [busy, busy, (201, {"Content-Type": "application/json"}, b'{"id": "7", "name": "a"}')]
    ctl.set_environment(fake.url, "sla_x_y")
    ctl.run("create", "team", "name=a")
    keys = [headers.get("Idempotency-Key") for headers in fake.seen]
    assert len(keys) == 3 and keys[0] and len(set(keys)) == 1


def test_versions_that_are_far_apart_are_told(ctl, fake, control):
    assert "further apart" not in ctl.err("get", "teams")
    ours = ctl.out("version").splitlines()
    assert ours[0].startswith("sluicectl ") and "(" in ours[0] and ours[1].endswith(ours[0].split()[1])
    fake.answers = [(200, {"Content-Type": "application/json", "Sluice-Version": "9.9.0"}, b'{"items": []}')]
    ctl.set_environment(fake.url, "sla_x_y")
    assert "the control plane 9.9.0: further apart" in ctl.err("get", "teams")


# ---- documents ----

def test_mistakes_have_file_line_and_a_suggestion(ctl, tmp_path):
    """Found by the control plane in apply, and without one in validate."""
    folder = tmp_path / "config"
    write(folder, "a.yaml", SHOP.replace("operations", "operatons"))
    write(folder, "b.yaml", "manager: shop\nresources:\n  products:\n  - name: x\n    team: shop\n    titel: X\n")
    said = ctl.err("apply", "-f", folder, expect=1)
    assert f'{folder}/a.yaml:9:5: is not a field of this object: did you mean "operations"?' in said
    assert f'{folder}/b.yaml:6:5: is not a field of this object: did you mean "title"?' in said
    assert f"{folder}/a.yaml:6:5: operations: is required" in said
    ctl.set_environment()
    said = ctl.err("validate", "-f", folder, expect=1)
    assert f'{folder}/a.yaml:9:5: there is no field "operatons" here: did you mean "operations"?' in said
    assert f'{folder}/b.yaml:6:5: there is no field "titel" here: did you mean "title"?' in said
    write(folder, "a.yaml", SHOP)
    write(folder, "b.yaml", "manager: shop\nresources: {teams: [{name: a}, {name: a}]\n")
    assert f"{folder}/b.yaml:3:1: " in ctl.err("validate", "-f", folder, expect=1)
    write(folder, "b.yaml", "manager: other\n")
    assert f'{folder}/b.yaml:1:1: this file\'s manager is "other"' in ctl.err("validate", "-f", folder, expect=1)
    write(folder, "b.yaml", "manger: shop\n")
    assert "did you mean manager" in ctl.err("validate", "-f", folder, expect=1)
    (folder / "b.yaml").unlink()
    ctl.run("validate", "-f", folder)


def test_apply_diff_and_dump(own, tmp_path):
    path = write(tmp_path, "shop.yaml", SHOP)
    diff = own.out("diff", "-f", path, expect=1)
    assert "create  teams/shop" in diff and 'operations: ["publish","read"]' in diff
    assert "dry run: 2 created" in own.err("apply", "-f", path, "--dry-run")
    done = own.run("apply", "-f", "-", input=SHOP)
    assert "create  event-apis/orders.v1" in done.stdout and "2 created" in done.stderr
    assert own.out("diff", "-f", path, expect=0) == ""
    assert "no changes" in own.err("apply", "-f", path)

    dump = own.out("dump", "--manager", "shop")
    own.run("diff", "-f", "-", input=dump)
    assert json.loads(own.out("dump", "-o", "json"))["manager"] == "api"
    write(tmp_path, "shop.yaml", SHOP.replace("[rest, sse]", "[rest]"))
    assert 'exposures: ["rest","sse"] -> ["rest"]' in own.out("diff", "-f", path, expect=1)
    assert own.json("apply", "-f", path)["changes"][0]["action"] == "update"

    write(tmp_path, "shop.yaml", SHOP.split("  event-apis")[0])
    own.run("diff", "-f", path)
    assert "delete  event-apis/orders.v1" in own.out("diff", "-f", path, "--prune", expect=1)
    assert "1 deleted" in own.err("apply", "-f", path, "--prune")
    assert own.out("diff", "-f", tmp_path / "nothing.yaml", expect=2) == ""


def test_another_managers_objects_are_left_alone(own):
    own.run("apply", "-f", "-", input=SHOP)
    theirs = SHOP.replace("manager: shop", "manager: thief").replace("[rest, sse]", "[rest]")
    said = own.err("apply", "-f", "-", input=theirs, expect=1)
    assert "409" in said and "--adopt" in said and "standard input:" in said
    own.run("apply", "-f", "-", "--adopt", input=theirs)
    assert own.json("get", "event-api", "orders.v1")["manager"] == "thief"


def test_two_people_who_apply_at_once_are_told(own, tmp_path):
    path = write(tmp_path, "shop.yaml", SHOP)
    revision = own.json("apply", "-f", path)["revision"]
    own.run("create", "team", "name=meanwhile")
    write(tmp_path, "shop.yaml", SHOP.replace("[rest, sse]", "[rest]"))
    said = own.err("apply", "-f", path, "--base-revision", revision, expect=1)
    assert "412" in said and "Somebody else has changed it" in said and "Nothing of yours was done" in said
    assert own.json("get", "event-api", "orders.v1")["exposures"] == ["rest", "sse"]


def test_confirm_applies_what_it_has_shown_or_nothing(own, tmp_path):
    path = write(tmp_path, "shop.yaml", SHOP)
    assert "no terminal" in own.err("apply", "-f", path, "--confirm", expect=1)
    assert own.out("get", "teams", "-o", "name") == ""
    done = own.run("apply", "-f", path, "--confirm", "--yes")
    assert "2 created" in done.stderr
    assert own.out("get", "teams", "-o", "name") == "teams/shop\n"


def test_five_thousand_objects_in_many_files(own, tmp_path):
    folder = tmp_path / "many"
    for number in range(50):
        lines = "".join(f"  - name: t{number}-{i}\n" for i in range(100))
        write(folder / f"f{number}", "teams.yml", f"manager: many\nresources:\n  teams:\n{lines}")
    assert "5000 created" in own.err("apply", "-f", folder, "--progress")
    assert len(own.out("get", "teams", "-o", "name").splitlines()) == 5000
    assert own.out("diff", "-f", folder, "--prune") == ""


# ---- single objects ----

def test_objects_are_listed_shown_made_and_deleted(own):
    own.run("apply", "-f", "-", input=SHOP)
    own.run("create", "application", "name=web", "team=shop", "labels.tier=gold")
    table = own.out("get", "appl").splitlines()
    assert table[0].split() == ["KEY", "TEAM", "TITLE", "MANAGER"] and table[1].split()[:2] == ["web", "shop"]
    assert own.json("get", "applications", "-l", "team=shop")[0]["labels"] == {"tier": "gold"}
    assert "name: web" in own.out("get", "application", "web", "-o", "yaml")
    assert own.out("get", "event-api", "-o", "name") == "event-apis/orders.v1\n"
    assert "did you mean" in own.err("get", "lisetners", expect=2)
    assert "begins the names of" in own.err("get", "gateway", expect=2)
    key = own.json("create", "credential", "application=web", "type=secret")
    assert key["api_key"].startswith("slk_")
    assert "revoked_at" in own.out("act", "credential", key["id"], "revoke")
    described = own.out("describe", "credential", key["id"])
    assert "The latest changes" in described and "bootstrap" in described and "revoke" in described
    refused = own.err("delete", "team", "shop", expect=1)
    assert "409" in refused and "event-apis/orders.v1" in refused
    own.run("delete", "event-api", "orders.v1")
    assert "404" in own.err("get", "event-api", "orders.v1", expect=1)


def test_an_openapi_document_is_imported_from_a_file_and_again(own, tmp_path):
    own.run("create", "team", "name=shop")
    first = write(tmp_path, "openapi.yaml", "openapi: 3.1.0\ninfo: {title: Stock, version: 1.0.0}\npaths:\n  /items: {get: {summary: All}}\n")
    second = write(tmp_path, "openapi.json", openapi("Warehouse", {"/items": {"get": {}, "put": {}}}))
    made = own.json("create", "rest-api", "name=stock", "team=shop", f"document=@{first}")
    assert (made["title"], made["operation_count"], made["document"]) == ("Stock", 1, first.read_text())
    again = own.json("update", "rest-api", "stock", f"document=@{second}", "lifecycle=published")
    assert (again["title"], again["operation_count"], again["lifecycle"]) == ("Warehouse", 2, "published")
    own.run("update", "rest-api", "stock", "title=Ours", "tags=[a, b]")
    own.run("update", "rest-api", "stock", "title=null")
    kept = own.json("get", "rest-api", "stock")
    assert (kept["title"], kept["tags"], kept["document"]) == ("Warehouse", ["a", "b"], second.read_text())
    write(tmp_path, "openapi.yaml", "openapi: 2.0\n")
    refused = own.err("update", "rest-api", "stock", f"document=@{first}", expect=1)
    assert "400" in refused and "/document" in refused
    assert "nothing.yaml" in own.err("create", "rest-api", "name=x", "team=shop", "document=@nothing.yaml", expect=2)
    assert "what to change is missing" in own.err("update", "rest-api", "stock", expect=2)
    assert "404" in own.err("update", "rest-api", "other", "title=x", expect=1)


def test_watching_shows_changes(own):
    watching, lines = own.start("get", "teams", "-o", "name", "--watch", "--interval", "100ms"), []
    reader = threading.Thread(target=lambda: lines.extend(iter(watching.stdout.readline, "")))
    reader.start()
    try:
        own.run("create", "team", "name=first")
        wait_until(lambda: "teams/first\n" in lines, what="the first team")
        own.run("create", "team", "name=second")
        wait_until(lambda: "teams/second\n" in lines, what="the second team")
        assert lines[-3:] == ["---\n", "teams/first\n", "teams/second\n"]
    finally:
        watching.terminate()
        reader.join()
        watching.wait(60)


def test_tokens_are_made_and_end(own, tmp_path):
    token = own.out("token", "create", "ci", "--scope", "teams:read", "--scope", "teams:write", "--expires-in", "1h")
    made = own.json("get", "api-tokens", "-l", "name=ci")[0]
    assert made["scopes"] == ["teams:read", "teams:write"] and made["expires_at"]
    own.run("token", "create", "kept", "--scope", "teams:read", "--out", tmp_path / "kept.token")
    assert stat.S_IMODE((tmp_path / "kept.token").stat().st_mode) == 0o600
    assert "ci" in own.out("token", "list")
    limited = Ctl(own.program.parents[1], tmp_path, own.control.admin_url, token.strip())
    limited.run("create", "team", "name=a")
    assert "403" in limited.err("get", "event-apis", expect=1)
    own.run("token", "revoke", made["id"])
    assert "401" in limited.err("get", "teams", expect=1)


def test_backups_are_fetched_and_restored(own, tmp_path):
    own.run("create", "team", "name=before")
    name = own.out("backup", "create").strip()
    own.run("create", "team", "name=after")
    assert name in own.out("backup", "list")
    own.run("backup", "fetch", "--out", tmp_path)
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert "404" in own.err("backup", "fetch", "nothing.db", expect=1)
    assert not list(tmp_path.glob("*.part"))
    own.control.stop()
    options = ("--data-dir", own.control.data_dir, "--program", own.program.parent / "sluice-control")
    assert "no terminal" in own.err("restore", tmp_path / name, *options, expect=1)
    restored = own.out("restore", tmp_path / name, *options, "--yes")
    assert json.loads(restored[restored.index("{"):])["compared"] is True
    own.control.start()
    assert own.out("get", "teams", "-o", "name") == "teams/before\n"


# ---- what is generated ----

def test_completion_offers_commands_options_kinds_and_contexts(ctl, control):
    ctl.set_environment()
    ctl.run("login", "here", "--server", control.admin_url, input=control.token)
    script = ctl.out("completion", "bash")

    def offered(*words):
        line = " ".join(f"'{word}'" for word in words)
        code = f'{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _sluicectl; printf "%s\\n" "${{COMPREPLY[@]}}"'
        return ctl.out(command=["bash", "-c", code]).split()

    assert offered("sluicectl", "app") == ["apply"]
    assert offered("sluicectl", "node", "dr") == ["drain"]
    assert set(offered("sluicectl", "apply", "--d")) == {"--dry-run"}
    assert "--context" in offered("sluicectl", "node", "join", "--")
    assert offered("sluicectl", "get", "event") == ["event-apis"]
    assert offered("sluicectl", "context", "use", "") == ["here"]
    assert offered("sluicectl", "get", "teams", "--context", "h") == ["here"]
    assert offered("sluicectl", "get", "teams", "-o", "j") == ["json"]
    assert "csh" in ctl.err("completion", "csh", expect=2)
    assert ctl.out("completion", "zsh").startswith("#compdef sluicectl")


def test_help_and_man_page_have_every_command(ctl):
    ctl.set_environment()
    overview, man = ctl.out("help"), ctl.out("help", "--man")
    for name in ("apply", "context use", "events tail", "node drain", "token create", "restore"):
        assert f"  {name} " in overview
        assert f"\n.SS {name}" in man
        assert f"usage: sluicectl {name}" in ctl.out("help", *name.split())
    assert "usage: sluicectl apply" in ctl.out("apply", "--help")
    assert "node list" in ctl.out("help", "node")
    assert ctl.err(expect=2).startswith("usage: sluicectl")


# ---- the example ----

def pipeline(ctl, folder, *arguments, expect=0):
    return ctl.run(*arguments, expect=expect, command=[str(folder / "pipeline.sh"), *arguments])


def test_two_repositories_live_side_by_side(own, tmp_path):
    folder = tmp_path / "gitops"
    shutil.copytree(GITOPS, folder)
    platform = own
    for name in ("platform", "shop"):
        pipeline(platform, folder, "check", name)
    assert "create  grants/" in pipeline(platform, folder, "plan", "platform", expect=1).stdout
    pipeline(platform, folder, "apply", "platform")
    token = platform.out("token", "create", "shop-pipeline", "--owner", "shop-pipeline", "--scope", "config:apply", "--scope",
                         "event-apis:*", "--scope", "deployments:*", "--scope", "products:*", "--scope", "plans:*").strip()
    (tmp_path / "shop-contexts").mkdir()
    shop = Ctl(own.program.parents[1], tmp_path / "shop-contexts", own.control.admin_url, token)
    assert "4 created" in pipeline(shop, folder, "apply", "shop").stderr

    # Each prunes its own and nothing of the other's; applied again, nothing changes.
    assert "no changes" in pipeline(platform, folder, "apply", "platform").stderr
    assert pipeline(shop, folder, "plan", "shop").stdout == ""

    # What belongs to the other, and what its rights do not cover, the shop cannot have.
    thief = write(tmp_path, "thief.yaml", "manager: shop\nresources:\n  teams:\n  - name: shop\n    title: Ours\n")
    assert "409" in shop.err("apply", "-f", thief, expect=1)
    beyond = (folder / "shop" / "orders.yaml").read_text().replace("topic: orders", "topic: payments")
    assert "403" in shop.err("apply", "-f", "-", input=beyond, expect=1)

    # A product leaves the repository, and with it the catalog; the platform's objects stay.
    (folder / "shop" / "product.yaml").unlink()
    assert "2 deleted" in pipeline(shop, folder, "apply", "shop").stderr
    assert "no changes" in pipeline(platform, folder, "apply", "platform").stderr

    # Drift is shown and put right.
    platform.run("create", "team", "name=another")
    own.control.admin.patch("event-apis", "orders.v1", title="By hand")
    assert 'title: "By hand" -> "Orders"' in pipeline(shop, folder, "plan", "shop", expect=1).stdout
    assert "1 changed" in pipeline(shop, folder, "apply", "shop").stderr
