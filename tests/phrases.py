"""How well the rules find the type of what people write: counts over the labelled phrases, a line a domain and half.

`make phrases` prints the table; `--failures` lists what went wrong in the tuning half. The held-out half is only ever
counted: terms written to mend one of its phrases would make its figures worthless.
"""

import csv
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from citybrain.domain import Domain, load_domains
from citybrain.routing.context import Context
from citybrain.routing.decision import Decision
from citybrain.routing.departments import Department
from citybrain.routing.report import Filed
from citybrain.routing.responsibility import Responsibility

PHRASES = Path(__file__).parent / "data" / "phrases.csv"
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
TRIAGE = "triage"
SPLITS = ("tuning", "held_out")


class Phrase(NamedTuple):
    """`type` is the only right answer in the domain that it is posted to; `triage` where a person has to ask back."""

    text: str
    domain: str
    type: str
    split: str


@dataclass(slots=True)
class Tally:
    """`typed` phrases have a right type, `vague` ones have none."""

    typed: int = 0
    vague: int = 0
    decided: int = 0
    right: int = 0
    vague_decided: int = 0
    guessed: int = 0

    @property
    def precision(self) -> float:
        return _share(self.right, self.decided + self.vague_decided)

    @property
    def share_decided(self) -> float:
        return _share(self.decided, self.typed)

    @property
    def share_guessed(self) -> float:
        """Of the phrases with a type that were left to a person, those whose three best guesses hold it."""
        return _share(self.guessed, self.typed - self.decided)

    def add(self, phrase: Phrase, decision: Decision) -> None:
        if phrase.type == TRIAGE:
            self.vague += 1
            self.vague_decided += decision.type is not None
            return
        self.typed += 1
        self.decided += decision.type is not None
        self.right += decision.type == phrase.type
        self.guessed += decision.type is None and phrase.type in decision.explanation["type"]["guesses"]


def read_phrases(path: Path = PHRASES) -> list[Phrase]:
    with path.open(encoding="utf-8", newline="") as file:
        return [Phrase(**row) for row in csv.DictReader(file)]


def decide(phrases: Iterable[Phrase], domains: Mapping[str, Domain]) -> list[tuple[Phrase, Decision]]:
    office = Department("office", "署", "Office", "county", ("A",), tuple(domains), tuple(domains), None)
    responsibility = Responsibility((office,))
    answers = []
    for phrase in phrases:
        domain = domains[phrase.domain]
        event = Filed(
            id="e", domain=domain.code, title=phrase.text, occurred_at=NOW, codes={"county": "A"}, method="contains"
        )
        answers.append((phrase, domain.decide([event], Context(domain.catalogue, responsibility, NOW))[0]))
    return answers


def count(answers: Iterable[tuple[Phrase, Decision]]) -> Tally:
    tally = Tally()
    for phrase, decision in answers:
        tally.add(phrase, decision)
    return tally


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def main(arguments: list[str]) -> None:
    domains = load_domains({})
    answers = decide(read_phrases(), domains)
    print(f"{'half':9} {'domain':12} {'phrases':>7} {'vague':>5} {'precision':>9} {'decided':>7} {'in guesses':>10}")
    for split in SPLITS:
        for code in (*sorted(domains), "all"):
            tally = count(one for one in answers if one[0].split == split and code in (one[0].domain, "all"))
            if not tally.typed:
                continue
            shares = f"{tally.precision:9.3f} {tally.share_decided:7.3f} {tally.share_guessed:10.3f}"
            print(f"{split:9} {code:12} {tally.typed + tally.vague:7} {tally.vague:5} {shares}")
    if "--failures" in arguments:
        _print_failures(one for one in answers if one[0].split == "tuning")


def _print_failures(answers: Iterable[tuple[Phrase, Decision]]) -> None:
    for phrase, decision in answers:
        if (decision.type or TRIAGE) != phrase.type:
            found = decision.explanation["winner"] if decision.type else decision.explanation["type"]["guesses"]
            print(f"{phrase.text} [{phrase.type}] {decision.type or decision.triage} {found}")


if __name__ == "__main__":
    main(sys.argv[1:])
