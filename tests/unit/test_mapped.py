"""Arrays that processes share: read in place, whole or not at all, and unchanged when another file takes the place."""

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geo.mapped import Mapped, save

ARRAYS: dict[str, Any] = {
    "a": np.arange(7, dtype=np.int32),
    "long.name": np.linspace(0.0, 1.0, 12).reshape(3, 4),
    "none": np.empty((0, 2), np.int32),
    "by_column": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "text": np.array(["梅江区", "x"]),
}


def kept(path: Path, arrays: dict[str, Any] = ARRAYS) -> Path:
    with path.with_suffix(".part").open("wb") as out:
        save(out, arrays)
    os.replace(path.with_suffix(".part"), path)
    return path


def test_what_is_saved_is_read_in_place_and_by_numpy_too(tmp_path: Path) -> None:
    path = kept(tmp_path / "arrays.npz")
    mapped = Mapped(path)
    with np.load(path) as loaded:
        for name, array in ARRAYS.items():
            found = mapped[name]
            np.testing.assert_array_equal(found, array)
            np.testing.assert_array_equal(loaded[name], array)
            assert found.dtype == array.dtype
            assert not found.size or (not found.flags.writeable and found.ctypes.data % 64 == 0), name


def test_a_file_that_takes_its_place_changes_nothing_under_a_reader(tmp_path: Path) -> None:
    path = kept(tmp_path / "arrays.npz")
    before = Mapped(path)["a"]
    kept(path, {"a": np.full(7, 9, np.int32)})
    assert before.tolist() == list(range(7))
    path.unlink()
    assert before.tolist() == list(range(7))


def test_a_byte_that_is_not_the_one_written_is_found(tmp_path: Path) -> None:
    path = kept(tmp_path / "arrays.npz")
    raw = bytearray(path.read_bytes())
    at = raw.find(ARRAYS["long.name"].tobytes())
    raw[at + 5] ^= 1
    path.write_bytes(raw)
    assert Mapped(path)["a"].tolist() == list(range(7))
    with pytest.raises(zipfile.BadZipFile, match=r"long\.name"):
        Mapped(path)["long.name"]
