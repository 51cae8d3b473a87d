"""bench/start: see its --help."""

import http.client
import subprocess
import sys
import time

from harness import Stage, median, options, print_table, progress, report
from sluice_support import Program, wait_until

TARGETS = (("first_served_ms", "<=", 300),)
GIVE_UP_S = 30
PAUSE_S = 0.0005  # between two tries of a client that waits for a port


class Bench:
    def __init__(self, stage, quick):
        self.sample, self.gateway = stage.sample, stage.gateway
        self.rounds = 2 if quick else 15
        self.applications = 5 if quick else 500
        self.path = "/" + self.sample.url.split("/", 3)[3]
        self.rows = {"true": [], "first_answer": [], "first_served": []}

    def fill(self):
        progress(f"making {self.applications} applications")
        for number in range(self.applications):
            key = self.sample.new_application(f"app-{number}")
            self.sample.admin.create("subscriptions", application=f"app-{number}", plan=self.sample.plan, environment="dev")
        wait_until(lambda: self.sample.publish({"n": 1}, key=key).status_code == 201, 60, "the last key to be accepted")

    def settle(self):
        """What is in force is on the disk too, and nobody is there to bring another."""
        wait_until((self.gateway.state_dir / "cache" / "manifest").exists, 20, "the cache")
        self.sample.control.stop()
        self.gateway.stop()

    def ask(self, headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.sample.port, timeout=GIVE_UP_S)
        try:
            connection.request("POST", self.path, b'{"n": 1}', {"Content-Type": "application/json", **headers})
            return connection.getresponse().status
        finally:
            connection.close()

    def until(self, began, wanted, headers):
        """Milliseconds until the first answer with that status."""
        status = None
        while time.monotonic() - began < GIVE_UP_S:
            try:
                status = self.ask(headers)
            except OSError:
                status = None
            if status == wanted:
                return (time.monotonic() - began) * 1000
            time.sleep(PAUSE_S)
        raise SystemExit(f"no {wanted} within {GIVE_UP_S} s; the last answer was {status}{self.gateway.tail()}")

    def start_once(self):
        began = time.monotonic()
        subprocess.run(["true"], check=True)
        self.rows["true"].append((time.monotonic() - began) * 1000)
        began = time.monotonic()
        Program.start(self.gateway)  # without its wait for readiness, which looks too rarely
        self.rows["first_answer"].append(self.until(began, 401, {}))
        self.rows["first_served"].append(self.until(began, 201, {"X-API-Key": self.sample.key}))
        self.gateway.stop()

    def run(self):
        self.fill()
        self.settle()
        kib = sum(file.stat().st_size for file in (self.gateway.state_dir / "cache").rglob("*") if file.is_file()) / 1024
        progress(f"starting {self.rounds} times")
        for _ in range(self.rounds):
            self.start_once()
        print_table([[name, f"{min(times):.1f}", f"{median(times):.1f}", f"{max(times):.1f}"] for name, times in self.rows.items()],
                    ["ms", "min", "median", "max"])
        return {"bench": "start", **{f"{name}_ms": round(median(times), 1) for name, times in self.rows.items()},
                "max_served_ms": round(max(self.rows["first_served"]), 1), "applications": self.applications,
                "cache_kib": round(kib)}


def main():
    given = options()
    with Stage(log_level="warn", workers=0) as stage:
        return report(Bench(stage, given.quick).run(), TARGETS, given)


if __name__ == "__main__":
    sys.exit(main())
