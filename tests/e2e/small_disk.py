"""Small file systems, for full and read-only disks."""

import ctypes
import functools
import os
import pathlib
import sys

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_REMOUNT, MS_REC, MS_PRIVATE = 1, 32, 16384, 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


def _mount(source, target, kind, flags, data):
    encode = lambda word: None if word is None else str(word).encode()
    if _libc.mount(encode(source), encode(target), encode(kind), ctypes.c_ulong(flags), encode(data)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


@functools.lru_cache(maxsize=None)
def private_mounts():
    """Moves this test process into its own mount name space, so that nothing it mounts is seen or outlives it.
    @return None, or why it is not possible"""
    uid, gid = os.getuid(), os.getgid()
    try:
        if _libc.unshare(CLONE_NEWNS) != 0:
            if _libc.unshare(CLONE_NEWNS | CLONE_NEWUSER) != 0:
                return f"unshare: {os.strerror(ctypes.get_errno())}"
            pathlib.Path("/proc/self/setgroups").write_text("deny")
            pathlib.Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
            pathlib.Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
        _mount("none", "/", None, MS_REC | MS_PRIVATE, None)
        return None
    except OSError as error:
        return str(error)


class SmallDisk:
    """A tmpfs of a given size; skips the test (and says why) where mounting is not allowed."""

    def __init__(self, test, folder, size_bytes):
        problem = private_mounts()
        if problem is None:
            folder = pathlib.Path(folder)
            folder.mkdir(parents=True, exist_ok=True)
            try:
                _mount("tmpfs", folder, "tmpfs", 0, f"size={size_bytes}")
            except OSError as error:
                problem = str(error)
        if problem is not None:
            reason = f"a tiny file system cannot be mounted here: {problem}"
            print(f"SKIPPED {test.id()}: {reason}", file=sys.stderr)
            test.skipTest(reason)
        self.path = folder
        test.addCleanup(lambda: _libc.umount2(str(folder).encode(), 2))

    def resize(self, size_bytes):
        _mount("tmpfs", self.path, "tmpfs", MS_REMOUNT, f"size={size_bytes}")

    def make_read_only(self):
        _mount("tmpfs", self.path, "tmpfs", MS_REMOUNT | MS_RDONLY, None)
