"""Access tokens and client certificates on HTTP: who gets in by them, and until when."""

import base64
import hashlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import requests

from sluice_support import ApiError, SampleApi, free_port, json_lines, wait_until
from sluice_support.attacks import HOSTILE
from sluice_support.certificates import Authority
from sluice_support.issuer import Issuer
from sluice_support.sse import SseReader


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    issuer = Issuer(tmp_path_factory.mktemp("issuer"))
    yield issuer
    issuer.close()


@pytest.fixture(scope="module")
def sample(module_servers, kafka, issuer):
    topic = kafka.create_topic("orders", partitions=1)
    sample = SampleApi(module_servers.control(), kafka.bootstrap_servers, topic)
    sample.admin.create("issuers", name="login", url=issuer.url, audiences=["sluice"], clock_skew="0s")
    sample.match = lambda **match: sample.admin.create(
        "credentials", application=sample.application, type="oidc", oidc={"issuer": "login", **match})
    sample.match(value="shop")
    sample.start_gateway(module_servers, workers=2, identity_keys_retry="100ms", identity_token_wait="8s")
    wait_until(lambda: ask(sample, issuer.token()).status_code == 201, what="the token to be taken")
    return sample


def session():
    session = requests.Session()
    session.trust_env = False
    return session


def ask(sample, token, **headers):
    return session().post(sample.url, json={"n": 1}, timeout=30, headers={"Authorization": f"Bearer {token}", **headers})


def entries(sample):
    return json_lines(sample.gateway.access_log)


def reasons(sample):
    return [entry.get("denied") or "" for entry in entries(sample)]


def refused(sample, token, reason):
    """401 that says nothing of why; the log does."""
    answer = ask(sample, token)
    assert answer.status_code == 401 and answer.json()["type"].endswith("/invalid-token"), answer.text
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="sluice", error="invalid_token"'
    assert reason not in answer.text
    wait_until(lambda: any(reason in line for line in reasons(sample)), what=f'"{reason}" in the access log')


# ---- tokens ----

def test_a_token_is_verified_once_and_its_application_is_who_asks(sample, issuer):
    token = issuer.token(jti="once")
    before = sample.gateway.metrics()['sluice_identity_tokens_total{outcome="good"}']
    for _ in range(10):
        assert ask(sample, token).status_code == 201
    assert sample.gateway.metrics()['sluice_identity_tokens_total{outcome="good"}'] == before + 1
    wait_until(lambda: sum(entry.get("application") == sample.application for entry in entries(sample)) >= 10,
               what="the application in the access log")
    assert token not in sample.gateway.access_log.read_text() and token not in sample.gateway.log().decode()


@pytest.mark.parametrize("attack", HOSTILE)
def test_what_is_not_signed_for_us_is_refused(sample, issuer, attack):
    make, reason = HOSTILE[attack]
    refused(sample, make(issuer), reason)


def test_a_token_of_megabytes_is_refused_and_nothing_grows(sample):
    assert ask(sample, "a" * (10 << 20) + ".b.c").status_code in (413, 431)


def test_keys_are_rotated_and_invented_ids_do_not_hammer_the_issuer(sample, issuer):
    issuer.rotate("key-2")
    assert ask(sample, issuer.token()).status_code == 201
    tokens = [issuer.token(header={"kid": f"invented-{n}"}) for n in range(80)]
    fetches, begun = issuer.fetches, time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        assert {answer.status_code for answer in pool.map(lambda token: ask(sample, token), tokens)} == {401}
    assert issuer.fetches - fetches <= (time.monotonic() - begun) / 0.1 + 2  # 100 ms apart


def test_keys_serve_while_their_issuer_is_away_and_unknown_ones_are_refused(sample, issuer):
    issuer.down = True
    try:
        assert ask(sample, issuer.token(jti="away")).status_code == 201
        refused(sample, issuer.token(header={"kid": "new"}), "no key")
        up = 'sluice_identity_issuer_up{issuer="login"}'
        wait_until(lambda: ask(sample, issuer.token(header={"kid": "new"})).status_code == 401 and
                   sample.gateway.metrics()[up] == 0, what="the issuer to be down")
        assert sample.gateway.metrics()['sluice_identity_keys{issuer="login"}'] >= 1
    finally:
        issuer.down = False
    wait_until(lambda: ask(sample, issuer.token(header={"kid": "newer"})).status_code == 401 and
               sample.gateway.metrics()[up] == 1, what="the issuer to be up")


def test_an_issuer_that_hangs_delays_no_other(sample, issuer, tmp_path):
    """It takes connections and says nothing; what needs the other's keys anew is answered meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        sample.admin.create("issuers", name="silent", url=url, audiences=["sluice"])
        silent_one = sample.admin.create("credentials", application=sample.application, type="oidc",
                                         oidc={"issuer": "silent", "value": "shop"})
        try:
            wait_until(lambda: ask(sample, issuer.token(iss=url)).status_code == 503, what="the silent issuer")
            issuer.rotate("key-while-another-hangs")  # the gateway must fetch while the other fetch hangs
            before = sample.gateway.metrics()['sluice_identity_tokens_total{outcome="unavailable"}']
            assert ask(sample, issuer.token()).status_code == 201
            assert sample.gateway.metrics()['sluice_identity_tokens_total{outcome="unavailable"}'] == before
            assert before >= 1
        finally:
            sample.admin.delete("credentials", silent_one["id"])
            sample.admin.delete("issuers", "silent")


def test_keys_that_never_came_make_503(sample, issuer, tmp_path):
    other = Issuer(tmp_path)
    other.down = True
    sample.admin.create("issuers", name="late", url=other.url)
    sample.admin.create("credentials", application=sample.application, type="oidc",
                        oidc={"issuer": "late", "value": "shop"})
    [answer] = wait_until(lambda: (a := ask(sample, other.token())).status_code == 503 and [a], what="503")
    assert answer.json()["type"].endswith("/identity-unavailable") and int(answer.headers["Retry-After"]) >= 1
    other.down = False
    wait_until(lambda: ask(sample, other.token()).status_code == 201, what="the keys to come")
    other.close()


def test_keys_over_https_by_the_authorities_of_the_issuer(sample, tmp_path):
    authority = Authority(tmp_path)
    other = Issuer(tmp_path, "ES256", authority.issue("issuer", ["IP:127.0.0.1"]))
    sample.admin.create("issuers", name="tls", url=other.url)
    sample.admin.create("credentials", application=sample.application, type="oidc",
                        oidc={"issuer": "tls", "value": "shop"})
    wait_until(lambda: ask(sample, other.token()).status_code == 503, what="the certificate to be distrusted")
    sample.admin.patch("issuers", "tls", ca_pem=authority.ca.read_text())
    wait_until(lambda: ask(sample, other.token()).status_code == 201, what="the certificate to be trusted")
    other.close()


def test_other_claims_and_values_of_any_length(sample, issuer):
    value = "v" * 400
    sample.admin.patch("issuers", "login", identifying_claims=["client_id", "/realm/client", "azp", "sub"])
    sample.match(claim="azp", value=value)
    wait_until(lambda: ask(sample, issuer.token(sub="x", azp=value)).status_code == 201, what="the credential")
    assert ask(sample, issuer.token(sub="x", azp=value[:-1])).status_code == 401
    sample.match(claim="/realm/client", value="nested")
    wait_until(lambda: ask(sample, issuer.token(sub="x", realm={"client": "nested"})).status_code == 201,
               what="the nested claim")


def test_nobody_stands_in_anothers_way_by_another_claim(sample, issuer):
    """What a token is matched by is one claim, which the issuer's owner has put first; others change nothing."""
    sample.new_application("second")
    own = {"sub": "own", "azp": "own-client"}
    second = {"application": "second", "type": "oidc"}
    sample.match(claim="azp", value="own-client")
    wait_until(lambda: ask(sample, issuer.token(**own)).status_code == 201, what="its own token")
    problem = sample.admin.request("POST", "/v1/credentials", json={**second, "oidc": {
        "issuer": "login", "claim": "client", "value": "x"}}, expect=400).json()
    assert problem["errors"][0]["pointer"] == "/oidc/claim"
    sample.admin.create("credentials", **second, oidc={"issuer": "login", "claim": "sub", "value": "own"})
    wait_until(lambda: ask(sample, issuer.token(sub="own")).status_code == 403, what="the other application's credential")
    assert ask(sample, issuer.token(**own)).status_code == 201
    refused(sample, issuer.token(sub="own", azp="nobodys"), "unknown credential")
    with pytest.raises(ApiError, match="live credentials name the claim"):
        sample.admin.patch("issuers", "login", identifying_claims=["sub"])


def test_an_issuer_that_lists_no_claims_takes_all(sample, issuer):
    sample.new_application("third")
    sample.admin.patch("issuers", "login", identifying_claims=[])
    sample.wait_in_force(sample.admin.create("credentials", application="third", type="oidc",
                                             oidc={"issuer": "login", "claim": "client", "value": "third"}))
    wait_until(lambda: ask(sample, issuer.token(sub="x", client="third")).status_code == 403,
               what="the application without a subscription")
    refused(sample, issuer.token(client="third"), "two applications")
    sample.admin.patch("issuers", "login", identifying_claims=["client_id", "/realm/client", "azp", "sub", "client"])
    wait_until(lambda: ask(sample, issuer.token(client="third")).status_code == 201, what="the first claim to count alone")


# ---- how long ----

def test_a_stream_ends_with_its_token(sample, issuer):
    with SseReader(sample.url, {"Authorization": f"Bearer {issuer.token(exp=int(time.time()) + 10)}"}, timeout=20) as reader:
        assert reader.status == 200
        reader.wait_end()


def test_a_ticket_that_a_token_bought_ends_with_it(sample, issuer):
    until = int(time.time()) + 8
    answer = session().post(sample.url + "/tickets", timeout=30,
                            headers={"Authorization": f"Bearer {issuer.token(exp=until)}"})
    assert answer.status_code == 201
    with SseReader(f"{sample.url}?ticket={answer.json()['ticket']}", timeout=20) as reader:
        assert reader.status == 200
        reader.wait_end()
    assert time.time() >= until
    with SseReader(f"{sample.url}?ticket={answer.json()['ticket']}", timeout=20) as late:
        assert late.status == 401


def test_revoking_the_credential_ends_streams_and_refuses_tokens(sample, issuer):
    credential = sample.match(value="revoked")
    token = issuer.token(sub="revoked")
    sample.wait_in_force(credential)
    assert ask(sample, token).status_code == 201
    with SseReader(sample.url, {"Authorization": f"Bearer {token}"}, timeout=20) as reader:
        assert reader.status == 200
        revoked = sample.admin.request("POST", f"/v1/credentials/{credential['id']}/revoke", expect=200).json()
        reader.wait_end()
    sample.wait_in_force(revoked)
    assert ask(sample, token).status_code == 401


# ---- policies ----

def test_streams_end_when_the_way_in_that_they_used_is_gone(sample, issuer):
    """A key that is not taken any more, and a token with too few scopes now; another token's goes on."""
    headers = {"key": {"X-API-Key": sample.key}, "few": {"Authorization": f"Bearer {issuer.token(jti='few')}"},
               "enough": {"Authorization": f"Bearer {issuer.token(scope='orders:write')}"}}
    with ExitStack() as stack:
        readers = {who: stack.enter_context(SseReader(sample.url, sent, timeout=20)) for who, sent in headers.items()}
        sample.admin.create("policies", name="way", type="oidc", scope={"kind": "event-api", "ref": sample.event_api},
                            config={"scopes": ["orders:write"]})
        try:
            for who in ("key", "few"):
                told = readers[who].wait_end(60)[-1]
                assert told.event == "error" and told.json()["type"].endswith("/access-revoked")
            token = issuer.token(scope="orders:write", jti="publishes")
            answer = session().post(sample.url, json={"n": "after"}, headers={"Authorization": f"Bearer {token}"}, timeout=30)
            assert answer.status_code == 201
            assert readers["enough"].find(1, lambda event: event.json()["data"] == {"n": "after"})
        finally:
            sample.admin.delete("policies", "way")
            sample.wait_in_force()
    assert sample.publish({"n": 1}).status_code == 201


def test_scopes_and_issuers_of_the_policy(sample, issuer):
    scope = {"kind": "event-api", "ref": sample.event_api}
    policy = sample.admin.create("policies", name="tokens", type="oidc", scope=scope,
                                 config={"issuers": ["login"], "scopes": ["orders:write"]})
    try:
        sample.wait_in_force(policy)
        answer = ask(sample, issuer.token())
        assert answer.status_code == 403
        assert answer.json()["type"].endswith("/insufficient-scope")
        assert answer.headers["WWW-Authenticate"].endswith('error="insufficient_scope", scope="orders:write"')
        assert ask(sample, issuer.token(scope="other orders:write")).status_code == 201
        assert ask(sample, issuer.token(scope=["orders:write"])).status_code == 201
        assert sample.publish({"n": 1}).status_code == 401  # nothing else is taken now
    finally:
        sample.admin.delete("policies", "tokens")
        sample.wait_in_force()
    assert sample.publish({"n": 1}).status_code == 201


def test_a_condition_knows_the_token(sample, issuer):
    scope = {"kind": "event-api", "ref": sample.event_api}
    condition = "token.subject == 'shop' && token.issuer == 'login' && 'eu' in token.groups && 'w' in token.scopes"
    policy = sample.admin.create("policies", name="eu", type="subscription", scope=scope, condition=condition)
    try:
        sample.wait_in_force(policy)
        assert ask(sample, issuer.token(groups=["us"], scope="w")).status_code == 403
        answer = ask(sample, issuer.token(groups=["us", "eu"], scope="r w"))
        assert answer.status_code == 201, reasons(sample)[-3:]
    finally:
        sample.admin.delete("policies", "eu")
        sample.wait_in_force()
    assert ask(sample, issuer.token()).status_code == 201


def test_who_brings_nothing_is_told_what_to_bring(sample):
    answer = session().post(sample.url, json={}, timeout=30)
    assert answer.status_code == 401
    assert answer.json()["detail"] == ("Send the application's API key in X-API-Key, or its id and secret as HTTP Basic, "
                                       "or an access token as Bearer.")
    assert "Basic" in answer.headers["WWW-Authenticate"] and "Bearer" in answer.headers["WWW-Authenticate"]
    scope = {"kind": "event-api", "ref": sample.event_api}
    policy = sample.admin.create("policies", name="basic", type="basic-auth", scope=scope)
    try:
        sample.wait_in_force(policy)
        assert sample.publish({"n": 1}).status_code == 401
        assert "X-API-Key" not in session().post(sample.url, json={}, timeout=30).text
        assert "X-API-Key" not in session().post(sample.url, json={}, timeout=30, auth=("x", "y")).text
    finally:
        sample.admin.delete("policies", "basic")
        sample.wait_in_force()
    assert sample.publish({"n": 1}).status_code == 201


# ---- certificates ----

@pytest.fixture(scope="module")
def secured(sample, tmp_path_factory):
    """The same event API, major 2, on an HTTPS listener that asks for a certificate and does not insist."""
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    port = free_port()
    tls = authority.listener_tls("gateway", ["IP:127.0.0.1"], client_auth="request",
                                 client_ca_pem=authority.ca.read_text())
    sample.admin.create("listeners", name="https", gateway_group=sample.group, protocol="http",
                        address=f"127.0.0.1:{port}", tls=tls)
    sample.admin.create("event-apis", name=sample.name, major=2, team=sample.team, operations=["publish", "read"],
                        exposures=["rest", "sse"], lifecycle="published")
    sample.admin.create("deployments", event_api=f"{sample.name}.v2", gateway_group=sample.group,
                        virtual_cluster=sample.virtual_cluster, topic=sample.topic, listener="https")
    sample.admin.patch("products", sample.product, event_apis=[sample.event_api, f"{sample.name}.v2"])
    url = f"https://127.0.0.1:{port}/{sample.name}/v2/events"

    def post(certificate=None, **kwargs):
        return session().post(url, json={"n": 1}, timeout=30, verify=str(authority.ca),
                              cert=certificate and tuple(map(str, certificate)), **kwargs)

    def served():
        try:
            return post(headers={"X-API-Key": sample.key}).status_code == 201
        except requests.ConnectionError:
            return False

    wait_until(served, what="the HTTPS listener")
    return authority, post


def _fingerprint(certificate):
    pem = certificate.read_text().replace("-----BEGIN CERTIFICATE-----", "").replace("-----END CERTIFICATE-----", "")
    return hashlib.sha256(base64.b64decode(pem)).hexdigest()


def test_a_certificate_is_matched_by_what_the_listener_lists(sample, secured):
    authority, post = secured
    pair = authority.issue("client-1", ["DNS:client-1.example", "URI:spiffe://example/client-1", "IP:192.0.2.1"])
    assert post(pair).status_code == 401
    for name, match in (("subject", {"subject": "CN=client-1"}), ("uri", {"san": "URI:spiffe://example/client-1"}),
                        ("dns", {"san": "DNS:Client-1.example"}), ("ip", {"san": "IP:192.0.2.1"}),
                        ("fingerprint", {"fingerprint": _fingerprint(pair[0])})):
        sample.admin.patch("listeners", "https", tls={"client_identity": [name]})
        credential = sample.wait_in_force(sample.admin.create(
            "credentials", application=sample.application, type="certificate", certificate=match))
        assert post(pair).status_code == 201, match
        sample.wait_in_force(sample.admin.act("credentials", credential["id"], "revoke").json())
        assert post(pair).status_code == 401, match


def test_nobody_stands_in_anothers_way_by_another_property(sample, secured):
    authority, post = secured
    pair, bare = authority.issue("client-2", ["DNS:client-2.example"]), authority.issue("client-3", ["URI:spiffe://example/client-3"])
    sample.new_application("fourth")
    by = lambda application, **match: sample.admin.create("credentials", application=application, type="certificate",
                                                          certificate=match)
    sample.admin.patch("listeners", "https", tls={"client_identity": ["dns", "subject"]})
    by(sample.application, san="DNS:client-2.example")
    wait_until(lambda: post(pair).status_code == 201, what="the credential")
    by("fourth", subject="CN=client-2")
    by("fourth", subject="CN=client-3")
    wait_until(lambda: post(bare).status_code == 403, what="the other application's credentials")
    assert post(pair).status_code == 201
    problem = sample.admin.request("POST", "/v1/credentials", expect=400, json={
        "application": "fourth", "type": "certificate", "certificate": {"fingerprint": _fingerprint(pair[0])}}).json()
    assert problem["errors"][0]["pointer"] == "/certificate/fingerprint"
    sample.admin.patch("listeners", "https", tls={"client_identity": []})
    wait_until(lambda: post(pair).status_code == 401, what="two applications to match")


def test_a_certificate_of_a_stranger_does_not_get_as_far(secured, tmp_path):
    _, post = secured
    with pytest.raises(requests.ConnectionError):
        post(Authority(tmp_path, "Other CA").issue("client-1", ["DNS:client-1.example"]))
