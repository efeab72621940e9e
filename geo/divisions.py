"""The city's administrative divisions: codes, names and who contains whom. Editions give them ground."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from geo.mistake import Mistake, Mistakes, did_you_mean

LEVELS = ("city", "county", "town", "village", "cell")  # coarse to fine; positions, not ideas
COLUMNS = ("code", "name", "level", "parent_code")
_SUGGESTED = 20  # "did you mean" compares with every code, which takes minutes when all are wrong


@dataclass(frozen=True, slots=True)
class Division:
    code: str
    name: str
    level: str
    parent_code: str


class Divisions:
    """An immutable tree of divisions. Codes are opaque strings: what contains what stands in `parent_code` alone."""

    def __init__(self, rows: Iterable[Division]) -> None:
        self._rows = {row.code: row for row in rows}
        children: dict[str, list[Division]] = {}
        levels: dict[str, list[Division]] = {level: [] for level in LEVELS}
        for row in sorted(self._rows.values(), key=lambda row: row.code):
            children.setdefault(row.parent_code, []).append(row)
            levels[row.level].append(row)
        self._children = {code: tuple(rows) for code, rows in children.items()}
        self._levels = {level: tuple(rows) for level, rows in levels.items()}
        self._paths: dict[str, Mapping[str, str]] = {}
        for level in LEVELS:
            for row in self._levels[level]:
                above = self._paths.get(row.parent_code, {})
                self._paths[row.code] = MappingProxyType({**above, level: row.code})

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __contains__(self, code: object) -> bool:
        return code in self._rows

    def get(self, code: str) -> Division | None:
        return self._rows.get(code)

    def children(self, code: str) -> tuple[Division, ...]:
        """The divisions directly below, by code."""
        return self._children.get(code, ())

    def level(self, level: str) -> tuple[Division, ...]:
        """All divisions of one level, by code."""
        return self._levels.get(level, ())

    def path(self, code: str) -> Mapping[str, str]:
        """`{level: code}` of the division and everything above it, coarse to fine; empty for an unknown code."""
        return self._paths.get(code, MappingProxyType({}))

    def covers(self, outer: str, inner: str) -> bool:
        """Whether `inner` is `outer` or lies below it."""
        return outer in self.path(inner).values()


def read_divisions(path: Path) -> Divisions:
    """The divisions of a `divisions.csv`; raises `Mistakes` with everything that is wrong in it."""
    divisions, mistakes = check_divisions(path)
    if mistakes:
        raise Mistakes(mistakes)
    return divisions


def check_divisions(path: Path) -> tuple[Divisions, list[Mistake]]:
    """What could be read, and every mistake."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        return Divisions(()), [Mistake(path.name, "the file", f"a readable UTF-8 CSV file ({error})")]
    lines = csv.DictReader(text.splitlines())
    if tuple(lines.fieldnames or ()) != COLUMNS:
        found = ",".join(lines.fieldnames or ()) or "nothing"
        return Divisions(()), [Mistake(path.name, "the header", f"{','.join(COLUMNS)}, found {found[:200]}")]
    rows: dict[str, Division] = {}
    mistakes: list[Mistake] = []
    for number, line in enumerate(lines, start=2):
        wrong = _mistakes_of_line(line, rows)
        mistakes += [Mistake(path.name, f"line {number}", what) for what in wrong]
        if not wrong:
            row = Division(*(line[column].strip() for column in COLUMNS))
            rows[row.code] = row
    for row in rows.values():
        what = _wrong_parent(row, rows, suggest=len(mistakes) < _SUGGESTED)
        if what:
            mistakes.append(Mistake(path.name, row.code, what))
    if not rows and not mistakes:
        mistakes.append(Mistake(path.name, "the file", "at least one division"))
    return Divisions(rows.values()), mistakes


def _mistakes_of_line(line: dict[str, str], rows: Mapping[str, Division]) -> list[str]:
    if None in line or None in line.values():
        return [f"{len(COLUMNS)} columns"]
    code, name, level, _ = (line[column].strip() for column in COLUMNS)
    wrong = []
    if not code:
        wrong.append("a code")
    if not name:
        wrong.append("a name")
    if level not in LEVELS:
        wrong.append(f"level {level!r} is none of {', '.join(LEVELS)}{did_you_mean(level, LEVELS)}")
    if code in rows:
        wrong.append(f"code {code} only once, it is {rows[code].name} already")
    return wrong


def _wrong_parent(row: Division, rows: Mapping[str, Division], suggest: bool) -> str:
    if row.level == LEVELS[0]:
        return ""  # what lies above the city is not in the file
    parent = rows.get(row.parent_code)
    if parent is None:
        meant = did_you_mean(row.parent_code, rows) if suggest else ""
        return f"parent_code {row.parent_code!r} in the file{meant}"
    if LEVELS.index(parent.level) >= LEVELS.index(row.level):
        return f"a parent above level {row.level}, but {parent.code} is a {parent.level}"
    return ""
