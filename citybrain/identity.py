"""A short name for content: by it the record says on which rules, departments and calendar a decision was based."""

import hashlib
from typing import Any

import orjson

DIGITS = 12


def identity(content: Any) -> str:
    """The same for the same content, in whatever order its keys stand. Dataclasses and dates are taken as JSON."""
    form = orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return hashlib.sha256(form).hexdigest()[:DIGITS]
