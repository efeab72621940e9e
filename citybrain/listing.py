"""Pages of a list: `{"items": [], "next": cursor|null}`, by keyset, so that page 1,000 costs what page 1 costs."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import orjson
from fastapi import Query
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, not_, or_, select, true

from citybrain.problem import invalid

Limit = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[str | None, Query(max_length=500)]
Word = Annotated[str | None, Query(max_length=100)]
SortKey = tuple[ColumnElement[Any], bool]  # column, descending
LOOKED = 50_000  # rows that one page looks at, of what may be rare


def page(
    tx: Connection,
    query: Select[Any],
    keys: Sequence[SortKey],
    cursor: str | None,
    limit: int,
    show: Callable[[Row[Any]], dict[str, Any]],
    *,
    looked: int | None = None,
) -> dict[str, Any]:
    """Rows ordered by `keys`, whose last must be unique; each key is read back from a column `sort_0`, `sort_1` …
    `looked`: no index leads to what is asked for; a page ends after so many rows, found or not, and `next` goes on."""
    columns = [column.label(f"sort_{index}") for index, (column, _) in enumerate(keys)]
    order = [column.desc() if down else column.asc() for column, down in keys]
    begun = _after(keys, _decode(cursor, keys)) if cursor else true()
    query = query.add_columns(*columns).where(begun).order_by(*order).limit(limit + 1)
    last_looked = select(*columns).where(begun).order_by(*order).offset(looked).limit(1)
    ends = tx.execute(last_looked).first() if looked else None
    rows = tx.execute(query.where(_until(keys, ends)) if ends else query).all()
    more: str | None
    if len(rows) > limit:
        last = rows[limit - 1]._mapping
        more = _encode([last[f"sort_{index}"] for index in range(len(keys))])
    else:
        more = _encode(list(ends)) if ends else None
    return {"items": [show(row) for row in rows[:limit]], "next": more}


def contains(text: str, *columns: ColumnElement[Any]) -> ColumnElement[bool]:
    return or_(*(column.icontains(text, autoescape=True) for column in columns))


def _after(keys: Sequence[SortKey], values: Sequence[Any]) -> ColumnElement[bool]:
    """(a, b) after (x, y) as a > x or (a = x and b > y), each in its own direction."""
    options = []
    for index, (column, down) in enumerate(keys):
        same = [keys[earlier][0] == values[earlier] for earlier in range(index)]
        options.append(and_(*same, column < values[index] if down else column > values[index]))
    column, down = keys[0]
    bound = column <= values[0] if down else column >= values[0]  # for the index
    return options[0] if len(keys) == 1 else and_(bound, or_(*options))


def _until(keys: Sequence[SortKey], values: Sequence[Any]) -> ColumnElement[bool]:
    column, down = keys[0]
    bound = column >= values[0] if down else column <= values[0]
    return bound if len(keys) == 1 else and_(bound, not_(_after(keys, values)))


def _encode(values: list[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


def _decode(cursor: str, keys: Sequence[SortKey]) -> list[Any]:
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        values = None
    if not isinstance(values, list) or len(values) != len(keys) or not all(map(_belongs, values, keys)):
        raise invalid("cursor", "it is none that this list gave", "leave it out to begin at the first page")
    return values


def _belongs(value: Any, key: SortKey) -> bool:
    """Whether a store can compare it with that column: whoever forges a cursor may have put anything into it."""
    if key[0].type.python_type is int:
        return type(value) is int and abs(value) < 2**63
    return isinstance(value, str) and "\x00" not in value
