"""The objects in a data unit of GB/T 26875.3-2011 (8.2, 8.3): states, analogue values, operations, versions, texts and
times. `gb26875` cuts the frame before and describes what is found after."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from citybrain.codec import Refused, bits, clock
from domains.fire.gb26875_names import NAMES, Name

TIME = 6  # bytes
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Object:
    fields: Fields
    observed: datetime | None = None
    timed: bool = False  # a time belongs to it, although it may be none of the calendar


@dataclass(frozen=True, slots=True)
class Unit:
    """`objects` of a type of the standard, `rest` of any other."""

    type: int
    objects: tuple[Object, ...] = ()
    rest: bytes = b""


@dataclass(frozen=True, slots=True)
class _Shape:
    """Of an object: `size` in bytes before its time, `read` for these, `timed` None where only some devices add a time.
    After a `texted` one stands a byte with the length of a text, and the text."""

    size: int
    read: Callable[[bytes], Fields]
    timed: bool | None = False
    texted: bool = False

    def length(self, data: bytes) -> int:
        """Of the object that the data begin with, without its time."""
        return self.size + (1 + (data[self.size] if len(data) > self.size else 0) if self.texted else 0)


def read(data: bytes, base: int) -> Unit:
    """`data` begin with type and count, at `base` in the frame. Raises `Refused` where the objects do not fill them."""
    if len(data) < 2:
        raise Refused(f"type and count expected, found {len(data)} byte of data", base)
    kind, count, body = data[0], data[1], data[2:]
    shape = SHAPES.get(kind)
    if shape is None:
        return Unit(kind, rest=body)
    for timed in (shape.timed,) if shape.timed is not None else (False, True):
        if (parts := _cut(body, count, shape, timed)) is not None:
            return Unit(kind, tuple(_object(part, shape, timed) for part in parts))
    each = f"{shape.size + TIME * bool(shape.timed)} bytes" + (" and a text" if shape.texted else "")
    raise Refused(f"type {kind}: {count} objects of {each} expected, found {len(body)} bytes", base + 2)


def time(raw: bytes) -> datetime | None:
    """8.2.2: second, minute, hour, day, month, year of the century, each a binary number."""
    second, minute, hour, day, month, year = raw
    return clock(2000 + year, month, day, hour, minute, second) if year < 100 else None


def named(key: str, number: int, names: Mapping[int, Name]) -> Fields:
    name = names.get(number)
    return {key: number, f"{key}_name": name.name if name else None, f"{key}_name_zh": name.name_zh if name else None}


def _cut(body: bytes, count: int, shape: _Shape, timed: bool) -> list[bytes] | None:
    """None where so many objects are not just what there is."""
    parts, at = [], 0
    for _ in range(count):
        size = shape.length(body[at : at + 256]) + TIME * timed
        parts.append(body[at : at + size])
        at += size
        if at > len(body):
            return None
    return parts if at == len(body) else None


def _object(part: bytes, shape: _Shape, timed: bool) -> Object:
    before, after = (part[:-TIME], part[-TIME:]) if timed else (part, b"")
    return Object(shape.read(before), time(after) if timed else None, timed)


def _element(code: str, value: object, *, unit: str | None = None, flag: str | None = None, name: str = "") -> Fields:
    return {"code": code, "name": name or code, "value": value, "unit": unit, "flag": flag}


def _state(raw: bytes, names: Sequence[str]) -> Fields:
    """Bit 0 says that it runs; where it is 0 it is under test, and what it says is none of a fire."""
    value = int.from_bytes(raw, "little")
    return _element("state", value) | {"running": bool(value & 1), "states": bits(value >> 1, names)}


def _operation(raw: bytes, names: Sequence[str]) -> Fields:
    return _element("operation", raw[0]) | {"operations": bits(raw[0], names), "operator": raw[1]}


def _version(raw: bytes) -> Fields:
    return _element("version", f"{raw[0]}.{raw[1]}")


def _text(raw: bytes) -> Fields:
    return _element("text", raw.decode("gb18030", errors="replace").strip("\0 "))


def _system(raw: bytes) -> Fields:
    return named("system_type", raw[0], NAMES.systems) | {"system_address": raw[1]}


def _address(raw: bytes) -> Fields:
    """8.2.1.2: zone 区号 and number 位号, the low byte first."""
    zone, number = int.from_bytes(raw[:2], "little"), int.from_bytes(raw[2:], "little")
    return {"component_address": raw.hex().upper(), "component_zone": zone, "component_number": number}


def _component(raw: bytes) -> Fields:
    """System, type and address of a component: 7 bytes."""
    return _system(raw) | named("component_type", raw[2], NAMES.components) | _address(raw[3:7])


def _system_state(raw: bytes) -> Fields:
    return _system(raw) | _state(raw[2:], NAMES.bits.system)


def _component_state(raw: bytes) -> Fields:
    return _component(raw) | _state(raw[7:9], NAMES.bits.component) | {"text": _text(raw[9:])["value"]}


def _analogue(raw: bytes) -> Fields:
    kind, sent = NAMES.analogues.get(raw[7]), int.from_bytes(raw[8:], "little", signed=True)
    if kind is None:
        return _component(raw) | _element(str(raw[7]), sent, name="analogue value")
    value = sent / 10**kind.decimals
    flag = None if kind.low <= value <= kind.high else "out_of_range"
    told = _element(str(raw[7]), value, unit=kind.unit or None, flag=flag, name=kind.name)
    return _component(raw) | told | {"name_zh": kind.name_zh}


def _asked(raw: bytes) -> Fields:
    return _system(raw) | _address(raw[2:])


def _records(raw: bytes) -> Fields:
    """Of how many operations, from the time on that follows."""
    return (_system(raw) if len(raw) > 1 else {}) | {"records": raw[-1]}


def _nothing(raw: bytes) -> Fields:
    return {"reserved": raw[0]} if raw else {}


def _shapes() -> Iterator[tuple[int, _Shape]]:
    yield 1, _Shape(4, _system_state, timed=True)
    yield 2, _Shape(40, _component_state, timed=True)
    yield 3, _Shape(10, _analogue, timed=True)
    yield 4, _Shape(4, lambda raw: _system(raw) | _operation(raw[2:], NAMES.operations.system), timed=True)
    yield 5, _Shape(4, lambda raw: _system(raw) | _version(raw[2:]), timed=None)
    yield 6, _Shape(2, lambda raw: _system(raw) | _text(raw[3:]), timed=None, texted=True)
    yield 7, _Shape(38, lambda raw: _component(raw) | _text(raw[7:]), timed=None)
    yield 8, _Shape(2, _system, timed=True)
    yield 21, _Shape(1, lambda raw: _state(raw, NAMES.bits.transmitter), timed=True)
    yield 24, _Shape(2, lambda raw: _operation(raw, NAMES.operations.transmitter), timed=True)
    yield 25, _Shape(2, _version, timed=None)
    yield 26, _Shape(0, lambda raw: _text(raw[1:]), timed=None, texted=True)
    yield 28, _Shape(0, _nothing, timed=True)
    yield from ((kind, _Shape(2, _system)) for kind in (61, 65, 66, 68))
    yield from ((kind, _Shape(6, _asked)) for kind in (62, 63, 67))
    yield 64, _Shape(3, _records, timed=True)
    yield 84, _Shape(1, _records, timed=True)
    yield from ((kind, _Shape(1, _nothing)) for kind in (81, 85, 86, 88, 89, 91))
    yield 90, _Shape(0, _nothing, timed=True)


SHAPES = dict(_shapes())
