"""bench/portal: see its --help."""

import http.client
import itertools
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import median, options, print_table, program, progress, report
from sluice_support import Servers, free_port, wait_until
from sluice_support.portal import newcomer, portal_files

PAGE = "/v1/catalog?limit=30"
SEARCHES = ("q=orders", "q=tells+of+orders", "q=ka", "q=kaka", "q=api-04321", "q=orders&tag=tenth", "q=orders&environment=bench",
            "q=lo+mi&protocol=sse", "tag=tenth", "q=nothing-has-this", "lifecycle=published&protocol=kafka")
TARGETS = (("first_byte_ratio", "<=", 3), ("search_ms", "<", 100), ("transferred_kb", "<", 150))


class Caller:
    """One kept connection. `milliseconds(path)` is (until the first byte of the answer, until the last one)."""

    def __init__(self, port, headers):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.connection.connect()
        self.headers = headers

    def get(self, path, expect=200):
        self.connection.request("GET", path, headers=self.headers)
        response = self.connection.getresponse()
        body = response.read()
        assert response.status == expect, f"GET {path}: {response.status} {body[:300]}"
        return body

    def milliseconds(self, path):
        head = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode()
        sock = self.connection.sock
        start = time.perf_counter()
        sock.sendall(request)
        data = sock.recv(1)
        first = time.perf_counter()
        while b"\r\n\r\n" not in data:
            data += sock.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        left = int(re.search(rb"content-length: *(\d+)", head, re.IGNORECASE).group(1)) - len(body)
        while left > 0:
            left -= len(sock.recv(min(left, 1 << 20)))
        return 1e3 * (first - start), 1e3 * (time.perf_counter() - start)


def filled(servers, applications, apis):
    control = servers.control(log_level="info", portal_sign_in_failures=0)
    control.token  # made by the first start
    control.stop()
    progress(f"filling the catalog: {applications:,} applications, {apis:,} event APIs")
    subprocess.run([program("bench-fill"), control.data_dir, str(applications), "-", str(apis)], check=True)
    control.start()
    return control


def first_bytes(caller, size, rounds):
    """By turns of twenty, so that whatever else the machine does meets both, and each has its memory at hand."""
    port = free_port()
    baseline = subprocess.Popen([program("bench-evhttp"), "127.0.0.1", str(port), str(size)])
    try:
        def listening():
            try:
                return Caller(port, {})
            except OSError:
                return None
        static = wait_until(listening, what="evhttp to listen")
        ours, theirs = [], []
        for _ in range(rounds):
            ours += [caller.milliseconds(PAGE)[0] for _ in range(20)]
            theirs += [static.milliseconds("/")[0] for _ in range(20)]
    finally:
        baseline.terminate()
        baseline.wait()
    return median(ours), median(theirs)


def searches(caller, change, rounds):
    """{query: milliseconds of each repetition}, whole answers, none of them kept from before; of each also a page further
    on."""
    times = {}

    def anew(path):
        change()
        return caller.milliseconds(path)[1]

    for query in SEARCHES:
        path = f"/v1/catalog?{query}&limit=30"
        after = json.loads(caller.get(path))["next"]
        for name in (path, *([f"{path}&cursor={after}"] if after else [])):
            times[name.partition("?")[2].partition("cursor")[0] + ("..." if "cursor" in name else "")] = [
                anew(name) for _ in range(rounds)]
    return times


def lists(caller, rounds):
    """The first page and one from the middle of every list that the OpenAPI document has."""
    document = json.loads(caller.get("/openapi.json"))
    paths = [path for path, methods in document["paths"].items() if path.startswith("/v1/") and "{" not in path
             and any(parameter.get("name") == "cursor" for parameter in methods.get("get", {}).get("parameters", []))]
    assert len(paths) > 20, paths
    times = {}
    for path in paths:
        page = json.loads(caller.get(path + "?limit=1000"))
        for _ in range(5):
            if page["next"]:
                cursor = page["next"]
                page = json.loads(caller.get(f"{path}?limit=1000&cursor={cursor}"))
                times[path + " (further on)"] = f"{path}?limit=100&cursor={cursor}"
        times[path] = path + "?limit=100"
    return {name: [caller.milliseconds(path)[1] for _ in range(rounds)] for name, path in times.items()}


def measure(control, given):
    rounds = 5 if given.quick else 15
    control.admin.create("teams", name="readers")  # what is of other teams is visible by products alone
    titles = itertools.count()

    def change():
        """Pages that the control plane keeps are of no use after it."""
        control.admin.patch("teams", "readers", title=f"Readers {next(titles)}")

    person = newcomer(control, "reader", "developer", "readers")
    cookie = "; ".join(f"{c.name}={c.value}" for c in person.cookies)
    caller = Caller(control.portal_port, {"Cookie": cookie})
    size = len(caller.get(PAGE))
    progress("the catalog's page")
    ours, theirs = first_bytes(caller, size, 2 * rounds)
    anew = []
    for _ in range(4 * rounds):
        change()
        anew.append(caller.milliseconds(PAGE)[0])
    progress("searches")
    searched = searches(caller, change, rounds)
    progress("lists")
    listed = lists(Caller(control.admin_port, {"Authorization": f"Bearer {control.token}"}), rounds)
    files = portal_files(person)
    slowest = max(listed, key=lambda name: median(listed[name]))
    hardest = max(searched, key=lambda name: median(searched[name]))
    everything = sorted(value for values in searched.values() for value in values)
    print_table([["page of 30, first byte", f"{ours:.3f} ms", f"{size:,} bytes"],
                 ["after a change of the catalog", f"{median(anew):.3f} ms", f"{max(anew):.2f} at most"], ["the same bytes from evhttp", f"{theirs:.3f} ms", ""],
                 *[[f"search {name}", f"{median(times):.2f} ms", f"{max(times):.2f} at most"] for name, times in searched.items()],
                 *[[name, f"{median(listed[name]):.2f} ms", f"{max(listed[name]):.2f} at most"]
                   for name in sorted(listed, key=lambda name: -median(listed[name]))[:8]],
                 ["files", f"{sum(files.values()) / 1e3:.1f} kB", f"{len(files)} files"]], ["what", "median", ""])
    return {"first_byte_ratio": round(ours / theirs, 2), "first_byte_ms": round(ours, 3),
            "first_byte_anew_ms": round(median(anew), 3), "static_ms": round(theirs, 3),
            "page_bytes": size, "search_ms": round(median(searched[hardest]), 2), "search_hardest": hardest,
            "search_p99_ms": round(everything[int(0.99 * (len(everything) - 1))], 2), "list_ms": round(median(listed[slowest]), 2),
            "list_slowest": slowest, "transferred_kb": round(sum(files.values()) / 1e3, 1)}


def main():
    given = options()
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        servers = Servers(Path(folder))
        try:
            figures = measure(filled(servers, *((1000, 200) if given.quick else (100_000, 10_000))), given)
        finally:
            servers.stop_all()
    return report(figures, TARGETS, given)


if __name__ == "__main__":
    sys.exit(main())
