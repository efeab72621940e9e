"""SL 651-2014 水文监测数据通信规约: what stations for levels, rain and flow exchange with their centre, in both of its
encodings.

In bytes (6.5) a frame is `7E 7E`, addresses of the centre (1) and the station (5), the receiver's first, password (2),
function (1), 4 bits of direction with 12 bits of the body's length, start mark, body, end mark, and a CRC-16/MODBUS of
all that, high byte first. In characters (6.4) it is SOH, then the same as hexadecimal digits. The start mark SYN says
that the body is a part, and begins with how many there are and which this is. Offsets count from the head mark. The
password is read and never shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Any

from citybrain.codec import CRC_TABLE, Codec, Refused, bits, moment
from domains.water import sl651_ascii, sl651_content
from domains.water.sl651_content import STATE, Content, Element
from domains.water.sl651_names import NAMES, Kind

BYTES, CHARACTERS = b"\x7e\x7e", b"\x01"
STX, SYN, ETX, EOT, ENQ, ACK, NAK, ETB, ESC = 0x02, 0x16, 0x03, 0x04, 0x05, 0x06, 0x15, 0x17, 0x1B
MARKS = {ETX: "ETX", EOT: "EOT", ENQ: "ENQ", ACK: "ACK", NAK: "NAK", ETB: "ETB", ESC: "ESC"}
ENDS = {False: {ETX, ETB}, True: {ETX, EOT, ENQ, ACK, NAK, ESC}}  # of frames up, and down (table 10)
DOWN, LONGEST = 0x8, 0xFFF
HEX = b"0123456789ABCDEFabcdef"
KEPT_UP = 0x2F  # the link's report, which nobody answers


@dataclass(frozen=True, slots=True)
class Message:
    """`part`: how many parts there are, and which one this is. `content` is of whole messages, and of a first part as
    far as that can be read alone: `join` parts."""

    encoding: str  # "hexadecimal" or "ascii"
    down: bool
    center: int
    station: str  # 10 digits
    password: int = field(repr=False)
    function: int
    body: bytes
    end: int = ETX
    part: tuple[int, int] | None = None
    content: Content | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Of one encoding: how long each thing is, in bytes of the frame."""

    head: bytes
    digits: int  # bytes of the frame for a byte

    @property
    def before(self) -> int:
        return len(self.head) + 11 * self.digits + 1  # of the body, start mark included

    @property
    def around(self) -> int:
        return self.before + 1 + 2 * self.digits

    def number(self, raw: bytes, at: int) -> int:
        if self.digits == 1:
            return int.from_bytes(raw)
        if raw.strip(HEX):
            raise Refused(f"hexadecimal digits expected, found {raw.decode('ascii', 'backslashreplace')!r}", at)
        return int(raw, 16)

    def written(self, value: int, size: int) -> bytes:
        """In `size` digits."""
        text = b"%0*X" % (size, value)
        return text if self.digits == 2 else bytes.fromhex(text.decode())


LAYOUTS = {"hexadecimal": _Layout(BYTES, 1), "ascii": _Layout(CHARACTERS, 2)}


def crc(data: bytes) -> int:
    """CRC-16/MODBUS (6.3)."""
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ CRC_TABLE[(value ^ byte) & 0xFF]
    return value


def measure(start: bytes) -> int | None:
    encoding = "ascii" if start[:1] == CHARACTERS else "hexadecimal"
    layout = LAYOUTS[encoding]
    if encoding == "ascii" and start[1:3].strip(HEX):
        return 0  # the byte 01 stands in every other stream too
    if len(start) < layout.before:
        return None
    _, length = _direction(layout, start)
    return layout.around + length


def _direction(layout: _Layout, start: bytes) -> tuple[int, int]:
    at = layout.before - 1 - 2 * layout.digits
    value = layout.number(start[at : layout.before - 1], at)
    if value >> 12 not in (0, DOWN):
        raise Refused(f"0 (up) or 8 (down) expected before the length, found {value >> 12:X}", at)
    mark = start[layout.before - 1]
    if mark not in (STX, SYN):
        raise Refused(f"start mark 02 (STX) or 16 (SYN) expected, found {mark:02X}", layout.before - 1)
    return value >> 12, value & LONGEST


def decode(frame: bytes) -> Message:
    encoding = next((name for name, layout in LAYOUTS.items() if frame.startswith(layout.head)), "")
    if not encoding:
        raise Refused(f"7E 7E or 01 expected, found {frame[:2].hex(' ').upper() or 'nothing'}", 0)
    layout, length = LAYOUTS[encoding], measure(frame)
    if not length or length != len(frame):
        expected = f"{length} bytes as its length says" if length else f"at least {layout.around}"
        raise Refused(f"the frame has {len(frame)} bytes, {expected} expected", min(len(frame), length or len(frame)))
    after = length - 2 * layout.digits  # of the end mark
    down = _direction(layout, frame)[0] == DOWN
    end = frame[after - 1]
    if end not in ENDS[down]:
        names = " or ".join(f"{mark:02X} ({MARKS[mark]})" for mark in sorted(ENDS[down]))
        raise Refused(f"end mark {names} expected, found {end:02X}; is the length right?", after - 1)
    sent = layout.number(frame[after:], after)
    if sent != (computed := crc(frame[:after])):
        raise Refused(f"CRC {computed:04X} expected, found {sent:04X}", after)
    return _message(encoding, frame, down, end)


def _message(encoding: str, frame: bytes, down: bool, end: int) -> Message:
    layout = LAYOUTS[encoding]
    size, at = layout.digits, len(layout.head)
    addresses, rest = frame[at : at + 6 * size], at + 6 * size
    first, second = (addresses[: 5 * size], addresses[5 * size :]) if down else (addresses[size:], addresses[:size])
    station = first.hex() if size == 1 else first.decode("ascii", "backslashreplace")
    center = layout.number(second, at + (5 * size if down else 0))
    password = layout.number(frame[rest : rest + 2 * size], rest)
    function = layout.number(frame[rest + 2 * size : rest + 3 * size], rest + 2 * size)
    body, base, part = frame[layout.before : -1 - 2 * size], layout.before, None
    if frame[layout.before - 1] == SYN:
        if len(body) < 3 * size:
            raise Refused(f"{3 * size} bytes of parts expected after SYN, found {len(body)}", base)
        counted = layout.number(body[: 3 * size], base)
        part, body, base = (counted >> 12, counted & 0xFFF), body[3 * size :], base + 3 * size
        if not 1 <= part[1] <= part[0]:
            raise Refused(f"a part from 1 to {part[0]} expected, found {part[1]}", layout.before)
    found = Message(encoding, down, center, station.upper(), password, function, body, end, part)
    if part and part[0] > 1:
        return replace(found, content=_beginning(found, base))
    return replace(found, content=_content(found, base))


def _beginning(message: Message, base: int) -> Content | None:
    """Of the first part: station and time stand there; None where an element goes on in the next."""
    try:
        return _content(message, base) if message.part and message.part[1] == 1 else None
    except Refused:
        return None


def _content(message: Message, base: int) -> Content:
    if message.encoding == "ascii":
        return sl651_ascii.read(message.body, base)
    return sl651_content.read(message.function, message.down, message.body, base)


def join(parts: Sequence[Message]) -> Message:
    """The message of all its parts, in any order. Raises `Refused` where one is missing."""
    ordered = sorted(parts, key=lambda each: each.part or (0, 0))
    total = ordered[0].part[0] if ordered and ordered[0].part else 0
    if [each.part for each in ordered] != [(total, number) for number in range(1, total + 1)] or not total:
        raise Refused(f"{total} parts expected, found {[each.part[1] for each in ordered if each.part]}", 0)
    whole = replace(ordered[0], body=b"".join(each.body for each in ordered), end=ordered[-1].end, part=None)
    return replace(whole, content=_content(whole, LAYOUTS[whole.encoding].before))


def encode(message: Message) -> bytes:
    """A whole frame. ValueError where it does not fit."""
    layout = LAYOUTS[message.encoding]
    part = layout.written(message.part[0] << 12 | message.part[1], 6) if message.part else b""
    length = len(part) + len(message.body)
    if length > LONGEST or len(message.station) != 10 or not 0 <= message.center <= 0xFF:
        raise ValueError(f"{LONGEST} bytes at most, 10 digits of the station, one byte of the centre")
    station, center = layout.written(int(message.station, 16), 10), layout.written(message.center, 2)
    addresses = station + center if message.down else center + station
    frame = layout.head + addresses + layout.written(message.password, 4) + layout.written(message.function, 2)
    frame += layout.written((DOWN << 12 if message.down else 0) | length, 4)
    frame += bytes([SYN if part else STX]) + part + message.body + bytes([message.end])
    return frame + layout.written(crc(frame), 4)


def confirmation(message: Message, now: datetime) -> Message | None:
    """What the station waits for (6.6.4), or None; `now` in the station's zone. Of parts only the last is answered."""
    last = message.part is None or message.part[0] == message.part[1]
    if message.down or message.function == KEPT_UP or not last:
        return None
    text = (message.body[:4] if message.encoding == "ascii" else message.body[:2].hex().encode()) + (
        now.strftime("%y%m%d%H%M%S").encode()
    )
    body = text if message.encoding == "ascii" else bytes.fromhex(text.decode())
    end = ACK if message.end == ETB and message.part is None else EOT
    return replace(message, down=True, body=body, end=end, content=None)


def describe(message: Message, zone: tzinfo) -> dict[str, Any]:
    function, content = f"{message.function:02X}", message.content
    named = NAMES.functions.get(function)
    found: dict[str, Any] = {
        "protocol": "sl651",
        "encoding": message.encoding,
        "direction": "down" if message.down else "up",
        "device_id": content.station if content and content.station else message.station,
        "observed_at": moment(content.times[0], zone) if content and content.times else None,
        "sent_at": moment(content.sent, zone) if content else None,
        "center": message.center,
        "station": message.station,
        "function": function + "H",
        "function_name": named.name if named else None,
        "function_name_zh": named.name_zh if named else None,
        "packet": {"number": message.part[1], "total": message.part[0]} if message.part else None,
        "end": MARKS[message.end],
        "serial": content.serial if content else None,
        "elements": [_element(each, zone) for each in content.elements] if content else [],
        "warnings": list(_warnings(content)) if content else [],
    }
    return found | (_further(content, zone) if content else {"content": message.body.hex().upper()})


def _further(content: Content, zone: tzinfo) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if content.station_class:
        named = NAMES.classes[content.station_class]
        found |= {"station_class": content.station_class, "station_class_name": named.name}
        found |= {"station_class_name_zh": named.name_zh}
    if content.requested:
        found["requested"] = [_kind(each) for each in content.requested]
    if content.period:
        found["period"] = [moment(each, zone) for each in content.period]
    if content.step:
        found["step_minutes"] = int(content.step.total_seconds() // 60)
    return found | ({"content": content.rest.hex().upper()} if content.rest else {})


def _kind(kind: Kind) -> dict[str, Any]:
    return {"code": kind.code, "symbol": kind.symbol, "name": kind.name, "name_zh": kind.name_zh}


def _element(element: Element, zone: tzinfo) -> dict[str, Any]:
    found = _kind(element.kind) | {
        "value": element.value,
        "unit": element.kind.unit,
        "flag": element.flag,
        "observed_at": moment(element.observed, zone),
        "raw": element.raw,
    }
    if element.kind.code == STATE and isinstance(element.value, int):
        found["states"] = bits(element.value, NAMES.state.bits)
    return found


def _warnings(content: Content) -> list[str]:
    times = [("sending", content.sent), *(("observation", time) for time in content.times)]
    return [f"no time of {name} in BCD" for name, time in times if time is None] + content.warnings


CODEC = Codec((BYTES, CHARACTERS), LAYOUTS["ascii"].around + LONGEST, measure, decode, describe, "hexadecimal")
