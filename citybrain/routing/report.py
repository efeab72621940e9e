"""What a handler sees of a recorded event; intake and the locator come before it, the rules after it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


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
