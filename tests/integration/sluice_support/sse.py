"""A reader of server-sent events that shows everything on the wire: events, comments, retry, the end."""

import http.client
import json
import queue
import socket
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

_END = object()


@dataclass
class SseEvent:
    data: str
    id: str | None = None
    event: str = "message"

    def json(self):
        return json.loads(self.data)


class SseReader:
    """Connects at once; `status` and `headers` are there afterwards. A thread reads, so that every wait is bounded.

    `last_id` is what a browser would send as Last-Event-ID; `comments` and `retry_ms` collect the rest.
    """

    def __init__(self, url, headers=None, timeout=90.0, context=None, receive_buffer=None):
        parts = urlsplit(url)
        if parts.scheme == "https":
            self._connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=context)
        else:
            self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
        if receive_buffer:
            self._shrink_receive_buffer(receive_buffer)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        self._connection.request("GET", target, headers={"Accept": "text/event-stream", **(headers or {})})
        self._socket = self._connection.sock
        self._response = self._connection.getresponse()
        self.status = self._response.status
        self.headers = self._response.headers
        self.last_id = None
        self.retry_ms = None
        self.comments = []
        self._queue = queue.Queue()
        self._begun = threading.Event()
        self._thread = None
        if self.status == 200:
            # From here on only the queue's waits are bounded: a socket that timed out cannot be read again.
            self._socket.settimeout(None)
            self._thread = threading.Thread(target=self._read, daemon=True)
            self._thread.start()
            # From `: ok` on no event is missed; an outage or the end is told instead.
            assert self._begun.wait(timeout), f"the stream says nothing within {timeout:g} s"

    def _shrink_receive_buffer(self, size):
        """For slow readers: the kernel must not hide that nobody reads. Has to happen before the connection."""
        host, port = self._connection.host, self._connection.port
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        sock.settimeout(self._connection.timeout)
        sock.connect((host, port))
        self._connection.sock = sock

    def body(self):
        """The whole body of an answer that is not a stream."""
        assert self.status != 200
        return self._response.read()

    def _read(self):
        event, data = SseEvent(data=""), []
        try:
            while True:
                raw = self._response.readline()
                if not raw:
                    break
                line = raw.decode().rstrip("\r\n")
                if line == "":
                    if data:
                        event.data = "\n".join(data)
                        event.id = self.last_id
                        self._queue.put(event)
                        self._begun.set()
                    event, data = SseEvent(data=""), []
                elif line.startswith(":"):
                    self.comments.append(line[1:].strip())
                    if line == ": ok":
                        self._begun.set()
                else:
                    self._field(event, data, *line.partition(":")[::2])
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            pass  # closed by either side; AttributeError is http.client's own when close() wins the race
        self._queue.put(_END)
        self._begun.set()

    def _field(self, event, data, name, value):
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            event.event = value
        elif name == "id":
            self.last_id = value
        elif name == "retry":
            self.retry_ms = int(value)

    def waiting(self):
        """How many events have come and were not taken yet."""
        return self._queue.qsize()

    def next(self, timeout=90.0):
        """The next event; None when the stream has ended. Fails after `timeout` seconds without either."""
        try:
            item = self._queue.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"no event within {timeout:g} s") from None
        if item is _END:
            self._queue.put(_END)
            return None
        return item

    def take(self, count, timeout=90.0):
        """The next `count` events. That the backend is out of reach, as a slow machine's may seem for a moment, is told in
        between and is none of them: the stream goes on."""
        deadline, events = time.monotonic() + timeout, []
        while len(events) < count:
            remaining = deadline - time.monotonic()
            assert remaining > 0, f"only {len(events)} of {count} events within {timeout:g} s"
            event = self.next(remaining)
            assert event is not None, f"the stream ended after {len(events)} of {count} events"
            if event.event != "error" or not event.json()["type"].endswith("/backend-unavailable"):
                events.append(event)
        return events

    def find(self, count, wanted, timeout=90.0):
        """The next `count` events for which wanted(event) holds. Others are passed over: a gateway learns of an event with
        its next fetch, so that what was published just before may come first on a stream of what is new."""
        deadline, found = time.monotonic() + timeout, []
        while len(found) < count:
            found += [event for event in self.take(1, max(0.01, deadline - time.monotonic())) if wanted(event)]
        return found

    def wait_end(self, timeout=90.0):
        """Waits until the other side has ended the stream; returns the events that came before."""
        deadline, events = time.monotonic() + timeout, []
        while (event := self.next(max(0.01, deadline - time.monotonic()))) is not None:
            events.append(event)
        return events

    def close(self):
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if self._thread:
            self._thread.join(5)
        self._response.close()
        self._connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
