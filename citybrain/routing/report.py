"""What a handler sees of a recorded event; intake and the locator come before it, the rules after it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from zoneinfo import ZoneInfo

from sqlalchemy import Row

from geo.divisions import LEVELS

LOCATED = LEVELS[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """`codes` maps a level (city, county, town, village, cell) to the division's code or None;
    `method` says how the place was found, as in the contract."""

    id: str
    domain: str
    occurred_at: datetime
    type: str | None = None
    grade: int | None = None
    title: str = ""
    description: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    codes: Mapping[str, str | None] = field(default_factory=dict)
    method: str = "none"
    source: str = ""

    @classmethod
    def of_record(cls, row: Row[Any], zone: ZoneInfo) -> Self:
        """What a row of `events` says, in the city's time."""
        return cls(
            id=row.id,
            domain=row.domain,
            occurred_at=datetime.fromtimestamp(row.occurred_at / 1000, zone),
            type=row.type,
            grade=row.grade,
            title=row.title,
            description=row.description,
            attributes=row.attributes,
            codes={level: getattr(row, level) for level in LOCATED},
            method=row.place["method"],
            source=row.source,
        )
