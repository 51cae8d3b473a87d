"""sluicectl when its surroundings fail: disks, names, the wrong control plane. Each is told, with what to do, and nothing
half-made is left behind."""

import os
import subprocess

import pytest

from sluice_support.ctl import Ctl
from sluice_support.disk import Disk

SHOP = "manager: shop\nresources:\n  teams:\n  - name: shop\n"


@pytest.fixture(scope="module")
def control(module_servers):
    control = module_servers.control()
    teams = "".join(f"  - name: team-{n}\n" for n in range(500))
    control.admin.request("PUT", "/v1/config", expect=200, data=f"manager: many\nresources:\n  teams:\n{teams}",
                          headers={"Content-Type": "application/yaml"})
    return control


@pytest.fixture
def ctl(control, servers, tmp_path):
    return Ctl(servers.build_dir, tmp_path, control.admin_url, control.token)


@pytest.fixture
def disk(tmp_path):
    disk = Disk(tmp_path / "disk", size_mib=1)
    try:
        yield disk
    finally:
        disk.close()


# ---- a full disk ----

@pytest.mark.parametrize("command", [
    ["dump"], ["dump", "-o", "json"], ["get", "teams"], ["get", "teams", "-o", "json"], ["get", "teams", "-o", "name"],
    ["describe", "team", "team-1"], ["whoami"], ["completion", "bash"], ["help", "--man"], ["backup", "list"],
    ["token", "create", "lost", "--scope", "teams:read"]], ids=" ".join)
def test_output_that_does_not_fit_is_told(ctl, command):
    """/dev/full is a disk without room: what is buffered shows at the end, what is much in the middle."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(ctl.command(*command), stdout=full, stderr=subprocess.PIPE, text=True, env=ctl.env, timeout=60)
    assert done.returncode == 1, done
    assert "standard output cannot be written: No space left on device" in done.stderr


def test_a_reader_that_goes_is_no_fault(ctl):
    """As with `sluicectl dump | head -1`: it ends, and says nothing."""
    for command in (["dump"], ["get", "teams"], ["get", "teams", "-o", "json"]):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(ctl.command(*command), stdout=writer, stderr=subprocess.PIPE, text=True, env=ctl.env, timeout=60)
        os.close(writer)
        assert (done.returncode, done.stderr) == (1, ""), done


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_backup_that_cannot_be_kept_leaves_nothing(ctl, disk, fault):
    name = ctl.out("backup", "create").strip()
    disk.fill()
    disk.read_only(fault == "read-only")
    said = ctl.err("backup", "fetch", name, "--out", disk.path, expect=1)
    assert str(disk.path / name) in said
    assert {"full": "No space left on device", "read-only": "Read-only file system"}[fault] in said
    disk.read_only(False)
    assert os.listdir(disk.path) == ["ballast"]
    disk.free()


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_login_that_cannot_be_kept_is_told_and_the_old_one_stays(ctl, control, disk, fault):
    ctl.set_environment()
    ctl.env["SLUICECTL_CONFIG"] = str(disk.path / "contexts.yaml")
    ctl.run("login", "dev", "--server", control.admin_url, input=control.token)
    before = (disk.path / "contexts.yaml").read_text()
    disk.fill()
    disk.read_only(fault == "read-only")
    said = ctl.err("login", "other", "--server", control.admin_url, input=control.token, expect=1)
    assert str(disk.path / "contexts.yaml") in said
    assert {"full": "No space left on device", "read-only": "Read-only file system"}[fault] in said
    assert control.token not in said
    assert ctl.json("whoami")["name"] == "bootstrap"
    disk.read_only(False)
    assert (disk.path / "contexts.yaml").read_text() == before
    assert sorted(os.listdir(disk.path)) == ["ballast", "contexts.yaml"]


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_debug_bundle_that_cannot_be_kept_is_told(ctl, disk, fault):
    disk.fill()
    disk.read_only(fault == "read-only")
    said = ctl.err("debug", "--out", disk.path / "bundle.tar.gz", expect=1)
    assert str(disk.path / "bundle.tar.gz") in said
    assert {"full": "No space left on device", "read-only": "Read-only file system"}[fault] in said
    disk.read_only(False)
    assert os.listdir(disk.path) == ["ballast"]


def test_an_apply_is_done_though_its_report_cannot_be_written(ctl, tmp_path):
    """What was changed is changed: the status says that something is wrong, and the text what."""
    (tmp_path / "shop.yaml").write_text(SHOP)
    with open("/dev/full", "w") as full:
        done = subprocess.run(ctl.command("apply", "-f", tmp_path / "shop.yaml"), stdout=full, stderr=subprocess.PIPE, text=True,
                              env=ctl.env, timeout=60)
    assert done.returncode == 1 and "No space left on device" in done.stderr and "1 created" in done.stderr
    assert ctl.out("diff", "-f", tmp_path / "shop.yaml") == ""


# ---- names, and the wrong control plane ----

def test_a_name_that_cannot_be_resolved_is_named(ctl):
    ctl.set_environment("http://control.sluice.invalid:8001", "sla_x_y")
    said = ctl.err("get", "teams", "--retries", "0", expect=1)
    assert "control.sluice.invalid" in said and "resolve" in said.lower() and "SLUICE_SERVER" in said


def test_the_token_of_another_control_plane_is_refused_with_both_named(ctl, control, servers, tmp_path):
    """The context of one, the token of the other: as after a copy from a wiki."""
    other = servers.control()
    ctl.set_environment()
    ctl.run("login", "prod", "--server", control.admin_url, input=control.token)
    ctl.set_environment(None, other.token)
    (tmp_path / "shop.yaml").write_text(SHOP.replace("shop", "elsewhere"))
    said = ctl.err("apply", "-f", tmp_path / "shop.yaml", expect=1)
    assert "401" in said and "SLUICE_TOKEN" in said and control.admin_url in said
    ctl.set_environment()
    assert ctl.err("get", "team", "elsewhere", expect=1)


def test_what_is_changed_where_is_said_before_it_is_done(ctl, control, tmp_path):
    """The wrong context is found before anything is changed, where somebody looks."""
    ctl.set_environment()
    ctl.run("login", "prod", "--server", control.admin_url, input=control.token)
    (tmp_path / "shop.yaml").write_text(SHOP.replace("shop", "looked-at"))
    said = ctl.err("apply", "-f", tmp_path / "shop.yaml", "--confirm", expect=1)
    assert "prod" in said and control.admin_url in said
    assert ctl.err("get", "team", "looked-at", expect=1)
