"""The coverage page: what it says, to whom, and what it costs; the figures themselves are `test_coverage`'s."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pytest
from desk import Desk
from fastapi.testclient import TestClient
from proven import Proven, moment
from reading import row_of, text_of
from sqlalchemy import event

from citybrain.app import build
from citybrain.indicators import latest

COUNTY, TOWN, VILLAGE = "441402", "441402004", "441402004003"
HERE = {"county": COUNTY, "town": TOWN, "village": VILLAGE}
LEVELS = (("city", "441400"), ("county", COUNTY), ("town", TOWN), ("village", VILLAGE))


@dataclass
class Reader:
    """Somebody with a session, on 20 December 2026; the record begins on 23 November."""

    desk: Desk
    record: Proven
    http: TestClient
    key: str

    def page(self, status: int = 200, **asked: Any) -> str:
        answer = self.http.get("/coverage", params=asked, follow_redirects=False)
        assert answer.status_code == status, answer.text
        return answer.text

    def text(self, status: int = 200, **asked: Any) -> str:
        return text_of(self.page(status, **asked))

    def signed_in(self, key: str) -> "Reader":
        self.desk.pass_time(seconds=1)  # in which the service hears of new keys
        http = TestClient(self.http.app)
        http.post("/api/v1/session", json={"key": key}).raise_for_status()
        return replace(self, http=http, key=key)

    def at(self, day: str) -> "Reader":
        """The same person on another day, whose session has ended since."""
        self.desk.now = moment(day)
        return self.signed_in(self.key)

    def role(self, role: str, **scope: Any) -> "Reader":
        return self.signed_in(self.record.key(f"some-{role}", role, **scope))


@pytest.fixture
def reader(desk: Desk) -> Iterator[Reader]:
    record = Proven(desk.here.store)
    desk.now = moment("2026-12-20 12:00")
    admin = record.key("admin", "admin", now=moment("2026-11-23"))
    record.key("worker", "worker")
    record.endpoint()
    return Reader(desk, record, TestClient(build(desk.here)), admin).signed_in(admin)


def test_both_figures_stand_with_formula_numerator_and_denominator(reader: Reader) -> None:
    reader.record.whole("fire", moment("2026-12-01"), **HERE)
    reader.record.write()
    text = reader.text()
    assert "已覆盖 ÷ 全部 × 100 % 实际 1 ÷ 11 × 100 % = 9.1 % 申报 5 ÷ 11 × 100 % = 45.5 %" in text
    assert "全部 = 11 个行业 = 11 项。口径：规划三处并集（11 项）" in text
    counties = reader.text(level="county", basis="topics")
    assert "全部 = 6 个行业 × 8 个县（市、区） = 48 项。口径：专题应用（6 项）" in counties
    assert "实际 1 ÷ 48 × 100 % = 2.1 %" in counties


def test_levels_have_the_names_of_the_citys_pack(reader: Reader) -> None:
    city = reader.desk.here.city
    renamed = city.levels["county"].model_copy(update={"name": "选区"})
    levels = city.file.levels.model_copy(update={"county": renamed})
    reader.desk.here.city = replace(city, file=city.file.model_copy(update={"levels": levels}))
    text = reader.text()
    assert "选区" in text
    assert "县（市、区）" not in text


def test_evidence_has_its_case_and_its_times(reader: Reader) -> None:
    case = reader.record.whole("water", moment("2026-12-01 09:00"), **HERE)
    reader.record.write()
    page = reader.page(division=VILLAGE)
    water = row_of(page, "水务")
    assert "推送 12-01 09:01 ep 反馈 12-01 09:30 dept 核查 12-01 10:00 worker 有效至 12-31 09:01" in water
    assert f'<a href="/cases/{case}">N1</a>' in page
    assert "没有业务领域覆盖该行业" in row_of(page, "公安")


def test_case_outside_the_readers_scope_is_named_without_a_link(reader: Reader) -> None:
    """It proved something here and was moved away afterwards."""
    case = reader.record.whole("water", moment("2026-12-01"), county="441403", town="441403100", village=None)
    reader.record.relocated(case, moment("2026-12-10"), HERE, {"county": "441403", "town": "441403100"})
    reader.record.write()
    page = reader.role("operator", divisions=[COUNTY]).page(at="2026-12-05")
    assert "N1" in row_of(page, "水务")
    assert f"/cases/{case}" not in page


def test_every_day_of_the_history_stands_in_a_table_beside_the_drawing(reader: Reader) -> None:
    """The feedback of 23 November, 12:30, holds until 23 December: seen from then, the line falls on that day."""
    reader.record.whole("fire", moment("2026-11-23 12:00"), **HERE)
    reader.record.write()
    page = reader.at("2026-12-30 12:00").page(division=COUNTY, days=60)
    assert "9.1 % 1 / 11 45.5 % 5 / 11" in row_of(page, "2026-12-22")
    assert "0.0 % 0 / 11 45.5 % 5 / 11" in row_of(page, "2026-12-23")
    assert "无数据" in row_of(page, "2026-11-22"), "before the record began nothing was counted"
    assert '<svg class="history"' in page
    assert 'role="img" aria-labelledby="chart-title chart-desc"' in page
    assert "实际：2026-11-23 为 9.1 %，2026-12-30 为 0.0 %，最低 0.0 %，最高 9.1 %。" in page
    for number in range(60):
        assert row_of(page, str(date(2026, 12, 30) - timedelta(days=number)))


def test_no_data_is_said_and_is_not_zero(reader: Reader) -> None:
    text = reader.text(at="2026-11-20")
    assert "实际 无数据 申报 0.0 %" in text
    assert "“无数据”不是 0：台账从 2026-11-23 开始，到 2026-11-20 还没有任何记录" in text
    assert "未覆盖" not in text
    assert "0.0 %" in reader.text(at="2026-11-24")


def test_a_coming_day_is_what_would_be_left_and_says_so(reader: Reader) -> None:
    reader.record.whole("fire", moment("2026-12-01"), **HERE)
    reader.record.write()
    page = reader.page(division=COUNTY, at="2027-01-05")
    assert "预计：2027-01-05 还没有到" in page
    assert "最近一次在 2026-12-01，自 2026-12-31 起不再计入" in row_of(page, "消防救援")
    assert "预计" not in reader.text(division=COUNTY)


def test_demonstration_counts_only_when_asked_for_and_both_are_said(reader: Reader) -> None:
    reader.record.whole("fire", moment("2026-12-01"), demo=True, **HERE)
    reader.record.write()
    page = reader.page(division=COUNTY)
    assert "演示证据不计入" in page
    assert "演示 不计入" in row_of(page, "消防救援")
    assert "只有演示证据，不计入" in row_of(page, "消防救援")
    counted = reader.page(division=COUNTY, include_demo=1)
    assert "已计入演示证据，不是正式数字" in counted
    assert "● 已覆盖" in row_of(counted, "消防救援")


def test_divisions_stand_in_the_order_of_their_percentages(reader: Reader) -> None:
    for domain in ("fire", "water"):
        reader.record.whole(domain, moment("2026-12-01"), county="441424", town="441424100", village=None)
    reader.record.whole("fire", moment("2026-12-01"), county="441481", town=None, village=None)
    reader.record.write()
    page = reader.page()
    assert row_of(page, "五华县").split()[:2] == ["1", "五华县"]
    assert row_of(page, "兴宁市").split()[:2] == ["2", "兴宁市"]
    assert row_of(reader.page(order="lowest"), "五华县").split()[:2] == ["8", "五华县"]
    assert "第 51–100 个，共 2269 个" in reader.text(level="village", page=2)


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({"division": "999999"}, 404, "没有这个区划，或不在您的查看范围内"),
        ({"at": "2020-12-31"}, 422, "日期：登记册从 2021-01-01 开始，之前没有数据；请选择这一天或以后的日期"),
        ({"at": "2027-06-01"}, 422, "日期：最晚可选 2027-01-19"),
        ({"at": "昨天"}, 422, "日期：“昨天”不是日期，应形如 2026-11-22"),
        ({"basis": "preambel"}, 422, "口径：登记册中没有“preambel”，请在覆盖率页的“口径”中选择"),
        ({"level": "province"}, 422, "层级：本市没有“province”这一层级"),
        ({"level": "county", "division": TOWN}, 422, "层级：所选区划比这一层级更细"),
        ({"days": "viele"}, 422, "历史天数：应为整数"),
        ({"days": "9999"}, 422, "历史天数：不能大于 366"),
        ({"order": "x"}, 422, "排序：没有这个选项"),
        ({"basis": "<script>"}, 422, "登记册中没有“<script>”"),
    ],
)
def test_a_wrong_address_is_answered_in_words_with_a_way_back(
    reader: Reader, asked: Any, status: int, said: str
) -> None:
    page = reader.page(status, **asked)
    assert said in text_of(page)
    assert '<a class="button" href="/coverage">' in page
    assert "<script>" not in page


@pytest.mark.parametrize(
    ("role", "status"),
    [("source", 403), ("worker", 403), ("system", 403), ("operator", 200), ("auditor", 200), ("admin", 200)],
)
def test_who_may_read_the_page_and_finds_it(reader: Reader, role: str, status: int) -> None:
    someone = reader.role(role)
    someone.page(status)
    assert ('href="/coverage"' in someone.http.get("/report" if role in ("source", "worker") else "/cases").text) == (
        status == 200
    )


def test_without_a_session_one_signs_in_first(reader: Reader) -> None:
    stranger = replace(reader, http=TestClient(reader.http.app))
    answer = stranger.http.get("/coverage?level=town", follow_redirects=False)
    assert answer.headers["location"] == "/login?next=%2Fcoverage%3Flevel%3Dtown"


def test_a_reader_of_one_county_begins_there_and_sees_nothing_above(reader: Reader) -> None:
    reader.record.whole("fire", moment("2026-12-01"), county="441403", town="441403100", village=None)
    reader.record.write()
    mine = reader.role("operator", divisions=[COUNTY])
    page = mine.page()
    assert "实际 0 ÷ 11" in text_of(page)
    for outside in ("441400", "441403"):
        assert f"division={outside}" not in page
        assert f'value="{outside}"' not in page
        mine.page(404, division=outside)


def test_the_page_costs_the_same_queries_for_one_division_and_for_thousands(reader: Reader) -> None:
    for number in range(40):
        village = reader.desk.here.city.divisions.level("village")[number * 50]
        path = reader.desk.here.city.divisions.path(village.code)
        reader.record.whole("fire", moment("2026-12-01"), **{level: path[level] for level in HERE})
    reader.record.write()
    latest.keep(reader.desk.here.store, reader.desk.now, patience=60)
    asked = {"level=city": {}, "level=village": {"level": "village"}}
    reader.page()  # what is read once only is read now
    number = {name: _statements(reader, **each) for name, each in asked.items()}
    assert number["level=village"] <= number["level=city"] + 3, number  # when somebody last checked
    assert number["level=city"] < 60


def _statements(reader: Reader, **asked: Any) -> int:
    told: list[str] = []
    engine = reader.desk.here.store.engine

    def tell(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        told.append(statement)

    event.listen(engine, "before_cursor_execute", tell)
    reader.page(**asked)
    event.remove(engine, "before_cursor_execute", tell)
    return len(told)
