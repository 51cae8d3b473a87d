"""A whole event API, from the gateway group to an approved subscription, in one call."""

import requests

from .sse import SseReader
from .wait import free_port, wait_until


class SampleApi:
    """Provisions through the admin API what one event API needs. Each name may be prefixed, so that several live side
    by side; `listener` reuses another sample's; `backend` is what else the backend cluster has. Afterwards: `key` (the
    API key), `url`, `gateway` once started (or set by the test).
    """

    def __init__(self, control, bootstrap_servers, topic, prefix="", group=None, listener=None, operations=None,
                 backend=None, **event_api):
        self.control = control
        self.admin = control.admin
        self.topic = topic
        self.gateway = None
        operations = operations or ["publish", "read"]
        self._base(bootstrap_servers, prefix, group, listener, backend or {})
        self._publish(prefix, operations, event_api)
        self._subscribe(prefix)
        self.url = f"http://127.0.0.1:{self.port}/{self.name}/v1/events"

    def _base(self, bootstrap_servers, prefix, group, listener, backend):
        self.group = group or f"{prefix}dev"
        self.backend, self.virtual_cluster = f"{prefix}local", f"{prefix}local"
        if group is None:
            self.admin.create("gateway-groups", name=self.group, environment="dev")
        self.admin.create("backend-clusters", name=self.backend, bootstrap_servers=bootstrap_servers.split(","),
                          **backend)
        self.admin.create("virtual-clusters", name=self.virtual_cluster, backend_cluster=self.backend,
                          namespace={"mode": "none"})
        if listener is None:
            self.listener, self.port = f"{prefix}http", free_port()
            self.admin.create("listeners", name=self.listener, gateway_group=self.group, protocol="http",
                              address=f"127.0.0.1:{self.port}")
        else:
            self.listener, self.port = listener
        self.team = f"{prefix}platform"
        self.admin.create("teams", name=self.team)

    def _publish(self, prefix, operations, event_api):
        self.name = f"{prefix}orders"
        self.event_api = f"{self.name}.v1"
        fields = {"operations": operations, "exposures": ["rest", "sse"], "lifecycle": "published", **event_api}
        self.admin.create("event-apis", name=self.name, major=1, team=self.team, **fields)
        self.admin.create("deployments", event_api=self.event_api, gateway_group=self.group,
                          virtual_cluster=self.virtual_cluster, topic=self.topic, listener=self.listener)
        self.product, self.plan = f"{prefix}orders", f"{prefix}orders.free"
        self.admin.create("products", name=self.product, team=self.team, visibility="public", lifecycle="published",
                          event_apis=[self.event_api])
        self.admin.create("plans", product=self.product, name="free", operations=operations, approval="auto")

    def _subscribe(self, prefix):
        self.application = f"{prefix}demo"
        self.admin.create("applications", name=self.application, team=self.team)
        self.credential = self.new_credential(self.application)
        self.key = self.credential["api_key"]
        self.subscription = self.admin.create("subscriptions", application=self.application, plan=self.plan,
                                              environment="dev")

    def new_credential(self, application):
        return self.admin.create("credentials", application=application, type="secret")

    def new_application(self, name):
        """An application without any subscription; returns its API key."""
        self.admin.create("applications", name=name, team=self.team)
        return self.new_credential(name)["api_key"]

    def start_gateway(self, servers, **options):
        """Starts a gateway of the group and waits until it serves this API."""
        self.gateway = servers.gateway(self.control.join_string(self.group), **options)
        self.wait_served()
        return self.gateway

    def wait_served(self, timeout=60.0):
        """Configuration travels: until then the gateway answers 404 here, or 401 or 403 for the key. Where `gateway` is
        set, every worker of it serves."""
        wait_until(lambda: self._authorised(), timeout, f"the gateway to serve {self.url} for the sample's key")
        if self.gateway is not None:
            self.wait_in_force(self.subscription)

    def _authorised(self):
        with SseReader(self.url, {"X-API-Key": self.key}, timeout=20) as reader:
            return reader.status == 200

    def wait_in_force(self, changed=None):
        """Until every worker of the gateway works by `changed`, which is what the admin API answered to a change that
        concerns the group; without it, by the last change of the catalog, such as a deletion. Workers take a configuration
        one after the other: what is seen at one of them need not hold for the next connection. Returns `changed`."""
        revision = changed["revision"] if changed else self.admin.revision()
        wait_until(lambda: self.gateway.metrics()["sluice_config_applied_version"] >= revision,
                   what=f"revision {revision} to be in force at {self.gateway.name}")
        return changed

    def publish(self, value, key=None, headers=None, **kwargs):
        """POST with the API key (or another `key`; "" sends none). `value` is bytes, or JSON for anything else."""
        credentials = {"X-API-Key": self.key if key is None else key}
        body = {"data": value} if isinstance(value, bytes) else {"json": value}
        if isinstance(value, bytes):
            credentials["Content-Type"] = "application/json"
        if key == "":
            del credentials["X-API-Key"]
        session = requests.Session()
        session.trust_env = False
        return session.post(self.url, headers={**credentials, **(headers or {})}, timeout=60, **body, **kwargs)

    def stream(self, key=None, headers=None, query="", **kwargs):
        """An open SSE reader with the API key."""
        credentials = {"X-API-Key": self.key if key is None else key}
        return SseReader(self.url + query, {**credentials, **(headers or {})}, **kwargs)

    def page(self, query=""):
        """One page of events with the API key; its JSON."""
        session = requests.Session()
        session.trust_env = False
        response = session.get(self.url + query, timeout=60,
                               headers={"X-API-Key": self.key, "Accept": "application/json"})
        assert response.status_code == 200, response.text
        return response.json()
