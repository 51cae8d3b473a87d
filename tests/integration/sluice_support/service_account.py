"""A Kubernetes cluster as far as enrolment sees one: keys, projected tokens, and a place that publishes the keys."""

import base64
import http.server
import json
import subprocess
import threading
import time
from pathlib import Path

ISSUER = "https://kubernetes.default.svc.cluster.local"


def _b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _openssl(*arguments, data=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=data, check=True, capture_output=True).stdout


class SigningKey:
    """An RSA or P-256 key; `jwk` is its public half."""

    def __init__(self, folder, kid, algorithm="RS256"):
        self.kid, self.algorithm = kid, algorithm
        self.path = Path(folder, f"{kid}.pem")
        if algorithm == "RS256":
            self.path.write_bytes(_openssl("genrsa", "2048"))
            modulus = _openssl("rsa", "-in", self.path, "-noout", "-modulus").strip().partition(b"=")[2]
            self.jwk = {"kty": "RSA", "n": _b64(bytes.fromhex(modulus.decode())), "e": "AQAB"}
        else:
            self.path.write_bytes(_openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout"))
            point = _openssl("ec", "-in", self.path, "-pubout", "-outform", "DER")[-64:]
            self.jwk = {"kty": "EC", "crv": "P-256", "x": _b64(point[:32]), "y": _b64(point[32:])}
        self.jwk |= {"kid": kid, "use": "sig", "alg": algorithm}

    def public_pem(self):
        return _openssl("pkey", "-in", self.path, "-pubout")

    def sign(self, data):
        signature = _openssl("dgst", "-sha256", "-sign", self.path, data=data)
        return signature if self.algorithm == "RS256" else _raw(signature)


def _raw(der):
    """An ECDSA signature as JWS wants it: two numbers of 32 bytes instead of ASN.1."""
    r_len = der[3]
    r, s = der[4:4 + r_len], der[4 + r_len + 2:]
    return b"".join(part.lstrip(b"\0").rjust(32, b"\0") for part in (r, s))


def jwt(header, claims, sign):
    head = f"{_b64(json.dumps(header).encode())}.{_b64(json.dumps(claims).encode())}"
    return f"{head}.{_b64(sign(head.encode()))}"


class Cluster:
    """Its keys are at `url`, like those of an API server. `requests` counts who asked."""

    def __init__(self, folder, algorithm="RS256"):
        self.folder = Path(folder)
        self.key = SigningKey(folder, "key-1", algorithm)
        self.published = [self.key]
        self.requests = 0
        cluster = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                cluster.requests += 1
                body = json.dumps({"keys": [key.jwk for key in cluster.published]}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/jwk-set+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/openid/v1/jwks"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def claims(self, namespace="edge", account="gateway", pod="gateway-7f9c", uid=None, **changes):
        now = int(time.time())
        claims = {
            "iss": ISSUER, "aud": ["sluice"], "exp": now + 600, "iat": now, "nbf": now,
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "kubernetes.io": {"namespace": namespace, "pod": {"name": pod, "uid": uid or f"uid-of-{pod}"},
                              "serviceaccount": {"name": account, "uid": "2"}},
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key=None, header=None, **claims):
        key = key or self.key
        header = {"alg": key.algorithm, "kid": key.kid, **(header or {})}
        return jwt(header, self.claims(**claims), key.sign)

    def token_file(self, name, text=None):
        path = self.folder / name
        path.write_text(text if text is not None else self.token())
        return path
