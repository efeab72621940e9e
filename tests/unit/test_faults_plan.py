"""What the campaign against the whole is made of: points and bugs that exist in the product, and a plan by the seed."""

from importlib import import_module
from itertools import islice
from typing import Any

import pytest

from faults.campaign import AT_ONCE, plan
from faults.inside.planted import BUGS
from faults.inside.points import POINTS
from faults.kinds import KINDS, STORES, Kind
from faults.kinds.points import DEATHS, FREEZES

REPLACED = [(module, function) for bug in BUGS.values() for module, function, _ in bug.replaced]


@pytest.mark.parametrize(("module", "function"), [*((p.module, p.function) for p in POINTS.values()), *REPLACED])
def test_what_is_wrapped_is_there(module: str, function: str) -> None:
    found: Any = import_module(module)
    for name in function.split("."):
        found = getattr(found, name)
    assert callable(found)


def test_every_point_is_died_at_and_every_bug_is_revealed_by_a_kind() -> None:
    assert set(DEATHS.values()) == set(POINTS)
    assert {point for point, _ in FREEZES.values()} <= set(POINTS)
    assert {name for bug in BUGS.values() for name in bug.revealed_by} <= set(KINDS)


def test_each_store_has_25_kinds_at_least() -> None:
    for store in STORES:
        assert sum(store in kind.stores for kind in KINDS.values()) >= 25


def _names(shard: int = 1, shards: int = 1, seed: int = 7, steps: int = 60) -> list[tuple[str, ...]]:
    found = islice(plan(seed, list(KINDS.values()), shard, shards), steps)
    return [tuple(kind.name for kind in step.kinds) for step in found]


def test_a_seed_gives_one_plan_and_its_shards_share_it() -> None:
    whole = _names()
    assert whole == _names()
    assert whole != _names(seed=8)
    assert [_names(shard, 3, steps=20) for shard in (1, 2, 3)] == [whole[0::3], whole[1::3], whole[2::3]]


def test_every_kind_comes_as_often_as_every_other() -> None:
    flat = [name for step in _names(steps=200) for name in step]
    times = [flat.count(name) for name in KINDS]
    assert max(times) - min(times) <= 1 + AT_ONCE // 2


def test_what_is_broken_at_once_has_different_targets() -> None:
    def targets(kinds: tuple[Kind, ...]) -> list[str]:
        return [kind.target for kind in kinds]

    steps = list(islice(plan(3, list(KINDS.values())), 60))
    assert all(len(set(targets(step.kinds))) == len(step.kinds) for step in steps)
    assert max(len(step.kinds) for step in steps) == AT_ONCE
