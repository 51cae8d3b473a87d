"""One program under test: started with its output in a file, stopped whatever happens, its end judged."""

import ctypes
import os
import re
import signal
import subprocess
import time

from .logs import json_lines

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

# What a sanitizer or an assertion of ours leaves in the log of a program that may still have ended with status 0.
_FINDINGS = re.compile(rb"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|Assertion .* failed|slc_bug")


def _die_with_parent():
    """In the child: a killed test run leaves nothing behind."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Program:
    """`command` runs with `log_path` as its standard error and `output_path` (default: the log) as its output."""

    def __init__(self, name, command, log_path, env=None, output_path=None):
        self.name = name
        self.command = [str(part) for part in command]
        self.log_path = log_path
        self.output_path = output_path
        self.env = env
        self.cwd = None  # a folder of its own, where it is set
        self.process = None
        self._expected_status = 0

    def start(self):
        assert not self.running(), f"{self.name} already runs"
        self._expected_status = 0
        log = open(self.log_path, "ab")
        output = open(self.output_path, "ab") if self.output_path else log
        try:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                env={**os.environ, **(self.env or {})},
                cwd=self.cwd,
                preexec_fn=_die_with_parent,
            )
        finally:
            log.close()
            if output is not log:
                output.close()
        return self

    def running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(self.log_path, "rb") as file:
            return file.read()

    def entries(self, message=None, **wanted):
        """The lines of its JSON log with this message and these fields."""
        return json_lines(self.log_path, **({"message": message} if message else {}), **wanted)

    def wait_ready(self, condition, timeout=60.0, what="readiness"):
        """Waits for `condition`, and fails at once when the program ends first."""
        deadline = time.monotonic() + timeout
        while True:
            assert self.running(), f"{self.name} ended with status {self.process.poll()} before {what}{self.tail()}"
            try:
                if condition():
                    return self
            except Exception:
                pass
            assert time.monotonic() < deadline, f"{self.name}: no {what} within {timeout:g} s{self.tail()}"
            time.sleep(0.05)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=40.0):
        """Waits for its end and returns the status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {timeout:g} s{self.tail()}") from None

    def kill(self):
        """kill -9, as a crash or the kernel would. Its end is then not held against it."""
        self._expected_status = -signal.SIGKILL
        self.process.kill()
        self.process.wait()

    def stop(self, timeout=40.0):
        """SIGTERM, then the judgement: the right status, and nothing from a sanitizer."""
        if self.process is None:
            return
        if self.running():
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"{self.name} did not end within {timeout:g} s of SIGTERM{self.tail()}") from None
        status = self.process.returncode
        self.process = None
        assert not _FINDINGS.search(self.log()), f"{self.name}: a sanitizer or an assertion spoke{self.tail()}"
        assert status == self._expected_status, f"{self.name} ended with status {status}{self.tail()}"

    def tail(self, lines=60):
        """The end of its log, ready to be appended to a message."""
        try:
            text = self.log().decode(errors="replace").splitlines()[-lines:]
        except OSError:
            return ""
        return "".join(f"\n  {self.name}| {line}" for line in text)
