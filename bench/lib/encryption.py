"""Encryption by a gateway, native clients, against pass-through and a bare relay: see bench/records --help."""

import os
import socket
import subprocess

from harness import peak_mib, progress, reset_peak, resident_kib
from native import METADATA, Bench, NativeStage, Relay, receive
from sluice_support import NativeCluster, wait_until

WAYS = ("relay", "gateway", "encrypt")
TARGETS = [("encrypt_ratio_1k", ">=", 0.9), ("cpu_ratio_encrypt", "<=", 2.5), ("peak_mib", "<=", 57.2)]


class SecretStage(NativeStage):
    """One more virtual cluster, on the same gateway, whose records are encrypted under a key of a keystore."""

    def _start(self):
        self.keystore = self.folder / "keys.json"
        self.passphrase = self.folder / "passphrase"
        self.passphrase.write_text("a passphrase that is long enough")
        for action in (["init"], ["add", "bench"]):
            subprocess.run([f"{os.environ['SLUICE_BUILD_DIR']}/dataplane/sluice-gateway", "keys", *action, "--keystore",
                            self.keystore, "--passphrase-file", self.passphrase], check=True, stdout=subprocess.DEVNULL)
        super()._start()
        self.admin.create("key-rings", name="bench", provider="local", config={
            "path": str(self.keystore), "passphrase": {"file": str(self.passphrase)}, "key": "bench"})
        self.secret = NativeCluster(self, "secret")
        self.admin.create("policies", name="secret", type="encrypt", config={"key_ring": "bench"},
                          scope={"kind": "virtual-cluster", "ref": "secret"})
        wait_until(lambda: socket.create_connection(("127.0.0.1", self.secret.port), 2).close() is None, 20, "a listener")


class Encryption(Bench):
    def __init__(self, stage, relay, quick):
        super().__init__(stage, relay, quick)
        self.ways = WAYS
        self.connections = 50 if quick else 500

    def servers(self, way):
        return self.stage.secret.bootstrap_servers if way == "encrypt" else super().servers(way)

    def pid(self, way):
        return self.stage.pid if way == "encrypt" else super().pid(way)

    def throughput(self):
        topics = {way: self.topic() for way in ("gateway", "encrypt")}
        for way, topic in topics.items():  # not measured: keys are fetched, buffers grow; what is consumed later
            self.produce(way, "all", topic)
        assert self.stage.kafka.consume_one(topics["encrypt"]).value()[:3] == b"\xf8SL"
        reset_peak(self.stage.pid)
        for _ in range(self.rounds):
            for way in self.ways:
                topic = self.topic()
                self.measured("produce acks=all", way, lambda: self.produce(way, "all", topic), self.gigabytes)
                self.stage.kafka.delete_topic(topic)
        for _ in range(self.rounds):
            for way in self.ways:
                topic = topics["encrypt" if way == "encrypt" else "gateway"]
                self.measured("consume", way, lambda: self.consume(way, topic), self.gigabytes)
        self.peak = peak_mib(self.stage.pid)

    def kib_per_connection(self):
        """Of connections that have been used, and are idle."""
        before, connections = resident_kib(self.stage.pid), []
        try:
            for _ in range(self.connections):
                connection = socket.create_connection(("127.0.0.1", self.stage.secret.port), timeout=20)
                connections.append(connection)
                connection.sendall(METADATA)
                receive(connection, int.from_bytes(receive(connection, 4), "big"))
            return (resident_kib(self.stage.pid) - before) / self.connections
        finally:
            for connection in connections:
                connection.close()

    def figures(self):
        names = ("produce acks=all", "consume")
        return {
            "encrypt_ratio_1k": min(self.median_of(name, "encrypt") / self.median_of(name, "gateway") for name in names),
            "cpu_ratio_encrypt": max(self.ratio(name, cpu=True, way="encrypt") for name in names),
            "kib_per_connection": self.kib,
            "peak_mib": self.peak,
        }

    def run(self):
        self.throughput()
        self.kib = self.kib_per_connection()


def measure(quick):
    """(the table's printer, figures)"""
    with SecretStage() as stage, Relay(int(stage.kafka.bootstrap_servers.rpartition(":")[2])) as relay:
        progress("encryption by a gateway")
        bench = Encryption(stage, relay, quick)
        bench.run()
        return bench.table, bench.figures()
