"""What is wrong in a file someone gave us: where, which item, and what was expected; collected, to be told at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: `file`, the `item` in it (a line, code or key), and the `expectation` it does not meet."""

    file: str
    item: str
    expectation: str

    def __str__(self) -> str:
        return f"{self.file}: {self.item}: {self.expectation}"


class Mistakes(ValueError):
    """Raised with every mistake found, never with the first only."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?` for the known word most like this one, else nothing."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""
