"""Tokens that nobody must take, with what the gateway's log says of each."""

import base64
import hmac
import time

from .service_account import SigningKey, jwt


def _claims(issuer):
    return {"iss": issuer.url, "aud": "sluice", "sub": "shop", "exp": int(time.time()) + 60}


def _unsigned(issuer):
    return jwt({"alg": "none", "kid": issuer.key.kid}, _claims(issuer), lambda data: b"") + "AA"


def _confused(issuer):
    secret = issuer.key.public_pem()
    return jwt({"alg": "HS256", "kid": issuer.key.kid}, _claims(issuer), lambda data: hmac.digest(secret, data, "sha256"))


def _of_another(issuer, **header):
    return issuer.token(SigningKey(issuer.folder, "stranger", issuer.key.algorithm), {"kid": issuer.key.kid, **header})


def _twice(issuer):
    header, _, signature = issuer.token().split(".")
    claims = base64.urlsafe_b64encode(b'{"iss":"%s","sub":"a","sub":"b"}' % issuer.url.encode()).rstrip(b"=").decode()
    return f"{header}.{claims}.{signature}"


# name: (the token by the issuer, the reason in the log)
HOSTILE = {
    "unsigned": (_unsigned, "signed with none"),
    "confused": (_confused, "signed with HS256"),
    "another key": (_of_another, "not by a key of its issuer"),
    "its own key": (lambda i: _of_another(i, jwk=SigningKey(i.folder, "stranger", i.key.algorithm).jwk), "not by a key of its issuer"),
    "a key elsewhere": (lambda i: _of_another(i, jku="http://127.0.0.1:9/"), "not by a key of its issuer"),
    "a path as key id": (lambda i: _of_another(i, kid="../../../dev/null"), "no key"),
    "expired": (lambda i: i.token(exp=int(time.time()) - 1), "the token expired"),
    "not yet valid": (lambda i: i.token(nbf=int(time.time()) + 60), "valid only in"),
    "for ever": (lambda i: i.token(exp=None), "when it expires"),
    "for another": (lambda i: i.token(aud=["else"]), "audiences"),
    "of another issuer": (lambda i: i.token(iss="https://evil.example"), "evil.example"),
    "of nobody": (lambda i: i.token(sub="nobody"), "unknown credential"),
    "critical": (lambda i: i.token(header={"crit": ["x"], "x": 1}), "cannot be accepted"),
    "no token": (lambda i: "abc", "no signed JSON Web Token"),
    "long": (lambda i: "a" * 20000 + ".b.c", "too long"),
    "claims twice": (_twice, "not a JSON object"),
}
