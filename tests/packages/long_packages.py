"""The Debian packages: what is in them, that they are the same each time, and that they run where nothing else is."""

import pathlib
import re
import sys

import pytest

from conftest import ROOT, run
from sluice_support import free_port, wait_until

PACKAGES = ROOT / "build" / "packages"
NAMES = ("sluice-control", "sluice-gateway", "sluicectl")


@pytest.fixture(scope="session")
def commit():
    return run("git", "-C", ROOT, "rev-parse", "--short=12", "HEAD").strip()


@pytest.fixture(scope="session")
def packages(commit):
    """Made anew, and checked by lintian."""
    run(ROOT / "scripts" / "package", "--check", "--yes")
    found = {path.name.split("_")[0]: path for path in PACKAGES.glob("*.deb")}
    assert sorted(found) == sorted(NAMES)
    return found


def digests():
    return run("sha256sum", *sorted(PACKAGES.glob("*.deb")))


def test_the_same_commit_gives_the_same_bytes(packages):
    before = digests()
    run(ROOT / "scripts" / "package", "--yes")
    assert digests() == before


def test_nothing_of_the_build_machine_is_in_them(packages, tmp_path):
    for path in packages.values():
        run("dpkg-deb", "-x", path, tmp_path / path.stem)
        for file in (tmp_path / path.stem).rglob("*"):
            if file.is_file() and not file.is_symlink():
                assert str(ROOT).encode() not in file.read_bytes(), file


def install(system, packages, *more):
    (system.folder / "packages").mkdir()
    for path in packages.values():
        (system.folder / "packages" / path.name).write_bytes(path.read_bytes())
    system.run("apt-get", "update", "-q")
    system.run("sh", "-c", f"apt-get install -y -q --no-install-recommends {' '.join(more)} /packages/*.deb")


def unit(system, program):
    """What systemd would start: command, user, and how long it waits for the end."""
    text = (system.folder / "lib/systemd/system" / f"{program}.service").read_text()
    return dict(re.findall(r"^(ExecStart|User|TimeoutStopSec)=(.*)$", text, re.MULTILINE))


class Installed:
    """Both programs as their units start them, but on ports that are free."""

    def __init__(self, system, tmp_path):
        self.system = system
        self.tmp_path = tmp_path
        self.admin_port, grpc, enrolment, self.observe_port = (free_port() for _ in range(4))
        self.env = {
            "sluice-control": {"SLUICE_ADMIN_ADDRESS": f"127.0.0.1:{self.admin_port}",
                               "SLUICE_GRPC_ADDRESS": f"127.0.0.1:{grpc}",
                               "SLUICE_ENROLMENT_ADDRESS": f"127.0.0.1:{enrolment}"},
            "sluice-gateway": {"SLUICE_OBSERVE_ADDRESS": f"127.0.0.1:{self.observe_port}"},
        }

    def program(self, name):
        service = unit(self.system, name)
        assert service["User"] == name
        return self.system.program(name, name, self.env[name], self.tmp_path / f"{name}.log",
                                   *service["ExecStart"].split())

    def ctl(self, *arguments, **options):
        token = (self.system.folder / "var/lib/sluice-control/bootstrap.token").read_text().strip()
        env = {"SLUICE_SERVER": f"http://127.0.0.1:{self.admin_port}", "SLUICE_TOKEN": token, "HOME": "/root"}
        return self.system.run("sluicectl", *arguments, env=env, **options)


def healthy(port):
    return lambda: run("curl", "-sf", "--noproxy", "*", f"http://127.0.0.1:{port}/health/ready") is not None


def serve(installed):
    """Starts both, joins the gateway to a group, sees that it is connected, and ends both well."""
    control = installed.program("sluice-control")
    gateway = installed.program("sluice-gateway")
    try:
        control.start().wait_ready(healthy(installed.admin_port))
        installed.ctl("create", "gateway-group", "name=dev", "environment=dev")
        join = installed.ctl("node", "join", "dev").split()[-1]
        gateway.command += ["--join", join]
        gateway.start().wait_ready(healthy(installed.observe_port))
        wait_until(lambda: "connected" in installed.ctl("node", "list"), what="the gateway to be connected")
        installed.ctl("node", "drain", installed.ctl("node", "list", "-o", "name").strip().split("/")[1], "--yes")
        assert gateway.wait() == 0
    finally:
        gateway.stop()
        control.stop()


def test_they_are_installed_started_and_removed(packages, commit, system, tmp_path):
    install(system, packages, "systemd")
    for name in NAMES[:2]:
        assert system.run("stat", "-c", "%a %U:%G", f"/var/lib/{name}").split() == ["700", f"{name}:{name}"]
        conffiles = system.run("dpkg-query", "-W", "-f", "${Conffiles}", name)
        assert f"/etc/sluice/{name.removeprefix('sluice-')}.yaml" in conffiles
        system.run("systemd-analyze", "verify", "--man=no", f"{name}.service")
        system.run("systemd-analyze", "security", "--offline=true", "--threshold=20", f"{name}.service")
    for name in NAMES:
        assert commit in system.run(name, "--version")
    assert "apply" in system.run("bash", "-c", "source /usr/share/bash-completion/completions/sluicectl && type _sluicectl")
    serve(Installed(system, tmp_path))
    system.run("apt-get", "purge", "-y", "-q", *NAMES)
    assert not (system.folder / "etc/sluice/control.yaml").exists()
    assert (system.folder / "var/lib/sluice-control/catalog.db").exists(), "data outlives the package"


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_small_and_runs_as_nobody_in_particular(packages, system, tmp_path, name):
    """The step of the Containerfile that makes an image of a package."""
    (system.folder / "src").mkdir()
    system.mount(ROOT, "src")
    before = size(system)
    system.run("/src/deploy/container/install", name, "/src/build/packages")
    assert size(system) - before < 100
    assert not (system.folder / "usr/bin/systemctl").exists()
    assert name in system.run(name, "--version", user="65532")
    if name == "sluice-control":
        assert system.run("stat", "-c", "%u %a", f"/var/lib/{name}").split() == ["65532", "700"]
        port = free_port()
        control = system.program(name, "65532", {}, tmp_path / "log", name, "--admin-address", f"127.0.0.1:{port}",
                                 "--grpc-address", "127.0.0.1:0", "--enrolment-address", "127.0.0.1:0")
        try:
            control.start().wait_ready(healthy(port))
        finally:
            control.stop()


def size(system):
    """MiB."""
    return int(run("du", "-smx", f"--exclude={system.folder}/src", system.folder).split()[0])


CONTAINERFILE = ROOT / "deploy" / "container" / "Containerfile"


def test_the_containerfile_is_well_formed():
    run(pathlib.Path(sys.executable).parent / "hadolint", CONTAINERFILE)


def build_stage():
    """(folder, commands) of the stage that builds the packages; what it copies is the whole repository."""
    [stage] = re.findall(r"^FROM \S+ AS build$(.*?)^FROM ", CONTAINERFILE.read_text(), re.MULTILINE | re.DOTALL)
    steps = re.findall(r"^([A-Z]+) (.*)$", stage, re.MULTILINE)
    assert [name for name, _ in steps if name != "RUN"] == ["WORKDIR", "COPY"] and ("COPY", ". .") in steps, steps
    return dict(steps)["WORKDIR"], [command for name, command in steps if name == "RUN"]


def test_the_build_stage_of_the_containerfile_makes_the_packages(system, commit):
    """Where nothing is installed yet, as in the image that it begins with."""
    folder, commands = build_stage()
    source = system.folder / folder.lstrip("/")
    run("git", "clone", "-q", "--no-hardlinks", ROOT, source)
    run("git", "-C", source, "checkout", "-q", "--detach", commit)
    for command in commands:
        system.run("sh", "-c", f"cd {folder} && {command}", timeout=2 * 3600, env={"HOME": "/root"})
    made = sorted(path.name.split("_")[0] for path in (source / "build" / "packages").glob("*.deb"))
    assert made == sorted(NAMES)
