"""HJ 212-2017 数据传输标准, and frames of its edition of 2005: what monitors of pollution send over TCP, as text.

A frame (6.3.1) is `##`, the segment's length in 4 digits, the segment of at most 1024 bytes, its CRC in 4 hexadecimal
digits, CR LF. A segment (6.3.2) is fields `key=value;…`, the last of which is `CP=&&data&&`; data are groups separated
by `;` of pairs separated by `,`. Offsets count from the `##`. Passwords are read and never shown.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from citybrain.codec import CRC_TABLE, Codec, Refused, clock, moment
from domains.environment.hj212_names import FACTORS, NAMES, NORMAL

HEAD, END = b"##", b"\r\n"
LONGEST = 1024  # bytes of a segment
BEFORE, CRC = len(HEAD) + 4, 4  # bytes before a segment, and of its CRC
NEEDED = ("ST", "CN", "MN")
ANSWER, SPLIT, EDITION = 1, 2, 2  # of Flag (table 3): an answer is wanted, PNUM and PNO follow; above: the edition
VALUES = ("Rtd", "Avg", "Data", "RS", "RT", "Info", "Cou", "Max", "Min")  # which of an element's is its value
BESIDE = {"EFlag": "device_flag", "SampleTime": "sample_time"}  # texts of an element that are no values
SECRET = {"PW", "NewPW"}  # passwords, which a command may set
NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{0,30})?", re.ASCII)
FORBIDDEN = re.compile(r"[;,=&#\r\n]")

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """`header`: the fields before CP, as they stand. `data`: the groups of CP. `odd`: what stands among them and is no
    pair."""

    header: Pairs
    data: tuple[Pairs, ...]
    odd: tuple[str, ...] = ()

    def field(self, key: str) -> str:
        return next((value for name, value in self.header if name == key), "")

    @property
    def flag(self) -> int:
        value = self.field("Flag")
        return int(value) if value.isascii() and value.isdigit() and len(value) < 4 else 0


def crc(segment: bytes) -> int:
    """Annex A: not CRC-16/MODBUS, each byte meets the high half."""
    value = 0xFFFF
    for byte in segment:
        value = CRC_TABLE[value >> 8 ^ byte]
    return value


def measure(start: bytes) -> int | None:
    if len(start) < BEFORE:
        return None
    digits = start[len(HEAD) : BEFORE]
    if not digits.isdigit():
        raise Refused(f"4 digits of the segment's length expected, found {_shown(digits)}", len(HEAD))
    if int(digits) > LONGEST:
        raise Refused(f"a segment of {int(digits)} bytes, at most {LONGEST} expected", len(HEAD))
    return BEFORE + int(digits) + CRC + len(END)


def decode(frame: bytes) -> Segment:
    if not frame.startswith(HEAD):
        raise Refused(f"{HEAD.decode()} expected, found {_shown(frame[:2])}", 0)
    length = measure(frame)
    if length != len(frame):
        expected = f"{length} bytes as its length says" if length else f"at least {BEFORE}"
        raise Refused(f"the frame has {len(frame)} bytes, {expected} expected", min(len(frame), length or len(frame)))
    end = len(frame) - len(END)
    digits, segment = frame[end - CRC : end], frame[BEFORE : end - CRC]
    if frame[end:] != END:
        found = f"found {_shown(frame[end:])}; is the length right?"
        raise Refused(f"the end mark CR LF expected {len(segment)} + {CRC} bytes after the length, {found}", end)
    try:
        sent = int.from_bytes(bytes.fromhex(digits.decode("ascii")))
    except ValueError:
        message = f"{CRC} hexadecimal digits of the CRC expected, found {_shown(digits)}"
        raise Refused(message, end - CRC) from None
    if sent != (computed := crc(segment)):
        raise Refused(f"CRC {computed:04X} expected, found {sent:04X}", end - CRC)
    return _segment(segment)


def encode(segment: Segment) -> bytes:
    """A whole frame. ValueError where a key or value cannot be written."""
    texts = [each for pairs in (segment.header, *segment.data) for pair in pairs for each in pair]
    if wrong := next((each for each in texts if FORBIDDEN.search(each)), None):
        raise ValueError(f"{wrong!r}: no ; , = & # nor ends of lines")
    header = "".join(f"{key}={value};" for key, value in segment.header)
    data = ";".join(",".join(f"{key}={value}" for key, value in group) for group in segment.data)
    text = f"{header}CP=&&{data}&&".encode()
    if len(text) > LONGEST:
        raise ValueError(f"a segment of {len(text)} bytes, at most {LONGEST}")
    return HEAD + b"%04d" % len(text) + text + b"%04X" % crc(text) + END


def confirmation(segment: Segment) -> Segment | None:
    """What the sender waits for: 9014 for data, 9013 for a notice; None where Flag wants no answer."""
    command = segment.field("CN")
    if not segment.flag & ANSWER or command.startswith("9"):
        return None
    header = {key: segment.field(key) for key in ("QN", "ST", "CN", "PW", "MN")}
    header |= {"ST": "91", "CN": "9014" if command.startswith(("2", "3")) else "9013"}
    header |= {"Flag": str(segment.flag & ~(ANSWER | SPLIT))}
    return Segment(tuple((key, value) for key, value in header.items() if value), ())


def _segment(raw: bytes) -> Segment:
    at = raw.find(b"CP=&&")
    if at < 0:
        raise Refused("a segment with CP=&&…&& expected, found none", BEFORE)
    if not raw.endswith(b"&&") or len(raw) < at + 7:
        raise Refused("&& expected at the end of the segment", BEFORE + len(raw))
    odd: list[str] = []
    header = tuple(_pairs(_text(raw[:at]).split(";"), odd))
    groups = [tuple(_pairs(_split(group, ","), odd)) for group in _split(_text(raw[at + 5 : -2]), ";")]
    segment = Segment(header, tuple(group for group in groups if group), tuple(odd))
    if missing := [key for key in NEEDED if not segment.field(key)]:
        raise Refused(f"{', '.join(missing)} expected before CP", BEFORE)
    return segment


def _text(raw: bytes) -> str:
    """UTF-8 by 6.3.1; older devices send GB 2312."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("gb18030", errors="replace")


def _split(text: str, mark: str) -> list[str]:
    """At each mark outside a text between // and // (table B: logs)."""
    if "//" not in text:
        return text.split(mark)
    parts = [""]
    for number, piece in enumerate(text.split("//")):
        if number % 2:
            parts[-1] += f"//{piece}//"
        else:
            first, *more = piece.split(mark)
            parts[-1] += first
            parts += more
    return parts


def _pairs(texts: list[str], odd: list[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        key, equals, value = text.strip().partition("=")
        if equals and key:
            yield key.rstrip(), value.strip()
        elif key:
            odd.append(key)


def describe(segment: Segment, zone: tzinfo) -> dict[str, Any]:
    st, cn = segment.field("ST"), segment.field("CN")
    system, command = NAMES.systems.get(st), NAMES.commands.get(cn)
    fields = {key: value for group in segment.data for key, value in group if "-" not in key and key not in SECRET}
    return {
        "protocol": "hj212",
        "edition": "2017" if segment.flag >> EDITION else "2005",
        "device_id": segment.field("MN"),
        "observed_at": moment(_time(fields.get("DataTime", "")), zone),
        "sent_at": moment(_time(segment.field("QN")), zone),
        "qn": segment.field("QN") or None,
        "st": st,
        "system": system.name if system else None,
        "system_zh": system.name_zh if system else None,
        "medium": system.medium if system else None,
        "cn": cn,
        "command": command.name if command else None,
        "command_zh": command.name_zh if command else None,
        "flag": segment.flag if segment.field("Flag") else None,
        "answer_wanted": bool(segment.flag & ANSWER),
        "packet": _packet(segment),
        "elements": _elements(segment),
        "data": fields,
        "warnings": list(_warnings(segment)),
    }


def _elements(segment: Segment) -> list[dict[str, Any]]:
    gathered: dict[str, dict[str, str]] = {}
    for group in segment.data:
        for key, value in group:
            code, dash, what = key.rpartition("-")
            if dash:
                gathered.setdefault(code, {})[what] = value
    return [_element(code, values) for code, values in gathered.items()]


def _element(code: str, values: Mapping[str, str]) -> dict[str, Any]:
    """`value` is that of `statistic`; `values` has all that were sent, as numbers where they are."""
    factor = FACTORS.get(code)
    flag = values.get("Flag") or None
    statistic = next((each for each in VALUES if each in values), None)
    numbers = {what: _number(value) for what, value in values.items() if what not in {"Flag", *BESIDE}}
    return {
        "code": code,
        "name": factor.name if factor else None,
        "name_zh": factor.name_zh if factor else None,
        "value": numbers[statistic] if statistic else None,
        "unit": factor.unit if factor else None,
        "flag": flag,
        "flag_name": NAMES.flags.get(flag) if flag else None,
        "normal": flag in NORMAL if flag else None,
        "statistic": statistic,
        "values": numbers,
        **{name: values[key] for key, name in BESIDE.items() if key in values},
    }


def _number(text: str) -> float | str:
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    return value if math.isfinite(value) else text


def _time(text: str) -> datetime | None:
    """YYYYMMDDhhmmss, in QN with milliseconds."""
    if len(text) not in (14, 17) or not (text.isascii() and text.isdigit()):
        return None
    pairs = [int(text[at : at + 2]) for at in range(4, 14, 2)]
    time = clock(int(text[:4]), *pairs)
    return time and time.replace(microsecond=int(text[14:] or 0) * 1000)


def _packet(segment: Segment) -> dict[str, int] | None:
    total, number = segment.field("PNUM"), segment.field("PNO")
    if not (NUMBER.fullmatch(total) and NUMBER.fullmatch(number)):
        return None
    return {"number": int(float(number)), "total": int(float(total))}


def _warnings(segment: Segment) -> Iterator[str]:
    for text in segment.odd:
        yield f"no key=value: {text}"
    packet = _packet(segment)
    if segment.flag & SPLIT and (packet is None or not 1 <= packet["number"] <= packet["total"]):
        yield f"Flag {segment.flag} says that the packet is split: PNO from 1 to PNUM expected"
    if segment.field("Flag") and str(segment.flag) != segment.field("Flag").lstrip("0").rjust(1, "0"):
        yield f"Flag is a number up to 255, found {segment.field('Flag')}"


def _shown(raw: bytes) -> str:
    return repr(raw.decode("ascii", errors="backslashreplace"))


CODEC = Codec((HEAD,), BEFORE + LONGEST + CRC + len(END), measure, decode, describe, "line", END)
