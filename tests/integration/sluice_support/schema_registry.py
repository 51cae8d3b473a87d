"""Schema registries with Confluent's API: a real one, and one that fails as a test wants it."""

import http.server
import json
import ssl
import subprocess
import threading
import urllib.parse
import urllib.request
from pathlib import Path

from .process import Program
from .wait import free_port

ROOT = Path(__file__).resolve().parents[3]


def register(url, subject, schema, kind="AVRO", references=()):
    """Registers a schema, text or what becomes JSON, and returns its number."""
    text = schema if isinstance(schema, str) else json.dumps(schema)
    body = {"schema": text, "schemaType": kind, "references": list(references)}
    request = urllib.request.Request(f"{url}/subjects/{urllib.parse.quote(subject, safe='')}/versions",
                                     json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
        return json.load(answer)["id"]


class Apicurio(Program):
    """Apicurio Registry, in memory, on a port of its own; `url` is that of Confluent's API."""

    def __init__(self, folder):
        jar = subprocess.run([ROOT / "scripts/schema-registry", "fetch", "--yes"], check=True, capture_output=True,
                             text=True, timeout=600).stdout.strip()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
        super().__init__("registry", ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx300m",
                                      f"-Dquarkus.http.port={port}", "-Dquarkus.http.host=127.0.0.1", "-jar", jar],
                         folder / "registry.log")

    def answers(self):
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{self.url}/subjects", timeout=5).close()
            return True
        except OSError:
            return False


class RegistryDouble:
    """The part of the API that gateways use. `down` makes it answer 503; numbers in `gone` are 404; `asked` are the
    paths that were asked for. GUIDs are made from the numbers. With `tls`, an Authority, it speaks TLS and wants a
    certificate of the client's."""

    def __init__(self, tls=None):
        self.schemas, self.subjects, self.gone, self.asked, self.down = {}, {}, set(), [], False
        double = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                double.asked.append(self.path)
                status, body = double._page(urllib.parse.unquote(self.path.split("?")[0]).strip("/").split("/"))
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}"
        if tls:
            certificate, key = tls.issue("registry", ["IP:127.0.0.1"])
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            context.load_verify_locations(tls.ca)
            context.verify_mode = ssl.CERT_REQUIRED
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def add(self, subject, schema, kind="AVRO"):
        number = len(self.schemas) + 1
        text = schema if isinstance(schema, str) else json.dumps(schema)
        self.schemas[number] = {"schema": text, "schemaType": kind, "guid": self.guid(number)}
        self.subjects.setdefault(subject, []).append(number)
        return number

    @staticmethod
    def guid(number):
        return f"00000000-0000-0000-0000-{number:012x}"

    def _page(self, path):
        found = None
        if path[:2] == ["schemas", "ids"] and int(path[2]) in self.schemas and int(path[2]) not in self.gone:
            number = int(path[2])
            found = {**self.schemas[number]} if len(path) == 3 else [
                {"subject": subject, "version": ids.index(number) + 1}
                for subject, ids in self.subjects.items() if number in ids]
        elif path[:2] == ["schemas", "guids"]:
            found = next((schema for schema in self.schemas.values() if schema["guid"] == path[2]), None)
        elif path[0] == "subjects" and path[1] in self.subjects:
            version = len(self.subjects[path[1]]) if path[3] == "latest" else int(path[3])
            number = self.subjects[path[1]][version - 1]
            found = {"subject": path[1], "id": number, "version": version, **self.schemas[number]}
        if self.down:
            return 503, {"error_code": 50301, "message": "away"}
        return (200, found) if found is not None else (404, {"error_code": 40403, "message": "Schema not found"})
