"""Facts about text to type: how often the rules are right about what people write, and how often they dare to say."""

from collections import Counter

import pytest
from phrases import SPLITS, TRIAGE, Tally, count, decide, read_phrases

from citybrain.domain import load_domains

DOMAINS = load_domains({})
PHRASES = read_phrases()


@pytest.fixture(scope="module")
def held_out() -> Tally:
    return count(decide((one for one in PHRASES if one.split == "held_out"), DOMAINS))


def test_the_phrases_are_many_different_and_rightly_labelled() -> None:
    assert min(Counter(one.split for one in PHRASES)[split] for split in SPLITS) >= 300
    assert len({(one.domain, one.text) for one in PHRASES}) == len(PHRASES)
    assert [one for one in PHRASES if one.type != TRIAGE and one.type not in DOMAINS[one.domain].catalogue.types] == []


def test_what_the_rules_decide_is_right_in_95_of_100(held_out: Tally) -> None:
    assert held_out.precision >= 0.95


def test_they_decide_two_thirds_and_mostly_guess_the_rest(held_out: Tally) -> None:
    assert held_out.share_decided >= 0.66
    assert held_out.share_guessed >= 0.70
