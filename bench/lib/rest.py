"""bench/rest: see its --help."""

import random
import signal
import string
import subprocess
import sys

import requests
from harness import Stage, cpu_seconds, median, options, peak_mib, print_table, program, progress, report, run_json
from sluice_support import free_port, wait_until

CONNECTIONS = 32
PAGE_READERS = 8
PAGE_EVENTS = 500
TARGETS = (("cpu_ratio_vs_evhttp", "<=", 4), ("events_per_cpu_s_batch100", ">=", 250_000),
           ("read_events_per_cpu_s", ">=", 1_200_000), ("rss_mib", "<=", 57.2))  # 60 MB


def event(number):
    """200 bytes of JSON, different for each number."""
    head = f'{{"order":{number},"customer":"c-{number % 977}","items":[{{"sku":"A-17","count":2,"price":1299}}],"note":"'
    filler = random.Random(number).choices(string.ascii_lowercase + " ", k=200)
    return (head + "".join(filler))[:198] + '"}'


class Evhttp:
    def __enter__(self):
        self.port = free_port()
        self.process = subprocess.Popen([program("bench-evhttp"), "127.0.0.1", str(self.port)])
        wait_until(lambda: requests.get(f"http://127.0.0.1:{self.port}/", timeout=1).status_code == 201)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0


def measured(pid, *arguments):
    """One run of the load generator, with what the server used for it."""
    before = cpu_seconds(pid)
    result = run_json("bench-load", *arguments)
    result["cpu_s"] = cpu_seconds(pid) - before
    assert result["refused"] == 0, f"{result['refused']} answers were refused, the last with {result['last_refusal']}"
    assert result["wrong_walks"] == 0, f"{result['wrong_walks']} walks of pages gave another number of events"
    return result


class Bench:
    def __init__(self, stage, evhttp, quick):
        self.stage, self.evhttp = stage, evhttp
        self.seconds = 1 if quick else 5
        self.rounds = 1 if quick else 3
        self.old_events = 20_000 if quick else 600_000
        self.tail_events = 5_000 if quick else 12_000
        head = f"{self.path}\nHost: localhost\nX-API-Key: {stage.sample.key}\n"
        self.post_head = stage.file("post.head", head + "Content-Type: application/json\n")
        self.batch_head = stage.file("batch.head", head + "Content-Type: application/x-ndjson\n")
        self.page_head = stage.file("page.head", head + "Accept: application/json\n")
        self.body = stage.file("body", event(1))
        self.batch = stage.file("batch", "\n".join(event(i) for i in range(100)) + "\n")
        self.runs = {}

    @property
    def path(self):
        return "/" + self.stage.sample.url.split("/", 3)[3]

    def load(self, name, pid, port, mode, connections, head, data):
        result = measured(pid, mode, port, connections, self.seconds, head, data)
        self.runs.setdefault(name, []).append(result)
        return result

    def wait_no_feed(self):
        """Nobody reads: the topic is not fetched by the gateway any more."""
        def no_feed():
            log = self.stage.gateway.log()
            return log.count(b'"opening a feed"') == log.count(b'"closing a feed"') > 0

        wait_until(no_feed, 30, "the feed to be let go")

    def publish(self):
        port = self.stage.sample.port
        self.wait_no_feed()
        for number in range(self.rounds):
            progress(f"publishing, round {number + 1} of {self.rounds}")
            self.load("evhttp", self.evhttp.process.pid, self.evhttp.port, "post", CONNECTIONS, self.post_head, self.body)
            self.load("publish", self.stage.pid, port, "post", CONNECTIONS, self.post_head, self.body)
            self.load("batch", self.stage.pid, port, "post", CONNECTIONS, self.batch_head, self.batch)

    def page(self, query):
        session = requests.Session()
        session.trust_env = False
        answer = session.get(self.stage.sample.url + "?" + query, timeout=30,
                             headers={"X-API-Key": self.stage.sample.key, "Accept": "application/json"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def walk(self):
        """All cursors of the topic, page by page, with the number of events behind each."""
        cursors, total, query = [], 0, "from=earliest&limit=1000"
        while True:
            page = self.page(query)
            cursors.append((query.replace("limit=1000", f"limit={PAGE_EVENTS}"), total))
            total += len(page["events"])
            if page["caught_up"]:
                return [(query, total - before) for query, before in cursors]
            query = "limit=1000&cursor=" + page["next"]

    def starts(self, name, wanted):
        """A file of starting points, spread evenly over `wanted`."""
        chosen = [wanted[i * len(wanted) // PAGE_READERS] for i in range(PAGE_READERS)]
        return self.stage.file(name, "".join(f"{query} {events}\n" for query, events in chosen))

    def fill(self):
        """Two files of starting points: in what memory does not hold, and in what it does."""
        progress(f"filling the topic with {self.old_events} events")
        self.stage.kafka.produce(self.stage.topic, (event(i) for i in range(self.old_events)), **{"linger.ms": 20})
        cursors = self.walk()
        old = self.starts("old.starts", [c for c in cursors if c[1] > self.old_events // 3])
        tail = self.starts("tail.starts", [c for c in cursors if self.tail_events // 2 < c[1] <= self.tail_events])
        return old, tail

    def read(self):
        old, tail = self.fill()
        for number in range(self.rounds):
            progress(f"reading, round {number + 1} of {self.rounds}")
            for name, file in (("pages", old), ("tail", tail)):
                self.load(name, self.stage.pid, self.stage.sample.port, "pages", PAGE_READERS, self.page_head, file)

    def cpu_us(self, name, events=1):
        return median([1e6 * run["cpu_s"] / (run["requests"] * events) for run in self.runs[name]])

    def events_per_cpu_s(self, name):
        return median([run["events"] / run["cpu_s"] for run in self.runs[name]])

    def median_of(self, name, key):
        return median([run[key] for run in self.runs[name]])

    def figures(self):
        return {
            "cpu_ratio_vs_evhttp": round(self.cpu_us("publish") / self.cpu_us("evhttp"), 2),
            "rps": round(self.median_of("publish", "rps")),
            "p99_ms": round(self.median_of("publish", "p99_ms"), 2),
            "events_per_cpu_s_batch100": round(1e6 / self.cpu_us("batch", 100)),
            "read_events_per_cpu_s": round(self.events_per_cpu_s("pages")),
            "tail_events_per_cpu_s": round(self.events_per_cpu_s("tail")),
            "rss_mib": round(peak_mib(self.stage.pid), 1),
        }

    def table(self):
        rows = []
        for name, events in (("evhttp", 1), ("publish", 1), ("batch", 100)):
            rows.append([name, f"{self.median_of(name, 'rps'):.0f}", f"{self.median_of(name, 'p99_ms'):.2f}",
                         f"{self.cpu_us(name):.1f}", f"{1e6 / self.cpu_us(name, events):.0f}"])
        for name in ("pages", "tail"):
            rows.append([name, f"{self.median_of(name, 'rps'):.0f}", f"{self.median_of(name, 'p99_ms'):.2f}",
                         f"{self.cpu_us(name):.1f}", f"{self.events_per_cpu_s(name):.0f}"])
        print_table(rows, ["what", "requests/s", "p99 ms", "CPU us/request", "events/CPU s"])


def main():
    given = options()
    progress("starting a control plane and a gateway")
    with Stage(feed_idle="1s", feed_catchup_park="5s") as stage, Evhttp() as evhttp:
        bench = Bench(stage, evhttp, given.quick)
        bench.read()  # first: publishing makes the topic grow
        bench.publish()
        bench.table()
        return report(bench.figures(), TARGETS, given)


if __name__ == "__main__":
    sys.exit(main())
