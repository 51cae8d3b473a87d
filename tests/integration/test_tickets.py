"""Tickets: what opens a stream for a browser that cannot send a header, and what does not."""

import base64

import pytest
import requests

from sluice_support import SampleApi, SseReader, wait_until

SHOP = "https://shop.example"


@pytest.fixture(scope="module")
def other(sample):
    """A second event API on the same listener, which the same application may read."""
    api = SampleApi(sample.control, "127.0.0.1:1", "elsewhere", prefix="other-", group=sample.group,
                    listener=(sample.listener, sample.port))
    sample.wait_in_force(sample.admin.create("subscriptions", application=sample.application, plan=api.plan,
                                             environment="dev"))
    return api


def mint(api, key=None, headers=None, **body):
    session = requests.Session()
    session.trust_env = False
    return session.post(api.url + "/tickets", headers={"X-API-Key": key or api.key, **(headers or {})},
                        json=body or None, timeout=40)


def ticket_of(api, **kwargs):
    answer = mint(api, **kwargs)
    assert answer.status_code == 201, answer.text
    return answer.json()["ticket"]


def open_status(api, ticket, headers=None):
    with SseReader(f"{api.url}?ticket={ticket}", headers) as reader:
        if reader.status != 200:
            assert reader.headers["WWW-Authenticate"].startswith("Ticket"), "a browser must not ask for a password"
            assert b"/invalid-ticket" in reader.body()
        return reader.status


def test_a_ticket_opens_streams_until_it_expires_and_is_in_no_log(sample):
    answer = mint(sample, origin=SHOP)
    assert answer.status_code == 201 and answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["origin"] == SHOP and answer.json()["ticket"].startswith("slt_")
    ticket = answer.json()["ticket"]
    for _ in range(2):  # reusable: a browser reconnects with the same URL
        with SseReader(f"{sample.url}?ticket={ticket}", {"Origin": SHOP}) as reader:
            assert reader.status == 200
            assert sample.publish({"n": 1}).status_code == 201
            assert reader.take(1)[0].json()["data"] == {"n": 1}

    def logged():
        return f'"credential":"{sample.credential["id"]}"' in sample.gateway.access_log.read_text()

    wait_until(logged, 60, "the access log")
    for log in (sample.gateway.access_log.read_text(), sample.gateway.log().decode()):
        assert ticket not in log and ticket[10:40] not in log


def test_a_ticket_is_for_its_origin(sample):
    bound = ticket_of(sample, headers={"Origin": "https://Shop.example"})
    assert open_status(sample, bound, {"Origin": SHOP}) == 200
    assert open_status(sample, bound, {"Origin": "https://evil.example"}) == 401
    assert open_status(sample, bound, {"Origin": "null"}) == 401
    assert open_status(sample, bound) == 401
    unbound = ticket_of(sample)
    assert open_status(sample, unbound) == 200
    assert open_status(sample, unbound, {"Origin": SHOP}) == 401
    # A page of the gateway's own origin: browsers send no Origin then.
    own = ticket_of(sample, origin=f"http://127.0.0.1:{sample.port}")
    assert open_status(sample, own, {"Sec-Fetch-Site": "same-origin"}) == 200
    assert open_status(sample, bound, {"Sec-Fetch-Site": "same-origin"}) == 401
    assert mint(sample, headers={"Origin": "https://evil.example"}, origin=SHOP).status_code == 422
    assert mint(sample, origin="shop.example").status_code == 422
    assert mint(sample, colour="red").status_code == 400


def test_forged_tickets_and_those_of_others_are_refused(sample, other):
    ticket = ticket_of(sample)
    assert open_status(other, ticket) == 401
    assert open_status(other, ticket_of(other, key=sample.key)) == 200
    raw = bytearray(base64.urlsafe_b64decode(ticket[4:] + "=" * (-len(ticket[4:]) % 4)))
    for place in range(0, len(raw), 7):
        forged = bytes(raw[:place]) + bytes([raw[place] ^ 1]) + bytes(raw[place + 1:])
        assert open_status(sample, "slt_" + base64.urlsafe_b64encode(forged).rstrip(b"=").decode()) == 401, place
    for text in ("", "slt_", "x", ticket[:-1], ticket + "AAAA", "slt_" + "A" * 3000):
        assert open_status(sample, text or "%20") == 401


def test_a_ticket_is_for_streams_alone(sample):
    ticket = ticket_of(sample)
    session = requests.Session()
    session.trust_env = False
    assert session.get(f"{sample.url}?ticket={ticket}", timeout=40).status_code == 401
    assert session.post(f"{sample.url}?ticket={ticket}", json={}, timeout=40).status_code == 401
    assert session.post(f"{sample.url}/tickets?ticket={ticket}", timeout=40).status_code == 401
    assert session.get(f"{sample.url}/tickets", timeout=40).status_code == 405
    stranger = sample.new_application("stranger")  # known by its absence from every plan, once it is known at all
    wait_until(lambda: mint(sample, key=stranger).status_code == 403, 60, "the stranger to be known")


def test_the_end_of_the_credential_is_the_end_of_its_tickets(sample):
    credential = sample.new_credential(sample.application)
    key = credential["api_key"]
    sample.wait_in_force(credential)
    ticket = ticket_of(sample, key=key)
    with SseReader(f"{sample.url}?ticket={ticket}") as reader:
        assert reader.status == 200
        sample.admin.delete("credentials", credential["id"])
        events = reader.wait_end()
        assert events[-1].event == "error" and events[-1].json()["type"].endswith("/access-revoked")
    sample.wait_in_force()
    assert open_status(sample, ticket) == 401
