"""An OTLP/HTTP collector: what it takes must be what OpenTelemetry's own protobuf definitions say."""

import base64
import http.server
import json
import threading

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2


def _decode_ids(node):
    """OTLP's JSON writes ids in hexadecimal, where protobuf's has base64."""
    if isinstance(node, list):
        return [_decode_ids(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: base64.b64encode(bytes.fromhex(value)).decode() if key in ("traceId", "spanId", "parentSpanId")
            else _decode_ids(value) for key, value in node.items()}


class Span:
    """One span, with ids in hexadecimal and attributes as a dict."""

    def __init__(self, resource, span):
        self.name, self.kind, self.status = span.name, span.kind, span.status.code
        self.trace_id, self.span_id, self.parent_id = (part.hex() for part in (span.trace_id, span.span_id, span.parent_span_id))
        self.trace_state = span.trace_state
        self.start_ns, self.end_ns = span.start_time_unix_nano, span.end_time_unix_nano
        self.links = [(link.trace_id.hex(), link.span_id.hex()) for link in span.links]
        self.dropped_links = span.dropped_links_count
        self.attributes = self._values(span.attributes)
        self.resource = self._values(resource.attributes)

    @staticmethod
    def _values(attributes):
        return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


class Collector:
    """`spans` came in, `headers` are those of the last request. `statuses` are given first; an empty list: 200."""

    def __init__(self):
        self.spans, self.headers, self.statuses, self.requests, self.failures = [], {}, [], 0, []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = collector._take(self.path, dict(self.headers), body)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/traces"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _take(self, path, headers, body):
        self.requests += 1
        self.headers = headers
        if self.statuses:
            return self.statuses.pop(0)
        try:
            assert path == "/v1/traces" and headers["Content-Type"] == "application/json"
            request = json_format.ParseDict(_decode_ids(json.loads(body)), trace_service_pb2.ExportTraceServiceRequest())
            self.spans += [Span(resource.resource, span) for resource in request.resource_spans
                           for scope in resource.scope_spans for span in scope.spans]
            return 200
        except Exception as failure:  # whatever is wrong with it is the test's to tell
            self.failures.append(repr(failure))
            return 400

    def find(self, **attributes):
        wanted = {name.replace("__", "."): value for name, value in attributes.items()}
        return [span for span in self.spans if wanted.items() <= {**span.attributes, "name": span.name}.items()]

    def close(self):
        self._server.shutdown()
        self._server.server_close()
