"""Disks that are full or read-only."""

import contextlib
import ctypes
import os

_MS_RDONLY, _MS_REMOUNT, _MNT_DETACH = 1, 32, 2
_libc = ctypes.CDLL(None, use_errno=True)


class Disk:
    """A disk of a few MiB, as a file system in memory: it can be full, and read-only."""

    def __init__(self, path, size_mib=2):
        self.path = path
        path.mkdir()
        self._mount(f"size={size_mib}m", 0)

    def _mount(self, options, flags):
        if _libc.mount(b"sluice-test", os.fsencode(self.path), b"tmpfs", flags, options.encode()) != 0:
            error = ctypes.get_errno()
            raise OSError(error, f"this test mounts a file system, which root may: {os.strerror(error)}")

    def read_only(self, yes):
        self._mount("", _MS_REMOUNT | (_MS_RDONLY if yes else 0))

    def fill(self):
        with open(self.path / "ballast", "ab", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(b"x" * 4096)

    def free(self):
        (self.path / "ballast").unlink()

    def close(self):
        _libc.umount2(os.fsencode(self.path), _MNT_DETACH)
