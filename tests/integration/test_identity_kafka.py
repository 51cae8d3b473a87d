"""Native clients by secret, token and certificate: who gets in, until when, and how they stay."""

import json
import ssl
import struct
import time

import pytest
from confluent_kafka import Consumer, KafkaException
from confluent_kafka.admin import AdminClient as KafkaAdmin
from kafka import KafkaProducer
from kafka.net.sasl.oauth import AbstractTokenProvider

from sluice_support import Authority, KafkaHelper, NativeCluster, SampleApi, wait_until
from sluice_support.attacks import HOSTILE
from sluice_support.issuer import Issuer
from sluice_support.wire_peer import WirePeer

INVALID_TOKEN = b'{"status":"invalid_token"}'


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    issuer = Issuer(tmp_path_factory.mktemp("issuer"), "ES256")
    yield issuer
    issuer.close()


@pytest.fixture(scope="module")
def sample(module_servers, kafka, issuer):
    sample = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders", partitions=1))
    sample.admin.create("issuers", name="login", url=issuer.url, audiences=["sluice"], clock_skew="0s")
    sample.match = lambda application, value: sample.admin.create(
        "credentials", application=application, type="oidc", oidc={"issuer": "login", "value": value})
    sample.match(sample.application, "shop")
    sample.admin.create("applications", name="second", team=sample.team)
    sample.match("second", "second")
    sample.admin.create("subscriptions", application="second", plan=sample.plan, environment="dev")
    sample.start_gateway(module_servers, identity_keys_retry="100ms", kafka_expiry_grace="5s", workers=2)
    return sample


@pytest.fixture(scope="module")
def cluster(sample, issuer):
    """One that takes everything but certificates."""
    cluster = NativeCluster(sample, "many", authentication=["plain", "scram", "oauthbearer"])
    wait_until(lambda: KafkaAdmin(bearer(cluster, issuer)).list_topics(timeout=20), 60, "the listener")
    return cluster


def secret(cluster, mechanism, credential):
    return {"bootstrap.servers": cluster.bootstrap_servers, "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": mechanism, "sasl.username": credential["id"], "sasl.password": credential["secret"]}


def bearer(cluster, issuer, **claims):
    def token(_):
        lifetime_s = claims.get("lifetime_s", 300)
        rest = {name: value for name, value in claims.items() if name != "lifetime_s"}
        return issuer.token(**{"exp": int(time.time()) + lifetime_s + 2, **rest}), time.time() + lifetime_s
    return {"bootstrap.servers": cluster.bootstrap_servers, "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "OAUTHBEARER", "oauth_cb": token}


def kept_out(config, told=""):
    """A client cannot get in, and is told so in these words: it tries again and again, and is not always told the same."""
    errors = []
    client = KafkaAdmin({**config, "error_cb": errors.append})
    with pytest.raises(KafkaException):
        client.list_topics(timeout=1)
    wait_until(lambda: client.poll(0.1) is not None and any(told in str(error) for error in errors),
               what=f'an error of the client: "{told}"')


def logged(sample, text):
    return wait_until(lambda: text in sample.gateway.log().decode(), what=f'"{text}" in the log')


def round_trip(config):
    helper = KafkaHelper(config["bootstrap.servers"], config)
    topic = helper.create_topic("identity")
    helper.produce(topic, [b"one", b"two"])
    assert [record.value() for record in helper.consume_all(topic)] == [b"one", b"two"]


# ---- mechanisms ----

@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_librdkafka_by_the_secret(sample, cluster, mechanism):
    round_trip(secret(cluster, mechanism, sample.credential))
    for credential in ({"id": sample.credential["id"], "secret": "x" * 32}, {"id": "nobody", "secret": "x" * 32}):
        kept_out(secret(cluster, mechanism, credential), "uthentication failed")
    logged(sample, "wrong secret")
    logged(sample, "unknown credential")
    for text in (sample.gateway.log().decode(), sample.gateway.access_log.read_text()):
        assert sample.credential["secret"] not in text


def test_librdkafka_by_token(sample, cluster, issuer):
    round_trip(bearer(cluster, issuer))
    kept_out(bearer(cluster, issuer, aud="else"), "invalid_token")
    kept_out(bearer(cluster, issuer, sub="nobody"), "invalid_token")
    logged(sample, "the token is for none of the audiences")
    logged(sample, "unknown credential")


def oidc_policy(sample, cluster, name, config, **fields):
    """In force afterwards."""
    sample.wait_in_force(sample.admin.create("policies", name=name, type="oidc", config=config,
                                             scope={"kind": "virtual-cluster", "ref": cluster.name}, **fields))


def test_policies_say_which_tokens_are_good(sample, cluster, issuer):
    """Issuers and scopes, for new sessions and for those that are open; secrets go on. One that takes it is enough."""
    def listed(**claims):
        return KafkaAdmin(bearer(cluster, issuer, **claims)).list_topics(timeout=60)
    with_scope = KafkaAdmin(bearer(cluster, issuer, scope="orders:read kafka"))
    without = KafkaAdmin(bearer(cluster, issuer))
    assert with_scope.list_topics(timeout=60) and without.list_topics(timeout=60)
    oidc_policy(sample, cluster, "scoped", {"issuers": ["login"], "scopes": ["kafka"]})
    try:
        logged(sample, "oidc scoped: the token lacks the scope kafka")
        kept_out(bearer(cluster, issuer), "invalid_token")
        assert listed(scope="kafka") and with_scope.list_topics(timeout=60)
        assert KafkaAdmin(secret(cluster, "PLAIN", sample.credential)).list_topics(timeout=60)
        oidc_policy(sample, cluster, "unscoped", {})
        assert listed()  # the policy that takes all tokens
        sample.admin.delete("policies", "unscoped")
        sample.wait_in_force(sample.admin.patch("policies", "scoped", dry_run=True))
        assert listed()
        logged(sample, '"policy":"scoped","reason":"oidc scoped: the token lacks the scope kafka"')
        sample.wait_in_force(sample.admin.patch("policies", "scoped", dry_run=False,
                                                condition="client.address == '192.0.2.1'"))
        kept_out(bearer(cluster, issuer, scope="kafka"), "invalid_token")  # by the policy of others, which replaces the built-in
        logged(sample, "oidc scoped: its condition is false")
    finally:
        sample.admin.delete("policies", "scoped")
        sample.wait_in_force()


class Provider(AbstractTokenProvider):
    def __init__(self, issuer):
        self.issuer = issuer

    def token(self):
        return self.issuer.token()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"])
def test_kafka_python(sample, cluster, issuer, kafka, mechanism):
    who = {"sasl_oauth_token_provider": Provider(issuer)} if mechanism == "OAUTHBEARER" else {
        "sasl_plain_username": sample.credential["id"], "sasl_plain_password": sample.credential["secret"]}
    kafka_python_produces(sample, kafka, cluster, security_protocol="SASL_PLAINTEXT", sasl_mechanism=mechanism, **who)


def kafka_python_produces(sample, kafka, cluster, **who):
    producer = KafkaProducer(bootstrap_servers=cluster.bootstrap_servers, **who)
    before = sum(kafka.end_offsets(sample.topic).values())
    producer.send(sample.topic, b"x").get(60)
    producer.close()
    assert sum(kafka.end_offsets(sample.topic).values()) == before + 1


def test_a_mechanism_that_is_not_taken_is_told_what_is(sample):
    only = NativeCluster(sample, "tokens-only", authentication=["oauthbearer"])
    only.wait_served()
    with WirePeer(only.port) as peer:
        error, offered = peer.handshake("PLAIN")
        assert (error, offered) == (33, ["OAUTHBEARER"])
        assert peer.answer() == b""


# ---- tokens on the wire ----

def initial(token, identity=""):
    return f"n,{identity and 'a=' + identity},\x01auth=Bearer {token}\x01\x01".encode()


def test_a_refused_token_is_challenged_and_then_fails(sample, cluster, issuer):
    with WirePeer(cluster.port) as peer:
        assert peer.handshake("OAUTHBEARER")[0] == 0
        answer = peer.authenticate(initial(issuer.token(aud="else")))
        assert (answer.error, answer.data) == (0, INVALID_TOKEN)
        answer = peer.authenticate(b"\x01")
        assert (answer.error, answer.message) == (58, INVALID_TOKEN.decode())
        assert peer.answer() == b""


@pytest.mark.parametrize("message", [b"", b"n,,\x01\x01", b"\x00user\x00password", initial("a.b"), b"n,," + b"\x01" * 100])
def test_what_is_no_token_is_refused(cluster, message):
    with WirePeer(cluster.port) as peer:
        peer.handshake("OAUTHBEARER")
        assert peer.authenticate(message).data == INVALID_TOKEN
        assert peer.authenticate(b"\x01").error == 58


def test_a_client_cannot_act_for_somebody_else(cluster, issuer):
    with WirePeer(cluster.port) as peer:
        peer.handshake("OAUTHBEARER")
        assert peer.authenticate(initial(issuer.token(), "shop")).session_lifetime_ms > 0
    with WirePeer(cluster.port) as peer:
        peer.handshake("OAUTHBEARER")
        assert peer.authenticate(initial(issuer.token(), "root")).data == INVALID_TOKEN


# ---- re-authentication ----

def test_a_session_lives_as_long_as_its_token_unless_it_authenticates_again(cluster, issuer):
    with WirePeer(cluster.port) as peer, WirePeer(cluster.port) as lazy:
        for one in (peer, lazy):
            one.handshake("OAUTHBEARER")
            until = int(time.time()) + 8
            assert 0 < one.authenticate(initial(issuer.token(exp=until))).session_lifetime_ms <= 8000
            assert one.metadata()
        peer.handshake("OAUTHBEARER")
        assert 200_000 < peer.authenticate(initial(issuer.token())).session_lifetime_ms <= 300_000
        assert lazy.wait_closed(60)
        assert time.time() >= until
        assert peer.metadata()


def test_answers_under_way_keep_their_places_beside_an_authentication(cluster, issuer):
    with WirePeer(cluster.port) as peer:
        peer.handshake("OAUTHBEARER")
        peer.authenticate(initial(issuer.token()))
        peer.send_metadata(1)
        peer.send_handshake("OAUTHBEARER", 2)
        peer.send_authenticate(initial(issuer.token()), 3)
        peer.send_metadata(4)
        assert [struct.unpack(">i", peer.answer()[:4])[0] for _ in range(4)] == [1, 2, 3, 4]


def test_a_session_stays_one_applications(cluster, issuer, sample):
    with WirePeer(cluster.port) as peer:
        peer.handshake("OAUTHBEARER")
        peer.authenticate(initial(issuer.token()))
        peer.handshake("SCRAM-SHA-256")  # the same application by other means: refused here only for want of a proof
        assert peer.authenticate(b"n,,n=%s,r=abc" % sample.credential["id"].encode()).data.startswith(b"r=abc")
        peer.handshake("OAUTHBEARER")
        assert peer.authenticate(initial(issuer.token(sub="second"))).error == 58
        assert peer.answer() == b""


def test_librdkafka_authenticates_again_and_goes_on(cluster, issuer, sample):
    config = bearer(cluster, issuer, lifetime_s=3)
    helper = KafkaHelper(cluster.bootstrap_servers, config)
    topic = helper.create_topic("again")
    looked_at = 'sluice_identity_tokens_total{outcome="good"}'
    before = sample.gateway.metrics()[looked_at]
    errors = []
    consumer = Consumer({**config, "group.id": topic, "auto.offset.reset": "earliest", "error_cb": errors.append})
    consumer.subscribe([topic])

    def tokens():
        consumer.poll(0.1)
        return sample.gateway.metrics()[looked_at] >= before + 3  # three lifetimes
    wait_until(tokens, 60, "three tokens")
    helper.produce(topic, [b"still here"])
    record = wait_until(lambda: consumer.poll(0.5), 60, "the record")
    assert record.value() == b"still here" and not errors
    consumer.close()


# ---- revocation ----

def test_revoking_a_credential_ends_the_sessions_of_its_tokens(cluster, issuer, sample):
    credential = sample.wait_in_force(sample.match(sample.application, "revoked"))

    def let_in(peer):
        peer.handshake("OAUTHBEARER")
        return peer.authenticate(initial(issuer.token(sub="revoked"))).session_lifetime_ms > 0

    with WirePeer(cluster.port) as peer:
        assert let_in(peer) and peer.metadata()
        sample.admin.act("credentials", credential["id"], "revoke")
        assert peer.wait_closed(60)
    logged(sample, "its credential or subscription is gone")


@pytest.mark.parametrize("attack", HOSTILE)
def test_what_is_not_signed_for_us_is_refused(sample, cluster, issuer, attack):
    make, reason = HOSTILE[attack]
    with WirePeer(cluster.port) as peer:
        peer.handshake("OAUTHBEARER")
        answer = peer.authenticate(initial(make(issuer)))
        assert (answer.error, answer.data) == (0, INVALID_TOKEN)
        answer = peer.authenticate(b"\x01")  # as clients acknowledge it
        assert answer.error == 58 and reason not in answer.message
        assert peer.wait_closed(60)
    logged(sample, reason)


def test_a_token_of_megabytes_is_refused_and_the_gateway_goes_on(sample, cluster, issuer):
    with WirePeer(cluster.port) as peer:
        peer.handshake("OAUTHBEARER")
        try:
            peer.authenticate(initial("a" * (10 << 20) + ".b.c"))
        except (struct.error, BrokenPipeError, ConnectionResetError):
            pass  # closed without an answer
    with WirePeer(cluster.port) as peer:
        peer.handshake("OAUTHBEARER")
        assert peer.authenticate(initial(issuer.token())).error == 0


# ---- who is unknown ----

def scram_salts(cluster, credential):
    """What the gateway answers about a name that it does not know, and about one that it knows."""
    salts = []
    for name in ("nobody", credential["id"]):
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            with WirePeer(cluster.port) as peer:
                peer.handshake(mechanism)
                first = peer.authenticate(f"n,,n={name},r=client".encode()).data.decode()
            salts.append(dict(part.split("=", 1) for part in first.split(","))["s"])
    return salts


def test_a_name_that_nobody_has_answers_alike_before_and_after_a_restart(sample, cluster):
    before = scram_salts(cluster, sample.credential)
    assert len(set(before)) == 4 and len({len(salt) for salt in before}) == 1
    sample.gateway.stop()
    sample.gateway.start()
    cluster.wait_served()
    assert scram_salts(cluster, sample.credential) == before


# ---- certificates ----

def test_certificates(sample, kafka, tmp_path):
    authority = Authority(tmp_path)
    tls = authority.listener_tls("gateway", ["IP:127.0.0.1"], client_auth="request",
                                 client_ca_pem=authority.ca.read_text(), client_identity=["uri", "subject"])
    strict = NativeCluster(sample, "certificates", authentication=["mtls"], tls=tls)
    loose = NativeCluster(sample, "either", authentication=["mtls", "scram", "plain"], tls=tls)
    certificate, key = authority.issue("kafka-client", ["URI:spiffe://example/kafka-client"])
    strict.wait_served()

    def config(cluster, pair=True, **more):
        own = {"ssl.certificate.location": str(certificate), "ssl.key.location": str(key)} if pair else {}
        return {"bootstrap.servers": cluster.bootstrap_servers, "security.protocol": "SSL",
                "ssl.ca.location": str(authority.ca), **own, **more}

    kept_out(config(strict))
    logged(sample, "unknown credential, certificate CN=kafka-client")
    kept_out(config(strict, pair=False))
    logged(sample, "the client brought no certificate")
    credential = sample.admin.create("credentials", application=sample.application, type="certificate",
                                     certificate={"san": "URI:spiffe://example/kafka-client"})
    wait_until(lambda: KafkaAdmin(config(strict)).list_topics(timeout=20), 60, "the credential")
    round_trip(config(strict))
    kafka_python_produces(sample, kafka, strict, security_protocol="SSL", ssl_cafile=authority.ca, ssl_keyfile=key,
                          ssl_certfile=certificate)
    assert KafkaAdmin(config(loose)).list_topics(timeout=60)
    sasl = {**secret(loose, "SCRAM-SHA-512", sample.credential), "security.protocol": "SASL_SSL"}
    assert KafkaAdmin({**config(loose, pair=False), **sasl}).list_topics(timeout=60)
    assert KafkaAdmin({**config(loose), **sasl}).list_topics(timeout=60)  # both: what it says counts
    other = sample.wait_in_force(sample.admin.create("credentials", application="second", type="secret"))
    as_other = secret(loose, "PLAIN", other)
    assert KafkaAdmin({**config(loose), **as_other, "security.protocol": "SASL_SSL"}).list_topics(timeout=60)
    context = ssl.create_default_context(cafile=authority.ca)
    context.load_cert_chain(certificate, key)
    for settled in (False, True):  # until the connection was used by the certificate
        with WirePeer(loose.port, tls=context) as peer:
            assert not settled or peer.metadata()
            peer.handshake("PLAIN")
            proof = f"\0{other['id']}\0{other['secret']}".encode()
            assert peer.authenticate(proof).error == (58 if settled else 0)
    with WirePeer(strict.port, tls=context) as peer:  # what is matched first is nobody's
        assert peer.metadata()
        sample.admin.patch("listeners", "certificates", tls={"client_identity": ["subject", "uri"]})
        assert peer.wait_closed(60)
    logged(sample, "its certificate is matched by something else now")
    sample.admin.patch("listeners", "certificates", tls={"client_identity": ["uri", "subject"]})
    wait_until(lambda: KafkaAdmin(config(strict)).list_topics(timeout=20), 60, "the property to count again")
    sample.admin.act("credentials", credential["id"], "revoke")
    sample.wait_in_force()
    kept_out(config(strict))


def test_every_ending_is_told_once_with_its_reason(sample):
    """What was refused above is in the log with the client, and nothing of what it brought."""
    lines = sample.gateway.entries()
    closed = [line for line in lines if line["message"] == "native session closed"]
    assert closed and all(line["client"].startswith("127.0.0.1:") for line in closed)
    assert not any("eyJ" in json.dumps(line) for line in lines)
