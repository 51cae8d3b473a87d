"""The two programs under test, and the embedded broker, as objects; and what starts and always stops them."""

import os
from pathlib import Path

import requests

from .admin import AdminClient
from .process import Program
from .wait import free_port


def _get(url):
    session = requests.Session()
    session.trust_env = False
    return session.get(url, timeout=20)


def _flags(options):
    """log_level="debug" becomes --log-level debug. True is the flag alone."""
    arguments = []
    for name, value in options.items():
        arguments.append("--" + name.replace("_", "-"))
        if value is not True:
            arguments.append(str(value))
    return arguments


class ControlPlane(Program):
    """Keeps its folder and its ports when it is stopped or killed and started again."""

    def __init__(self, name, build_dir, work_dir, env=None, **options):
        self.data_dir = work_dir / f"{name}-data"
        self.admin_port, self.grpc_port, self.enrolment_port = free_port(), free_port(), free_port()
        self.portal_port = free_port()
        self.admin_url = f"http://127.0.0.1:{self.admin_port}"
        self.portal_url = f"http://127.0.0.1:{self.portal_port}"
        self._token_file = work_dir / f"{name}.token"
        options = {
            "data_dir": self.data_dir,
            "admin_address": f"127.0.0.1:{self.admin_port}",
            "grpc_address": f"127.0.0.1:{self.grpc_port}",
            "enrolment_address": f"127.0.0.1:{self.enrolment_port}",
            "bootstrap_token_file": self._token_file,
            "portal_address": f"127.0.0.1:{self.portal_port}",
            "portal_password_memory": "8MiB",  # what is costly on purpose is not what most tests are about
            "portal_password_passes": 1,
            "node_count_settle": "0s",
            "log_format": "json",
            "log_level": "debug",
            **options,
        }
        command = [build_dir / "controlplane" / "sluice-control", *_flags(options)]
        super().__init__(name, command, work_dir / f"{name}.log", env)
        self._token = None

    def start(self):
        super().start()
        return self.wait_ready(lambda: _get(self.admin_url + "/health/ready").status_code == 200)

    @property
    def token(self):
        """The administrator token of the first start."""
        if self._token is None:
            self._token = self._token_file.read_text().strip()
        return self._token

    @property
    def admin(self):
        return AdminClient(self.admin_url, self.token)

    def join_string(self, group, **fields):
        return self.admin.create("enrolment-tokens", group=group, **fields)["join"]


class Gateway(Program):
    """`join` is the join string; a gateway started again has its identity in the state folder."""

    def __init__(self, name, build_dir, work_dir, join=None, env=None, own_folder=False, **options):
        self.state_dir = work_dir / f"{name}-state"
        self.observe_port = free_port()
        self.observe_url = f"http://127.0.0.1:{self.observe_port}"
        self.access_log = work_dir / f"{name}.access.log"
        options = {
            **({"join": join} if join else {}),
            "state_dir": self.state_dir,
            "observe_address": f"127.0.0.1:{self.observe_port}",
            "workers": 2,
            "access_log": self.access_log,
            "log_format": "json",
            "log_level": "debug",
            "authentication_failures": 0,  # every test comes from the same address
            **options,
        }
        command = [build_dir / "dataplane" / "sluice-gateway", *_flags(options)]
        super().__init__(name, command, work_dir / f"{name}.log", env)
        if own_folder:
            self.cwd = work_dir / f"{name}-cwd"
            self.cwd.mkdir()

    def start(self, ready=True):
        """Without `ready` it need only live, as a gateway without any configuration does."""
        super().start()
        path = "/health/ready" if ready else "/health/live"
        return self.wait_ready(lambda: _get(self.observe_url + path).status_code == 200, what=path)

    def ready(self):
        return _get(self.observe_url + "/health/ready").status_code == 200

    def metrics(self):
        """Every sample of /metrics: {'name{label="x"}': value}."""
        samples = {}
        for line in _get(self.observe_url + "/metrics").text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples


class EmbeddedBroker(Program):
    def __init__(self, name, build_dir, work_dir, topics=(), brokers=1):
        self._address_file = work_dir / f"{name}.address"
        command = [build_dir / "tools" / "embedded-broker" / "sluice-embedded-broker",
                   "--brokers", brokers, "--address-file", self._address_file]
        for topic in topics:
            command += ["--topic", topic]
        super().__init__(name, command, work_dir / f"{name}.log")

    def start(self):
        super().start()
        return self.wait_ready(self._address_file.exists, what="its address file")

    @property
    def bootstrap_servers(self):
        return self._address_file.read_text().strip()


class Servers:
    """Starts programs and stops all of them, the last first; every one is judged even if another was bad."""

    def __init__(self, work_dir):
        self.work_dir = Path(work_dir)
        self.build_dir = Path(os.environ["SLUICE_BUILD_DIR"])
        self.programs = []

    def _add(self, kind, prefix, *args, **kwargs):
        """Listed before it is started: a program that never gets ready must be stopped too."""
        start = kwargs.pop("start", {})
        name = f"{prefix}{sum(p.name.startswith(prefix) for p in self.programs) + 1}"
        program = kind(name, self.build_dir, self.work_dir, *args, **kwargs)
        self.programs.append(program)
        if start is not None:
            program.start(**start)
        return program

    def control(self, **options):
        return self._add(ControlPlane, "control", **options)

    def gateway(self, join=None, ready=True, **options):
        return self._add(Gateway, "gateway", join, start={"ready": ready}, **options)

    def embedded_broker(self, topics=(), brokers=1):
        return self._add(EmbeddedBroker, "broker", topics, brokers)

    def stop_all(self):
        failures = []
        for program in reversed(self.programs):
            try:
                program.stop()
            except AssertionError as failure:
                failures.append(str(failure))
        self.programs = []
        assert not failures, "\n".join(failures)

    def logs(self):
        return "".join(program.tail() for program in self.programs)
