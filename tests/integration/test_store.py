"""The control plane's store survives: backups, restores, lost and rotated keys, damage, a full disk, kill -9."""

import ctypes
import ctypes.util
import json
import os
import random
import re
import resource
import shutil
import sqlite3
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from sluice_support import AdminClient, wait_until


def _maintain(control, *arguments, expect=0):
    """Runs the program of a control plane that is stopped, with what it does instead of running."""
    command = [control.command[0], "--data-dir", str(control.data_dir), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == expect, f"{done.returncode}: {done.stdout}\n{done.stderr}"
    return done


def _report(done):
    return json.loads(done.stdout[done.stdout.index("{"):])


def _restore(control, file, *arguments):
    return _report(_maintain(control, "--restore", file, *arguments))


def _fails_to_start(control):
    """The message with which a control plane refuses to start."""
    done = subprocess.run(control.command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, f"{done.returncode}: {done.stderr}"
    assert "AddressSanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    return done.stderr


def _metric(control, name):
    text = requests.get(control.admin_url + "/metrics", timeout=60).text
    return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.M).group(1))


def _overwrite(path, offset, length):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(b"\x5a" * length)


def _revision(control):
    return requests.get(control.admin_url + "/health/ready", timeout=60).json()["revision"]


class _Writers:
    """Threads that create teams until they are told to stop; `acknowledged` are those that were answered 201."""

    def __init__(self, control, count, prefix):
        self._control, self._prefix = control, prefix
        self.acknowledged, self.refused, self.sent = {}, [], 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(count)]

    def _run(self, number):
        admin = AdminClient(self._control.admin_url, self._control.token)
        for i in range(100000):
            if self._stop.is_set():
                return
            name = f"{self._prefix}-{number}-{i}"
            with self._lock:
                self.sent += 1
            try:
                response = admin.request("POST", "/v1/teams", json={"name": name})
            except requests.RequestException:
                return  # it was killed
            with self._lock:
                if response.status_code == 201:
                    self.acknowledged[name] = response.json()["revision"]
                else:
                    self.refused.append(response)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def wait(self, count):
        wait_until(lambda: len(self.acknowledged) >= count, 60, f"{count} acknowledged writes")


# ---- backups ----

def test_a_backup_is_made_listed_downloaded_and_kept_while_writes_go_on(servers):
    control = servers.control(backup_keep=2)
    with _Writers(control, 4, "during") as writers:
        writers.wait(10)
        made = control.admin.request("POST", "/v1/backups", expect=201)
        acknowledged = len(writers.acknowledged)
        writers.wait(acknowledged + 10)
    assert writers.refused == []
    backup = made.json()
    assert backup["usable"] and backup["size_bytes"] > 0 and re.fullmatch("[0-9a-f]{8}", backup["master_key"])
    assert made.headers["Location"] == f"/v1/backups/{backup['name']}"
    assert control.admin.request("GET", "/v1/backups", expect=200).json()["items"] == [backup]

    content = control.admin.request("GET", made.headers["Location"], expect=200)
    assert int(content.headers["Content-Length"]) == backup["size_bytes"] == len(content.content)
    copy = servers.work_dir / "copy.db"
    copy.write_bytes(content.content)
    with sqlite3.connect(copy) as db:  # one state: each team with its audit row
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        teams = {row[0] for row in db.execute("SELECT id FROM teams")}
        audited = {row[0] for row in db.execute("SELECT entity_id FROM audit_events WHERE kind = 'teams'")}
    assert teams == audited and 10 <= len(teams) <= writers.sent

    names = [control.admin.request("POST", "/v1/backups", expect=201).json()["name"] for _ in range(2)]
    listed = control.admin.request("GET", "/v1/backups", expect=200).json()["items"]
    assert [one["name"] for one in listed] == names[::-1]
    control.admin.request("GET", made.headers["Location"], expect=404)
    assert {p.name for p in (control.data_dir / "backups").iterdir()} == set(names)
    assert b"backup made" in control.log()


def test_work_that_is_retried_under_its_idempotency_key_is_done_once(servers):
    control = servers.control()
    for path, status in (("/v1/backups", 201), ("/v1/master-key/rotate", 200), ("/v1/node-ca/rotate", 200)):
        headers = {"Idempotency-Key": path}
        # Whoever comes while the first is under way is told so; nobody does it twice.
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: control.admin.request("POST", path, headers=headers), range(4)))
        assert {answer.status_code for answer in answers} <= {status, 409}
        first, *others = [answer for answer in answers if answer.status_code == status]
        again = control.admin.request("POST", path, expect=status, headers=headers)
        assert all(other.json() == first.json() for other in (*others, again))
        assert again.headers.get("Location") == first.headers.get("Location")
    assert len(control.admin.request("GET", "/v1/backups", expect=200).json()["items"]) == 1
    done = [(event["action"], event["kind"]) for event in control.admin.list("audit-events")]
    assert done.count(("rotate", "master-key")) == 1 and done.count(("rotate", "node-ca")) == 1
    other = control.admin.request("POST", "/v1/master-key/rotate", headers={"Idempotency-Key": "/v1/backups"})
    assert other.status_code == 422
    without = control.admin.request("POST", "/v1/master-key/rotate", expect=200).json()
    assert without["previous"] != without["fingerprint"]


def test_backups_need_their_permissions_and_stay_in_their_directory(servers):
    control = servers.control()
    name = control.admin.request("POST", "/v1/backups", expect=201).json()["name"]
    reader = control.admin.with_token(control.admin.create("api-tokens", name="r", scopes=["backups:read"])["token"])
    reader.request("GET", f"/v1/backups/{name}", expect=200)
    reader.request("POST", "/v1/backups", expect=403)
    reader.request("POST", "/v1/master-key/rotate", expect=403)
    teams = control.admin.with_token(control.admin.create("api-tokens", name="t", scopes=["teams:*"])["token"])
    teams.request("GET", "/v1/backups", expect=403)
    teams.request("GET", f"/v1/backups/{name}", expect=403)
    for path in ("..%2Fcatalog.db", "..%2Fmaster.key", "catalog-..%2F..%2Fmaster.db", "%2Fetc%2Fpasswd", "lock"):
        control.admin.request("GET", f"/v1/backups/{path}", expect=404)
    trail = [event for event in control.admin.list("audit-events") if event["kind"] == "backups"]
    assert [(event["action"], event["ref"]) for event in trail] == [("download", name), ("create", name)]
    assert trail[0]["actor"]["name"] == "r"


def test_a_download_that_the_client_leaves_harms_nothing(servers):
    control = servers.control()
    control.admin.create("teams", name="big", title="x" * 100)
    name = control.admin.request("POST", "/v1/backups", expect=201).json()["name"]
    path = control.data_dir / "backups" / name
    with open(path, "ab") as file:  # larger than any socket buffer, so that the answer is still under way
        file.truncate(64 << 20)
    for _ in range(3):
        response = requests.get(f"{control.admin_url}/v1/backups/{name}", stream=True, timeout=60,
                                headers={"Authorization": f"Bearer {control.token}"})
        assert response.raw.read(100000)
        response.close()
    os.truncate(path, 1 << 20)  # and one that gets shorter while it is sent is cut, not passed off as whole
    assert control.admin.list("teams")


def test_backups_are_made_by_the_clock(servers):
    control = servers.control(backup_interval="300ms", backup_keep=3)
    wait_until(lambda: len(list((control.data_dir / "backups").glob("catalog-*.db"))) == 3, what="three backups")
    assert _metric(control, "sluice_backup_last_success_timestamp_seconds") > time.time() - 60
    names = {p.name for p in (control.data_dir / "backups").iterdir()}
    wait_until(lambda: names.isdisjoint(p.name for p in (control.data_dir / "backups").glob("catalog-*.db")),
               what="newer ones in their place")


# ---- restore ----

def test_a_restore_is_a_new_version_and_revocations_stay(servers, kafka):
    from sluice_support import SampleApi
    own = SampleApi(servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders"))
    own.start_gateway(servers, config_reconnect_max="500ms")
    control, gateway = own.control, own.gateway
    leaked = own.new_credential(own.application)
    wait_until(lambda: own.publish({}, key=leaked["api_key"]).status_code == 201, what="the key to be accepted")
    backup = control.admin.request("POST", "/v1/backups", expect=201).json()
    file = control.data_dir / "backups" / backup["name"]

    control.admin.act("credentials", leaked["id"], "revoke")
    wait_until(lambda: own.publish({}, key=leaked["api_key"]).status_code == 401, what="the key to be refused")
    etag = control.admin.request("GET", f"/v1/teams/{own.team}", expect=200).headers["ETag"]
    control.admin.patch("teams", own.team, title="After the backup")
    mistake = own.new_application("mistake")
    own.wait_in_force(control.admin.create("subscriptions", application="mistake", plan=own.plan, environment="dev"))
    assert own.publish({}, key=mistake).status_code == 201
    before = _revision(control)
    version = gateway.metrics()["sluice_config_applied_version"]
    assert "another process uses" in _maintain(control, "--restore", file, expect=1).stderr

    control.stop()
    report = _restore(control, file)
    assert report["compared"] and report["revoked_again"]["credentials"] == 1
    control.start()
    wait_until(lambda: gateway.metrics()["sluice_config_applied_version"] > version, 60, "the restored configuration")
    assert _revision(control) > before
    assert own.publish({}).status_code == 201
    assert own.publish({}, key=mistake).status_code == 401
    assert own.publish({}, key=leaked["api_key"]).status_code == 401
    assert control.admin.get("teams", own.team).get("title") is None
    newest = control.admin.request("GET", f"/v1/teams/{own.team}", expect=200).headers["ETag"]
    assert newest == etag  # the very row of the backup; what is written now gets a number that was never used
    assert control.admin.patch("teams", own.team, title="New")["revision"] > before
    assert "restore" in [event["action"] for event in control.admin.list("audit-events")]


def test_a_restore_that_is_refused_changes_nothing(servers):
    control = servers.control()
    control.admin.create("teams", name="kept")
    backup = control.admin.request("POST", "/v1/backups", expect=201).json()
    file = control.data_dir / "backups" / backup["name"]
    rotated = control.admin.request("POST", "/v1/master-key/rotate", expect=200).json()
    assert rotated["previous"] == backup["master_key"] != rotated["fingerprint"]
    assert not control.admin.request("GET", "/v1/backups", expect=200).json()["items"][0]["usable"]
    control.stop()
    digest = (control.data_dir / "catalog.db").read_bytes()
    assert backup["master_key"] in _maintain(control, "--restore", file, expect=1).stderr
    damaged = servers.work_dir / "damaged.db"
    shutil.copy(file, damaged)
    _overwrite(damaged, 40000, 5000)
    assert "damaged" in _maintain(control, "--restore", damaged, expect=1).stderr
    assert "there is no backup" in _maintain(control, "--restore", servers.work_dir / "missing", expect=1).stderr
    assert (control.data_dir / "catalog.db").read_bytes() == digest
    control.start()
    assert control.admin.get("teams", "kept")


# ---- the master key ----

def test_a_lost_key_is_named_and_can_be_left_behind(servers):
    control = servers.control()
    control.admin.create("backend-clusters", name="main", bootstrap_servers=["k:9092"],
                         authentication={"mechanism": "PLAIN", "username": "u", "password": "secret-secret"})
    control.stop()
    key = control.data_dir / "master.key"
    saved = key.read_bytes()
    key.unlink()
    message = _fails_to_start(control)
    fingerprint = re.search(r"fingerprint ([0-9a-f]{8})", message).group(1)
    assert str(key) in message and "--forget-secrets" in message
    assert not key.exists()

    key.write_bytes(saved)  # the copy of it
    assert "nothing to forget" in _maintain(control, "--forget-secrets", expect=1).stderr
    control.start()
    control.stop()

    key.unlink()
    report = _report(_maintain(control, "--forget-secrets"))
    assert report["fields"] == ["backend-clusters/main authentication.password"]
    assert report["lost_master_key"] == fingerprint != report["master_key"]
    control.start()
    assert control.admin.get("backend-clusters", "main")["authentication"]["password"] == {"set": False}
    control.admin.patch("backend-clusters", "main", authentication={"password": "again-again"})
    assert control.admin.get("backend-clusters", "main")["authentication"]["password"] == {"set": True}


# ---- damage ----

def _with_backup(servers):
    control = servers.control()
    for name in ("one", "two"):
        control.admin.create("teams", name=name)
    backup = control.admin.request("POST", "/v1/backups", expect=201).json()["name"]
    control.stop()
    return control, control.data_dir / "backups" / backup


@pytest.mark.parametrize("damage", ["header", "pages", "truncated", "text"])
def test_a_damaged_catalog_is_told_with_the_way_back(servers, damage):
    control, backup = _with_backup(servers)
    path = control.data_dir / "catalog.db"
    if damage == "header":
        _overwrite(path, 0, 100)
    elif damage == "pages":
        _overwrite(path, 4096 * 3, 4096 * 20)
    elif damage == "truncated":
        os.truncate(path, 100000)
    else:
        path.write_text("not a database\n" * 1000)
    message = _fails_to_start(control)
    assert str(path) in message
    assert f"sluice-control --data-dir {control.data_dir} --restore {backup}" in message
    report = _restore(control, backup)
    assert not report["compared"] and os.path.exists(report["replaced"])
    control.start()
    assert {team["name"] for team in control.admin.list("teams")} >= {"one", "two"}


def test_damage_that_shows_in_use_is_told_everywhere_and_writes_stop(servers):
    control, backup = _with_backup(servers)
    control.start()
    _overwrite(control.data_dir / "catalog.db", 4096 * 2, 4096 * 110)

    def damaged():
        control.admin.request("GET", "/v1/teams")
        return _metric(control, "sluice_catalog_damaged") == 1 and b"a backup that can be restored" in control.log()

    wait_until(damaged, what="the damage to be found")
    ready = requests.get(control.admin_url + "/health/ready", timeout=60)
    assert ready.status_code == 503
    assert requests.get(control.admin_url + "/health/live", timeout=60).status_code == 200
    refused = control.admin.request("POST", "/v1/teams", json={"name": "three"})
    assert refused.status_code == 500 and refused.json()["type"].endswith("/catalog-damaged")
    assert str(backup).encode() in control.log()
    control.stop()
    _restore(control, backup)
    control.start()
    control.admin.create("teams", name="three")


def test_damaged_reports_of_nodes_do_not_stop_the_control_plane(servers):
    control, _ = _with_backup(servers)
    _overwrite(control.data_dir / "usage.db", 0, 8192)
    control.start()
    assert (control.data_dir / "usage.db.damaged").exists()
    assert b"usage.db" in control.log() and b"made anew" in control.log()
    assert control.admin.list("gateway-nodes") == []


def test_a_lost_log_loses_the_last_writes_and_nothing_else(servers):
    control, _ = _with_backup(servers)
    control.start()
    control.admin.create("teams", name="in-the-log")
    control.kill()
    (control.data_dir / "catalog.db-wal").unlink()
    control.start()
    assert {team["name"] for team in control.admin.list("teams")} == {"one", "two"}
    control.admin.create("teams", name="in-the-log")


# ---- a full disk ----

_libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)


class _SmallDisk:
    """A file system of a few MiB where mounting is allowed; else a limit on the size of files, which SQLite meets in
    the same place. `fill` leaves no room, `free` gives it back."""

    def __init__(self, path):
        self.path = path
        path.mkdir()
        self.mounted = _libc.mount(b"none", str(path).encode(), b"tmpfs", 0, b"size=6m,mode=0700") == 0
        self._filler = path / "filler"
        print("a tmpfs of 6 MiB" if self.mounted else "no mount here: RLIMIT_FSIZE stands in for the full disk")

    def fill(self, control):
        if not self.mounted:
            # Below what the database and a copy of it need; what a file has already can be written again.
            resource.prlimit(control.pid, resource.RLIMIT_FSIZE, (100000, resource.RLIM_INFINITY))
            return
        with open(self._filler, "wb", buffering=0) as file:
            block = 1 << 20
            while block > 0:
                try:
                    file.write(b"\0" * block)
                except OSError:
                    block //= 2

    def free(self, control):
        if not self.mounted:
            resource.prlimit(control.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        else:
            self._filler.unlink()

    def close(self):
        if self.mounted:
            assert _libc.umount2(str(self.path).encode(), 2) == 0  # MNT_DETACH


@pytest.fixture
def small_disk(tmp_path, servers):
    disk = _SmallDisk(tmp_path / "disk")
    try:
        yield disk
        servers.stop_all()
    finally:
        disk.close()


def _goes_through(own, stream):
    """An event is published and read by an open stream."""
    published = own.publish({})
    assert published.status_code == 201
    wait_until(lambda: stream.take(1)[0].json()["id"] == published.json()["id"], what="the event in the stream")


def test_a_full_disk_is_507_and_passes_by_itself(servers, small_disk, kafka):
    from sluice_support import SampleApi
    control = servers.control(start=None)
    control.data_dir = small_disk.path / "data"
    control.command[control.command.index("--data-dir") + 1] = str(control.data_dir)
    control.start()
    own = SampleApi(control, kafka.bootstrap_servers, kafka.create_topic("full"))
    own.start_gateway(servers, config_reconnect_max="500ms")
    late = own.new_credential(own.application)
    wait_until(lambda: own.publish({}, key=late["api_key"]).status_code == 201, what="the second key to be accepted")
    stream = own.stream()
    control.admin.create("teams", name="before")
    backup = control.admin.request("POST", "/v1/backups", expect=201).json()["name"]
    small_disk.fill(control)

    def full():
        body = {"name": f"a{random.randrange(10**9)}", "major": 1, "team": "before", "operations": ["read"],
                "exposures": ["rest"], "description": "y" * 50000}
        response = control.admin.request("POST", "/v1/event-apis", json=body)
        return [response] if response.status_code != 201 else None  # a response of an error counts as false

    [problem] = wait_until(full, what="the disk to be full", interval=0)
    assert problem.status_code == 507 and problem.json()["type"].endswith("/no-space"), problem.text
    assert control.admin.request("POST", "/v1/backups").status_code == 507
    assert {p.name for p in (control.data_dir / "backups").iterdir()} == {backup}
    assert control.admin.request("POST", "/v1/master-key/rotate").status_code == 507
    assert control.admin.get("teams", "before")
    assert requests.get(control.admin_url + "/health/ready", timeout=60).status_code == 200
    _goes_through(own, stream)

    small_disk.free(control)
    control.admin.create("teams", name="after")
    control.admin.act("credentials", late["id"], "revoke")
    wait_until(lambda: own.publish({}, key=late["api_key"]).status_code == 401, what="the gateway to hear of a change")
    _goes_through(own, stream)  # on the connection from before
    stream.close()
    control.admin.request("POST", "/v1/master-key/rotate", expect=200)
    control.stop()
    control.start()
    assert {team["name"] for team in control.admin.list("teams")} >= {"before", "after"}


# ---- kill -9 ----

def _check_whole(control, writers):
    """Every acknowledged write is there with its revision, and nothing is half there."""
    teams = {team["name"]: team["revision"] for team in control.admin.list("teams", limit=1000)}
    lost = {name: revision for name, revision in writers.acknowledged.items() if teams.get(name) != revision}
    assert lost == {}
    with sqlite3.connect(f"file:{control.data_dir}/catalog.db?mode=ro", uri=True) as db:
        rows = db.execute("SELECT id, revision FROM teams").fetchall()
        audit = db.execute("SELECT entity_id, revision FROM audit_events WHERE kind = 'teams' ORDER BY seq").fetchall()
        [(revision,)] = db.execute("SELECT int_value FROM catalog_meta WHERE name = 'revision'").fetchall()
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert sorted(rows) == sorted(audit)
    revisions = [row[1] for row in audit]
    assert revisions == sorted(set(revisions)) and revision >= max(revisions)


def test_what_was_acknowledged_survives_kill_9_amid_many_writes(servers):
    """In the middle of a thousand writes by 20 clients: somewhere around the five hundredth."""
    control = servers.control()
    for round_number in range(2):
        with _Writers(control, 20, f"r{round_number}") as writers:
            writers.wait(400 + random.randrange(200))
            control.kill()
        assert writers.refused == []
        control.start()
        _check_whole(control, writers)
        control.admin.create("teams", name=f"after-{round_number}")


def test_kill_9_in_the_middle_of_backups_and_rotations_leaves_neither_half(servers):
    control = servers.control()
    control.admin.create("backend-clusters", name="main", bootstrap_servers=["k:9092"],
                         authentication={"mechanism": "PLAIN", "username": "u", "password": "secret-secret"})
    for round_number in range(4):
        stop = threading.Event()

        def hammer(path):
            admin = AdminClient(control.admin_url, control.token)
            while not stop.is_set():
                try:
                    admin.request("POST", path, expect=(200, 201, 409))
                except requests.RequestException:
                    return

        with ThreadPoolExecutor(2) as pool:
            work = [pool.submit(hammer, path) for path in ("/v1/backups", "/v1/master-key/rotate")]
            seen = control.log().count(b"rotated the master key")
            wait_until(lambda: control.log().count(b"rotated the master key") >= seen + 2 + random.randrange(4), 60,
                       "rotations", interval=0.003)
            control.kill()
            stop.set()
            for one in work:
                one.result()
        control.start()
        assert len((control.data_dir / "master.key").read_text().splitlines()) == 1
        assert not list((control.data_dir / "backups").glob(".*"))
        for backup in control.admin.request("GET", "/v1/backups", expect=200).json()["items"]:
            assert "problem" not in backup
        # The password opens: a change that says the same is no change.
        same = control.admin.get("backend-clusters", "main")
        assert control.admin.patch("backend-clusters", "main", authentication={"password": "secret-secret"}) == same


# ---- too much at once ----

def test_more_than_may_wait_is_503_with_retry_after(servers):
    control = servers.control(catalog_queue=2, catalog_readers=1)
    with _Writers(control, 24, "many") as writers:
        wait_until(lambda: writers.refused and len(writers.acknowledged) > 20, 60, "a full queue")
    for response in writers.refused:
        assert response.status_code == 503 and response.headers["Retry-After"], response.text
        assert response.json()["type"].endswith("/unavailable")
    names = {team["name"] for team in control.admin.list("teams", limit=1000)}
    assert names == set(writers.acknowledged)
