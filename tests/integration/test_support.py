"""The tools that the other tests trust: the stream reader, the Kafka helper, the judgement of a program's end."""

import os
import socket
import threading

import pytest
import requests

from sluice_support import Program, SseReader, complete_lines, free_port, json_lines, wait_until

STREAM = (
    b": ok\n\nretry: 2000\n\n"
    b"id: a\ndata: {\"n\":1}\n\n"
    b": heartbeat\n\n"
    b"id: b\nevent: gap\ndata: one\ndata: two\n\n"
)


def _serve_once(port, chunks):
    """Answers one request with a chunked stream, split where the test wants."""
    listener = socket.create_server(("127.0.0.1", port))

    def answer():
        peer, _ = listener.accept()
        with peer, listener:
            peer.recv(65536)
            peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for chunk in chunks:
                peer.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            peer.sendall(b"0\r\n\r\n")

    threading.Thread(target=answer, daemon=True).start()


@pytest.mark.parametrize("size", [1, 7, len(STREAM)])
def test_the_reader_finds_the_same_events_however_they_are_split(size):
    port = free_port()
    _serve_once(port, [STREAM[i : i + size] for i in range(0, len(STREAM), size)])
    with SseReader(f"http://127.0.0.1:{port}/x") as reader:
        first, second = reader.take(2)
        assert (first.id, first.event, first.json()) == ("a", "message", {"n": 1})
        assert (second.id, second.event, second.data) == ("b", "gap", "one\ntwo")
        assert reader.next() is None
        assert reader.comments == ["ok", "heartbeat"]
        assert reader.retry_ms == 2000


def test_the_reader_passes_over_an_outage_and_over_no_other_error():
    port, problem = free_port(), 'event: error\ndata: {"type":"https://sluice.dev/problems/%s"}\n\n'
    told = "".join((problem % "backend-unavailable", "data: 1\n\n", problem % "topic-missing")).encode()
    _serve_once(port, [b": ok\n\n" + told])
    with SseReader(f"http://127.0.0.1:{port}/x") as reader:
        assert [event.event for event in reader.take(2)] == ["message", "error"]


def test_records_come_back_as_they_were_produced(kafka):
    topic = kafka.create_topic(partitions=2)
    kafka.produce(topic, [{"value": b"v%d" % n, "key": b"k%d" % n, "partition": n % 2} for n in range(10)])
    records = kafka.consume_all(topic)
    assert sorted(record.value() for record in records) == [b"v%d" % n for n in range(10)]
    assert kafka.end_offsets(topic) == {0: 5, 1: 5}


def test_a_line_of_a_log_counts_when_it_is_whole(tmp_path):
    log = tmp_path / "log"
    assert json_lines(log) == complete_lines(log) == []
    log.write_text('{"message":"a","n":1}\nE0101 of another library\n{"message":"b","n":2}\n{"message":"a","n":')
    assert complete_lines(log)[1:] == ["E0101 of another library", '{"message":"b","n":2}']
    assert json_lines(log) == [{"message": "a", "n": 1}, {"message": "b", "n": 2}]
    assert json_lines(log, message="a") == [{"message": "a", "n": 1}]
    with open(log, "a") as file:
        file.write("3}\n")
    assert json_lines(log, message="a") == [{"message": "a", "n": 1}, {"message": "a", "n": 3}]
    assert Program("any", ["true"], log).entries("b", n=2) == [{"message": "b", "n": 2}]


def test_what_is_in_force_is_so_in_every_worker(sample):
    """Each connection sees it, whichever worker has it."""
    for title in "one", "two", "three":
        changed = sample.admin.patch("event-apis", sample.event_api, title=title)
        assert sample.wait_in_force(changed) is changed
        seen = [requests.get(f"http://127.0.0.1:{sample.port}/orders/v1/openapi.json", timeout=60).json()["info"]["title"]
                for _ in range(20)]
        assert seen == [title] * 20


def test_a_program_that_reports_a_finding_fails_even_with_status_zero(tmp_path):
    program = Program("bad", ["sh", "-c", "echo 'x.c:1: runtime error: overflow' >&2"], tmp_path / "log")
    program.start().wait()
    with pytest.raises(AssertionError, match="a sanitizer"):
        program.stop()


def test_a_program_that_ignores_sigterm_is_killed_and_fails(tmp_path):
    program = Program("deaf", ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"], tmp_path / "log")
    program.start()
    wait_until(lambda: b"up" in program.log())
    pid = program.pid
    with pytest.raises(AssertionError, match="did not end"):
        program.stop(timeout=0.3)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_crash_is_told_with_the_end_of_the_log(tmp_path):
    program = Program("crash", ["sh", "-c", "echo last words; exit 3"], tmp_path / "log").start()
    with pytest.raises(AssertionError, match="status 3(.|\n)*last words"):
        program.wait_ready(lambda: False)
