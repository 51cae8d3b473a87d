"""An issuer of access tokens: discovery, keys and a token endpoint for client credentials."""

import base64
import http.server
import json
import ssl
import threading
import time
import urllib.parse
from pathlib import Path

from .service_account import SigningKey, jwt


class Issuer:
    """`fetches` counts who asked for keys; `down` makes it answer 503. `clients` are those of the token endpoint, with
    their secrets; its tokens say so in sub and azp. `certificate` and key make it HTTPS."""

    def __init__(self, folder, algorithm="RS256", certificate=None):
        self.folder = Path(folder)
        self.key = SigningKey(folder, "key-1", algorithm)
        self.published = [self.key]
        self.clients, self.lifetime_s = {}, 300
        self.fetches, self.down = 0, False
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                self.answer(*issuer._page(self.path))

            def do_POST(self):
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self.answer(*issuer._token(self.headers, dict(urllib.parse.parse_qsl(form))))

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self._server.server_port}"
        self.keys_url, self.token_url = f"{self.url}/keys", f"{self.url}/token"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def rotate(self, kid):
        """Another key; the old one is no longer published."""
        self.key = SigningKey(self.folder, kid, self.key.algorithm)
        self.published = [self.key]

    def token(self, key=None, header=None, **claims):
        """Claims that are None are left out."""
        key, now = key or self.key, int(time.time())
        claims = {"iss": self.url, "aud": "sluice", "sub": "shop", "iat": now, "exp": now + self.lifetime_s, **claims}
        header = {"alg": key.algorithm, "kid": key.kid, "typ": "at+jwt", **(header or {})}
        return jwt(header, {name: value for name, value in claims.items() if value is not None}, key.sign)

    def _page(self, path):
        if self.down:
            return 503, {}
        if path == "/.well-known/openid-configuration":
            return 200, {"issuer": self.url, "jwks_uri": self.keys_url, "token_endpoint": self.token_url}
        if path == "/keys":
            self.fetches += 1
            return 200, {"keys": [key.jwk for key in self.published]}
        return 404, {}

    def _token(self, headers, form):
        client, secret = form.get("client_id"), form.get("client_secret")
        scheme, _, encoded = headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            client, _, secret = base64.b64decode(encoded).decode().partition(":")
        if self.down or self.clients.get(client) != secret or secret is None:
            return 401, {"error": "invalid_client"}
        token = self.token(sub=client, azp=client, scope=form.get("scope"))
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime_s}
