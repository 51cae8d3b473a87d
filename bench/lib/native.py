"""bench/native: see its --help."""

import argparse
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import namespaces
from harness import cpu_seconds, median, peak_mib, print_table, program, progress, reset_peak, resident_kib, run_json
from sluice_support import Authority, KafkaHelper, NativeCluster, Servers, free_port, wait_until
from sluice_support.crowd import raise_file_limit

KAFKA = Path(__file__).parents[2] / "scripts" / "kafka"
RECORD_BYTES = 1024
PARTITIONS = 6
WAYS = ("direct", "relay", "gateway", "hide")
HIDE_PREFIX = "tenant."
LIMITS = {"produce_ratio": (">=", 0.97), "consume_ratio": (">=", 0.97), "cpu_ratio_passthrough": ("<=", 1.1),
          "cpu_ratio_hide": ("<=", 1.4), "metadata_ratio_kafka": ("<=", 2), "metadata_ratio_100k": ("<=", 2),
          "latency_ratio_vs_relay": ("<=", 1.05), "kib_per_idle_connection": ("<=", 4),
          "kib_per_idle_connection_tls": ("<=", 40), "peak_mib": ("<=", 30)}


class NativeStage:
    """A control plane and a gateway whose group has Kafka listeners and nothing else, stopped at the end."""

    group, backend = "dev", "local"

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="sluice-bench-")
        self.folder = Path(self._folder.name)
        self.kafka = KafkaHelper(os.environ["SLUICE_TEST_KAFKA"])
        self.servers = Servers(self.folder)
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _start(self):
        control = self.servers.control(log_level="info")
        self.admin = control.admin
        self.admin.create("gateway-groups", name=self.group, environment="dev")
        self.admin.create("backend-clusters", name=self.backend, bootstrap_servers=[self.kafka.bootstrap_servers])
        self.authority = Authority(self.folder)
        self.plain = NativeCluster(self, "plain")
        self.hide = NativeCluster(self, "hide", namespace={"mode": "hide", "prefix": HIDE_PREFIX})
        self.secure = NativeCluster(self, "secure", tls=self.authority.listener_tls("gateway", ["IP:127.0.0.1"]))
        self.gateway = self.servers.gateway(control.join_string(self.group), log_level="info")
        for cluster in (self.plain, self.secure, self.hide):
            wait_until(lambda: socket.create_connection(("127.0.0.1", cluster.port), 2).close() is None, 20, "a listener")

    def __exit__(self, *_):
        try:
            self.servers.stop_all()
        finally:
            self._folder.cleanup()

    @property
    def pid(self):
        return self.gateway.pid


class Relay:
    """Between the clients and the broker; they are led to it."""

    def __init__(self, target_port):
        self.port, self.target_port = free_port(), target_port
        self.environment = {"LD_PRELOAD": str(program("bench-lead.so")), "BENCH_LEAD": f"{target_port}:{self.port}"}

    def __enter__(self):
        command = [program("bench-relay"), str(self.port), str(self.target_port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0


def kafka_tool(environment, name, *arguments):
    """The last line that one of Kafka's tools prints."""
    done = subprocess.run([KAFKA, "tool", name, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=300, env={**os.environ, "KAFKA_OPTS": "-XX:TieredStopAtLevel=4 -Xmx384m",
                                                       **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip().splitlines()[-1]


class Bench:
    def __init__(self, stage, relay, quick):
        self.stage, self.relay = stage, relay
        self.cluster, self.secure, self.authority = stage.plain, stage.secure, stage.authority
        self.ways = WAYS[1:] if quick else WAYS
        self.rounds = 1 if quick else 3
        self.records = 20_000 if quick else int(os.environ.get("SLUICE_BENCH_RECORDS", 600_000))
        self.rtt_seconds = 1 if quick else 10
        self.idle, self.idle_tls = (100, 50) if quick else (3000, 1000)
        self.broker_port = int(stage.kafka.bootstrap_servers.rpartition(":")[2])
        self.runs = {}

    def servers(self, way):
        cluster = {"gateway": self.cluster, "hide": self.stage.hide}.get(way, self.stage.kafka)
        return cluster.bootstrap_servers

    def environment(self, way):
        return self.relay.environment if way == "relay" else {}

    def pid(self, way):
        return {"relay": self.relay.process.pid, "gateway": self.stage.pid, "hide": self.stage.pid}.get(way)

    def measured(self, name, way, function, volume=1.0):
        """`function` gives a figure; noted with the CPU seconds that the way there used for each of `volume`."""
        pid = self.pid(way)
        before = cpu_seconds(pid) if pid else 0
        figure = function()
        cpu = (cpu_seconds(pid) - before) / volume if pid else 0
        self.runs.setdefault((name, way), []).append((figure, cpu))
        progress(f"{name} {way}: {figure:.1f}, CPU {cpu:.3f}")

    def topic(self):
        return self.stage.kafka.create_topic(HIDE_PREFIX + "bench", partitions=PARTITIONS, config={"file.delete.delay.ms": "1000"})

    @staticmethod
    def called(way, topic):
        return topic.removeprefix(HIDE_PREFIX) if way == "hide" else topic

    @property
    def gigabytes(self):
        return self.records * RECORD_BYTES / 1e9

    def produce(self, way, acks, topic):
        """MB per second."""
        line = kafka_tool(self.environment(way), "ProducerPerformance", "--topic", self.called(way, topic), "--num-records", self.records,
                          "--record-size", RECORD_BYTES, "--throughput", -1, "--producer-props", f"acks={acks}",
                          f"bootstrap.servers={self.servers(way)}", "batch.size=65536", "linger.ms=5")
        return float(line.split("(")[1].split(" MB/sec")[0])

    def consume(self, way, topic):
        """MB per second while it fetched."""
        line = kafka_tool(self.environment(way), "ConsumerPerformance", "--topic", self.called(way, topic), "--num-records", self.records,
                          "--bootstrap-server", self.servers(way), "--timeout", 60000, "--hide-header")
        fields = [field.strip() for field in line.split(",")]
        assert int(fields[4]) >= self.records, line
        return float(fields[8])

    def throughput(self):
        for number in range(self.rounds):
            for acks in ("1", "all"):
                for way in self.ways:
                    topic = self.topic()
                    self.measured(f"produce acks={acks}", way, lambda: self.produce(way, acks, topic), self.gigabytes)
                    self.stage.kafka.delete_topic(topic)
        topic = self.topic()
        self.produce("direct", "1", topic)
        for number in range(self.rounds):
            for way in self.ways:
                self.measured("consume", way, lambda: self.consume(way, topic), self.gigabytes)
        self.stage.kafka.delete_topic(topic)

    def latency(self):
        ports = {"direct": self.broker_port, "relay": self.relay.port, "gateway": self.cluster.port}
        ports = {way: ports[way] for way in self.ways if way in ports}
        topic = self.topic()
        self.stage.kafka.produce(topic, [{"value": b"first", "partition": 0}])  # its leader is there from now on
        for number in range(self.rounds):
            for way in ports:
                self.measured("latency us", way, lambda: run_json("bench-produce-rtt", ports[way], topic, 1, 1000,
                                                                  self.rtt_seconds, RECORD_BYTES)["p50_us"])
        self.stage.kafka.delete_topic(topic)

    def idle_kib(self, way, pid, port, count, context=None):
        connections = []
        before = resident_kib(pid)
        try:
            for number in range(count):
                connection = socket.create_connection(("127.0.0.1", port), timeout=20)
                if context:
                    connection = context.wrap_socket(connection)
                connections.append(connection)
                connection.sendall(METADATA)
                size = struct.unpack(">i", receive(connection, 4))[0]
                receive(connection, size)
            self.measured("KiB per idle connection" + (" with TLS" if context else ""), way,
                          lambda: (resident_kib(pid) - before) / count)
        finally:
            for connection in connections:
                connection.close()

    def idle_connections(self):
        context = ssl.create_default_context(cafile=self.authority.ca)
        context.check_hostname = False
        self.idle_kib("relay", self.relay.process.pid, self.relay.port, self.idle)
        self.idle_kib("gateway", self.stage.pid, self.cluster.port, self.idle)
        self.idle_kib("gateway", self.stage.pid, self.secure.port, self.idle_tls, context)

    def run(self):
        reset_peak(self.stage.pid)
        self.throughput()
        self.latency()
        self.peak = peak_mib(self.stage.pid)
        self.idle_connections()
        self.metadata = namespaces.metadata_ratios(self.stage, self.rounds == 1)

    def median_of(self, name, way, cpu=False):
        return median([run[1 if cpu else 0] for run in self.runs[name, way]])

    def ratio(self, name, cpu=False, way="gateway"):
        return self.median_of(name, way, cpu) / self.median_of(name, "relay", cpu)

    def figures(self):
        produce = ("produce acks=1", "produce acks=all")
        figures = {
            "produce_ratio": min(self.ratio(name) for name in produce),
            "consume_ratio": self.ratio("consume"),
            "cpu_ratio_passthrough": max(self.ratio(name, cpu=True) for name in (*produce, "consume")),
            "cpu_ratio_hide": max(self.ratio(name, cpu=True, way="hide") for name in (*produce, "consume")),
            "metadata_ratio_kafka": self.metadata[0],
            "metadata_ratio_100k": self.metadata[1],
            "latency_ratio_vs_relay": self.ratio("latency us"),
            "kib_per_idle_connection": self.median_of("KiB per idle connection", "gateway"),
            "kib_per_idle_connection_tls": self.median_of("KiB per idle connection with TLS", "gateway"),
            "peak_mib": self.peak,
        }
        return {name: round(value, 3) for name, value in figures.items()}

    def table(self):
        rows = []
        for name, way in self.runs:
            cpu = f"{self.median_of(name, way, cpu=True):.3f}" if way != "direct" and "KiB" not in name else ""
            rows.append([name, way, f"{self.median_of(name, way):.1f}", cpu])
        print_table(rows, ["what", "way", "median", "CPU s/GB (latency: CPU s)"])


def receive(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        assert part, "the connection was closed"
        data += part
    return data


def frame(body):
    return struct.pack(">i", len(body)) + body


METADATA = frame(struct.pack(">hhihi", 3, 1, 1, -1, 0))


def missed(figures):
    for name, (relation, limit) in LIMITS.items():
        if figures[name] < limit if relation == ">=" else figures[name] > limit:
            yield f"{name} is {figures[name]}, wanted {relation} {limit}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    raise_file_limit(10_000)
    with NativeStage() as stage, Relay(int(stage.kafka.bootstrap_servers.rpartition(":")[2])) as relay:
        bench = Bench(stage, relay, quick)
        bench.run()
        bench.table()
        figures = bench.figures()
        complaints = [] if quick else list(missed(figures))
        for complaint in complaints:
            progress(complaint)
        print(json.dumps(figures), flush=True)
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
