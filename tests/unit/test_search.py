"""Facts about the search for event types: by Chinese words, pinyin, initials, English and code, the best first."""

import pytest

from citybrain.domain import load_domains
from citybrain.routing.search import TypeIndex

INDEX = TypeIndex(domain.catalogue for domain in load_domains({}).values())


def codes(words: str, domain: str | None = None) -> list[str]:
    return [kind.code for _, kind in INDEX.find(words, domain)]


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("私搭乱建", "m06001"),
        ("sdlj", "m06001"),
        ("SDLJ", "m06001"),
        ("路灯", "c01037"),
        ("ludeng", "c01037"),
        ("ld", "c01037"),
        ("01037", "c01037"),
        ("m01037", "m01037"),
        ("路灯 异常", "m01037"),
        ("牛皮癣", "m07001"),
        ("street light", "c01037"),
        ("gas_leak", "fire.gas_leak"),
        ("GB 5749", "water.tap_water_quality"),
    ],
)
def test_a_type_is_found_by_whatever_it_is_called(words: str, first: str) -> None:
    assert codes(words)[0] == first


def test_every_manhole_cover_is_found_by_two_initials() -> None:
    covers = set(codes("井盖", "grid"))
    assert len(covers) >= 40
    assert {code for code in covers if code[0] == "c"} <= set(codes("jg", "grid"))


def test_a_search_stays_in_its_domain_and_finds_nothing_for_nonsense() -> None:
    assert all(code.startswith("fire.") for code in codes("烟", "fire"))
    assert codes("烟", "fire")
    assert codes("qqqqxyz") == []


def test_without_words_all_types_are_listed() -> None:
    assert len(codes("", "grid")) == 403
