"""GB/T 26875.3-2011 报警传输网络通信协议: what transmitters of fire alarms 用户信息传输装置 exchange with their centre.

A frame (6.6) is `40 40`, serial number (2), version (2), time (6), addresses of source and destination (6 each), length
of the data (2, at most 1024), command (1), data, the sum of all bytes from the serial number on (1), `23 23`; numbers
have their low byte first. Data are a type (1), how many objects (1), and these. Offsets count from the `40 40`.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Any

from citybrain.codec import Codec, Refused, moment
from domains.fire.gb26875_names import NAMES
from domains.fire.gb26875_objects import Object, Unit, named, read, time

HEAD, END = b"@@", b"##"
BEFORE, AFTER, LONGEST = 27, 3, 1024  # bytes before the data, after them, and of them
MAIN_VERSION = 1
CONTROL, SEND, CONFIRM, REQUEST, ANSWER, DENY = range(1, 7)
OWN = 128  # commands and types from here on are the user's own
UP_TYPES = range(1, 61)


@dataclass(frozen=True, slots=True)
class Packet:
    """`time`, `data` as they stand. `unit`: the data, read; None where there are none."""

    serial: int
    version: tuple[int, int]
    time: bytes
    source: int
    destination: int
    command: int
    data: bytes = b""
    unit: Unit | None = field(default=None, compare=False)

    @property
    def up(self) -> bool | None:
        """From the transmitter to the centre; None where neither command nor data say so."""
        if self.unit and self.unit.type < OWN:
            return self.unit.type in UP_TYPES
        return {SEND: True, ANSWER: True, CONTROL: False, REQUEST: False}.get(self.command)


def measure(start: bytes) -> int | None:
    if len(start) < BEFORE:
        return None
    length, command = int.from_bytes(start[24:26], "little"), start[26]
    if length > LONGEST:
        raise Refused(f"{length} bytes of data, at most {LONGEST} expected", 24)
    if command not in NAMES.commands and command < OWN:
        raise Refused(f"a command from {CONTROL} to {DENY}, or from {OWN} on, expected, found {command}", 26)
    return BEFORE + length + AFTER


def decode(frame: bytes) -> Packet:
    if not frame.startswith(HEAD):
        raise Refused(f"40 40 expected, found {frame[:2].hex(' ').upper() or 'nothing'}", 0)
    length = measure(frame)
    if length != len(frame):
        expected = f"{length} bytes as its length says" if length else f"at least {BEFORE + AFTER}"
        raise Refused(f"the frame has {len(frame)} bytes, {expected} expected", min(len(frame), length or len(frame)))
    if not frame.endswith(END):
        found = frame[-2:].hex(" ").upper()
        raise Refused(f"end mark 23 23 expected, found {found}; is the length right?", length - len(END))
    if frame[-3] != (computed := sum(frame[2:-3]) & 0xFF):
        raise Refused(f"sum {computed:02X} expected, found {frame[-3]:02X}", length - AFTER)
    data = frame[BEFORE:-AFTER]
    return Packet(
        serial=int.from_bytes(frame[2:4], "little"),
        version=(frame[4], frame[5]),
        time=frame[6:12],
        source=int.from_bytes(frame[12:18], "little"),
        destination=int.from_bytes(frame[18:24], "little"),
        command=frame[26],
        data=data,
        unit=read(data, BEFORE) if data else None,
    )


def encode(packet: Packet) -> bytes:
    """A whole frame. ValueError where it does not fit."""
    if len(packet.data) > LONGEST or len(packet.time) != 6:
        raise ValueError(f"{LONGEST} bytes of data at most, 6 of the time")
    control = packet.serial.to_bytes(2, "little") + bytes(packet.version) + packet.time
    control += packet.source.to_bytes(6, "little") + packet.destination.to_bytes(6, "little")
    control += len(packet.data).to_bytes(2, "little") + bytes([packet.command]) + packet.data
    return HEAD + control + bytes([sum(control) & 0xFF]) + END


def confirmation(packet: Packet, now: datetime) -> Packet | None:
    """What the sender waits for (6.3), or None; `now` in the zone of the transmitters."""
    if packet.command not in (CONTROL, SEND):
        return None
    label = bytes([now.second, now.minute, now.hour, now.day, now.month, now.year % 100])
    back = replace(packet, source=packet.destination, destination=packet.source)
    return replace(back, time=label, command=CONFIRM, data=b"", unit=None)


def describe(packet: Packet, zone: tzinfo) -> dict[str, Any]:
    unit, sent = packet.unit, time(packet.time)
    objects = unit.objects if unit else ()
    device = {True: packet.source, False: packet.destination, None: None}[packet.up]
    return {
        "protocol": "gb26875",
        "direction": {True: "up", False: "down", None: None}[packet.up],
        "device_id": None if device is None else _address(device),
        "observed_at": next((moment(each.observed, zone) for each in objects if each.observed), None),
        "sent_at": moment(sent, zone),
        "serial": packet.serial,
        "version": "{}.{}".format(*packet.version),
        "source": _address(packet.source),
        "destination": _address(packet.destination),
        **named("command", packet.command, NAMES.commands),
        **(named("type", unit.type, NAMES.types) if unit else {"type": None}),
        "elements": [_element(each, zone) for each in objects],
        **({"content": unit.rest.hex().upper()} if unit and unit.rest else {}),
        "warnings": _warnings(packet, sent),
    }


def _address(number: int) -> str:
    """12 hexadecimal digits, the high byte first, as people write it."""
    return f"{number:012X}"


def _element(found: Object, zone: tzinfo) -> dict[str, Any]:
    return found.fields | ({"observed_at": moment(found.observed, zone)} if found.timed else {})


def _warnings(packet: Packet, sent: datetime | None) -> list[str]:
    unit, found = packet.unit, []
    if packet.version[0] != MAIN_VERSION:
        found.append(f"main version {MAIN_VERSION} expected, found {packet.version[0]}")
    if sent is None:
        found.append(f"no time of sending: {packet.time.hex(' ')}")
    if unit and any(each.timed and each.observed is None for each in unit.objects):
        found.append("no time of an object")
    if unit and unit.type not in NAMES.types and unit.type < OWN:
        found.append(f"type {unit.type} is reserved")
    return found


CODEC = Codec((HEAD,), BEFORE + LONGEST + AFTER, measure, decode, describe, "hexadecimal")
