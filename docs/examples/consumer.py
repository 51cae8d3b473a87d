"""Publishes an event, then consumes pages until it has come back. Only the standard library.

A real consumer keeps the cursor (a file, a database row) after it has worked on a page, and starts from it: whatever
happens, nothing is lost, and at most one page is seen twice.
"""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

URL = os.environ["SLUICE_URL"]
KEY = os.environ["SLUICE_KEY"]


def call(url, body=None):
    headers = {"X-API-Key": KEY}
    if body is not None:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, body, headers)
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            problem = json.load(error)
            if error.code == 410:  # the events behind the cursor are gone; the problem says where to go on
                return {"events": [], "next": problem["resume"], "caught_up": False}
            if "Retry-After" not in error.headers:
                raise SystemExit(f"{problem['title']}: {problem.get('detail', '')}")
            time.sleep(int(error.headers["Retry-After"]))


def main():
    published = call(URL, json.dumps({"order": 2}).encode())["id"]
    print("published", published)
    cursor, come = None, False
    while not come:  # a real consumer goes on for ever
        query = {"cursor": cursor, "wait": 5} if cursor else {"from": "earliest"}
        page = call(f"{URL}?{urllib.parse.urlencode(query)}")
        for event in page["events"]:
            print("event", event["id"], json.dumps(event.get("data")))
            come = come or event["id"] == published
        cursor = page["next"]  # keep the cursor here


main()
