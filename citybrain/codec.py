"""What a codec of a device protocol is, and how a stream of bytes is cut into its frames. The codecs themselves live in
their domain's folder and are found by `citybrain.domain`; what comes after is `citybrain decode`, and gateways."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Literal

BLANK = b" \t\r\n\0"  # between frames this is no garbage: ends of lines, and what devices pad with
BEGINNING = 64  # bytes of a frame that say how long it is


def _crc_table() -> tuple[int, ...]:
    found = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
        found.append(value)
    return tuple(found)


CRC_TABLE = _crc_table()  # of the reflected polynomial A001, by byte: protocols differ in how they meet it


class Refused(ValueError):
    """No frame by its standard. `offset`: the byte where that is seen, counted from the frame's first byte (its head
    mark; of a text in hexadecimal the bytes, not the digits). `line`: of a document, where it has lines."""

    line: int | None = None

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Codec:
    """One protocol. `heads`: what a frame may begin with. `measure`: of the beginning of a frame its length in bytes;
    None where too little of it is there, 0 where it only looked like a beginning; raises `Refused` where it is wrong.
    `decode` takes a whole frame and raises nothing but `Refused`. `describe`: a frame as JSON, its times in the zone
    given. `written`: how a text file holds it, a frame a line (as it is, or in hexadecimal) or as one document."""

    heads: tuple[bytes, ...]
    longest: int
    measure: Callable[[bytes], int | None]
    decode: Callable[[bytes], Any]
    describe: Callable[[Any, tzinfo], dict[str, Any]]
    written: Literal["line", "hexadecimal", "document"]
    ending: bytes = b""  # what a line stands for at its end; what a document ends with


@dataclass(frozen=True, slots=True)
class Found:
    """A frame, or why there is none; `skipped` bytes of garbage stood before it, and `at` is where it begins in the
    stream. Garbage at the end has neither."""

    at: int
    skipped: int
    frame: Any = None
    refused: Refused | None = None


class Frames:
    """Feed it bytes as they come; it gives the frames in them, in order. After what is no frame it goes on at the next
    head, and holds no more than one frame's bytes."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._held = bytearray()
        self._at = 0
        self._skipped = 0
        self._broken = False  # what follows is the rest of a refused frame, and no garbage

    def feed(self, data: bytes) -> Iterator[Found]:
        for start in range(0, len(data), self._codec.longest):
            self._held += data[start : start + self._codec.longest]
            yield from self._cut(False)

    def end(self) -> Iterator[Found]:
        """What was held back: a frame that was cut off is refused."""
        yield from self._cut(True)
        if self._skipped:
            yield Found(self._at, self._skipped)
            self._skipped = 0

    def _cut(self, ended: bool) -> Iterator[Found]:
        while self._seek(ended):
            try:
                length = self._codec.measure(bytes(self._held[:BEGINNING]))
                if length is None or length > len(self._held):
                    if not ended:
                        return
                    told = f"{length} bytes" if length else "more"
                    raise Refused(f"the frame ends after {len(self._held)} bytes, {told} expected", len(self._held))
                if length == 0:
                    self._drop(1)
                    continue
                found = Found(self._at, self._skipped, frame=self._codec.decode(bytes(self._held[:length])))
            except Refused as refused:
                length = 1  # whatever it says of itself, another frame may begin inside it
                found = Found(self._at, self._skipped, refused=refused)
            self._broken = found.refused is not None
            self._skipped = 0
            self._drop(length, counted=False)
            yield found

    def _seek(self, ended: bool) -> bool:
        """Drops what stands before the next head."""
        places = [self._held.find(head) for head in self._codec.heads]
        there = [place for place in places if place >= 0]
        if there:
            self._drop(min(there))
            return True
        kept = 0 if ended else max((self._begun(head) for head in self._codec.heads), default=0)
        self._drop(len(self._held) - kept)
        return False

    def _begun(self, head: bytes) -> int:
        """So many of the last bytes may be the beginning of a head."""
        return next((size for size in range(len(head) - 1, 0, -1) if self._held.endswith(head[:size])), 0)

    def _drop(self, size: int, counted: bool = True) -> None:
        if counted and not self._broken:
            self._skipped += len(self._held[:size].strip(BLANK))
        self._at += size
        del self._held[:size]


def moment(naive: datetime | None, zone: tzinfo) -> str | None:
    """A device's time, which names no zone: RFC 3339 with the offset of the city's."""
    if naive is None:
        return None
    return naive.replace(tzinfo=zone).isoformat(timespec="milliseconds" if naive.microsecond else "seconds")


def clock(year: int, month: int, day: int, hour: int, minute: int, second: int = 0) -> datetime | None:
    """None where there is no such day or hour."""
    try:
        return datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None


def bits(value: int, names: Sequence[str]) -> list[str]:
    """The names of the bits that are set, lowest first; names begin with that of bit 0."""
    return [name for number, name in enumerate(names) if value >> number & 1]
