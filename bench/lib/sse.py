"""bench/sse: see its --help."""

import json
import os
import re
import subprocess
import sys
import time

import requests
from confluent_kafka import Producer
from harness import Stage, cpu_seconds, options, print_table, program, progress, report, resident_kib
from sluice_support import SampleApi, free_port, wait_until
from sluice_support.certificates import Authority
from sluice_support.crowd import raise_file_limit

EVENT_BYTES = 200
PER_SECOND = 10
TARGETS = (("lost", "<=", 0), ("kib_per_reader", "<=", 24), ("p99_ms", "<", 1000), ("fanout_ratio", "<=", 1.2),
           ("cpu_growth", "<=", 1.1), ("tls_lost", "<=", 0))
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def broker_bytes(topic, direction):
    """The broker's own counter: bytes of records of the topic, "In" or "Out"."""
    port = os.environ["SLUICE_BENCH_JMX"]
    name = f"kafka.server:type=BrokerTopicMetrics,name=Bytes{direction}PerSec,topic={topic}"
    done = subprocess.run([os.path.join(ROOT, "scripts", "kafka"), "tool", "JmxTool", "--object-name", name, "--attributes",
                           "Count", "--one-time", "--jmx-url", f"service:jmx:rmi:///jndi/rmi://127.0.0.1:{port}/jmxrmi"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=True)
    numbers = re.findall(r"^\d+,(\d+)$", done.stdout, re.MULTILINE) or re.findall(r"Count=(\d+)", done.stdout)
    assert numbers, f"no counter in: {done.stdout}"
    return int(numbers[-1])


def event(number):
    text = f'{{"n":{number},"sent_us":{time.monotonic_ns() // 1000},"filler":"'
    return text + "x" * (EVENT_BYTES - len(text) - 2) + '"}'


class Readers:
    """What the readers of one API read: `mode` is plain or tls."""

    def __init__(self, stage, mode, sample, topic):
        self.stage, self.mode, self.sample, self.topic = stage, mode, sample, topic

    def __enter__(self):
        path = "/" + self.sample.url.split("/", 3)[3]
        self.head = self.stage.file(f"{self.mode}.head", f"{path}\nHost: localhost\nX-API-Key: {self.sample.key}\n"
                                    "Accept: text/event-stream\n")
        return self

    def __exit__(self, *_):
        metric = f'sluice_streams{{event_api="{self.sample.event_api}"}}'
        wait_until(lambda: self.stage.gateway.metrics()[metric] == 0, 60, "the streams to end")

    def start(self, readers, events):
        command = [program("bench-readers"), self.mode, self.sample.port, readers, events, events // PER_SECOND + 60, self.head]
        return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)


def tls_readers(stage):
    """Another API, on a topic and a listener of its own."""
    authority, port = Authority(stage.folder), free_port()
    topic = stage.kafka.create_topic("bench-tls", partitions=1)
    stage.sample.admin.create("listeners", name="tls", gateway_group=stage.sample.group, protocol="http",
                              address=f"127.0.0.1:{port}", tls=authority.listener_tls("gateway", ["IP:127.0.0.1"]))
    sample = SampleApi(stage.sample.control, stage.kafka.bootstrap_servers, topic, prefix="tls-",
                       group=stage.sample.group, listener=("tls", port))
    url = sample.url.replace("http://", "https://")
    wait_until(lambda: served(url, sample.key, authority.ca), 20, "the TLS listener to serve")
    return Readers(stage, "tls", sample, topic)


def served(url, key, ca):
    try:
        return requests.get(url, headers={"X-API-Key": key}, verify=str(ca), timeout=5).status_code == 200
    except requests.exceptions.ConnectionError:
        return False


def produce(stage, topic, events):
    producer, started = Producer({"bootstrap.servers": stage.kafka.bootstrap_servers, "linger.ms": 0}), time.monotonic()
    for number in range(events):
        time.sleep(max(0, started + number / PER_SECOND - time.monotonic()))
        producer.produce(topic, event(number))
        producer.poll(0)
    assert producer.flush(20) == 0


def run(stage, who, readers, events):
    pid, before_kib = stage.pid, resident_kib(stage.pid)
    with who:
        process = who.start(readers, events)
        try:
            assert process.stdout.readline() == "ready\n", "the readers did not all get their place"
            progress(f"{readers} readers follow ({who.mode}); producing {events} events")
            cpu = cpu_seconds(pid)
            produce(stage, who.topic, events)
            after_kib = resident_kib(pid)
            result = json.loads(process.stdout.readline())
        finally:
            process.kill()
            process.wait()
        assert result["wrong"] == 0, f"{result['wrong']} events came twice or out of order"
        result["mode"] = who.mode
        result["kib_per_reader"] = (after_kib - before_kib) / readers
        result["cpu_us"] = 1e6 * (cpu_seconds(pid) - cpu) / max(1, result["received"])
    return result


def table(results):
    print_table([[r["mode"], r["readers"], r["lost"], f"{r['kib_per_reader']:.1f}", f"{r['p50_ms']:.1f}", f"{r['p99_ms']:.1f}",
                  f"{r['cpu_us']:.2f}"] for r in results],
                ["", "readers", "lost", "KiB/reader", "p50 ms", "p99 ms", "CPU us/delivery"])


def figures(plain, tls, fanout_ratio):
    few, many = plain
    found = {
        "readers": many["readers"],
        "lost": few["lost"] + many["lost"],
        "kib_per_reader": round(many["kib_per_reader"], 1),
        "p99_ms": many["p99_ms"],
        "fanout_ratio": round(fanout_ratio, 3),
        "cpu_us_per_delivery": round(many["cpu_us"], 2),
        "cpu_us_per_delivery_1000": round(few["cpu_us"], 2),
        "cpu_growth": round(many["cpu_us"] / few["cpu_us"], 2),
    }
    if tls is not None:
        found |= {"tls_lost": tls["lost"], "tls_kib_per_reader": round(tls["kib_per_reader"], 1),
                  "tls_p99_ms": tls["p99_ms"], "tls_cpu_us_per_delivery": round(tls["cpu_us"], 2)}
    return found


def main():
    given = options()
    sizes, events = ((100, 500), 20) if given.quick else ((1000, 10_000), 200)
    raise_file_limit(sizes[-1] + 2000)
    with Stage(partitions=1) as stage:
        readers = Readers(stage, "plain", stage.sample, stage.topic)
        plain = [run(stage, readers, size, events) for size in sizes]
        sent, got = broker_bytes(stage.topic, "Out"), broker_bytes(stage.topic, "In")
        tls = run(stage, tls_readers(stage), sizes[-1], events) if given.tls else None
        table(plain + ([tls] if tls else []))
        return report(figures(plain, tls, sent / got), TARGETS, given)


if __name__ == "__main__":
    sys.exit(main())
