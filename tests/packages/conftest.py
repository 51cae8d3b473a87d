"""Debian packages in systems of their own: needs root, and a mirror of Debian."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from sluice_support.process import Program  # noqa: E402

SUITE = "bookworm"


def run(*command, timeout=900, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=timeout, **options)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def mirror():
    """Where this machine has its own packages from."""
    rows = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages").splitlines()
    found = [row.split()[0] for row in rows if row.split()[1:] == [SUITE]]
    assert found, f"apt has no source of {SUITE}"
    return found[0]


class System:
    """A minimal Debian in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.mounts = []

    def run(self, *command, user=None, **options):
        spec = [f"--userspec={user}:{user}"] if user else []
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive",
               **options.pop("env", {})}
        return run("chroot", *spec, self.folder, *command, env=env, **options)

    def program(self, name, user, env, log, *command):
        """Not started yet."""
        return Program(name, ["chroot", f"--userspec={user}:{user}", self.folder, *command], log, env)

    def mount(self, source, target):
        path = self.folder / target
        path.mkdir(parents=True, exist_ok=True)
        run("mount", "--bind", "-o", "ro", source, path)
        self.mounts.append(path)

    def prepare(self):
        """Its packages come from where this machine's do."""
        for name in ("sources.list", "sources.list.d", "apt.conf.d", "trusted.gpg.d", "keyrings"):
            source, target = pathlib.Path("/etc/apt", name), self.folder / "etc" / "apt" / name
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            elif source.exists():
                shutil.copy(source, target)
            else:
                target.unlink(missing_ok=True)
        for name in ("resolv.conf", "hosts"):
            shutil.copy(f"/etc/{name}", self.folder / "etc" / name)
        for name in os.listdir("/usr/share/keyrings"):
            target = self.folder / "usr" / "share" / "keyrings" / name
            if not target.exists():
                shutil.copy(f"/usr/share/keyrings/{name}", target)
        run("mount", "-t", "proc", "proc", self.folder / "proc")
        self.mounts.append(self.folder / "proc")

    def release(self):
        for path in reversed(self.mounts):
            run("umount", path)
        self.mounts = []


@pytest.fixture(scope="session")
def base():
    """An archive of a minimal system, made once and kept in the cache."""
    assert os.geteuid() == 0, "systems of their own need root"
    cache = pathlib.Path(os.environ["SLUICE_CACHE_DIR"])
    archive = cache / f"debootstrap-{SUITE}.tar"
    if not archive.exists():
        folder = cache / f"debootstrap-{SUITE}.work"
        shutil.rmtree(folder, ignore_errors=True)
        run("debootstrap", "--variant=minbase", SUITE, folder, mirror())
        run("tar", "-C", folder, "-cf", archive.with_suffix(".part"), ".")
        archive.with_suffix(".part").rename(archive)
        shutil.rmtree(folder)
    return archive


@pytest.fixture
def system(base, tmp_path):
    system = System(tmp_path / "system")
    system.folder.mkdir()
    run("tar", "-C", system.folder, "-xf", base)
    try:
        system.prepare()
        yield system
    finally:
        system.release()
