"""A disk that is small enough to be filled: a tmpfs in a mount namespace of the campaign's own, gone with its process.

Root only needs the namespace; everybody else becomes the owner of a user namespace first, which some kernels forbid.
"""

import ctypes
import os
from pathlib import Path

NEW_MOUNTS, NEW_USER = 0x00020000, 0x10000000
RECURSIVE, PRIVATE = 1 << 14, 1 << 18
DETACH = 2
SIZE_MB = 768
SPARE = 1 << 16  # bytes; a file that takes the rest leaves less


def mount(folder: Path) -> bool:
    """Whether `folder` is a disk of its own from now on, for this process and its children. To be called before there
    are threads."""
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None)
    if libc.unshare(NEW_MOUNTS if user == 0 else NEW_MOUNTS | NEW_USER):
        return False
    if user != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    if libc.mount(b"none", b"/", None, RECURSIVE | PRIVATE, None):
        return False
    options = f"size={SIZE_MB}m,mode=755,uid={user},gid={group}".encode()
    return bool(libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, options) == 0)


def unmount(folder: Path) -> None:
    ctypes.CDLL(None).umount2(os.fsencode(folder), DETACH)


def fill(folder: Path) -> Path:
    """The file that takes all the room there is."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            os.posix_fallocate(file.fileno(), 0, max(_free(folder) - SPARE, 1))
            while True:
                file.seek(0, os.SEEK_END)
                file.write(b"\0" * 4096)
        except OSError:
            return filler


def _free(folder: Path) -> int:
    left = os.statvfs(folder)
    return left.f_bavail * left.f_frsize
