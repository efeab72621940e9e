"""Facts about frames of GB/T 26875.3-2011: what the standard's figures and tables make of them, and what is refused."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citybrain.codec import Frames, Refused
from domains.fire.gb26875 import CODEC, Packet, confirmation, decode, describe, encode

ZONE = timezone(timedelta(hours=8))
SENT = "05 1E 08 01 03 18"  # 2024-03-01 08:30:05, second first (8.2.2)
AT = "00 1D 08 01 03 18"  # 08:29:00
TRANSMITTER, CENTRE = "79 03 00 00 00 00", "38 5B 01 00 00 00"


def framed(command: int, data: str, *, version: str = "01 01", down: bool = False) -> bytes:
    """6.6: the sum is over everything between the marks."""
    raw = bytes.fromhex(data)
    ends = f"{CENTRE} {TRANSMITTER}" if down else f"{TRANSMITTER} {CENTRE}"
    control = bytes.fromhex(f"0700 {version} {SENT} {ends}") + len(raw).to_bytes(2, "little") + bytes([command]) + raw
    total = 0
    for byte in control:
        total += byte
    return b"\x40\x40" + control + bytes([total % 256]) + b"\x23\x23"


def told(command: int, data: str, **more: Any) -> dict[str, Any]:
    return describe(decode(framed(command, data, **more)), ZONE)


def component(text: str) -> str:
    return text.encode("gb18030").ljust(31, b"\0").hex()


SMOKE = "01 03 28 0A00 0200"  # fire alarm system 3, smoke detector, zone 10, number 2
FIRE = framed(2, f"02 01 {SMOKE} 0300 {component('一层走廊')} {AT}")


def test_a_fire_is_told_with_component_place_and_moment() -> None:
    found = describe(decode(FIRE), ZONE)
    (state,) = found["elements"]
    assert (state["states"], state["running"], state["value"]) == (["fire"], True, 3)
    assert (state["component_type"], state["component_type_name_zh"]) == (40, "感烟火灾探测器")
    assert (state["component_zone"], state["component_number"], state["component_address"]) == (10, 2, "0A000200")
    assert (state["text"], state["observed_at"]) == ("一层走廊", "2024-03-01T08:29:00+08:00")
    assert (found["device_id"], found["destination"]) == ("000000000379", "000000015B38")
    assert (found["observed_at"], found["sent_at"]) == ("2024-03-01T08:29:00+08:00", "2024-03-01T08:30:05+08:00")
    assert (found["serial"], found["version"], found["direction"]) == (7, "1.1", "up")


def test_every_bit_of_a_state_has_its_name_and_bit_0_says_that_it_is_no_test() -> None:
    """8.2.1.1, 8.2.1.2 and 8.2.1.8: three kinds of states with bits of their own."""
    system = told(2, f"01 01 0C 01 FE3F {AT}")["elements"][0]
    assert system["states"] == [
        "fire", "fault", "shielded", "supervised", "started", "feedback", "delayed",
        "mains_fault", "battery_fault", "bus_fault", "manual", "configuration_changed", "reset"]  # fmt: skip
    assert (system["running"], system["system_type_name_zh"]) == (False, "自动喷水灭火系统")
    part = told(2, f"02 01 {SMOKE} 0001 {component('')} {AT}")["elements"][0]
    assert (part["states"], part["text"]) == (["power_fault"], "")
    device = told(2, f"15 01 7F {AT}")["elements"][0]
    assert device["states"] == ["fire", "fault", "mains_fault", "battery_fault", "link_fault", "line_fault"]


def test_analogue_values_have_the_unit_and_the_decimals_of_their_kind() -> None:
    """Table 6, a signed number of two bytes, low byte first: height in hundredths, temperature in tenths."""
    kinds = {2: "F401", 3: "CEFF", 5: "4600", 12: "1500", 99: "0100"}
    data = "".join(f"{SMOKE} {kind:02X} {value} {AT}" for kind, value in kinds.items())
    found = told(2, f"03 {len(kinds):02X} {data}")["elements"]
    assert [(each["code"], each["value"], each["unit"], each["flag"]) for each in found] == [
        ("2", 5.0, "m", None), ("3", -5.0, "°C", None), ("5", 7.0, "kPa", None), ("12", 21.0, "m/s", "out_of_range"),
        ("99", 1, None, None)]  # fmt: skip


def test_operations_versions_texts_and_times_are_read() -> None:
    assert told(2, f"04 01 01 03 0A 05 {AT}")["elements"][0]["operations"] == ["silenced", "alarm_cleared"]
    duty = told(2, f"18 01 20 01 {AT}")["elements"][0]
    assert (duty["operations"], duty["operator"]) == (["duty_answered"], 1)
    assert told(2, "19 01 01 02")["elements"][0]["value"] == "1.2"
    assert told(2, "05 01 01 03 02 0A")["elements"][0]["value"] == "2.10"
    text = "消火栓".encode("gb18030").hex()
    assert told(2, f"1A 01 06 {text}")["elements"][0]["value"] == "消火栓"
    two = told(2, f"06 02 0B 01 06 {text} {AT} 0C 02 00 {AT}")["elements"]
    assert [(each["value"], each["observed_at"][11:16]) for each in two] == [("消火栓", "08:29"), ("", "08:29")]
    assert told(2, f"07 01 {SMOKE} {component('走廊')}")["elements"][0]["value"] == "走廊"
    assert told(2, f"1C 01 {AT}")["observed_at"] == "2024-03-01T08:29:00+08:00"


def test_what_a_centre_asks_for_names_the_transmitter_as_its_device() -> None:
    found = told(4, "3E 01 01 03 0A00 0200", down=True)
    assert (found["direction"], found["device_id"], found["type_name_zh"]) == (
        "down", "000000000379", "读建筑消防设施部件运行状态")  # fmt: skip
    assert found["elements"][0]["component_number"] == 2
    records = told(4, f"40 01 01 03 64 {AT}", down=True)["elements"][0]
    assert (records["records"], records["observed_at"]) == (100, "2024-03-01T08:29:00+08:00")
    assert told(1, "5B 01 0A", down=True)["elements"] == [{"reserved": 10}]


def test_frames_without_data_and_of_the_users_own_are_told_as_they_are() -> None:
    beat = told(2, "")
    assert (beat["type"], beat["elements"], beat["device_id"]) == (None, [], "000000000379")
    assert told(3, "")["direction"] is None
    own = told(130, "C8 01 AABB")
    assert (own["content"], own["warnings"], own["command_name"]) == ("AABB", [], None)
    assert told(2, "0A 01 AA")["warnings"] == ["type 10 is reserved"]


def test_a_time_that_is_none_and_another_version_are_told_and_refuse_nothing() -> None:
    found = told(2, "15 01 01 3D1D08010318", version="02 00")
    assert found["elements"][0]["observed_at"] is None
    assert found["warnings"] == ["main version 1 expected, found 2", "no time of an object"]


@pytest.mark.parametrize(
    ("frame", "message", "offset"),
    [
        (FIRE[:-3] + bytes([FIRE[-3] ^ 1]) + FIRE[-2:], "sum .. expected, found ..", len(FIRE) - 3),
        (FIRE[:-1] + b"\x24", "end mark 23 23 expected, found 23 24", len(FIRE) - 2),
        (b"\x40\x41" + FIRE[2:], "40 40 expected, found 40 41", 0),
        (FIRE[:-9], f"{len(FIRE)} bytes as its length says", len(FIRE) - 9),
        (FIRE[:20], "at least 30", 20),
        (FIRE[:24] + b"\x01\x04" + FIRE[26:], "1025 bytes of data, at most 1024", 24),
        (framed(7, ""), "a command from 1 to 6, or from 128 on", 26),
        (framed(0, ""), "found 0", 26),
        (framed(2, "02"), "type and count expected", 27),
        (framed(2, f"02 02 {SMOKE} 0300 {component('')} {AT}"), "2 objects of 46 bytes expected, found 46", 29),
        (framed(2, f"15 01 01 00 {AT}"), "type 21: 1 objects of 7 bytes expected, found 8", 29),
        (framed(2, "1A 01 09 00"), "objects of 0 bytes and a text", 29),
        (b"", "found nothing", 0),
    ],
)  # fmt: skip
def test_what_is_no_frame_is_refused_with_what_was_expected_and_where(frame: bytes, message: str, offset: int) -> None:
    with pytest.raises(Refused, match=message) as refused:
        decode(frame)
    assert refused.value.offset == offset


def test_a_confirmation_goes_back_with_the_same_serial_number() -> None:
    answer = confirmation(decode(FIRE), datetime(2024, 3, 1, 8, 30, 6))
    assert answer is not None
    found = describe(decode(encode(answer)), ZONE)
    assert (found["command_name"], found["serial"], found["source"]) == ("confirm", 7, "000000015B38")
    assert (found["destination"], found["sent_at"]) == ("000000000379", "2024-03-01T08:30:06+08:00")
    assert confirmation(answer, datetime(2024, 3, 1)) is None


BYTE, ADDRESS = st.integers(0, 255), st.integers(0, 2**48 - 1)
DATA = st.just(b"") | st.binary(max_size=60).map(lambda data: b"\xc8\x01" + data)  # of the user's own
PACKETS = st.builds(
    Packet, st.integers(0, 65535), st.tuples(BYTE, BYTE), st.binary(min_size=6, max_size=6), ADDRESS, ADDRESS,
    st.sampled_from([1, 2, 3, 4, 5, 6, 128]), DATA,
)  # fmt: skip


@given(PACKETS)
@settings(max_examples=60, deadline=None)
def test_what_was_written_is_read_again(packet: Packet) -> None:
    assert decode(encode(packet)) == packet


@given(st.binary(max_size=120), st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 21, 24, 25, 26, 28, 61, 64, 84, 90, 91]))
@settings(max_examples=250, deadline=None)
def test_any_bytes_are_a_frame_or_refused(data: bytes, kind: int) -> None:
    offsets = []
    for raw in (data, b"@@" + data, framed(2, f"{kind:02X}" + data.hex())):
        try:
            describe(decode(raw), ZONE)
        except Refused as refused:
            offsets.append(len(raw) - refused.offset)
    assert all(offset >= 0 for offset in offsets)


def test_every_flipped_bit_is_refused() -> None:
    for bit in range(len(FIRE) * 8):
        flipped = bytearray(FIRE)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Refused):
            decode(bytes(flipped))


def test_a_stream_is_cut_into_its_frames_whatever_the_pieces_and_the_garbage() -> None:
    beat, broken = framed(2, ""), FIRE[:-3] + bytes([FIRE[-3] ^ 1]) + FIRE[-2:]
    stream = b"@noise" + FIRE + broken + beat + FIRE[:40] + beat * 3 + beat[:9]
    for size in (1, 13, len(stream)):
        frames = Frames(CODEC)
        found = [each for at in range(0, len(stream), size) for each in frames.feed(stream[at : at + size])]
        found += frames.end()
        starts = [each.at for each in found if each.frame is not None]
        after = 6 + 2 * len(FIRE)
        assert starts[:2] == [6, after]
        assert starts[-1] == len(stream) - 9 - len(beat)
        assert "sum" in next(each.refused.message for each in found if each.refused)
