"""HTTP behind a load balancer that says whose connections it forwards: PROXY protocol, plain and before TLS."""

import socket
import ssl

import pytest

from sluice_support import Authority, SampleApi, free_port, json_lines, proxy_header, wait_until

BALANCER = "127.0.0.3"
FAILURES = 20  # of one address, in an hour


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("balanced")


@pytest.fixture(scope="module")
def sample(module_servers, kafka, folder):
    """Its listener trusts one address to say the client's."""
    sample = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders"))
    sample.admin.patch("listeners", sample.listener, http={"proxy_protocol_from": [BALANCER]})
    sample.start_gateway(module_servers, audit_log=folder / "audit.log", authentication_failures=FAILURES,
                         authentication_failure_window="1h")
    return sample


def ask(sample, header=b"", source=BALANCER, key=None, authority=None):
    """Publishes an event over a connection of its own that begins with `header`; the status, None when it was closed."""
    body = b'{"n": 1}'
    request = (f"POST /{sample.name}/v1/events HTTP/1.1\r\nHost: a\r\nX-API-Key: {key or sample.key}\r\nConnection: close\r\n"
               f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body
    with socket.create_connection(("127.0.0.1", sample.port), 60, (source, 0)) as connection:
        try:
            connection.sendall(header)
            if authority is not None:
                connection = ssl.create_default_context(cafile=authority.ca).wrap_socket(
                    connection, server_hostname="127.0.0.1")
            connection.sendall(request)
            answer = b""
            while part := connection.recv(65536):
                answer += part
        except (ConnectionError, ssl.SSLError):
            return None
    return int(answer.split()[1]) if answer else None


def test_the_client_is_in_the_logs(sample, folder):
    assert ask(sample, proxy_header("203.0.113.7", 40123)) == 201
    assert ask(sample, proxy_header("2001:db8::7", 40123)) == 201
    for client in "203.0.113.7", "2001:db8::7":
        wait_until(lambda: json_lines(sample.gateway.access_log, client=client, status=201), 60, "the access log")
        wait_until(lambda: json_lines(folder / "audit.log", client=client, outcome="good"), 60, "the audit trail")
    assert not json_lines(sample.gateway.access_log, client=BALANCER)


def test_open_connections_are_listed_by_their_client(sample):
    [node] = wait_until(lambda: [node for node in sample.admin.list("gateway-nodes") if node["state"] == "connected"],
                        what="the node to be connected")
    with socket.create_connection(("127.0.0.1", sample.port), 60, (BALANCER, 0)) as connection:
        connection.sendall(proxy_header("203.0.113.20", 40999))

        def listed():
            answer = sample.admin.request("GET", f"/v1/gateway-nodes/{node['id']}/connections", expect=200)
            return "203.0.113.20:40999" in {c["client_address"] for c in answer.json()["connections"]}

        wait_until(listed, 60, "the connection")


def test_policies_and_limits_see_the_client(sample):
    guest, other = proxy_header("203.0.113.8", 1), proxy_header("203.0.113.9", 1)
    sample.admin.create("policies", name="guests", type="ip-restriction", config={"deny": ["203.0.113.8/32"]},
                        scope={"kind": "event-api", "ref": sample.event_api})
    try:
        wait_until(lambda: ask(sample, guest) == 403, 60, "the policy")
        assert ask(sample, other) == 201
        assert ask(sample) is None  # the balancer itself has to say whose connection it is
    finally:
        sample.admin.delete("policies", "guests")


def test_failures_slow_their_client_alone(sample):
    guesser, other = proxy_header("203.0.113.30", 1), proxy_header("203.0.113.31", 1)
    guesses = [ask(sample, guesser, key=f"slk_guess{n}_{'x' * 32}") for n in range(FAILURES + 1)]
    assert guesses == [401] * FAILURES + [429]
    assert ask(sample, other, key="slk_other_" + "x" * 32) == 401
    assert ask(sample, other) == 201


def test_others_need_no_header_and_are_believed_none(sample):
    assert ask(sample, source="127.0.0.1") == 201
    assert ask(sample, proxy_header("203.0.113.40", 1), source="127.0.0.1") == 400
    assert ask(sample, proxy_header("203.0.113.41", 1)[:12] + b"\x20\x00\x00\x00") == 201  # LOCAL
    wait_until(lambda: json_lines(sample.gateway.access_log, client=BALANCER), 60, "the balancer's own request")
    assert not json_lines(sample.gateway.access_log, client="203.0.113.40")


def test_a_balancer_without_a_good_header_is_cut_off(sample):
    assert ask(sample, b"PROXY TCP4 203.0.113.7 127.0.0.1 40123 80\r\n") is None
    assert ask(sample, proxy_header("203.0.113.7", 1)[:14] + b"\x00\x04" + bytes(4)) is None
    wait_until(lambda: b"a load balancer's connection was closed" in sample.gateway.log(), 60, "the line in the log")


def test_a_header_before_tls(sample, kafka, folder):
    authority = Authority(folder)
    port = free_port()
    sample.admin.create("listeners", name="secure", gateway_group=sample.group, protocol="http",
                        address=f"127.0.0.1:{port}", http={"proxy_protocol_from": ["127.0.0.0/30"]},
                        tls=authority.listener_tls("gateway", ["IP:127.0.0.1"]))
    secure = SampleApi(sample.control, kafka.bootstrap_servers, kafka.create_topic("tls"), prefix="tls-",
                       group=sample.group, listener=("secure", port))
    secure.gateway, client = sample.gateway, "203.0.113.50"
    secure.wait_in_force(secure.subscription)  # asking too early counts as a failure of the client
    assert ask(secure, proxy_header(client, 40123), authority=authority) == 201
    wait_until(lambda: json_lines(sample.gateway.access_log, client=client, status=201), 60, "the access log")
    assert ask(secure, authority=authority) is None


def test_what_is_set_is_checked(sample):
    fields = {"name": "bad", "gateway_group": sample.group, "protocol": "http", "address": "127.0.0.1:1"}
    for http in {"proxy_protocol_from": ["10.0.0.1/8"]}, {"proxy_protocol_from": ["balancer"]}, {"routing": "ports"}:
        answer = sample.admin.request("POST", "/v1/listeners", json={**fields, "http": http})
        assert answer.status_code in (400, 422) and "/http" in answer.text
    kafka = {"routing": "ports", "virtual_cluster": sample.virtual_cluster,
             "port_ranges": [{"first_node_id": 1, "last_node_id": 1, "port_base": 2}]}
    answer = sample.admin.request("POST", "/v1/listeners", json={
        **fields, "protocol": "kafka", "kafka": kafka, "http": {"proxy_protocol_from": [BALANCER]}})
    assert answer.status_code in (400, 422) and "/http" in answer.text
