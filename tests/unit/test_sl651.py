"""Facts about frames of SL 651-2014 in both encodings: what the tables make of them, what is refused."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citybrain.codec import Frames, Refused
from domains.water.sl651 import CODEC, Message, confirmation, crc, decode, describe, encode, join

ZONE = timezone(timedelta(hours=8))
SENT = "240301080005"  # of every frame here


def crc_modbus(data: bytes) -> int:
    """Bit by bit, by 6.3; the codec goes by a table."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value


def framed(function: str, content: str, *, down: bool = False, end: str = "03", part: str = "") -> bytes:
    """In bytes, tables 20 and 21: content is what follows serial number and time."""
    body = bytes.fromhex(part + ("0007" + SENT if part in ("", "002001") else "") + content)
    addresses = "0012345678 01" if down else "01 0012345678"
    head = bytes.fromhex(
        f"7E7E {addresses} A1B2 {function} {'8' if down else '0'}{len(body):03X} {'16' if part else '02'}"
    )
    frame = head + body + bytes.fromhex(end)
    return frame + crc_modbus(frame).to_bytes(2)


def characters(function: str, content: str, *, end: int = 3, down: bool = False) -> bytes:
    """Tables 16 and 17."""
    body = "0007" + SENT + content
    addresses = "001234567801" if down else "010012345678"
    frame = f"\x01{addresses}A1B2{function}{'8' if down else '0'}{len(body):03X}\x02{body}{chr(end)}".encode()
    return frame + b"%04X" % crc_modbus(frame)


def told(frame: bytes) -> dict[str, Any]:
    return describe(decode(frame), ZONE)


def values(found: dict[str, Any]) -> dict[str, Any]:
    return {each["symbol"] or each["code"]: each["value"] for each in found["elements"]}


REPORT = "F1F1 0012345678 48 F0F0 2403010800 "  # station, class river, time of observation
LEVEL, RAIN, VOLTAGE = "3923 00028960 ", "2019 000055 ", "3812 1208 "
GOOD = framed("33", REPORT + LEVEL + RAIN + VOLTAGE)


def test_the_crc_is_the_one_whose_check_value_everybody_knows() -> None:
    assert crc(b"123456789") == crc_modbus(b"123456789") == 0x4B37


def test_an_extra_report_gives_elements_by_length_and_decimals_of_their_definition() -> None:
    found = told(GOOD)
    assert values(found) == {"Z": 28.96, "PJ": 5.5, "VT": 12.08}
    assert [each["unit"] for each in found["elements"]] == ["m", "mm", "V"]
    assert (found["device_id"], found["function"], found["function_name_zh"]) == ("0012345678", "33H", "加报报")
    assert (found["observed_at"], found["sent_at"]) == ("2024-03-01T08:00:00+08:00", "2024-03-01T08:00:05+08:00")
    assert (found["station_class"], found["direction"], found["serial"], found["center"]) == ("H", "up", 7, 1)
    assert "A1B2" not in str(found).upper()  # the password


def test_characters_say_the_same_as_bytes() -> None:
    found = told(characters("33", "ST 0012345678 H TT 2403010800 Z 28.960 PJ 5.5 VT 12.08 "))
    alike = ("device_id", "observed_at", "sent_at", "function", "serial", "station_class", "center", "direction")
    assert {key: found[key] for key in alike} == {key: told(GOOD)[key] for key in alike}
    pairs = [[(each["code"], each["value"], each["unit"]) for each in one["elements"]] for one in (found, told(GOOD))]
    assert pairs[0] == pairs[1]


def test_no_value_is_missing_and_never_a_level() -> None:
    for frame in (framed("32", REPORT + "3923 FFFFFFFF"), characters("32", "ST 0012345678 H TT 2403010800 Z M ")):
        (level,) = told(frame)["elements"]
        assert (level["value"], level["flag"]) == (None, "missing")


def test_a_first_byte_ff_is_a_minus_and_what_is_no_decimal_is_invalid() -> None:
    found = told(framed("32", REPORT + "3923 FF001234" + "3812 AAAA"))
    assert [(each["value"], each["flag"]) for each in found["elements"]] == [(-1.234, None), (None, "invalid")]
    assert values(told(characters("32", "TT 2403010800 Z -1.234 ")))["Z"] == -1.234


def test_the_hours_series_are_twelve_values_of_five_minutes() -> None:
    rain, levels = "0005FF" + "00" * 9, "0064FFFF" + "0000" * 10
    found = told(framed("34", REPORT + "F460" + rain + "F5C0" + levels + "2619 003196"))
    other = told(characters("34", f"TT 2403010800 DRP {rain} DRZ1 {levels} PT 319.6 "))
    for each in (found, other):
        assert values(each) == {"DRP": [0.0, 0.5, None] + [0.0] * 9, "DRZ1": [1.0, None] + [0.0] * 10, "PT": 319.6}


def test_the_hours_series_have_their_length_whatever_their_definition_says() -> None:
    """24 bytes cannot be told in the 5 bits that table C.1 leaves with decimals: stations write other bytes there."""
    assert values(told(framed("34", REPORT + "F55C" + "0AAA" * 12 + VOLTAGE))) == {"DRZ1": [27.3] * 12, "VT": 12.08}


def test_values_evenly_spaced_have_their_own_moments() -> None:
    found = told(framed("31", REPORT + "0418 000005" + "3923 00006300 00006350 FFFFFFFF"))
    other = told(characters("31", "ST 0012345678 H TT 2403010800 DRN05 Z 6.300 6.350 M "))
    for each in (found, other):
        assert [(one["value"], one["observed_at"][11:16]) for one in each["elements"]] == [
            (6.3, "08:00"), (6.35, "08:05"), (None, "08:10")]  # fmt: skip
        assert each["step_minutes"] == 5


def test_states_are_named_by_their_bits() -> None:
    """Table 58: bit 0 mains, bit 1 battery, bit 2 level."""
    (state,) = told(framed("46", "F1F1 0012345678 4520 00000006"))["elements"]
    assert (state["value"], state["states"]) == (6, ["battery_low", "level_alarm"])


def test_a_users_own_element_keeps_its_code() -> None:
    assert values(told(framed("32", REPORT + "FF0908 20 7A08 29"))) == {"FF09": 20.0, "7A": 29.0}


def test_a_centre_asks_and_confirms_with_the_stations_address_first() -> None:
    asked = told(framed("3A", "3923 2019", down=True, end="05"))
    assert (asked["direction"], asked["device_id"], asked["end"]) == ("down", "0012345678", "ENQ")
    assert [each["symbol"] for each in asked["requested"]] == ["Z", "PJ"]
    period = told(framed("38", "24030108 24030120 0418000100 3923", down=True, end="05"))
    assert period["period"] == ["2024-03-01T08:00:00+08:00", "2024-03-01T20:00:00+08:00"]
    assert (period["step_minutes"], period["requested"][0]["symbol"]) == (60, "Z")
    assert told(characters("37", "", down=True, end=5))["end"] == "ENQ"


def test_each_moment_of_a_frame_holds_for_what_follows_it() -> None:
    found = told(framed("34", REPORT + RAIN + "F0F0 2403010700" + LEVEL))
    assert [each["observed_at"][11:16] for each in found["elements"]] == ["08:00", "07:00"]
    assert found["observed_at"] == "2024-03-01T08:00:00+08:00"


def test_a_password_among_parameters_is_not_shown() -> None:
    found = told(framed("49", "F1F1 0012345678 0310 04D2"))
    assert [(each["code"], each["name"], each["value"]) for each in found["elements"]] == [("03", "password", None)]
    assert "04D2" not in str(found)


def test_pictures_and_what_was_entered_by_hand_are_kept_as_they_came() -> None:
    picture = told(framed("36", REPORT + "F3F3 FFD8FFE000"))
    assert (picture["elements"][0]["symbol"], picture["content"]) == ("PIC", "FFD8FFE000")
    by_hand = told(characters("35", "RGZS 12 34 Z 6.4 "))
    assert by_hand["elements"][0]["value"] == "12 34 Z 6.4"


def test_parts_are_joined_in_any_order_and_not_without_one() -> None:
    content = REPORT + LEVEL + RAIN
    first, second = framed("32", content[:40], part="002001", end="17"), framed("32", content[40:], part="002002")
    parts = [decode(second), decode(first)]
    for part, number in zip(parts, (2, 1), strict=True):
        found = describe(part, ZONE)
        assert (found["packet"], found["elements"]) == ({"number": number, "total": 2}, [])
    assert values(describe(join(parts), ZONE)) == {"Z": 28.96, "PJ": 5.5}
    picture = told(framed("36", REPORT + "F3F3 FFD8", part="002001", end="17"))
    assert (picture["observed_at"], picture["content"]) == ("2024-03-01T08:00:00+08:00", "FFD8")
    with pytest.raises(Refused, match="2 parts expected"):
        join(parts[:1])


def test_zeros_after_the_last_element_are_told_and_cost_nothing() -> None:
    found = told(framed("32", REPORT + VOLTAGE + "00"))
    assert (values(found), found["warnings"]) == ({"VT": 12.08}, ["1 bytes 00 after the last element"])


@pytest.mark.parametrize(
    ("frame", "message", "offset"),
    [
        (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "CRC .* expected", len(GOOD) - 2),
        (GOOD[:-3] + b"\x05" + GOOD[-2:], "end mark 03 .ETX. or 17 .ETB.", len(GOOD) - 3),
        (GOOD[:13] + b"\x03" + GOOD[14:], "start mark 02", 13),
        (GOOD[:11] + b"\x40" + GOOD[12:], "0 .up. or 8 .down.", 11),
        (GOOD[:-4], f"{len(GOOD)} bytes as its length says", len(GOOD) - 4),
        (GOOD + b"\x00", f"{len(GOOD)} bytes as its length says", len(GOOD)),
        (b"\x7e" + GOOD[2:], "7E 7E or 01", 0),
        (framed("32", REPORT + "3923 0002"), "element 39H: 4 bytes expected, 2 are left", 39),
        (framed("31", REPORT + "0418000005 3923 000063"), "values of 4 bytes expected, 3 are left", 44),
        (framed("32", "", part="002003"), "a part from 1 to 2", 14),
        (b"\x01" + characters("32", "")[1:5] + b"zz" + characters("32", "")[7:], "CRC", 41),
        (characters("32", "").replace(b"A1B232", b"A1B2x2"), "CRC", 41),
    ],
)  # fmt: skip
def test_what_is_no_frame_is_refused_with_what_was_expected_and_where(frame: bytes, message: str, offset: int) -> None:
    with pytest.raises(Refused, match=message) as refused:
        decode(frame)
    assert refused.value.offset == offset


def test_a_station_is_confirmed_with_its_serial_number() -> None:
    """6.6.4: EOT after the last report, ACK where more follow, nothing to a link's report."""
    now = datetime(2024, 3, 1, 8, 0, 9)
    for frame in (GOOD, characters("33", "TT 2403010800 Z 1.0 ")):
        answer = confirmation(decode(frame), now)
        assert answer is not None
        found = told(encode(answer))
        assert (found["direction"], found["end"], found["serial"]) == ("down", "EOT", 7)
        assert (found["sent_at"], found["device_id"]) == ("2024-03-01T08:00:09+08:00", "0012345678")
    more = confirmation(decode(framed("32", REPORT, end="17")), now)
    assert more is not None
    assert told(encode(more))["end"] == "ACK"
    assert confirmation(decode(framed("2F", "")), now) is None


BODIES = st.binary(min_size=0, max_size=40).map(lambda data: bytes.fromhex("0007" + SENT) + data)


@given(
    st.booleans(), st.binary(min_size=5, max_size=5), st.integers(0, 255), st.sampled_from([0x2F, 0x4A, 0x45]), BODIES
)
@settings(max_examples=60, deadline=None)
def test_what_was_written_is_read_again(down: bool, station: bytes, center: int, function: int, body: bytes) -> None:
    message = Message("hexadecimal", down, center, station.hex().upper(), 0xA1B2, function, body)
    assert decode(encode(message)) == message


@given(st.binary(max_size=80), st.sampled_from(["30", "31", "32", "34", "38", "3A", "40", "49"]), st.booleans())
@settings(max_examples=250, deadline=None)
def test_any_bytes_are_a_frame_or_refused(data: bytes, function: str, down: bool) -> None:
    text = data.decode("latin-1").encode("ascii", "replace").decode()
    good = [framed(function, data.hex(), down=down), characters(function, text, down=down)]
    offsets = []
    for raw in (data, b"\x7e\x7e" + data, b"\x01" + data, *good):
        try:
            describe(decode(raw), ZONE)
        except Refused as refused:
            offsets.append(len(raw) - refused.offset)
    assert all(offset >= 0 for offset in offsets)


@pytest.mark.parametrize("frame", [GOOD, characters("33", "ST 0012345678 H TT 2403010800 Z 28.960 VT 12.08 ")])
def test_every_flipped_bit_is_refused(frame: bytes) -> None:
    """But for the case of a hexadecimal digit, which says the same."""
    for bit in range(len(frame) * 8):
        flipped = bytearray(frame)
        flipped[bit // 8] ^= 1 << bit % 8
        if bytes(flipped).lower() == frame.lower() and bit // 8 >= len(frame) - 4:
            continue
        with pytest.raises(Refused):
            decode(bytes(flipped))


def test_a_stream_is_cut_into_its_frames_whatever_the_pieces_and_the_garbage() -> None:
    text = characters("30", "TT 2403010800 VT 12.08 ")
    broken = GOOD[:-1] + bytes([GOOD[-1] ^ 1])
    stream = b"\x00\x01\x02noise" + GOOD + b"\x7e" + broken + text + b"\r\n" + GOOD[:30] + GOOD + text[:20]
    for size in (1, 11, len(stream)):
        frames = Frames(CODEC)
        found = [each for at in range(0, len(stream), size) for each in frames.feed(stream[at : at + size])]
        found += frames.end()
        starts = [each.at for each in found if each.frame is not None]
        begin = len(b"\x00\x01\x02noise")
        after = begin + len(GOOD) + 1 + len(broken)
        assert starts == [begin, after, after + len(text) + 2 + 30]
        assert any(each.refused and "CRC" in each.refused.message for each in found)
