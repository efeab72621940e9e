"""Reads which division an address text names, when an event has no coordinates. The locator makes it a place.

Chinese addresses go from large to small and without spaces, those in Latin letters from small to large in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import ahocorasick

from geo.divisions import LEVELS, Division, Divisions
from geo.place import Match

LONGEST = 500  # characters of an address that are read
# Longest first: the ends that say what a division is, which people leave out when they write an address.
_SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "city": ("市",),
    "county": ("自治县", "林区", "区", "县", "市", "旗"),
    "town": ("街道办事处", "办事处街道", "民族乡", "街道", "林场", "农场", "水库", "镇", "乡"),
    "village": ("社区居民委员会", "社区居委会", "村民委员会", "居民委员会", "村委会", "居委会", "社区", "村"),
}
# The ends people put instead, grouped by what they mean: within a group they are as good as the real one.
_SPOKEN: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "county": (("区",), ("县",), ("市",)),
    "town": (("街道办事处", "街道办", "街道"), ("镇",), ("乡",)),
    "village": (("社区", "社区居委会", "居民委员会", "居委会", "居委"), ("村", "村民委员会", "村委会", "村委")),
}
_BARE, _OTHER_KIND, _OWN_KIND = range(3)  # how a name ends in the text: not at all, like another kind, like its own
_KEPT = ("林场", "农场", "水库")  # ends that nobody replaces
_NOISE = re.compile(r"[\s,，。、;；:：\-—_/()（）]+")
_WORD = re.compile(r"[0-9a-zÀ-ɏ]")  # Latin letters, which stand apart in words
# A division's bare name before one of these is a road or a house, not the division.
_ROAD = re.compile(r".{0,3}?(路|街(?!道)|大道|巷|桥|公园|广场|花园|小区|酒店|医院|学校|小学|中学|站)")
_STREET = re.compile(
    r" (st|street|ave?|avenue|rd|road|blvd|boulevard|dr|drive|la?ne?|ct|court|pl|place|way|pkwy|parkway|hwy|highway"
    r"|pike|ter|terrace|cir|circle|sq|square)(?![0-9a-z])"
)
_DEPTH = {level: depth for depth, level in enumerate(LEVELS)}


@dataclass(frozen=True, slots=True)
class _Named:
    """A division found in the text: from where to where, and how its name ends there."""

    start: int
    end: int
    ending: int
    latin: bool = False

    @property
    def length(self) -> int:
        return self.end - self.start

    def holds(self, other: _Named) -> bool:
        """Whether it is a longer name around the other."""
        return self.start <= other.start and other.end <= self.end and self.length > other.length


class Read(NamedTuple):
    """What a text names: one division, or several that fit equally well, and the words that say so."""

    rows: list[Division]
    words: tuple[Match, ...]


class AddressIndex:
    """Every way each division's name is written, searched for all at once. Safe to share between threads."""

    def __init__(self, divisions: Divisions) -> None:
        self._divisions = divisions
        spellings: dict[str, list[tuple[str, int]]] = {}
        for level in _SUFFIXES:
            for row in divisions.level(level):
                for spelling, ending in dict(_spellings(row)).items():
                    spellings.setdefault(_plain(spelling), []).append((row.code, ending))
        self._words = ahocorasick.Automaton()
        for spelling, rows in spellings.items():
            self._words.add_word(spelling, (len(spelling), tuple(rows)))
        self._words.make_automaton()

    def match(self, text: str) -> list[Division]:
        """The rows of `read`."""
        return self.read(text).rows

    def read(self, text: str) -> Read:
        """The divisions below the city that the text names best, by code: one if it is clear, several if equally good.

        A division counts together with those above it that stand before it in the text (after it in Latin letters). A
        chain that contradicts another division in the text is out; of the others the one that explains most characters
        wins, then the most specific.
        """
        text = _plain(text[:LONGEST])
        named = self._named(text)
        scores = {code: self._score(code, named) for code in named}
        best = max((score for score in scores.values() if score is not None), default=None)
        rows = [
            self._divisions.get(code) for code, score in sorted(scores.items()) if score == best and best is not None
        ]
        return self._read([row for row in rows if row is not None and row.level != LEVELS[0]], named, text)

    def match_levels(self, text: str) -> list[list[Division]]:
        """The rows of `read_levels`."""
        return [found.rows for found in self.read_levels(text)]

    def read_levels(self, text: str) -> list[Read]:
        """The divisions that the text names, level by level, coarse to fine: for cities whose levels do not nest, where
        no name says anything about another."""
        text = _plain(text[:LONGEST])
        named = self._named(text)
        found: dict[str, list[Division]] = {level: [] for level in LEVELS[1:]}
        for code, span in sorted(named.items()):
            row = self._divisions.get(code)
            if row is None or row.level == LEVELS[0] or span.ending == _BARE:
                continue
            rivals = (named[other.code] for other in self._divisions.level(row.level) if other.code in named)
            if not any(other.holds(span) for other in rivals):
                found[row.level].append(row)
        return [self._read(rows, named, text) for rows in found.values() if rows]

    def _read(self, rows: list[Division], named: Mapping[str, _Named], text: str) -> Read:
        """With the words for each row and for what is above it."""
        words = {
            code: Match(level, code, text[named[code].start : named[code].end])
            for row in rows
            for level, code in self._divisions.path(row.code).items()
            if code in named
        }
        return Read(rows, tuple(words.values()))

    def _named(self, text: str) -> dict[str, _Named]:
        """For each division its longest spelling in the text, the first of equal ones."""
        found: dict[str, _Named] = {}
        if not len(self._words):
            return found
        for last, (length, rows) in self._words.iter(text):
            start, end = last + 1 - length, last + 1
            latin = _WORD.fullmatch(text[last]) is not None
            if latin and (_STREET.match(text, end) or _cut_out(text, start, end)):
                continue
            road = _ROAD.match(text, end) is not None
            for code, ending in rows:
                known = found.get(code)
                if (ending or not road) and (known is None or length > known.length):
                    found[code] = _Named(start, end, ending, latin)
        return found

    def _score(self, code: str, named: Mapping[str, _Named]) -> tuple[int, int, int, int] | None:
        """Characters explained, divisions in the chain, how it ends, depth; None if it cannot be meant."""
        mine = named[code]
        path = self._divisions.path(code)
        explained, chain, cut, context = mine.length, 1, mine.end if mine.latin else mine.start, False
        for above in reversed([other for other in path.values() if other != code]):
            span = named.get(above)
            if span is not None and (span.start >= cut if mine.latin else span.end <= cut):
                explained, cut = explained + span.length, span.end if mine.latin else span.start
                chain += 1
                context = context or self._depth(above) > 0
        depth = self._depth(code)
        if mine.ending == _BARE and not context:
            return None  # a bare name such as 江南 or 大坪 alone may be anything
        if any(self._contradicts(other, span, depth, mine, path, named) for other, span in named.items()):
            return None
        return explained, chain, mine.ending, depth if mine.ending else -depth

    def _contradicts(
        self, other: str, span: _Named, depth: int, mine: _Named, path: Mapping[str, str], named: Mapping[str, _Named]
    ) -> bool:
        """Whether `other`, at a coarser level, is named in full where nothing above the candidate is named."""
        if span.ending == _BARE or self._depth(other) >= depth or (span.start < mine.end and mine.start < span.end):
            return False
        return not any(
            (there := named.get(above)) is not None and there.start <= span.start and span.end <= there.end
            for above in path.values()
        )

    def _depth(self, code: str) -> int:
        row = self._divisions.get(code)
        return _DEPTH[row.level] if row else 0


def _plain(text: str) -> str:
    """Case folded, without white space and punctuation; between two Latin words one space stays."""
    return _NOISE.sub(_gap, text.casefold()).strip()


def _gap(noise: re.Match[str]) -> str:
    text, start, end = noise.string, noise.start(), noise.end()
    return " " if start and end < len(text) and _WORD.match(text[start - 1]) and _WORD.match(text[end]) else ""


def _cut_out(text: str, start: int, end: int) -> bool:
    """Whether text[start:end] is a part of a longer word: `abell` does not occur in `labelle`."""
    before = start > 0 and _WORD.match(text[start]) and _WORD.match(text[start - 1])
    return bool(before or (end < len(text) and _WORD.match(text[end])))


def _spellings(row: Division) -> Iterator[tuple[str, int]]:
    """Each spelling of a division's name, and how it ends."""
    end = next((end for end in _SUFFIXES[row.level] if row.name.endswith(end) and len(row.name) > len(end)), "")
    bare = row.name.removesuffix(end)
    if end and len(bare) >= 2:
        yield bare, _BARE
        for group in _SPOKEN.get(row.level, ()) if end not in _KEPT else ():
            own = any(end.endswith(spoken) for spoken in group)
            yield from ((bare + spoken, _OWN_KIND if own else _OTHER_KIND) for spoken in group)
    yield row.name, _OWN_KIND
