"""Brokers that want TLS and credentials: publishing, reading, the look at topics and native sessions over each way in."""

import base64
import contextlib
import http.server
import json
import os
import socket
import struct
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import requests

from sluice_support import KafkaHelper, NativeCluster, SampleApi, free_port, wait_until
from sluice_support.oidc_provider import OidcProvider

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "kafka"
OIDC_SECRET = "a-secret-of-the-provider"
PASSWORD = 'a-password,with="signs'
SCRAM_PASSWORD = "another-password"


def openssl(*arguments, **kwargs):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=100, **kwargs)


class Authority:
    """A certificate authority with certificates in PEM files, as Kafka's PEM key stores want them."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.certificate = folder / f"{name}.crt"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                "-keyout", folder / f"{name}.key", "-out", self.certificate)

    def issue(self, name, alternative):
        key, request, certificate = (self.folder / f"{name}.{end}" for end in ("key", "csr", "crt"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternative}\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.folder / f"{self.name}.key",
                "-days", "2", "-extfile", extensions, "-out", certificate)
        (self.folder / f"{name}.pem").write_text(key.read_text() + certificate.read_text())
        return key.read_text(), certificate.read_text()


class TokenServer:
    """An OAuth server that knows one client, and gives it a token that Kafka's unsecured validator takes; each answer takes
    `pause_s`. The times of the questions are in `asked_at`."""

    def __init__(self, life_s=300, pause_s=0):
        outer = self
        self.life_s, self.pause_s, self.asked_at = life_s, pause_s, []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                expected = "Basic " + base64.b64encode(b"gateway:client-secret").decode()
                known = self.headers.get("Authorization") == expected and form["grant_type"] == ["client_credentials"]
                outer.asked_at.append(time.monotonic())
                time.sleep(outer.pause_s)
                body = json.dumps({"access_token": outer.token(), "token_type": "Bearer",
                                   "expires_in": outer.life_s}).encode()
                self.send_response(200 if known else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body) if known else 0))
                self.end_headers()
                self.wfile.write(body if known else b"")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/token"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def token(self):
        now = int(time.time())
        parts = ({"alg": "none"}, {"sub": "gateway", "iat": now, "exp": now + self.life_s})
        return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + "."


class Broker:
    """Apache Kafka with a listener for each way in."""

    def __init__(self, folder, authority, provider):
        """`provider` is the OpenID provider whose tokens the listener sasl_ssl_oidc takes, checked by its keys."""
        names = ("plaintext", "controller", "ssl", "mtls", "sasl_plaintext", "sasl_ssl", "sasl_ssl_oidc")
        self.ports = {name: free_port() for name in names}
        authority.issue("broker", "DNS:localhost,DNS:kafka.example")
        login = "org.apache.kafka.common.security"
        settings = {
            "listeners": ",".join(f"{name.upper()}://127.0.0.1:{port}" for name, port in self.ports.items()),
            "advertised.listeners": ",".join(
                f"{name.upper()}://{'localhost' if 'ssl' in name or name == 'mtls' else '127.0.0.1'}:{port}"
                for name, port in self.ports.items() if name != "controller"),
            "controller.quorum.voters": f"1@127.0.0.1:{self.ports['controller']}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,MTLS:SSL,"
                                              "SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,SASL_SSL_OIDC:SASL_SSL",
            "ssl.keystore.type": "PEM", "ssl.keystore.location": folder / "broker.pem",
            "ssl.truststore.type": "PEM", "ssl.truststore.location": authority.certificate,
            "listener.name.mtls.ssl.client.auth": "required",
            "listener.name.sasl_plaintext.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            "listener.name.sasl_ssl.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            "listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config":
                f'{login}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
        }
        oidc = "listener.name.sasl_ssl_oidc"
        settings |= {
            f"{oidc}.sasl.enabled.mechanisms": "OAUTHBEARER",
            f"{oidc}.oauthbearer.sasl.jaas.config": f"{login}.oauthbearer.OAuthBearerLoginModule required;",
            f"{oidc}.oauthbearer.sasl.server.callback.handler.class": f"{login}.oauthbearer.OAuthBearerValidatorCallbackHandler",
            f"{oidc}.sasl.oauthbearer.jwks.endpoint.url": f"{provider.url}/jwks",
            f"{oidc}.sasl.oauthbearer.expected.audience": "sluice",
            f"{oidc}.sasl.oauthbearer.expected.issuer": provider.url,
        }
        escaped = PASSWORD.replace('"', '\\\\"')
        for listener in ("sasl_plaintext", "sasl_ssl"):
            settings[f"listener.name.{listener}.plain.sasl.jaas.config"] = \
                f'{login}.plain.PlainLoginModule required user_gateway="{escaped}";'
            for mechanism in ("scram-sha-256", "scram-sha-512"):
                settings[f"listener.name.{listener}.{mechanism}.sasl.jaas.config"] = \
                    f"{login}.scram.ScramLoginModule required;"
        self.dir = folder / "kafka"
        command = [SCRIPT, "start", "--dir", self.dir, "--port", self.ports["plaintext"]]
        for key, value in settings.items():
            command += ["--config", f"{key}={value}"]
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            command += ["--add-scram", f"{mechanism}=[name=gateway,password={SCRAM_PASSWORD}]"]
        allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={provider.url}/jwks"
        result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300,
                                env={**os.environ, "KAFKA_OPTS": allowed})
        assert result.returncode == 0, result.stdout + result.stderr

    def address(self, listener):
        return f"{'localhost' if 'ssl' in listener or listener == 'mtls' else '127.0.0.1'}:{self.ports[listener]}"

    def stop(self):
        subprocess.run([str(SCRIPT), "stop", "--dir", str(self.dir)], check=True, timeout=150)


@pytest.fixture(scope="module")
def secured(tmp_path_factory, module_servers):
    """The broker, and a gateway with a maker of event APIs over any of its listeners."""
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder, "authority")
    (folder / "provider").mkdir()
    provider = OidcProvider(folder / "provider", {"gateway": OIDC_SECRET}, "RS256")
    broker = Broker(folder, authority, provider)
    tokens = TokenServer()
    try:
        kafka = KafkaHelper(broker.address("plaintext"))
        control = module_servers.control()
        first = SampleApi(control, kafka.bootstrap_servers, kafka.create_topic("plain"))
        first.start_gateway(module_servers, kafka_metadata_refresh="500ms", publish_deadline="5s")

        class Place:
            pass

        place = Place()
        place.authority, place.broker, place.kafka, place.tokens, place.gateway = \
            authority, broker, kafka, tokens, first.gateway
        place.provider = provider
        place.stranger = Authority(folder, "stranger")

        def api(prefix, listener, tls=None, **authentication):
            # Compacted: that it wants keys is known only to who reads the topic's settings.
            topic = kafka.create_topic(prefix.rstrip("-"), config={"cleanup.policy": "compact"})
            backend = {**({"tls": tls} if tls else {}),
                       **({"authentication": authentication} if authentication else {})}
            sample = SampleApi(control, broker.address(listener), topic, prefix=prefix, group=first.group,
                               listener=(first.listener, first.port), backend=backend,
                               key={"source": "none"})
            sample.gateway = first.gateway
            sample.wait_served()
            return sample

        place.api = api
        yield place
    finally:
        broker.stop()
        tokens.server.shutdown()
        provider.close()


def health(place, api):
    return requests.get(place.gateway.observe_url + "/health/backends", timeout=30).json()["backends"][api.backend]


def works(place, api):
    """Reading by librdkafka, and the gateway's own connection; publishing up to the broker's own judgement."""
    with api.stream() as stream:
        place.kafka.produce(api.topic, [{"key": b"k", "value": b'{"n":1}'}])
        assert stream.take(1)[0].json()["data"] == {"n": 1}
    # Before the topic's settings are known the broker itself refuses, by way of the producer; which has to connect first,
    # and the deadline is short.
    wait_until(lambda: api.publish({"n": 2}).status_code == 422, 60, "the refusal")
    wait_until(lambda: api.publish({"n": 2}).json()["type"].endswith("/invalid-key"), 60,
               "the topic's settings to be read")
    wait_until(lambda: health(place, api)["up"], 60, "the backend to be up")


def native(api):
    """A virtual cluster for Kafka clients over the same way in."""
    cluster = NativeCluster(api, f"native-{api.backend}", backend=api.backend)
    cluster.wait_served()
    return cluster


def works_natively(place, api):
    """Records through the gateway, by a topic that it made; the real addresses have no way to the client."""
    through = KafkaHelper(native(api).bootstrap_servers)
    topic = through.create_topic(api.backend)
    through.produce(topic, [bytes([n]) * 100_000 for n in range(5)])
    seen = [record.value() for record in through.consume_all(topic)]
    assert seen == [record.value() for record in place.kafka.consume_all(topic)] and len(seen) == 5


def refused_natively(place, api, reason):
    """The client's connection is closed, and the log says why."""
    cluster = native(api)
    with socket.create_connection(("127.0.0.1", cluster.port), timeout=60) as client:
        client.sendall(struct.pack(">ihhihi", 14, 3, 1, 9, -1, 0))
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
    [line] = wait_until(lambda: place.gateway.entries("native session closed", virtual_cluster=cluster.name), 60, "the line")
    assert reason in line["reason"].lower()


def tls(place, **fields):
    return {"enabled": True, "ca_pem": place.authority.certificate.read_text(), **fields}


def test_tls(secured):
    api = secured.api("tls-", "ssl", tls=tls(secured))
    works(secured, api)
    works_natively(secured, api)


def test_mutual_tls(secured):
    key, certificate = secured.authority.issue("gateway", "DNS:gateway.example")
    api = secured.api("mtls-", "mtls", tls=tls(secured, client_certificate_pem=certificate, client_key_pem=key))
    works(secured, api)
    works_natively(secured, api)


@pytest.mark.parametrize("mechanism, password", [
    ("PLAIN", PASSWORD), ("SCRAM-SHA-256", SCRAM_PASSWORD), ("SCRAM-SHA-512", SCRAM_PASSWORD)])
def test_credentials(secured, mechanism, password):
    works(secured, secured.api(mechanism.lower() + "-", "sasl_plaintext", mechanism=mechanism, username="gateway",
                               password=password))


def test_credentials_over_tls_with_another_name_on_the_certificate(secured):
    api = secured.api("both-", "sasl_ssl", tls=tls(secured, server_name="kafka.example"), mechanism="SCRAM-SHA-512",
                      username="gateway", password=SCRAM_PASSWORD)
    works(secured, api)
    works_natively(secured, api)


def test_oauth_client_credentials(secured):
    works(secured, secured.api("oauth-", "sasl_plaintext", mechanism="OAUTHBEARER", token_url=secured.tokens.url,
                               client_id="gateway", client_secret="client-secret"))
    assert secured.tokens.asked_at


def by_provider(secured, secret):
    return {"mechanism": "OAUTHBEARER", "token_url": secured.provider.token_url, "client_id": "gateway",
            "client_secret": secret, "scope": "orders:read orders:write"}


def test_oauth_tokens_of_a_real_provider_that_the_broker_checks(secured):
    api = secured.api("oidc-", "sasl_ssl_oidc", tls=tls(secured), **by_provider(secured, OIDC_SECRET))
    works(secured, api)
    works_natively(secured, api)


def test_a_wrong_client_secret_is_told(secured):
    api = secured.api("oidc-wrong-", "sasl_ssl_oidc", tls=tls(secured), **by_provider(secured, "wrong-password"))
    refused(secured, api, "answers 401 invalid_client to the client credentials of gateway")
    refused_natively(secured, api, "answers 401 invalid_client")


def test_a_token_is_fetched_once_for_all_and_again_before_it_expires(secured):
    """Who comes first fetches it, slowly; the others wait for that. It is fetched again when 0.7 of its life are over."""
    tokens = TokenServer(life_s=16, pause_s=0.5)
    try:
        api = secured.api("once-", "sasl_plaintext", mechanism="OAUTHBEARER", token_url=tokens.url, client_id="gateway",
                          client_secret="client-secret")
        cluster = native(api)

        def listed(_=None):
            return api.topic in KafkaHelper(cluster.bootstrap_servers).admin.list_topics(timeout=60).topics

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(listed, range(8)))
        wait_until(lambda: listed() and len(tokens.asked_at) > 1, 60, "the token to be fetched again")
        first, second = tokens.asked_at[:2]
        assert 0.5 * tokens.life_s < second - first < tokens.life_s
    finally:
        tokens.server.shutdown()


def refused(place, api, reason):
    """Publishing fails as not stored, health has the reason, and no log has the secret."""
    answer = api.publish({"n": 1})
    assert answer.status_code == 503 and answer.json()["type"].endswith("/not-persisted"), answer.text
    wait_until(lambda: reason in health(place, api)["last_error"].lower(), 60, f"health to say {reason}")
    assert not health(place, api)["up"]
    assert b"wrong-password" not in place.gateway.log()


def test_a_wrong_password_is_told(secured):
    api = secured.api("wrong-", "sasl_plaintext", mechanism="SCRAM-SHA-256", username="gateway",
                      password="wrong-password")
    refused(secured, api, "authentication")
    refused_natively(secured, api, "refuses the backend's credentials")


def test_an_authority_that_is_not_trusted_is_told(secured):
    untrusted = {"enabled": True, "ca_pem": secured.stranger.certificate.read_text()}
    api = secured.api("untrusted-", "ssl", tls=untrusted)
    refused(secured, api, "certificate")
    refused_natively(secured, api, "certificate")


def test_a_certificate_for_another_name_is_told(secured):
    api = secured.api("name-", "ssl", tls=tls(secured, server_name="other.example"))
    refused(secured, api, "certificate")
    refused_natively(secured, api, "hostname mismatch")


def test_no_verification_when_that_is_wanted(secured):
    works(secured, secured.api("skip-", "ssl", tls={"enabled": True, "verify": False}))
