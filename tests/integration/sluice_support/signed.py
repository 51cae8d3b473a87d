"""In front of an AWS service that does not look at signatures: refuses requests that are not signed as Signature Version 4
wants it, and passes the others on."""

import hashlib
import hmac
import http.client
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_AUTHORIZATION = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
                            r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})")


class SignedDoor:
    """`signed` are the headers that the last good request signed, `refused` what was wrong with others."""

    def __init__(self, port, target, key_id, secret):
        self.url, self.signed, self.refused = f"http://127.0.0.1:{port}/", None, []
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                wrong = door.judge(self.headers, body, key_id, secret)
                if wrong:
                    door.refused.append(wrong)
                    self.send_error(403)
                    return
                connection = http.client.HTTPConnection(*target, timeout=20)
                connection.request("POST", "/", body, dict(self.headers))
                answer = connection.getresponse()
                text = answer.read()
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
                connection.close()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def judge(self, headers, body, key_id, secret):
        found = _AUTHORIZATION.fullmatch(headers.get("Authorization", ""))
        if not found or found[1] != key_id:
            return f"not signed by {key_id}: {headers.get('Authorization')}"
        day, region, service, names = found[2], found[3], found[4], found[5].split(";")
        must = {name.lower() for name in headers if name.lower().startswith("x-amz-")} | {"host"}
        if not must <= set(names):
            return f"{must - set(names)} are not signed"
        canonical = "\n".join(["POST", "/", "", *(f"{name}:{' '.join(headers[name].split())}" for name in names), "",
                               ";".join(names), hashlib.sha256(body).hexdigest()])
        scope = f"{day}/{region}/{service}/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", headers["X-Amz-Date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = f"AWS4{secret}".encode()
        for part in (day, region, service, "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        if hmac.new(key, text.encode(), hashlib.sha256).hexdigest() != found[6]:
            return f"the signature is another one than of\n{canonical}"
        self.signed = names
        return None
