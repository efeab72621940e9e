"""CAP alerts as senders really write them are read; what is none is refused with where and why, whatever the bytes."""

import json
from typing import Any

import pytest
from alerts import INFO, alert, area
from hypothesis import given, settings
from hypothesis import strategies as st

from domains.emergency.cap import Alert, XmlError, decode


def read(text: str, encoding: str = "utf-8") -> Alert:
    return decode(text.encode(encoding))


def refused(data: bytes | str) -> XmlError:
    with pytest.raises(XmlError) as caught:
        decode(data.encode() if isinstance(data, str) else data)
    return caught.value


def test_an_alert_is_read_under_the_standards_names() -> None:
    found: dict[str, Any] = read(alert()).as_dict()
    assert (found["identifier"], found["sender"]) == ("MZ-20261122-1", "qx@meizhou.example")
    assert (found["sent"], found["msgType"]) == ("2026-11-22T08:00:00+08:00", "Alert")
    (info,) = found["info"]
    assert (info["event"], info["responseType"]) == ("暴雨", [])
    assert info["parameter"][0] == {"valueName": "warning_colour", "value": "橙色"}
    assert json.dumps(found)


def test_a_polygon_becomes_geojson_longitude_first() -> None:
    (one,) = read(alert()).info[0].area
    assert one.geometry is not None
    assert one.geometry["type"] == "Polygon"
    assert [116.1, 24.0] in one.geometry["coordinates"][0]


def test_an_area_of_several_polygons_is_one_geometry() -> None:
    two = "".join(
        f"<polygon>24.0,{x} 24.0,{x + 0.1} 24.1,{x + 0.1} 24.1,{x} 24.0,{x}</polygon>" for x in (116.0, 116.5)
    )
    (one,) = read(alert(area(two))).info[0].area
    assert one.geometry is not None
    assert one.geometry["type"] == "MultiPolygon"


@pytest.mark.parametrize(("radius", "kind"), [("0", "Point"), ("0.0", "Point"), ("2.5", "Polygon")])
def test_a_circle_may_have_radius_0(radius: str, kind: str) -> None:
    (one,) = read(alert(area(f"<circle>24.29,116.12 {radius}</circle>"))).info[0].area
    assert one.geometry is not None
    assert one.geometry["type"] == kind


def test_an_area_may_have_codes_alone() -> None:
    (one,) = read(alert(area(""))).info[0].area
    assert one.geometry is None
    assert [each.value for each in one.geocode] == ["441402"]


def test_references_are_triples_of_sender_identifier_and_sent() -> None:
    """3.2.1: (sender,identifier,sent), several separated by whitespace."""
    text = "a@b,id-1,2026-11-22T07:00:00+08:00\n  a@b,id-2,2026-11-22T07:30:00+08:00"
    found = read(alert(msgType="Update", references=text)).references
    assert [(each.sender, each.identifier, each.sent.minute) for each in found] == [
        ("a@b", "id-1", 0),
        ("a@b", "id-2", 30),
    ]


def test_a_cancel_needs_no_info() -> None:
    assert read(alert("", msgType="Cancel")).info == []


def test_several_infos_are_kept_apart() -> None:
    english = INFO.replace("zh-CN", "en-US").replace("<event>暴雨", "<event>Rainstorm")
    assert [each.event for each in read(alert(INFO + english)).info] == ["暴雨", "Rainstorm"]


def test_a_signature_is_noted_and_its_content_not_read() -> None:
    signature = '<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:status>Test</ds:status></ds:Signature>'
    found = read(alert(INFO + signature))
    assert found.signed
    assert found.status == "Actual"


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("<alert>", "</alert>"),
        ('<alert xmlns="urn:oasis:names:tc:emergency:cap:1.1">', "</alert>"),
        ('<alert xmlns="http://www.incident.com/cap/1.0">', "</alert>"),
        ('<cap:alert xmlns:cap="urn:oasis:names:tc:emergency:cap:1.2">', "</cap:alert>"),
        ("<cap:alert>", "</cap:alert>"),  # a prefix that nothing declares
    ],
)
def test_a_wrong_namespace_keeps_no_alert_out(begin: str, end: str) -> None:
    assert read(alert(begin=begin, end=end)).identifier == "MZ-20261122-1"


@pytest.mark.parametrize(
    ("encoding", "written", "sender"),
    [
        ("ISO-8859-1", "iso-8859-1", "Météo"),
        ("GB2312", "gb18030", "气象台"),
        ("gbk", "gb18030", "鎮氣象"),
        ("utf-8", "utf-8-sig", "气象台"),
        ("UTF-16", "utf-16", "气象台"),
        ("Big5", "big5", "氣象台"),
    ],
)
def test_what_a_sender_declares_is_how_it_is_read(encoding: str, written: str, sender: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n' + alert("", source=sender)
    assert read(text, written).source == sender


def test_empty_lines_before_the_declaration_are_passed_over() -> None:
    assert read('\n\n<?xml version="1.0"?>' + alert()).status == "Actual"


@pytest.mark.parametrize("sent", ["2026-11-22T00:00:00Z", "2026-11-22T00:00:00.5Z", "2026-11-22T00:00:00-00:00"])
def test_utc_is_written_in_several_ways(sent: str) -> None:
    assert read(alert(sent=sent)).sent.hour == 0


def test_a_colour_in_the_place_of_a_severity_is_kept() -> None:
    assert read(alert(INFO.replace("Severe", "Orange"))).info[0].severity == "Orange"


@pytest.mark.parametrize("name", ["identifier", "sender", "sent", "status", "msgType", "scope"])
def test_what_the_standard_requires_is_missed_by_name(name: str) -> None:
    assert name in str(refused(alert(**{name: None})))
    assert name in str(refused(alert(**{name: ""})))


@pytest.mark.parametrize("name", ["category", "event", "urgency", "severity", "certainty", "areaDesc"])
def test_what_an_info_requires_is_missed_by_name(name: str) -> None:
    assert name in str(refused(alert(INFO.replace(f"<{name}>", f"<{name}0>").replace(f"</{name}>", f"</{name}0>"))))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"status": "Real"}, "not one of Actual"),
        ({"msgType": "Warning"}, "not one of Alert"),
        ({"scope": "Everybody"}, "not one of Public"),
        ({"sent": "2026-11-22T08:00:00"}, "no time with an offset"),
        ({"sent": "2026-13-22T08:00:00+08:00"}, "no such time"),
        ({"identifier": "a,b"}, "a comma or a space"),
        ({"sender": "a b"}, "a comma or a space"),
        ({"references": "a@b,id-1"}, "no `sender,identifier,sent`"),
    ],
)
def test_what_decides_an_alerts_way_has_to_be_right(other: dict[str, str], words: str) -> None:
    assert words in str(refused(alert(**other)))


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        ("<polygon>24.0,116.0 24.0,116.1 24.0,116.0</polygon>", "at least 4"),
        ("<polygon>24.0,116.0 24.0,116.1 24.1,116.1 24.1,116.0</polygon>", "not closed"),
        ("<polygon>116.0,24.0 116.0,24.1 116.1,24.1 116.0,24.0</polygon>", "latitude first"),
        ("<circle>24.29,116.12</circle>", "radius"),
        ("<circle>24.29,116.12 -1</circle>", "radius"),
    ],
)
def test_an_area_that_is_none_is_refused_where_it_begins(inner: str, words: str) -> None:
    text = alert(area(inner))
    error = refused(text)
    assert words in str(error)
    assert text.encode()[error.offset :].startswith(b"<area>")


def test_the_offset_counts_the_bytes_that_were_sent() -> None:
    text = '<?xml version="1.0" encoding="gbk"?>\n' + alert(source="梅州市气象台", scope="Nobody")
    data = text.encode("gbk")
    error = refused(data)
    assert data[error.offset :].startswith(b"<scope>")
    assert error.line == 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no element"),
        (b"<alert", "unclosed"),
        (b"<feed></feed>", "not alert"),
        ('<!DOCTYPE alert [<!ENTITY a "b">]>' + alert(source="&a;"), "document type"),
        ('<!DOCTYPE alert SYSTEM "http://127.0.0.1/x.dtd">' + alert(), "document type"),
        (alert(source="&a;"), "undefined entity"),
        ("<a>" * 100_000, "deeper than"),
        ("<a>" + "<b/>" * 100_001 + "</a>", "elements and attributes"),
        (b'<?xml version="1.0" encoding="utf-7"?><alert/>', "is not read"),
        (b'<?xml version="1.0" encoding="big5"?><alert>\xff\xff</alert>', "not written in big5"),
        (alert(source="\ud800").encode(errors="surrogatepass"), "not well-formed"),
    ],
)  # fmt: skip
def test_xml_that_attacks_or_is_none_is_refused(data: bytes | str, words: str) -> None:
    assert words in str(refused(data))


WHOLE = ('<?xml version="1.0" encoding="UTF-8"?>' + alert()).encode()


def check_said(data: bytes) -> None:
    refusal: XmlError | None = None
    try:
        decode(data)
    except XmlError as error:
        refusal = error
    if refusal is not None:
        assert 0 <= refusal.offset <= len(data)
        assert refusal.line >= 1


@settings(max_examples=150)
@given(st.binary(max_size=400))
def test_any_bytes_are_an_alert_or_refused(data: bytes) -> None:
    check_said(data)


@settings(max_examples=300)
@given(at=st.integers(0, len(WHOLE)), cut=st.integers(0, 40), put=st.binary(max_size=12))
def test_an_alert_that_was_damaged_anywhere_is_an_alert_or_refused(at: int, cut: int, put: bytes) -> None:
    check_said(WHOLE[:at] + put + WHOLE[at + cut :])
