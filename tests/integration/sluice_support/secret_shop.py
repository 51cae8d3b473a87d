"""An event API whose records are encrypted, seen natively, over HTTP and past the gateway."""

import os
import subprocess
import uuid
from contextlib import closing, contextmanager

import requests
from confluent_kafka import Consumer, KafkaException, TopicPartition

from .envelope import Keystore
from .kafka import KafkaHelper
from .sample import SampleApi
from .wait import free_ports, wait_until

PASSPHRASE = "correct horse battery staple"


class Keys:
    """A keystore and the command that changes it."""

    def __init__(self, folder, build_dir):
        self.path = folder / "keys.json"
        self.program = f"{build_dir}/dataplane/sluice-gateway"
        self.run("init")

    def run(self, *args, expect=0):
        done = subprocess.run([self.program, "keys", *args, "--keystore", str(self.path)], capture_output=True, text=True,
                              timeout=60, env={**os.environ, "SLUICE_PASSPHRASE": PASSPHRASE})
        assert done.returncode == expect, done.stderr
        return done.stdout + done.stderr

    def opened(self):
        return Keystore(self.path, PASSPHRASE)


class SecretShop:
    """The sample event API, also as kafka, with a native listener, and a key ring "local" over a keystore."""

    def __init__(self, servers, kafka, folder, topic=None, env=None, event_api=None, **options):
        """`topic` configures the topic, `options` are the gateway's."""
        self.kafka = kafka
        self.topic = kafka.create_topic("orders", **(topic or {}))
        self.other = kafka.create_topic("other")
        self.keys = Keys(folder, servers.build_dir)
        self.keys.run("add", "orders")
        self.sample = SampleApi(servers.control(), kafka.bootstrap_servers, self.topic, exposures=["rest", "sse", "kafka"],
                                **(event_api or {}))
        self.admin = self.sample.admin
        self.admin.create("key-rings", name="local", provider="local",
                          config={"path": str(self.keys.path), "passphrase": {"env": "KEYS_PASSPHRASE"}, "key": "orders"})
        self.gateway = self.sample.start_gateway(servers, env={"KEYS_PASSPHRASE": PASSPHRASE, **(env or {})}, **options)
        port = free_ports(5)
        self.admin.patch("virtual-clusters", self.sample.virtual_cluster, client_authentication=["plain"])
        self.admin.create("listeners", name="kafka", gateway_group=self.sample.group, protocol="kafka",
                          address=f"127.0.0.1:{port}",
                          kafka={"routing": "ports", "virtual_cluster": self.sample.virtual_cluster,
                                 "port_ranges": [{"first_node_id": 0, "last_node_id": 3, "port_base": port + 1}]})
        self.admin.create("policies", name="both", type="acl", scope={"kind": "application", "ref": self.sample.application},
                          config={"rules": [{"operations": ["read", "write", "describe"], "topics": [self.topic, self.other]}]})
        credential = self.sample.credential
        self.native = KafkaHelper(f"127.0.0.1:{port}", {
            "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": credential["id"],
            "sasl.password": credential["secret"]})
        wait_until(lambda: self.topic in self.native.admin.list_topics(timeout=20).topics, 60, "the listener")

    @contextmanager
    def encrypted(self, name="e", scope=None, condition=None, **config):
        """While the policy is there, in force in every worker. A header that comes with it proves that."""
        scope = scope or {"kind": "event-api", "ref": self.sample.event_api}
        fields = {"condition": condition} if condition else {}
        mark = f"X-{uuid.uuid4().hex}"
        self.admin.create("policies", name=name, type="encrypt", scope=scope, config={"key_ring": "local", **config}, **fields)
        last = self.admin.create("policies", name=f"{name}-mark", type="headers", scope=scope,
                                 config={"rules": [{"in": "response", "action": "set", "name": mark, "value": "1"}]})
        try:
            self.sample.wait_in_force(last)
            assert mark in self.ask("HEAD").headers
            yield
        finally:
            self.admin.delete("policies", f"{name}-mark")
            self.admin.delete("policies", name)
            self.sample.wait_in_force()

    def ask(self, method="POST", headers=None, **kwargs):
        session = requests.Session()
        session.trust_env = False
        return session.request(method, self.sample.url, headers={"X-API-Key": self.sample.key, **(headers or {})}, timeout=30,
                               **kwargs)

    def end(self, topic=None):
        return self.kafka.end_offsets(topic or self.topic)[0]

    def stored(self, start, topic=None):
        """Past the gateway: what Kafka has from an offset on."""
        return [record for record in self.kafka.consume_all(topic or self.topic) if record.offset() >= start]

    def read_native(self, start, count, topic=None, timeout=60):
        consumer = Consumer({**self.native.config, "group.id": f"demo.{uuid.uuid4().hex}", "enable.auto.commit": False,
                             "check.crcs": True})
        with closing(consumer):
            consumer.assign([TopicPartition(topic or self.topic, 0, start)])
            found = consumer.consume(count, timeout=timeout)
            failures = [str(record.error()) for record in found if record.error() is not None]
            assert failures == [] and len(found) == count, failures
            return found

    def fails_native(self, start, topic=None):
        """The error that a consumer gets at an offset."""
        consumer = Consumer({**self.native.config, "group.id": f"demo.{uuid.uuid4().hex}", "enable.auto.commit": False})
        with closing(consumer):
            consumer.assign([TopicPartition(topic or self.topic, 0, start)])
            try:
                # In a list, since a tombstone counts as false.
                message, = wait_until(lambda: [word for word in [consumer.poll(1)] if word is not None], what="a word of the broker")
            except KafkaException as failure:
                return failure.args[0].code()
            assert message.error() is not None, message.value()
            return message.error().code()

    def page(self, start, count=1, offset=0):
        """So many events over REST from a cursor, or more; `start` is one. Only those from `offset` on: what was stored just
        before a cursor of the latest was made may come first."""
        events, cursor = [], start

        def enough():
            nonlocal cursor
            page = self.sample.page(f"?cursor={cursor}&wait=2s")
            events.extend(event for event in page["events"] if int(event["id"].split("-")[1]) >= offset)
            cursor = page["next"]
            return len(events) >= count

        wait_until(enough, what=f"{count} events")
        return events
