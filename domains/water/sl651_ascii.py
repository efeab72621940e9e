"""The content of SL 651-2014 in characters (6.6.2): symbols and values with a space between. Gives what `sl651_content`
gives for the encoding in bytes."""

import re
from collections.abc import Iterator
from datetime import timedelta

from citybrain.codec import Refused
from domains.water.sl651_content import STATE, Content, Value, bcd_time, series
from domains.water.sl651_names import NAMES, SYMBOLS, Kind

SERIAL, TIME = 4, 12  # characters
BY_HAND, PICTURE = b"RGZS", b"PIC"  # what follows these is no text of symbols
NUMBER = re.compile(r"-?\d{1,30}(\.\d{0,30})?", re.ASCII)
HEXADECIMAL = re.compile(r"([0-9A-Fa-f]{2}){1,2000}", re.ASCII)
STEP = re.compile(r"DR([DHN])(\d\d)", re.ASCII)
MISSING = ("M", "F")
UNITS = {"D": "days", "H": "hours", "N": "minutes"}


def read(body: bytes, base: int) -> Content:
    """Raises `Refused` where serial number or time are not there."""
    head = body[: SERIAL + TIME].decode("ascii", errors="replace")
    if len(head) < SERIAL + TIME or not HEXADECIMAL.fullmatch(head[:SERIAL]):
        raise Refused(f"serial number and time of {SERIAL + TIME} characters expected, found {head!r}", base)
    content = Content(int(head[:SERIAL], 16), bcd_time(head[SERIAL:]))
    text = body[SERIAL + TIME :]
    for symbol in (BY_HAND, PICTURE):
        before, found, after = text.partition(symbol + b" ")
        if found and (not before or before.endswith(b" ")):
            text, content.rest = before, after.removesuffix(b" ")
            written = content.rest.decode("gb18030", errors="replace") if symbol == BY_HAND else None
            content.add(SYMBOLS[symbol.decode()], written, None, "")
            break
    _read_words(iter(text.decode("ascii", errors="replace").split()), content)
    return content


def _read_words(words: Iterator[str], content: Content) -> None:
    even: list[Kind] = []
    values: list[tuple[Value, str | None, str]] = []
    for word in words:
        if word == "ST":
            content.station = next(words, "") or None
        elif word == "TT":
            content.times.append(bcd_time(next(words, "")))
        elif step := STEP.fullmatch(word):
            content.step = timedelta(**{UNITS[step[1]]: int(step[2])}) or None
        elif word in NAMES.classes and content.station and not content.times:
            content.station_class = word
        elif content.step and (NUMBER.fullmatch(word) or (word in MISSING and even)):
            values.append(_value(word, word))
        elif content.step:
            even.append(SYMBOLS.get(word, Kind(word, word)))
        else:
            _pair(word, next(words, None), content)
    if even:
        content.spread(even, iter(values))


def _pair(symbol: str, text: str | None, content: Content) -> None:
    kind = SYMBOLS.get(symbol, Kind(symbol, symbol))
    if text is None:
        content.requested.append(kind)
    else:
        content.add(kind, *_value(symbol, text))


def _value(symbol: str, text: str) -> tuple[Value, str | None, str]:
    if text in MISSING:
        return None, "missing", text
    kind = SYMBOLS.get(symbol)
    if kind and kind.code == STATE and HEXADECIMAL.fullmatch(text):
        return int(text[:8], 16), None, text
    if symbol.startswith(("DRP", "DRZ")) and HEXADECIMAL.fullmatch(text):
        return series(bytes.fromhex(text), 1 if symbol == "DRP" else 2), None, text
    if NUMBER.fullmatch(text):
        return float(text), None, text
    return text, "invalid", text
