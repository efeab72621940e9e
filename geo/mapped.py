"""Arrays in one uncompressed zip, each where a processor may read it in place, so that all processes that map the file
share its memory. It is also what `np.load` reads. A file that is mapped must be replaced, never written again."""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

_ALIGNED = 64  # bytes; the head of an array is a multiple of it
_LOCAL = 30  # bytes of a member's local head, then its name and its extra field
_EXTRA = struct.Struct("<HH")  # of which an identifier and a length come first
_PADDING = 0xD935  # the identifier of what is there for alignment alone
_HEAD = 4096  # of an array: more than it ever has


def save(out: IO[bytes], arrays: Arrays) -> None:
    with zipfile.ZipFile(out, "w") as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy")
            info.extra = _padding(out.tell() + _LOCAL + len(info.filename.encode()))
            with archive.open(info, "w") as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def _padding(begin: int) -> bytes:
    """An extra field after which what comes next is aligned."""
    size = -begin % _ALIGNED
    size += _ALIGNED if 0 < size < _EXTRA.size else 0
    return _EXTRA.pack(_PADDING, size - _EXTRA.size) + bytes(size - _EXTRA.size) if size else b""


class Mapped:
    """Read-only arrays of a file, which stay as they are whatever takes the file's place. Raises `zipfile.BadZipFile`
    for one whose bytes are not those that were written."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as opened:
            self._memory = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
            with zipfile.ZipFile(opened) as archive:
                self._members = {info.filename: info for info in archive.infolist()}

    def __getitem__(self, name: str) -> NDArray[Any]:
        info = self._members[f"{name}.npy"]
        local = info.header_offset
        begin = local + _LOCAL + sum(struct.unpack("<HH", self._memory[local + 26 : local + _LOCAL]))
        with memoryview(self._memory) as whole, whole[begin : begin + info.file_size] as member:
            if zlib.crc32(member) != info.CRC or info.compress_type != zipfile.ZIP_STORED:
                raise zipfile.BadZipFile(f"{info.filename} is damaged")
            head = io.BytesIO(member[:_HEAD])
        np.lib.format.read_magic(head)
        shape, by_column, dtype = np.lib.format.read_array_header_1_0(head)
        at, count = begin + head.tell(), int(np.prod(shape))
        found: NDArray[Any] = np.frombuffer(self._memory, dtype, count, at) if count else np.empty(0, dtype)
        return found.reshape(shape, order="F" if by_column else "C")
