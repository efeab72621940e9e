"""JSON as everyone understands it, for every door: UTF-8, no NaN, no lone surrogates, neither too deep nor too many
parts. Nothing here knows what the JSON is about."""

from typing import Any

import orjson

from citybrain.problem import invalid

MAX_DEPTH = 32
MAX_CONTAINERS = 1_000_000  # arrays and objects in one body; the garbage collector takes seconds over more


def parse_json(body: bytes) -> Any:
    """Of a name given twice the last counts. Raises Problem 422."""
    if body.count(b"[") + body.count(b"{") > MAX_CONTAINERS:
        raise invalid("body", f"more than {MAX_CONTAINERS} arrays and objects", "send less at once")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        remedy = "send UTF-8 JSON; NaN, Infinity and lone surrogates are no JSON"
        raise invalid("body", f"not JSON: {error}", remedy) from None


def check_fit(value: Any) -> None:
    """Whether it can be worked with and kept: raises Problem 422 naming the field."""
    for name, item in value.items() if isinstance(value, dict) else [("body", value)]:
        if _deeper_than(item, MAX_DEPTH):
            raise invalid(name, f"nested deeper than {MAX_DEPTH}", "flatten it")
    if (where := _nul_in(value)) is not None:
        raise invalid(where, "it contains the NUL character", "leave the character out")


def _deeper_than(value: Any, limit: int) -> bool:
    """By a stack of its own: recursion is what a hostile body attacks."""
    stack = [(value, 1)]
    while stack:
        item, depth = stack.pop()
        if depth > limit:
            return True
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        stack.extend((each, depth + 1) for each in inner if isinstance(each, (dict, list)))
    return False


def _nul_in(raw: Any) -> str | None:
    """The path of the first text with a NUL character, which PostgreSQL cannot keep."""
    if b"\\u0000" not in orjson.dumps(raw):
        return None
    stack: list[tuple[str, Any]] = [("", raw)]
    while stack:
        path, value = stack.pop()
        names = value if isinstance(value, dict) else ()
        if any("\x00" in text for text in (names or [value]) if isinstance(text, str)):
            return path or "body"
        if isinstance(value, dict):
            stack.extend((f"{path}.{name}".lstrip("."), item) for name, item in value.items())
        elif isinstance(value, list):
            stack.extend((f"{path}.{index}".lstrip("."), item) for index, item in enumerate(value))
    return None
