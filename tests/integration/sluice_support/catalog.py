"""A valid sample of every kind of entity, by hand: what the tests that go over all kinds start from."""

import functools
import itertools
import json
import subprocess
import tempfile
from pathlib import Path

_FAR = "2099-01-01T00:00:00Z"


@functools.cache
def certificate():
    """A self-signed certificate and its key, in PEM."""
    with tempfile.TemporaryDirectory() as folder:
        cert, key = Path(folder, "cert.pem"), Path(folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=sample"],
                       check=True, capture_output=True)
        return cert.read_text(), key.read_text()


def openapi(title="Stock", paths=None, **more):
    """An OpenAPI document, as text."""
    return json.dumps({"openapi": "3.1.0", "info": {"title": title, "version": "1.0"}, "servers": [{"url": "https://stock.example"}],
                       "paths": paths or {"/items": {"get": {"summary": "What there is", "responses": {}}}}, **more})


class CatalogSamples:
    """`body(kind)` is a valid body for a creation that clashes with nothing; what it refers to is made on the way, once
    for each kind (`base(kind)`). A kind is one function below, named after it."""

    def __init__(self, admin, prefix="s"):
        self.admin = admin
        self.prefix = prefix
        self._numbers = itertools.count(1)
        self._bases = {}

    def name(self):
        return f"{self.prefix}{next(self._numbers)}"

    @classmethod
    def kinds(cls):
        """Those that there are samples of: what can be made through the API."""
        return [name[1:].replace("_", "-") for name, value in vars(cls).items()
                if name.startswith("_") and not name.startswith("__") and callable(value)]

    def body(self, kind):
        return getattr(self, "_" + kind.replace("-", "_"))()

    def create(self, kind, **fields):
        return self.admin.create(kind, **{**self.body(kind), **fields})

    def base(self, kind):
        """The id of the one that other samples refer to."""
        if kind not in self._bases:
            self._bases[kind] = self.create(kind)["id"]
        return self._bases[kind]

    def bases(self):
        """Those that were made so far: ids by kind."""
        return dict(self._bases)

    # ---- who administers ----

    def _teams(self):
        return {"name": self.name(), "title": "A team", "labels": {"made-by": "tests"}}

    def _roles(self):
        return {"name": self.name(), "permissions": ["teams:read", "event-apis:*"]}

    def _users(self):
        name = self.name()
        return {"name": name, "email": f"{name}@example.com", "teams": [self.base("teams")],
                "roles": [self.base("roles")]}

    def _api_tokens(self):
        return {"name": "sample", "owner": self.base("users"), "scopes": ["teams:read"], "expires_at": _FAR}

    def _invitations(self):
        return {"email": f"{self.name()}@example.com", "team": self.base("teams"), "role": "viewer", "expires_in": "2d"}

    def _sign_in_providers(self):
        return {"name": self.name(), "issuer": "https://id.example.com", "client_id": "portal", "client_secret": "s",
                "scopes": ["openid", "groups"], "domains": ["example.com"], "trust_email": True, "disabled": True}

    def _sign_in_rules(self):
        return {"provider": self.base("sign-in-providers"), "group": self.name(), "team": self.base("teams"),
                "role": "viewer"}

    def _grants(self):
        return {"team": self.base("teams"), "virtual_cluster": self.base("virtual-clusters"),
                "topic": f"{self.name()}-*", "operations": ["publish", "read"]}

    # ---- gateways and what they stand before ----

    def _gateway_groups(self):
        return {"name": self.name(), "environment": "dev", "rest_url": "https://events.example.com",
                "kafka_url": "events.example.com:9092", "max_staleness": "2h"}

    def _enrolment_tokens(self):
        return {"group": self.base("gateway-groups"), "expires_in": "5m", "uses": 2}

    def _backend_clusters(self):
        return {"name": self.name(), "bootstrap_servers": ["127.0.0.1:1"],
                "tls": {"enabled": True, "ca_pem": certificate()[0], "verify": True},
                "authentication": {"mechanism": "PLAIN", "username": "u", "password": "p"},
                "options": {"connect_timeout": "2s"}}

    def _virtual_clusters(self):
        return {"name": self.name(), "backend_cluster": self.base("backend-clusters"),
                "namespace": {"mode": "hide", "prefix": f"{self.name()}.", "aliases": [{"name": "a", "topic": "b"}],
                              "topic_filter": ["*"], "group_filter": ["*"],
                              "limits": {"topics": 9, "partitions": 99, "topic_configs": ["retention.ms"]}}, "extra_topics": ["shared-*"],
                "client_authentication": ["plain"]}

    def _listeners(self):
        """Of a group of its own: addresses must not clash, and none of these is ever opened."""
        return {"name": self.name(), "gateway_group": self.base("gateway-groups"), "protocol": "http",
                "address": f"127.0.0.1:{20000 + next(self._numbers)}",
                "tls": {"certificate_pem": certificate()[0], "key_pem": certificate()[1]}}

    # ---- trust ----

    def _issuers(self):
        return {"name": self.name(), "url": "https://id.example.com", "audiences": ["sluice"],
                "algorithms": ["ES256"], "claims": {"tenant": "a"}}

    def _enrolment_rules(self):
        return {"name": self.name(), "group": self.base("gateway-groups"), "issuer": self.base("issuers"),
                "audience": "sluice", "namespace": "edge-*", "service_account": "gateway"}

    def _webhooks(self):
        return {"name": self.name(), "url": "https://192.0.2.1/hooks", "team": self.base("teams"),
                "events": ["subscription.requested"], "enabled": False}

    def _scorecard_rules(self):
        return {"name": self.name(), "condition": "size(api.description) > 0", "hint": "Describe it.", "level": "silver",
                "tags": ["never-used"], "teams": [self.base("teams")]}

    def _schema_registries(self):
        return {"name": self.name(), "url": "https://registry.example.com",
                "authentication": {"mechanism": "bearer", "token": {"env": "REGISTRY_TOKEN"}}}

    def _key_rings(self):
        return {"name": self.name(), "provider": "local",
                "config": {"path": "/var/lib/keys", "passphrase": {"file": "/run/secrets/keys"}}}

    def _trust_bundles(self):
        return {"name": self.name(), "pem": certificate()[0]}

    # ---- what is offered ----

    def _event_apis(self):
        return {"name": self.name(), "major": 1, "team": self.base("teams"), "operations": ["publish", "read"],
                "exposures": ["rest", "sse"], "lifecycle": "published", "tags": ["sample"],
                "key": {"source": "json_pointer", "pointer": "/id"},
                "schema": {"format": "json_schema", "definition": '{"type": "object"}'}}

    def _deployments(self):
        return {"event_api": self.create("event-apis")["id"], "gateway_group": self.base("gateway-groups"),
                "virtual_cluster": self.base("virtual-clusters"), "topic": "orders",
                "listener": self.base("listeners")}

    def _products(self):
        return {"name": self.name(), "team": self.base("teams"), "event_apis": [self.base("event-apis")],
                "lifecycle": "published", "visibility": "teams", "visible_to": [self.base("teams")]}

    def _plans(self):
        return {"product": self.base("products"), "name": self.name(), "operations": ["read"], "approval": "manual",
                "limits": {"events_per_second": 100, "streams": 5}}

    def _rest_apis(self):
        return {"name": self.name(), "team": self.base("teams"), "lifecycle": "published", "tags": ["sample"],
                "document": openapi(), "visibility": "signed-in"}

    def _policies(self):
        return {"name": self.name(), "type": "cors", "scope": {"kind": "event-api", "ref": self.base("event-apis")},
                "order": 10, "config": {"origins": ["https://shop.example"], "max_age": 60}}

    # ---- who uses it ----

    def _applications(self):
        return {"name": self.name(), "team": self.base("teams"), "description": "Reads *orders*."}

    def _credentials(self):
        return {"application": self.base("applications"), "type": "secret", "title": "Sample", "expires_at": _FAR}

    def _subscriptions(self):
        """One live one for each application and product: so an application of its own."""
        return {"application": self.create("applications")["id"], "plan": self.base("plans"), "environment": "dev"}

    # ---- changes ----

    # A change that is valid for every entity of the kind, where it is not the title.
    _CHANGES = {
        "api-tokens": {"name": "renamed"},
        "grants": {"operations": ["read"]},
        "sign-in-rules": {"role": "developer"},
        "listeners": {"advertised_port": 443},
        "deployments": {"topic": "other"},
        "policies": {"order": 20},
        "subscriptions": {"expires_at": "2098-01-01T00:00:00Z"},
    }

    def change(self, kind):
        return self._CHANGES.get(kind, {"title": f"Changed {next(self._numbers)}"})
