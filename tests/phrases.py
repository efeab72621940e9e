"""How well the rules find the type of what people write: counts over the labelled phrases, by split, author and domain.

`make phrases` prints the table; `--failures` lists what went wrong in the tuning split. The held-out split is only ever
counted: terms written to mend one of its phrases would make its figures worthless. Who wrote the rules' terms knows
what they find: the phrases of the `terms` author say less than those of an `independent` one, who saw the names alone.
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
NO_TYPE = "-"


class Phrase(NamedTuple):
    """`type` is the only right answer in the domain that it is posted to; `-` where a person has to ask back."""

    domain: str
    type: str
    title: str
    description: str
    split: str
    author: str


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
        if phrase.type == NO_TYPE:
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
            id="e",
            domain=domain.code,
            title=phrase.title,
            description=phrase.description,
            occurred_at=NOW,
            codes={"county": "A"},
            method="contains",
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
    print(f"{'split':9} {'author':11} {'domain':11} phrases vague precision decided in guesses")
    for split, author in sorted({(phrase.split, phrase.author) for phrase, _ in answers}):
        group = [one for one in answers if (one[0].split, one[0].author) == (split, author)]
        for code in (*sorted(domains), "all"):
            tally = count(one for one in group if code in (one[0].domain, "all"))
            if tally.typed:
                shares = f"{tally.precision:9.3f} {tally.share_decided:7.3f} {tally.share_guessed:10.3f}"
                print(f"{split:9} {author:11} {code:11} {tally.typed + tally.vague:7} {tally.vague:5} {shares}")
    if "--failures" in arguments:
        _print_failures(one for one in answers if one[0].split == "tuning")


def _print_failures(answers: Iterable[tuple[Phrase, Decision]]) -> None:
    for phrase, decision in answers:
        if (decision.type or NO_TYPE) != phrase.type:
            found = decision.explanation["winner"] if decision.type else decision.explanation["type"]["guesses"]
            said = f"{phrase.title} | {phrase.description}".rstrip(" |")
            print(f"{said} [{phrase.type}] {decision.type or decision.triage} {found}")


if __name__ == "__main__":
    main(sys.argv[1:])
