"""Peers with a valid certificate, or none, that break every rule: each is cut, logged once and counted; the gateways beside
it do not notice, and the control plane does not grow."""

import re
import threading
import time

import grpc
import pytest

from sluice_support import SampleApi, wait_until
from sluice_support import peer as p

CUT_FOR = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.RESOURCE_EXHAUSTED}


class Scene:
    def __init__(self, servers, kafka):
        # Freed memory is given back, so that what is measured is what is held.
        self.control = servers.control(
            env={"ASAN_OPTIONS": "quarantine_size_mb=1:thread_local_quarantine_size_kb=64:detect_leaks=1"},
            node_heartbeat="200ms", node_lost_after="15s", node_answer_timeout="6s", node_stream_burst=200,
            enrolment_failure_burst=20, grpc_limits_memory="32MiB")
        self.sample = SampleApi(self.control, kafka.bootstrap_servers, kafka.create_topic("orders"))
        self.sample.start_gateway(servers)
        self.admin = self.sample.admin
        self.attempts = self.sample.gateway.metrics()["sluice_config_connect_attempts_total"]

    def metric(self, name):
        text = self.admin.request("GET", "/metrics", expect=200).text
        return sum(float(v) for v in re.findall(rf"^{re.escape(name)} (\S+)$", text, re.M))

    def cuts(self, cause):
        return self.metric('sluice_control_streams_cut_total{cause="%s"}' % cause)

    def others_apply(self, undisturbed=True, n=[0]):
        """A change reaches the good gateway, which has not even lost its stream."""
        n[0] += 1
        before = self.sample.gateway.metrics()["sluice_config_applied_version"]
        self.admin.patch("event-apis", self.sample.event_api, title=f"change {n[0]}")
        wait_until(lambda: self.sample.gateway.metrics()["sluice_config_applied_version"] > before, 40,
                   "the good gateway to apply a change")
        attempts = self.sample.gateway.metrics()["sluice_config_connect_attempts_total"]
        assert attempts == self.attempts or not undisturbed
        self.attempts = attempts

    def rss_mib(self):
        text = open(f"/proc/{self.control.pid}/status").read()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) / 1024


@pytest.fixture(scope="module")
def scene(module_servers, kafka):
    return Scene(module_servers, kafka)


@pytest.fixture(scope="module")
def node(scene, tmp_path_factory):
    node = p.Node(scene.control, scene.sample.group, tmp_path_factory.mktemp("node"))
    yield node
    node.close()


def _unasked_chunk(stream):
    nonce, _, _ = stream.push()
    stream.send(p.chunk_request(nonce, [b"\7" * 32]))


def _digest_of_another_length(stream):
    nonce, _, digests = stream.push()
    stream.send(p.chunk_request(nonce, [digests[0][:31]]))


def _the_same_chunk_for_ever(stream):
    nonce, _, digests = stream.push()
    for _ in range(4):
        stream.send(p.chunk_request(nonce, [digests[0]]))


def _a_nonce_of_its_own(stream):
    _, version, _ = stream.push()
    stream.send(p.ack("0" * 32, version))


def _a_nonce_again(stream):
    nonce, version, _ = stream.push()
    stream.send(p.ack(nonce, version)).send(p.ack(nonce, version))


def _a_version_that_was_never_sent(stream):
    nonce, version, _ = stream.push()
    stream.send(p.ack(nonce, version + 1000))


def _a_flood_of_statuses(stream):
    for n in range(2000):
        stream.send(p.status(n))


def _a_flood_of_requests(stream):
    nonce, _, _ = stream.push()
    for _ in range(2000):
        stream.send(p.chunk_request(nonce, []))


def _garbage(stream):
    stream.send(b"\xff\xff\xff\xff")


def _an_answer_to_nothing(stream):
    stream.send(p.message(f6=p.message(f1="made up", f4=1)))


def _hello_again(stream):
    stream.send(p.hello())


RUDE = [_unasked_chunk, _digest_of_another_length, _the_same_chunk_for_ever, _a_nonce_of_its_own, _a_nonce_again,
        _a_version_that_was_never_sent, _a_flood_of_statuses, _a_flood_of_requests, _garbage, _an_answer_to_nothing,
        _hello_again]


def test_whoever_breaks_a_rule_is_cut_and_the_log_stays_readable(scene, node):
    before = scene.cuts("protocol") + scene.cuts("flood")
    for behave in RUDE:
        stream = node.stream().send(p.hello())
        behave(stream)
        assert stream.end() in CUT_FOR, behave.__name__
    assert scene.cuts("protocol") + scene.cuts("flood") == before + len(RUDE)
    lines = [line for line in scene.control.log().decode().splitlines() if "configuration stream cut" in line]
    mine = [line for line in lines if node.id in line]
    assert 1 <= len(mine) < len(RUDE) / 2
    scene.others_apply()


def test_messages_that_are_too_large_are_not_held(scene, node):
    """gRPC gathers a message before it looks at its size, so what bounds it is the memory of the port. Whose stream ends
    then is gRPC's choice: another gateway may have to come back."""
    before = scene.rss_mib()
    data = p.message(f5=p.message(f1=1, f9=b"x" * (100 << 20)))
    for _ in range(8):
        stream = node.stream().send(p.hello()).send(data)
        assert stream.end() != grpc.StatusCode.OK
    grown = scene.rss_mib() - before
    assert grown < 100, f"grew by {grown:.0f} MiB"
    scene.others_apply(undisturbed=False)


def test_messages_over_the_limit_end_their_own_stream(scene, node):
    before = scene.cuts("protocol")
    for _ in range(8):
        stream = node.stream().send(p.hello()).send(p.message(f5=p.message(f1=1, f9=b"x" * (1 << 20))))
        assert stream.end() == grpc.StatusCode.RESOURCE_EXHAUSTED
    wait_until(lambda: scene.cuts("protocol") == before + 8, what="the cuts to be counted")
    scene.others_apply()


def test_a_lie_about_what_is_held_fools_nobody_else(scene, node):
    with_good_digest = node.stream().send(p.hello())
    _, version, _ = with_good_digest.push()
    with_good_digest.cancel()
    liar = node.stream().send(p.hello(held=b"\1" * 32, version=version + 10**9))
    liar.push()  # what it claims to hold was never made here
    wait_until(lambda: scene.admin.get("gateway-nodes", node.id)["applied_version"] == 0, what="the truth")
    liar.cancel()
    scene.others_apply()


def test_silence_and_stalling_end(scene, node):
    silent = node.stream()
    assert silent.end() == grpc.StatusCode.DEADLINE_EXCEEDED
    before = scene.cuts("no-answer")
    # It asks and heartbeats, but reads nothing and never acknowledges.
    stalled = node.stream().send(p.hello())
    stop = threading.Event()

    def beat():
        while not stop.wait(0.3):
            stalled.send(p.status())

    heart = threading.Thread(target=beat, daemon=True)
    heart.start()
    wait_until(lambda: scene.cuts("no-answer") == before + 1, 60, "the stalled stream to be cut")
    stop.set()
    heart.join()
    stalled.cancel()
    scene.others_apply()


def test_a_thousand_streams_are_one_node(scene, node):
    before = scene.rss_mib()
    channels = [node.channel() for _ in range(25)]
    streams = []
    for _ in range(40):
        for channel in channels:
            streams.append(node.stream(channel).send(p.hello()))
    scene.others_apply()
    for stream in streams:
        stream.cancel()
    for channel in channels:
        channel.close()
    wait_until(lambda: scene.metric("sluice_control_streams") == 1, 60, "only the good gateway's stream to be left")
    grown = scene.rss_mib() - before
    assert grown < 96, f"grew by {grown:.0f} MiB"
    scene.others_apply()


def test_guessing_tokens_does_not_keep_others_out(scene, tmp_path):
    enrolment = p.Enrolment(scene.control)
    csr = p._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                     tmp_path / "k", "-subj", "/CN=x", "-outform", "DER")
    codes, stop = [], threading.Event()

    def guess():
        channel = enrolment.channel()
        while not stop.is_set():
            try:
                enrolment.enrol("slc_0123456789abcdef_" + "a" * 32, csr, channel)
            except grpc.RpcError as error:
                codes.append(error.code())
        channel.close()

    threads = [threading.Thread(target=guess, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(codes) > 500, 40, "many guesses")
    guessed = len(codes)
    scene.admin.create("teams", name=f"t{time.monotonic_ns()}")
    wait_until(lambda: len(codes) > guessed, 40, "guesses that went on meanwhile")
    scene.others_apply()
    stop.set()
    for thread in threads:
        thread.join(70)
    assert set(codes) == {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert codes.count(grpc.StatusCode.UNAUTHENTICATED) < 100
    assert scene.metric('sluice_control_enrolments_total{kind="enrol",result="limited"}') > 400
    lines = [line for line in scene.control.log().decode().splitlines() if '"node enrolment"' in line]
    assert len(lines) < 20
    # The address is forgiven as time passes: a good token gets in.
    newcomer = wait_until(lambda: p.Node(scene.control, scene.sample.group, tmp_path), 60, "a good token to be taken")
    newcomer.close()
