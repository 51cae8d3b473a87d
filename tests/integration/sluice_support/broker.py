"""An Apache Kafka of a test's own, to be killed, stopped short and started again with its data."""

import os
import signal
import subprocess
from pathlib import Path

from .kafka import KafkaHelper

_SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "kafka"


class OwnKafka:
    """`config` are broker settings, `scram` users as scripts/kafka takes them. Keeps its port over restarts."""

    def __init__(self, folder, port, config=None, scram=()):
        self.folder = Path(folder)
        self.bootstrap_servers = f"127.0.0.1:{port}"
        self._arguments = ["--port", str(port)]
        for key, value in (config or {}).items():
            self._arguments += ["--config", f"{key}={value}"]
        for user in scram:
            self._arguments += ["--add-scram", user]
        self._helper = None

    def _run(self, command, *arguments):
        version = os.environ.get("SLUICE_TEST_KAFKA_VERSION")
        line = [_SCRIPT, command, "--dir", self.folder, *arguments]
        if version and command == "start":
            line += ["--version", version]
        result = subprocess.run([str(part) for part in line], capture_output=True, text=True, timeout=150)
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
