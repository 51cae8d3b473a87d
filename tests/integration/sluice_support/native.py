"""Virtual clusters that native Kafka clients reach through the gateway."""

import socket
import uuid

from .kafka import KafkaHelper
from .wait import free_ports, wait_until


class NativeCluster:
    """A virtual cluster with a kafka listener of its own: a bootstrap port and one for each of the node ids 0 to 3."""

    def __init__(self, sample, name, authentication=("anonymous",), backend=None, tls=None, namespace=None, kafka=None,
                 advertised_host=None, everything=True, **virtual_cluster):
        """`kafka` is what else the listener's kafka part has. `everything`: applications may do all that there is,
        whatever they subscribe to."""
        self.name, self.port = name, free_ports(5)
        self.bootstrap_servers = f"127.0.0.1:{self.port}"
        sample.admin.create("virtual-clusters", name=name, backend_cluster=backend or sample.backend,
                            namespace=namespace or {"mode": "none"},
                            client_authentication=list(authentication), **virtual_cluster)
        if everything and set(authentication) - {"anonymous", "passthrough"}:
            rule = {"operations": ["all"], "topics": ["*"], "groups": ["*"], "transactional_ids": ["*"], "cluster": True}
            sample.admin.create("policies", name=f"everything-in-{name}", type="acl", config={"rules": [rule]},
                                scope={"kind": "virtual-cluster", "ref": name})
        ranges = [{"first_node_id": 0, "last_node_id": 3, "port_base": self.port + 1}]
        sample.admin.create("listeners", name=name, gateway_group=sample.group, protocol="kafka",
                            address=f"127.0.0.1:{self.port}",
                            kafka={"routing": "ports", "virtual_cluster": name, "port_ranges": ranges, **(kafka or {})},
                            **({"tls": tls} if tls else {}),
                            **({"advertised_host": advertised_host} if advertised_host else {}))

    def wait_served(self):
        """Configuration travels."""
        def served():
            with socket.create_connection(("127.0.0.1", self.port), timeout=5):
                return True
        wait_until(served, 60, f"the listener {self.name}")


class Tenant:
    """A virtual cluster with a namespace of its own, once it is served. `shown` is what clients see of the prefix."""

    def __init__(self, sample, mode, namespace=None, config=None, **virtual_cluster):
        """`config` is what its clients need to get in."""
        self.prefix = f"{uuid.uuid4().hex[:8]}."
        self.shown = self.prefix if mode == "enforce" else ""
        namespace = {"mode": mode, **({} if mode == "none" else {"prefix": self.prefix}), **(namespace or {})}
        self.cluster = NativeCluster(sample, f"t-{self.prefix[:-1]}", namespace=namespace, **virtual_cluster)
        self.helper = KafkaHelper(self.cluster.bootstrap_servers, config)
        self.admin, self.config = self.helper.admin, self.helper.config
        wait_until(lambda: self.admin.list_topics(timeout=20), 60, f"the listener {self.cluster.name}")

    def create(self, name, **options):
        self.helper.create_topic(self.shown + name, exact=True, **options)
        return self.shown + name

    def backend(self, name):
        return self.prefix + name.removeprefix(self.shown)
