"""bench/auth: see its --help."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import requests
from harness import cpu_seconds, median, options, print_table, program, progress, report, run_json
from sluice_support import KafkaHelper, SampleApi, Servers, wait_until
from sluice_support.crowd import raise_file_limit
from sluice_support.issuer import Issuer

CONNECTIONS = 16
TARGETS = (("lookup_cpu_ratio", "<=", 1.02), ("ratelimit_ns", "<=", 200), ("tokens_verified", "<=", 1),
           ("max_stall_ms", "<=", 10))


def session():
    made = requests.Session()
    made.trust_env = False
    return made


class Place:
    """A control plane with so many applications, and a gateway."""

    def __init__(self, servers, kafka, folder, applications):
        self.applications = applications
        control = servers.control(log_level="info")
        topic = kafka.create_topic("bench", partitions=3)
        self.sample = SampleApi(control, kafka.bootstrap_servers, topic)
        control.stop()
        progress(f"{applications:,} applications: filling the catalog")
        self.keys = folder / f"{applications}.keys"
        subprocess.run([program("bench-fill"), control.data_dir, str(applications), self.keys], check=True)
        control.start()
        self.control, self.admin = control, control.admin
        self.gateway = servers.gateway(control.join_string(self.sample.group), log_level="info")
        self.sample.wait_served(120)
        path = "/" + self.sample.url.split("/", 3)[3]
        self.head = folder / f"{applications}.head"
        self.head.write_text(f"{path}\nHost: localhost\nAccept: application/json\n")
        self.stream_head = folder / f"{applications}.stream.head"
        self.stream_head.write_text(f"{path}\nHost: localhost\nAccept: text/event-stream\n")
        self.starts = folder / "starts"
        self.starts.write_text("from=latest&limit=1 0\n")

    def cpu_us_per_request(self, seconds):
        before = cpu_seconds(self.gateway.pid)
        result = run_json("bench-load", "pages", self.sample.port, CONNECTIONS, seconds, self.head, self.starts, self.keys)
        assert result["refused"] == 0, f"{result['refused']} requests were refused, the last with {result['last_refusal']}"
        return 1e6 * (cpu_seconds(self.gateway.pid) - before) / result["requests"]

    def logged(self, message):
        lines = [json.loads(line) for line in self.gateway.log().splitlines() if f'"{message}"'.encode() in line]
        return {line["version"]: line for line in lines}


def measure_lookups(few, many, rounds, seconds):
    pairs = []
    for place in (few, many):  # caches get warm, connections are made
        place.cpu_us_per_request(seconds)
    for number in range(rounds):
        progress(f"requests, pair {number + 1} of {rounds}")
        order = (few, many) if number % 2 == 0 else (many, few)
        cost = {place: place.cpu_us_per_request(seconds) for place in order}
        pairs.append((cost[few], cost[many]))
    return pairs


def measure_limits(applications, rounds, checks):
    runs = [run_json("bench-limits", 2, applications, checks) for _ in range(rounds)]
    return {name: median([one[name] for one in runs]) for name in ("check_ns", "check_and_pay_ns")}


def measure_tokens(place, folder, count):
    """How many signatures the gateway verified for `count` requests with one token."""
    issuer = Issuer(folder)
    try:
        sample = place.sample
        sample.admin.create("issuers", name="login", url=issuer.url, audiences=["sluice"])
        sample.admin.create("credentials", application=sample.application, type="oidc",
                            oidc={"issuer": "login", "value": "shop"})
        ask, token = session(), issuer.token()
        headers = {"Authorization": f"Bearer {issuer.token(jti='first')}", "Accept": "application/json"}
        url = sample.url + "?from=latest&limit=1"
        wait_until(lambda: ask.get(url, headers=headers, timeout=10).status_code == 200, 20, "a token to be taken")
        good = 'sluice_identity_tokens_total{outcome="good"}'
        before = place.gateway.metrics()[good]
        head = folder / "token.head"
        head.write_text(place.head.read_text() + f"Authorization: Bearer {token}\n")
        result = run_json("bench-load", "pages", sample.port, CONNECTIONS, count, head, place.starts)
        assert result["refused"] == 0, f"{result['refused']} requests with a token were refused"
        return int(place.gateway.metrics()[good] - before), result["requests"]
    finally:
        issuer.close()


class Probe:
    """One request after the other, from a few connections, so that every worker has some."""

    def __init__(self, place):
        self.place, self.worst_ms, self.count, self.stopped = place, 0.0, 0, False
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped = True
        self.thread.join()

    def _run(self):
        sessions = [session() for _ in range(8)]
        url, headers = self.place.sample.url + "?from=latest&limit=1", {"X-API-Key": self.place.sample.key,
                                                                      "Accept": "application/json"}
        for asking in sessions:
            asking.get(url, headers=headers, timeout=30)
        while not self.stopped:
            begun = time.monotonic()
            answer = sessions[self.count % len(sessions)].get(url, headers=headers, timeout=30)
            assert answer.status_code == 200, answer.text
            self.worst_ms = max(self.worst_ms, 1000 * (time.monotonic() - begun))
            self.count += 1


def change(place, number):
    """Something else each time; the revision from which on it holds."""
    admin, sample = place.admin, place.sample
    if number % 3 == 0:
        application = f"app-{number * 7919 % place.applications}"
        live = [one for one in admin.list("credentials", application=application) if "revoked_at" not in one]
        admin.create("credentials", application=application, type="secret")
        return admin.act("credentials", live[0]["id"], "revoke").json()["revision"]
    if number % 3 == 1:
        return admin.create("policies", name=f"limit-{number}", type="rate-limit",
                            scope={"kind": "event-api", "ref": sample.event_api},
                            config={"requests_per_second": 1_000_000 + number})["revision"]
    return admin.patch("plans", sample.plan, limits={"requests_per_second": 1_000_000 + number})["revision"]


def applied(place):
    return place.gateway.metrics()["sluice_config_applied_version"]


def open_streams(place, count):
    command = [program("bench-readers"), "plain", place.sample.port, count, 1, 600, place.stream_head, place.keys]
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n", "the streams did not all open"
    return process


def measure_changes(place, count, streams):
    readers = open_streams(place, streams)
    try:
        progress(f"{streams:,} streams are open")
        with Probe(place) as quiet:
            time.sleep(2)
        versions = []
        with Probe(place) as probe:
            for number in range(count):
                revision = change(place, number)
                wait_until(lambda revision=revision: applied(place) >= revision, 30, "the change to be applied")
                versions.append(applied(place))
                progress(f"change {number + 1} of {count}")
        return [int(version) for version in versions], quiet.worst_ms, probe.worst_ms
    finally:
        readers.kill()
        readers.wait()


def judge_changes(place, versions):
    """For each change the milliseconds of building it, of the worker that was at it longest, and of CPU of that."""
    built, swapped = place.logged("configuration built"), place.logged("configuration applied")
    return ([built[version]["took_us"] / 1000 for version in versions],
            [swapped[version]["longest_swap_us"] / 1000 for version in versions],
            [swapped[version]["longest_swap_cpu_us"] / 1000 for version in versions])


def run(given, servers, folder):
    quick = given.quick
    kafka = KafkaHelper(os.environ["SLUICE_TEST_KAFKA"])
    few = Place(servers, kafka, folder, 10)
    many = Place(servers, kafka, folder, 1000 if quick else 100_000)
    pairs = measure_lookups(few, many, 1 if quick else 15, 1 if quick else 2)
    progress("limits")
    limits = measure_limits(many.applications, 1 if quick else 9, 200_000 if quick else 1_000_000)
    progress("tokens")
    verified, requests_ = measure_tokens(few, folder, 1)
    streams = 200 if quick else 5000
    versions, quiet_ms, probe_ms = measure_changes(many, 3 if quick else 15, streams)
    build_ms, swap_ms, stall_ms = judge_changes(many, versions)
    print_table([
        ["CPU us/request, 10 applications", f"{median([few for few, _ in pairs]):.2f}"],
        [f"CPU us/request, {many.applications:,} applications", f"{median([many for _, many in pairs]):.2f}"],
        ["check of a limit, ns", limits["check_ns"]],
        ["check and what it costs later, ns", limits["check_and_pay_ns"]],
        [f"signatures verified for {requests_:,} requests", verified],
        ["building a change, median and slowest, ms", f"{median(build_ms):.2f}, {max(build_ms):.2f}"],
        [f"taking it over with {streams:,} streams, median and slowest, ms", f"{median(swap_ms):.2f}, {max(swap_ms):.2f}"],
        ["CPU time of that, ms", f"{median(stall_ms):.2f}, {max(stall_ms):.2f}"],
        ["slowest request, quiet and while things change, ms", f"{quiet_ms:.1f}, {probe_ms:.1f}"],
    ], ["", ""])
    figures = {
        "lookup_cpu_ratio": round(median([many / few for few, many in pairs]), 3),
        "ratelimit_ns": round(limits["check_ns"]),
        "tokens_verified": verified,
        "token_requests": requests_,
        "apply_100k_ms": round(max(build + swap for build, swap in zip(build_ms, swap_ms)), 2),
        "max_stall_ms": round(max(stall_ms), 2),
        "max_stall_wall_ms": round(max(swap_ms), 2),
        "probe_max_ms": round(probe_ms, 1),
        "probe_quiet_max_ms": round(quiet_ms, 1),
    }
    return report(figures, TARGETS, given)


def main():
    given = options()
    raise_file_limit(12_000)
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        servers = Servers(folder)
        try:
            return run(given, servers, Path(folder))
        finally:
            servers.stop_all()


if __name__ == "__main__":
    sys.exit(main())
