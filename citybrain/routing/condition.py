"""Tests on an event's attributes, as a manifest's `when` states them. A missing attribute satisfies none of them
but `exists` with the value false, so no value never counts as a level."""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from citybrain.routing.manifest import When

_ORDER: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def number(value: Any) -> float | None:
    """The finite number a value states, also as text; None for all else (`FF…`, NaN, true)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def holds(test: When, attributes: Mapping[str, Any]) -> bool:
    value = attributes.get(test.attribute)
    present = value is not None and value != "" and value != []
    if test.op == "exists":
        return present is (test.value is not False)
    operand = attributes.get(test.other_attribute) if test.other_attribute else test.value
    if not present or operand is None:
        return False
    if test.op in _ORDER:
        left, right = number(value), number(operand)
        return left is not None and right is not None and _ORDER[test.op](left, right)
    wanted = operand if test.op == "in" and isinstance(operand, list) else [operand]
    given = value if isinstance(value, list) else [value]
    among = any(same(one, other) for one in given for other in wanted)
    return not among if test.op == "!=" else among


def all_hold(tests: Sequence[When], attributes: Mapping[str, Any]) -> bool:
    return all(holds(test, attributes) for test in tests)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    left, right = number(one), number(other)
    if left is not None and right is not None:
        return left == right
    return str(one).strip().casefold() == str(other).strip().casefold()


def shown(test: When, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The test with the values it saw, for an explanation."""
    answer: dict[str, Any] = {"attribute": test.attribute, "op": test.op, "was": attributes.get(test.attribute)}
    if test.other_attribute:
        answer |= {"other_attribute": test.other_attribute, "value": attributes.get(test.other_attribute)}
    else:
        answer["value"] = test.value
    return answer
