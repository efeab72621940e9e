"""A list by what no index leads to looks at so many rows a page; whoever follows `next` has seen everything."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import pytest
from desk import Desk
from postgres import both_stores
from sqlalchemy import ColumnElement, select

from citybrain.casework.reading import SORTS
from citybrain.listing import SortKey, page
from citybrain.store.tables import cases

pytestmark = both_stores
RARE = cases.c.title == "井盖缺失"


def pages(desk: Desk, order: Sequence[SortKey], where: ColumnElement[bool], limit: int) -> list[list[str]]:
    """The titles on each page, of ten cases looked at."""
    found, cursor = [], None
    while True:
        with desk.here.store.read() as tx:
            seen: dict[str, Any] = page(
                tx, select(cases).where(where), order, cursor, limit, lambda row: {"title": row.title}, looked=10
            )
        found.append([item["title"] for item in seen["items"]])
        if (cursor := seen["next"]) is None:
            return found


@pytest.mark.parametrize("sort", sorted(SORTS))
def test_what_is_rare_is_found_on_a_later_page(desk: Desk, sort: str) -> None:
    desk.report(
        {"title": "井盖缺失"}, *[{"title": f"路灯不亮 {number}"} for number in range(28)], {"title": "井盖缺失"}
    )
    desk.handle()
    found = pages(desk, SORTS[sort], RARE, 5)
    assert list(chain.from_iterable(found)) == ["井盖缺失"] * 2
    assert len(found) == 3
    assert [] in found


def test_a_page_that_is_full_ends_where_its_last_row_is(desk: Desk) -> None:
    desk.report(*[{"title": f"路灯不亮 {number:02}"} for number in range(25)])
    desk.handle()
    found = pages(desk, SORTS["oldest"], cases.c.title != "", 4)
    assert list(chain.from_iterable(found)) == [f"路灯不亮 {number:02}" for number in range(25)]
    assert [len(each) for each in found] == [4, 4, 4, 4, 4, 4, 1]
