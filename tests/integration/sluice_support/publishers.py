"""Clients that publish while something happens."""

import collections
import threading

import requests

from .wait import wait_until


class Publishers:
    """Several clients that publish numbered events until told to stop: what each was answered is in `answers`. Number n is
    of client n % count; `headers` are sent with it, a function of the client's number."""

    def __init__(self, sample, count=4, headers=None):
        self.answers = {}  # number -> (status, problem type or id); an exception of the client is status None
        self._sample = sample
        self._headers = headers or (lambda client: {})
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(start, count), daemon=True) for start in range(count)]

    def _run(self, number, step):
        session = requests.Session()
        session.trust_env = False
        headers = {"X-API-Key": self._sample.key, **self._headers(number)}
        while not self._stop.is_set():
            try:
                # The gateway's deadline is far below this: an answer that takes longer is an answer that failed.
                answer = session.post(self._sample.url, json={"n": number}, headers=headers, timeout=25)
                body = answer.json()
                self.answers[number] = (answer.status_code, body.get("id") or body["type"].rsplit("/", 1)[1])
            except requests.RequestException as failure:
                self.answers[number] = (None, repr(failure))
            number += step

    def statuses(self):
        return collections.Counter(status for status, _ in self.so_far().values())

    def so_far(self):
        """The answers up to now, as they stand while more come."""
        return self.answers.copy()

    def stored(self):
        return {number for number, (status, _) in self.so_far().items() if status == 201}

    def clients_answered(self, wanted):
        """Those clients that were given an answer for which wanted(status) holds."""
        return {number % len(self._threads) for number, (status, _) in self.so_far().items() if wanted(status)}

    def wait(self, status, count):
        target = self.statuses()[status] + count
        wait_until(lambda: self.statuses()[status] >= target, 60, f"{count} more answers {status}: {self.statuses()}")

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
