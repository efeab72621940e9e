"""A disk that can be full: a tmpfs in a mount namespace of the campaign's own, gone with its process.

Root only needs the namespace; everybody else becomes the owner of a user namespace first, which some kernels forbid.
"""

import ctypes
import os
from pathlib import Path

NEW_MOUNTS, NEW_USER = 0x00020000, 0x10000000
REMOUNT, RECURSIVE, PRIVATE = 1 << 5, 1 << 14, 1 << 18
DETACH = 2
SIZE = 2 << 30  # bytes; memory is taken for what lies on it alone
SPARE = 1 << 16


def mount(folder: Path) -> bool:
    """Whether `folder` is a disk of its own from now on, for this process and its children. To be called before there
    are threads."""
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None)
    if libc.unshare(NEW_MOUNTS if user == 0 else NEW_MOUNTS | NEW_USER):
        return False
    if user != 0:
        try:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        except OSError:
            return False
    if libc.mount(b"none", b"/", None, RECURSIVE | PRIVATE, None):
        return False
    return _mount(folder, f"size={SIZE},mode=755,uid={user},gid={group}")


def fill(folder: Path) -> bool:
    """The disk at `folder` is as large as what lies on it, but for a few pages. Whether it worked."""
    now = os.statvfs(folder)
    return _mount(folder, f"size={(now.f_blocks - now.f_bfree) * now.f_frsize + SPARE}", REMOUNT)


def empty(folder: Path) -> bool:
    return _mount(folder, f"size={SIZE}", REMOUNT)


def unmount(folder: Path) -> None:
    ctypes.CDLL(None).umount2(os.fsencode(folder), DETACH)


def _mount(folder: Path, options: str, flags: int = 0) -> bool:
    return bool(ctypes.CDLL(None).mount(b"tmpfs", os.fsencode(folder), b"tmpfs", flags, options.encode()) == 0)
