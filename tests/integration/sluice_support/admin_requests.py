"""A request that succeeds for every operation of the admin API, for a caller who may do everything."""

from dataclasses import dataclass, field

from .wait import wait_until


@dataclass
class Request:
    method: str
    path: str
    json: object = None
    headers: dict = field(default_factory=dict)

    def send(self, client):
        return client.request(self.method, self.path, json=self.json, headers=self.headers)


class AdminRequests:
    """`prepare(operation)` makes with the administrator's client what the operation needs, and returns the request, not
    sent yet. Operations of a kind follow a pattern; an operation that does not has a function in SPECIAL, and an action
    that wants an entity in a certain state has the actions that bring it there in BEFORE.

    `start_gateway(group)` starts a gateway that enrols itself: there is no other way to have a node.
    """

    def __init__(self, samples, start_gateway):
        self.samples = samples
        self.admin = samples.admin
        self._start_gateway = start_gateway
        self._drained = set()

    BEFORE = {
        "POST /v1/subscriptions/{key}/suspend": ["approve"],
        "POST /v1/subscriptions/{key}/resume": ["approve", "suspend"],
    }

    def _backup(self):
        return Request("GET", self.admin.request("POST", "/v1/backups", expect=201).headers["Location"])

    def _apply(self):
        document = {"manager": "sample", "resources": {"teams": [{"name": self.samples.name()}]}}
        return Request("PUT", "/v1/config", document)

    def _explain(self):
        return Request("POST", "/v1/explain", {
            "gateway_group": self.samples.base("gateway-groups"), "application": self.samples.base("applications"),
            "event_api": self.samples.create("deployments")["event_api"], "operation": "publish"})

    def _member(self, action):
        """Of the one team that all samples belong to: its owner may, others may not."""
        user = self.samples.create("users", teams=[])["id"]
        return Request("POST", f"/v1/teams/{self.samples.base('teams')}/{action}", {"user": user})

    def _members(self):
        return Request("GET", f"/v1/teams/{self.samples.base('teams')}/members")

    def _catalog(self):
        """Something that everybody may know of."""
        api = self.samples.create("event-apis", lifecycle="published")["id"]
        self.samples.create("products", event_apis=[api], visibility="public", visible_to=None, lifecycle="published")
        return Request("GET", f"/v1/catalog/{api}")

    def _catalog_asyncapi(self):
        path = self._catalog().path
        self.samples.create("deployments", event_api=path.rsplit("/", 1)[1])
        return Request("GET", f"{path}/asyncapi?gateway_group={self.samples.base('gateway-groups')}")

    def _catalog_document(self):
        return Request("GET", f"/v1/catalog/{self.samples.create('rest-apis')['id']}/document")

    def _scorecard(self):
        """Of something that everybody may know of."""
        path = self._catalog().path.replace("/v1/catalog/", "/v1/event-apis/")
        return Request("GET", f"{path}/scorecard")

    def _scorecard_preview(self):
        return Request("POST", "/v1/scorecards/preview", self.samples.body("scorecard-rules"))

    def _rollback(self):
        """To a version that has everything: what people made since an older one could stand in the way."""
        self._node()
        group = self.samples.base("gateway-groups")
        staleness = f"{self.admin.get('gateway-groups', group)['revision']}h"
        changed = self.admin.patch("gateway-groups", group, max_staleness=staleness)

        def newest():
            version = self.admin.request("GET", "/v1/config-versions?limit=1", expect=200).json()["items"][0]
            return version if version["version"] >= changed["revision"] else None
        version = wait_until(newest, what="a version with everything")
        return Request("POST", f"/v1/config-versions/{version['id']}/rollback")

    def _promote(self):
        """To a group of its own."""
        group = self.samples.create("gateway-groups")["name"]
        listener = self.samples.create("listeners", gateway_group=group)["name"]
        cluster = self.admin.get("virtual-clusters", self.samples.base("virtual-clusters"))["name"]
        deployment = self.samples.create("deployments")["id"]
        return Request("POST", f"/v1/deployments/{deployment}/promote",
                       {"gateway_group": group, "listener": listener, "virtual_cluster": cluster})

    def _redeliver(self):
        webhook = self.samples.create("webhooks")["id"]
        self.admin.act("webhooks", webhook, "ping")
        delivery = self.admin.request("GET", f"/v1/webhooks/{webhook}/deliveries", expect=200).json()["items"][0]
        return Request("POST", f"/v1/webhooks/{webhook}/redeliver", {"delivery": delivery["id"]})

    def _node_ca(self, first, then):
        """At most one authority is retiring at a time: `first` brings it about, if it is not so already."""
        self.admin.request("POST", f"/v1/node-ca/{first}", expect=(200, 409))
        return Request("POST", f"/v1/node-ca/{then}")

    SPECIAL = {
        "PUT /v1/config": _apply,
        "GET /v1/teams/{key}/members": _members,
        "POST /v1/teams/{key}/add-member": lambda self: self._member("add-member"),
        "POST /v1/teams/{key}/remove-member": lambda self: self._member("remove-member"),
        "GET /v1/catalog/{key}": _catalog,
        "POST /v1/deployments/{key}/promote": _promote,
        "GET /v1/catalog/{key}/asyncapi": _catalog_asyncapi,
        "GET /v1/catalog/{key}/document": _catalog_document,
        "GET /v1/event-apis/{key}/scorecard": _scorecard,
        "POST /v1/scorecards/preview": _scorecard_preview,
        "POST /v1/explain": _explain,
        "POST /v1/config-versions/{key}/rollback": _rollback,
        "POST /v1/gateway-nodes/{key}/drain": lambda self: self._drain(),
        "POST /v1/node-ca/rotate": lambda self: self._node_ca("retire?force=true", "rotate"),
        "POST /v1/node-ca/retire": lambda self: self._node_ca("rotate", "retire?force=true"),
        "POST /v1/webhooks/{key}/redeliver": _redeliver,
        "POST /v1/backups": lambda self: Request("POST", "/v1/backups"),
        "GET /v1/backups/{key}": _backup,
        "POST /v1/master-key/rotate": lambda self: Request("POST", "/v1/master-key/rotate"),
    }

    def prepare(self, operation):
        if operation in self.SPECIAL:
            return self.SPECIAL[operation](self)
        method, _, path = operation.partition(" ")
        parts = path.split("/")  # "", "v1", kind, "{key}", action
        if parts[1] != "v1" or len(parts) == 3 and method == "GET":
            return Request(method, path)
        kind = parts[2]
        if len(parts) == 3:
            return Request(method, path, self.samples.body(kind))
        return self._of_entity(operation, method, kind, parts[4:])

    def _of_entity(self, operation, method, kind, action):
        entity = self._entity(kind)
        for step in self.BEFORE.get(operation, ()):
            self.admin.act(kind, entity["id"], step)
        path = "/".join(["/v1", kind, entity["id"], *action])
        if method == "PUT":
            body = {**self.admin.get(kind, entity["id"]), **self.samples.change(kind)}
            return Request(method, path, body, {"If-Match": "*"})
        if method == "PATCH":
            return Request(method, path, self.samples.change(kind), {"If-Match": "*"})
        return Request(method, path)

    def _entity(self, kind):
        """A new one, or for what cannot be made through the API one that is there."""
        if kind == "gateway-nodes":
            return self._node()
        if kind in ("audit-events", "config-versions"):
            if kind == "config-versions":
                self._node()  # versions are made for groups that somebody is connected for
            return wait_until(lambda: self.admin.list(kind), what=f"one of {kind}")[0]
        return self.samples.create(kind)

    def _drain(self):
        """Of a gateway that ends by it: nobody gets it again."""
        node = self._node()
        self._drained.add(node["id"])
        return Request("POST", f"/v1/gateway-nodes/{node['id']}/drain")

    def _node(self):
        def there():
            return [node for node in self.admin.list("gateway-nodes")
                    if node["state"] == "connected" and node["id"] not in self._drained]
        if not there():
            self._start_gateway(self.samples.base("gateway-groups"))
        return wait_until(there, what="a node that is connected")[0]
