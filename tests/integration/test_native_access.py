"""What applications may do by native Kafka: what they subscribe to, and what acl policies allow and deny. Error codes of
every key are test_authorizer.py's."""

import uuid

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import NewTopic

from sluice_support import KafkaHelper, SampleApi, free_ports, wait_until
from sluice_support.wire_peer import WirePeer

SHOWN = "native request denied"


@pytest.fixture(scope="module")
def shop(module_servers, kafka):
    """The sample event API, also as kafka, with a native listener for its virtual cluster."""
    topic = kafka.create_topic("orders", partitions=2)
    shop = SampleApi(module_servers.control(), kafka.bootstrap_servers, topic, exposures=["rest", "sse", "kafka"])
    shop.start_gateway(module_servers)
    port = free_ports(5)
    shop.admin.patch("virtual-clusters", shop.virtual_cluster, client_authentication=["plain"])
    shop.admin.create("listeners", name="kafka", gateway_group=shop.group, protocol="kafka", address=f"127.0.0.1:{port}",
                      kafka={"routing": "ports", "virtual_cluster": shop.virtual_cluster,
                             "port_ranges": [{"first_node_id": 0, "last_node_id": 3, "port_base": port + 1}]})
    credentials = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
                   "sasl.username": shop.credential["id"], "sasl.password": shop.credential["secret"]}
    shop.native = KafkaHelper(f"127.0.0.1:{port}", credentials)
    wait_until(lambda: topic in shop.native.admin.list_topics(timeout=3).topics, 60, "the listener")
    return shop


def policy(shop, name, rules, kind="application", ref=None, **fields):
    shop.wait_in_force(shop.admin.create("policies", name=name, type="acl", scope={"kind": kind, "ref": ref or shop.application},
                                         config={"rules": rules}, **fields))


def code_of(call):
    with pytest.raises(KafkaException) as error:
        call()
    return error.value.args[0].code()


def group(shop, name, **config):
    return Consumer({**shop.native.config, "group.id": name, "auto.offset.reset": "earliest", "enable.auto.commit": False,
                     **config})


def polled(consumer):
    """The next record or error."""
    return wait_until(lambda: consumer.poll(0.5), 60, "a record or an error")


def test_a_subscription_is_what_an_application_may_do(shop, kafka):
    other = kafka.create_topic("other")
    native = shop.native
    assert list(native.admin.list_topics(timeout=30).topics) == [shop.topic]
    assert native.admin.list_topics(other, timeout=30).topics[other].error.code() == \
        KafkaError.TOPIC_AUTHORIZATION_FAILED
    native.produce(shop.topic, [b"one", b"two"])
    consumer = group(shop, f"{shop.application}.readers")
    consumer.subscribe([shop.topic])
    assert {polled(consumer).value() for _ in range(2)} == {b"one", b"two"}
    consumer.commit(asynchronous=False)
    consumer.close()
    made = native.admin.create_topics([NewTopic("made", 1, 1)])["made"]
    assert code_of(lambda: made.result(60)) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    deleted = native.admin.delete_topics([shop.topic])[shop.topic]
    assert code_of(lambda: deleted.result(60)) == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_groups_and_transactional_ids_are_below_the_applications_name(shop):
    consumer = group(shop, "readers")
    consumer.subscribe([shop.topic])
    assert polled(consumer).error().code() == KafkaError.GROUP_AUTHORIZATION_FAILED
    consumer.close()
    good = Producer({**shop.native.config, "transactional.id": f"{shop.application}.mover"})
    good.init_transactions(60)
    good.begin_transaction()
    good.produce(shop.topic, b"moved")
    good.commit_transaction(60)
    other = Producer({**shop.native.config, "transactional.id": "mover"})
    assert code_of(lambda: other.init_transactions(60)) == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


def test_a_denial_names_its_rule_in_the_log_and_is_counted(shop):
    labels = f'{{virtual_cluster="{shop.virtual_cluster}",api="FindCoordinator",resource="group"}}'
    counter = "sluice_kafka_denied_total" + labels
    before = shop.gateway.metrics().get(counter, 0)
    name = f"g-{uuid.uuid4().hex}"
    policy(shop, "no-groups", [{"effect": "deny", "operations": ["all"], "groups": [name]},
                               {"operations": ["read"], "groups": ["g-*"]}])
    try:
        rule = "acl no-groups: rule 1"
        line, *_ = wait_until(lambda: shop.gateway.entries(SHOWN, reason=rule) or _tries(shop, name), 60, "the denial")
        assert line["name"] == name and line["application"] == shop.application
        assert shop.gateway.metrics()[counter] > before
    finally:
        shop.admin.delete("policies", "no-groups")


def _tries(shop, name):
    consumer = group(shop, name)
    consumer.subscribe([shop.topic])
    consumer.poll(1)
    consumer.close()


def test_a_rule_reaches_an_open_consumer_and_leaves_it_again(shop):
    shop.native.produce(shop.topic, [b"first"])
    consumer = group(shop, f"{shop.application}.open", **{"enable.partition.eof": True, "topic.metadata.refresh.interval.ms": 500})
    consumer.subscribe([shop.topic])
    wait_until(lambda: (message := consumer.poll(0.5)) and message.error() is None, 60, "a record")
    policy(shop, "shut", [{"effect": "deny", "operations": ["read"], "topics": ["${application.name}", shop.topic[:-1] + "?"]}])
    try:
        def refused():
            message = consumer.poll(0.5)
            return message and message.error() and \
                message.error().code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        wait_until(refused, 60, "the open consumer to be refused")
        with shop.stream() as stream:
            assert stream.status == 403  # the same rule on HTTP
        assert shop.publish({"n": 1}).status_code == 201
    finally:
        shop.admin.delete("policies", "shut")

    def served():
        shop.native.produce(shop.topic, [b"again"])
        message = consumer.poll(2)
        return message and message.error() is None
    wait_until(served, 60, "the open consumer to be served again")
    consumer.close()


def test_an_address_that_is_shut_out_ends_open_connections(shop):
    shop.native.produce(shop.topic, [b"inside"])
    made = shop.admin.create("policies", name="elsewhere-only", type="ip-restriction", config={"allow": ["192.0.2.0/24"]},
                             scope={"kind": "virtual-cluster", "ref": shop.virtual_cluster})
    try:
        shop.wait_in_force(made)
        reason = "ip-restriction elsewhere-only: the address 127.0.0.1"

        def refused():
            try:
                shop.native.admin.list_topics(timeout=1)
            except KafkaException:
                return reason in shop.gateway.log().decode()
        wait_until(refused, 60, "the refusal")
        with WirePeer(int(shop.native.config["bootstrap.servers"].rpartition(":")[2])) as peer:
            peer.send_handshake("PLAIN", 1)  # whether a credential is good is not to be found out from outside
            assert peer.answer() == b""
    finally:
        shop.admin.delete("policies", "elsewhere-only")
    wait_until(lambda: shop.native.admin.list_topics(timeout=3).topics, 60, "to be let in again")


def test_an_address_that_an_event_api_shuts_out_may_not_have_its_topic(shop):
    """Everything else it may, and the connection stays."""
    native = shop.native
    def error():
        return native.admin.list_topics(shop.topic, timeout=30).topics[shop.topic].error
    assert error() is None
    made = shop.admin.create("policies", name="elsewhere", type="ip-restriction", config={"allow": ["192.0.2.0/24"]},
                             scope={"kind": "event-api", "ref": shop.event_api})
    try:
        shop.wait_in_force(made)
        wait_until(lambda: error() is not None, 60, "the denial")
        assert error().code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    finally:
        shop.admin.delete("policies", "elsewhere")
    wait_until(lambda: error() is None, 60, "the denial to be gone")


def test_a_rule_in_dry_run_or_of_another_client_denies_nothing(shop):
    rules = [{"effect": "deny", "operations": ["all"], "topics": ["*"]}]
    policy(shop, "dry", rules, dry_run=True)
    policy(shop, "elsewhere", rules, kind="virtual-cluster", ref=shop.virtual_cluster, condition="client.address == '192.0.2.9'")
    try:
        wait_until(lambda: "dry run: native request would have been denied" in shop.gateway.log().decode() or
                   shop.native.produce(shop.topic, [b"dry"]), 60, "the dry run in the log")
        shop.native.produce(shop.topic, [b"dry"])
    finally:
        shop.admin.delete("policies", "dry")
        shop.admin.delete("policies", "elsewhere")
