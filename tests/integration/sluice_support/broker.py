"""An Apache Kafka of a test's own, to be killed, stopped short and started again with its data."""

import os
import signal
import subprocess
from pathlib import Path

from .kafka import KafkaHelper
from .wait import free_port

_SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "kafka"


_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


class OwnKafka:
    """`config` are broker settings. `users` {name: password} get a second listener, `sasl`, which takes PLAIN and both
    SCRAMs. `guarded`: a listener `guarded_port` beside the first, whose brokers are told to be at `guard_port`, where something
    of the test's listens. `join` (another one) and `node`: a further broker of its cluster. Keeps its ports over
    restarts."""

    def __init__(self, folder, port, config=None, users=None, join=None, node=1, guarded=False):
        self.folder = Path(folder)
        self.bootstrap_servers = f"127.0.0.1:{port}"
        self._arguments = ["--port", str(port)]
        if join:
            self._arguments += ["--join", str(join.folder), "--node", str(node)]
        config = {**self._sasl(port, users or {}), **(self._guarded(port, join) if guarded else {}), **(config or {})}
        for key, value in config.items():
            self._arguments += ["--config", f"{key}={value}"]
        self._helper = None

    def _sasl(self, port, users):
        """Settings of the listener for `users`."""
        if not users:
            return {}
        sasl, controller = free_port(), free_port()
        self.sasl = f"127.0.0.1:{sasl}"
        for name, password in users.items():
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
                self._arguments += ["--add-scram", f"{mechanism}=[name={name},password={password}]"]
        known = " ".join(f'user_{name}="{password}"' for name, password in users.items())
        prefix = "listener.name.sasl_plaintext"
        return {
            "listeners": f"PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://{self.sasl},CONTROLLER://127.0.0.1:{controller}",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            f"{prefix}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            f"{prefix}.plain.sasl.jaas.config": f"{_PLAIN} {known};",
            f"{prefix}.scram-sha-256.sasl.jaas.config": _SCRAM,
            f"{prefix}.scram-sha-512.sasl.jaas.config": _SCRAM,
        }

    def _guarded(self, port, join):
        self.guard_port, self.guarded_port, controller = free_port(), free_port(), free_port()
        listeners = f"PLAINTEXT://127.0.0.1:{port},GUARDED://127.0.0.1:{self.guarded_port}"
        first = {} if join else {"controller.quorum.voters": f"1@127.0.0.1:{controller}"}
        return {
            **first,
            "listeners": listeners if join else f"{listeners},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port},GUARDED://127.0.0.1:{self.guard_port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,GUARDED:PLAINTEXT,CONTROLLER:PLAINTEXT",
        }

    def _run(self, command, *arguments):
        version = os.environ.get("SLUICE_TEST_KAFKA_VERSION")
        line = [_SCRIPT, command, "--dir", self.folder, *arguments]
        if version and command == "start":
            line += ["--version", version]
        result = subprocess.run([str(part) for part in line], capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, f"scripts/kafka {command}: {result.stdout}{result.stderr}"

    def start(self):
        self._run("start", *self._arguments)
        return self

    def stop(self):
        self._run("stop")

    @property
    def helper(self):
        """Direct access by the PLAINTEXT listener."""
        if self._helper is None:
            self._helper = KafkaHelper(self.bootstrap_servers)
        return self._helper

    def _signal(self, number):
        os.kill(int((self.folder / "pid").read_text()), number)

    def kill(self):
        """As a crash would. Returns when the process is gone."""
        self._signal(signal.SIGKILL)
        self.stop()

    def freeze(self):
        """The broker stays connected and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self):
        self._signal(signal.SIGCONT)

    def destroy(self):
        """Whatever state it is in."""
        try:
            self._signal(signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            pass
        self.stop()
