"""Opens a polygon file that a stranger sent: what it is by its content, whole or not, how deep, how large inflated, in
which encoding. `reading` then gives it to GDAL, which would take any of a hundred formats by its own choice."""

from __future__ import annotations

import codecs
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import orjson

from geo.geometry import MAX_DEPTH

MOST_BYTES = 1 << 30  # of a file, and of all that a zip holds, counted while inflating
_CHUNK = 1 << 20
_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ENCODINGS = ("utf-8", "gb18030")
_DBF_END = 0x0D
_GUESSED = 0.05  # a text cut within a letter is still UTF-8, text in GBK read as UTF-8 is not


class Unreadable(ValueError):
    """Why the file is refused, and at which feature, counted from 1, if it is one's fault."""

    def __init__(self, what: str, feature: int | None = None, kind: str = "unreadable") -> None:
        super().__init__(what)
        self.feature, self.kind = feature, kind


@dataclass(frozen=True, slots=True)
class Source:
    """A file that GDAL may open. `count` of its features, where known; `says_crs`: whether its CRS is its own word."""

    path: Path
    format: str
    count: int | None = None
    encoding: str | None = None
    says_crs: bool = True


def unpack(path: Path, folder: Path, encoding: str | None = None) -> Source:
    """The source in `path`, its parts unpacked into the empty `folder`. Raises `Unreadable`."""
    size = path.stat().st_size
    if size == 0:
        raise Unreadable("the file is empty")
    if size > MOST_BYTES:
        raise Unreadable(f"the file is larger than {MOST_BYTES >> 20} MiB")
    with path.open("rb") as opened:
        head = opened.read(100)
    if head.startswith(b"SQLite format 3\0"):
        _check_pages(head, size)
        return Source(path, "GeoPackage")
    if head.startswith(b"PK\x03\x04"):
        return _shapefile(path, folder, encoding)
    return _geojson(path)


def _check_pages(head: bytes, size: int) -> None:
    """SQLite reads what is there of half a database until it needs the rest."""
    page, pages = struct.unpack(">H10xI", head[16:32].ljust(16, b"\0"))
    said = (65_536 if page == 1 else page) * pages
    if size < said:
        raise Unreadable(f"the GeoPackage is half written: {size} bytes where it says {said}")


def _geojson(path: Path) -> Source:
    raw = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    _check_depth(raw)
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        ends = "; the file ends before its JSON does" if error.pos >= len(raw.rstrip()) - 1 else ""
        raise Unreadable(f"no readable GeoJSON: {error.msg} in line {error.lineno}{ends}") from None
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list) or document.get("type") != "FeatureCollection":
        raise Unreadable("no GeoJSON FeatureCollection, no GeoPackage and no zip")
    for number, feature in enumerate(features, start=1):
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            raise Unreadable("an item of `features` is no Feature", number)
    return Source(path, "GeoJSON", len(features), says_crs=document.get("crs") is not None)


def _check_depth(raw: bytes) -> None:
    """Before anything that recurses sees it: deep collections crash the process."""
    text = np.frombuffer(_STRINGS.sub(b"", raw), np.uint8)
    opening, closing = (text == ord("[")) | (text == ord("{")), (text == ord("]")) | (text == ord("}"))
    marks = np.flatnonzero(opening | closing)
    depth = np.cumsum(np.where(opening[marks], 1, -1))
    if not len(depth) or depth.max() <= MAX_DEPTH:
        return
    deep = int(np.argmax(depth > MAX_DEPTH))
    # Features are the objects right inside the array `features` of the outermost object.
    arrays = np.flatnonzero((depth == 2) & opening[marks] & (text[marks] == ord("[")))
    arrays = arrays[arrays < deep]
    features = np.flatnonzero((depth == 3) & (text[marks] == ord("{")))
    inside = features[(features > arrays[-1]) & (features < deep)] if len(arrays) else features[:0]
    what = f"nested {int(depth.max())} deep, {MAX_DEPTH} are allowed: no collections inside collections"
    raise Unreadable(what, len(inside) or None)


def _shapefile(path: Path, folder: Path, encoding: str | None) -> Source:
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive)
            left = MOST_BYTES
            for suffix, member in members.items():
                left -= _inflate(archive, member, folder / f"shape{suffix}", left)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error) as error:
        raise Unreadable(f"the zip is damaged or locked: {error}") from None
    _check_whole(folder)
    dbf = (folder / "shape.dbf").read_bytes()
    cpg = folder / "shape.cpg"
    said = encoding or (cpg.read_text("latin-1").strip()[:40] if cpg.exists() else "")
    found = _encoding(dbf, said)
    cpg.unlink(missing_ok=True)
    (folder / "shape.dbf").write_bytes(_trimmed(dbf, found))
    return Source(folder / "shape.shp", "Shapefile", encoding=found, says_crs=".prj" in members)


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The parts of the one Shapefile in the zip, by suffix."""
    found: dict[str, dict[str, zipfile.ZipInfo]] = {}
    for info in archive.infolist():
        name = PurePosixPath(info.filename)
        if not info.is_dir() and "__MACOSX" not in name.parts and name.suffix.lower() in _PARTS:
            found.setdefault(str(name.with_suffix("")), {})[name.suffix.lower()] = info
    shapes = [parts for parts in found.values() if ".shp" in parts]
    if len(shapes) != 1:
        raise Unreadable(f"the zip has {len(shapes)} Shapefiles (.shp), one is expected")
    if missing := [suffix for suffix in (".shx", ".dbf") if suffix not in shapes[0]]:
        raise Unreadable(f"the Shapefile lacks its {' and '.join(missing)}")
    return shapes[0]


def _inflate(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, most: int) -> int:
    """Counts what really comes out: a zip may say anything about itself."""
    size = 0
    with archive.open(member) as packed, path.open("wb") as out:
        while chunk := packed.read(_CHUNK):
            size += len(chunk)
            if size > most:
                raise Unreadable(f"the zip holds more than {MOST_BYTES >> 20} MiB")
            out.write(chunk)
    return size


def _check_whole(folder: Path) -> None:
    """GDAL reads half a Shapefile without a word."""
    for suffix in (".shp", ".shx"):
        path = folder / f"shape{suffix}"
        with path.open("rb") as opened:
            head = opened.read(28)
        said = 2 * struct.unpack(">i", head[24:28])[0] if len(head) == 28 else -1
        if said != path.stat().st_size:
            raise Unreadable(f"its {suffix} is half written: {path.stat().st_size} bytes where it says {said}")
    raw = (folder / "shape.dbf").read_bytes()
    if len(raw) < 32:
        raise Unreadable("its .dbf is half written")
    rows, first, length = struct.unpack("<IHH", raw[4:12])
    if len(raw) < first + rows * length:
        raise Unreadable(f"its .dbf is half written: {len(raw)} bytes where it says {first + rows * length}")


def _encoding(dbf: bytes, said: str) -> str:
    """The encoding said, where the texts can be read in it; else UTF-8 or GB 18030, whichever they can be read in.
    A .cpg file is often left over from another export."""
    texts = _texts(dbf)
    named = _codec(said)
    if named and not _failures(texts, named):
        return named
    if not named and dbf[29] == 0x4D:  # the language driver of GBK
        return "gb18030"
    most = _GUESSED * max(sum(byte > 127 for byte in texts), 1)
    return next((each for each in _ENCODINGS if _failures(texts, each) <= most), named or "latin-1")


def _codec(said: str) -> str:
    name = re.sub(r"^(ansi|oem|cp|windows-?)?\s*(936|65001)$", r"\2", said.strip().lower())
    name = {"936": "gb18030", "gbk": "gb18030", "gb2312": "gb18030", "65001": "utf-8"}.get(name, name)
    try:
        return codecs.lookup(name).name
    except LookupError:
        return ""


def _fields(dbf: bytes) -> Iterator[tuple[int, int, int]]:
    """Of each field of texts: where its name stands, where its text begins in a row, and how many bytes it has."""
    (first,) = struct.unpack("<H", dbf[8:10])
    inside = 1
    for at in range(32, first - 31, 32):
        if dbf[at] == _DBF_END:
            return
        yield at, inside, dbf[at + 16] if dbf[at + 11 : at + 12] == b"C" else 0
        inside += dbf[at + 16]


def _texts(dbf: bytes) -> bytes:
    """Field names and rows, with a line's end between them so that no letter reaches from one into the next."""
    rows, first, length = struct.unpack("<IHH", dbf[4:12])
    body = np.frombuffer(dbf[first : first + rows * length], np.uint8).reshape(rows, length)
    ends = np.full((rows, 1), ord("\n"), np.uint8)
    texts = []
    for at, inside, width in _fields(dbf):
        texts.append(dbf[at : at + 11].split(b"\0")[0])
        texts.append(np.hstack([body[:, inside : inside + width], ends]).tobytes())
    return b"\n".join(texts)


def _trimmed(dbf: bytes, encoding: str) -> bytes:
    """Without the halves of letters that names and texts end with where they did not fit: nobody could decode them."""
    if not _failures(_texts(dbf), encoding):
        return dbf
    rows, first, length = struct.unpack("<IHH", dbf[4:12])
    out = bytearray(dbf)
    for at, inside, width in _fields(dbf):
        name = dbf[at : at + 11].split(b"\0")[0].decode(encoding, "ignore").encode(encoding)
        out[at : at + 11] = name.ljust(11, b"\0")
        for begin in range(first + inside, first + rows * length if width else 0, length):
            text = dbf[begin : begin + width].decode(encoding, "ignore").encode(encoding)
            out[begin : begin + width] = text.ljust(width)
    return bytes(out)


def _failures(texts: bytes, encoding: str) -> int:
    try:
        return texts.decode(encoding, "replace").count("\ufffd")
    except (LookupError, UnicodeError):
        return len(texts)
