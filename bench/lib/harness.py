"""What the benchmarks share: programs, their CPU and memory, progress, the table and the last line."""

import argparse
import json
import operator
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sluice_support import KafkaHelper, SampleApi, Servers

_started = time.monotonic()
CPUCLOCK_SCHED = 2  # of a whole process, see pid_clockid in the kernel's posix-timers.h


def progress(text):
    print(f"[{time.monotonic() - _started:4.0f}s] {text}", file=sys.stderr, flush=True)


def cpu_seconds(pid):
    """CPU time of a process with all its threads, in nanosecond steps."""
    return time.clock_gettime(((~pid) << 3) | CPUCLOCK_SCHED)


def _status(pid, field):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise AssertionError(f"/proc/{pid}/status has no {field}")


def peak_mib(pid):
    """The largest resident memory since the start or since reset_peak."""
    return _status(pid, "VmHWM") / 1024


def resident_kib(pid):
    return _status(pid, "VmRSS")


def reset_peak(pid):
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def median(values):
    return statistics.median(values)


def program(name):
    return Path(os.environ["SLUICE_BUILD_DIR"]) / "bench" / name


def run_json(name, *arguments, timeout=120):
    """Runs one of the bench programs; its output is one JSON object."""
    done = subprocess.run([program(name), *map(str, arguments)], stdout=subprocess.PIPE, timeout=timeout, check=True)
    return json.loads(done.stdout)


def print_table(rows, heads):
    widths = [max(len(str(row[i])) for row in [heads, *rows]) for i in range(len(heads))]
    for row in [heads, ["-" * width for width in widths], *rows]:
        cells = [str(row[0]).ljust(widths[0])] + [str(cell).rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join(cells))


def options():
    """The command line of a benchmark, as bench.sh hands it over."""
    parser = argparse.ArgumentParser()
    for name in ("quick", "strict", "tls"):
        parser.add_argument(f"--{name}", action="store_true")
    return parser.parse_args()


def report(figures, targets, given):
    """Prints each target, (figure, relation, value), with what became of it, and the last line; returns the exit status:
    1 when a target is missed and that is to be an error. What --quick measures has no targets."""
    relations = {"<=": operator.le, ">=": operator.ge, "<": operator.lt}
    rows = [[name, figures[name], f"{relation} {value}", "met" if relations[relation](figures[name], value) else "MISSED"]
            for name, relation, value in targets if name in figures]
    if not given.quick:
        print()
        print_table(rows, ["figure", "is", "target", ""])
    print(json.dumps(figures))
    return int(given.strict and not given.quick and any(row[-1] == "MISSED" for row in rows))


class Stage:
    """A control plane and a gateway with one event API on a topic of three partitions, stopped at the end."""

    def __init__(self, partitions=3, **gateway_options):
        self._folder = tempfile.TemporaryDirectory(prefix="sluice-bench-")
        self.folder = Path(self._folder.name)
        self.kafka = KafkaHelper(os.environ["SLUICE_TEST_KAFKA"])
        self.servers = Servers(self.folder)
        self._partitions = partitions
        self._options = {"log_level": "info", **gateway_options}

    def __enter__(self):
        try:
            self.topic = self.kafka.create_topic("bench", partitions=self._partitions)
            control = self.servers.control(log_level="info")
            self.sample = SampleApi(control, self.kafka.bootstrap_servers, self.topic)
            self.gateway = self.sample.start_gateway(self.servers, **self._options)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        try:
            self.servers.stop_all()
        finally:
            self._folder.cleanup()

    @property
    def pid(self):
        return self.gateway.pid

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path
