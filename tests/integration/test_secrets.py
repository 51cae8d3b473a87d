"""Secrets and tokens are planted wherever somebody might bring one; afterwards everything that the programs wrote or
said is searched for them, in every form that they may have taken."""

import base64
import binascii
import contextlib
import http.server
import json
import socket
import threading
import urllib.parse

import pytest
import requests

from sluice_support import Authority, SampleApi, free_ports, wait_until
from sluice_support.issuer import Issuer
from sluice_support.sse import SseReader
from sluice_support.wire_peer import WirePeer

BACKEND_PASSWORD = "p@ss/w+rd&=%7E-of-the-backend"
CLIENT_SECRET = "cl!ent/s+cret&=%7E-of-the-token-endpoint"
WRONG_SECRET = "wr0ng/s+cret&=%7E-that-somebody-tried"


def forms(secret):
    """Plain, base64 in its three alignments and both alphabets, URL-encoded, hexadecimal, as a JSON string."""
    data = secret if isinstance(secret, bytes) else secret.encode()
    found = {data, binascii.hexlify(data), binascii.hexlify(data).upper(), urllib.parse.quote(data, safe="").encode(),
             urllib.parse.quote_plus(data).encode()}
    if isinstance(secret, str):
        found.add(json.dumps(secret)[1:-1].encode())
    for shift in range(3):
        inside = base64.b64encode(bytes(shift) + data)[4 if shift else 0:-4]  # the edges depend on what is beside it
        found |= {inside, inside.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def test_the_search_finds_what_it_should():
    secret = "s3cret/with+signs&more=~"
    for text in (f"x {secret} y".encode(), base64.b64encode(f"user:{secret}".encode()),
                 base64.urlsafe_b64encode(f"a{secret}b".encode()), base64.b64encode(f"ab{secret}".encode()),
                 urllib.parse.quote(f"?k={secret}", safe="").encode(), secret.encode().hex().encode(),
                 json.dumps({"k": secret}).encode()):
        assert any(form in text for form in forms(secret)), text


class EchoingTokens:
    """A token endpoint that refuses, and repeats in its answer whatever it was sent."""

    def __init__(self):
        endpoint = self
        self.asked = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = json.dumps({"error": "invalid_client", "error_description":
                                     f"{self.headers.get('Authorization')} {body.decode()} {CLIENT_SECRET}"}).encode()
                endpoint.asked += 1
                self.send_response(401)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Plant:
    def __init__(self, servers, kafka, folder):
        self.secrets, self.said = {}, []
        self.control = servers.control()
        self.admin = self.control.admin
        self.issuer, self.tokens = Issuer(folder / "issuer", "ES256"), EchoingTokens()
        self.authority = Authority(folder)
        self.audit = folder / "audit.log"
        self.sample = SampleApi(self.control, kafka.bootstrap_servers, kafka.create_topic("orders"),
                                exposures=["rest", "sse", "kafka"])
        self._identities()
        self._others(kafka)
        enrolment = self.admin.create("enrolment-tokens", group=self.sample.group)
        join = enrolment["join"]
        self.sample.gateway = servers.gateway(join, audit_log=self.audit, audit_classes="authentication,denial,access",
                                              kafka_log_interval="0s", publish_deadline="1s",
                                              kafka_metadata_timeout="1s")
        self.secret("join string", join)
        self.secret("enrolment token", enrolment["token"].rpartition("_")[2])
        self.gateway = self.sample.gateway
        self.sample.wait_served()

    def secret(self, name, value):
        assert len(value) >= 16
        self.secrets[name] = value
        return value

    def _identities(self):
        self.secret("administrator token", self.control.token.split("_")[-1])
        self.secret("API key", self.sample.credential["secret"])
        self.admin.create("issuers", name="login", url=self.issuer.url, audiences=["sluice"])
        self.admin.create("credentials", application=self.sample.application, type="oidc",
                          oidc={"issuer": "login", "value": "shop"})
        self.token = self.secret("access token", self.issuer.token())
        self.bad_token = self.secret("refused token", self.issuer.token(aud="else"))
        self.secret("its signature", self.bad_token.split(".")[2])
        self.secret("wrong secret", WRONG_SECRET)
        self.secret("master key", (self.control.data_dir / "master.key").read_bytes().strip())

    def _others(self, kafka):
        """Backends that cannot be reached by what they have, and a listener for native clients with a key."""
        self.admin.create("backend-clusters", name="locked", bootstrap_servers=["127.0.0.1:1"], authentication={
            "mechanism": "PLAIN", "username": "gateway", "password": self.secret("backend's password", BACKEND_PASSWORD)})
        self.admin.create("backend-clusters", name="oauth", bootstrap_servers=kafka.bootstrap_servers.split(","),
                          authentication={"mechanism": "OAUTHBEARER", "token_url": self.tokens.url, "client_id": "gateway",
                                          "client_secret": self.secret("client secret", CLIENT_SECRET)})
        for name in ("locked", "oauth"):
            self.admin.create("virtual-clusters", name=name, backend_cluster=name)
            self.admin.create("event-apis", name=name, major=1, team=self.sample.team, operations=["publish", "read"],
                              exposures=["rest", "sse"], lifecycle="published")
            self.admin.create("deployments", event_api=f"{name}.v1", gateway_group=self.sample.group, topic="t",
                              virtual_cluster=name, listener=self.sample.listener)
        self.admin.patch("products", self.sample.product, event_apis=[self.sample.event_api, "locked.v1", "oauth.v1"])
        self.admin.patch("virtual-clusters", self.sample.virtual_cluster,
                         client_authentication=["plain", "scram", "oauthbearer"])
        tls = self.authority.listener_tls("gateway", ["IP:127.0.0.1"])
        self.secret("listener's key", "".join(tls["key_pem"].splitlines()[1:3]))
        self.port, self.tls_port = free_ports(5), free_ports(5)
        for name, port, more in (("kafka", self.port, {}), ("kafka-tls", self.tls_port, {"tls": tls})):
            self.admin.create("listeners", name=name, gateway_group=self.sample.group, protocol="kafka",
                              address=f"127.0.0.1:{port}", **more,
                              kafka={"routing": "ports", "virtual_cluster": self.sample.virtual_cluster,
                                     "port_ranges": [{"first_node_id": 0, "last_node_id": 3, "port_base": port + 1}]})

    # ---- what is done ----

    def http(self, url, method="POST", **kwargs):
        session = requests.Session()
        session.trust_env = False
        answer = session.request(method, url, timeout=30, **{"json": {"n": 1}, **kwargs})
        self.said.append(f"{answer.headers} {answer.text}".encode())
        return answer

    def use_http(self):
        url, key, credential = self.sample.url, self.sample.key, self.sample.credential
        wrong = f"slk_{credential['id']}_{WRONG_SECRET}"
        basic = lambda secret: "Basic " + base64.b64encode(f"{credential['id']}:{secret}".encode()).decode()
        # Not every publisher is ready within the short deadline that the broken backends get.
        for headers in ({"X-API-Key": key}, {"Authorization": basic(credential["secret"])}):
            wait_until(lambda: self.http(url, headers=headers).status_code == 201, what="an event to be stored")
        wait_until(lambda: self.http(url, headers={"Authorization": f"Bearer {self.token}"}).status_code == 201,
                   what="the token to be taken")
        for headers in ({"X-API-Key": wrong}, {"Authorization": basic(WRONG_SECRET)}, {"X-API-Key": WRONG_SECRET},
                        {"Authorization": f"Bearer {self.bad_token}"}, {"Authorization": f"Bearer {key}"},
                        {"Authorization": f"Bearer {self.token}x"}, {"Authorization": self.token}):
            assert self.http(url, headers=headers).status_code == 401
        for query in (f"access_token={self.token}", f"api_key={key}", f"ticket={self.token}"):  # none is taken there
            assert self.http(f"{url}?{query}", "GET").status_code == 401
        for place in (f"{url}/{key}", f"{url}/{key.replace('_', '%5F')}", f"{url}/x?key={key}",  # nobody's place for it
                      url.replace("/events", f"/{key}"), url.replace("/orders/", f"/{key}/")):
            assert self.http(place, "GET").status_code in (401, 404)
        quiet = requests.Session()
        quiet.trust_env = False
        quiet.get(url, headers={"X-Request-Id": key}, timeout=30)  # which is told its own again
        ticket = session_post(url + "/tickets", key)
        self.secret("ticket", ticket)
        with SseReader(f"{url}?ticket={ticket}") as reader:
            assert reader.status == 200
        for name in ("locked", "oauth"):
            place = url.replace(self.sample.event_api.replace(".", "/"), f"{name}/v1")
            assert self.http(place, headers={"X-API-Key": key}).status_code in (502, 503, 504)
            assert self.http(place, "GET", headers={"X-API-Key": key}).status_code >= 500
        wait_until(lambda: self.tokens.asked > 0, what="the token endpoint to be asked")

    def use_native(self):
        credential = self.sample.credential

        def plain(secret):
            with WirePeer(self.port) as peer:
                peer.handshake("PLAIN")
                answer = peer.authenticate(f"\0{credential['id']}\0{secret}".encode())
                self.said.append(f"{answer.message}".encode() + answer.data)
                return answer.error
        wait_until(lambda: plain(credential["secret"]) == 0, 60, "the native listener")
        assert plain(WRONG_SECRET) == 58
        for mechanism, data in (("PLAIN", WRONG_SECRET.encode()), ("SCRAM-SHA-256", f"n,,n=x,r={WRONG_SECRET}".encode()),
                                ("OAUTHBEARER", WRONG_SECRET.encode())):
            with WirePeer(self.port) as peer:
                peer.handshake(mechanism)
                answer = peer.authenticate(data)
                self.said.append(f"{answer.message}".encode())
        for token in (self.token, self.bad_token):
            with WirePeer(self.port) as peer:
                peer.handshake("OAUTHBEARER")
                answer = peer.authenticate(f"n,,\x01auth=Bearer {token}\x01\x01".encode())
                self.said.append(f"{answer.message}".encode() + answer.data)
        with socket.create_connection(("127.0.0.1", self.port)) as raw:  # a frame that is none
            raw.sendall(f"GET /?key={self.sample.key} HTTP/1.1\r\n\r\n".encode())
        with socket.create_connection(("127.0.0.1", self.tls_port)) as raw:  # nor TLS
            raw.sendall(f"\0{credential['id']}\0{credential['secret']}".encode())

    def use_admin(self):
        """Errors about secrets, dumps, diffs, the audit trail, and a retried creation."""
        wrong = {"mechanism": "PLAIN", "username": 1, "password": BACKEND_PASSWORD}
        self.ask("POST", "/v1/backend-clusters", json={"name": "x", "bootstrap_servers": [], "authentication": wrong})
        self.ask("POST", "/v1/backend-clusters", data='{"name": "x", "password": "%s' % BACKEND_PASSWORD,
                 headers={"Content-Type": "application/json"})
        self.admin.patch("backend-clusters", "locked", authentication={
            "mechanism": "PLAIN", "username": "other", "password": BACKEND_PASSWORD})
        for path in ("config", "audit-events?limit=1000", "backend-clusters", "credentials", "listeners", "api-tokens",
                     "enrolment-tokens", "issuers", "config-versions", "backend-clusters/locked", "self"):
            self.ask("GET", f"/v1/{path}")
        for version in self.admin.list("config-versions")[-3:]:
            self.ask("GET", f"/v1/config-versions/{version['id']}/diff")
        document = {"manager": "people", "resources": {"backend-clusters": [
            {"name": "locked", "bootstrap_servers": ["127.0.0.1:2"], "authentication": {
                "mechanism": "PLAIN", "username": "third", "password": BACKEND_PASSWORD}}]}}
        self.ask("PUT", "/v1/config?dry_run=true&adopt=true", json=document)
        self.ask("POST", "/v1/explain", json={
            "gateway_group": self.sample.group, "event_api": self.sample.event_api, "operation": "read",
            "request": {"headers": {"Authorization": f"Bearer {self.bad_token}", "X-API-Key": self.sample.key}}})
        self.ask("GET", "/v1/self", headers={"Authorization": f"Bearer {WRONG_SECRET}"})
        self.ask("GET", f"/v1/teams?token={WRONG_SECRET}")
        session = requests.Session()
        session.trust_env = False
        self.said.append(session.get(f"{self.control.admin_url}/metrics", timeout=20).content)
        self.said.append(session.get(f"{self.gateway.observe_url}/metrics", timeout=20).content)
        self.said.append(session.get(f"{self.gateway.observe_url}/health/backends", timeout=20).content)

    def ask(self, method, path, **kwargs):
        answer = self.admin.request(method, path, **kwargs)
        self.said.append(answer.content)
        return answer

    # ---- where it is looked for ----

    def places(self):
        """(name, bytes) of everything."""
        for program in (self.control, self.gateway):
            yield f"log of {program.name}", program.log()
        yield "access log", self.gateway.access_log.read_bytes()
        yield "audit trail", self.audit.read_bytes()
        for folder in (self.control.data_dir, self.gateway.state_dir):
            for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "master.key"):
                with contextlib.suppress(FileNotFoundError):  # one that was to be moved to its place
                    yield str(path), path.read_bytes()
        for number, said in enumerate(self.said):
            yield f"answer {number}: {said[:200]}", said


def session_post(url, key):
    session = requests.Session()
    session.trust_env = False
    answer = session.post(url, headers={"X-API-Key": key}, timeout=30)
    assert answer.status_code == 201, answer.text
    return answer.json()["ticket"]


@pytest.fixture(scope="module")
def plant(module_servers, kafka, tmp_path_factory):
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "issuer").mkdir()
    plant = Plant(module_servers, kafka, folder)
    yield plant
    plant.issuer.close()
    plant.tokens.close()


def test_no_secret_is_written_or_told(plant):
    plant.use_http()
    plant.use_native()
    plant.use_admin()
    wait_until(lambda: plant.sample.credential["id"].encode() in plant.audit.read_bytes(), what="the audit trail")
    wait_until(lambda: plant.sample.application.encode() in plant.gateway.access_log.read_bytes(), what="the access log")
    everything = list(plant.places())
    # What may be known is found, so that the search is known to look where it should.
    assert sum(plant.sample.credential["id"].encode() in content for _, content in everything) >= 4
    found = [f"{secret} in {place}" for secret, value in plant.secrets.items() for place, content in everything
             if any(form in content for form in forms(value))]
    assert not found, "\n".join(found)
