"""Frames of device protocols as JSON, one object a line: reads a file as its codec says that it is written, tells what
was refused, and holds no more of the file than one frame or line."""

from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from citybrain.cityfile import CityFile, check_file, read_toml
from citybrain.codec import Codec, Found, Frames, Refused
from geo.mistake import Mistakes

CHUNK = 65_536
HEX = frozenset(b"0123456789abcdefABCDEF")


@dataclass
class Tally:
    """Of one file; `garbage` in bytes."""

    frames: int = 0
    refused: int = 0
    garbage: int = 0
    first: str = ""  # where the first one was refused

    def __str__(self) -> str:
        said = f"{self.frames:,} frame{'s' if self.frames != 1 else ''}"
        if self.refused:
            said += f", {self.refused:,} refused, the first {self.first}"
        return said + (f"; {self.garbage:,} bytes of garbage skipped" if self.garbage else "")


def decode(codec: Codec, stream: BufferedReader, zone: tzinfo, write: Callable[[dict[str, Any]], None]) -> Tally:
    """Writes an object for each frame: `error`, `offset` and the `line` or byte `at` of the file where it is refused.
    The offset counts the frame's own bytes from its head mark (bytes, not digits, of hexadecimal)."""
    tally = Tally()
    for where, found in _found(codec, stream):
        tally.garbage += found.skipped
        if found.refused:
            tally.refused += 1
            tally.first = tally.first or f"{'in' if where[0] == 'line' else 'at'} {where[0]} {where[1]}"
            write({"error": found.refused.message, "offset": found.refused.offset, where[0]: where[1]})
        elif found.frame is not None:
            tally.frames += 1
            skipped = {"skipped": found.skipped} if found.skipped else {}
            write(codec.describe(found.frame, zone) | skipped)
    return tally


def zone_of(pack: Path) -> tzinfo:
    """The city's, of the pack's first file alone: decoding needs no boundaries. Raises `Mistakes`."""
    raw, mistakes = read_toml(pack / "city.toml")
    file: CityFile | None = None
    if not mistakes:
        file, mistakes = check_file(raw)
    if file is None:
        raise Mistakes(mistakes)
    return ZoneInfo(file.city.timezone)


Where = tuple[str, int]  # "line" and its number, or "byte" and how many stand before


def _found(codec: Codec, stream: BufferedReader) -> Iterator[tuple[Where, Found]]:
    if codec.written == "document":
        yield from _documents(codec, stream)
        return
    if codec.written == "hexadecimal" and _is_raw(stream.peek(CHUNK)[:CHUNK]):
        yield from _stream(codec, stream)
        return
    for number, line in enumerate(_lines(stream, 4 * codec.longest), start=1):
        for found in _of_line(codec, line):
            yield ("line", number), found


def _is_raw(beginning: bytes) -> bool:
    """A text has no control characters; every binary frame has some."""
    return any(byte < 0x20 and byte not in b"\t\r\n\f\x1a" for byte in beginning)


def _stream(codec: Codec, source: BufferedReader) -> Iterator[tuple[Where, Found]]:
    frames = Frames(codec)
    while data := source.read1(CHUNK):
        yield from ((("byte", found.at), found) for found in frames.feed(data))
    yield from ((("byte", found.at), found) for found in frames.end())


def _lines(source: BufferedReader, limit: int) -> Iterator[bytes | Refused]:
    """Without their ends; of a longer one no more than `limit` bytes are ever held."""
    line = source.readline(limit + 1).removeprefix(BOM_UTF8)
    while line:
        if len(line) > limit and not line.endswith(b"\n"):
            while (rest := source.readline(limit)) and not rest.endswith(b"\n"):
                pass
            yield Refused(f"a line of more than {limit:,} bytes, longer than any frame", limit)
        else:
            yield line.rstrip(b"\r\n\x1a")
        line = source.readline(limit + 1)


def _of_line(codec: Codec, line: bytes | Refused) -> Iterator[Found]:
    """The frames in a line, and one refusal at most: what looks like a head inside a broken frame is none."""
    if not isinstance(line, Refused) and (not line.strip() or _is_remark(codec, line)):
        return
    try:
        if isinstance(line, Refused):
            raise line
        data = line + codec.ending if codec.written == "line" else _bytes(line)
    except Refused as refused:
        yield Found(0, 0, refused=refused)
        return
    frames = Frames(codec)
    told = False
    for found in (*frames.feed(data), *frames.end()):
        if found.refused and told:
            continue
        if found.frame is None and not found.refused and not told:
            heads = " or ".join(_shown(head, codec) for head in codec.heads)
            found = Found(0, found.skipped, refused=Refused(f"no frame in this line, {heads} expected", 0))
        told = True
        yield found


def _is_remark(codec: Codec, line: bytes) -> bool:
    return codec.written == "hexadecimal" and line.startswith(b"#")


def _bytes(line: bytes) -> bytes:
    """Of a line of digits; what stands in columns before it, separated by tabs, is for people."""
    digits = b"".join(line.rpartition(b"\t")[2].split())
    for place, byte in enumerate(digits):
        if byte not in HEX:
            raise Refused(f"hexadecimal digits expected, found {chr(byte)!r}", place // 2)
    if len(digits) % 2:
        raise Refused(f"{len(digits)} hexadecimal digits, an even number expected", len(digits) // 2)
    return bytes.fromhex(digits.decode("ascii"))


def _shown(head: bytes, codec: Codec) -> str:
    return head.decode("ascii") if codec.written == "line" else head.hex(" ").upper()


def _documents(codec: Codec, stream: BufferedReader) -> Iterator[tuple[Where, Found]]:
    """One; or one a line, where the first line is a whole one."""
    first = stream.readline(codec.longest + 1)
    if not first.rstrip().endswith(codec.ending):
        found = _document(codec, first + stream.read(codec.longest + 1 - len(first)))
        yield ("line", (found.refused and found.refused.line) or 1), found
        return
    for number, line in enumerate(chain([first], _lines(stream, codec.longest)), start=1):
        if isinstance(line, Refused) or line.strip():
            yield ("line", number), _document(codec, line)


def _document(codec: Codec, data: bytes | Refused) -> Found:
    try:
        if isinstance(data, Refused):
            raise data
        if len(data) > codec.longest:
            raise Refused(f"more than {codec.longest:,} bytes", codec.longest)
        return Found(0, 0, frame=codec.decode(data))
    except Refused as refused:
        return Found(0, 0, refused=refused)
