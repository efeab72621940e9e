"""Facts about text to type: how often the rules are right about what people write, and how often they dare to say."""

from collections import Counter

import pytest
from phrases import NO_TYPE, count, decide, read_phrases

from citybrain.domain import load_domains

DOMAINS = load_domains({})
PHRASES = read_phrases()
HELD_OUT = [one for one in PHRASES if one.split == "held_out"]
INDEPENDENT = [one for one in PHRASES if one.split == "tuning" and one.author == "independent"]


def test_the_phrases_are_many_different_and_rightly_labelled() -> None:
    assert Counter(one.split for one in PHRASES)["tuning"] >= 1000
    assert len(INDEPENDENT) >= 300
    assert len(HELD_OUT) >= 300
    typed = [one for one in PHRASES if one.type != NO_TYPE]
    assert len({(one.domain, one.title, one.description) for one in typed}) == len(typed)
    assert [one for one in typed if one.type not in DOMAINS[one.domain].catalogue.types] == []


@pytest.mark.parametrize("code", sorted(DOMAINS))
def test_what_the_rules_decide_of_the_texts_they_were_tuned_on_is_right_in_every_domain(code: str) -> None:
    tally = count(decide((one for one in INDEPENDENT if one.domain == code), DOMAINS))
    assert tally.precision >= 0.95
    assert tally.share_decided >= 0.70


def test_of_the_texts_they_were_tuned_on_97_of_100_are_right_and_the_rest_mostly_guessed() -> None:
    tally = count(decide((one for one in PHRASES if one.split == "tuning"), DOMAINS))
    assert tally.precision >= 0.97
    assert tally.share_guessed >= 0.75


def test_of_unseen_texts_what_the_rules_decide_is_right_in_95_of_100() -> None:
    assert count(decide(HELD_OUT, DOMAINS)).precision >= 0.95


def test_of_unseen_texts_they_decide_most_and_mostly_guess_the_rest() -> None:
    tally = count(decide(HELD_OUT, DOMAINS))
    assert tally.share_decided >= 0.65
    assert tally.share_guessed >= 0.75
