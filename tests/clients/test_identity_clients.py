"""Clients of Java, librdkafka and HTTP by every way in, with tokens of a real OpenID provider."""

import base64
import json

import pytest
import requests
from confluent_kafka.admin import AdminClient as KafkaAdmin

from client_support import Java
from sluice_support import Authority, NativeCluster, SampleApi, wait_until
from sluice_support.oidc_provider import OidcProvider

TOOLS = "org.apache.kafka.tools"
SECRET = "a-secret-of-the-provider"


@pytest.fixture(scope="module", params=["RS256", "ES256", "EdDSA"])
def provider(request, tmp_path_factory):
    provider = OidcProvider(tmp_path_factory.mktemp("provider"), {"shop": SECRET, "nobody": SECRET}, request.param)
    provider.algorithm = request.param
    yield provider
    provider.close()


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    """Kafka's clients fetch tokens from listed places only."""
    java = Java(tmp_path_factory.mktemp("java") / "runner.log")
    yield java
    java.stop()


@pytest.fixture(scope="module")
def world(module_servers, kafka, tmp_path_factory):
    sample = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders"))
    sample.start_gateway(module_servers)
    sample.authority = Authority(tmp_path_factory.mktemp("authority"))
    tls = sample.authority.listener_tls("gateway", ["IP:127.0.0.1"], client_auth="request",
                                        client_ca_pem=sample.authority.ca.read_text())
    sample.cluster = NativeCluster(sample, "everything", authentication=["plain", "scram", "oauthbearer", "mtls"],
                                   tls=tls)
    sample.cluster.wait_served()
    return sample


@pytest.fixture(scope="module")
def trusted(world, provider):
    """The gateway knows the provider and one of its clients."""
    name = provider.algorithm.lower()
    world.admin.create("issuers", name=name, url=provider.url, audiences=["sluice"], algorithms=[provider.algorithm],
                       identifying_claims=["client_id", "sub"])
    world.wait_in_force(world.admin.create("credentials", application=world.application, type="oidc",
                                           oidc={"issuer": name, "claim": "client_id", "value": "shop"}))
    wait_until(lambda: publish(world, token_of(provider)).status_code == 201, what="the token to be taken")
    return world


def session():
    session = requests.Session()
    session.trust_env = False
    return session


def token_of(provider, client="shop", scope="orders:write"):
    answer = session().post(provider.token_url, auth=(client, SECRET), timeout=60,
                            data={"grant_type": "client_credentials", "scope": scope})
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


def publish(sample, token):
    return session().post(sample.url, json={"n": 1}, timeout=60, headers={"Authorization": f"Bearer {token}"})


def test_http(trusted, provider):
    assert publish(trusted, token_of(provider)).status_code == 201
    refused = publish(trusted, token_of(provider, "nobody"))
    assert refused.status_code == 401 and refused.json()["type"].endswith("/invalid-token")


def test_another_application_names_another_claim_of_its_tokens(trusted, provider):
    """The provider's tokens have sub as well; the issuer's owner has put client_id first."""
    token = token_of(provider)
    body = token.split(".")[1]
    subject = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["sub"]
    name = provider.algorithm.lower()
    trusted.new_application(f"other-{name}")
    trusted.admin.create("credentials", application=f"other-{name}", type="oidc",
                         oidc={"issuer": name, "claim": "sub", "value": subject})
    made = trusted.wait_in_force(trusted.new_credential(f"other-{name}"))
    assert trusted.publish({"n": 1}, key=made["api_key"]).status_code == 403
    assert publish(trusted, token).status_code == 201


def test_librdkafka_by_its_own_login(trusted, provider):
    config = {"bootstrap.servers": trusted.cluster.bootstrap_servers, "security.protocol": "SASL_SSL",
              "ssl.ca.location": str(trusted.authority.ca), "sasl.mechanism": "OAUTHBEARER",
              "sasl.oauthbearer.method": "oidc", "sasl.oauthbearer.client.id": "shop",
              "sasl.oauthbearer.client.secret": SECRET, "sasl.oauthbearer.token.endpoint.url": provider.token_url}
    assert trusted.topic in KafkaAdmin(config).list_topics(timeout=60).topics


# ---- Java ----

def properties(sample, folder, **more):
    """A file for Kafka's tools."""
    lines = {"ssl.truststore.type": "PEM", "ssl.truststore.location": sample.authority.ca,
             "ssl.endpoint.identification.algorithm": "", **more}
    path = folder / "client.properties"
    path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    return path


def list_topics(java, sample, path):
    return java.run(f"{TOOLS}.TopicCommand", "--bootstrap-server", sample.cluster.bootstrap_servers, "--command-config",
                    path, "--list")


def by_secret(mechanism, username, password):
    module = "plain.Plain" if mechanism == "PLAIN" else "scram.Scram"
    return {"security.protocol": "SASL_SSL", "sasl.mechanism": mechanism,
            "sasl.jaas.config": f'org.apache.kafka.common.security.{module}LoginModule required username="{username}" '
                                f'password="{password}";'}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_java_by_the_secret(java, world, tmp_path, mechanism):
    who = by_secret(mechanism, world.credential["id"], world.credential["secret"])
    outcome = list_topics(java, world, properties(world, tmp_path, **who))
    assert outcome.status == 0 and world.topic in outcome.output, outcome.errors
    outcome = list_topics(java, world, properties(world, tmp_path, **by_secret(mechanism, "nobody", "x" * 32)))
    assert outcome.status != 0 and "Authentication failed" in outcome.output + outcome.errors


def test_java_by_a_certificate(java, world, tmp_path):
    certificate, key = world.authority.issue("java", ["DNS:java.example"])
    store = tmp_path / "client.pem"
    store.write_bytes(key.read_bytes() + certificate.read_bytes())
    world.admin.create("credentials", application=world.application, type="certificate",
                       certificate={"subject": "CN=java"})
    path = properties(world, tmp_path, **{"security.protocol": "SSL", "ssl.keystore.type": "PEM",
                                          "ssl.keystore.location": store})
    def listed():
        outcome = list_topics(java, world, path)
        return outcome.status == 0 and world.topic in outcome.output
    wait_until(listed, 60, "the credential")


def by_token(provider, client):
    module = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
    handler = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler"
    return {"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER",
            "sasl.jaas.config": f'{module} required clientId="{client}" clientSecret="{SECRET}" scope="orders:read";',
            "sasl.login.callback.handler.class": handler, "sasl.oauthbearer.token.endpoint.url": provider.token_url}


def test_java_by_its_own_login(trusted, provider, tmp_path):
    allowed = {"org.apache.kafka.sasl.oauthbearer.allowed.urls": provider.token_url}
    java = Java(tmp_path / "runner.log", properties=allowed)
    try:
        outcome = list_topics(java, trusted, properties(trusted, tmp_path, **by_token(provider, "shop")))
        assert outcome.status == 0 and trusted.topic in outcome.output, outcome.errors
        outcome = list_topics(java, trusted, properties(trusted, tmp_path, **by_token(provider, "nobody")))
        assert outcome.status != 0 and "invalid_token" in outcome.output + outcome.errors
    finally:
        java.stop()
