"""Pods enrol by the tokens of their service accounts, and are forgotten when they are gone."""

import hashlib
import hmac
import json
import time

import pytest

from sluice_support import wait_until
from sluice_support.service_account import ISSUER, Cluster, SigningKey, jwt


def _connected(gateway):
    return gateway.metrics()["sluice_config_connected"] == 1


class Plane:
    """A control plane with one rule, for pods of the namespaces edge and edge-*."""

    def __init__(self, servers, cluster, **options):
        self.servers, self.cluster = servers, cluster
        self.control = servers.control(node_upkeep="200ms", node_heartbeat="300ms", issuer_keys_retry="100ms", **options)
        self.admin = self.control.admin
        self.admin.create("gateway-groups", name="dev", environment="dev")
        self.admin.create("issuers", name="cluster", url=ISSUER, jwks_url=cluster.url)
        self.admin.create("enrolment-rules", name="pods", group="dev", issuer="cluster", audience="sluice",
                          namespace="edge*", service_account="gateway")

    def pin(self):
        [authority] = self.admin.request("GET", "/v1/node-ca", expect=200).json()["authorities"]
        return authority["sha256"]

    def start(self, token_file, ready=True, **options):
        return self.servers.gateway(
            ready=ready, workers=1, config_reconnect_max="500ms", enrolment_ca_sha256=self.pin(),
            enrolment_endpoint=f"127.0.0.1:{self.control.enrolment_port}",
            enrolment_service_account_token_file=token_file, **options)

    def refused(self, gateway, reason):
        """The control plane refuses attempts for this reason, by the node's own log. None has succeeded."""
        def told():
            reasons = [entry["reason"] for entry in gateway.entries("enrolment failed")]
            assert any(reason in one for one in reasons), reasons
            return True

        wait_until(told, what=f'the token to be refused: "{reason}"')
        assert not gateway.entries("enrolled")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def plane(module_servers, cluster):
    return Plane(module_servers, cluster)


def _node_named(plane, pod):
    return next((node for node in plane.admin.list("gateway-nodes") if node.get("name") == pod), None)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_pod_joins_the_group_of_the_rule_as_an_ephemeral_node(plane, cluster, algorithm):
    key = cluster.key if algorithm == "RS256" else SigningKey(cluster.folder, "key-ec", algorithm)
    if key not in cluster.published:
        cluster.published.append(key)  # a key that the control plane has not seen: it asks again
    pod = f"gateway-{algorithm.lower()}"
    gateway = plane.start(cluster.token_file(pod, cluster.token(key, pod=pod) + "\n"))
    wait_until(lambda: _connected(gateway), what="the pod to connect")
    node = _node_named(plane, pod)
    assert node["group"] == "dev" and node["ephemeral"] is True
    actors = [event["actor"] for event in plane.admin.list("audit-events") if event["action"] == "enrol"]
    assert {"kind": "service-account", "id": "system:serviceaccount:edge:gateway", "name": pod} in actors
    gateway.stop()


def _hs256_with_the_public_key(cluster):
    """The old trick: whoever takes the algorithm from the token verifies an HMAC with the public key as its secret."""
    secret = cluster.key.public_pem()
    return jwt({"alg": "HS256", "kid": "key-1"}, cluster.claims(),
               lambda data: hmac.new(secret, data, hashlib.sha256).digest())


def _other_key_of_the_same_id(cluster):
    return cluster.token(SigningKey(cluster.folder / "other", "key-1"))


NOW = int(time.time())
BAD = {
    "wrong audience": (lambda c: c.token(aud=["https://kubernetes.default.svc"]), "no enrolment rule takes"),
    "wrong namespace": (lambda c: c.token(namespace="default"), "no enrolment rule takes"),
    "wrong account": (lambda c: c.token(account="default"), "no enrolment rule takes"),
    "unknown issuer": (lambda c: c.token(iss="https://elsewhere.example"), "no enrolment rule takes"),
    "no issuer": (lambda c: c.token(iss=None), "does not name its issuer"),
    "expired": (lambda c: c.token(exp=NOW - 3600), "expired"),
    "without expiry": (lambda c: c.token(exp=None), "does not say when it expires"),
    "of the future": (lambda c: c.token(nbf=NOW + 7200), "valid only in"),
    "no uid of its pod": (lambda c: c.token(**{"kubernetes.io": {**c.claims()["kubernetes.io"],
                                                                 "pod": {"name": "anonymous"}}}), "bound to a pod"),
    "not bound to a pod": (lambda c: c.token(**{"kubernetes.io": {"namespace": "edge"}}), "bound to a pod"),
    "another subject": (lambda c: c.token(sub="system:serviceaccount:kube-system:admin"), "subject"),
    "alg none": (lambda c: jwt({"alg": "none"}, c.claims(), lambda _: b""), "none are not accepted"),
    "HMAC with the public key": (_hs256_with_the_public_key, "HS256 are not accepted"),
    "unknown key": (lambda c: c.token(SigningKey(c.folder, "never-published")), 'no key "never-published"'),
    "another key of that id": (_other_key_of_the_same_id, "signature"),
    "changed claims": (lambda c: ".".join([c.token().split(".")[0], c.token(pod="other").split(".")[1],
                                           c.token().split(".")[2]]), "signature"),
    "critical header": (lambda c: c.token(header={"crit": ["exp"]}), "cannot be accepted"),
    "no token": (lambda c: "not-a-token", "three parts"),
    "too long": (lambda c: "a" * 20000, "larger than"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_token_is_refused_with_the_reason(plane, cluster, case):
    make, reason = BAD[case]
    (cluster.folder / "other").mkdir(exist_ok=True)
    before = len(plane.admin.list("gateway-nodes"))
    gateway = plane.start(cluster.token_file("bad", make(cluster)), ready=False)
    plane.refused(gateway, reason)
    assert len(plane.admin.list("gateway-nodes")) == before
    gateway.stop()


def test_a_token_that_becomes_good_is_read_again(plane, cluster):
    path = cluster.token_file("late", cluster.token(exp=NOW - 3600, pod="late"))
    gateway = plane.start(path, ready=False)
    plane.refused(gateway, "expired")
    path.write_text(cluster.token(pod="late"))
    wait_until(lambda: _connected(gateway), what="the pod to enrol with the new token")
    gateway.stop()


def test_keys_are_asked_for_seldom_whatever_tokens_say(plane, cluster):
    stranger = SigningKey(cluster.folder, "stranger")
    gateway = plane.start(cluster.token_file("stranger", cluster.token(stranger)), ready=False)
    plane.refused(gateway, 'no key "stranger"')
    gateway.stop()
    asked = []
    for pod in ("known", "known-too"):  # the stranger's last attempt may still be under way beside the first one
        good = plane.start(cluster.token_file(pod, cluster.token(pod=pod)))
        wait_until(lambda: _connected(good), what="the pod to connect")
        good.stop()
        asked.append(cluster.requests)
    assert asked[0] == asked[1]  # the cache answers for a key that is known


def test_keys_from_a_file_and_rules_that_are_taken_away(servers, cluster):
    plane = Plane(servers, cluster)
    keys = cluster.folder / "jwks.json"
    keys.write_text(json.dumps({"keys": [cluster.key.jwk]}))
    plane.admin.patch("issuers", "cluster", jwks_url=None, jwks_file=str(keys))
    asked = cluster.requests
    gateway = plane.start(cluster.token_file("file"))
    wait_until(lambda: _connected(gateway), what="the pod to connect")
    assert cluster.requests == asked
    assert plane.admin.request("DELETE", "/v1/issuers/cluster").status_code == 409
    plane.admin.delete("enrolment-rules", "pods")
    late = plane.start(cluster.token_file("late"), ready=False)
    plane.refused(late, "no enrolment rule takes")


def test_a_pod_that_is_gone_is_forgotten_and_one_that_comes_back_enrols_anew(servers, cluster):
    plane = Plane(servers, cluster, node_forget_ephemeral_after="4s")
    gateway = plane.start(cluster.token_file("pod", cluster.token(pod="pod")))
    wait_until(lambda: _connected(gateway), what="the pod to connect")
    first = _node_named(plane, "pod")["id"]
    gateway.stop()
    wait_until(lambda: plane.admin.list("gateway-nodes") == [], what="the pod to be forgotten")
    assert ("delete", "gateway-nodes", "upkeep") in [(event["action"], event["kind"], event["actor"]["name"])
                                                     for event in plane.admin.list("audit-events")]
    # Its certificate, though valid for hours, is refused, and the token's account lets it in as another node.
    gateway.start()
    wait_until(lambda: _connected(gateway), what="the pod to enrol anew")
    wait_until(lambda: any("there is no gateway node" in entry["reason"] for entry in
                           gateway.entries("configuration stream ended")), what="the end of its stream in the log")
    assert _node_named(plane, "pod")["id"] != first


def test_a_revoked_pod_is_not_let_in_again_but_its_replacement_is(plane, cluster):
    token_file = cluster.token_file("bad", cluster.token(pod="bad", uid="first"))
    gateway = plane.start(token_file)
    wait_until(lambda: _connected(gateway), what="the pod to connect")
    node = _node_named(plane, "bad")
    assert node["labels"] == {"pod-uid": "first"}
    plane.admin.act("gateway-nodes", node["id"], "revoke")
    wait_until(lambda: not _connected(gateway), what="the stream to be cut")
    gateway.stop()
    plane.refused(plane.start(token_file, ready=False), "was revoked")  # with an empty state folder
    plane.admin.delete("gateway-nodes", node["id"])
    plane.refused(plane.start(token_file, ready=False), "was revoked")
    replacement = plane.start(cluster.token_file("good", cluster.token(pod="bad", uid="second")))
    wait_until(lambda: _connected(replacement), what="the pod's replacement to connect")
