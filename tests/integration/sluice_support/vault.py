"""A double of HashiCorp Vault: what the gateway uses of the HTTP API of its transit engine, after Vault's documentation. It is
no Vault: keys are made by add() and there is one token."""

import base64
import hashlib
import hmac
import json
import os
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Refusal(Exception):
    def __init__(self, status, message):
        self.status, self.message = status, message


class VaultDouble:
    """`keys` are lists of versions; `calls` what was asked, as (operation, key)."""

    def __init__(self, authority, port, token, namespace=None, mount="transit"):
        self.token, self.namespace, self.mount = token, namespace, mount
        self.keys, self.calls, self.sealed = {}, [], False
        self.url = f"https://127.0.0.1:{port}"
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*authority.issue("vault", ["IP:127.0.0.1"]))
        self._port = port
        self._server = None
        self.start()

    def start(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler(), bind_and_activate=False)
        self._server.allow_reuse_address = True
        self._server.daemon_threads = True
        self._server.server_bind()
        self._server.server_activate()
        self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        """Nobody listens any more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._server = None

    def add(self, name):
        self.keys[name] = [os.urandom(32)]

    def rotate(self, name):
        self.keys[name].append(os.urandom(32))

    # ---- the API ----

    def _handler(double):  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                if double._server is None:  # a connection that was kept
                    self.close_connection = True
                    return
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                try:
                    status, answer = 200, {"data": double.answer(self.path, self.headers, body)}
                except Refusal as refusal:
                    status, answer = refusal.status, {"errors": [refusal.message]}
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        return Handler

    def answer(self, path, headers, body):
        if self.sealed:
            raise Refusal(503, "Vault is sealed")
        if headers["X-Vault-Token"] != self.token or headers["X-Vault-Namespace"] != self.namespace:
            raise Refusal(403, "permission denied")
        assert headers["X-Vault-Request"] == "true"
        assert path.startswith(f"/v1/{self.mount}/"), path
        operation, name = path.removeprefix(f"/v1/{self.mount}/").rsplit("/", 1)
        self.calls.append((operation, name))
        if name not in self.keys:
            raise Refusal(400, "encryption key not found")
        return {"datakey/plaintext": self._datakey, "decrypt": self._decrypt, "hmac": self._hmac}[operation](
            self.keys[name], body)

    def _datakey(self, versions, body):
        secret, nonce = os.urandom(body["bits"] // 8), os.urandom(12)
        text = base64.b64encode(nonce + AESGCM(versions[-1]).encrypt(nonce, secret, None)).decode()
        return {"plaintext": base64.b64encode(secret).decode(), "ciphertext": f"vault:v{len(versions)}:{text}",
                "key_version": len(versions)}

    def _decrypt(self, versions, body):
        try:
            _, version, text = body["ciphertext"].split(":")
            sealed = base64.b64decode(text, validate=True)
            secret = AESGCM(versions[int(version[1:]) - 1]).decrypt(sealed[:12], sealed[12:], None)
        except (ValueError, IndexError, InvalidTag):
            raise Refusal(400, "cipher: message authentication failed") from None
        return {"plaintext": base64.b64encode(secret).decode()}

    def _hmac(self, versions, body):
        assert body["algorithm"] == "sha2-512"
        digest = hmac.new(versions[body["key_version"] - 1], base64.b64decode(body["input"]), hashlib.sha512).digest()
        return {"hmac": f"vault:v{body['key_version']}:{base64.b64encode(digest).decode()}"}
