"""The schema policy: REST, SSE and native Kafka, with a real registry, and one that fails."""

import json
import struct
import uuid
from contextlib import closing, contextmanager

import pytest
import requests
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from sluice_support import Authority, KafkaHelper, SampleApi, SseReader, free_ports, wait_until
from sluice_support.schema_registry import Apicurio, RegistryDouble, register

ORDER = {"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "id", "type": "long"}, {"name": "who", "type": ["null", "string"], "default": None},
    {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
        {"name": "what", "type": "string"}, {"name": "price", "type": "double"}]}}, "default": []},
    {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["NEW", "PAID"]}, "default": "NEW"}]}
FULL = {"id": 7, "who": "Zo\u00eb", "lines": [{"what": "tea", "price": 2.5}], "state": "PAID"}
PERSON = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Person", "type": "object",
          "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
          "required": ["name"], "additionalProperties": False}


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    registry = Apicurio(tmp_path_factory.mktemp("registry"))
    registry.start()
    yield registry
    registry.kill()


@pytest.fixture(scope="module")
def double():
    double = RegistryDouble()
    yield double
    double.close()


@pytest.fixture(scope="module")
def shop(module_servers, kafka, registry, double):
    """A gateway with an HTTP and a native listener; event APIs come with each test."""
    shop = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders"))
    shop.start_gateway(module_servers)
    port = free_ports(5)
    shop.admin.patch("virtual-clusters", shop.virtual_cluster, client_authentication=["plain"])
    shop.admin.create("listeners", name="kafka", gateway_group=shop.group, protocol="kafka", address=f"127.0.0.1:{port}",
                      kafka={"routing": "ports", "virtual_cluster": shop.virtual_cluster,
                             "port_ranges": [{"first_node_id": 0, "last_node_id": 3, "port_base": port + 1}]})
    shop.native = KafkaHelper(f"127.0.0.1:{port}", {
        "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": shop.credential["id"],
        "sasl.password": shop.credential["secret"]})
    shop.admin.create("schema-registries", name="real", url=registry.url)
    shop.admin.create("schema-registries", name="double", url=double.url, latest_ttl="1s", cache_ttl="1s",
                      missing_ttl="1s")
    registry.wait_ready(registry.answers, timeout=180, what="answering")
    return shop


class Api:
    """An event API of its own topic, for HTTP and native clients."""

    def __init__(self, shop, kafka, **event_api):
        self.shop, self.kafka = shop, kafka
        self.topic = kafka.create_topic("t")
        self.name = "a" + uuid.uuid4().hex[:8]
        admin = shop.admin
        admin.create("event-apis", name=self.name, major=1, team=shop.team, operations=["publish", "read"],
                     exposures=["rest", "sse", "kafka"], lifecycle="published", **event_api)
        admin.create("deployments", event_api=f"{self.name}.v1", gateway_group=shop.group,
                     virtual_cluster=shop.virtual_cluster, topic=self.topic, listener=shop.listener)
        product = admin.get("products", shop.product)
        changed = admin.patch("products", shop.product, event_apis=[*product["event_apis"], f"{self.name}.v1"])
        self.url = f"http://127.0.0.1:{shop.port}/{self.name}/v1/events"
        self.headers = {"X-API-Key": shop.key}
        shop.wait_in_force(changed)
        wait_until(lambda: self.get().status_code == 200, 60, "the event API")

    @contextmanager
    def policy(self, **config):
        """In force until the end of the block; a header of answers shows that it is."""
        name, scope = "p" + uuid.uuid4().hex[:8], {"kind": "event-api", "ref": f"{self.name}.v1"}
        admin = self.shop.admin
        admin.create("policies", name=name, type="schema", scope=scope, config=config)
        last = admin.create("policies", name=f"{name}h", type="headers", scope=scope,
                            config={"rules": [{"in": "response", "action": "set", "name": "X-Policy", "value": name}]})
        try:
            self.shop.wait_in_force(last)
            assert self.get().headers.get("X-Policy") == name
            yield
        finally:
            admin.delete("policies", f"{name}h")
            admin.delete("policies", name)
            self.shop.wait_in_force()

    def session(self):
        session = requests.Session()
        session.trust_env = False
        return session

    def get(self, query="?from=earliest&wait=0s"):
        return self.session().get(self.url + query, headers=self.headers, timeout=40)

    def events(self, count):
        """So many events from the beginning."""
        return wait_until(lambda: (lambda events: events if len(events) >= count else None)(
            self.get("?from=earliest&wait=1s").json()["events"]), 60, f"{count} events")

    def post(self, value, **headers):
        body = {"data": value} if isinstance(value, bytes) else {"json": value}
        return self.session().post(self.url, headers={**self.headers, **headers}, timeout=40, **body)

    def stream(self, count):
        with SseReader(f"{self.url}?from=earliest", self.headers) as reader:
            return [event.json() for event in reader.take(count)]

    def judged(self, value, **headers):
        """The answer to an event, once the registry has told in time what it is judged by."""
        def answered():
            answer = self.post(value, **headers)
            return None if answer.status_code == 503 and answer.json()["type"].endswith("/rules-unavailable") else [answer]

        return wait_until(answered, 60, "the registry's word")[0]

    def stored(self):
        return self.kafka.consume_all(self.topic)

    def produce(self, *values, retries=20):
        """By a native client, through the gateway; the error of each, None for those that were taken."""
        results = []
        producer = Producer({**self.shop.native.config, "acks": "all", "linger.ms": 0, "message.timeout.ms": 15000 * (retries + 1),
                             "retries": retries, "retry.backoff.ms": 100})
        for value in values:
            fields = value if isinstance(value, dict) else {"value": value}
            producer.produce(self.topic, on_delivery=lambda error, _: results.append(error), **fields)
            producer.flush(60)
        return [error and error.code() for error in results]


def framed(number, data):
    return struct.pack(">bI", 0, number) + data


def native_values(api):
    """What a native client reads, through the gateway."""
    config = {**api.shop.native.config, "group.id": f"{api.shop.application}.readers", "enable.auto.commit": False,
              "enable.partition.eof": True}
    consumer, values = Consumer(config), []
    consumer.assign([TopicPartition(api.topic, 0, OFFSET_BEGINNING)])
    try:
        while True:
            message = consumer.poll(60)
            assert message is not None, "no record and no end within 60 s"
            if message.error() is not None:
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                return values
            values.append(message.value())
    finally:
        consumer.close()


def value_of(topic):
    return SerializationContext(topic, MessageField.VALUE)


def test_avro_of_a_real_registry_goes_both_ways(shop, kafka, registry):
    """Confluent's own serializers write and read what REST and SSE clients see as JSON."""
    api, client = Api(shop, kafka), SchemaRegistryClient({"url": registry.url})
    with api.policy(source="registry", registry="real", format="avro", read="fail"):
        serializer = AvroSerializer(client, json.dumps(ORDER))
        written = serializer(FULL, value_of(api.topic))
        assert api.produce(written, {"value": None, "key": b"k"}) == [None, None]
        answer = api.judged({"id": 8, "lines": [{"what": "milk", "price": 1}]})
        assert answer.status_code == 201, answer.text
        stored = api.stored()
        assert stored[0].value() == written and stored[1].value() is None
        deserializer = AvroDeserializer(client)
        assert deserializer(stored[2].value(), value_of(api.topic)) == {
            "id": 8, "who": None, "lines": [{"what": "milk", "price": 1.0}], "state": "NEW"}
        events = api.events(3)
        assert [event["data"] for event in events] == [
            FULL, None, {"id": 8, "who": None, "lines": [{"what": "milk", "price": 1.0}], "state": "NEW"}]
        assert [event["data"] for event in api.stream(3)] == [event["data"] for event in events]
        # Native clients get the bytes as they are.
        assert native_values(api) == [record.value() for record in stored]


def test_json_schema_of_a_real_registry(shop, kafka, registry):
    api, client = Api(shop, kafka), SchemaRegistryClient({"url": registry.url})
    with api.policy(source="registry", registry="real"):
        serializer = JSONSerializer(json.dumps(PERSON), client)
        assert api.produce(serializer({"name": "Ada"}, value_of(api.topic))) == [None]
        assert api.judged({"name": "Bo", "age": 3}).status_code == 201
        deserializer = JSONDeserializer(json.dumps(PERSON), schema_registry_client=client)
        assert deserializer(api.stored()[1].value(), value_of(api.topic)) == {"name": "Bo", "age": 3}
        assert [event["data"] for event in api.events(2)] == [{"name": "Ada"}, {"name": "Bo", "age": 3}]
        answer = api.post({"name": "Bo", "age": -3})
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["pointer"] == "/age"


def test_references_are_followed(shop, kafka, registry):
    api = Api(shop, kafka)
    money = {"type": "record", "name": "shop.Money", "fields": [{"name": "cents", "type": "long"}]}
    price = {"type": "record", "name": "shop.Price", "fields": [{"name": "price", "type": "shop.Money"}]}
    subject = f"money-{api.name}"
    register(registry.url, subject, money)
    register(registry.url, f"{api.topic}-value", price,
             references=[{"name": "shop.Money", "subject": subject, "version": 1}])
    with api.policy(source="registry", registry="real"):
        assert api.judged({"price": {"cents": 5}}).status_code == 201
        assert api.events(1)[0]["data"] == {"price": {"cents": 5}}
        answer = api.post({"price": {"cents": "5"}})
        assert answer.status_code == 422 and "/price/cents" in answer.text


def test_what_does_not_fit_is_rejected_everywhere(shop, kafka, double):
    api = Api(shop, kafka)
    number, other = double.add(f"{api.topic}-value", ORDER), double.add("another-value", ORDER)
    with api.policy(source="registry", registry="double"):
        answer = api.judged({"id": "seven"})
        assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
        assert "/id" in answer.text and "double" not in answer.text
        lines = b'{"id":1}\n{"id":1,"no":2}\n{"id":3}\n'
        answer = api.post(lines, **{"Content-Type": "application/x-ndjson"})
        assert answer.status_code == 207, answer.text
        assert [result.get("status", 201) for result in answer.json()["results"]] == [201, 422, 201]
        assert "/no" in json.dumps(answer.json()["results"][1])
        good, order = framed(number, b"\x02\x00\x00\x00"), b"\x02\x00\x00\x00"
        refused = KafkaError.INVALID_RECORD
        assert api.produce(good, order, framed(number, order + b"x"), framed(999, order), framed(other, order), good) == [
            None, refused, refused, refused, refused, None]
        assert api.post(good, **{"Content-Type": "application/octet-stream"}).status_code == 201
    stored = [record.value() for record in api.stored()]
    assert all(value[:5] == good[:5] for value in stored)
    assert stored.count(good) == 4  # the first event of the batch is the same


def test_marked_or_passed(shop, kafka, double):
    api = Api(shop, kafka)
    number = double.add(f"{api.topic}-value", ORDER)
    with api.policy(source="registry", registry="double", publish="mark", mark_header="why"):
        assert api.produce(b"raw", framed(number, b"\x02\x00\x00\x00")) == [None, None]
    with api.policy(source="registry", registry="double", publish="pass"):
        assert api.produce(b"raw") == [None]
    headers = [dict(record.headers() or []) for record in api.stored()]
    assert b"which schema" in headers[0]["why"] and headers[1:] == [{}, {}]


def test_a_poisoned_record_among_others(shop, kafka, double):
    """Each way to read it: an error in its place, nothing, a header, as it is."""
    api = Api(shop, kafka)
    number = double.add(f"{api.topic}-value", ORDER)
    good = framed(number, b"\x02\x00\x00\x00")
    kafka.produce(api.topic, [good, framed(number, b"\x02\x04"), b"raw", good])
    first = {"id": 1, "who": None, "lines": [], "state": "NEW"}
    with api.policy(source="registry", registry="double", read="fail"):
        events = api.events(4)
        assert [event.get("data") for event in events] == [first, None, None, first]
        assert ["error" in event for event in events] == [False, True, True, False]
        assert ["error" in event for event in api.stream(4)] == [False, True, True, False]
    with api.policy(source="registry", registry="double", read="skip"):
        assert [event["data"] for event in api.events(2)] == [first, first]
        assert native_values(api) == [good, good]
    with api.policy(source="registry", registry="double", read="mark"):
        events = api.events(4)
        assert [bool(event.get("headers")) for event in events] == [False, True, True, False]
        assert events[2]["data_base64"] == "cmF3"
    with api.policy(source="registry", registry="double", unions="tagged"):
        assert [event.get("data") for event in api.events(4)][0] == first


def native_error(api, offset):
    """What a native client is told at an offset, through the gateway."""
    consumer = Consumer({**api.shop.native.config, "group.id": f"{api.shop.application}.readers"})
    with closing(consumer):
        consumer.assign([TopicPartition(api.topic, 0, offset)])
        try:
            message = wait_until(lambda: consumer.poll(1), 60, "a word about the record")
        except KafkaException as failure:
            return failure.args[0].code()
        assert message.error() is not None, message.value()
        return message.error().code()


def test_native_clients_and_dead_letters_of_what_does_not_fit(shop, kafka, double):
    """Each way to read, and what was rejected, written or read, in a topic of its own."""
    api, aside = Api(shop, kafka), kafka.create_topic("aside")
    number = double.add(f"{api.topic}-value", ORDER)
    good, cut = framed(number, b"\x02\x00\x00\x00"), framed(number, b"\x02\x04")
    kafka.produce(api.topic, [good, cut, good])
    with api.policy(source="registry", registry="double", read="mark", mark_header="why"):
        assert native_values(api) == [good, cut, good]
        marked = read_from(api, 1)
        assert marked.value() == cut and dict(marked.headers())["why"]
        assert not read_from(api, 2).headers()
    with api.policy(source="registry", registry="double", read="fail", dead_letter_topic=aside):
        assert read_from(api, 0).value() == good
        assert native_error(api, 1) in (KafkaError.INVALID_MSG, KafkaError._BAD_MSG)
        assert read_from(api, 2).value() == good  # behind it
        assert api.produce(framed(number, b"\x02\x02"), good) == [KafkaError.INVALID_RECORD, None]
        assert api.post({"id": "one"}).status_code == 422
        letters = wait_until(lambda: (lambda found: found if len(found) >= 3 else None)(kafka.consume_all(aside)), 60,
                             "the dead letters")
    told = sorted((dict(letter.headers())["sluice.operation"], letter.value()) for letter in letters)
    assert told == [(b"publish", framed(number, b"\x02\x02")), (b"publish", b'{"id": "one"}'), (b"read", cut)]
    assert all(dict(letter.headers())["sluice.reason"] for letter in letters)
    assert kafka.end_offsets(api.topic)[0] == 4


def read_from(api, offset):
    """The record that a native client gets first, reading from an offset."""
    consumer = Consumer({**api.shop.native.config, "group.id": f"{api.shop.application}.readers"})
    with closing(consumer):
        consumer.assign([TopicPartition(api.topic, 0, offset)])
        (record,) = consumer.consume(1, timeout=60)
        assert record.error() is None and record.offset() == offset, record.error()
        return record


def test_readers_wait_while_the_registry_is_away(shop, kafka, double):
    """Of a schema that nobody has asked for yet: a page says 503, a stream and a native client wait, and none loses
    anything."""
    api = Api(shop, kafka)
    number = double.add(f"{api.topic}-value", ORDER)
    good = framed(number, b"\x02\x00\x00\x00")
    with api.policy(source="registry", registry="double", read="fail"):
        start = api.get("?from=latest&wait=0s").json()["next"]
        double.down = True
        try:
            kafka.produce(api.topic, [good, good])

            def answered():
                """Until the gateway has learnt of the events there are none."""
                page = api.get(f"?cursor={start}&wait=1s")
                return None if page.status_code == 200 and page.json()["events"] == [] else [page]

            [page] = wait_until(answered, what="a word about the events")
            assert page.status_code == 503 and page.json()["type"].endswith("/rules-unavailable"), page.text
            assert "Retry-After" in page.headers
            config = {**shop.native.config, "group.id": f"{shop.application}.readers"}
            with SseReader(f"{api.url}?cursor={start}", api.headers) as stream, closing(Consumer(config)) as consumer:
                consumer.assign([TopicPartition(api.topic, 0, 0)])
                assert consumer.poll(1) is None
                double.down = False
                assert [event.json()["data"]["id"] for event in stream.take(2)] == [1, 1]
                assert [record.value() for record in consumer.consume(2, timeout=60)] == [good, good]
        finally:
            double.down = False
        assert [event["data"]["id"] for event in api.events(2)] == [1, 1]
        double.gone.add(number)  # deleted: what comes from then on cannot be read, and one can seek behind it
        wait_until(lambda: native_error(api, 0) in (KafkaError.INVALID_MSG, KafkaError._BAD_MSG), 60, "the schema's end")
        kafka.produce(api.topic, [good, None])
        wait_until(lambda: ["error" in event for event in api.events(4)[2:]] == [True, False], 60, "the error in the page")
        assert read_from(api, 3).value() is None


def test_the_number_in_a_header(shop, kafka, double):
    api = Api(shop, kafka)
    number = double.add(f"{api.topic}-value", ORDER)
    guid = bytes.fromhex(double.guid(number).replace("-", ""))
    with api.policy(source="registry", registry="double", id_in="header", check_subject=False):
        assert api.judged({"id": 1}).status_code == 201
        stored = api.stored()[0]
        assert stored.value() == b"\x02\x00\x00\x00"
        assert dict(stored.headers())["__value_schema_id"] == b"\x01" + guid
        assert api.produce({"value": b"\x04\x00\x00\x02", "headers": {"__value_schema_id": b"\x01" + guid}}) == [None]
        assert [event["data"]["id"] for event in api.events(2)] == [1, 2]


@pytest.mark.parametrize("kind", ["AVRO", "JSON"])
def test_confluents_serializers_with_the_schema_in_a_header(shop, kafka, double, kind):
    """They write the schema's GUID into a header, and read it there from what REST publishers send."""
    api, client = Api(shop, kafka), SchemaRegistryClient({"url": double.url})
    schema = json.dumps(ORDER if kind == "AVRO" else PERSON)
    double.add(f"{api.topic}-value", schema, kind)
    config = {"auto.register.schemas": False, "use.latest.version": True, "schema.id.serializer": header_schema_id_serializer}
    if kind == "AVRO":
        serialize, deserialize = AvroSerializer(client, schema, conf=config), AvroDeserializer(client)
        values = [FULL, {**FULL, "id": 8}]
    else:
        serialize, deserialize = JSONSerializer(schema, client, conf=config), JSONDeserializer(
            schema, schema_registry_client=client)
        values = [{"name": "Ada"}, {"name": "Bo", "age": 3}]
    with api.policy(source="registry", registry="double", id_in="header", check_subject=False, read="fail"):
        headers = []
        written = serialize(values[0], SerializationContext(api.topic, MessageField.VALUE, headers))
        assert [name for name, _ in headers] == ["__value_schema_id"] and written[0] != 0
        assert api.produce({"value": written, "headers": headers}) == [None]
        assert api.post(values[1]).status_code == 201
        assert [event["data"] for event in api.events(2)] == values
        assert [event["data"] for event in api.stream(2)] == values
        assert native_values(api)[0] == written
        for record, value in zip(api.stored(), values):
            context = SerializationContext(api.topic, MessageField.VALUE, record.headers())
            assert deserialize(record.value(), context) == value
        assert api.produce({"value": written[:-1], "headers": headers}) == [KafkaError.INVALID_RECORD]


def test_while_the_registry_is_away(shop, kafka, double):
    api = Api(shop, kafka)
    number = double.add(f"{api.topic}-value", ORDER)
    good = framed(number, b"\x02\x00\x00\x00")
    with api.policy(source="registry", registry="double", read="fail"):
        double.down = True
        try:
            answer = api.post({"id": 1})
            assert answer.status_code == 503 and "Retry-After" in answer.headers, answer.text
            assert api.produce(good, retries=1)[0] in (KafkaError.NOT_ENOUGH_REPLICAS, KafkaError._MSG_TIMED_OUT)
        finally:
            double.down = False
        wait_until(lambda: api.post({"id": 1}).status_code == 201, 60, "the registry's answer")
        wait_until(lambda: api.produce(good) == [None], 60, "the registry's answer")
        double.down = True  # what is known serves on
        try:
            asked = len(double.asked)
            wait_until(lambda: api.post({"id": 1}).status_code == 201 and len(double.asked) > asked, 60, "a new question")
            assert api.post({"id": 1}).status_code == 201
            assert api.produce(good) == [None]
        finally:
            double.down = False
        double.gone.add(number)  # deleted: it is noticed after its time to live
        wait_until(lambda: api.produce(good) == [KafkaError.INVALID_RECORD], 60, "the schema's end")


def test_a_registry_that_wants_a_certificate(shop, kafka, tmp_path):
    """Of a client whose certificate it knows; without one, and for another authority's registry, nothing is written."""
    (tmp_path / "other").mkdir()
    authority, other = Authority(tmp_path), Authority(tmp_path / "other")
    certificate, key = (path.read_text() for path in authority.issue("gateway", ["DNS:gateway.test"]))
    mine = {"client_certificate_pem": certificate, "client_key_pem": key}
    with closing(RegistryDouble(tls=authority)) as double:
        api = Api(shop, kafka)
        double.add(f"{api.topic}-value", ORDER)
        for name, tls in (("nameless", {"ca_pem": authority.ca.read_text()}),
                          ("stranger", {"ca_pem": other.ca.read_text(), **mine}),
                          ("guarded", {"ca_pem": authority.ca.read_text(), **mine})):
            shop.admin.create("schema-registries", name=f"{name}-{api.name}", url=double.url, tls=tls)
            with api.policy(source="registry", registry=f"{name}-{api.name}", read="fail"):
                answer = api.judged({"id": 1}) if name == "guarded" else api.post({"id": 1})
                assert answer.status_code == (201 if name == "guarded" else 503), answer.text
                assert (double.asked != []) == (name == "guarded")
                if name == "guarded":
                    assert [event["data"]["id"] for event in api.events(1)] == [1]


def test_the_schema_of_an_event_api(shop, kafka):
    api = Api(shop, kafka, schema={"format": "json_schema", "definition": json.dumps(PERSON)})
    with api.policy(source="event-api"):
        assert api.post({"name": "Ada"}).status_code == 201
        answer = api.post({"name": 1})
        assert answer.status_code == 422 and "/name" in answer.text
        assert api.produce(b'{"name":"Bo"}', b'{"age":1}') == [None, KafkaError.INVALID_RECORD]
    assert [event["data"] for event in api.events(2)] == [{"name": "Ada"}, {"name": "Bo"}]
    avro = Api(shop, kafka, schema={"format": "avro", "definition": json.dumps(ORDER)})
    with avro.policy(source="event-api"):
        assert avro.post({"id": 1}).status_code == 201
        assert avro.produce(b"\x04\x00\x00\x02", b"\x04") == [None, KafkaError.INVALID_RECORD]
        assert [event["data"]["id"] for event in avro.events(2)] == [1, 2]
    assert [record.value() for record in avro.stored()] == [b"\x02\x00\x00\x00", b"\x04\x00\x00\x02"]


def test_a_schema_of_no_use_is_refused_when_it_is_given(shop):
    for format, definition, word in (("avro", {"type": "record", "name": "R"}, "list of fields"),
                                     ("json_schema", {"$ref": "http://elsewhere/x"}, "nothing is fetched")):
        refused = shop.admin.request("POST", "/v1/event-apis", expect=400, json={
            "name": "useless", "major": 1, "team": shop.team, "operations": ["read"], "exposures": ["rest"],
            "schema": {"format": format, "definition": json.dumps(definition)}}).json()
        assert refused["errors"][0]["pointer"] == "/schema/definition" and word in refused["errors"][0]["detail"]
