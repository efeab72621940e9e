"""What stands in a frame of SL 651-2014 between its start and end marks (6.6): serial number, time, and the elements
that a station reports or a centre asks for. `sl651` cuts the frame before and describes the content after; this reads
the encoding in bytes, `sl651_ascii` the one in characters."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from citybrain.codec import Refused, clock
from domains.water.sl651_names import KINDS, PARAMETERS, Kind

OBSERVED, STATION = b"\xf0\xf0", b"\xf1\xf1"
STEP, BY_HAND, PICTURE, RAIN, BATCH, OWN = 0x04, 0xF2, 0xF3, 0xF4, 0xFD, 0xFF
LEVELS = range(0xF5, 0xFD)
OF_AN_HOUR = 12  # values of five minutes
STATE, PASSWORD = "45", "03"
EVEN, PERIOD, ASKED = 0x31, 0x38, 0x3A
REPORTS = {*range(0x30, 0x3B), 0x44, 0x46}  # functions in which a station sends elements
ASKING = {PERIOD: KINDS, ASKED: KINDS, 0x41: PARAMETERS, 0x43: PARAMETERS}  # in which a centre sends identifiers alone
TABLES = {*range(0x40, 0x44), 0x49}  # in which either sends parameters
CLASSES = frozenset(b"PHKZDTMGQIO")
Value = int | float | str | list[float | None] | None


@dataclass(frozen=True, slots=True)
class Element:
    """`flag`: `missing` where the station had no value (FF…, M), `invalid` where what it sent is none of its kind."""

    kind: Kind
    value: Value
    flag: str | None
    observed: datetime | None
    raw: str = ""  # as sent


@dataclass(slots=True)
class Content:
    """`rest`: what is not read any further, such as the data of a picture."""

    serial: int
    sent: datetime | None
    station: str | None = None
    station_class: str | None = None
    times: list[datetime | None] = field(default_factory=list)  # of observation, in order
    elements: list[Element] = field(default_factory=list)
    requested: list[Kind] = field(default_factory=list)
    period: tuple[datetime | None, datetime | None] | None = None
    step: timedelta | None = None
    rest: bytes = b""
    warnings: list[str] = field(default_factory=list)

    @property
    def observed(self) -> datetime | None:
        return self.times[-1] if self.times else None

    def add(self, kind: Kind, value: Value, flag: str | None, raw: str) -> None:
        self.elements.append(Element(kind, value, flag, self.observed, raw))

    def spread(self, kinds: list[Kind], values: Iterator[tuple[Value, str | None, str]]) -> None:
        """An evenly spaced report: values of each moment in turn, `step` apart (table 30)."""
        for number, (value, flag, raw) in enumerate(values):
            moment, which = divmod(number, len(kinds))
            time = self.observed + moment * self.step if self.observed and self.step else self.observed
            self.elements.append(Element(kinds[which], value, flag, time, raw))


class _Bytes:
    """Read from the front; `base` is where they begin in the frame."""

    def __init__(self, data: bytes, base: int) -> None:
        self.data, self.base, self.at = data, base, 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def peek(self, size: int) -> bytes:
        return self.data[self.at : self.at + size]

    def take(self, size: int, what: str) -> bytes:
        if size > self.left:
            raise Refused(f"{what}: {size} bytes expected, {self.left} are left", self.base + self.at)
        self.at += size
        return self.data[self.at - size : self.at]


def read(function: int, down: bool, body: bytes, base: int) -> Content:
    """Raises `Refused` where less is left than an element says that it has."""
    data = _Bytes(body, base)
    content = Content(int.from_bytes(data.take(2, "serial number")), bcd_time(data.take(6, "time of sending").hex()))
    if data.peek(2) == STATION:
        _station(data, content)
    if down and function == PERIOD:
        start, end = data.take(4, "start of the period").hex(), data.take(4, "end of the period").hex()
        content.period = bcd_time(start + "00"), bcd_time(end + "00")
    while data.left and data.peek(data.left).strip(b"\0"):  # some stations pad with zeros
        if down and function in ASKING:
            _asked(data, content, ASKING[function])
        elif function in TABLES:
            kind, raw, _ = _item(data, PARAMETERS)
            sent = "" if kind.code == PASSWORD else raw.hex().upper()
            content.add(kind, sent or None, None, sent)
        elif not down and function in REPORTS:
            _reported(data, content, function)
        else:
            content.rest = data.take(data.left, "the rest")
    if data.left:
        content.warnings.append(f"{data.left} bytes 00 after the last element")
    return content


def _station(data: _Bytes, content: Content) -> None:
    content.station = data.take(7, "station address")[2:].hex().upper()
    following = data.peek(3)
    if following[:1] and following[0] in CLASSES and following[1:] in (OBSERVED, b""):
        content.station_class = chr(data.take(1, "class")[0])


def _asked(data: _Bytes, content: Content, kinds: Mapping[str, Kind]) -> None:
    if data.peek(1) == bytes([STEP]) and kinds is KINDS:
        _step(data, content)
        return
    code, _ = _identifier(data)
    content.requested.append(kinds.get(code, Kind(code)))


def _reported(data: _Bytes, content: Content, function: int) -> None:
    lead = data.peek(1)[0]
    if data.peek(2) == OBSERVED:
        content.times.append(bcd_time(data.take(7, "time of observation")[2:].hex()))
    elif data.peek(2) == STATION:
        _station(data, content)
    elif lead == STEP:
        _step(data, content)
    elif lead in (BY_HAND, PICTURE, BATCH):
        data.take(2, "identifier")
        content.rest = data.take(data.left, "the rest")
        text = content.rest.decode("gb18030", errors="replace") if lead == BY_HAND else None
        content.add(KINDS[f"{lead:02X}"], text, None, "")
    elif lead == RAIN or lead in LEVELS:
        code, _ = _identifier(data)  # its definition has no room for 24 bytes: stations write what they like there
        raw = data.take(OF_AN_HOUR * (1 if lead == RAIN else 2), f"element {code}H")
        content.add(KINDS[code], series(raw, len(raw) // OF_AN_HOUR), None, raw.hex().upper())
    elif function == EVEN and content.step:
        _even(data, content)
    else:
        kind, raw, decimals = _item(data, KINDS)
        content.add(kind, *_value(kind, raw, decimals))


def _even(data: _Bytes, content: Content) -> None:
    """The identifier once, then its values to the end (table 30)."""
    code, definition = _identifier(data)
    size, kind = definition >> 3, KINDS.get(code, Kind(code))
    if not size or data.left % size:
        message = f"element {code}H: values of {size} bytes expected, {data.left} are left"
        raise Refused(message, data.base + data.at)
    raws = [data.take(size, code) for _ in range(data.left // size)]
    content.spread([kind], (_value(kind, raw, definition & 7) for raw in raws))


def _step(data: _Bytes, content: Content) -> None:
    """Days, hours, minutes; all zero: the series of an hour, whose spacing is fixed (table C.2)."""
    digits = data.take(5, "time step")[2:].hex()
    if not digits.isdigit():
        content.warnings.append(f"time step in BCD expected, found {digits.upper()}")
        return
    days, hours, minutes = (int(digits[at : at + 2]) for at in (0, 2, 4))
    content.step = timedelta(days=days, hours=hours, minutes=minutes) or None


def _identifier(data: _Bytes) -> tuple[str, int]:
    """The code of an element and the byte that defines its data: 5 bits of bytes, 3 bits of decimals (6.6.3)."""
    code = data.take(1, "identifier")
    if code[0] == OWN:
        code += data.take(1, "identifier of the user's own")
    return code.hex().upper(), data.take(1, f"definition of element {code.hex().upper()}H")[0]


def _item(data: _Bytes, kinds: Mapping[str, Kind]) -> tuple[Kind, bytes, int]:
    code, definition = _identifier(data)
    return kinds.get(code, Kind(code)), data.take(definition >> 3, f"element {code}H"), definition & 7


def _value(kind: Kind, raw: bytes, decimals: int) -> tuple[Value, str | None, str]:
    sent = raw.hex().upper()
    if kind.code == STATE:
        return int.from_bytes(raw), None, sent
    if not raw.strip(b"\xff"):
        return None, "missing", sent
    negative = raw[0] == OWN
    digits = sent[2:] if negative else sent
    if not digits.isdigit():
        return None, "invalid", sent
    value = int(digits) / 10**decimals
    return -value if negative else value, None, sent


def series(raw: bytes, size: int) -> list[float | None]:
    """Twelve values: rain in tenths of a millimetre, one byte each; levels in centimetres, two; all ones are none."""
    parts = [raw[at : at + size] for at in range(0, len(raw), size)]
    return [None if part == b"\xff" * size else int.from_bytes(part) / (10 if size == 1 else 100) for part in parts]


def bcd_time(digits: str) -> datetime | None:
    """YYMMDDhhmm, or with seconds."""
    if len(digits) not in (10, 12) or not (digits.isascii() and digits.isdigit()):
        return None
    year, *rest = (int(digits[at : at + 2]) for at in range(0, len(digits), 2))
    return clock(2000 + year, *rest)
