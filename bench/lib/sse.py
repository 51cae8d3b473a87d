"""bench/sse: see its --help."""

import argparse
import json
import os
import re
import subprocess
import time

from confluent_kafka import Producer
from harness import Stage, cpu_seconds, print_table, program, progress, resident_kib
from sluice_support import wait_until
from sluice_support.crowd import raise_file_limit

EVENT_BYTES = 200
PER_SECOND = 10
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


def run(stage, readers, events):
    sample, pid = stage.sample, stage.pid
    path = "/" + sample.url.split("/", 3)[3]
    head = stage.file("sse.head", f"{path}\nHost: localhost\nX-API-Key: {sample.key}\nAccept: text/event-stream\n")
    before_kib = resident_kib(pid)
    seconds = events / PER_SECOND + 60
    process = subprocess.Popen([program("bench-readers"), str(sample.port), str(readers), str(events), str(int(seconds)), head],
                               stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n", "the readers did not all get their place"
        progress(f"{readers} readers follow; producing {events} events")
        cpu = cpu_seconds(pid)
        producer, started = Producer({"bootstrap.servers": stage.kafka.bootstrap_servers, "linger.ms": 0}), time.monotonic()
        for number in range(events):
            time.sleep(max(0, started + number / PER_SECOND - time.monotonic()))
            producer.produce(stage.topic, event(number))
            producer.poll(0)
        assert producer.flush(20) == 0
        after_kib = resident_kib(pid)
        result = json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
    assert result["wrong"] == 0, f"{result['wrong']} events came twice or out of order"
    result["kib_per_reader"] = (after_kib - before_kib) / readers
    result["cpu_us"] = 1e6 * (cpu_seconds(pid) - cpu) / max(1, result["received"])
    wait_until(lambda: stage.gateway.metrics()['sluice_streams{event_api="orders.v1"}'] == 0, 60, "the streams to end")
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    sizes, events = ((100, 500), 20) if quick else ((1000, 10_000), 200)
    raise_file_limit(sizes[-1] + 2000)
    with Stage(partitions=1) as stage:
        results = [run(stage, readers, events) for readers in sizes]
        sent, got = broker_bytes(stage.topic, "Out"), broker_bytes(stage.topic, "In")
        print_table([[r["readers"], r["lost"], f"{r['kib_per_reader']:.1f}", f"{r['p50_ms']:.1f}", f"{r['p99_ms']:.1f}",
                      f"{r['cpu_us']:.2f}"] for r in results],
                    ["readers", "lost", "KiB/reader", "p50 ms", "p99 ms", "CPU us/delivery"])
        print(json.dumps({
            "readers": results[-1]["readers"],
            "lost": sum(r["lost"] for r in results),
            "kib_per_reader": round(results[-1]["kib_per_reader"], 1),
            "p99_ms": results[-1]["p99_ms"],
            "fanout_ratio": round(sent / got, 3),
            "cpu_us_per_delivery": round(results[-1]["cpu_us"], 2),
            "cpu_us_per_delivery_1000": round(results[0]["cpu_us"], 2),
        }))


if __name__ == "__main__":
    main()
