"""Facts about frames of HJ 212-2017 and 2005: what the standard's rules make of them, and what is refused and where."""

from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from citybrain.codec import Frames, Refused
from domains.environment.hj212 import CODEC, Segment, confirmation, decode, describe, encode

ZONE = timezone(timedelta(hours=8))
# HJ 212-2017 annex A: the example that the CRC's algorithm is given with.
ANNEX_A = (
    b"##0101QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&"
    b"1C80\r\n"
)


def crc_by_annex_a(data: bytes) -> int:
    """Bit by bit, as the annex says it in words; the codec goes by a table."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ byte
        for _ in range(8):
            lost, crc = crc & 1, crc >> 1
            crc = crc ^ 0xA001 if lost else crc
    return crc


def framed(segment: str, encoding: str = "utf-8") -> bytes:
    raw = segment.encode(encoding)
    return b"##%04d%b%04X\r\n" % (len(raw), raw, crc_by_annex_a(raw))


def told(segment: str, encoding: str = "utf-8") -> dict[str, Any]:
    return describe(decode(framed(segment, encoding)), ZONE)


HEAD = "QN=20240301080000001;ST=32;CN=2061;PW=123456;MN=010000A8900016F000169DC0;"


def test_the_standards_own_example_is_read_and_written() -> None:
    segment = decode(ANNEX_A)
    assert encode(segment) == ANNEX_A
    found = describe(segment, ZONE)
    assert (found["device_id"], found["cn"], found["answer_wanted"]) == ("010000A8900016F000169DC0", "1062", True)
    assert (found["edition"], found["sent_at"]) == ("2017", "2016-08-01T08:58:57.223+08:00")
    assert found["data"] == {"RtdInterval": "30"}
    assert "100000" not in str(found)  # the password


def test_an_hourly_segment_gives_each_factor_its_mean_unit_and_flag() -> None:
    found = told(HEAD + "Flag=5;CP=&&DataTime=20240301070000;w01018-Cou=63.0,w01018-Min=16.4,w01018-Avg=17.5,"
                 "w01018-Max=20.1,w01018-Flag=N;w21003-Avg=2.5,w21003-Flag=D&&")  # fmt: skip
    cod, ammonia = found["elements"]
    assert (cod["name_zh"], cod["value"], cod["unit"], cod["statistic"]) == ("化学需氧量", 17.5, "mg/L", "Avg")
    assert cod["values"] == {"Cou": 63.0, "Min": 16.4, "Avg": 17.5, "Max": 20.1}
    assert [(each["flag"], each["flag_name"], each["normal"]) for each in (cod, ammonia)] == [
        ("N", "normal", True), ("D", "fault", False)]  # fmt: skip
    assert (found["observed_at"], found["medium"]) == ("2024-03-01T07:00:00+08:00", "water")


def test_codes_of_2005_have_the_same_names_and_no_flag_means_2005() -> None:
    found = told("ST=32;CN=2011;PW=123456;MN=0873HHMZWSLH02;CP=&&DataTime=20160103133030;060-Rtd=3.09,060-Flag=N&&")
    (ammonia,) = found["elements"]
    assert (found["edition"], ammonia["code"], ammonia["name"]) == ("2005", "060", "ammonia nitrogen")


def test_a_part_says_which_of_how_many_it_is() -> None:
    found = told(HEAD + "Flag=7;PNUM=2;PNO=1;CP=&&DataTime=20240301070000;w01018-Avg=1&&")
    assert (found["packet"], found["warnings"]) == ({"number": 1, "total": 2}, [])
    assert told(HEAD + "Flag=7;CP=&&&&")["warnings"] == [
        "Flag 7 says that the packet is split: PNO from 1 to PNUM expected"
    ]


def test_noise_logs_states_and_sample_times_are_read() -> None:
    found = told(HEAD + "Flag=4;CP=&&Leq-Data=50.0;i11001-Info=//清洗;管路,完成//;SB1-RS=1;"
                 "w01018-SampleTime=20240301070000,w01018-Rtd=2.2,w01018-EFlag=A01&&")  # fmt: skip
    values = {each["code"]: each["value"] for each in found["elements"]}
    assert values == {"Leq": 50.0, "i11001": "//清洗;管路,完成//", "SB1": 1.0, "w01018": 2.2}
    assert (found["elements"][3]["sample_time"], found["elements"][3]["device_flag"]) == ("20240301070000", "A01")


def test_chinese_is_utf8_or_gb2312() -> None:
    text = HEAD + "Flag=4;CP=&&i11001-Info=//停电//&&"
    assert told(text, "gb2312")["elements"] == told(text)["elements"]


def test_a_new_password_is_not_shown() -> None:
    found = told("QN=20240301080000001;ST=32;CN=1072;PW=123456;MN=1;Flag=5;CP=&&NewPW=654321&&")
    assert (found["command_zh"], found["data"]) == ("设置现场机密码", {})


def test_blanks_and_what_is_no_pair_do_not_refuse_a_segment() -> None:
    """Annex C of the standard itself has `; Flag=5` and an ellipsis."""
    found = told(HEAD + " Flag=5;CP=&& ExeRtn=1;…&&")
    assert (found["flag"], found["data"], found["warnings"]) == (5, {"ExeRtn": "1"}, ["no key=value: …"])


def test_what_is_no_number_or_no_time_stays_text_and_nothing() -> None:
    found = told(HEAD + "Flag=4;CP=&&DataTime=20241301070000;w01018-Rtd=nan,w01018-Max=1e999,w01018-Min=-0.50&&")
    assert found["elements"][0]["values"] == {"Rtd": "nan", "Max": "1e999", "Min": -0.5}
    assert found["observed_at"] is None


def test_lower_case_digits_of_the_crc_are_taken() -> None:
    assert decode(ANNEX_A.replace(b"1C80", b"1c80")) == decode(ANNEX_A)


@pytest.mark.parametrize(
    ("frame", "message", "offset"),
    [
        (ANNEX_A.replace(b"1C80", b"1C81"), "CRC 1C80 expected, found 1C81", 107),
        (ANNEX_A.replace(b"1C80", b"1CXX"), "4 hexadecimal digits of the CRC", 107),
        (ANNEX_A.replace(b"##", b"#!"), "## expected", 0),
        (ANNEX_A.replace(b"0101", b"01x1"), "4 digits of the segment's length", 2),
        (ANNEX_A.replace(b"0101", b"1025"), "at most 1024", 2),
        (ANNEX_A.replace(b"0101", b"0100"), "112 bytes as its length says", 112),
        (ANNEX_A[:-2] + b"\n\n", "end mark CR LF", 111),
        (ANNEX_A[:50], "113 bytes as its length says", 50),
        (framed("ST=32;CN=2011;MN=1"), "CP=&&", 6),
        (framed("ST=32;CN=2011;MN=1;CP=&&a-Rtd=1"), "&& expected at the end", 37),
        (framed("ST=32;CN=2011;CP=&&&&"), "MN expected", 6),
        (b"", "## expected", 0),
    ],
)  # fmt: skip
def test_what_is_no_frame_is_refused_with_what_was_expected_and_where(frame: bytes, message: str, offset: int) -> None:
    with pytest.raises(Refused, match=message.replace("(", r"\(")) as refused:
        decode(frame)
    assert refused.value.offset == offset


def test_the_answer_to_data_is_9014_with_the_same_number_and_without_a_wish_for_an_answer() -> None:
    answer = confirmation(decode(framed(HEAD + "Flag=5;CP=&&&&")))
    assert answer is not None
    found = describe(decode(encode(answer)), ZONE)
    assert (found["cn"], found["st"], found["qn"], found["flag"]) == ("9014", "91", "20240301080000001", 4)
    assert confirmation(answer) is None
    assert confirmation(decode(framed(HEAD + "Flag=4;CP=&&&&"))) is None


WORD = st.text("abcxyzABC0123456789.-水污", min_size=1, max_size=8).filter(lambda text: "//" not in text)
PAIRS = st.lists(st.tuples(WORD, WORD), min_size=1, max_size=4).map(tuple)
NEEDED = (("ST", "32"), ("CN", "2011"), ("MN", "1"))


@given(
    PAIRS.filter(lambda pairs: not {key for key, _ in pairs} & {"ST", "CN", "MN"}),
    st.lists(PAIRS, max_size=4).map(tuple),
)
@settings(max_examples=60, deadline=None)
def test_what_was_written_is_read_again(header: Any, data: Any) -> None:
    segment = Segment((*NEEDED, *header), data)
    assert decode(encode(segment)) == segment


@given(st.binary(max_size=200))
@example(b"##0000\r\n")
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_frame_or_refused(data: bytes) -> None:
    offsets = []
    for raw in (data, ANNEX_A[:2] + data, framed("x" * 40)[:6] + data):
        try:
            describe(decode(raw), ZONE)
        except Refused as refused:
            offsets.append(len(raw) - refused.offset)
    assert all(offset >= 0 for offset in offsets)


def test_a_flipped_bit_is_refused_or_leaves_a_well_formed_segment() -> None:
    """This CRC forgets half of itself with each byte, so that it does not see every single bit."""
    seen = 0
    for bit in range(len(ANNEX_A) * 8):
        flipped = bytearray(ANNEX_A)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            describe(decode(bytes(flipped)), ZONE)
        except Refused:
            seen += 1
    assert seen > 0.95 * len(ANNEX_A) * 8


def test_a_stream_is_cut_into_its_frames_whatever_the_pieces_and_the_garbage() -> None:
    broken = ANNEX_A.replace(b"1C80", b"1C81")
    stream = b"noise" + ANNEX_A + b"~" + broken + ANNEX_A + ANNEX_A[:40] + ANNEX_A + ANNEX_A[:30]
    for size in (1, 7, len(stream)):
        frames = Frames(CODEC)
        found = [each for at in range(0, len(stream), size) for each in frames.feed(stream[at : at + size])]
        found += frames.end()
        frame_at = [each.at for each in found if each.frame is not None]
        assert frame_at == [5, 5 + 113 + 1 + 113, 5 + 113 + 1 + 113 + 113 + 40]
        refused = [(each.at, each.refused.offset) for each in found if each.refused]
        assert refused[0] == (5 + 113 + 1, 107)
        assert found[0].skipped == 5
        assert found[1].skipped == 1
