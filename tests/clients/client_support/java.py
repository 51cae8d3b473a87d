"""Java programs against a Kafka: the command line tools and those in tests/clients/java, in one virtual machine."""

import base64
import hashlib
import os
import subprocess
import tempfile
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).resolve().parents[1]
_KAFKA = _HERE.parents[1] / "scripts" / "kafka"
_CALL_SECONDS = 400  # after this a call has hung


@dataclass
class Outcome:
    status: int
    output: str
    errors: str


def _run(*command):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, f"{command[0]}: {result.stdout}{result.stderr}"
    return result.stdout.strip()


def _classes(jars, names):
    """The folder of the compiled programs; compiled once for each state of the sources and jars."""
    sources = [_HERE / "java" / f"{name}.java" for name in names]
    digest = hashlib.sha256(str(jars).encode())
    for source in sources:
        digest.update(source.read_bytes())
    parent = Path(os.environ["SLUICE_BUILD_DIR"]) / "clients-java"
    folder = parent / digest.hexdigest()[:16]
    if not folder.exists():
        parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent) as scratch:
            _run("javac", "-J-XX:TieredStopAtLevel=1", "-Xlint:all,-processing,-classfile,-path", "-Werror", "-d",
                 Path(scratch) / "classes", "-cp", f"{jars}/*", *sources)
            try:
                (Path(scratch) / "classes").rename(folder)
            except OSError:  # another file's tests were first
                assert folder.exists()
    return folder


def _word(data):
    return base64.b64encode(data).decode() or "-"


class Java:
    """One virtual machine with the jars of a version. `run` may be called from several threads."""

    def __init__(self, log_path, version=None, properties=None):
        jars = Path(_run(_KAFKA, "fetch", *(["--version", version] if version else [])))
        names = ["Runner"] if version else sorted(path.stem for path in (_HERE / "java").glob("*.java"))
        self._command = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                         "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
                         *(f"-D{name}={value}" for name, value in (properties or {}).items()), "-cp",
                         f"{_classes(jars, names)}:{jars}/*"]
        self._log_path, self._calls, self._lock = log_path, {}, threading.Lock()
        with open(log_path, "wb") as log:
            self._process = subprocess.Popen([*self._command, "Runner"], stdin=subprocess.PIPE,
                                             stdout=subprocess.PIPE, stderr=log)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            number, status, output, errors = line.decode().split()
            texts = ["" if word == "-" else base64.b64decode(word).decode() for word in (output, errors)]
            self._calls.pop(number).set_result(Outcome(int(status), *texts))
        for call in list(self._calls.values()):
            call.set_exception(AssertionError(f"the Java runner has ended: {self._log_path.read_text()[-2000:]}"))

    def start(self, main, *arguments, stdin=""):
        """A future of the call's outcome. A `main` without a dot is one of ours."""
        with self._lock:
            number = str(len(self._calls)) + os.urandom(4).hex()
            future = self._calls[number] = Future()
            words = [number, main, _word(stdin.encode()), *(_word(str(part).encode()) for part in arguments)]
            self._process.stdin.write(" ".join(words).encode() + b"\n")
            self._process.stdin.flush()
        return future

    def spawn(self, main, *arguments):
        """One of our programs in a virtual machine of its own. The caller ends it."""
        with open(self._log_path, "ab") as log:
            return subprocess.Popen([*self._command, main, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log)

    def run(self, main, *arguments, stdin="", timeout=_CALL_SECONDS):
        try:
            return self.start(main, *arguments, stdin=stdin).result(timeout)
        except FutureTimeout:
            stacks = subprocess.run(["jstack", str(self._process.pid)], capture_output=True, text=True, timeout=30)
            clients = [stack for stack in stacks.stdout.split("\n\n") if "kafka" in stack]
            raise AssertionError("\n\n".join([f"{main} {arguments} did not end within {timeout} s", *clients])) from None

    def stop(self):
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
